# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""fettle-device: against a server that misbehaves, and what it leaves to read."""
import os
import socket
import subprocess
import threading

import coap
import harness
from coap import BLOCK2, CON, NON, Message, block


class Server(threading.Thread):
    """A CoAP server on loopback; answer(request, path) gives the messages that go back."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = 0
        self.start()

    def run(self):
        while True:
            data, address = self.socket.recvfrom(2048)
            if not data:
                return
            request = Message.decode(data)
            if request.type != CON or request.code == 0:
                continue
            self.asked += 1
            path = "/" + "/".join(v.decode() for n, v in request.options if n == coap.URI_PATH)
            for m in self.answer(request, path):
                m.type, m.token = NON, request.token
                self.socket.sendto(m.encode(), address)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ("127.0.0.1", self.port))
        self.join()
        self.socket.close()


class Device(harness.Case):
    start = False

    def run_against(self, answer, *more):
        server = Server(answer)
        self.addCleanup(server.stop)
        done = subprocess.run(
            [harness.DEVICE, "--server", "coap://127.0.0.1:%d" % server.port, "--id", "lamp",
             "--state", self.path("state"), "--once", "--timeout", "5", *more],
            capture_output=True, text=True, timeout=30 * harness.PATIENCE)
        return done, server

    def test_blocks_without_end(self):
        """Empty blocks, and always one more: the device gives the answer up."""
        def answer(request, path):
            if request.code == coap.PUT:
                return [Message(code=2 << 5 | 1)]
            num = (request.uint_option(BLOCK2) or 0) >> 4
            return [Message(code=2 << 5 | 5, options=[(BLOCK2, block(num, 1, 6))])]

        done, server = self.run_against(answer)
        self.assertNotEqual(done.returncode, 0)
        self.assertLess(server.asked, 100)

    def test_keys_of_a_fleet_are_private(self):
        out = self.path("fleet.ndjson")
        subprocess.run([harness.DEVICE, "--fleet", "3", "--psk-file", self.write("master", b"00" * 16),
                        "--enroll-out", out], check=True, umask=0o022)
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o600)
        with open(out) as f:
            self.assertEqual(len(f.readlines()), 3)


if __name__ == "__main__":
    harness.main()
