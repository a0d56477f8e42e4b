# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""What was sent, what was acknowledged, and whether a database agrees.

A ledger is written before a message is sent and after its final answer came. For any
database of the service then: acknowledged is in stored, stored is in sent, each once.
"""
import collections
import contextlib
import hashlib
import os
import shutil
import sqlite3
import tempfile
import threading

IN_FLIGHT = ("offered", "accepted", "downloading", "downloaded", "installing", "rebooting", "confirming")
TERMINAL = ("succeeded", "failed", "rejected", "timed-out", "rolled-back", "cancelled", "superseded", "expired")
# What a device says step by step; each moves an update exactly once an attempt.
STEPS = ("accepted", "deferred", "rejected", "downloading", "downloaded", "installing", "rebooting", "succeeded")
WINDOW = 64
BOOTS = 4


class Message:
    """One thing a device said, under one (boot, counter)."""

    def __init__(self, kind, update=0, word="", number=0):
        self.kind, self.update, self.word, self.number = kind, update, word, number
        self.times, self.acked = 0, False


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.devices = collections.defaultdict(dict)    # id -> {(boot, counter): Message}
        self.objects = {}                               # (kind, name) -> acknowledged?
        self.images = {}                                # digest -> acknowledged?
        self.problems = []
        self.counts = collections.Counter()

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] += n

    # -- devices --

    def sending(self, device, boot, counter, message):
        with self.lock:
            self.devices[device].setdefault((boot, counter), message).times += 1

    def answered(self, device, boot, counter, duplicate):
        """The final answer came. duplicate: None where the answer does not tell."""
        with self.lock:
            m = self.devices[device][(boot, counter)]
            if duplicate is False and m.acked:
                self.problems.append("%s: %d/%d (%s) was acknowledged, and then taken anew"
                                     % (device, boot, counter, m.word or m.kind))
            if duplicate and m.times == 1:
                self.problems.append("%s: %d/%d (%s) was sent once and called a duplicate"
                                     % (device, boot, counter, m.word or m.kind))
            if not m.acked:
                self.counts["acknowledged " + m.kind + "s"] += 1
            m.acked = True

    # -- operators --

    def wanted(self, kind, name):
        with self.lock:
            self.objects.setdefault((kind, name), False)

    def made(self, kind, name):
        with self.lock:
            if not self.objects.get((kind, name)):
                self.counts["acknowledged operator POSTs"] += 1
            self.objects[(kind, name)] = True

    def image(self, digest, acked):
        with self.lock:
            if acked and not self.images.get(digest):
                self.counts["acknowledged uploads"] += 1
            self.images[digest] = acked or self.images.get(digest, False)

    def forget_image(self, digest):
        with self.lock:
            del self.images[digest]

    def snapshot(self):
        with self.lock:
            return Snapshot({d: {k: (m.acked, m) for k, m in said.items()}
                             for d, said in self.devices.items()}, dict(self.objects), dict(self.images))


class Snapshot:
    def __init__(self, devices, objects, images):
        self.devices, self.objects, self.images = devices, objects, images


class FleetLog:
    """The log of fettle-device --log: "sent|acked ID BOOT COUNTER WORD"."""

    def __init__(self, path):
        self.path, self.offset = path, 0
        self.sent = collections.defaultdict(set)
        self.acked = collections.defaultdict(set)

    def read(self):
        with contextlib.suppress(FileNotFoundError), open(self.path, "rb") as f:
            f.seek(self.offset)
            data = f.read()
            whole = data.rfind(b"\n") + 1
            self.offset += whole
            for line in data[:whole].decode().splitlines():
                what, device, boot, counter = line.split()[:4]
                (self.sent if what == "sent" else self.acked)[device].add((int(boot), int(counter)))

    def total(self):
        return sum(map(len, self.acked.values()))


class Copy:
    """A copy of the databases of a service that is not running."""

    def __init__(self, data, names=("fettle.db", "images.db")):
        self.folder = tempfile.mkdtemp(prefix="fettle-copy-", dir=os.path.dirname(data))
        self.open = {}
        for name in names:
            for suffix in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(os.path.join(data, name + suffix), os.path.join(self.folder, name + suffix))
            db = sqlite3.connect(os.path.join(self.folder, name))
            # the order of versions plays no part in what is asked here
            db.create_collation("version", lambda a, b: (a > b) - (a < b))
            self.open[name] = db

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for db in self.open.values():
            db.close()
        shutil.rmtree(self.folder)

    def rows(self, sql, *values, db="fettle.db"):
        return self.open[db].execute(sql, values).fetchall()

    def sound(self):
        bad = []
        for name, db in self.open.items():
            # 3.40's integrity_check reports indexes under a collation it cannot know: none is
            for pragma in ("integrity_check", "foreign_key_check"):
                rows = [r for r in db.execute("PRAGMA " + pragma) if r[0] != "ok"]
                bad += ["%s: %s: %s" % (name, pragma, r) for r in rows[:5]]
        return bad


def u64(b):
    return int.from_bytes(b, "big")


def boots_of(blob):
    """device_live.boots: {boot: (highest counter, 64 bits below and with it)}."""
    return {u64(blob[i:i + 8]): (u64(blob[i + 8:i + 16]), u64(blob[i + 16:i + 24]))
            for i in range(0, len(blob), 24)}


def check_counters(name, blob, acked, sent):
    """Acknowledged (boot, counter) pairs are noted, and nothing that was never sent."""
    kept, bad = boots_of(blob), []
    for boot, counter in acked:
        if boot not in kept:
            # only the last boots are kept: older ones may have gone
            if len(kept) < BOOTS:
                bad.append("%s: boot %d of an acknowledged message is not known" % (name, boot))
            continue
        high, window = kept[boot]
        back = high - counter
        if back < 0 or (back < WINDOW and not window >> back & 1):
            bad.append("%s: acknowledged %d/%d is lost (highest %d)" % (name, boot, counter, high))
    for boot, (high, window) in kept.items():
        for back in range(WINDOW):
            if window >> back & 1 and (boot, high - back) not in sent:
                bad.append("%s: %d/%d is stored and was never sent" % (name, boot, high - back))
    return bad


def check_devices(copy, snapshot):
    """Counters, and the number that each registration carries."""
    rows = {r[0]: r[1:] for r in copy.rows(
        "SELECT d.id, d.registered, l.boots, a.number FROM devices d LEFT JOIN device_live l USING (dev)"
        " LEFT JOIN device_attributes a ON a.dev = d.dev AND a.reported = 1 AND a.name = 'n'")}
    bad = []
    for name, said in snapshot.devices.items():
        acked = [k for k, (done, _) in said.items() if done]
        if name not in rows:
            bad += ["%s: the device is gone" % name] if acked else []
            continue
        registered, boots, number = rows[name]
        bad += check_counters(name, boots or b"", acked, said)
        least = max((m.number for done, m in said.values() if done and m.kind == "registration"), default=0)
        most = max((m.number for _, m in said.values() if m.kind == "registration"), default=0)
        if least and not registered:
            bad.append("%s: its registration is lost" % name)
        if not least <= (number or 0) <= most:
            bad.append("%s: registration %s is stored, %d was acknowledged, %d sent" % (name, number, least, most))
    return bad


def check_fleet(copy, fleet):
    rows = dict(copy.rows("SELECT d.id, l.boots FROM devices d JOIN device_live l USING (dev)"))
    bad = []
    for name, acked in fleet.acked.items():
        bad += check_counters(name, rows.get(name) or b"", acked, fleet.sent[name])
    return bad


def check_objects(copy, snapshot):
    """What an operator was told was made is there, once, with one row in the audit log."""
    tables = {"device": ("SELECT id FROM devices", "device.add"),
              "group": ("SELECT name FROM device_groups", "group.add"),
              "rollout": ("SELECT name FROM rollouts", "rollout.create"),
              "release": ("SELECT name FROM releases", "release.add")}
    audit = collections.Counter(copy.rows("SELECT verb, object FROM audit"))
    bad = []
    for kind, (sql, verb) in tables.items():
        there = collections.Counter(r[0] for r in copy.rows(sql))
        for (k, name), acked in snapshot.objects.items():
            if k != kind:
                continue
            if there[name] > 1 or there[name] < acked:
                bad.append("%s %s is there %d times, acknowledged: %s" % (kind, name, there[name], acked))
            if audit[(verb, name)] != there[name]:
                bad.append("%s %s: %d rows of %s" % (kind, name, audit[(verb, name)], verb))
    return bad


def check_images(copy, snapshot):
    """Completed uploads are sealed, and their bytes are what their name says."""
    bad = []
    known = {r[0]: r[1] for r in copy.rows("SELECT digest, size FROM images")}
    for name, acked in snapshot.images.items():
        if acked and bytes.fromhex(name) not in known:
            bad.append("image %s was acknowledged and is not there" % name)
    for digest, size in known.items():
        found = copy.rows("SELECT id, size FROM objects WHERE state = 'sealed' AND digest = ?", digest, db="images.db")
        if len(found) != 1 or found[0][1] != size:
            bad.append("image %s: objects %s, %d bytes" % (digest.hex(), found, size))
            continue
        h, n = hashlib.sha256(), 0
        first = found[0][0] << 24
        for (chunk,) in copy.open["images.db"].execute(
                "SELECT bytes FROM chunks WHERE id >= ? AND id < ? ORDER BY id", (first, first + (1 << 24))):
            h.update(chunk)
            n += len(chunk)
        if h.digest() != digest or n != size:
            bad.append("image %s: %d bytes that hash to %s" % (digest.hex(), n, h.hexdigest()))
    return bad


# -- updates: the list, the history, and the figures made of them --

Step = collections.namedtuple("Step", "id prev upd from_state to_state inferred late cause")


def by_server(step):
    """A time it granted and could not keep: nobody said that but the server."""
    return step.cause.startswith("deferred(server)")


def check_chain(update, steps):
    """History without a gap or a doubled move, ending where the update is."""
    bad, state, last = [], "planned", 0
    for s in steps:
        if s.from_state != state or s.prev != last:
            bad.append("update %d: history %d goes on from %s (after %d), not %s (after %d)"
                       % (update["id"], s.id, s.from_state, s.prev, state, last))
        if s.from_state == s.to_state and not by_server(s):
            bad.append("update %d: history %d goes nowhere (%s)" % (update["id"], s.id, s.to_state))
        state, last = s.to_state, s.id
    if state != update["state"]:
        bad.append("update %d is %s, its history ends %s" % (update["id"], update["state"], state))
    return bad


def check_said(update, steps, said):
    """Each acknowledged word moved the update once; nothing moved it that was not said."""
    bad = []
    went = collections.Counter(s.to_state for s in steps if not by_server(s))
    tries = sum(1 for s in steps if s.to_state == "planned" and "failed" in s.cause) + went["failed"]
    for word in STEPS + ("failed",):
        of = [(acked, m) for acked, m in said if m.word == word and m.update == update["id"]]
        least, most = sum(1 for acked, _ in of if acked), len(of)
        n = tries if word == "failed" else went[word]
        if not least <= n <= most:
            bad.append("update %d: %s %d times, %d acknowledged, %d sent" % (update["id"], word, n, least, most))
    for s in steps:
        # a device that has booted says so itself: nobody confirms in between
        booted = (s.from_state, s.to_state) == ("rebooting", "succeeded")
        if s.late or s.inferred != booted:
            bad.append("update %d: %s -> %s was inferred or late" % (update["id"], s.from_state, s.to_state))
    if update["attempt"] != 1 + tries - went["failed"]:
        bad.append("update %d: attempt %d after %d failures" % (update["id"], update["attempt"], tries))
    offers = 1 + tries - went["failed"] + went["deferred"]
    if went["offered"] > offers:
        bad.append("update %d: offered %d times, %d have a cause" % (update["id"], went["offered"], offers))
    return bad


def charged(before, state, fetched):
    if state == "succeeded":
        return False
    return before or state in ("failed", "rolled-back") or (state == "timed-out" and fetched)


def by_itself(step):
    """A device went on after its slot was taken back: a fact, which no reservation can forbid."""
    return step.late or (step.to_state in IN_FLIGHT and step.from_state not in IN_FLIGHT
                         and step.to_state != "offered")


def check_budget(rollout, updates, steps, late=False):
    """Replay: failed + in_flight stays within the budget after every single move.

    late: but for facts of devices that were given up; nothing is offered beyond it all the same."""
    state = {u: "planned" for u in updates}
    blame = dict.fromkeys(updates, False)
    failed = flying = 0
    for s in steps:
        before = failed + flying
        flying += (s.to_state in IN_FLIGHT) - (state[s.upd] in IN_FLIGHT)
        now = charged(blame[s.upd], s.to_state, updates[s.upd]["manifest_fetched"])
        failed += now - blame[s.upd]
        blame[s.upd], state[s.upd] = now, s.to_state
        beyond = failed + flying > max(rollout["budget"], before)
        if beyond and not (late and by_itself(s)):
            return ["rollout %s: %d failed, %d in flight, budget %d, by history %d, update %d: %s -> %s (%s)"
                    % (rollout["name"], failed, flying, rollout["budget"], s.id, s.upd, s.from_state,
                       s.to_state, s.cause)]
    return []


def check_figures(rollout, updates):
    """The rollout's counters are what its updates say."""
    n = collections.Counter(u["state"] for u in updates.values())
    want = {"planned": n["planned"], "deferred": n["deferred"], "succeeded": n["succeeded"],
            "timed_out": n["timed-out"], "in_flight": sum(n[s] for s in IN_FLIGHT),
            "ended": sum(n[s] for s in TERMINAL), "failed": sum(u["charged"] for u in updates.values())}
    bad = ["rollout %s: %s is %d, its updates say %d" % (rollout["name"], k, rollout[k], v)
           for k, v in want.items() if rollout[k] != v]
    if rollout["state"] not in ("draft", "creating") and rollout["total"] != len(updates):
        bad.append("rollout %s: total %d of %d updates" % (rollout["name"], rollout["total"], len(updates)))
    for u in updates.values():
        if u["reserved"] != (u["state"] in IN_FLIGHT):
            bad.append("update %d is %s, reserved %d" % (u["id"], u["state"], u["reserved"]))
    return bad


