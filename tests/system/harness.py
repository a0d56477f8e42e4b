# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""A real fettled in a fresh folder on free ports, and the clients that talk to it.

The programs come from $FETTLE_BUILD (a build folder). Everything a test makes
lives below one temporary folder and is gone when the test ends; a daemon that
does not stop by itself, or leaves a process behind, fails the test.
"""
import contextlib
import hashlib
import http.client
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

SOURCE = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.realpath(os.environ.get("FETTLE_BUILD", os.path.join(SOURCE, "build")))
FETTLED = os.path.join(BUILD, "fettled")
FETTLE = os.path.join(BUILD, "fettle")
DEVICE = os.path.join(BUILD, "fettle-device")
# One knob for slow runs (valgrind, sanitizers): every waiting time is multiplied by it.
PATIENCE = float(os.environ.get("FETTLE_PATIENCE", "1"))
# "valgrind ..." in front of the daemon, when the runner says so.
WRAP = os.environ.get("FETTLE_WRAP", "").split()


# What a sanitizer or valgrind says when a program is at fault; with both, nothing else does, but for
# the look at a process's leaks that met its end by SIGKILL.
REPORT = re.compile(r"^(==\d+==(?!Unable to get registers from thread)|.*runtime error: |"
                    r".*(Address|Leak|UndefinedBehavior)Sanitizer)", re.M)


# fettled never runs as root: started by root it becomes this user.
SERVICE_USER = "nobody" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name


def give(path):
    """A file the service must read."""
    if os.getuid() == 0:
        shutil.chown(path, SERVICE_USER)


taken = []      # by this process, as long as it lives


def free_port(kind):
    """Free, and not given to anybody else while its daemon is away.

    It is below those that the kernel gives to any socket, and a name of the kernel's keeps
    other tests from it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        first = int(f.read().split()[0])
    while True:
        port = random.SystemRandom().randrange(10000, max(first, 20000))
        guard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                guard.bind("\0fettle-test-port-%d" % port)
                s.bind(("127.0.0.1", port))
            except OSError:
                guard.close()
                continue
        taken.append(guard)
        return port


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def wait_until(what, check, timeout=10.0):
    """Poll check() until it is true; what names it in the failure."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %.0f s in vain: %s" % (timeout * PATIENCE, what))
        time.sleep(0.02)


class Refused(Exception):
    """A REST call answered with an error status."""

    def __init__(self, status, body):
        super().__init__("%d %s" % (status, body))
        self.status, self.body = status, body


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30 * PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """fettled with a configuration of its own."""

    def __init__(self, root, extra="", coap=True, tls=True, limits="", server="", trusted=None):
        self.root = root
        self.program, self.environ = FETTLED, {}    # a test's own
        self.data = os.path.join(root, "data")
        os.chmod(root, 0o711)
        self.coap_port = free_port(socket.SOCK_DGRAM)
        self.coaps_port = free_port(socket.SOCK_DGRAM)
        self.http_port = free_port(socket.SOCK_STREAM)
        self.https_port = free_port(socket.SOCK_STREAM)
        self.socket = os.path.join(root, "run", "control.sock")
        self.certificate = os.path.join(root, "tls.crt")
        self.key = os.path.join(root, "tls.key")
        self.log = os.path.join(root, "fettled.log")
        self.config = os.path.join(root, "fettled.conf")
        self.process = None
        if tls and not os.path.exists(self.key):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                            "-keyout", self.key, "-out", self.certificate],
                           check=True, capture_output=True)
            os.chmod(self.key, 0o600)
            give(self.key)
        user = "user = %s\n" % SERVICE_USER
        text = "[server]\ndata_dir = %s\n%s%s\n" % (self.data, user, server)
        text += "[coap]\n"
        if coap:
            text += "listen = 127.0.0.1:%d\nlisten_dtls = 127.0.0.1:%d\n" % (
                self.coap_port, self.coaps_port)
        if trusted is not None:
            text += "trusted = %s\n" % trusted
        text += "[http]\nlisten = 127.0.0.1:%d\n" % self.http_port
        if tls:
            text += "listen_tls = 127.0.0.1:%d\ncertificate = %s\nkey = %s\n" % (
                self.https_port, self.certificate, self.key)
        text += "[control]\nsocket = %s\n" % self.socket
        if limits:
            text += "[limits]\n%s\n" % limits
        with open(self.config, "w") as f:
            f.write(text + extra)

    def start(self):
        """Start and wait for READY=1."""
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(self.root, "notify.sock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        notify.bind(path)
        os.chmod(path, 0o777)
        notify.settimeout(0.1)
        env = dict(os.environ, NOTIFY_SOCKET=path, **self.environ)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                WRAP + [self.program, "-c", self.config], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=env, start_new_session=True)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError("fettled ended with %d:\n%s" % (self.process.returncode, self.tail()))
            try:
                return b"READY=1" in notify.recv(4096)
            except socket.timeout:
                return False
        try:
            wait_until("READY=1 from fettled", ready, 20)
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, self.tail())) from None
        finally:
            notify.close()
        return self

    def pids(self):
        """All processes of this service: {role: [pid]}, role from --process."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % pid) as f:
                    session = int(f.read().rsplit(")", 1)[1].split()[3])
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    words = f.read().decode(errors="replace").split("\0")
            except (OSError, ValueError, IndexError):
                continue
            if session != self.process.pid or not any("fettled" in w for w in words[:8]):
                continue
            role = words[words.index("--process") + 1] if "--process" in words else "parent"
            found.setdefault(role, []).append(int(pid))
        return found

    def tail(self, lines=40):
        with open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def stop(self):
        """TERM, and it must end by itself, with 0, leaving nobody behind."""
        if self.process is None:
            return
        process = self.process
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10 * PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("fettled did not stop:\n" + self.tail()) from None
        code = process.returncode
        left = self.pids()
        self.process = None
        if left:
            for pids in left.values():
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            raise AssertionError("left behind: %s" % left)
        if code != 0:
            raise AssertionError("fettled ended with %d:\n%s" % (code, self.tail()))
        self.assert_no_report()

    def kill(self):
        """kill -9 everything at once."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        wait_until("the service's processes to be gone", lambda: not self.pids(), 10)
        self.process = None
        self.assert_no_report()

    def assert_no_report(self):
        """A child's exit status is not the service's: what was found in it stands in the log."""
        with open(self.log, errors="replace") as f:
            text = f.read()
        found = REPORT.search(text)
        if found:
            raise AssertionError("found in fettled:\n" + text[found.start():found.start() + 6000])

    # -- REST over the Unix socket --

    def rest(self, method, path, body=None, headers=None, raw=False):
        """Body decoded from JSON (bytes when raw); Refused for statuses >= 400."""
        status, _, data = self.call(method, path, body, headers)
        if status >= 400:
            raise Refused(status, data.decode(errors="replace"))
        if raw:
            return data
        return json.loads(data) if data else None

    def call(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def fettle(self, *words, ok=True, text=True):
        """The command, over the control socket. Returns its standard output."""
        done = subprocess.run([FETTLE, "--socket", self.socket, *words], capture_output=True,
                              text=text, timeout=60 * PATIENCE, stdin=subprocess.DEVNULL)
        if ok and done.returncode != 0:
            raise AssertionError("fettle %s: exit %d\n%s%s" % (
                " ".join(words), done.returncode, done.stdout, done.stderr))
        return done.stdout if ok else done

    def json(self, *words):
        return json.loads(self.fettle("--json", *words))

    def url(self, scheme):
        return {"coap": "coap://127.0.0.1:%d", "coaps": "coaps://127.0.0.1:%d",
                "http": "http://127.0.0.1:%d", "https": "https://localhost:%d"}[scheme] % {
                    "coap": self.coap_port, "coaps": self.coaps_port,
                    "http": self.http_port, "https": self.https_port}[scheme]


class Case(unittest.TestCase):
    """A test case with a folder of its own; self.daemon is running unless start is False."""
    start = True
    options = {}

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="fettle-test-")
        self.addCleanup(shutil.rmtree, self.root)
        seed = int(os.environ.get("FETTLE_SEED", random.SystemRandom().randrange(1 << 32)))
        self.seed, self.random = seed, random.Random(seed)
        self.daemon = Daemon(self.root, **self.options)
        self.addCleanup(self.daemon.stop)
        if self.start:
            self.daemon.start()

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, data, mode=0o600):
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, mode)
        return path

    # -- the author's side --

    def author(self, vendor="example.com"):
        """A key pair and its trust anchor; returns the private key's path."""
        key = self.path("author-%s.pem" % vendor)
        if not os.path.exists(key):
            subprocess.run([FETTLE, "key", "generate", "--alg", "es256", "-o", key], check=True,
                           capture_output=True)
            public = subprocess.run([FETTLE, "key", "public", key], check=True,
                                    capture_output=True).stdout
            self.daemon.fettle("anchor", "add", self.write("anchor.pem", public), "--vendor", vendor)
        return key

    def manifest(self, image, sequence, key, vendor="example.com", model="lamp", version=None,
                 uri=None, more=()):
        """A signed SUIT manifest for one image; returns its path."""
        out = self.path("manifest-%s-%d.suit" % (model, sequence))
        path = self.write("image-%s-%d.bin" % (model, sequence), image)
        words = [FETTLE, "manifest", "create", "--image", path, "--sequence", str(sequence),
                 "--vendor", vendor, "--class", model, "--key", key, "-o", out]
        if version:
            words += ["--version", version]
        if uri:
            words += ["--uri", uri]
        subprocess.run(words + list(more), check=True, capture_output=True)
        return out

    def release(self, image, sequence=1, publish=False, **more):
        """Upload, add, approve (and publish); returns the release object."""
        key = more.pop("key", None) or self.author(more.get("vendor", "example.com"))
        manifest = self.manifest(image, sequence, key, **more)
        self.daemon.fettle("image", "add", self.path("image-%s-%d.bin" % (more.get("model", "lamp"), sequence)))
        release = self.daemon.json("release", "add", manifest)
        name = str(release["id"])
        self.daemon.fettle("release", "approve", name)
        if publish:
            self.daemon.fettle("release", "publish", name)
        return self.daemon.json("release", "show", name)

    def psk_device(self, name, **attributes):
        """An enrolled device with a PSK; returns (id, key hex, key file)."""
        key = self.random.randbytes(16).hex()
        words = ["device", "add", name]
        for k, v in attributes.items():
            words += ["--" + k.replace("_", "-"), v]
        self.daemon.fettle(*words)
        path = self.write("psk-" + name, key.encode())
        self.daemon.fettle("device", "credential", "add", name, "--psk-file", path)
        return name, key, path


def main():
    unittest.main(verbosity=2)
