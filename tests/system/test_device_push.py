# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""fettle-device in server mode: it is called, over its own session and at its endpoint."""
import os
import socket
import subprocess
import threading

import cbor
import coap
import dtls
import harness
from coap import ACK, CON, GET, POST, PUT, Message, block

BLOCK1 = 27
CHANGED, CONTENT, CONTINUE = 0x44, 0x45, 0x5f


class Caller:
    """A server on loopback that answers what a device asks, and calls it over the same session."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(10 * harness.PATIENCE)
        self.port = self.socket.getsockname()[1]
        self.device = None
        self.said = []
        self.registration = {}
        self.diag = None
        self.answers = {}
        self.got = threading.Condition()
        self.mid = 1
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                data, address = self.socket.recvfrom(2048)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            message = Message.decode(data)
            with self.got:
                self.device = address
                if message.code == 0:
                    continue
                if message.code >> 5:
                    self.answers[message.token] = message
                else:
                    self.answer(message, address)
                self.got.notify_all()

    def answer(self, request, address):
        path = "/".join(v.decode() for n, v in request.options if n == coap.URI_PATH)
        if request.code == PUT:
            self.registration = cbor.named(request.payload)
            self.said.append("register")
        elif path.endswith("/report"):
            self.said.append(cbor.named(request.payload)["state"])
        elif path.endswith("/diag"):
            self.diag = request.payload.decode()
        code = CONTENT if request.code == GET else CHANGED
        self.socket.sendto(Message(type=ACK, code=code, mid=request.mid, token=request.token,
                                   options=[(12, coap.uint(60))],
                                   payload=cbor.message(now=1, ask_again=300)).encode(), address)

    def call(self, method, path, options=(), payload=b""):
        self.mid += 1
        m = Message.request(method, path, options, payload, mid=self.mid, token=os.urandom(8))
        with self.got:
            for _ in range(5):
                self.socket.sendto(m.encode(), self.device)
                if self.got.wait_for(lambda: m.token in self.answers, 2 * harness.PATIENCE):
                    return self.answers.pop(m.token)
        raise AssertionError("the device does not answer %s" % path)

    def put(self, path, data, first=0):
        """By Block1 from block number first; the last answer's code."""
        for num in range(first, (len(data) + 1023) // 1024):
            more = (num + 1) * 1024 < len(data)
            options = [(15, b"update=3"), (BLOCK1, block(num, more, 6))]
            answer = self.call(PUT, path, options, data[num * 1024:(num + 1) * 1024])
            if answer.code != (CONTINUE if more else CHANGED):
                break
        return answer.code

    def wait_said(self, word):
        with self.got:
            assert self.got.wait_for(lambda: word in self.said, 20 * harness.PATIENCE), self.said

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


class Push(harness.Case):
    start = False

    def setUp(self):
        super().setUp()
        self.key = self.path("author.pem")
        subprocess.run([harness.FETTLE, "key", "generate", "-o", self.key], check=True, capture_output=True)
        public = subprocess.run([harness.FETTLE, "key", "public", self.key], check=True,
                                capture_output=True).stdout
        self.anchor = self.write("anchor.pem", public)
        self.image = self.random.randbytes(5000)
        with open(self.manifest(self.image, 2, self.key, version="2.0"), "rb") as f:
            self.suit = f.read()

    def device(self, server, *more):
        process = subprocess.Popen(
            [harness.DEVICE, "--server", server, "--id", "lamp", "--state", self.path("state"),
             "--anchor", self.anchor, "--vendor", "example.com", "--class", "lamp", "--until-done",
             "--timeout", str(int(60 * harness.PATIENCE)), "--mode", "server", *more],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def caller(self):
        caller = Caller()
        self.addCleanup(caller.close)
        return caller, "coap://127.0.0.1:%d" % caller.port

    def held(self, caller):
        answer = caller.call(GET, "/fettle/image/0", [(15, b"update=3")])
        return answer.code, cbor.named(answer.payload).get("offset")

    def test_whole_update_over_its_session(self):
        caller, server = self.caller()
        process = self.device(server, "--service", "busy", "--service-for", "1h", "--battery", "40",
                              "--parent", "gateway", "--attribute", "hw=3", "--attribute", "site=north",
                              "--window", "Sat,Sun 01:00-05:00 Europe/Berlin")
        caller.wait_said("register")
        said = caller.registration
        self.assertEqual(said["mode"], "server")
        self.assertEqual(said["capabilities"], ["push", "diag"])
        self.assertEqual(said["parent"], "gateway")
        self.assertEqual(said["windows"], ["Sat,Sun 01:00-05:00 Europe/Berlin"])
        self.assertEqual(said["status"]["battery"], 40)
        status = cbor.named(caller.call(GET, "/fettle/status").payload)
        self.assertEqual(status["status"]["service"], "busy")
        notice = caller.call(POST, "/fettle/offer", payload=cbor.message(now=1, look=False, outage=60, outage_in=5))
        self.assertEqual(cbor.named(notice.payload), {"acknowledged": True})
        self.assertEqual(caller.call(POST, "/fettle/diag").code, CHANGED)
        harness.wait_until("diagnostics", lambda: caller.diag)
        self.assertIn("device lamp", caller.diag)
        self.assertEqual(self.held(caller)[0], 0x89)
        self.assertEqual(caller.put("/fettle/manifest", self.suit), CHANGED)
        self.assertEqual(caller.put("/fettle/image/0", self.image), CHANGED)
        self.assertEqual(self.held(caller), (CONTENT, len(self.image)))
        self.assertEqual(caller.call(POST, "/fettle/apply", payload=cbor.message(now=1, update=3)).code, CHANGED)
        output, _ = process.communicate(timeout=30 * harness.PATIENCE)
        self.assertEqual(process.returncode, 0, output)

    def test_resumed_in_another_life(self):
        caller, server = self.caller()
        process = self.device(server)
        caller.wait_said("register")
        caller.put("/fettle/manifest", self.suit)
        for num in range(2):
            caller.call(PUT, "/fettle/image/0", [(15, b"update=3"), (BLOCK1, block(num, 1, 6))],
                        self.image[num * 1024:(num + 1) * 1024])
        process.kill()
        process.communicate()
        caller.said.clear()
        process = self.device(server)
        caller.wait_said("register")
        self.assertEqual(self.held(caller)[0], 0x89)
        self.assertEqual(caller.put("/fettle/manifest", self.suit), CHANGED)
        self.assertEqual(self.held(caller), (CONTENT, 2048))
        self.assertEqual(caller.put("/fettle/image/0", self.image, first=2), CHANGED)
        self.assertEqual(caller.call(POST, "/fettle/apply", payload=cbor.message(now=1, update=3)).code, CHANGED)
        output, _ = process.communicate(timeout=30 * harness.PATIENCE)
        self.assertEqual(process.returncode, 0, output)
        self.assertEqual(caller.said, ["register", "installing", "rebooting", "register", "succeeded"])
        with open(self.path("state/firmware-firmware.bin"), "rb") as f:
            self.assertEqual(f.read(), self.image)

    def test_stranger_is_refused(self):
        caller, server = self.caller()
        process = self.device(server)
        caller.wait_said("register")
        stranger = self.path("stranger.pem")
        subprocess.run([harness.FETTLE, "key", "generate", "-o", stranger], check=True, capture_output=True)
        with open(self.manifest(self.image, 3, stranger), "rb") as f:
            self.assertEqual(caller.put("/fettle/manifest", f.read()), 0x96)
        output, _ = process.communicate(timeout=30 * harness.PATIENCE)
        self.assertEqual(process.returncode, 1)
        self.assertIn("signature", output)
        self.assertEqual(caller.said, ["register", "failed"])

    def test_plain_endpoint_serves_the_server_alone(self):
        caller, server = self.caller()
        port = harness.free_port(socket.SOCK_DGRAM)
        self.device(server, "--endpoint", str(port))
        caller.wait_said("register")
        self.assertEqual(caller.registration["endpoint_port"], port)
        with coap.Client(port) as client:
            self.assertEqual(client.get("/fettle/status").code, CONTENT)
        with coap.Client(port, source="127.0.0.9") as client:
            self.assertEqual(client.get("/fettle/status").code, 0x83)

    def test_dtls_endpoint_wants_the_key(self):
        port, key = harness.free_port(socket.SOCK_DGRAM), self.random.randbytes(16)
        self.device("coaps://127.0.0.1:%d" % harness.free_port(socket.SOCK_DGRAM), "--endpoint", str(port),
                    "--psk-file", self.write("psk", key.hex().encode()))

        def status():
            try:
                with dtls.Session(port, "lamp", key) as session:
                    session.handshake()
                    return session.get("/fettle/status")
            except (OSError, dtls.Refused):
                return None

        answer = harness.wait_until("the endpoint", status, 20)
        self.assertEqual(answer.code, CONTENT)
        self.assertIn("boot", cbor.named(answer.payload))
        for identity, secret in (("lamp", bytes(16)), ("other", key)):
            with self.assertRaises((dtls.Refused, OSError)), \
                    dtls.Session(port, identity, secret, timeout=2.0) as session:
                session.handshake()


if __name__ == "__main__":
    harness.main()
