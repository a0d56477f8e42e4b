# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Was every offer due, as the history tells it: its rollout ran, its phase was open and had
room, its pace was kept? And is what each message did stored with it, or neither?

Another look at the rows of the copy that oracle.py looks at, in words of its own.
"""
import collections

from oracle import IN_FLIGHT, STEPS, TERMINAL, boots_of, by_server, dicts

# A clock is read once for all that one commit does; another reads a little later.
SLACK_MS = 3

Move = collections.namedtuple("Move", "id upd rollout from_state to_state cause at")


class Rollout:
    """A row, its phases, its updates and what became of them, in order."""

    def __init__(self, copy, row):
        self.row, self.name = row, row["name"]
        self.updates = {u["id"]: u for u in dicts(copy, "SELECT * FROM updates WHERE rollout = %d" % row["id"])}
        self.phases = dicts(copy, "SELECT * FROM phases WHERE rollout = %d ORDER BY number" % row["id"])
        self.moves = [Move(*r) for r in copy.rows(
            "SELECT h.id, h.upd, u.rollout, h.from_state, h.to_state, h.cause, h.at FROM history h"
            " JOIN updates u ON u.id = h.upd WHERE u.rollout = ? ORDER BY h.id", row["id"])]
        self.states = copy.rows("SELECT at, detail FROM audit WHERE verb = 'rollout.state' AND object = ?"
                                " ORDER BY id", self.name)
        self.bad = []

    def wrong(self, text, *values):
        self.bad.append("rollout %s: %s" % (self.name, text % values))

    def offers(self):
        return [m for m in self.moves if m.to_state == "offered"]

    def state_at(self, upd, at):
        last = [m.to_state for m in self.moves if m.upd == upd and m.at <= at]
        return last[-1] if last else "planned"

    def first_offer(self, upd):
        return next((m for m in self.offers() if m.upd == upd), None)

    # -- it ran --

    def check_running(self):
        """The audit log says when it ran; nothing was offered at other times."""
        spans, since = [], None
        for at, detail in self.states:
            running = detail.split(":")[0].split(" ")[0] == "running"
            if running and since is None:
                since = at
            elif not running and since is not None:
                spans.append((since, at))
                since = None
        if since is not None:
            spans.append((since, float("inf")))
        for m in self.offers():
            if not any(a - SLACK_MS <= m.at <= b + SLACK_MS for a, b in spans):
                self.wrong("update %d was offered while it did not run (history %d)", m.upd, m.id)

    # -- its phases --

    def members(self, number):
        return [u["id"] for u in self.updates.values() if u["phase"] == number]

    def size(self, p):
        return p["count"] or (self.row["total"] * p["percent"] + 99) // 100

    def check_counted(self, p, members):
        """What the phase's row counts is what its updates are."""
        of = [self.updates[u] for u in members]
        want = {"total": len(of), "done": sum(u["state"] in TERMINAL for u in of),
                "failed": sum(u["charged"] for u in of), "succeeded": sum(u["state"] == "succeeded" for u in of)}
        for k, v in want.items():
            if p[k] != v:
                self.wrong("phase %d: %s is %d, its updates say %d", p["number"], k, p[k], v)

    def check_joined(self, p, members, last):
        if not last and len(members) > self.size(p):
            self.wrong("phase %d: %d joined, it has room for %d", p["number"], len(members), self.size(p))
        for u in members:
            first = self.first_offer(u)
            if first is None:
                continue
            if not p["opened"] or first.at < p["opened"] - SLACK_MS:
                self.wrong("update %d was offered before its phase %d opened", u, p["number"])
            if not last and p["closed"] and first.at > p["closed"] + SLACK_MS:
                self.wrong("update %d was offered after its phase %d had closed", u, p["number"])

    def check_passed(self, p, members, following):
        """The next one opened behind one that was over, soaked, and good enough."""
        at = following["opened"]
        if not at:
            return
        if not p["closed"] or at < p["closed"] + p["soak_s"] * 1000 - SLACK_MS:
            self.wrong("phase %d opened at %d, the one before closed at %d, its soak is %d s",
                       following["number"], at, p["closed"], p["soak_s"])
        states = [self.state_at(u, at) for u in members]
        if any(s not in TERMINAL for s in states):
            self.wrong("phase %d opened while one of the phase before was not done: %s", following["number"], states)
        if states.count("succeeded") * 100 < (p["success_percent"] or 100) * len(states):
            self.wrong("phase %d opened, of the one before: %s, %d %% are asked for",
                       following["number"], states, p["success_percent"])

    def check_phases(self):
        for m in self.offers():
            if not self.updates[m.upd]["phase"]:
                self.wrong("update %d was offered and is in no phase", m.upd)
        for i, p in enumerate(self.phases):
            members, last = self.members(p["number"]), i + 1 == len(self.phases)
            self.check_counted(p, members)
            self.check_joined(p, members, last)
            if not last:
                self.check_passed(p, members, self.phases[i + 1])

    # -- its pace --

    def check_pace(self):
        most, flying = self.row["max_in_flight"], set()
        for m in self.moves:
            (flying.add if m.to_state in IN_FLIGHT else flying.discard)(m.upd)
            if most and m.to_state == "offered" and len(flying) > most:
                self.wrong("update %d was offered as number %d in flight of %d", m.upd, len(flying), most)
        if not self.row["per_minute"]:
            return
        gap, offers = 60000 // self.row["per_minute"], self.offers()
        for a, b in zip(offers, offers[1:]):
            if b.at - a.at < gap - SLACK_MS:
                self.wrong("updates %d and %d were offered %d ms apart, its pace is %d",
                           a.upd, b.upd, b.at - a.at, gap)


