# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""HTTP as browsers, curl and proxies expect it."""
import base64
import hashlib
import http.client
import json
import socket

import harness


class Http(harness.Case):
    def setUp(self):
        super().setUp()
        self.image = self.random.randbytes(300 * 1024 + 5)
        self.digest = harness.sha256(self.image)
        self.path_ = "/image/" + self.digest

    def publish(self):
        self.release(self.image, 1, publish=True)

    def get(self, path, method="GET", headers=None, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def test_range(self):
        self.publish()
        status, headers, whole = self.get(self.path_)
        self.assertEqual((status, whole), (200, self.image))
        etag = headers["ETag"]
        self.assertEqual(headers["Accept-Ranges"], "bytes")
        n = len(self.image)
        for text, first, last in (("0-0", 0, 0), ("10-99", 10, 99), ("%d-" % (n - 7), n - 7, n - 1),
                                  ("-5", n - 5, n - 1), ("1-%d" % (n * 2), 1, n - 1)):
            status, headers, part = self.get(self.path_, headers={"Range": "bytes=" + text})
            with self.subTest(range=text):
                self.assertEqual(status, 206)
                self.assertEqual(headers["Content-Range"], "bytes %d-%d/%d" % (first, last, n))
                self.assertEqual(part, self.image[first:last + 1])
        status, headers, _ = self.get(self.path_, headers={"Range": "bytes=%d-" % n})
        self.assertEqual((status, headers["Content-Range"]), (416, "bytes */%d" % n))
        status, _, part = self.get(self.path_, headers={"Range": "bytes=1-2", "If-Range": etag})
        self.assertEqual((status, part), (206, self.image[1:3]))
        status, _, part = self.get(self.path_, headers={"Range": "bytes=1-2", "If-Range": '"other"'})
        self.assertEqual((status, part), (200, self.image))
        status, _, part = self.get(self.path_, headers={"If-None-Match": etag})
        self.assertEqual((status, part), (304, b""))
        status, headers, part = self.get(self.path_, "HEAD")
        self.assertEqual((status, part), (200, b""))
        self.assertEqual(headers["Content-Length"], str(n))

    def test_resume_after_cut(self):
        self.publish()
        with socket.create_connection(("127.0.0.1", self.daemon.http_port)) as s:
            s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % self.path_.encode())
            got = b""
            while len(got) < 50000:
                got += s.recv(16384)
        head, body = got.split(b"\r\n\r\n", 1)
        self.assertIn(b"200", head.split(b"\r\n")[0])
        etag = [h for h in head.split(b"\r\n") if h.lower().startswith(b"etag:")][0].split(b": ")[1]
        status, _, rest = self.get(self.path_, headers={"Range": "bytes=%d-" % len(body),
                                                        "If-Range": etag.decode()})
        self.assertEqual(status, 206)
        self.assertEqual(body + rest, self.image)

    def test_keep_alive(self):
        self.publish()
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port, timeout=20)
        for _ in range(20):
            connection.request("GET", self.path_, headers={"Range": "bytes=0-9"})
            answer = connection.getresponse()
            self.assertEqual(answer.read(), self.image[:10])
        self.assertIsNotNone(connection.sock)
        connection.close()

    def raw(self, text):
        """Everything the server says to these bytes until it closes or falls silent."""
        with socket.create_connection(("127.0.0.1", self.daemon.http_port), timeout=5) as s:
            s.sendall(text)
            got = b""
            try:
                while True:
                    data = s.recv(65536)
                    if not data:
                        break
                    got += data
            except (socket.timeout, ConnectionResetError):
                got += b"<open>"
            return got

    def test_cut_often(self):
        """A download cut again and again at any place, each time resumed where it stopped."""
        self.publish()
        got, etag, cuts = b"", None, 0
        while len(got) < len(self.image):
            with socket.create_connection(("127.0.0.1", self.daemon.http_port), timeout=20) as s:
                extra = b"Range: bytes=%d-\r\nIf-Range: %s\r\n" % (len(got), etag) if etag else b""
                s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n" % (
                    self.path_.encode(), extra))
                f = s.makefile("rb")
                self.assertIn(b"206" if etag else b"200", f.readline())
                while (line := f.readline()) != b"\r\n":
                    if line.lower().startswith(b"etag:"):
                        etag = line[5:].strip()
                got += f.read(self.random.randrange(1, 40000))
                f.close()
            cuts += 1
        self.assertGreater(cuts, 5)
        self.assertEqual(got, self.image)

    def test_smuggling_is_refused(self):
        body = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        for name, headers in (
                ("two lengths", b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(body)),
                ("two lengths, other case", b"content-length: %d\r\nContent-Length: 0\r\n" % len(body)),
                ("length and coding", b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % len(body)),
                ("folded coding", b"Content-Length: 0\r\nTransfer-Encoding:\r\n chunked\r\n"),
                ("folded length", b"Content-Length:\r\n %d\r\n" % len(body)),
                ("folded value", b"Content-Length: 1\r\n 0\r\n"),
                ("folded name", b"Content-Lengt: %d\r\n h\r\n" % len(body)),
                ("folded by tab", b"Content-Length: 0\r\nX-A: b\r\n\tc\r\n"),
                ("coding and length", b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")):
            answer = self.raw(b"POST /device/a/report HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + body)
            with self.subTest(name):
                self.assertTrue(answer.startswith(b"HTTP/1.1 400"), answer[:200])
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer)
                self.assertFalse(answer.endswith(b"<open>"), "the connection stayed open")

    def test_paths(self):
        for path, wanted in (("/../etc/passwd", 400), ("/a/%2e%2e/b", 400), ("/a%00b", 400),
                             ("/" + "a" * 600, 414), ("/nothing/here", 404), ("//", 400)):
            with self.subTest(path=path):
                self.assertEqual(self.get(path)[0], wanted)

    def upload(self, data, headers=None):
        return self.daemon.call("POST", "/api/v1/images", data, dict(
            {"Content-Type": "application/octet-stream"}, **(headers or {})))

    def content(self, digest):
        """An image's bytes; the copy they are served from may still be under way (503, Retry-After)."""
        def ask():
            status, headers, body = self.daemon.call("GET", "/api/v1/images/%s/content" % digest)
            if status == 503:
                self.assertGreater(int(headers["Retry-After"]), 0)
                return None
            self.assertEqual(status, 200, body)
            return body
        return harness.wait_until("the image's copy", ask, 10)

    def digest_header(self, data):
        return {"Repr-Digest": "sha-256=:%s:" % base64.b64encode(hashlib.sha256(data).digest()).decode()}

    def test_upload(self):
        big = self.random.randbytes(5 << 20)
        status, headers, body = self.upload(big, self.digest_header(big))
        self.assertEqual(status, 201, body)
        made = json.loads(body)
        self.assertEqual((made["digest"], made["size"]), (harness.sha256(big), str(len(big))))
        self.assertTrue(headers["Location"].endswith(made["digest"]))
        self.assertEqual(self.content(made["digest"]), big)
        status, _, body = self.upload(big, self.digest_header(b"other"))
        self.assertEqual(status, 422, body)
        status, _, body = self.upload(b"", self.digest_header(b""))
        self.assertGreaterEqual(status, 400, body)

    def test_resumable_upload(self):
        data = self.random.randbytes(3 << 20)
        status, headers, body = self.daemon.call("POST", "/api/v1/images", b"", {
            "Upload-Complete": "?0", **self.digest_header(data)})
        self.assertEqual(status, 201, body)
        where = headers["Location"]
        half = 1 << 20
        status, headers, body = self.daemon.call("PATCH", where, data[:half], {
            "Upload-Offset": "0", "Upload-Complete": "?0", "Content-Type": "application/partial-upload"})
        self.assertLess(status, 300, body)
        self.daemon.kill()
        self.daemon.start()
        status, headers, _ = self.daemon.call("HEAD", where)
        self.assertLess(status, 300)
        self.assertEqual(headers["Upload-Offset"], str(half))
        status, _, body = self.daemon.call("PATCH", where, data[half + 1:], {
            "Upload-Offset": str(half + 1), "Upload-Complete": "?1", "Content-Type": "application/partial-upload"})
        self.assertEqual(status, 409, body)
        status, _, body = self.daemon.call("PATCH", where, data[half:], {
            "Upload-Offset": str(half), "Upload-Complete": "?1", "Content-Type": "application/partial-upload"})
        self.assertIn(status, (200, 201), body)
        digest = harness.sha256(data)
        self.assertEqual(self.content(digest), data)

    def test_problem_details(self):
        status, headers, body = self.get("/nothing", headers={"Accept": "application/json"})
        problem = json.loads(body)
        self.assertEqual(status, 404)
        self.assertTrue(headers["Content-Type"].startswith("application/problem+json"))
        self.assertEqual(problem["status"], 404)
        self.assertTrue(problem["type"].startswith("urn:fettle:"))

    def test_health(self):
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertEqual(self.get("/readyz")[0], 200)
        self.assertEqual(self.get("/metrics")[0], 401)
        self.assertIn(b"fettle_", self.daemon.rest("GET", "/metrics", raw=True))


if __name__ == "__main__":
    harness.main()
