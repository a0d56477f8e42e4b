# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""The main job: a signed release in, devices updated, the operator sees it."""
import json
import os
import subprocess

import harness


class EndToEnd(harness.Case):
    IMAGE_SIZE = 64 * 1024 + 11

    def setUp(self):
        super().setUp()
        self.author()

    def device(self, name, scheme, *more, wait=True):
        """fettle-device until its update is over; returns (exit code, output)."""
        state = self.path("state-" + name)
        os.makedirs(state, exist_ok=True)
        words = [harness.DEVICE, "--server", self.daemon.url(scheme), "--id", name, "--state", state,
                 "--anchor", self.path("anchor.pem"), "--vendor", "example.com", "--class", "lamp",
                 "--poll", "1", "--timeout", str(int(60 * harness.PATIENCE)), "--until-done", *more]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        if not wait:
            return process
        output, _ = process.communicate(timeout=90 * harness.PATIENCE)
        return process.returncode, output

    def rollout(self, target="all", budget=10, name="spring"):
        image = self.random.randbytes(self.IMAGE_SIZE)
        release = self.release(image, 2, version="2.0")
        self.daemon.fettle("rollout", "create", name, "--release", str(release["id"]),
                           "--target", target, "--budget", str(budget))
        self.daemon.fettle("rollout", "start", name)
        return image

    def state(self, name):
        update = self.daemon.json("device", "show", name)["update"]
        return update["state"] if update else None

    def installed(self, name):
        with open(self.path("state-%s/firmware-firmware.bin" % name), "rb") as f:
            return f.read()

    def test_three_transports(self):
        _, _, psk = self.psk_device("meter")
        self.daemon.fettle("device", "add", "bulb", "--auth", "none")
        self.daemon.fettle("device", "add", "panel")
        token = self.daemon.json("device", "credential", "add", "panel", "--token")["token"]
        image = self.rollout(budget=3)
        token_file = self.write("token", token.encode())
        devices = {
            "bulb": self.device("bulb", "coap", wait=False),
            "meter": self.device("meter", "coaps", "--psk-file", psk, wait=False),
            "panel": self.device("panel", "https", "--token-file", token_file, "--ca",
                                 self.daemon.certificate, wait=False),
        }
        for name, process in devices.items():
            output, _ = process.communicate(timeout=90 * harness.PATIENCE)
            with self.subTest(device=name):
                self.assertEqual(process.returncode, 0, output + self.daemon.tail())
                self.assertEqual(self.state(name), "succeeded")
                self.assertEqual(self.installed(name), image)
        rollout = self.daemon.json("rollout", "show", "spring")
        self.assertEqual(rollout["state"], "finished")
        self.assertEqual(rollout["counters"]["succeeded"], 3)
        self.assertEqual(rollout["counters"]["in_flight"], 0)
        self.assertEqual(rollout["counters"]["failed"], 0)
        shown = self.daemon.json("device", "show", "bulb")
        self.assertEqual(shown["components"][0]["version"], "2.0")
        moves = [h["to"] for h in self.daemon.json("device", "history", "bulb")["items"]]
        for state in ("offered", "downloading", "installing", "succeeded"):
            self.assertIn(state, moves)
        self.assertTrue(self.daemon.json("audit", "verify")["whole"])

    def test_negotiated(self):
        _, _, psk = self.psk_device("valve", mode="negotiated")
        process = self.device("valve", "coaps", "--psk-file", psk, "--mode", "negotiated", wait=False)
        harness.wait_until("valve to register",
                           lambda: self.daemon.json("device", "show", "valve")["registered"], 20)
        image = self.rollout(target="id == valve", budget=1)
        output, _ = process.communicate(timeout=90 * harness.PATIENCE)
        self.assertEqual(process.returncode, 0, output + self.daemon.tail())
        self.assertEqual(self.state("valve"), "succeeded")
        self.assertEqual(self.installed("valve"), image)

    def no_retries(self):
        policy = self.path("policy.json")
        with open(policy, "w") as f:
            json.dump({"urgency": {"normal": {"retries": 0}}}, f)
        self.daemon.fettle("policy", "set", policy)

    def test_tampered_image_fails(self):
        self.no_retries()
        self.daemon.fettle("device", "add", "bulb", "--auth", "none")
        self.rollout(budget=1)
        code, output = self.device("bulb", "coap", "--tamper")
        self.assertNotEqual(code, 0, output)
        self.assertEqual(self.state("bulb"), "failed")
        update = self.daemon.json("device", "show", "bulb")["update"]
        self.assertIn("digest", json.dumps(update))
        self.assertFalse(os.path.exists(self.path("state-bulb/firmware-firmware.bin")))
        rollout = self.daemon.json("rollout", "show", "spring")
        self.assertEqual(rollout["counters"]["failed"], 1)
        self.assertIn(rollout["state"], ("paused", "finished"))

    def test_rolled_back(self):
        self.no_retries()
        self.daemon.fettle("device", "add", "bulb", "--auth", "none")
        self.rollout(budget=1)
        code, output = self.device("bulb", "coap", "--roll-back")
        self.assertNotEqual(code, 0, output)
        self.assertEqual(self.state("bulb"), "rolled-back")

    def test_stranger_is_refused(self):
        self.author()
        stranger = self.path("stranger.pem")
        subprocess.run([harness.FETTLE, "key", "generate", "-o", stranger], check=True, capture_output=True)
        manifest = self.manifest(b"evil", 9, stranger)
        self.daemon.fettle("image", "add", self.path("image-lamp-9.bin"))
        done = self.daemon.fettle("release", "add", manifest, ok=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("trust anchor", done.stderr)
        self.assertEqual(self.daemon.json("release", "list")["items"], [])

    def test_device_trusts_only_its_anchor(self):
        """A server that was fooled is not enough: the device verifies itself."""
        self.no_retries()
        self.daemon.fettle("device", "add", "bulb", "--auth", "none")
        self.rollout(budget=1)
        other = self.path("other.pem")
        subprocess.run([harness.FETTLE, "key", "generate", "-o", other], check=True, capture_output=True)
        public = subprocess.run([harness.FETTLE, "key", "public", other], check=True, capture_output=True).stdout
        self.write("anchor.pem", public)
        code, output = self.device("bulb", "coap")
        self.assertNotEqual(code, 0, output)
        self.assertEqual(self.state("bulb"), "failed")
        self.assertIn("signature", json.dumps(self.daemon.json("device", "show", "bulb")["update"]))

    def test_why_names_the_gate(self):
        self.daemon.fettle("device", "add", "bulb", "--auth", "none")
        self.rollout(budget=1)
        self.daemon.fettle("rollout", "pause", "spring", "--reason", "holidays")
        gates = self.daemon.json("device", "why", "bulb")["gates"]
        closed = [g for g in gates if not g["open"]]
        self.assertTrue(closed)
        self.assertIn("holidays", json.dumps(closed))
        text = self.daemon.fettle("device", "why", "bulb")
        self.assertIn("> closed", text)


if __name__ == "__main__":
    harness.main()
