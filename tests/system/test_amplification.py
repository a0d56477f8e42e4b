# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""To an address that proved nothing, never more bytes than it sent."""
import socket
import time

import coap
import harness


class Amplification(harness.Case):
    options = {"trusted": ""}

    def setUp(self):
        super().setUp()
        self.image = self.random.randbytes(5000)
        self.digest = self.release(self.image, 1, publish=True, uri="coap://x/fw/lamp.bin")["manifest"]
        self.daemon.fettle("device", "add", "bulb", "--auth", "none")

    def measure(self, data, wait=0.25):
        """Bytes that come back for these bytes, everything until silence."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            s.sendto(data, ("127.0.0.1", self.daemon.coap_port))
            back, last = 0, b""
            s.settimeout(wait)
            try:
                while True:
                    last = s.recv(65536)
                    back += len(last)
            except (socket.timeout, ConnectionRefusedError):
                return back, last

    def check(self, name, data):
        back, last = self.measure(data)
        self.assertLessEqual(back, len(data), "%s: %d bytes for %d: %s -> %s" % (
            name, back, len(data), data.hex(), last.hex()))
        return last

    def requests(self):
        paths = ["/", "/.well-known/core", "/image/" + harness.sha256(self.image), "/manifest/" + self.digest,
                 "/.well-known/manifest/example.com/lamp/manifest.suit",
                 "/.well-known/firmware/example.com/lamp/manifest", "/fw/lamp.bin", "/device/bulb",
                 "/device/bulb/update", "/d/bulb/update", "/device/bulb/report", "/device/bulb/decision",
                 "/api/v1/status", "/api/v1/devices", "/healthz", "/readyz", "/metrics", "/x"]
        for path in paths:
            for method in (coap.GET, coap.POST, coap.PUT, coap.DELETE, 5, 6, 7):
                for kind in (coap.CON, coap.NON):
                    for options in ([], [(coap.BLOCK2, coap.block(0, 0, 6))], [(coap.OBSERVE, b"")]):
                        yield "%d %s %s" % (method, path, options), coap.Message.request(
                            method, path, options, type=kind, token=b"")

    def test_every_route(self):
        for name, message in self.requests():
            self.check(name, message.encode())

    def test_malformed(self):
        for name, data in (
                ("ping", bytes.fromhex("40001234")),
                ("bare get", bytes.fromhex("40011234")),
                ("non get", bytes.fromhex("50011234")),
                ("unknown method", bytes.fromhex("401f1234")),
                ("unknown critical option", coap.Message.request(coap.GET, "/", [(65001, b"")], token=b"").encode()),
                ("critical option 9", coap.Message.request(coap.GET, "/", [(9, b"")], token=b"").encode()),
                ("proxy-uri", coap.Message.request(coap.GET, "/", [(35, b"coap://a/")], token=b"").encode()),
                ("proxy-scheme", coap.Message.request(coap.GET, "/", [(39, b"coap")], token=b"").encode()),
                ("bad token length", bytes.fromhex("4f011234")),
                ("version 0", bytes.fromhex("00011234")), ("version 2", bytes.fromhex("80011234")),
                ("payload marker alone", bytes.fromhex("40011234ff")),
                ("truncated option", bytes.fromhex("40011234bd")),
                ("reserved option nibble", bytes.fromhex("40011234f0")),
                ("response code", bytes.fromhex("40451234")), ("ack", bytes.fromhex("60001234")),
                ("reset", bytes.fromhex("70001234")), ("ack with code", bytes.fromhex("60451234")),
                ("one byte", b"\x40"), ("three bytes", b"\x40\x01\x12"),
                ("long path", coap.Message.request(coap.GET, "/" + "a" * 255, token=b"").encode()),
                ("bad block", coap.Message.request(coap.GET, "/", [(coap.BLOCK2, b"\xff\xff\xff\xff")], token=b"").encode()),
        ):
            with self.subTest(name):
                self.check(name, data)
        for _ in range(400):
            data = self.random.randbytes(self.random.randrange(0, 40))
            self.check("noise", data)

    def test_no_retransmission(self):
        message = coap.Message.request(coap.GET, "/image/" + harness.sha256(self.image), token=b"")
        back, _ = self.measure(message.encode(), wait=7)
        self.assertLessEqual(back, len(message.encode()))

    def test_echo_proves(self):
        """With room for it the answer is 4.01 and an Echo; sent back, the whole block comes."""
        path = "/image/" + harness.sha256(self.image)
        with coap.Client(self.daemon.coap_port) as client:
            first = client.get(path)
            while coap.code(first.code) != "4.01":
                self.assertNotEqual(coap.code(first.code), "2.05", "a whole answer without proof")
                first = client.get(path, [(2048 + 1, b"x" * 40)])
            echo = first.option(coap.ECHO)
            self.assertIsNotNone(echo)
            answer = client.get(path, [(coap.ECHO, echo)])
            self.assertEqual(coap.code(answer.code), "2.05")
            self.assertEqual(answer.payload, self.image[:1024])
        with coap.Client(self.daemon.coap_port) as other:
            stolen = other.get(path, [(coap.ECHO, echo)])
            self.assertNotEqual(coap.code(stolen.code), "2.05", "an Echo of another address was taken")

    def test_dtls(self):
        hello = bytes.fromhex("16fefd000000000000000000360100002a000000000000002afefd") + \
            self.random.randbytes(32) + bytes.fromhex("00000002c0a80100")
        for n in (len(hello), 30, 20, 14, 13, 5, 1):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind(("127.0.0.1", 0))
                s.sendto(hello[:n], ("127.0.0.1", self.daemon.coaps_port))
                s.settimeout(1.2)
                back, end = 0, time.monotonic() + 3
                try:
                    while time.monotonic() < end:
                        back += len(s.recv(65536))
                except (socket.timeout, ConnectionRefusedError):
                    pass
                with self.subTest(bytes=n):
                    self.assertLessEqual(back, n)


if __name__ == "__main__":
    harness.main()
