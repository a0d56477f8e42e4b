# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Strangers who mean harm: the others are served, memory stays within its ceiling."""
import os
import socket
import struct
import threading
import time

import coap
import harness

# What front may hold in memory (resident, its mapped images apart), MiB: the bound of the man page.
FRONT_CEILING_MIB = 160
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


class Hostile(harness.Case):
    def setUp(self):
        super().setUp()
        self.image = self.random.randbytes(40000)
        self.release(self.image, 1, publish=True)
        self.path_ = "/image/" + harness.sha256(self.image)
        self.front = self.daemon.pids()["front"]

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
        if not SANITIZED and not harness.WRAP:
            self.assertLess(private_mib(self.front[0]), FRONT_CEILING_MIB)

    def test_two_datagrams(self):
        """Block1 without payload, twice: the library's own reassembly would crash on it."""
        for method in (coap.POST, coap.PUT):
            for path in ("/.well-known/core", "/device/a/report", "/"):
                with coap.Client(self.daemon.coap_port) as client:
                    for more in (1, 0):
                        client.send(coap.Message.request(method, path, [(coap.BLOCK1, coap.block(0, more, 6))]))
        self.check_alive()

    def test_flood_of_addresses(self):
        """100,000 source addresses with one datagram each, ordinary clients in between."""
        count = 100000 if not SANITIZED and not harness.WRAP else 5000
        message = coap.Message.request(coap.GET, self.path_, [(coap.BLOCK2, coap.block(0, 0, 2))],
                                       type=coap.NON, token=b"")
        data = message.encode()
        sockets, per_socket = [], 64
        sent = 0
        for i in range(count):
            # A new port each time: every (address, port) is a stranger.
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("127.%d.%d.%d" % (1 + i % 200, i // 200 % 250, 1 + i // 50000), 0))
            s.sendto(data, ("127.0.0.1", self.daemon.coap_port))
            sockets.append(s)
            sent += 1
            if len(sockets) > per_socket:
                sockets.pop(0).close()
            if i % (count // 4) == count // 8:
                with coap.Client(self.daemon.coap_port) as client:
                    self.assertEqual(client.fetch(self.path_), self.image)
        for s in sockets:
            s.close()
        self.assertEqual(sent, count)
        self.check_alive()
        self.check_memory()

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

    def test_mutated_datagrams(self):
        count = int(os.environ.get("FETTLE_MUTATED", "1000000" if os.environ.get("FETTLE_LONG") == "yes" else "200000"))
        if SANITIZED or harness.WRAP:
            count = 20000
        seeds = [coap.Message.request(m, p, o, b).encode() for m, p, o, b in (
            (coap.GET, self.path_, [(coap.BLOCK2, coap.block(3, 0, 6))], b""),
            (coap.GET, "/.well-known/core", [(coap.URI_QUERY, b"rt=x")], b""),
            (coap.PUT, "/device/lamp", [(coap.CONTENT_FORMAT, b"\x3c")], b"\xa2\x01\x05\x02\x01"),
            (coap.POST, "/device/lamp/report", [(coap.BLOCK1, coap.block(0, 1, 2))], b"x" * 64),
            (coap.GET, "/device/lamp/update", [(coap.OBSERVE, b"")], b""),
            (coap.DELETE, "/a/b/c", [(coap.ETAG, b"12345678"), (coap.ECHO, b"0" * 16)], b""))]
        sockets = []
        for _ in range(32):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.connect(("127.0.0.1", self.daemon.coap_port))
            s.setblocking(False)
            sockets.append(s)
        pool = [self.mutate(self.random.choice(seeds)) for _ in range(min(count, 50000))]
        for i in range(count):
            s = sockets[i % 32]
            data = pool[i % len(pool)]
            if i >= len(pool):
                data = data[:4] + self.random.randbytes(1) + data[5:]
            try:
                s.send(data)
            except (BlockingIOError, ConnectionRefusedError):
                pass
            if i % 16 == 0:
                try:
                    s.recv(65536)
                except (BlockingIOError, ConnectionRefusedError):
                    pass
            if i % (count // 10) == 0:
                time.sleep(0.05)
                with coap.Client(self.daemon.coap_port) as client:
                    self.assertEqual(client.get("/.well-known/core").code >> 5, 2)
        for s in sockets:
            s.close()
        self.check_alive()
        self.check_memory()

    def test_mutated_dtls_datagrams(self):
        hello = bytes.fromhex(
            "16fefd0000000000000000004c010000400000000000000040fefd") + self.random.randbytes(32) + bytes.fromhex(
                "00000004c0a800ff01000012000a00080006001d00170018000b00020100")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("127.0.0.1", self.daemon.coaps_port))
            s.setblocking(False)
            for i in range(20000 if not SANITIZED else 4000):
                try:
                    s.send(self.mutate(hello))
                    s.recv(4096)
                except (BlockingIOError, ConnectionRefusedError):
                    pass
        self.check_alive()
        self.check_memory()

    def test_slow_posts_and_half_open(self):
        count = 2000 if not SANITIZED and not harness.WRAP else 200
        sockets = []
        try:
            for i in range(count):
                s = socket.socket()
                s.settimeout(5)
                s.bind(("127.0.%d.%d" % (1 + i // 200, 1 + i % 200), 0))
                try:
                    s.connect(("127.0.0.1", self.daemon.http_port))
                    if i % 3 == 0:
                        s.send(b"POST /device/a/report HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\nab")
                    elif i % 3 == 1:
                        s.send(b"GET /heal")
                except (OSError, socket.timeout):
                    pass
                sockets.append(s)
            end = time.monotonic() + 5
            while time.monotonic() < end:
                for s in sockets[::3]:
                    try:
                        s.send(b"x")
                    except OSError:
                        pass
                self.check_alive()
                time.sleep(0.5)
            self.check_memory()
        finally:
            for s in sockets:
                s.close()

    def test_half_open_dtls(self):
        """First flights without an end: each takes nothing before its cookie."""
        for i in range(2000 if not SANITIZED else 300):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.bind(("127.9.%d.%d" % (i // 200, 1 + i % 200), 0))
                hello = bytes.fromhex("16fefd000000000000000000360100002a000000000000002afefd") + \
                    self.random.randbytes(32) + bytes.fromhex("00000002c0a80100")
                s.sendto(hello, ("127.0.0.1", self.daemon.coaps_port))
        self.check_alive()
        self.check_memory()


if __name__ == "__main__":
    harness.main()
