# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""What is measured and what it is measured against: the daemon on a data directory
filled beforehand, the peers, the load generators, each on its processor."""
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "system"))
import harness  # noqa: E402

SERVER_CPU, LOAD_CPU = (0, 1) if (os.cpu_count() or 1) > 1 else (0, 0)
TICKS = os.sysconf("SC_CLK_TCK")


class Skip(Exception):
    """The row cannot be measured here; says why."""


def program(name):
    path = os.path.join(harness.BUILD, "bench", name)
    if not os.access(path, os.X_OK):
        raise Skip("%s is not built (make bench)" % name)
    return path


def tool(name, package):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not path:
        raise Skip("%s is missing (package %s)" % (name, package))
    return path


def pinned(cpu, words):
    return ["taskset", "-c", str(cpu)] + words


def cpu_seconds(pids):
    """Processor time of these processes so far."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            with open("/proc/%d/stat" % pid) as f:
                words = f.read().rsplit(")", 1)[1].split()
            total += int(words[11]) + int(words[12])
    return total / TICKS


def pss_bytes(pids, cache=None):
    """Proportional set size of these processes; mappings below the folder cache apart."""
    total = 0
    for pid in pids:
        skip = False
        with contextlib.suppress(OSError):
            with open("/proc/%d/smaps" % pid) as f:
                for line in f:
                    if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                        skip = cache is not None and cache in line
                    elif line.startswith("Pss:") and not skip:
                        total += int(line.split()[1]) * 1024
    return total


class Load:
    """One run of a load generator, with the processor time its server spent meanwhile."""

    def __init__(self, words, pids):
        before = cpu_seconds(pids)
        done = subprocess.run(pinned(LOAD_CPU, words), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=300)
        spent = cpu_seconds(pids) - before
        if done.returncode != 0:
            raise Skip("%s: exit %d: %s" % (os.path.basename(words[0]), done.returncode,
                                            (done.stderr + done.stdout).strip()[-300:]))
        self.figures = json.loads(done.stdout.strip().splitlines()[-1])
        self.rate = self.figures["rate"]
        self.p99_ms = self.figures["p99_us"] / 1000
        self.max_ms = self.figures["max_us"] / 1000
        self.cpu_us = spent * 1e6 / max(1, self.figures["right"])


def rounds(count, **sides):
    """Each side in turn, count times over; {side: [results]}."""
    results = {name: [] for name in sides}
    for _ in range(count):
        for name, run in sides.items():
            results[name].append(run())
    return results


def median(results, what="rate"):
    return statistics.median(getattr(r, what) if hasattr(r, what) else r for r in results)


