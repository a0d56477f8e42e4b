# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""A rollout whose server dies, at named points and at random, with real processes and devices.

Each schedule is a fleet, a rollout with a small budget, phases and a pace, and a server that
dies by SIGKILL: its core at one of six points, then perhaps at another or at any time, its
parent, too. After each death and at the end an oracle reads the database that is left; and
each rollout comes to its end. FETTLE_SCHEDULES says how many (25; FETTLE_LONG=yes: 500),
FETTLE_SEED repeats a run, FETTLE_ONLY=N one of its schedules.
"""
import collections
import contextlib
import csv
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

import harness
import load
import oracle
import oracle_rollout

LONG = os.environ.get("FETTLE_LONG") == "yes"
SCHEDULES = int(os.environ.get("FETTLE_SCHEDULES", "500" if LONG else "25"))
ONLY = os.environ.get("FETTLE_ONLY")
AT_ONCE = int(os.environ.get("FETTLE_AT_ONCE", "12"))
PROGRAM = os.path.join(harness.BUILD, "tests", "system", "fettled_crash")
DEVICES, FLEET, LIVES = 6, 20, 4
SECONDS = 300 if LONG else 90
# How often a point is passed at most before it is died at.
POINTS = {"before reserve": 8, "after reserve": 8, "after offer": 10, "after report": 40,
          "in phase change": 1, "in abort": 1}
OVER = ("finished", "aborted")


def policy(silent):
    """Patient where nobody is silent: then only devices end their attempts."""
    wait = 4 if silent else 300
    return {"contact_interval": 1, "offer_timeout": wait, "decide_timeout": wait, "install_timeout": wait,
            "download_slack": wait, "min_rate": 1000000,
            "urgency": {"normal": {"retries": 1, "backoff_min": 0, "backoff_max": 0, "contact_interval": 1}}}


class Plan:
    """What happens in one schedule, all of it from the seed."""

    def __init__(self, seed, n):
        dice = self.dice = random.Random("%d/%d" % (seed, n))
        self.point = list(POINTS)[n % len(POINTS)]
        self.silent = dice.random() < 0.2
        self.abort = dice.uniform(0.1, 1.5) if self.point == "in abort" or dice.random() < 0.15 else None
        self.budget = dice.randint(4, 9)
        self.max_in_flight = dice.choice((0, 3, 5))
        self.per_minute = dice.choice((0, 600, 1500))
        self.phases = self.draw_phases(dice)
        self.fleet = dice.getrandbits(32)

    def draw_phases(self, dice):
        first = dice.choice(({"count": 3}, {"percent": 10}))
        middle = [{"percent": dice.choice((20, 50)), "success_percent": dice.choice((30, 50))}]
        if self.point != "in phase change" and dice.random() < 0.5:
            middle = []
        phases = [dict(first, success_percent=dice.choice((1, 30))), *middle, {"percent": 100}]
        if dice.random() < 0.3:
            phases[0]["soak_s"] = 1
        return phases

    def arming(self, point):
        self.armed = point
        return {"FETTLE_POINT": point, "FETTLE_PASSES": str(self.dice.randint(0, POINTS[point])),
                "FETTLE_COMMITTED": self.dice.choice(("yes", "no"))}

    def rollout(self, release):
        spec = {"name": "spring", "release": release, "target": "all", "budget": self.budget,
                "phases": self.phases}
        spec.update({k: getattr(self, k) for k in ("max_in_flight", "per_minute") if getattr(self, k)})
        return spec


class Device(load.Device):
    """Waits for the rollout, and remembers what it was offered."""

    def __init__(self, world, name, seed):
        super().__init__(world, name, seed)
        self.seen = world.seen[name]

    def turn(self):
        if self.number == 0:
            self.register()
        if not self.world.begun.wait(0.1):
            return
        offer = self.poll()
        if "update" in offer:
            self.follow(offer)
        elif self.random.random() < 0.2:
            self.report("idle")
        self.pause(0.1 + 0.3 * self.random.random())

    def poll(self):
        offer = super().poll()
        if "update" in offer:
            self.seen.add(offer["update"])
        return offer


class Boss(load.Asker):
    """The operator: makes the rollout, starts it, perhaps aborts it, and sees it to its end."""

    def __init__(self, world, plan, release):
        super().__init__(world, "operator", plan.fleet)
        self.plan, self.release, self.reason = plan, release, ""
        self.told = {}      # verb -> acknowledged
        self.over = threading.Event()

    def turn(self):
        plan = self.plan
        while sum(d["registered"] for d in self.get("/api/v1/devices?limit=500")["items"]) < DEVICES + FLEET:
            self.pause(0.1)
        self.post("/api/v1/rollouts", plan.rollout(self.release), "rollout", "spring")
        self.until(lambda r: r["state"] not in ("draft", "creating"))
        self.tell("start")
        self.world.begun.set()
        if plan.abort is not None:
            while plan.point != "in abort" and not self.world.died.is_set() and not self.ended():
                self.pause(0.05)
            self.until(lambda r: r["counters"]["in_flight"] > 0 or r["state"] != "running")
            self.pause(plan.abort)
            self.tell("abort", allow=(409,))
        self.follow()
        self.over.set()
        self.pause(1e9)

    def tell(self, verb, allow=()):
        """409: it has ended, or an answer was lost and its Idempotency-Key with it."""
        self.told[verb] = False
        headers = {"Idempotency-Key": "%032x" % self.random.getrandbits(128)}
        status, _, body = self.insist("POST", "/api/v1/rollouts/spring/" + verb, {}, headers)
        if status >= 300 and status not in allow:
            raise AssertionError("%s: %d %r" % (verb, status, body))
        self.told[verb] = status < 300

    def until(self, check):
        while not check(r := self.get("/api/v1/rollouts/spring")):
            self.pause(0.1)
        return r

    def ended(self):
        return self.get("/api/v1/rollouts/spring")["state"] != "running"

    def follow(self):
        """It finishes, or says why it went no further: then it is aborted, and all of it ends."""
        r = self.until(lambda r: r["state"] in OVER + ("paused",))
        if r["state"] == "paused":
            self.reason = r["reason"]
            if not self.reason:
                raise AssertionError("the rollout paused without a reason")
            self.tell("abort")
        n = self.until(lambda r: r["state"] in OVER and r["counters"]["ended"] == r["counters"]["total"])["counters"]
        if n["planned"] or n["in_flight"] or n["deferred"]:
            raise AssertionError("it is over: %s" % n)


class World(load.World):
    def __init__(self, daemon, ledger):
        super().__init__(daemon, ledger)
        self.seen = collections.defaultdict(set)
        self.begun, self.died = threading.Event(), threading.Event()


class Schedule:
    def __init__(self, seed, n, root, template):
        self.n, self.root, self.plan = n, os.path.join(root, "schedule-%d" % n), Plan(seed, n)
        os.mkdir(self.root)
        self.template = template
        self.daemon = harness.Daemon(self.root, tls=False)
        shutil.copytree(template["data"], self.daemon.data)
        self.give_data()
        self.daemon.program = PROGRAM
        self.ledger = oracle.Ledger()
        self.world = World(self.daemon, self.ledger)
        self.world.bytes = template["bytes"]
        self.log = oracle.FleetLog(os.path.join(self.root, "fleet.log"))
        self.counts = collections.Counter()
        self.began = time.monotonic()

    def give_data(self):
        harness.give(self.daemon.data)
        for folder, folders, files in os.walk(self.daemon.data):
            for name in folders + files:
                harness.give(os.path.join(folder, name))

    # -- who is there --

    def start_fleet(self):
        self.expected = os.path.join(self.root, "expected.csv")
        self.out = open(os.path.join(self.root, "fleet.out"), "wb")
        words = [harness.DEVICE, "--fleet", str(FLEET), "--auth-none", "--server", self.daemon.url("coap"),
                 "--seed", str(self.plan.fleet), "--modes", "client=40,negotiated=30,server=30", "--vendor",
                 "example.com", "--class", "lamp", "--version", "1.0", "--anchor", self.template["anchor"],
                 "--fail", "10%", "--defer", "10%", "--reject-share", "5%", "--roll-back-share", "5%",
                 "--loss", "3%", "--poll", "1", "--log", self.log.path, "--expect", self.expected,
                 "--attempts", "1000", "--timeout", "600"]
        if self.plan.silent:
            words += ["--silent", "10%"]
        self.fleet = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out)

    def start_load(self):
        dice = self.plan.dice
        self.boss = Boss(self.world, self.plan, self.template["release"])
        self.workers = [Device(self.world, "raw-%d" % i, dice.getrandbits(64)) for i in range(DEVICES)] + [self.boss]
        for w in self.workers:
            w.start()

    def stop_load(self):
        self.world.stop.set()
        for w in self.workers:
            w.join(30 * harness.PATIENCE)
        self.fleet.kill()
        self.fleet.wait()
        self.out.close()

    # -- lives and deaths --

    def prepare_life(self, life):
        """(where it dies, when): at a point, at any time, or not at all."""
        dice = self.plan.dice
        at = None
        if life == 0:
            self.daemon.environ = self.plan.arming(self.plan.point)
        elif life < LIVES and dice.random() < 0.25:
            self.daemon.environ = self.plan.arming(dice.choice(list(POINTS)))
        else:
            self.daemon.environ, self.plan.armed = {}, None
            if life < LIVES and dice.random() < 0.4:
                at = dice.uniform(0.05, 2.5), dice.choice(("core", "parent"))
        return at

    def live(self, at):
        """Until it dies: True, or the rollout is over: False."""
        began, dying = time.monotonic(), False
        while self.daemon.process.poll() is None:
            if self.boss.over.is_set() and not at:
                return dying
            self.look()
            if at and time.monotonic() - began >= at[0]:
                dying, at = self.kill(at[1]), None
            time.sleep(0.02)
        return True

    def look(self):
        if self.ledger.problems:
            raise AssertionError("; ".join(self.ledger.problems))
        if time.monotonic() - self.began > SECONDS * harness.PATIENCE:
            raise AssertionError("not over after %d s" % (SECONDS * harness.PATIENCE))

    def kill(self, name):
        pids = self.daemon.pids().get(name, [])
        if len(pids) == 1:
            os.kill(pids[0], signal.SIGKILL)
            self.counts["killed at any time: " + name] += 1
        return len(pids) == 1

    def died(self):
        if self.plan.armed:
            self.counts["killed %s%s" % (self.plan.armed, ", committed" if self.daemon.environ[
                "FETTLE_COMMITTED"] == "yes" else "")] += 1
        self.world.died.set()
        code = self.daemon.process.wait()
        if code == 0:
            raise AssertionError("the service ended well when one of it was killed")
        harness.wait_until("children to follow", lambda: not self.daemon.pids(), 10)
        self.daemon.process = None
        self.daemon.assert_no_report()
        self.check()

    def check(self):
        """The service is stopped."""
        self.log.read()
        snapshot = self.ledger.snapshot()
        seen = {name: set(u) for name, u in self.world.seen.items()}
        told = dict(self.boss.told)
        bad = oracle.check(self.daemon.data, snapshot, [self.log], late=self.plan.silent)
        with oracle.Copy(self.daemon.data, ("fettle.db",)) as copy:
            bad += oracle_rollout.check(copy) + oracle_rollout.check_seen(copy, seen)
            if not self.plan.silent:
                bad += oracle_rollout.check_whole(copy, snapshot)
            bad += self.check_told(copy, told)
        bad += self.ledger.problems
        self.counts["databases checked"] += 1
        if bad:
            raise AssertionError("%d wrong\n%s" % (len(bad), "\n".join(bad[:20])))

    def check_told(self, copy, told):
        """What the operator's commands did is there when they were acknowledged."""
        states = [d.split(":")[0].split(" ")[0] for (d,) in copy.rows(
            "SELECT detail FROM audit WHERE verb = 'rollout.state' AND object = 'spring'")]
        return ["%s was acknowledged, the rollout was %s" % (verb, states) for verb, state in
                (("start", "running"), ("abort", "aborted")) if told.get(verb) and state not in states]

    # -- all of it --

    def run(self):
        self.daemon.environ = {}
        life, at = 0, self.prepare_life(0)
        self.daemon.start()
        self.daemon.rest("PUT", "/api/v1/policies/settings", policy(self.plan.silent))
        self.start_fleet()
        self.start_load()
        while self.live(at):
            self.died()
            life += 1
            at = self.prepare_life(life)
            self.start_again()
        if life == 0:
            self.counts["over before it came " + self.plan.point] += 1
        if self.plan.armed:
            self.disarm()
        self.end()

    def start_again(self):
        """Where it is armed it may come to its point before it is ready: a job goes on at once."""
        try:
            self.daemon.start()
        except AssertionError:
            if not self.plan.armed or self.daemon.process.poll() is None:
                raise

    def disarm(self):
        """It has not come to the point, and is not to do so any more."""
        self.daemon.kill()
        self.check()
        self.daemon.environ, self.plan.armed = {}, None
        self.daemon.start()

    def end(self):
        state = self.daemon.rest("GET", "/api/v1/rollouts/spring")["state"]
        if state == "finished" and not self.plan.silent:
            self.check_expected()
        self.stop_load()
        self.daemon.stop()
        self.check()
        self.counts["rollouts %s%s" % (state, ", " + self.boss.reason.split(":")[0] if self.boss.reason else "")] += 1
        for what in ("reports", "decisions"):
            self.counts["acknowledged " + what] += self.ledger.counts["acknowledged " + what]
        self.counts["acknowledged by fleets"] += self.log.total()

    def check_expected(self):
        with open(self.expected) as f:
            want = {row["id"]: row["state"] for row in csv.DictReader(f)}
        have = {u["device"]: u for u in self.daemon.rest("GET", "/api/v1/updates?limit=500")["items"]}
        wrong = {i: (s, have.get(i)) for i, s in want.items() if have.get(i, {}).get("state") != s}
        if wrong:
            stories = [self.daemon.rest("GET", "/api/v1/updates/%d" % u["id"]) for _, u in wrong.values() if u]
            raise AssertionError("devices did not end as their seed says: %s\n%s" % (wrong, stories))

    def close(self):
        self.world.stop.set()
        if hasattr(self, "fleet"):
            self.fleet.kill()
            self.fleet.wait()
            self.out.close()
        for w in getattr(self, "workers", ()):
            w.join(30 * harness.PATIENCE)
        with contextlib.suppress(AssertionError):
            self.daemon.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def open_ones(self):
        """Whose updates have not ended, and why not."""
        ask = lambda path: self.daemon.rest("GET", "/api/v1/" + path)
        lines = [json.dumps(ask("rollouts/spring"))]
        for u in ask("updates?limit=500")["items"]:
            if u["state"] not in oracle.TERMINAL and u["state"] != "planned":
                lines.append("%s is %s: %s" % (u["device"], u["state"], json.dumps(ask("devices/%s/why" % u["device"]))))
                lines += ["    %s" % json.dumps(h) for h in ask("devices/%s/history" % u["device"])["items"]]
        return "\n".join(lines)

    def moves(self):
        with oracle.Copy(self.daemon.data, ("fettle.db",)) as copy:
            return "\n".join(map(str, copy.rows("SELECT id, upd, from_state, to_state, cause, at FROM history")))

    def story(self):
        why = ""
        with contextlib.suppress(Exception):
            why = self.open_ones()
        if self.plan.silent:
            why += self.moves()
        plan = {k: v for k, v in vars(self.plan).items() if k != "dice"}
        return "plan %s\n%s\n%s\n%s" % (plan, dict(self.counts), why, self.daemon.tail())


