# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Strangers who mean harm: the others are served, memory stays within its ceiling."""
import contextlib
import http.client
import os
import socket
import ssl
import time

import coap
import dtls
import harness

# What front may hold in memory under all of this, its mapped images apart, MiB.
FRONT_CEILING_MIB = 160
# And beside that for DTLS: sessions held open (the default), KiB for each.
DTLS_SESSIONS, DTLS_SESSION_KIB = 5000, 48
SANITIZED = os.path.exists(os.path.join(harness.BUILD, "config.h")) and "FETTLE_UNHARDENED 1" in open(
    os.path.join(harness.BUILD, "config.h")).read()


def private_mib(pid):
    """Anonymous memory of a process, MiB."""
    total = 0
    with open("/proc/%d/smaps_rollup" % pid) as f:
        for line in f:
            if line.startswith("Anonymous:"):
                total += int(line.split()[1])
    return total / 1024


def udp_queue(port):
    """(bytes waiting, datagrams lost for want of room) of the socket at 127.0.0.1:port."""
    for _ in range(50):    # the table is read in pieces: a line may slip between two of them
        with open("/proc/net/udp") as f:
            for line in f.readlines()[1:]:
                words = line.split()
                if words[1] == "0100007F:%04X" % port:
                    return int(words[4].split(":")[1], 16), int(words[12])
    raise AssertionError("nobody listens at UDP port %d" % port)


