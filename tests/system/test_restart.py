# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Life of the service: reload, stop, a second one, systemd's sockets and watchdog, lost children."""
import contextlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import coap
import dtls
import harness
import load


class Notify:
    """What systemd would hear."""

    def __init__(self, root):
        self.path = os.path.join(root, "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o777)
        self.heard = []

    def close(self):
        self.socket.close()
        os.unlink(self.path)

    def wait(self, word, timeout=10.0):
        """The next message with this line in it; those before are kept in heard."""
        end = time.monotonic() + timeout * harness.PATIENCE
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(socket.timeout):
                self.heard.append(self.socket.recv(4096).decode())
                if word in self.heard[-1].split("\n"):
                    return self.heard[-1]
        raise AssertionError("no %s, but %s" % (word, self.heard))


class Restart(harness.Case):
    start = False

    def launch(self, before=None, **env):
        """Start with a notification socket that stays open."""
        self.notify = Notify(self.root)
        self.addCleanup(self.notify.close)
        with open(self.daemon.log, "ab") as log:
            self.daemon.process = subprocess.Popen(
                harness.WRAP + [harness.FETTLED, "-c", self.daemon.config], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, pass_fds=(), preexec_fn=before, close_fds=before is None,
                env=dict(os.environ, NOTIFY_SOCKET=self.notify.path, **env))
        try:
            self.notify.wait("READY=1", 20)
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, self.daemon.tail())) from None
        self.notify.heard.clear()

    def change(self, old, new):
        with open(self.daemon.config) as f:
            text = f.read()
        self.assertIn(old, text)
        with open(self.daemon.config, "w") as f:
            f.write(text.replace(old, new))

    def reload(self):
        """SIGHUP, RELOADING, READY; returns the lines logged meanwhile."""
        at = os.path.getsize(self.daemon.log)
        os.kill(self.daemon.process.pid, signal.SIGHUP)
        self.assertIn("MONOTONIC_USEC=", self.notify.wait("RELOADING=1"))
        self.notify.wait("READY=1")
        with open(self.daemon.log) as f:
            f.seek(at)
            return f.read()

    def http(self, port, path="/healthz"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5 * harness.PATIENCE)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    # -- reload --

    def test_reload_of_nothing(self):
        self.launch()
        pids = self.daemon.pids()
        self.assertIn("configuration read again", self.reload())
        self.assertEqual(self.daemon.pids(), pids)
        self.assertEqual(self.http(self.daemon.http_port), 200)

    def test_reload_of_a_level(self):
        self.launch()
        pids = self.daemon.pids()
        self.change("[server]\n", "[server]\nlog_level = debug\n")
        self.assertNotIn("replaced", self.reload())
        self.assertEqual(self.daemon.pids(), pids)

    def test_reload_of_a_listener(self):
        self.launch()
        before, old = self.daemon.pids(), self.daemon.http_port
        new = harness.free_port(socket.SOCK_STREAM)
        self.change("listen = 127.0.0.1:%d\nlisten_tls" % old, "listen = 127.0.0.1:%d\nlisten_tls" % new)
        self.assertIn("replaced", self.reload())
        self.assertEqual(self.http(new), 200)
        self.assertIsNone(self.http(old))
        self.assertTrue(load.answers(self.daemon.coap_port))
        after = self.daemon.pids()
        self.assertNotEqual(after["front"], before["front"])
        for name in ("core", "checkpointer", "keys", "parent"):
            self.assertEqual(after[name], before[name])

    def test_reload_refused(self):
        """Whatever is wrong with it, the configuration in force stays, whole."""
        self.launch()
        pids = self.daemon.pids()
        with open(self.daemon.config) as f:
            good = f.read()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            listen = "listen = 127.0.0.1:%d" % self.daemon.http_port
            for old, new in (("[server]\n", "[server]\nlog_level = loud\n"),
                             ("[server]\n", "[server]\nno_such_key = 1\n"),
                             ("[server]\n", "nonsense\n[server]\n"),
                             (listen, "listen = 0.0.0.0:%d" % self.daemon.http_port),
                             (listen, "listen = 127.0.0.1:%d" % taken.getsockname()[1]),
                             (self.daemon.certificate, self.daemon.key),
                             (self.daemon.key, self.path("not-there.key")),
                             ("key = " + self.daemon.key, "key = " + self.stranger()),
                             ("data_dir = " + self.daemon.data, "data_dir = " + self.path("elsewhere"))):
                with self.subTest(new=new):
                    self.change(old, new)
                    self.assertIn("reload refused", self.reload())
                    self.assertEqual(self.daemon.pids(), pids)
                    self.assertEqual(self.http(self.daemon.http_port), 200)
                with open(self.daemon.config, "w") as f:
                    f.write(good)
        os.unlink(self.daemon.config)
        self.assertIn("reload refused", self.reload())
        self.assertEqual(self.http(self.daemon.http_port), 200)
        self.assertTrue(load.answers(self.daemon.coap_port))

    def stranger(self):
        """The key of another certificate."""
        path = self.path("stranger.key")
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path], check=True,
                       capture_output=True)
        os.chmod(path, 0o600)
        harness.give(path)
        return path

    def test_many_reloads(self):
        """However many come at once: the last one's file is in force in the end."""
        self.launch()
        for level in ("error", "debug") * 5 + ("notice", "debug"):
            with open(self.daemon.config) as f:
                text = f.read().split("log_level")[0].split("[coap]")
            with open(self.daemon.config) as f:
                rest = f.read().split("[coap]", 1)[1]
            with open(self.daemon.config, "w") as f:
                f.write("%slog_level = %s\n[coap]%s" % (text[0], level, rest))
            os.kill(self.daemon.process.pid, signal.SIGHUP)
            time.sleep(0.005 * self.random.random())
            self.drain()
        # debug: the core says who greets it
        at = os.path.getsize(self.daemon.log)
        time.sleep(0.5 * harness.PATIENCE)
        self.drain()
        os.kill(self.daemon.pids()["control"][0], signal.SIGKILL)
        harness.wait_until("control", self.control_answers, 10)
        with open(self.daemon.log) as f:
            f.seek(at)
            self.assertIn("front is pid", f.read())

    def test_deaf_manager(self):
        """Who does not read notifications holds nothing up."""
        self.launch()
        for _ in range(20):
            os.kill(self.daemon.process.pid, signal.SIGHUP)
            time.sleep(0.02)
        os.kill(self.daemon.pids()["control"][0], signal.SIGKILL)
        harness.wait_until("another control", self.control_answers, 10)

    def control_answers(self):
        try:
            return self.daemon.call("GET", "/healthz")[0] == 200
        except OSError:
            return False

    # -- stop --

    def test_stop_under_load(self):
        """SIGTERM: what was taken is answered, 0 within 5 s, and what was acknowledged stays."""
        self.launch()
        made, broken, go = [], [], threading.Event()

        def enrol(n):
            i = 0
            while not go.is_set():
                i += 1
                name = "d-%d-%d" % (n, i)
                try:
                    if self.daemon.call("POST", "/api/v1/devices", {"id": name, "auth": "none"})[0] == 201:
                        made.append(name)
                except (ConnectionError, FileNotFoundError):
                    return
                except http.client.HTTPException as e:
                    broken.append("%s: %r" % (name, e))
                    return
        threads = [threading.Thread(target=enrol, args=(n,), daemon=True) for n in range(4)]
        for t in threads:
            t.start()
        time.sleep(1)
        began = time.monotonic()
        os.kill(self.daemon.process.pid, signal.SIGTERM)
        self.notify.wait("STOPPING=1")
        self.assertEqual(self.daemon.process.wait(10 * harness.PATIENCE), 0)
        took = time.monotonic() - began
        self.assertLess(took, 5 * harness.PATIENCE)
        go.set()
        for t in threads:
            t.join(10)
        self.assertEqual(self.daemon.pids(), {})
        self.assertFalse(broken)
        self.daemon.process = None
        self.assertGreater(len(made), 10)
        self.daemon.start()
        for name in made:
            self.daemon.rest("GET", "/api/v1/devices/" + name)
        print("stopped after %.0f ms, %d enrolled" % (1000 * took, len(made)))

    def test_stop_leaves_no_log(self):
        """The core copies it at the end, though it hears of the checkpointer's end only then."""
        self.launch()
        self.daemon.rest("POST", "/api/v1/devices", {"id": "lamp-1", "auth": "none"})
        core = self.daemon.pids()["core"][0]
        os.kill(core, signal.SIGSTOP)
        os.kill(self.daemon.process.pid, signal.SIGTERM)
        harness.wait_until("the core alone", lambda: self.daemon.pids().keys() == {"parent", "core"})
        time.sleep(0.1)
        os.kill(core, signal.SIGCONT)
        self.assertEqual(self.daemon.process.wait(10 * harness.PATIENCE), 0)
        with open(os.path.join(self.daemon.data, "fettle.db-shm"), "rb") as f:
            index = f.read(100)
        pages, copied = struct.unpack_from("=I", index, 16)[0], struct.unpack_from("=I", index, 96)[0]
        self.assertGreater(pages, 0)
        self.assertEqual(copied, pages)

    def test_stop_with_idle_connections(self):
        """Nobody who only holds a connection open delays the end."""
        self.launch()
        held = [socket.create_connection(("127.0.0.1", self.daemon.http_port)) for _ in range(50)]
        for i, s in enumerate(held):
            self.addCleanup(s.close)
            if i % 2:
                s.sendall(b"POST /api/v1/manifests HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        time.sleep(0.3)
        began = time.monotonic()
        self.daemon.stop()
        self.assertLess(time.monotonic() - began, 5 * harness.PATIENCE)

    def test_stop_lets_bodies_end(self):
        """A download and an upload near their ends are carried through; whoever comes later finds nobody."""
        self.launch()
        image, other = self.random.randbytes(6 << 20), self.random.randbytes(3 << 20)
        self.daemon.rest("POST", "/api/v1/images", image)
        token = self.daemon.rest("POST", "/api/v1/tokens", {"name": "t", "role": "operator"})["token"]
        path = "/api/v1/images/%s/content" % harness.sha256(image)
        harness.wait_until("the image to be at hand", lambda: self.with_token(token, path) == 200, 10)
        head = "Host: x\r\nAuthorization: Bearer %s\r\n" % token
        down, up = socket.socket(), socket.socket()
        for s in (down, up):
            self.addCleanup(s.close)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            s.settimeout(10 * harness.PATIENCE)
            s.connect(("127.0.0.1", self.daemon.http_port))
        down.sendall(("GET %s HTTP/1.1\r\n%s\r\n" % (path, head)).encode())
        up.sendall(("POST /api/v1/images HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (head, len(other))).encode())
        got, sent, told = b"", 0, False
        while sent < len(other):
            sent += up.send(other[sent:sent + (256 << 10)])
            while len(got) < 2 * sent and (chunk := down.recv(65536)):
                got += chunk
            if not told and sent > len(other) - (600 << 10):
                os.kill(self.daemon.process.pid, signal.SIGTERM)
                self.notify.wait("STOPPING=1")
                told = True
            time.sleep(0.02)
        self.assertIn(b" 201 ", up.recv(4096).split(b"\r\n")[0])
        while chunk := down.recv(65536):
            got += chunk
        self.assertEqual(harness.sha256(got.split(b"\r\n\r\n", 1)[1]), harness.sha256(image))
        self.assertEqual(self.daemon.process.wait(5 * harness.PATIENCE), 0)
        self.daemon.process = None
        self.assertIsNone(self.http(self.daemon.http_port))
        self.daemon.start()
        self.assertEqual(self.daemon.rest("GET", "/api/v1/images/" + harness.sha256(other))["size"], str(len(other)))

    def test_asked_twice(self):
        self.launch()
        os.kill(self.daemon.process.pid, signal.SIGTERM)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.daemon.process.pid, signal.SIGTERM)
        self.daemon.process.wait(5 * harness.PATIENCE)
        self.assertEqual(self.daemon.pids(), {})
        self.daemon.process = None

    # -- one at a time --

    def test_second_daemon(self):
        self.launch()
        other = subprocess.run([harness.FETTLED, "-c", self.daemon.config], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, timeout=20 * harness.PATIENCE)
        self.assertEqual(other.returncode, 75, other.stderr)
        self.assertIn("another fettled", other.stderr)
        self.assertEqual(self.http(self.daemon.http_port), 200)

    def test_an_address_that_is_taken(self):
        """The exit status says that a listener could not be opened, as fettled(8) has it."""
        self.launch()
        with open(self.daemon.config) as f:
            text = f.read()
        for mine in (self.daemon.http_port, self.daemon.coap_port):
            other = os.path.join(self.daemon.root, "other-%d.conf" % mine)
            changed = text.replace(self.daemon.data, self.daemon.data + "-other").replace(
                self.daemon.socket, self.daemon.socket + "-other")
            for port, kind in ((self.daemon.http_port, socket.SOCK_STREAM),
                               (self.daemon.https_port, socket.SOCK_STREAM),
                               (self.daemon.coap_port, socket.SOCK_DGRAM),
                               (self.daemon.coaps_port, socket.SOCK_DGRAM)):
                if port != mine:
                    changed = changed.replace(":%d" % port, ":%d" % harness.free_port(kind))
            with open(other, "w") as f:
                f.write(changed)
            done = subprocess.run([harness.FETTLED, "-c", other], capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=20 * harness.PATIENCE)
            self.assertEqual(done.returncode, 69, done.stderr)
            self.assertIn("127.0.0.1:%d: Address already in use" % mine, done.stderr)

    def test_no_second_beside_a_living_child(self):
        """A stopped child of a killed parent cannot follow it, and still holds the lock."""
        self.launch()
        pids = self.daemon.pids()
        core = pids["core"][0]
        os.kill(core, signal.SIGSTOP)
        os.kill(self.daemon.process.pid, signal.SIGKILL)
        self.daemon.process.wait()
        harness.wait_until("the children to follow", lambda: not self.daemon.pids(), 10)
        self.daemon.process = None
        self.daemon.start()

    # -- systemd --

    def test_given_sockets(self):
        """LISTEN_FDS: HTTP on a port of systemd's, the control socket made by it."""
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = self.path("given.sock")
        unix.bind(path)
        os.chmod(path, 0o666)
        unix.listen()
        self.addCleanup(tcp.close)
        self.addCleanup(unix.close)
        given = [tcp.fileno(), unix.fileno()]

        def hand_over():
            high = [os.dup(fd) for fd in given]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
            for fd in range(5, 256):
                with contextlib.suppress(OSError):
                    os.close(fd)
            os.environ["LISTEN_PID"] = str(os.getpid())
        # the pid is known in the child only: a shell puts it in
        saved = harness.WRAP, harness.FETTLED
        self.addCleanup(lambda: (setattr(harness, "WRAP", saved[0]), setattr(harness, "FETTLED", saved[1])))
        harness.WRAP = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh"] + harness.WRAP
        self.launch(before=hand_over, LISTEN_FDS="2", LISTEN_FDNAMES="http:control")
        self.assertEqual(self.http(tcp.getsockname()[1]), 200)
        self.assertEqual(self.http(self.daemon.http_port), 200)
        self.assertFalse(os.path.exists(self.daemon.socket))
        self.daemon.socket = path
        self.daemon.rest("POST", "/api/v1/groups", {"name": "g"})
        # a front that dies loses none of those that wait: the socket is systemd's
        for name, check in (("front", lambda: self.http(tcp.getsockname()[1]) == 200),
                            ("control", self.control_answers)):
            for _ in range(3):
                before = harness.wait_until(name, lambda: self.daemon.pids().get(name))
                os.kill(before[0], signal.SIGKILL)
                self.assertTrue(check(), name)

    def test_start_loses_nobody(self):
        """A start loses nobody."""
        self.launch()
        with open(self.daemon.log) as f:
            self.assertNotIn("went away", f.read())

    def test_watchdog(self):
        saved = harness.WRAP
        self.addCleanup(setattr, harness, "WRAP", saved)
        harness.WRAP = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh"] + harness.WRAP
        period = int(1e6 * harness.PATIENCE)
        self.launch(WATCHDOG_USEC=str(period))
        for _ in range(4):
            began = time.monotonic()
            self.notify.wait("WATCHDOG=1", 2)
            self.assertLess(time.monotonic() - began, period / 1e6 / 2)
        # a child that hangs: systemd hears nothing more
        for name in ("core", "checkpointer", "front", "control", "keys"):
            pid = self.daemon.pids()[name][0]
            os.kill(pid, signal.SIGSTOP)
            time.sleep(period / 1e6 / 2)
            self.drain()
            with self.assertRaises(AssertionError):
                self.notify.wait("WATCHDOG=1", 1.2)
            os.kill(pid, signal.SIGCONT)
            self.notify.wait("WATCHDOG=1", 5)

    def drain(self):
        self.notify.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.notify.socket.recv(4096)

    # -- lost children --

    def test_lost_children(self):
        self.launch()
        _, key, _ = self.psk_device("meter")
        for name in ("front", "control", "keys", "checkpointer"):
            with self.subTest(process=name):
                before = self.daemon.pids()
                os.kill(before[name][0], signal.SIGKILL)
                harness.wait_until("another " + name, lambda: self.daemon.pids().get(name, before[name]) !=
                                   before[name], 10)
                harness.wait_until("control", self.control_answers, 10)
                harness.wait_until("HTTP", lambda: self.http(self.daemon.http_port) == 200, 10)
                harness.wait_until("CoAP", lambda: load.answers(self.daemon.coap_port), 10)
                self.assertEqual(self.coaps(key), "2.05")
                after = self.daemon.pids()
                for other in {"parent", "core", "checkpointer", "front", "control", "keys"} - {name}:
                    self.assertEqual(after[other], before[other])
        # none of it was a reason to start anew
        self.assertEqual(self.notify.heard, [])

    def coaps(self, key):
        with dtls.Session(self.daemon.coaps_port, "meter", bytes.fromhex(key), timeout=10 * harness.PATIENCE) as s:
            answer = s.handshake().get("/device/meter/update")
            return answer and coap.code(answer.code)

    def test_lost_core(self):
        self.launch()
        os.kill(self.daemon.pids()["core"][0], signal.SIGKILL)
        self.assertNotEqual(self.daemon.process.wait(5 * harness.PATIENCE), 0)
        self.assertEqual(self.daemon.pids(), {})
        self.daemon.process = None
        self.daemon.start()

    def test_import_survives(self):
        """Killed amid an import: each line is enrolled once, and the job says so."""
        self.launch()
        devices, jobs = 0, []
        for n in range(4):
            lines = "".join('{"id": "d-%d-%d", "tags": ["a", "b"], "attributes": {"n": %d}}\n' % (n, i, i)
                            for i in range(800))
            job = self.daemon.rest("POST", "/api/v1/devices/import", lines.encode(),
                                   {"Content-Type": "application/x-ndjson"})["job"]
            jobs.append(job["id"])
            devices += 800
            time.sleep(0.06 * self.random.random() * harness.PATIENCE)
            self.daemon.kill()
            self.daemon.start()

        def ended():
            return all(self.daemon.rest("GET", "/api/v1/jobs/%d" % j)["state"] != "running" for j in jobs)
        harness.wait_until("the imports' end", ended)
        for j in jobs:
            job = self.daemon.rest("GET", "/api/v1/jobs/%d" % j)
            self.assertEqual((job["state"], job["done"], job["errors"]), ("done", 800, []))
        for i in (0, 399, 799):
            self.assertEqual(self.daemon.rest("GET", "/api/v1/devices/d-3-%d" % i)["attributes"], {"n": i})
        added = sum(item["verb"] == "device.add" for item in self.audit())
        self.assertEqual(added, devices)

    def audit(self):
        """All of the log, page by page."""
        path, items = "/api/v1/audit?limit=1000", []
        while path:
            page = self.daemon.rest("GET", path)
            items += page["items"]
            path = page.get("next") and "/api/v1/audit?limit=1000&cursor=" + str(page["next"])
        return items

    # -- rights that end --

    def test_token_revoked_on_an_open_connection(self):
        self.launch()
        token = self.daemon.rest("POST", "/api/v1/tokens", {"name": "t", "role": "operator"})
        image = self.random.randbytes(48 << 20)     # more than kernels buffer
        self.daemon.rest("POST", "/api/v1/images", image)
        headers = {"Authorization": "Bearer " + token["token"]}
        ask = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port, timeout=10 * harness.PATIENCE)
        self.addCleanup(ask.close)
        ask.request("GET", "/api/v1/devices", headers=headers)
        answer = ask.getresponse()
        self.assertEqual((answer.status, answer.read() != b""), (200, True))
        # a download under way, of which only the head is read (its copy is made at the first question)
        harness.wait_until("the image to be at hand", lambda: self.with_token(
            token["token"], "/api/v1/images/%s/content" % harness.sha256(image)) == 200, 10)
        slow = socket.create_connection(("127.0.0.1", self.daemon.http_port))
        self.addCleanup(slow.close)
        slow.sendall(b"GET /api/v1/images/%s/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % (
            harness.sha256(image).encode(), token["token"].encode()))
        slow.settimeout(5 * harness.PATIENCE)
        self.assertIn(b"200", slow.recv(16))
        self.daemon.rest("POST", "/api/v1/tokens/%d/revoke" % token["id"], {})
        time.sleep(0.5)
        began, got = time.monotonic(), 0
        with contextlib.suppress(ConnectionError):
            while chunk := slow.recv(65536):
                got += len(chunk)
        self.assertLess(time.monotonic() - began, 5 * harness.PATIENCE)
        self.assertLess(got, len(image))
        # and on the connection that stayed open, or a new one, the token is nobody's
        try:
            ask.request("GET", "/api/v1/devices", headers=headers)
            self.assertEqual(ask.getresponse().status, 401)
        except (OSError, http.client.HTTPException):
            self.assertEqual(self.with_token(token["token"]), 401)

    def with_token(self, token, path="/api/v1/devices"):
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port, timeout=5 * harness.PATIENCE)
        try:
            connection.request("GET", path, headers={"Authorization": "Bearer " + token})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def test_audit_and_policy_survive(self):
        self.launch()
        self.daemon.rest("PUT", "/api/v1/policies/settings", {"contact_interval": 77})
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.daemon.rest("GET", "/api/v1/policies/settings")["contact_interval"], 77)
        self.assertTrue(self.daemon.rest("GET", "/api/v1/audit/verify")["whole"])


if __name__ == "__main__":
    harness.main()