@contextlib.contextmanager
def server(words, port=None, kind=socket.SOCK_STREAM, cwd=None):
    """A peer on the server's processor, until the end of the block."""
    process = subprocess.Popen(pinned(SERVER_CPU, words), stdin=subprocess.DEVNULL, cwd=cwd,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 5
        table = "udp" if kind == socket.SOCK_DGRAM else "tcp"
        while port and time.monotonic() < end and process.poll() is None:
            with open("/proc/net/" + table) as f:
                if ":%04X " % port in f.read():
                    break
            time.sleep(0.02)
        if process.poll() is not None:
            raise Skip("%s ended with %d" % (os.path.basename(words[0]), process.returncode))
        yield process
    finally:
        process.terminate()
        process.wait()


class World:
    """A temporary folder; databases and a daemon in it."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="fettle-bench-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        os.chmod(self.root, 0o711)
        self.count = 0

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.root, name)

    def blob(self, name, size):
        """A file of that many random bytes."""
        path = self.path(name)
        if not os.path.exists(path):
            with open(path, "wb") as f:
                for _ in range(size >> 20):
                    f.write(os.urandom(1 << 20))
                f.write(os.urandom(size & ((1 << 20) - 1)))
            os.chmod(path, 0o644)
        return path

    def disk_syncs(self, seconds):
        """How long the disk takes to make 16 KiB durable, once in 10 ms: a list of seconds."""
        took, end = [], time.monotonic() + seconds
        fd = os.open(self.path("syncs"), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while time.monotonic() < end:
                begin = time.monotonic()
                os.pwrite(fd, bytes(16384), len(took) * 16384)
                os.fdatasync(fd)
                took.append(time.monotonic() - begin)
                time.sleep(0.01)
        finally:
            os.close(fd)
        return took

    @contextlib.contextmanager
    def fleet(self, devices, secure=0, updates=False, limits="", start=True):
        """A daemon that knows so many devices."""
        self.count += 1
        root = self.path("daemon-%d" % self.count)
        data = os.path.join(root, "data")
        os.makedirs(data, 0o700)
        words = [program("bench_fleet"), data, str(devices), str(secure)]
        if updates:
            words.append("updates")
        subprocess.run(words, check=True)
        for folder, _, files in os.walk(data):
            for name in [folder] + [os.path.join(folder, f) for f in files]:
                if os.getuid() == 0:
                    shutil.chown(name, harness.SERVICE_USER)
        daemon = PinnedDaemon(root, limits=limits)
        try:
            if start:
                daemon.start()
            yield daemon
            daemon.stop()
        finally:
            daemon.kill()
            shutil.rmtree(root, ignore_errors=True)


class PinnedDaemon(harness.Daemon):
    def start(self):
        """On the server's processor. Returns the seconds until it was ready."""
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {SERVER_CPU})
        try:
            begin = time.monotonic()
            super().start()
            return time.monotonic() - begin
        finally:
            os.sched_setaffinity(0, allowed)

    def all_pids(self):
        return [pid for pids in self.pids().values() for pid in pids]

    def spread(self):
        """Its processes may use both processors from now on: what one gateway has."""
        for pid in self.all_pids():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(pid, {SERVER_CPU, LOAD_CPU})

    def publish(self, image, sequence):
        """The file as a published release's image; returns its digest."""
        key, anchor = os.path.join(self.root, "author.pem"), os.path.join(self.root, "anchor.pem")
        suit = os.path.join(self.root, "m%d.suit" % sequence)
        if not os.path.exists(key):
            self.command("key", "generate", "--alg", "es256", "-o", key)
            with open(anchor, "wb") as f:
                f.write(self.command("key", "public", key))
            self.fettle("anchor", "add", anchor, "--vendor", "example.com")
        self.command("manifest", "create", "--image", image, "--sequence", str(sequence), "--version",
                     "%d.0" % sequence, "--vendor", "example.com", "--class", "lamp", "--key", key, "-o", suit)
        begin = time.monotonic()
        self.fettle("image", "add", image)
        release = str(self.json("release", "add", suit)["id"])
        self.ingest_s = time.monotonic() - begin
        self.fettle("release", "approve", release)
        self.fettle("release", "publish", release)
        with open(image, "rb") as f:
            return harness.sha256(f.read()), release

    @staticmethod
    def command(*words):
        done = subprocess.run([harness.FETTLE, *words], capture_output=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Skip("fettle %s: %s" % (" ".join(words), done.stderr.decode()))
        return done.stdout


@contextlib.contextmanager
def echo(size):
    port = harness.free_port(socket.SOCK_DGRAM)
    with server([program("udp_echo"), str(port), str(size)], port, socket.SOCK_DGRAM) as process:
        process.port = port
        yield process


@contextlib.contextmanager
def coap_server(image):
    """libcoap's example server with the image as a resource put there."""
    words = [tool("coap-server-notls", "libcoap3-bin")]
    put = tool("coap-client-notls", "libcoap3-bin")
    port = harness.free_port(socket.SOCK_DGRAM)
    with server(words + ["-A", "127.0.0.1", "-p", str(port), "-d", "10"], port, socket.SOCK_DGRAM) as process:
        subprocess.run([put, "-m", "put", "-b", "1024", "-B", "30", "-f", image,
                        "coap://127.0.0.1:%d/bench" % port], check=True, capture_output=True)
        process.port = port
        yield process


NGINX = """
daemon off; master_process off; worker_processes 1; pid %(root)s/nginx.pid; error_log %(root)s/nginx.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; open_file_cache max=100; keepalive_requests 100000000;
  default_type application/octet-stream;
  client_body_temp_path %(root)s/t1; proxy_temp_path %(root)s/t2; fastcgi_temp_path %(root)s/t3;
  uwsgi_temp_path %(root)s/t4; scgi_temp_path %(root)s/t5;
  server { listen 127.0.0.1:%(http)d; root %(files)s; }
  server { listen 127.0.0.1:%(https)d ssl; root %(files)s; ssl_certificate %(crt)s; ssl_certificate_key %(key)s; }
}
"""


@contextlib.contextmanager
def nginx(world, daemon):
    """One worker, the same files and certificate."""
    words = [tool("nginx", "nginx-light")]
    root = world.path("nginx")
    os.makedirs(root, exist_ok=True)
    http, https = harness.free_port(socket.SOCK_STREAM), harness.free_port(socket.SOCK_STREAM)
    config = os.path.join(root, "nginx.conf")
    with open(config, "w") as f:
        f.write(NGINX % {"root": root, "files": world.root, "http": http, "https": https,
                         "crt": daemon.certificate, "key": daemon.key})
        if os.getuid() == 0:
            f.write("user root;\n")
    with server(words + ["-p", root, "-c", config, "-e", os.path.join(root, "nginx.log")], http) as process:
        process.http_port, process.https_port = http, https
        yield process


UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Wrk:
    """One run of wrk -t1 -c64."""

    def __init__(self, url, seconds, pids):
        before = cpu_seconds(pids)
        done = subprocess.run(pinned(LOAD_CPU, [tool("wrk", "wrk"), "-t1", "-c64", "-d%ds" % seconds,
                                                "--timeout", "20s", url]), capture_output=True, text=True)
        spent = cpu_seconds(pids) - before
        match = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
        moved = re.search(r"Transfer/sec:\s+([\d.]+)([KMG]?)B", done.stdout)
        total = re.search(r"(\d+) requests in", done.stdout)
        if done.returncode != 0 or not match or not moved or "Non-2xx" in done.stdout:
            raise Skip("wrk: " + done.stdout + done.stderr)
        self.rate = float(match.group(1))
        self.bytes = float(moved.group(1)) * UNITS[moved.group(2)]
        self.cpu_us = spent * 1e6 / max(1, int(total.group(1)))
