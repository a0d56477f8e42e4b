# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""fettle manifest verify and inspect over third parties' manifests.

The files are in $FETTLE_EXTRA_VECTORS; without it these tests are skipped.
"""
import glob
import os
import subprocess
import unittest

import harness

VECTORS = os.environ.get("FETTLE_EXTRA_VECTORS", "")


@unittest.skipUnless(VECTORS, "FETTLE_EXTRA_VECTORS is not set")
class Vectors(unittest.TestCase):
    KEY = os.path.join(VECTORS, "suit", "public_key.pem")

    def run_fettle(self, *words):
        return subprocess.run([harness.FETTLE, "manifest", *words], capture_output=True, text=True)

    def files(self, folder):
        found = sorted(glob.glob(os.path.join(VECTORS, "suit", folder, "*.suit")))
        self.assertTrue(found, folder)
        return found

    def test_verify(self):
        counts = {}
        for folder in ("ietf-37", "esp256"):
            for path in self.files(folder):
                name = os.path.basename(path)
                done = self.run_fettle("verify", path, "--anchor", self.KEY)
                valid = "unsigned" not in name and not (folder == "esp256" and name.startswith("example0"))
                with self.subTest(folder=folder, name=name):
                    self.assertEqual(done.returncode, 0 if valid else 1, done.stderr)
                    if not valid:
                        self.assertIn("signature", done.stderr)
                counts[folder, valid] = counts.get((folder, valid), 0) + 1
        self.assertEqual(counts, {("ietf-37", True): 7, ("ietf-37", False): 6,
                                  ("esp256", True): 6, ("esp256", False): 7})

    def test_trust_domains_signatures(self):
        for path in self.files("trust-domains"):
            done = self.run_fettle("verify", path, "--anchor", self.KEY)
            with self.subTest(path=path):
                if done.returncode == 0:
                    continue
                self.assertIn("verifies", done.stderr)
                self.assertIn("dependencies are not supported", done.stderr)

    def test_inspect(self):
        for folder in ("ietf-37", "esp256"):
            for path in self.files(folder):
                done = self.run_fettle("inspect", path)
                with self.subTest(path=path):
                    self.assertEqual(done.returncode, 0, done.stderr)
                    for word in ("manifest digest", "sequence", "vendor id", "class id", "component"):
                        self.assertIn(word, done.stdout)
        for path in self.files("trust-domains"):
            done = self.run_fettle("inspect", path)
            with self.subTest(path=path):
                self.assertIn("manifest digest", done.stdout)
                if done.returncode:
                    self.assertIn("dependencies", done.stdout)

    def test_old_layouts_are_named(self):
        for path in self.files("ietf-09") + self.files("ietf-19"):
            # -19 moved install alone: a manifest without it says the same in both layouts.
            if "unsigned" in path or path.endswith("ietf-19/example0.signed.suit"):
                continue
            done = self.run_fettle("verify", path, "--anchor", self.KEY)
            with self.subTest(path=path):
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn("layout", done.stderr)


if __name__ == "__main__":
    harness.main()