def dicts(copy, sql):
    cursor = copy.open["fettle.db"].execute(sql)
    names = [c[0] for c in cursor.description]
    return [dict(zip(names, row)) for row in cursor]


def check_updates(copy, snapshot, late):
    updates = {u["id"]: u for u in dicts(copy, "SELECT u.*, d.id AS device FROM updates u JOIN devices d USING (dev)")}
    steps = [Step(*r) for r in copy.rows(
        "SELECT id, prev, upd, from_state, to_state, inferred, late, cause FROM history ORDER BY id")]
    of_update = collections.defaultdict(list)
    for s in steps:
        of_update[s.upd].append(s)
    bad = []
    for u in updates.values():
        bad += check_chain(u, of_update[u["id"]])
        if u["device"] in snapshot.devices and not late:
            bad += check_said(u, of_update[u["id"]], snapshot.devices[u["device"]].values())
    for r in dicts(copy, "SELECT * FROM rollouts"):
        mine = {u["id"]: u for u in updates.values() if u["rollout"] == r["id"]}
        bad += check_figures(r, mine)
        bad += check_budget(r, mine, [s for s in steps if s.upd in mine], late)
    return bad


def check_audit(copy):
    """The chain: each row carries the hash of the one before."""
    last, bad = None, []
    for ident, prev, own in copy.rows("SELECT id, prev, hash FROM audit ORDER BY id"):
        if last is not None and prev != last:
            bad.append("audit row %d does not follow the one before" % ident)
        last = own
    return bad


def check(data, snapshot, fleets=(), images=False, late=False):
    """Everything, on a service that is stopped. Returns what is wrong, as sentences.

    late: attempts of devices that say each step may have been given up all the same."""
    names = ("fettle.db", "images.db") if images else ("fettle.db",)
    with Copy(data, names) as copy:
        bad = copy.sound()
        bad += check_devices(copy, snapshot) + check_objects(copy, snapshot) + check_updates(copy, snapshot, late)
        bad += check_audit(copy)
        for fleet in fleets:
            bad += check_fleet(copy, fleet)
        if images:
            bad += check_images(copy, snapshot)
    return bad
