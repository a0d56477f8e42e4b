# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""To an address that proved nothing, never more bytes than it sent."""
import contextlib
import selectors
import socket

import coap
import dtls
import harness


class Amplification(harness.Case):
    options = {"trusted": ""}

    def setUp(self):
        super().setUp()
        self.image = self.random.randbytes(5000)
        self.digest = self.release(self.image, 1, publish=True, uri="coap://x/fw/lamp.bin")["manifest"]
        self.daemon.fettle("device", "add", "bulb", "--auth", "none")

    def volley(self, cells, port=None, quiet=0.6):
        """Each (name, bytes) from an address of its own, all at once: {name: [answers]}.

        Everything that comes until nothing came for `quiet` seconds is counted, and no
        answer may be longer than what it answers, all answers to it together.
        """
        answers = {}
        cells = list(cells)
        while cells:
            some, cells = cells[:400], cells[400:]
            with selectors.DefaultSelector() as ready, contextlib.ExitStack() as stack:
                for name, data in some:
                    s = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    s.bind(("127.0.0.1", 0))
                    s.setblocking(False)
                    ready.register(s, selectors.EVENT_READ, (name, data, answers.setdefault(name, [])))
                    s.sendto(data, ("127.0.0.1", port or self.daemon.coap_port))
                while True:
                    events = ready.select(quiet * harness.PATIENCE)
                    if not events:
                        break
                    for key, _ in events:
                        name, data, got = key.data
                        got.append(key.fileobj.recv(65536))
                        self.assertLessEqual(sum(map(len, got)), len(data), "%s: %s -> %s" % (
                            name, data.hex(), [g.hex() for g in got]))
        return answers

    def requests(self):
        paths = ["/", "/.well-known/core", "/image/" + harness.sha256(self.image), "/manifest/" + self.digest,
                 "/.well-known/manifest/example.com/lamp/manifest.suit",
                 "/.wellknown/firmware/example.com/lamp/manifest", "/fw/lamp.bin", "/device/bulb",
                 "/device/bulb/update", "/d/bulb/update", "/device/bulb/report", "/device/bulb/decision",
                 "/api/v1/status", "/api/v1/devices", "/healthz", "/readyz", "/metrics", "/x"]
        extras = {"": [], "block": [(coap.BLOCK2, coap.block(0, 0, 6))], "observe": [(coap.OBSERVE, b"")],
                  "room": [(coap.PADDING, b"x" * 40)], "false echo": [(coap.ECHO, b"x" * 8)]}
        for path in paths:
            for method in (coap.GET, coap.POST, coap.PUT, coap.DELETE, 5, 6, 7):
                for kind in (coap.CON, coap.NON):
                    for extra, options in extras.items():
                        token = self.random.randbytes(8) if extra == "room" else b""
                        yield "%d %d %s %s" % (kind, method, path, extra), coap.Message.request(
                            method, path, options, type=kind, token=token).encode()

    def test_every_route(self):
        cells = dict(self.requests())
        for name, got in self.volley(cells.items()).items():
            self.assertEqual(len(got), 1, name)    # else the bound would hold for want of answers
            answer = coap.Message.decode(got[0])
            self.assertEqual(coap.code(answer.code), "4.01", name)
            if "room" in name:
                self.assertIsNotNone(answer.option(coap.ECHO), name)

    def malformed(self):
        def get(path="/", options=()):
            return coap.Message.request(coap.GET, path, options, token=b"").encode()
        yield from (
            ("ping", bytes.fromhex("40001234")),
            ("bare get", bytes.fromhex("40011234")),
            ("non get", bytes.fromhex("50011234")),
            ("unknown method", bytes.fromhex("401f1234")),
            ("unknown critical option", get("/", [(65001, b"")])),
            ("critical option 9", get("/", [(9, b"")])),
            ("proxy-uri", get("/", [(35, b"coap://a/")])),
            ("proxy-scheme", get("/", [(39, b"coap")])),
            ("bad token length", bytes.fromhex("4f011234")),
            ("version 0", bytes.fromhex("00011234")), ("version 2", bytes.fromhex("80011234")),
            ("payload marker alone", bytes.fromhex("40011234ff")),
            ("truncated option", bytes.fromhex("40011234bd")),
            ("reserved option nibble", bytes.fromhex("40011234f0")),
            ("response code", bytes.fromhex("40451234")), ("ack", bytes.fromhex("60001234")),
            ("reset", bytes.fromhex("70001234")), ("ack with code", bytes.fromhex("60451234")),
            ("reserved class", bytes.fromhex("40211234")), ("signal", bytes.fromhex("40e11234")),
            ("no bytes", b""), ("one byte", b"\x40"), ("three bytes", b"\x40\x01\x12"),
            ("long path", get("/" + "a" * 255)), ("path of dots", get("/../..")),
            ("long query", get("/x", [(coap.URI_QUERY, b"q" * 255)] * 3)),
            ("bad block", get("/", [(coap.BLOCK2, b"\xff\xff\xff\xff")])),
            ("reserved size", get("/", [(coap.BLOCK2, coap.block(0, 0, 7))])),
            ("two observes", get("/x", [(coap.OBSERVE, b"")] * 2)),
            ("long etag", get("/x", [(coap.ETAG, b"e" * 9)])))
        for n in range(800):
            data = bytearray(self.random.randbytes(self.random.randrange(0, 60)))
            if n % 2 and data:
                data[0] = 0x40 | data[0] & 0x3F    # past the check of the version
            yield "noise %d" % n, bytes(data)

    def test_malformed(self):
        got = self.volley(self.malformed())
        self.assertEqual([a[0].hex() for a in (got["ping"],)], ["70001234"])
        for silent in ("version 0", "bad token length", "payload marker alone", "ack", "reset", "response code"):
            self.assertEqual(got[silent], [], silent)

    def test_no_retransmission(self):
        """What is not acknowledged is not sent again to an address that proved nothing."""
        cells = {"image": coap.Message.request(coap.GET, "/image/" + harness.sha256(self.image)).encode(),
                 "core": coap.Message.request(coap.GET, "/.well-known/core").encode(),
                 "observe": coap.Message.request(coap.GET, "/device/bulb/update", [(coap.OBSERVE, b"")]).encode(),
                 "report": coap.Message.request(coap.POST, "/device/bulb/report", payload=b"\xa0").encode()}
        for name, got in self.volley(cells.items(), quiet=7).items():
            self.assertEqual(len(got), 1, name)

    def test_echo_proves(self):
        """With room for it the answer is 4.01 and an Echo; sent back, the whole block comes."""
        path = "/image/" + harness.sha256(self.image)
        with coap.Client(self.daemon.coap_port) as client:
            first = client.get(path)
            while coap.code(first.code) != "4.01":
                self.assertNotEqual(coap.code(first.code), "2.05", "a whole answer without proof")
                first = client.get(path, [(coap.PADDING, b"x" * 40)])
            echo = first.option(coap.ECHO)
            self.assertIsNotNone(echo)
            answer = client.get(path, [(coap.ECHO, echo)])
            self.assertEqual(coap.code(answer.code), "2.05")
            self.assertEqual(answer.payload, self.image[:1024])
        with coap.Client(self.daemon.coap_port) as other:
            stolen = other.get(path, [(coap.ECHO, echo)])
            self.assertNotEqual(coap.code(stolen.code), "2.05", "an Echo of another address was taken")

    def test_dtls(self):
        """First flights, whole, cut anywhere, or with a cookie nobody gave: no more than came."""
        cells = {}
        for suites, cookie in ((1, b""), (1, b"c" * 20), (40, b""), (40, b"c" * 20)):
            hello = dtls.client_hello(self.random.randbytes(32), suites, cookie)
            for n in sorted({len(hello)} | set(range(1, len(hello), 3))):
                cells["%d suites, cookie of %d, %d bytes" % (suites, len(cookie), n)] = hello[:n]
        # Longer than the first retransmission of a server that keeps state would take.
        answers = self.volley(cells.items(), self.daemon.coaps_port, quiet=2.5)
        whole = [got for name, got in answers.items() if got]
        self.assertGreater(len(whole), 0, "no first flight was answered")
        for got in whole:
            self.assertEqual(len(got), 1)
            self.assertEqual(got[0][13], 3, "not a HelloVerifyRequest: " + got[0].hex())


if __name__ == "__main__":
    harness.main()