def run(seed, n, root, template):
    """One schedule, in a process of its own: its counts."""
    schedule = Schedule(seed, n, root, template)
    try:
        schedule.run()
        return schedule.counts
    except Exception as e:
        raise AssertionError("FETTLE_SEED=%d FETTLE_ONLY=%d: %s: %s\n%s" % (
            seed, n, type(e).__name__, e, schedule.story())) from None
    finally:
        schedule.close()


class Crash(harness.Case):
    options = {"tls": False}

    @classmethod
    def setUpClass(cls):
        if not os.path.exists(PROGRAM):
            subprocess.run(["make", "-s", "-C", harness.BUILD, "tests/system/fettled_crash"], check=True)

    def room(self):
        """SIGKILL leaves memory as it leaves a disk: where there is a file system in memory, fsync is no wait."""
        where = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 28 else None
        path = tempfile.mkdtemp(prefix="fettle-crash-", dir=where)
        self.addCleanup(shutil.rmtree, path)
        os.chmod(path, 0o711)
        return path

    def prepare(self):
        """What all schedules begin with: a release, and devices that are enrolled."""
        for i in range(DEVICES):
            self.daemon.rest("POST", "/api/v1/devices", {"id": "raw-%d" % i, "auth": "none"})
        path = self.path("enrol.ndjson")
        subprocess.run([harness.DEVICE, "--fleet", str(FLEET), "--auth-none", "--enroll-out", path], check=True)
        self.daemon.fettle("device", "import", path)
        image = self.random.randbytes(3000)
        key = self.author()
        release = self.release(image, 2, key=key, version="2.0")
        with open(self.path("manifest-lamp-2.suit"), "rb") as f:
            manifest = f.read()
        self.daemon.stop()
        return {"data": self.daemon.data, "release": release["id"], "anchor": self.path("anchor.pem"),
                "bytes": {harness.sha256(d): d for d in (image, manifest)}}

    def test_schedules(self):
        template, counts, room = self.prepare(), collections.Counter(), self.room()
        of = [int(ONLY)] if ONLY else range(SCHEDULES)
        began = time.monotonic()
        with ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("fork")) as pool:
            waiting = [pool.submit(run, self.seed, n, room, template) for n in of]
            try:
                for done in as_completed(waiting):
                    counts.update(done.result())
                    counts["schedules"] += 1
                    if counts["schedules"] % 50 == 0:
                        print("%d of %d" % (counts["schedules"], len(of)), flush=True)
            finally:
                for w in waiting:
                    w.cancel()
        print("\nseed %d, %d schedules in %.0f s" % (self.seed, len(of), time.monotonic() - began))
        for name, n in sorted(counts.items()):
            print("%8d %s" % (n, name))
        if not ONLY:
            for point in POINTS:
                killed = sum(n for k, n in counts.items() if k.startswith("killed " + point))
                self.assertGreater(killed, SCHEDULES // 12, point)
        self.assertGreater(counts["acknowledged by fleets"], 0)
        self.assertGreater(counts["acknowledged reports"], 0)


if __name__ == "__main__":
    harness.main()
