# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Updates without a human: standing rollouts, and releases that policy approves by itself."""
import json
import os
import subprocess

import harness


class Standing(harness.Case):
    def setUp(self):
        super().setUp()
        self.key = self.author()

    def policy(self, **members):
        path = self.write("policy.json", json.dumps(members).encode())
        return self.daemon.json("policy", "set", path)

    def key_id(self):
        out = subprocess.run([harness.FETTLE, "--json", "key", "show", self.key], check=True,
                             capture_output=True).stdout
        return json.loads(out)["key_id"]

    def device(self, name, model="lamp"):
        """fettle-device, polling each second until its update is over."""
        self.daemon.fettle("device", "add", name, "--auth", "none")
        state = self.path("state-" + name)
        os.makedirs(state)
        process = subprocess.Popen(
            [harness.DEVICE, "--server", self.daemon.url("coap"), "--id", name, "--state", state,
             "--anchor", self.path("anchor.pem"), "--vendor", "example.com", "--class", model,
             "--poll", "1", "--timeout", str(int(60 * harness.PATIENCE)), "--until-done"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        harness.wait_until("%s to register" % name,
                           lambda: self.daemon.json("device", "show", name)["registered"], 20)
        return process

    def rollouts(self):
        return self.daemon.json("rollout", "list")["items"]

    def test_a_release_goes_to_the_fleet_by_itself(self):
        """A signed release in, and nothing else: its class is updated, others are not."""
        self.policy(auto_approve=[self.key_id()])
        self.daemon.fettle("rollout", "standing", "add", "lamps", "--target", "all", "--budget", "3", "--enable")
        self.daemon.fettle("rollout", "standing", "add", "off", "--target", "all")
        self.daemon.fettle("rollout", "standing", "add", "urgent", "--target", "all", "--urgency", "critical",
                           "--enable")
        fleet = {name: self.device(name) for name in ("lamp-1", "lamp-2")}
        self.device("meter-1", model="meter")
        manifest = self.manifest(self.random.randbytes(20000), 2, self.key, version="2.0")

        self.daemon.fettle("release", "add", manifest, self.path("image-lamp-2.bin"))

        for name, process in fleet.items():
            output, _ = process.communicate(timeout=90 * harness.PATIENCE)
            self.assertEqual(process.returncode, 0, output + self.daemon.tail())
            self.assertEqual(self.daemon.json("device", "show", name)["update"]["state"], "succeeded")
        self.assertIsNone(self.daemon.json("device", "show", "meter-1")["update"])
        self.assertEqual([(r["name"], r["state"], r["by"]) for r in self.rollouts()],
                         [("lamps-lamp-2.0", "finished", "policy")])
        release = self.daemon.json("release", "show", "lamp-2.0")
        self.assertEqual((release["state"], release["approved_by"]), ("approved", "policy"))
        audit = [(a["who"], a["verb"]) for a in self.daemon.json("audit", "list")["items"]]
        for verb in ("release.approve", "rollout.create", "standing.rollout", "rollout.state"):
            self.assertIn(("policy", verb), audit)

    def test_a_person_approves_and_why_tells_of_it(self):
        self.daemon.fettle("rollout", "standing", "add", "lamps", "--target", "model == lamp", "--budget", "2",
                           "--phase", "percent=50,success=90", "--phase", "percent=100", "--enable")
        self.daemon.fettle("device", "add", "lamp-1", "--auth", "none", "--model", "lamp", "--class-id",
                           self.class_id())
        manifest = self.manifest(b"firmware", 3, self.key, version="3.0")
        self.daemon.fettle("release", "add", manifest, self.path("image-lamp-3.bin"))
        self.assertEqual(self.daemon.json("release", "show", "lamp-3.0")["state"], "submitted")
        self.assertEqual(self.rollouts(), [])
        self.daemon.fettle("release", "approve", "lamp-3.0")
        harness.wait_until("the rollout to run",
                           lambda: [r["state"] for r in self.rollouts()] == ["running"], 10)
        shown = self.daemon.json("rollout", "show", "lamps-lamp-3.0")
        self.assertEqual(len(shown["phases"]), 2)
        gates = self.daemon.json("device", "why", "lamp-1")["gates"]
        self.assertTrue([g for g in gates if "standing rollout lamps" in g["value"]], gates)
        self.assertIn("standing rollout lamps", self.daemon.fettle("device", "why", "lamp-1"))

    def class_id(self):
        import uuid
        return str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_DNS, "example.com"), "lamp"))

    def test_the_commands(self):
        made = self.daemon.json("rollout", "standing", "add", "lamps", "--target", "tag == lab", "--budget", "4",
                                "--urgency", "high", "--per-minute", "30", "--order", "leaf-first", "--pause-at",
                                "digest=2")
        self.assertEqual(made["rollout"], {"target": "tag == lab", "budget": 4, "per_minute": 30,
                                           "order": "leaf-first", "pause_at": {"digest": 2}})
        self.assertEqual((made["name"], made["enabled"], made["urgency"]), ("lamps", False, "high"))
        self.assertTrue(self.daemon.json("rollout", "standing", "enable", "lamps")["enabled"])
        text = self.daemon.fettle("rollout", "standing", "list")
        self.assertRegex(text, r"NAME +ENABLED +URGENCY +TARGET +BUDGET +BY")
        self.assertRegex(text, r"lamps +yes +high +tag == lab +4 +uid:0")
        self.assertIn("enabled              yes\n", self.daemon.fettle("rollout", "standing", "show", "lamps"))
        self.assertFalse(self.daemon.json("rollout", "standing", "disable", "1")["enabled"])
        for message, words in (("target: column", ["--target", "("]), ("lamps", ["--target", "all"]),
                               ("urgency", ["--target", "all", "--urgency", "soon"])):
            done = self.daemon.fettle("rollout", "standing", "add", "lamps", *words, ok=False)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(message, done.stderr)
        self.daemon.fettle("rollout", "standing", "remove", "lamps")
        self.assertEqual(self.daemon.json("rollout", "standing", "list")["items"], [])
        self.assertEqual(self.daemon.fettle("rollout", "standing", "show", "lamps", ok=False).returncode, 1)

    def test_policy_is_tried_on_a_manifest(self):
        rules = [{"name": "security", "if": {"cve": True}, "urgency": "critical"},
                 {"name": "big", "if": {"step": "first"}, "urgency": "low"}]
        self.policy(rules=rules)
        manifest = self.manifest(b"one", 4, self.key, version="4.0",
                                 more=("--text", "Closes CVE-2024-3094 in the updater."))
        shown = self.daemon.json("policy", "test", manifest)
        self.assertEqual((shown["urgency"], shown["urgency_by"]), ("critical", "rule security"))
        self.assertEqual([(i["evidence"], i["rule"], i["decides"]) for i in shown["items"]],
                         [("update-priority", None, False), ("urgency", None, False), ("rule", "security", True)])
        self.assertEqual(shown["items"][2]["says"], "CVE-2024-3094 is in the text")
        text = self.daemon.fettle("policy", "test", manifest)
        self.assertTrue(text.startswith("urgency critical, by rule security (policy in force)\n"), text)
        self.assertRegex(text, r"rule +security +yes +CVE-2024-3094 is in the text")
        proposed = self.write("proposed.json", json.dumps({"default_urgency": "low"}).encode())
        done = self.daemon.fettle("policy", "test", manifest, "--policy", proposed, ok=False)
        self.assertIn("no such manifest", done.stderr.replace("there is ", ""))
        self.daemon.fettle("release", "add", manifest)
        self.assertEqual(self.daemon.json("release", "show", "lamp-4.0")["urgency_by"], "rule security")
        shown = self.daemon.json("policy", "test", manifest, "--policy", proposed)
        self.assertEqual((shown["policy"], shown["urgency"], shown["urgency_by"]), ("proposed", "low", "default"))
        wrong = self.write("wrong.json", json.dumps({"rules": rules + [{"name": "x", "if": {"step": "huge"},
                                                                        "urgency": "low"}]}).encode())
        for words in (["check", wrong], ["check", wrong, "--service"], ["set", wrong]):
            done = self.daemon.fettle("policy", *words, ok=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("rules[2]: if: step: first, major, minor or patch", done.stderr)
        checked = self.daemon.json("policy", "check", "--service", proposed)
        self.assertEqual(checked, self.daemon.json("policy", "check", proposed))

    def test_held_back_until_let_in(self):
        """A stranger that policy holds is enrolled, is in no rollout, and why says so."""
        shown = self.policy(first_contact="hold", classes=[{"class": "lamp", "mode": "negotiated",
                                                            "contact_interval": 77}])
        self.assertEqual(shown["first_contact"], "hold")
        self.release(b"firmware", 5, version="5.0")
        name = "stranger"
        os.makedirs(self.path("state-" + name))
        process = subprocess.Popen(
            [harness.DEVICE, "--server", self.daemon.url("coap"), "--id", name, "--state",
             self.path("state-" + name), "--anchor", self.path("anchor.pem"), "--vendor", "example.com",
             "--class", "lamp", "--poll", "1", "--timeout", str(int(60 * harness.PATIENCE)), "--until-done"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def held():
            done = self.daemon.fettle("--json", "device", "show", name, ok=False)
            return done.returncode == 0 and json.loads(done.stdout)["held_back"]
        harness.wait_until("the stranger to come", held, 20)
        self.daemon.fettle("rollout", "create", "one", "--release", "lamp-5.0", "--target", "all", "--budget", "1")
        self.assertEqual(self.daemon.json("rollout", "show", "one")["counters"]["total"], 0)
        gates = self.daemon.json("device", "why", name)["gates"]
        self.assertEqual([(g["gate"], g["open"]) for g in gates], [("enrolment", False)])
        self.assertIn("fettle device approve", self.daemon.fettle("device", "why", name))
        self.assertIn("held_back            no\n", self.daemon.fettle("device", "approve", name))
        self.assertFalse(self.daemon.json("device", "approve", name)["held_back"])
        self.assertIn("enrolment        let in", self.daemon.fettle("device", "why", name))
        self.daemon.fettle("rollout", "start", "one")
        output, _ = process.communicate(timeout=90 * harness.PATIENCE)
        self.assertEqual(process.returncode, 0, output + self.daemon.tail())
        verbs = [a["verb"] for a in self.daemon.json("audit", "list")["items"] if a["object"] == name]
        self.assertEqual(verbs[:2], ["device.first-contact", "device.approve"])

    def test_a_second_pair_of_eyes(self):
        self.policy(release_approver=True)
        manifest = self.manifest(b"firmware", 6, self.key, version="6.0")
        self.daemon.fettle("release", "add", manifest, self.path("image-lamp-6.bin"))
        done = self.daemon.fettle("release", "approve", "lamp-6.0", ok=False)
        self.assertIn("somebody other than uid:0", done.stderr)
        for role, status, says in (("operator", 403, "an approver"), ("approver", 200, "token:approver")):
            token = self.daemon.json("token", "create", role, "--role", role)["token"]
            got, _, body = self.daemon.call("POST", "/api/v1/releases/lamp-6.0/approve", None,
                                            {"Authorization": "Bearer " + token})
            self.assertEqual(got, status, body)
            self.assertIn(says, body.decode())

    def test_two_operators_do_not_overwrite_each_other(self):
        status, headers, _ = self.daemon.call("GET", "/api/v1/policies/settings")
        self.assertEqual(status, 200)
        mine = {"If-Match": headers["ETag"]}
        status, after, _ = self.daemon.call("PUT", "/api/v1/policies/settings", {"contact_interval": 60}, mine)
        self.assertEqual(status, 200)
        status, _, _ = self.daemon.call("PUT", "/api/v1/policies/settings", {"contact_interval": 90}, mine)
        self.assertEqual(status, 412)
        status, now, _ = self.daemon.call("GET", "/api/v1/policies/settings")
        self.assertEqual(now["ETag"], after["ETag"])


if __name__ == "__main__":
    harness.main()
