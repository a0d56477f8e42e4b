# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Just enough CoAP (RFC 7252, RFC 7959) to send what ordinary clients would not."""
import random
import socket
import struct

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE = 1, 2, 3, 4
OBSERVE, URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY, ACCEPT, BLOCK2, BLOCK1, SIZE2, ETAG, ECHO = (
    6, 11, 12, 14, 15, 17, 23, 27, 28, 4, 252)


# No option of any standard, and of the kind a server passes over: room for an Echo.
PADDING = 65000


def code(c):
    return "%d.%02d" % (c >> 5, c & 31)


def uint(n):
    return n.to_bytes((n.bit_length() + 7) // 8, "big")


def block(num, more, szx):
    return uint(num << 4 | more << 3 | szx)


class Message:
    def __init__(self, type=CON, code=GET, mid=None, token=None, options=(), payload=b""):
        self.type, self.code = type, code
        self.mid = random.randrange(65536) if mid is None else mid
        self.token = random.randbytes(4) if token is None else token
        self.options, self.payload = list(options), payload

    @classmethod
    def request(cls, method, path, options=(), payload=b"", **more):
        path_options = [(URI_PATH, s.encode()) for s in path.strip("/").split("/") if s]
        return cls(code=method, options=path_options + list(options), payload=payload, **more)

    def encode(self):
        out = struct.pack("!BBH", 1 << 6 | self.type << 4 | len(self.token), self.code, self.mid) + self.token
        last = 0
        for number, value in sorted(self.options, key=lambda o: o[0]):
            first, tail = b"", b""
            nibbles = []
            for n in (number - last, len(value)):
                if n < 13:
                    nibbles.append(n)
                elif n < 269:
                    nibbles.append(13)
                    tail += bytes([n - 13])
                else:
                    nibbles.append(14)
                    tail += struct.pack("!H", n - 269)
            first = bytes([nibbles[0] << 4 | nibbles[1]])
            out += first + tail + value
            last = number
        return out + (b"\xff" + self.payload if self.payload else b"")

    @classmethod
    def decode(cls, data):
        first, c, mid = struct.unpack("!BBH", data[:4])
        tkl = first & 15
        m = cls(first >> 4 & 3, c, mid, data[4:4 + tkl])
        at, number = 4 + tkl, 0
        while at < len(data) and data[at] != 0xFF:
            values = []
            byte = data[at]
            at += 1
            for n in (byte >> 4, byte & 15):
                if n == 13:
                    n, at = data[at] + 13, at + 1
                elif n == 14:
                    n, at = struct.unpack("!H", data[at:at + 2])[0] + 269, at + 2
                values.append(n)
            number += values[0]
            m.options.append((number, data[at:at + values[1]]))
            at += values[1]
        m.payload = data[at + 1:] if at < len(data) else b""
        return m

    def option(self, number):
        for n, v in self.options:
            if n == number:
                return v
        return None

    def uint_option(self, number):
        v = self.option(number)
        return None if v is None else int.from_bytes(v, "big")


class Client:
    """One UDP address talking to the daemon."""

    def __init__(self, port, source="127.0.0.1", timeout=3.0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.timeout = timeout

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, message):
        self.socket.send(message.encode())

    def receive(self, timeout=None):
        """The next message, None when none comes."""
        self.socket.settimeout(self.timeout if timeout is None else timeout)
        try:
            return Message.decode(self.socket.recv(65536))
        except (socket.timeout, ConnectionRefusedError):
            return None

    def ask(self, message, tries=4):
        """The answer to a request: piggy-backed or separate; retransmits."""
        for _ in range(tries):
            self.send(message)
            while True:
                answer = self.receive()
                if answer is None:
                    break
                if answer.token != message.token:
                    continue
                if answer.type == ACK and answer.code == 0:
                    continue
                if answer.type == CON:
                    self.send(Message(ACK, 0, answer.mid, b""))
                return answer
        raise AssertionError("no answer to %s" % message.encode().hex())

    def get(self, path, options=(), **more):
        return self.ask(Message.request(GET, path, options, **more))

    def fetch(self, path, szx=6, order=None):
        """A whole body by Block2, blocks in the given order (a function of their count)."""
        first = self.get(path, [(BLOCK2, block(0, 0, szx))])
        if code(first.code) != "2.05":
            raise AssertionError("%s: %s %r" % (path, code(first.code), first.payload))
        got = first.uint_option(BLOCK2)
        if got is None:
            return first.payload
        szx = got & 7
        size, total = 16 << szx, first.uint_option(SIZE2)
        blocks = {0: first.payload}
        count = (total + size - 1) // size
        for n in (order or (lambda c: range(c)))(count):
            answer = self.get(path, [(BLOCK2, block(n, 0, szx))])
            if code(answer.code) != "2.05" or answer.option(ETAG) != first.option(ETAG):
                raise AssertionError("block %d of %s: %s" % (n, path, code(answer.code)))
            if n in blocks and blocks[n] != answer.payload:
                raise AssertionError("block %d of %s changed" % (n, path))
            blocks[n] = answer.payload
        return b"".join(blocks[n] for n in range(count))
