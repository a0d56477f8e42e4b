# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""kill -9 of every process at random instants, under load of everything at once.

FETTLE_KILLS says how often (100; FETTLE_LONG=yes: 2000), FETTLE_SEED repeats a run's choices.
"""
import contextlib
import json
import os
import signal
import subprocess
import time

import harness
import load
import oracle

KILLS = int(os.environ.get("FETTLE_KILLS", "2000" if os.environ.get("FETTLE_LONG") == "yes" else "100"))
DEVICES, FLEET, BUDGET = 16, 6, 10
TARGETS = ("front", "front", "control", "keys", "checkpointer", "core", "core", "parent")


class Kill(harness.Case):
    options = {"limits": "upload_quota = 64M"}

    def setUp(self):
        super().setUp()
        self.ledger = oracle.Ledger()
        self.world = load.World(self.daemon, self.ledger)
        self.times = {name: [] for name in set(TARGETS)}
        self.programs, self.fleets, self.fronts = {}, {}, 0

    # -- what there is before the first kill --

    def prepare(self):
        daemon = self.daemon
        daemon.rest("PUT", "/api/v1/policies/settings", {
            "contact_interval": 1,
            "urgency": {"normal": {"retries": 1, "backoff_min": 0, "backoff_max": 0, "contact_interval": 1}}})
        for role in ("operator", "author", "viewer"):
            token = daemon.rest("POST", "/api/v1/tokens", {"name": role, "role": role})["token"]
            self.world.tokens[role] = token
        for i in range(DEVICES):
            daemon.rest("POST", "/api/v1/devices", {"id": "load-%d" % i, "auth": "none", "tags": ["load"]})
        key = self.author()
        self.goods = []
        for n in range(2 + KILLS // 8):
            image = self.random.randbytes(self.random.randint(5000, 40000))
            with open(self.manifest(image, n + 2, key, version="%d.0" % (n + 2)), "rb") as f:
                self.goods.append((image, f.read()))
        self.enrol_fleet("report-", "--auth-none", tags=[])
        master = self.write("master", self.random.randbytes(16).hex().encode())
        self.enrol_fleet("dtls-", "--psk-file", master, tags=["load"])
        self.master = master

    def enrol_fleet(self, prefix, *how, tags):
        path = self.path(prefix + "enrol.ndjson")
        subprocess.run([harness.DEVICE, "--fleet", str(FLEET), "--prefix", prefix, "--vendor", "example.com",
                        "--class", "lamp", "--enroll-out", path, *how], check=True, capture_output=True)
        with open(path) as f:
            lines = [json.loads(line) for line in f]
        for line in lines:
            self.daemon.rest("POST", "/api/v1/devices",
                             {"id": line["id"], "auth": "credential" if "psk" in line else "none", "tags": tags})
            if "psk" in line:
                self.daemon.rest("POST", "/api/v1/devices/%s/credentials" % line["id"],
                                 {"kind": "psk", "key": line["psk"]})

    def start_fleet(self, prefix, *how):
        log = self.fleets.setdefault(prefix, oracle.FleetLog(self.path(prefix + "log")))
        with open(self.path(prefix + "out"), "ab") as out:
            program = subprocess.Popen(
                [harness.DEVICE, "--fleet", str(FLEET), "--prefix", prefix, "--vendor", "example.com", "--class",
                 "lamp", "--log", log.path, "--anchor", self.path("anchor.pem"), *how],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.programs[prefix] = (how, program, self.fronts)

    def keep_fleets(self):
        """Those whose updates are over begin again, as other boots.

        So do those on DTLS whose front died: a server that lost its sessions is silent to
        their records, and without this they would find out after the minute of RFC 7252.
        """
        for prefix, (how, program, fronts) in list(self.programs.items()):
            if program.poll() is None and prefix == "dtls-" and fronts != self.fronts:
                program.kill()
                program.wait()
            if program.poll() is not None:
                self.start_fleet(prefix, *how)

    def start_load(self):
        seed = self.random.getrandbits
        workers = [load.Device(self.world, "load-%d" % i, seed(64)) for i in range(DEVICES)]
        workers += [load.Operator(self.world, "op%d" % i, seed(64)) for i in range(2)]
        workers += [load.Uploader(self.world, "uploader", seed(64)), load.Downloader(self.world, "downloader", seed(64)),
                    load.Manager(self.world, seed(64), self.goods, BUDGET, "tag in (load)"),
                    load.Watcher(self.world, "watcher", seed(64))]
        for w in workers:
            w.start()
        daemon = self.daemon
        self.start_fleet("report-", "--server", daemon.url("coap"), "--load", "reports", "--auth-none",
                         "--window", "2", "--seconds", "86400")
        self.start_fleet("dtls-", "--server", daemon.url("coaps"), "--psk-file", self.master, "--poll", "1",
                         "--version", "1.0", "--seed", str(seed(32)))
        self.workers = workers
        self.addCleanup(self.stop_load)

    def stop_load(self):
        self.world.stop.set()
        for w in self.workers:
            w.join(30 * harness.PATIENCE)
        for _, program, _ in self.programs.values():
            program.kill()
            program.wait()
        self.programs = {}

    # -- kills --

    def fail_with(self, bad):
        if bad:
            self.fail("seed %d, after %d kills: %d wrong\n%s\n%s" % (
                self.seed, self.ledger.counts["kills"], len(bad), "\n".join(bad[:20]), self.daemon.tail()))

    def check(self, images=False):
        """The service is stopped: what is stored is what was acknowledged."""
        for fleet in self.fleets.values():
            fleet.read()
        bad = oracle.check(self.daemon.data, self.ledger.snapshot(), self.fleets.values(), images)
        for fleet in self.fleets.values():
            fleet.read()
        self.fail_with(bad + self.ledger.problems)
        self.ledger.count("databases checked")

    def kill(self, name):
        pids = self.daemon.pids().get(name, [])
        if len(pids) != 1:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pids[0], signal.SIGKILL)
        self.ledger.count("kills")
        self.ledger.count("kills of " + name)
        self.fronts += name not in ("control", "keys", "checkpointer")
        return pids[0]

    def kill_child(self, name):
        """A front, control, keys or checkpointer: the others go on, and it comes back."""
        core = self.daemon.pids()["core"]
        old = self.kill(name)
        began = time.monotonic()
        if name == "control":
            harness.wait_until("the front to answer without control", lambda: load.answers(self.daemon.coap_port), 5)
        else:
            # operators go on at once, on a socket of their own
            harness.wait_until("control to answer without %s" % name, self.control_answers, 2)
        harness.wait_until("another %s" % name, lambda: self.daemon.pids().get(name, [old]) != [old], 10)
        harness.wait_until("CoAP after the death of %s" % name, lambda: load.answers(self.daemon.coap_port), 10)
        harness.wait_until("control after the death of %s" % name, self.control_answers, 10)
        self.times[name].append(time.monotonic() - began)
        self.assertEqual(self.daemon.pids()["core"], core, "the core ended when %s did" % name)

    def control_answers(self):
        try:
            return self.daemon.call("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def kill_service(self, name):
        """Core or parent: the service ends by itself; then, as the unit would, again."""
        self.kill(name)
        self.over(name)
        self.again(name)

    def over(self, name):
        code = self.daemon.process.wait(10 * harness.PATIENCE)
        self.assertNotEqual(code, 0, "without its %s the service ended well" % name)
        harness.wait_until("children to follow", lambda: not self.daemon.pids(), 5)
        self.daemon.process = None
        self.check(self.ledger.counts["databases checked"] % 10 == 0)

    def again(self, name):
        """Start; one time in five something dies on the way."""
        if self.random.random() < 0.2:
            self.half_start()
        began = time.monotonic()
        self.daemon.start()
        self.times[name].append(time.monotonic() - began)

    def half_start(self):
        name, wait = self.random.choice(("core", "parent", "front")), self.random.random() * 0.4
        with open(self.daemon.log, "ab") as log:
            self.daemon.process = subprocess.Popen(
                harness.WRAP + [harness.FETTLED, "-c", self.daemon.config], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        time.sleep(wait)
        if self.kill(name) is None or name == "front":
            # not there yet, or outlived: all of it, then
            os.killpg(self.daemon.process.pid, signal.SIGKILL)
        self.ledger.count("kills while starting")
        self.over(name)

    def test_kills(self):
        self.prepare()
        self.start_load()
        while self.ledger.counts["kills"] < KILLS:
            self.keep_fleets()
            time.sleep(self.random.expovariate(1 / 0.4) * harness.PATIENCE)
            name = self.random.choice(TARGETS)
            (self.kill_service if name in ("core", "parent") else self.kill_child)(name)
            self.fail_with(self.ledger.problems)
        self.finish()

    def finish(self):
        time.sleep(1)
        self.stop_load()
        self.assertTrue(self.daemon.json("audit", "verify")["whole"])
        self.daemon.stop()
        self.check(images=True)
        fleet = sum(f.total() for f in self.fleets.values())
        print("\nseed %d" % self.seed)
        for name, n in sorted(self.ledger.counts.items()):
            print("%8d %s" % (n, name))
        print("%8d acknowledged by fleets" % fleet)
        for name, t in sorted(self.times.items()):
            if t:
                t.sort()
                print("ready again after %-8s n=%d median %.0f ms, 95%% %.0f ms, longest %.0f ms" % (
                    name, len(t), 1000 * t[len(t) // 2], 1000 * t[int(len(t) * 0.95)], 1000 * t[-1]))
        counts = self.ledger.counts
        for what in ("reports", "registrations", "decisions", "uploads", "operator POSTs"):
            self.assertGreater(counts["acknowledged " + what], 0, what)
        self.assertGreater(fleet, 0)
        self.assertGreater(counts["downloads"], 0)


if __name__ == "__main__":
    harness.main()
