# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Server and negotiated mode with a real device: what the server calls it for, over CoAP and CoAPS."""
import json
import os
import subprocess
import time

import harness


class Modes(harness.Case):
    IMAGE_SIZE = 64 * 1024 + 11

    def setUp(self):
        super().setUp()
        self.author()

    def device(self, name, scheme, *more):
        state = self.path("state-" + name)
        os.makedirs(state, exist_ok=True)
        words = [harness.DEVICE, "--server", self.daemon.url(scheme), "--id", name, "--state", state,
                 "--anchor", self.path("anchor.pem"), "--vendor", "example.com", "--class", "lamp",
                 "--timeout", str(int(120 * harness.PATIENCE)), "--until-done", *more]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def registered(self, name):
        harness.wait_until(name + " to register",
                           lambda: self.daemon.json("device", "show", name)["registered"], 20)

    def finish(self, process):
        output, _ = process.communicate(timeout=150 * harness.PATIENCE)
        self.assertEqual(process.returncode, 0, output + self.daemon.tail())
        return output

    def rollout(self, target="all", budget=10, name="spring", size=IMAGE_SIZE):
        image = self.random.randbytes(size)
        release = self.release(image, 2, version="2.0")
        self.daemon.fettle("rollout", "create", name, "--release", str(release["id"]),
                           "--target", target, "--budget", str(budget))
        self.daemon.fettle("rollout", "start", name)
        return image

    def state(self, name):
        update = self.daemon.json("device", "show", name)["update"]
        return update["state"] if update else None

    def history(self, name):
        return [(h["to"], h["cause"]) for h in self.daemon.json("device", "history", name)["items"]]

    def installed(self, name):
        with open(self.path("state-%s/firmware-firmware.bin" % name), "rb") as f:
            return f.read()

    def policy(self, **settings):
        path = self.path("policy.json")
        with open(path, "w") as f:
            json.dump(settings, f)
        self.daemon.fettle("policy", "set", path)

    def free_port(self):
        import socket
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def check_done(self, name, image):
        self.assertEqual(self.state(name), "succeeded")
        self.assertEqual(self.installed(name), image)

    def test_server_mode_over_its_own_session(self):
        _, _, psk = self.psk_device("meter", mode="server")
        self.daemon.fettle("device", "add", "bulb", "--auth", "none", "--mode", "server")
        devices = {"bulb": self.device("bulb", "coap", "--mode", "server", "--push"),
                   "meter": self.device("meter", "coaps", "--psk-file", psk, "--mode", "server", "--push")}
        for name in devices:
            self.registered(name)
        image = self.rollout(budget=2)
        for name, process in devices.items():
            with self.subTest(device=name):
                self.finish(process)
                self.check_done(name, image)
                words = [to for to, _ in self.history(name)]
                self.assertEqual(words[:6], ["offered", "accepted", "downloading", "downloaded",
                                             "installing", "rebooting"], self.history(name))
                self.assertEqual(self.history(name)[0][1], "the server pushes")
        counters = self.daemon.json("rollout", "show", "spring")["counters"]
        self.assertEqual((counters["succeeded"], counters["failed"], counters["in_flight"]), (2, 0, 0))

    def test_a_device_pulls_what_it_is_told_of(self):
        _, _, psk = self.psk_device("puller", mode="server")
        process = self.device("puller", "coaps", "--psk-file", psk, "--mode", "server", "--pull")
        self.registered("puller")
        image = self.rollout(budget=1)
        self.finish(process)
        self.check_done("puller", image)

    def test_called_at_its_endpoint_when_no_session_is_open(self):
        port = self.free_port()
        _, _, psk = self.psk_device("camera", mode="server")
        process = self.device("camera", "coaps", "--psk-file", psk, "--mode", "server", "--push",
                              "--endpoint", str(port))
        self.registered("camera")
        # a new server knows no session of it
        self.daemon.stop()
        self.daemon.start()
        image = self.rollout(budget=1)
        self.finish(process)
        self.check_done("camera", image)

    def test_a_push_goes_on_where_it_was_after_a_kill(self):
        port = self.free_port()
        self.daemon.fettle("device", "add", "pump", "--auth", "none", "--mode", "server")
        process = self.device("pump", "coap", "--mode", "server", "--push", "--endpoint", str(port),
                              "--verbose", "--block", "256")
        self.registered("pump")
        image = self.rollout(budget=1, size=4 * 1024 * 1024 + 5)
        # the device says when it is asked how much it has: blocks follow at once
        output = ""
        for line in process.stdout:
            output += line
            if "called: GET /fettle/image/0" in line:
                break
        self.daemon.kill()
        self.assertIn("called: GET /fettle/image/0", output)
        self.daemon.start()
        output += self.finish(process)
        self.check_done("pump", image)
        asked = output.count("called: GET /fettle/image/0")
        self.assertGreaterEqual(asked, 2, output[-2000:])
        counters = self.daemon.json("rollout", "show", "spring")["counters"]
        self.assertEqual((counters["succeeded"], counters["failed"]), (1, 0))

    def test_negotiated_push_after_a_deferral_that_was_granted(self):
        self.policy(urgency={"normal": {"contact_interval": 1}})
        _, _, psk = self.psk_device("valve", mode="negotiated")
        process = self.device("valve", "coaps", "--psk-file", psk, "--mode", "negotiated", "--push",
                              "--defer", "5", "--reason", "dinner")
        self.registered("valve")
        image = self.rollout(target="id == valve", budget=1)
        harness.wait_until("the deferral", lambda: self.state("valve") == "deferred", 30)
        items = self.daemon.json("device", "history", "valve")["items"]
        granted = [h for h in items if h["to"] == "deferred"][0]
        self.assertIn("asked 5 s, granted 5 s: the device deferred: dinner", granted["cause"])
        self.finish(process)
        self.check_done("valve", image)
        items = self.daemon.json("device", "history", "valve")["items"]
        again = [h for h in items if h["to"] == "offered"][1]

        def seconds(text):
            whole, _, part = text.rstrip("Z").partition(".")
            return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + (part or "0"))

        self.assertGreaterEqual(seconds(again["at"]) - seconds(granted["at"]), 5)

    def test_those_below_are_told_of_an_outage_first(self):
        self.policy(urgency={"normal": {"outage": 60}})
        self.daemon.fettle("device", "add", "gw", "--auth", "none")
        self.daemon.fettle("device", "add", "leaf", "--auth", "none", "--parent", "gw")
        gateway = self.device("gw", "coap", "--poll", "1")
        self.registered("gw")
        image = self.rollout(target="id == gw", budget=1)

        def outage():
            return [g["value"] for g in self.daemon.json("device", "why", "gw")["gates"]
                    if g["gate"] == "outage" and not g["open"]]

        harness.wait_until("the leaf to be waited for",
                           lambda: outage() and "1 of those below are not told" in outage()[0], 20)
        self.assertEqual(self.state("gw"), "planned")
        # it comes by itself, and its answer tells it
        leaf = self.device("leaf", "coap", "--once")
        leaf.communicate(timeout=30 * harness.PATIENCE)
        self.finish(gateway)
        self.check_done("gw", image)

    def test_why_and_diagnostics(self):
        _, _, psk = self.psk_device("sleeper", mode="server")
        process = self.device("sleeper", "coaps", "--psk-file", psk, "--mode", "server", "--push")
        self.registered("sleeper")
        process.kill()
        process.wait()
        self.daemon.stop()
        self.daemon.start()
        self.rollout(target="id == sleeper", budget=1)
        harness.wait_until("a call that reaches nobody", lambda: any(
            g["gate"] == "call" and "not reached" in g["value"]
            for g in self.daemon.json("device", "why", "sleeper")["gates"]), 20)
        self.assertEqual(self.daemon.fettle("device", "diag", "sleeper"), "none\n")
        answer = self.daemon.json("device", "diag", "sleeper", "--ask")
        self.assertEqual(answer, {"device": "sleeper", "asked": True})
        self.assertEqual(self.daemon.fettle("device", "diag", "sleeper"), "asked for, not here yet\n")
        process = self.device("sleeper", "coaps", "--psk-file", psk, "--mode", "server", "--push")
        self.finish(process)
        kept = self.daemon.json("device", "diag", "sleeper")
        self.assertFalse(kept["asked"])
        self.assertEqual(len(kept["items"]), 1)
        self.assertIn("bytes", self.daemon.fettle("device", "diag", "sleeper"))


if __name__ == "__main__":
    harness.main()