class Hostile(harness.Case):
    slow = SANITIZED or harness.WRAP

    def setUp(self):
        super().setUp()
        self.image = self.random.randbytes(40000)
        self.release(self.image, 1, publish=True)
        self.path_ = "/image/" + harness.sha256(self.image)
        self.front = self.daemon.pids()["front"]

    def let_it_read(self, port):
        """Wait for the socket's queue to be short: what is sent shall be received."""
        harness.wait_until("the daemon to read its socket", lambda: udp_queue(port)[0] < 40000)

    def check_alive(self):
        """An ordinary client of each kind is served, by the front that was there before."""
        with coap.Client(self.daemon.coap_port) as client:
            self.assertEqual(client.fetch(self.path_), self.image)
        with socket.create_connection(("127.0.0.1", self.daemon.http_port), timeout=10) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200"))
        self.daemon.rest("GET", "/api/v1/status")
        self.assertEqual(self.daemon.pids()["front"], self.front, "the front was replaced:\n" + self.daemon.tail())

    def check_memory(self):
        if not self.slow:
            self.assertLess(private_mib(self.front[0]), FRONT_CEILING_MIB)

    def test_two_datagrams(self):
        """Block1 without payload, twice: the library's own reassembly would crash on it."""
        for method in (coap.POST, coap.PUT):
            for path in ("/.well-known/core", "/device/a/report", "/"):
                with coap.Client(self.daemon.coap_port) as client:
                    for more in (1, 0):
                        client.send(coap.Message.request(method, path, [(coap.BLOCK1, coap.block(0, more, 6))]))
        self.check_alive()

    def flood(self, between):
        """100,000 source addresses with one datagram each, something else in between."""
        count, port = 5000 if self.slow else 100000, self.daemon.coap_port
        data = coap.Message.request(coap.GET, self.path_, [(coap.BLOCK2, coap.block(0, 0, 2))],
                                    type=coap.NON, token=b"").encode()
        lost = udp_queue(port)[1]
        for i in range(count):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind(("127.%d.%d.%d" % (1 + i // 62500, i // 250 % 250, 1 + i % 250), 0))
                s.sendto(data, ("127.0.0.1", port))
            if i % 128 == 0:
                self.let_it_read(port)
            if i % (count // 4) == count // 8:
                between()
        self.assertEqual(udp_queue(port)[1], lost, "datagrams that never reached the daemon")
        self.check_memory()

    def test_flood_of_addresses(self):
        """Each of them trusted, so that each is a peer with a session."""
        def fetch():
            with coap.Client(self.daemon.coap_port) as client:
                self.assertEqual(client.fetch(self.path_), self.image)
        self.flood(fetch)
        self.check_alive()

    def mutate(self, data):
        out = bytearray(data)
        for _ in range(self.random.randrange(1, 5)):
            kind = self.random.randrange(4)
            at = self.random.randrange(len(out)) if out else 0
            if kind == 0 and out:
                out[at] = self.random.randrange(256)
            elif kind == 1 and out:
                out[at] ^= 1 << self.random.randrange(8)
            elif kind == 2:
                del out[at:at + self.random.randrange(8)]
            else:
                out[at:at] = self.random.randbytes(self.random.randrange(1, 8))
        return bytes(out)

    def mutated(self, seeds, count):
        """`count` datagrams, no two of them mutated alike on purpose."""
        pool = [self.mutate(self.random.choice(seeds)) for _ in range(min(count, 50000))]
        draw = self.random.random
        for _ in range(count):
            data = pool[int(draw() * len(pool))]
            at = int(draw() * (len(data) + 1))
            yield data[:at] + bytes((int(draw() * 256),)) + data[at + int(draw() * 2):]

    def ping(self, client):
        """CoAP's own: the answer says that everything sent before was read."""
        message = coap.Message(coap.CON, 0, None, b"")
        client.send(message)
        answer = client.receive(10 * harness.PATIENCE)
        self.assertEqual((answer.type, answer.mid), (coap.RST, message.mid))

    def barrage(self, port, datagrams, count, alive, settle):
        """Send them all from 32 addresses; the daemon must have read `count` of them."""
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(32)]
        lost, sent = udp_queue(port)[1], 0
        try:
            for s in sockets:
                s.connect(("127.0.0.1", port))
                s.setblocking(False)
            for data in datagrams:
                s = sockets[sent & 31]
                try:
                    s.send(data)
                    if sent & 7 == 0:
                        s.recv(65536)
                except (BlockingIOError, ConnectionRefusedError):
                    pass
                sent += 1
                if sent & 127 == 0:
                    settle()
                if sent % (count // 10) == 0:
                    alive()
        finally:
            for s in sockets:
                s.close()
        self.let_it_read(port)
        self.assertEqual((sent, udp_queue(port)[1] - lost), (count, 0))

    def test_mutated_datagrams(self):
        count = 20000 if self.slow else 1000000
        seeds = [coap.Message.request(m, p, o, b).encode() for m, p, o, b in (
            (coap.GET, self.path_, [(coap.BLOCK2, coap.block(3, 0, 6))], b""),
            (coap.GET, "/.well-known/core", [(coap.URI_QUERY, b"rt=x")], b""),
            (coap.PUT, "/device/lamp", [(coap.CONTENT_FORMAT, b"\x3c")], b"\xa2\x01\x05\x02\x01"),
            (coap.POST, "/device/lamp/report", [(coap.BLOCK1, coap.block(0, 1, 2))], b"x" * 64),
            (coap.GET, "/device/lamp/update", [(coap.OBSERVE, b"")], b""),
            (coap.DELETE, "/a/b/c", [(coap.ETAG, b"12345678"), (coap.ECHO, b"0" * 16)], b""))]

        def alive():
            with coap.Client(self.daemon.coap_port) as client:
                self.assertEqual(coap.code(client.get("/.well-known/core").code), "2.05")
        with coap.Client(self.daemon.coap_port) as client:
            self.barrage(self.daemon.coap_port, self.mutated(seeds, count), count, alive,
                         lambda: self.ping(client))
        self.check_alive()
        self.check_memory()

    def dtls_device(self):
        name, key, _ = self.psk_device("meter")

        def alive():
            with dtls.Session(self.daemon.coaps_port, name, bytes.fromhex(key), timeout=8 * harness.PATIENCE) as s:
                self.assertEqual(coap.code(s.handshake().get("/.well-known/core").code), "2.05")
        return alive

    def test_mutated_dtls_datagrams(self):
        """First flights, and records of every type and epoch that belong to no session."""
        count, alive = 4000 if self.slow else 100000, self.dtls_device()
        hello = dtls.client_hello(self.random.randbytes(32), 3)
        seeds = [hello, dtls.client_hello(self.random.randbytes(32), 1, b"c" * 20), hello[:13], hello * 2]
        seeds += [bytes([kind]) + hello[1:3] + epoch + hello[5:13] + self.random.randbytes(40)
                  for kind in range(19, 26) for epoch in (b"\0\0", b"\0\1", b"\xff\xff")]
        self.barrage(self.daemon.coaps_port, self.mutated(seeds, count), count, alive,
                     lambda: self.let_it_read(self.daemon.coaps_port))
        self.check_alive()
        self.check_memory()

    def test_half_open_dtls(self):
        """First flights of strangers, with no cookie and with a false one: nothing is kept of them."""
        count, alive = 300 if self.slow else 5000, self.dtls_device()
        before = private_mib(self.front[0])
        for i in range(count):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind(("127.9.%d.%d" % (i // 200, 1 + i % 200), 0))
                hello = dtls.client_hello(self.random.randbytes(32), 1, (b"", b"c" * 8, b"c" * 20)[i % 3])
                s.sendto(hello, ("127.0.0.1", self.daemon.coaps_port))
            if i % 64 == 0:
                self.let_it_read(self.daemon.coaps_port)
            if i % (count // 5) == 0:
                alive()
        alive()
        self.check_alive()
        if not self.slow:
            self.assertLess(private_mib(self.front[0]) - before, 2)

    def test_unfinished_dtls_handshakes(self):
        """Addresses that are real, and ask for the second flight of the handshake and no more."""
        count, alive = 200 if self.slow else 1500, self.dtls_device()

        def second(s, random, cookie):
            s.send(dtls.client_hello(random, 1, cookie, number=1))
            with contextlib.suppress(socket.timeout):
                return s.recv(1000)

        for i in range(count):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind(("127.9.%d.%d" % (i // 200, 1 + i % 200), 0))
                s.settimeout(5 * harness.PATIENCE)
                s.connect(("127.0.0.1", self.daemon.coaps_port))
                random = self.random.randbytes(32)
                s.send(dtls.client_hello(random))
                verify = s.recv(1000)
                self.assertEqual(verify[13], 3, "no HelloVerifyRequest")
                cookie = verify[28:28 + verify[27]]
                s.settimeout(1)
                # the oldest give way, but not before they had the time to answer
                answered = harness.wait_until("ServerHello", lambda: second(s, random, cookie), 10)
                self.assertEqual(answered[13], 2, "no ServerHello")
        alive()
        self.check_alive()
        self.check_memory()

    def test_open_dtls_sessions(self):
        """As many as are held open, and more: each within its share, and the others' memory is used again."""
        count, more, alive = (100, 0, self.dtls_device()) if self.slow else (DTLS_SESSIONS, 1000, self.dtls_device())
        _, key, _ = self.psk_device("crowd")
        before = private_mib(self.front[0])

        def fill(first, n):
            for i in range(first, first + n):
                source = "127.%d.%d.%d" % (10 + i // 40000, i // 200 % 200, 1 + i % 200)
                with dtls.Session(self.daemon.coaps_port, "crowd", bytes.fromhex(key), source=(source, 0),
                                  timeout=10 * harness.PATIENCE) as s:
                    s.handshake()
                    if i % 10 == 0:    # a peer that has asked holds more than one that has not
                        self.assertEqual(coap.code(s.get("/device/crowd/update").code), "2.05")
        fill(0, count)
        held = private_mib(self.front[0])
        alive()
        fill(count, more)
        after = private_mib(self.front[0])
        print("front: %.1f MiB, with %d DTLS sessions %.1f MiB, after %d others %.1f MiB" % (
            before, count, held, more, after))
        if not self.slow:
            self.assertLess((held - before) * 1024 / count, DTLS_SESSION_KIB)
            self.assertLess(after, FRONT_CEILING_MIB + DTLS_SESSIONS * DTLS_SESSION_KIB / 1024)
            self.assertLess(after - held, 8)
        self.check_alive()

    def hold(self, count, port, words):
        """Connections from as many addresses, each with some first words, none of them whole."""
        sockets = []
        for i in range(count):
            s = socket.socket()
            s.settimeout(0.2)
            self.addCleanup(s.close)
            s.bind(("127.0.%d.%d" % (1 + i // 200, 1 + i % 200), 0))
            try:
                s.connect(("127.0.0.1", port))
                s.send(words[i % len(words)])
            except OSError:
                pass    # the queue is full, or room was needed: what a crowd is in for
            sockets.append(s)
        return sockets

    def check_served_beside(self, sockets, seconds):
        end, rounds = time.monotonic() + seconds * harness.PATIENCE, 0
        while time.monotonic() < end or rounds < 3:
            for s in sockets[::3]:
                try:
                    s.send(b"x")
                except OSError:
                    pass
            began = time.monotonic()
            self.check_alive()
            self.assertLess(time.monotonic() - began, 3 * harness.PATIENCE, "served, but late")
            time.sleep(0.2)
            rounds += 1
        self.check_memory()

    def queued(self, port):
        """Bytes the kernel holds for each connection of a local TCP port, sent or not."""
        with open("/proc/net/tcp") as f:
            rows = [line.split() for line in f][1:]
        return [int(r[4].split(":")[0], 16) for r in rows
                if r[1].endswith(":%04X" % port) and r[3] == "01"]

    def test_askers_that_do_not_read(self):
        """An image for each of many who take nothing: the kernel must not keep it for them."""
        image = self.random.randbytes(4 << 20)
        self.release(image, 7, publish=True, version="7.0")
        request = ("GET /image/%s HTTP/1.1\r\nHost: x\r\n\r\n" % harness.sha256(image)).encode()
        sockets = self.hold(20, self.daemon.http_port, (request,))
        time.sleep(0.5)
        self.assertEqual(len(sockets), 20)
        queued = self.queued(self.daemon.http_port)
        self.assertGreater(len(queued), 10)
        # what is open to send (their windows) comes on top of what waits
        for n in queued:
            self.assertLess(n, 3 << 19)
        self.check_alive()

    def test_half_open_and_slow_posts(self):
        post = b"POST /device/a/report HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\nab"
        count = 200 if self.slow else 2000
        self.check_served_beside(self.hold(count, self.daemon.http_port, (post, b"GET /heal", b"")), 5)

    def test_slow_posts(self):
        post = b"POST /device/a/report HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\nab"
        count = 200 if self.slow else 2000
        self.check_served_beside(self.hold(count, self.daemon.http_port, (post,)), 3)

    def test_half_open_tls(self):
        count = 200 if self.slow else 2000
        sockets = self.hold(count, self.daemon.https_port, (b"", b"\x16\x03\x01\x02\x00\x01", b"\x16"))
        self.check_served_beside(sockets, 3)
        status = self.https("/healthz")
        self.assertEqual(status, 200)

    def https(self, path):
        context = ssl.create_default_context(cafile=self.daemon.certificate)
        connection = http.client.HTTPSConnection("localhost", self.daemon.https_port, timeout=10, context=context)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def test_two_lengths_do_not_disturb(self):
        """Refused framing, again and again: each costs its own connection and nobody else's."""
        for headers in (b"Content-Length: 5\r\nContent-Length: 6\r\n",
                        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"):
            for _ in range(20 if self.slow else 300):
                with socket.create_connection(("127.0.0.1", self.daemon.http_port), timeout=5) as s:
                    s.sendall(b"POST /device/a/report HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n0\r\n\r\nx")
                    self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 400"))
        self.check_alive()


class Untrusted(Hostile):
    """The same flood where an address proves itself first."""
    options = {"trusted": ""}

    def check_alive(self):
        with coap.Client(self.daemon.coap_port) as client:
            first = client.get(self.path_)
            self.assertEqual(coap.code(first.code), "4.01")
            answer = client.get(self.path_, [(coap.ECHO, first.option(coap.ECHO))])
            self.assertEqual(answer.payload, self.image[:1024])
        self.assertEqual(self.daemon.pids()["front"], self.front)

    def test_flood_of_addresses(self):
        before = private_mib(self.front[0])
        self.flood(self.check_alive)
        self.check_alive()
        if not self.slow:
            # No memory of strangers.
            self.assertLess(private_mib(self.front[0]) - before, 4)


def load_tests(loader, _tests, _pattern):
    """Of the second class only what differs."""
    suite = loader.loadTestsFromTestCase(Hostile)
    suite.addTest(Untrusted("test_flood_of_addresses"))
    return suite


if __name__ == "__main__":
    harness.main()
