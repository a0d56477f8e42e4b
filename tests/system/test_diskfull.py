# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""A full disk: reading goes on, writes are refused with a time to come back, nothing is lost.

data_dir is a tmpfs of its own, so this needs the right to mount one.
"""
import contextlib
import json
import os
import subprocess
import time
import unittest

import cbor
import coap
import harness
import load
import oracle

SIZE = "24m"


class Full(harness.Case):
    start = False

    def setUp(self):
        if os.getuid() != 0:
            raise unittest.SkipTest("mounting needs root")
        super().setUp()
        os.mkdir(self.daemon.data, 0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0700,size=" + SIZE, "fettle", self.daemon.data],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise unittest.SkipTest("no tmpfs can be mounted: " + done.stderr.strip())
        # before the folder is removed, after the daemon has stopped
        stop = self._cleanups.pop()
        self.addCleanup(subprocess.run, ["umount", self.daemon.data], check=True)
        self._cleanups.append(stop)
        harness.give(self.daemon.data)
        self.ledger = oracle.Ledger()
        self.world = load.World(self.daemon, self.ledger)

    # -- the disk --

    @property
    def filler(self):
        return os.path.join(self.daemon.data, "filler")

    def fill(self, leave=0):
        """To the last byte, or but for some."""
        with open(self.filler, "ab") as f, contextlib.suppress(OSError):
            while True:
                stat = os.statvfs(self.daemon.data)
                room = stat.f_bavail * stat.f_frsize - leave
                if room <= 0:
                    break
                os.posix_fallocate(f.fileno(), f.tell(), min(room, 1 << 20))
                f.seek(0, os.SEEK_END)

    def make_room(self):
        os.unlink(self.filler)

    # -- what is said to it --

    def client(self):
        c = coap.Client(self.daemon.coap_port, timeout=2 * harness.PATIENCE)
        self.addCleanup(c.close)
        return c

    def say(self, client, device, method, path, **body):
        """One message of a device: (code, Max-Age, members)."""
        key = body["boot"], body["counter"]
        kind = "registration" if method == coap.PUT else "report"
        message = oracle.Message(kind, word=body.get("state", ""), number=body.get("attributes", {}).get("n", 0))
        self.ledger.sending(device, *key, message)
        answer = client.ask(coap.Message.request(method, "device/%s%s" % (device, path),
                                                 [(coap.CONTENT_FORMAT, coap.uint(60))], cbor.message(**body)))
        if answer.code >> 5 == 2:
            said = cbor.named(answer.payload)
            self.ledger.answered(device, *key, said.get("duplicate", False) if kind == "report" else None)
            return coap.code(answer.code), None, said
        return coap.code(answer.code), answer.uint_option(coap.MAX_AGE), None

    def report(self, client, device, counter, boot=7):
        return self.say(client, device, coap.POST, "/report", boot=boot, counter=counter, state="idle")

    def refused(self, method, path, body=None, headers=None):
        status, got, data = self.daemon.call(method, path, body, headers)
        self.assertIn(status, (503, 507), "%s %s: %r" % (method, path, data))
        self.assertGreater(int(got["Retry-After"]), 0)
        return status

    def reading_works(self, client, image):
        answer = client.get("device/load-1/update")
        self.assertEqual(coap.code(answer.code), "2.05")
        self.assertEqual(client.fetch("/image/" + harness.sha256(image)), image)
        for path in ("/api/v1/devices/load-1", "/api/v1/rollouts", "/healthz", "/metrics"):
            self.assertEqual(self.daemon.call("GET", path)[0], 200, path)
        self.assertEqual(self.daemon.rest("GET", "/api/v1/images/%s/content" % harness.sha256(image), raw=True), image)

    def check(self):
        self.daemon.stop()
        bad = oracle.check(self.daemon.data, self.ledger.snapshot(), images=True) + self.ledger.problems
        self.assertEqual(bad, [], self.daemon.tail())

    def test_full_and_back(self):
        self.daemon.start()
        for i in range(4):
            self.daemon.rest("POST", "/api/v1/devices", {"id": "load-%d" % i, "auth": "none"})
        image = self.random.randbytes(100000)
        self.release(image, 1, publish=True)
        self.ledger.image(harness.sha256(image), True)
        client = self.client()
        for i in range(4):
            code, _, _ = self.say(client, "load-%d" % i, coap.PUT, "", boot=7, counter=1, attributes={"n": 1})
            self.assertEqual(code[0], "2")
        core = self.daemon.pids()["core"]

        self.fill()
        refused, counter = 0, 1
        while refused < 20:
            counter += 1
            self.assertLess(counter, 20000, "the disk never got full")
            code, retry, _ = self.report(client, "load-%d" % (counter % 4), counter)
            self.assertIn(code, ("2.04", "2.05", "5.03"))
            if code == "5.03":
                self.assertGreater(retry, 0)
                refused += 1
        self.reading_works(client, image)
        self.refused("POST", "/api/v1/devices", {"id": "late", "auth": "none"})
        self.assertEqual(self.refused("POST", "/api/v1/images", self.random.randbytes(300000)), 507)
        self.assertNotEqual(self.daemon.call("GET", "/readyz")[0], 200)
        code, _, _ = self.say(client, "load-1", coap.PUT, "", boot=7, counter=counter + 1, attributes={"n": 2})
        self.assertEqual(code, "5.03")
        self.reading_works(client, image)

        self.make_room()
        began = time.monotonic()
        harness.wait_until("writes to work again",
                           lambda: self.report(client, "load-2", counter + 2)[0][0] == "2", 5)
        print("writes work again after %.0f ms" % (1000 * (time.monotonic() - began)))
        self.daemon.rest("POST", "/api/v1/devices", {"id": "late", "auth": "none"})
        self.assertEqual(self.daemon.call("GET", "/readyz")[0], 200)
        again = self.random.randbytes(300000)
        self.daemon.rest("POST", "/api/v1/images", again)
        self.ledger.image(harness.sha256(again), True)
        self.assertEqual(self.daemon.pids()["core"], core, "the core was started again")
        # what was refused is taken now, what was acknowledged is known
        for i in range(4):
            for said, (acked, message) in sorted(self.ledger.snapshot().devices["load-%d" % i].items()):
                if message.kind == "report" and said[1] > counter - 60:
                    code, _, members = self.report(client, "load-%d" % i, said[1])
                    self.assertEqual((code[0], members.get("duplicate", False)), ("2", acked))
        self.check()

    def test_filled_while_busy(self):
        """It fills and empties under load, at any moment: no acknowledgement is ever taken back."""
        self.daemon.start()
        for role in ("operator", "author", "viewer"):
            self.world.tokens[role] = self.daemon.rest("POST", "/api/v1/tokens", {"name": role, "role": role})["token"]
        workers = []
        for i in range(4):
            self.daemon.rest("POST", "/api/v1/devices", {"id": "load-%d" % i, "auth": "none"})
            workers.append(load.Device(self.world, "load-%d" % i, self.random.getrandbits(64)))
        uploader = load.Uploader(self.world, "uploader", self.random.getrandbits(64))
        uploader.KEPT = 6
        workers.append(uploader)
        for w in workers:
            w.start()
        for _ in range(12):
            time.sleep(0.3 * self.random.random() * harness.PATIENCE)
            self.fill(self.random.choice((0, 4096, 40960, 200000)))
            time.sleep(0.5 * self.random.random() * harness.PATIENCE)
            self.make_room()
            self.assertEqual(self.ledger.problems, [], self.daemon.tail())
        time.sleep(1 * harness.PATIENCE)
        before = self.ledger.counts["acknowledged reports"], self.ledger.counts["acknowledged uploads"]
        harness.wait_until("reports and uploads to go on", lambda: all(
            now > then for now, then in zip((self.ledger.counts["acknowledged reports"],
                                             self.ledger.counts["acknowledged uploads"]), before)), 10)
        self.world.stop.set()
        for w in workers:
            w.join(30 * harness.PATIENCE)
        print(json.dumps(self.ledger.counts))
        self.assertGreater(self.ledger.counts["answers 5.03"], 0)
        self.check()

    def test_import_waits(self):
        """A disk that fills amid an import delays it, no more."""
        self.daemon.start()
        jobs = []
        for n in range(3):
            lines = "".join('{"id": "d-%d-%d", "tags": ["a"]}\n' % (n, i) for i in range(1500))
            jobs.append(self.daemon.rest("POST", "/api/v1/devices/import", lines.encode(),
                                         {"Content-Type": "application/x-ndjson"})["job"]["id"])
            self.fill(self.random.choice((0, 4096, 40960)))
            status = self.daemon.call("POST", "/api/v1/devices/import", b'{"id": "x"}\n',
                                      {"Content-Type": "application/x-ndjson"})[0]
            self.assertIn(status, (202, 422, 503, 507))
            time.sleep(0.3 * harness.PATIENCE)
            self.make_room()
            harness.wait_until("the import's end", lambda: self.daemon.rest(
                "GET", "/api/v1/jobs/%d" % jobs[-1])["state"] != "running", 20)
        for j in jobs:
            job = self.daemon.rest("GET", "/api/v1/jobs/%d" % j)
            self.assertEqual((job["state"], job["done"], job["errors"]), ("done", 1500, []), self.daemon.tail())
        self.daemon.rest("GET", "/api/v1/devices/d-2-1499")

    def test_full_at_start(self):
        """Started on a full disk it serves what can be read."""
        self.daemon.start()
        self.daemon.rest("POST", "/api/v1/devices", {"id": "load-1", "auth": "none"})
        image = self.random.randbytes(50000)
        self.release(image, 1, publish=True)
        self.reading_works(self.client(), image)
        self.daemon.stop()
        self.fill()
        self.daemon.start()
        self.reading_works(self.client(), image)
        self.refused("POST", "/api/v1/devices", {"id": "late", "auth": "none"})
        self.make_room()
        harness.wait_until("a device to be enrolled", lambda: self.daemon.call(
            "POST", "/api/v1/devices", {"id": "late", "auth": "none"})[0] == 201, 5)


if __name__ == "__main__":
    harness.main()
