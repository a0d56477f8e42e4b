# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Clients that are not ours fetch discovery, a manifest and an image, byte for byte."""
import os
import random
import shutil
import subprocess
import unittest

import coap
import harness

SIZES = (16, 64, 512, 1024)
NPM_COAP = r"""
const coap = require('coap');
const [port, path] = process.argv.slice(2);
const req = coap.request({host: '127.0.0.1', port: Number(port), pathname: path, confirmable: true});
req.on('response', res => {
  const parts = [];
  res.on('data', d => parts.push(d));
  res.on('end', () => { process.stdout.write(Buffer.concat(parts), () => process.exit(res.code === '2.05' ? 0 : 1)); });
});
req.on('error', e => { console.error(String(e)); process.exit(2); });
req.end();
"""
NPM_NODE_COAP_CLIENT = r"""
const { CoapClient } = require('node-coap-client');
const [port, path, identity, key] = process.argv.slice(2);
CoapClient.setSecurityParams('127.0.0.1', { psk: { [identity]: Buffer.from(key, 'hex') } });
CoapClient.request(`coaps://127.0.0.1:${port}${path}`, 'get', undefined, { confirmable: true, keepAlive: false })
  .then(r => process.stdout.write(r.payload || Buffer.alloc(0), () => process.exit(r.code.toString() === '2.05' ? 0 : 1)))
  .catch(e => { console.error(String(e)); process.exit(2); });
"""


