# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Windows: what operators say and see, the daemon's sandbox included."""
import datetime
import re

import harness


class Windows(harness.Case):
    def setUp(self):
        super().setUp()
        for name in ("lamp-1", "lamp-2"):
            self.daemon.fettle("device", "add", name, "--model", "lamp")

    def refused(self, message, *words):
        done = self.daemon.fettle(*words, ok=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(message, done.stderr)

    def test_add_list_remove(self):
        text = self.daemon.fettle("window", "add", "class", "lamp", "Sat,Sun 01:00-05:00 Europe/Berlin")
        self.assertRegex(text, r"^ID +LEVEL +OF +KIND +RRULE +STARTS +ZONE +SECONDS +BY\n"
                               r"1 +class +lamp +window +FREQ=WEEKLY;BYDAY=SU,SA +20000103T010000 +Europe/Berlin "
                               r"+14400 +uid:\d+\n$")
        added = self.daemon.json("window", "add", "device", "lamp-1", "--rrule", "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24",
                                 "--zone", "America/New_York", "--duration", "3d", "--blackout")["items"]
        self.assertEqual(len(added), 1)
        self.assertEqual({k: added[0][k] for k in ("id", "level", "ref", "blackout", "reported", "zone", "duration")},
                         {"id": 2, "level": "device", "ref": "lamp-1", "blackout": True, "reported": False,
                          "zone": "America/New_York", "duration": 259200})
        two = self.daemon.json("window", "add", "device", "lamp-2", "daily 01:00-02:00,22:00-06:00 UTC")["items"]
        self.assertEqual([w["duration"] for w in two], [3600, 28800])
        self.assertEqual(len(self.daemon.json("window", "list")["items"]), 4)
        self.assertEqual([w["id"] for w in self.daemon.json("window", "list", "--level", "device", "--ref",
                                                             "lamp-2")["items"]], [3, 4])
        self.assertIn("black-out", self.daemon.fettle("window", "list", "--level", "device", "--ref", "lamp-1"))
        self.assertEqual(self.daemon.fettle("window", "remove", "2"), "")
        self.refused("there is no such window", "window", "remove", "2")
        verbs = [a["verb"] for a in self.daemon.json("audit", "list")["items"]]
        self.assertEqual([v for v in verbs if "window" in v or "black-out" in v],
                         ["window.add", "black-out.add", "window.add", "window.add", "black-out.remove"])

    def test_what_is_wrong_is_named(self):
        add = ("window", "add", "device", "lamp-1")
        for message, words in (
                ("window, column 1: a day was expected", ["Never 01:00-02:00 UTC"]),
                ("window, column 5: there is no such time of the day", ["Sat 25:00-02:00 UTC"]),
                ('zone: "Europe/Atlantis" is no IANA time zone', ["Sat 01:00-02:00 Europe/Atlantis"]),
                ("rrule, column 6: FREQ is", ["--rrule", "FREQ=SECONDLY", "--zone", "UTC", "--duration", "1h"]),
                ("rrule: it comes to nothing", ["--rrule", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "--zone", "UTC",
                                                "--duration", "1h"]),
                ("either window in its short form, or", ["--rrule", "FREQ=DAILY"])):
            self.refused(message, *add, *words)
        self.refused("level: device, group, class or rollout", "window", "add", "planet", "x", "daily 01:00-02:00 UTC")
        self.refused("there is no such device", "window", "add", "device", "nobody", "daily 01:00-02:00 UTC")
        self.refused("device or expr", "window", "next", "model ==") if False else None
        self.refused("expr: ", "window", "next", "model ==")
        self.assertEqual(self.daemon.json("window", "list"), {"items": []})

    def test_next(self):
        self.assertRegex(self.daemon.fettle("window", "next", "lamp-1"),
                         r"^DEVICE +OPEN FROM +UNTIL\nlamp-1 +always +-\n$")
        self.daemon.fettle("window", "add", "class", "lamp", "daily 01:00-05:00 UTC")
        self.daemon.fettle("window", "add", "device", "lamp-2", "daily 03:00-06:00 UTC")
        text = self.daemon.fettle("window", "next", "model == lamp", "--count", "2")
        rows = [re.split(r"  +", line) for line in text.splitlines()]
        self.assertEqual([r[0] for r in rows], ["DEVICE", "lamp-1", "lamp-1", "lamp-2", "lamp-2"])
        self.assertIn("count: 1 to 32", self.daemon.fettle("window", "next", "lamp-2", "--count", "0", ok=False).stderr)
        one = self.daemon.json("window", "next", "lamp-2", "--count", "3")["items"]
        self.assertEqual(len(one), 1)
        self.assertFalse(one[0]["always"])
        for span in one[0]["openings"][1:]:
            begin, end = (datetime.datetime.fromisoformat(span[k].replace("Z", "+00:00")) for k in ("from", "until"))
            self.assertEqual((begin.hour, begin.minute), (3, 0))
            self.assertEqual((end - begin).total_seconds(), 7200)
        self.assertEqual(len(self.daemon.json("window", "next", "all", "--count", "1")["items"]), 2)
        self.daemon.fettle("window", "add", "device", "lamp-2", "daily 06:00-07:00 UTC", "--blackout")
        self.daemon.fettle("window", "add", "device", "lamp-1", "daily 00:00-24:00 UTC", "--blackout")
        self.assertRegex(self.daemon.fettle("window", "next", "lamp-1"), r"\nlamp-1 +never +-\n$")

    def test_they_outlive_a_restart(self):
        self.daemon.fettle("window", "add", "device", "lamp-1", "daily 02:30-03:30 Australia/Lord_Howe")
        before = self.daemon.json("window", "list")
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.daemon.json("window", "list"), before)
        self.assertEqual(len(self.daemon.json("window", "next", "lamp-1")["items"][0]["openings"]), 5)


if __name__ == "__main__":
    harness.main()
