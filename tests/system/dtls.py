# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""A DTLS 1.2 client with a pre-shared key that shows every datagram and keeps its session.

OpenSSL by ctypes over memory, so that the datagrams pass through here: they can be
counted, compared, lost. And a first flight built by hand, for what no client would send.
"""
import ctypes
import ctypes.util
import socket
import struct
import time

import coap

PSK_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_char),
                                ctypes.c_uint, ctypes.POINTER(ctypes.c_ubyte), ctypes.c_uint)
SUITES = b"PSK-AES128-CCM8:PSK-AES128-GCM-SHA256"
MTU = 1200
NO_QUERY_MTU = 1 << 12
CTRL_SET_MTU, CTRL_GET_TIMEOUT, CTRL_HANDLE_TIMEOUT = 17, 73, 74
ALERT, HANDSHAKE = 21, 22

lib = ctypes.CDLL(ctypes.util.find_library("ssl"))
crypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
for library, result, names in (
        (lib, ctypes.c_void_p, "DTLS_client_method SSL_CTX_new SSL_new SSL_get1_session"),
        (crypto, ctypes.c_void_p, "BIO_s_mem BIO_new"),
        (crypto, ctypes.c_int, "BIO_read BIO_write"),
        (lib, ctypes.c_long, "SSL_ctrl"), (lib, ctypes.c_uint64, "SSL_set_options SSL_CTX_set_options"),
        (lib, ctypes.c_int, "SSL_do_handshake SSL_read SSL_write SSL_get_error SSL_session_reused SSL_set_session "
                            "SSL_CTX_set_cipher_list SSL_shutdown SSL_is_init_finished SSL_SESSION_has_ticket"),
        (lib, None, "SSL_CTX_free SSL_free SSL_SESSION_free SSL_set_bio SSL_set_connect_state "
                    "SSL_CTX_set_psk_client_callback")):
    for name in names.split():
        getattr(library, name).restype = result


def pointer(p):
    return ctypes.c_void_p(p)


class Refused(Exception):
    """No session came of it."""


def client_hello(random, suites=1, cookie=b"", number=0):
    """A first flight in one record (RFC 6347 4.2.1, 4.3.2); `number` of its message and record."""
    body = b"\xfe\xfd" + random + b"\0" + bytes([len(cookie)]) + cookie
    body += struct.pack("!H", 2 * suites) + b"\xc0\xa8" * suites + b"\x01\x00"
    size = struct.pack("!I", len(body))[1:]
    handshake = b"\x01" + size + bytes([0, number]) + b"\0\0\0" + size + body
    return b"\x16\xfe\xfd" + bytes(7) + bytes([number]) + struct.pack("!H", len(handshake)) + handshake


def records(datagram):
    """(type, epoch, length) of each record of a datagram."""
    out = []
    while len(datagram) >= 13:
        kind, epoch, size = datagram[0], *struct.unpack("!H6xH", datagram[3:13])
        out.append((kind, epoch, size))
        datagram = datagram[13 + size:]
    return out


class Session:
    """One DTLS session; `resume` is what ticket() of an earlier one returned."""

    def __init__(self, port, identity, key, resume=None, source=("127.0.0.1", 0), timeout=5.0):
        self.identity, self.key, self.timeout = identity.encode(), bytes(key), timeout
        self.closed, self.got = False, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(source)
        self.socket.connect(("127.0.0.1", port))
        self.callback = PSK_CALLBACK(self.give_key)
        self.ctx = pointer(lib.SSL_CTX_new(pointer(lib.DTLS_client_method())))
        lib.SSL_CTX_set_cipher_list(self.ctx, SUITES)
        lib.SSL_CTX_set_psk_client_callback(self.ctx, self.callback)
        self.ssl = pointer(lib.SSL_new(self.ctx))
        self.input, self.output = (pointer(crypto.BIO_new(pointer(crypto.BIO_s_mem()))) for _ in range(2))
        for bio in (self.input, self.output):
            crypto.BIO_ctrl(bio, 130, ctypes.c_long(-1), None)    # nothing there: try again
        lib.SSL_set_bio(self.ssl, self.input, self.output)
        lib.SSL_set_options(self.ssl, ctypes.c_uint64(NO_QUERY_MTU))
        lib.SSL_ctrl(self.ssl, CTRL_SET_MTU, ctypes.c_long(MTU), None)
        lib.SSL_set_connect_state(self.ssl)
        if resume is not None:
            lib.SSL_set_session(self.ssl, resume)

    def give_key(self, _ssl, _hint, identity, _n, key, n):
        ctypes.memmove(identity, self.identity + b"\0", len(self.identity) + 1)
        ctypes.memmove(key, self.key, len(self.key))
        return len(self.key)

    def close(self):
        self.socket.close()
        lib.SSL_free(self.ssl)
        lib.SSL_CTX_free(self.ctx)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- datagrams --

    def flush(self):
        """What the library wants to send, one record a datagram."""
        buffer = ctypes.create_string_buffer(65536)
        n = crypto.BIO_read(self.output, buffer, len(buffer))
        data = buffer.raw[:max(n, 0)]
        while data:
            size = 13 + struct.unpack("!H", data[11:13])[0]
            try:
                self.socket.send(data[:size])
            except ConnectionRefusedError:
                pass
            data = data[size:]

    def wait(self, until):
        """Take one datagram in; False when none came by then."""
        self.socket.settimeout(max(until - time.monotonic(), 0.001))
        try:
            data = self.socket.recv(65536)
        except (socket.timeout, ConnectionRefusedError):
            return False
        self.got.append(data)
        crypto.BIO_write(self.input, data, len(data))
        return True

    # -- the session --

    def handshake(self):
        """Returns self, or raises Refused when the server ends it or says nothing more."""
        end = time.monotonic() + self.timeout
        while True:
            rc = lib.SSL_do_handshake(self.ssl)
            self.flush()
            if rc == 1:
                return self
            if lib.SSL_get_error(self.ssl, rc) != 2:
                raise Refused("the handshake failed")
            if time.monotonic() > end:
                raise Refused("the handshake did not end")
            if not self.wait(min(end, time.monotonic() + 0.2)):
                lib.SSL_ctrl(self.ssl, CTRL_HANDLE_TIMEOUT, ctypes.c_long(0), None)
                self.flush()

    @property
    def reused(self):
        return lib.SSL_session_reused(self.ssl) == 1

    def ticket(self):
        """The session, to be resumed by another one; kept by the caller to the end."""
        session = pointer(lib.SSL_get1_session(self.ssl))
        return session if session and lib.SSL_SESSION_has_ticket(session) else None

    def receive(self, timeout):
        """The next message, None when none came or the session is over (then .closed)."""
        end = time.monotonic() + timeout
        buffer = ctypes.create_string_buffer(65536)
        while True:
            n = lib.SSL_read(self.ssl, buffer, len(buffer))
            self.flush()
            if n > 0:
                return coap.Message.decode(buffer.raw[:n])
            if lib.SSL_get_error(self.ssl, n) != 2:
                self.closed = True
                return None
            if not self.wait(end) and time.monotonic() >= end:
                return None

    def send(self, message):
        data = message.encode()
        if lib.SSL_write(self.ssl, data, len(data)) != len(data):
            self.closed = True
        self.flush()

    def ask(self, message, tries=3):
        """The answer, or None: the server does not speak to this session."""
        for _ in range(tries):
            self.send(message)
            while not self.closed:
                answer = self.receive(self.timeout / tries)
                if answer is None:
                    break
                if answer.token == message.token and answer.code != 0:
                    if answer.type == coap.CON:
                        self.send(coap.Message(coap.ACK, 0, answer.mid, b""))
                    return answer
            if self.closed:
                return None
        return None

    def get(self, path, options=(), **more):
        return self.ask(coap.Message.request(coap.GET, path, options), **more)