class Interop(harness.Case):
    def setUp(self):
        super().setUp()
        self.image = self.random.randbytes(20 * 1024 + 77)
        release = self.release(self.image, 3, publish=True, version="1.2",
                               uri="coap://fw.example.com/lamp/latest.bin")
        self.digest = release["manifest"]
        with open(self.path("manifest-lamp-3.suit"), "rb") as f:
            self.manifest_bytes = f.read()
        self.assertEqual(harness.sha256(self.manifest_bytes), self.digest)
        self.things = [
            ("/manifest/" + self.digest, self.manifest_bytes),
            ("/.well-known/manifest/example.com/lamp/manifest.suit", self.manifest_bytes),
            ("/.well-known/firmware/example.com/lamp/manifest.suit", self.manifest_bytes),
            ("/image/" + harness.sha256(self.image), self.image),
            ("/lamp/latest.bin", self.image),
        ]

    def run_client(self, *words, env=None):
        done = subprocess.run(words, capture_output=True, timeout=60 * harness.PATIENCE,
                              env=dict(os.environ, **(env or {})))
        self.assertEqual(done.returncode, 0, "%s: %s" % (words, done.stderr.decode()))
        return done.stdout

    def coap_client(self, program, url, *options):
        out = self.path("out")
        self.run_client(program, "-B", "20", "-o", out, *options, url)
        with open(out, "rb") as f:
            data = f.read()
        os.unlink(out)
        return data

    def psk(self):
        name, key, _ = self.psk_device("meter-1")
        return name, key

    def check_core(self, text):
        self.assertIn(b"</.well-known/firmware/example.com/lamp/manifest.suit>", text)
        self.assertIn(b"</image/" + harness.sha256(self.image).encode() + b">", text)

    def test_coap_client_notls(self):
        base = self.daemon.url("coap")
        self.check_core(self.coap_client("coap-client-notls", base + "/.well-known/core"))
        for path, want in self.things:
            for size in SIZES if path.startswith(("/image", "/manifest")) else (1024,):
                with self.subTest(path=path, size=size):
                    self.assertEqual(self.coap_client("coap-client-notls", base + path, "-b", str(size)), want)

    def test_coap_client_openssl_psk(self):
        identity, key = self.psk()
        base = self.daemon.url("coaps")
        # coap-client takes the key as text: one that is printable.
        text = "".join(self.random.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(16))
        self.daemon.rest("POST", "/api/v1/devices/%s/credentials" % identity,
                         {"kind": "psk", "identity": "meter-1-text", "key": text.encode().hex()})
        auth = ("-u", "meter-1-text", "-k", text)
        self.check_core(self.coap_client("coap-client-openssl", base + "/.well-known/core", *auth))
        for path, want in self.things:
            if "well-known" in path:
                continue    # with an identity that is the device's own offer
            for size in SIZES:
                with self.subTest(path=path, size=size):
                    got = self.coap_client("coap-client-openssl", base + path, "-b", str(size), *auth)
                    self.assertEqual(got, want)

    @unittest.skipUnless(shutil.which("node"), "no node")
    def test_npm_coap(self):
        script = self.write("client.js", NPM_COAP.encode())
        port = str(self.daemon.coap_port)
        self.check_core(self.run_client("node", script, port, "/.well-known/core"))
        for path, want in self.things:
            with self.subTest(path=path):
                self.assertEqual(self.run_client("node", script, port, path), want)

    @unittest.skipUnless(shutil.which("node"), "no node")
    def test_npm_node_coap_client_psk(self):
        script = self.write("client.js", NPM_NODE_COAP_CLIENT.encode())
        identity, key = self.psk()
        port = str(self.daemon.coaps_port)
        self.check_core(self.run_client("node", script, port, "/.well-known/core", identity, key))
        for path, want in self.things:
            if "well-known" in path:
                continue
            with self.subTest(path=path):
                self.assertEqual(self.run_client("node", script, port, path, identity, key), want)

    def test_curl(self):
        for scheme in ("http", "https"):
            base = self.daemon.url(scheme)
            tls = ["--cacert", self.daemon.certificate] if scheme == "https" else []
            self.check_core(self.run_client("curl", "-sSf", *tls, base + "/.well-known/core"))
            for path, want in self.things:
                with self.subTest(scheme=scheme, path=path):
                    self.assertEqual(self.run_client("curl", "-sSf", *tls, base + path), want)

    def test_nmap(self):
        if os.getuid() != 0:
            self.skipTest("nmap -sU needs root")
        # The plus runs the script on a port that is not the protocol's own.
        out = self.run_client("nmap", "-sU", "-Pn", "-n", "-p", str(self.daemon.coap_port),
                              "--script", "+coap-resources", "127.0.0.1")
        self.assertIn(b"/.well-known/firmware/example.com/lamp/manifest.suit", out)
        self.assertIn(b"/image/" + harness.sha256(self.image).encode(), out)

    def test_blocks_in_random_order_and_twice(self):
        def order(count):
            numbers = list(range(count)) * 2
            random.Random(self.seed).shuffle(numbers)
            return numbers
        with coap.Client(self.daemon.coap_port) as client:
            for szx in range(7):
                with self.subTest(szx=szx):
                    got = client.fetch("/image/" + harness.sha256(self.image), szx, order)
                    self.assertEqual(got, self.image)

    def test_block_rules(self):
        path = "/image/" + harness.sha256(self.image)
        with coap.Client(self.daemon.coap_port) as client:
            first = client.get(path, [(coap.BLOCK2, coap.block(0, 0, 6))])
            self.assertEqual(first.uint_option(coap.SIZE2), len(self.image))
            self.assertEqual(first.option(coap.ETAG), bytes.fromhex(harness.sha256(self.image))[:8])
            last = (len(self.image) - 1) // 1024
            tail = client.get(path, [(coap.BLOCK2, coap.block(last, 0, 6))])
            self.assertEqual(tail.payload, self.image[last * 1024:])
            self.assertFalse(tail.uint_option(coap.BLOCK2) & 8)
            beyond = client.get(path, [(coap.BLOCK2, coap.block(last + 1, 0, 6))])
            self.assertEqual(coap.code(beyond.code), "4.00")
            bert = client.get(path, [(coap.BLOCK2, coap.block(0, 0, 7))])
            self.assertEqual(coap.code(bert.code), "4.00")
            missing = client.get("/image/" + "00" * 32)
            self.assertEqual(coap.code(missing.code), "4.04")


if __name__ == "__main__":
    harness.main()
