# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""A fleet in all three modes, over CoAP and CoAPS, some of which fail, defer, refuse or fall
silent, with losses: every device ends in the state that the seed says.

A small one here; with FETTLE_LONG=yes 10,000 devices, 5,000 sessions, and an image of 256 KiB:
some 15 minutes, most of them until those that fell silent have timed out. FETTLE_DEVICES says how
many of either form.
"""
import collections
import csv
import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import harness

LONG = os.environ.get("FETTLE_LONG") == "yes"
DEVICES = int(os.environ.get("FETTLE_DEVICES", 10000 if LONG else 300))
# more devices speak DTLS than may have a session, by their own limit and by the server's; those
# that fetch by themselves find room: 60 % of 80 %
DTLS = 60
SESSIONS = DEVICES // 2
SERVER_SESSIONS = DEVICES * 49 // 100
IMAGE = 256 << 10 if LONG else 8 << 10
SECONDS = 3000 if LONG else 240
MODES = "client=50,negotiated=30,server=20"
POLICY = {
    "contact_interval": 60 if LONG else 3,
    "min_rate": 2048 if LONG else 8192,
    # longer than it takes to find out that a session is gone (RFC 7252's 93 s), four times
    "download_slack": 450 if LONG else 100,
    "offer_timeout": 300 if LONG else 100,
    "decide_timeout": 300 if LONG else 100,
    "urgency": {"normal": {"retries": 0, "contact_interval": 30 if LONG else 3}},
}


def memory(daemon):
    """Proportional set size of each process, KiB."""
    found = {}
    for name, pids in daemon.pids().items():
        for pid in pids:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                found[name] = found.get(name, 0) + sum(
                    int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return found


class Fleet(harness.Case):
    options = {"limits": "dtls_sessions = %d\n" % SERVER_SESSIONS}

    def enrol(self, *how):
        lines = subprocess.run([harness.DEVICE, "--fleet", str(DEVICES), "--enroll-out", "-", *how],
                               check=True, capture_output=True, text=True).stdout.splitlines()

        devices = [json.loads(line) for line in lines]
        path = self.path("fleet.ndjson")
        with open(path, "w") as f:
            for device in devices:
                auth = "credential" if "psk" in device else "none"
                f.write(json.dumps({"id": device["id"], "auth": auth}) + "\n")
        self.daemon.fettle("device", "import", path)

        def give(device):
            self.daemon.rest("POST", "/api/v1/devices/%s/credentials" % device["id"],
                             {"kind": "psk", "key": device["psk"]})

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(give, (d for d in devices if "psk" in d)))

    def pages(self, path):
        cursor = ""
        while True:
            page = self.daemon.rest("GET", "%s?limit=500%s" % (path, cursor))
            yield from page["items"]
            if not page.get("next"):
                return
            cursor = "&cursor=%s" % page["next"]

    def figure(self, name):
        text = self.daemon.rest("GET", "/metrics", raw=True).decode()
        return int(re.search(r"^fettle_%s (\d+)$" % name, text, re.M).group(1))

    def watch(self, fleet):
        """Until the fleet ends: the most memory, and the most sessions, that were seen."""
        most, sessions = {}, 0
        while fleet.poll() is None:
            used = memory(self.daemon)
            if sum(used.values()) > sum(most.values()):
                most = used
            sessions = max(sessions, self.figure("dtls_sessions"))
            time.sleep(2)
        return most, sessions

    def registered(self):
        return sum(d["registered"] for d in self.pages("/api/v1/devices"))

    def test_every_device_ends_as_the_seed_says(self):
        with open(self.path("policy.json"), "w") as f:
            json.dump(POLICY, f)
        self.daemon.fettle("policy", "set", self.path("policy.json"))
        master = self.write("master", self.random.randbytes(16).hex().encode())
        how = ["--seed", str(self.seed), "--server", self.daemon.url("coap"),
               "--dtls", "%d%%" % DTLS, "--modes", MODES, "--psk-file", master]
        self.enrol(*how)
        began = time.monotonic()
        release = self.release(self.random.randbytes(IMAGE), 2, version="2.0")
        expected = self.path("expected.csv")
        fleet = subprocess.Popen(
            [harness.DEVICE, "--fleet", str(DEVICES), *how, "--dtls-port", str(self.daemon.coaps_port),
             "--sessions", str(SESSIONS), "--vendor", "example.com", "--class", "lamp", "--version", "1.0",
             "--anchor", self.path("anchor.pem"), "--fail", "2%", "--defer", "10%", "--silent", "1%",
             "--reject-share", "1%", "--roll-back-share", "1%", "--loss", "5%", "--expect", expected,
             "--timeout", str(int(SECONDS * harness.PATIENCE))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(fleet.wait)
        self.addCleanup(fleet.kill)
        harness.wait_until("all to register", lambda: self.registered() == DEVICES, SECONDS)
        self.daemon.fettle("rollout", "create", "spring", "--release", str(release["id"]), "--target", "all",
                           "--budget", str(DEVICES))
        self.daemon.fettle("rollout", "start", "spring")
        used, sessions = self.watch(fleet)
        output, errors = fleet.communicate()
        ended = time.monotonic()
        with open(expected) as f:
            want = {row["id"]: row["state"] for row in csv.DictReader(f)}
        self.assertEqual(len(want), DEVICES)
        have = {}
        wrong = lambda: {i: (want[i], have.get(i)) for i in want if have.get(i) != want[i]}

        def settled():
            have.update((u["device"], u["state"]) for u in self.pages("/api/v1/updates"))
            return not wrong()

        try:
            harness.wait_until("every device in its state", settled, 1300 if LONG else 240)
        except AssertionError:
            some = dict(sorted(wrong().items())[:20])
            why = self.daemon.fettle("device", "why", next(iter(some)), ok=False).stdout
            self.fail("seed %d: %d are not as expected, among them %s\n%s\n%s%s%s" % (
                self.seed, len(wrong()), some, why, output, errors, self.daemon.tail()))
        self.assertEqual(fleet.returncode, 0, output + errors)
        summary = json.loads(output)
        self.assertLessEqual(summary["sessions_open"], SESSIONS)
        self.assertGreater(summary["sessions_closed"], 0)
        self.assertLessEqual(sessions, SERVER_SESSIONS)
        evicted = self.figure("dtls_evicted_total")
        self.assertGreater(evicted, 0)
        print("\nnote: %d devices, seed %d: all as expected after %.0f s, those that speak after %.0f s: %s\n"
              "note: fettled: at most %d KiB (PSS) %s, %d DTLS sessions, %d evicted\n"
              "note: %s" % (
                  DEVICES, self.seed, time.monotonic() - began, ended - began,
                  dict(collections.Counter(have.values())), sum(used.values()), used, sessions, evicted,
                  output.strip()))


if __name__ == "__main__":
    harness.main()