def check(copy):
    bad = []
    for row in dicts(copy, "SELECT * FROM rollouts"):
        r = Rollout(copy, row)
        r.check_running()
        r.check_phases()
        r.check_pace()
        bad += r.bad
    return bad


# -- what devices saw and said --

def noted(boots, boot, counter):
    """Is this message among those that the device's row has noted?"""
    if boot not in boots:
        return False
    high, window = boots[boot]
    return 0 <= high - counter < 64 and bool(window >> (high - counter) & 1)


def check_whole(copy, snapshot):
    """Of each word a message is noted and moved its update, or neither: acknowledged or not.

    For updates that the server ended no attempt of by itself: nobody was late."""
    rows = {r[0]: boots_of(r[1]) for r in copy.rows("SELECT d.id, l.boots FROM devices d JOIN device_live l USING (dev)")}
    went = collections.defaultdict(collections.Counter)
    for m in copy.rows("SELECT upd, from_state, to_state, cause FROM history"):
        if not m[3].startswith("deferred(server)"):
            went[m[0]][m[2]] += 1
        if m[2] == "failed" or (m[2] == "planned" and "failed" in m[3]):
            went[m[0]]["a failure"] += 1
    bad = []
    for name, said in snapshot.devices.items():
        boots, seen = rows.get(name, {}), collections.defaultdict(collections.Counter)
        for (boot, counter), (_, m) in said.items():
            if m.update and m.word:
                seen[m.update][m.word] += noted(boots, boot, counter)
        for update, words in seen.items():
            for word in STEPS + ("failed",):
                n = went[update]["a failure" if word == "failed" else word]
                if n != words[word]:
                    bad.append("update %d of %s: %s is noted %d times, and moved it %d times"
                               % (update, name, word, words[word], n))
    return bad


def check_seen(copy, seen):
    """An offer that a device read is in the history: {device: {update}}."""
    there = set(copy.rows("SELECT DISTINCT d.id, h.upd FROM history h JOIN updates u ON u.id = h.upd"
                          " JOIN devices d ON d.dev = u.dev WHERE h.to_state = 'offered'"))
    return ["%s was offered update %d, and nobody knows of it" % (name, u)
            for name, updates in seen.items() for u in updates if (name, u) not in there]
