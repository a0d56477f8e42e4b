# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Load that survives its server: devices, operators, uploads and downloads in threads.

Everybody repeats what was not answered until it is, and writes to the oracle's ledger
before sending and after the final answer.
"""
import base64
import contextlib
import http.client
import json
import random
import threading
import time
import uuid

import cbor
import coap
import harness
from oracle import Message

VENDOR = uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")
CLASS = uuid.uuid5(VENDOR, "lamp")


class Stopped(Exception):
    pass


class Worker(threading.Thread):
    """A thread of load; what it trips over becomes a problem of the ledger."""

    def __init__(self, world, name, seed):
        super().__init__(name=name, daemon=True)
        self.world, self.ledger = world, world.ledger
        self.random = random.Random(seed)

    def run(self):
        try:
            while not self.world.stop.is_set():
                self.turn()
        except Stopped:
            pass
        except Exception as e:      # the test must fail, not only this thread
            self.ledger.problem("%s: %s: %s" % (self.name, type(e).__name__, e))
        finally:
            self.close()

    def close(self):
        pass

    def pause(self, seconds):
        if self.world.stop.wait(seconds):
            raise Stopped


class World:
    """What all the load knows of: the service, the ledger, the bytes that are right."""

    def __init__(self, daemon, ledger):
        self.daemon, self.ledger = daemon, ledger
        self.stop = threading.Event()
        self.bytes = {}             # hex digest -> what it must be
        self.tokens = {}
        self.fail, self.defer, self.reject = 0.12, 0.08, 0.02


class Device(Worker):
    """One device on plain CoAP that does what its update asks, one message after the other."""

    def __init__(self, world, name, seed):
        super().__init__(world, name, seed)
        self.client = coap.Client(world.daemon.coap_port, timeout=0.4 * harness.PATIENCE)
        self.boot, self.counter = self.random.randrange(1, 1 << 62), 0
        self.number, self.version = 0, 1
        self.early = self.random.random() < 0.5     # names its versions when it registers

    def close(self):
        self.client.close()

    def turn(self):
        if self.number == 0 or self.random.random() < 0.1:
            self.register()
        offer = self.poll()
        if "update" in offer:
            self.follow(offer)
        else:
            self.report("idle")
            self.pause(self.random.random() * 0.1)

    # -- one exchange --

    def send(self, message):
        with contextlib.suppress(ConnectionError):
            self.client.send(message)

    def answer_to(self, message):
        end = time.monotonic() + self.client.timeout
        while (left := end - time.monotonic()) > 0:
            answer = self.client.receive(left)
            if answer is None:
                time.sleep(0.01)    # nobody there: the error comes at once
            elif answer.token == message.token and (answer.type != coap.ACK or answer.code):
                if answer.type == coap.CON:
                    self.send(coap.Message(coap.ACK, 0, answer.mid, b""))
                return answer
        return None

    def exchange(self, method, path, options=(), payload=b"", before=lambda: None):
        """Until it is answered, by the same message again or by another one."""
        while True:
            message = coap.Message.request(method, path, options, payload)
            for _ in range(self.random.randint(1, 3)):
                if self.world.stop.is_set():
                    raise Stopped
                before()
                self.send(message)
                answer = self.answer_to(message)
                if answer is None:
                    self.ledger.count("messages unanswered")
                    continue
                if coap.code(answer.code) == "5.03":
                    self.ledger.count("answers 5.03")
                    self.pause(0.02 + 0.1 * self.random.random())
                    break
                return answer

    # -- what devices say --

    def say(self, method, path, kind, body, refusable=False, **what):
        """A message with a counter. The answer's members; None when refused with 4.09."""
        self.counter += 1
        key = (self.boot, self.counter)
        payload = cbor.message(boot=self.boot, counter=self.counter, **body)
        message = Message(kind, **what)
        duplicate = None
        for again in (False, True):
            answer = self.exchange(method, "device/%s%s" % (self.name, path), payload=payload,
                                   options=[(coap.CONTENT_FORMAT, coap.uint(60))],
                                   before=lambda: self.ledger.sending(self.name, *key, message))
            if answer.code >> 5 != 2:
                if refusable and coap.code(answer.code) == "4.09" and not again:
                    return None
                raise AssertionError("%s %s: %s %r" % (path, body, coap.code(answer.code), answer.payload))
            said = cbor.named(answer.payload)
            if kind != "registration":
                duplicate = said.get("duplicate", False)
            self.ledger.answered(self.name, *key, duplicate)
            if again or self.random.random() > 0.15:
                break
            # acknowledged, and said once more: it must be known
            self.ledger.count("acknowledged, sent again")
        return said

    def register(self, components=None, **what):
        self.number += 1
        body = {"vendor_id": VENDOR.bytes, "class_id": CLASS.bytes, "attributes": {"n": self.number}}
        if components:
            body["components"] = components
        self.say(coap.PUT, "", "registration", body, number=self.number, **what)

    def report(self, state, update=None, word=None, **more):
        body = dict(more, state=state)
        if update:
            body["update"] = update
        self.say(coap.POST, "/report", "report", body, update=update or 0,
                 word=state if word is None else word)

    def poll(self):
        answer = self.exchange(coap.GET, "device/%s/update" % self.name)
        if coap.code(answer.code) != "2.05":
            raise AssertionError("update: %s %r" % (coap.code(answer.code), answer.payload))
        self.ledger.count("polls")
        return cbor.named(answer.payload)

    def fetch(self, uri, digest):
        """All blocks, in any order; every byte is compared."""
        right = self.world.bytes[digest.hex()]
        szx = self.random.choice((4, 5, 6))
        size = 16 << szx
        blocks = list(range((len(right) + size - 1) // size))
        if self.random.random() < 0.3:
            self.random.shuffle(blocks)
        for n in blocks:
            answer = self.exchange(coap.GET, uri, [(coap.BLOCK2, coap.block(n, 0, szx))])
            for _ in range(5):
                # a new front or core does not know yet whose address this is; where commits are
                # slow another one may have come before the question is asked again
                if coap.code(answer.code) != "4.04":
                    break
                self.poll()
                self.ledger.count("sessions made known again")
                answer = self.exchange(coap.GET, uri, [(coap.BLOCK2, coap.block(n, 0, szx))])
            if coap.code(answer.code) != "2.05":
                raise AssertionError("%s block %d: %s" % (uri, n, coap.code(answer.code)))
            if answer.payload != right[n * size:(n + 1) * size]:
                raise AssertionError("%s block %d: wrong bytes" % (uri, n))
            self.ledger.count("blocks")
        self.ledger.count("downloads")

    # -- an update --

    def decide(self, update, decision, word, **more):
        return self.say(coap.POST, "/decision", "decision", dict(more, update=update, decision=decision),
                        refusable=True, update=update, word=word)

    def follow(self, offer):
        update, dice = offer["update"], self.random.random()
        world = self.world
        if dice < world.reject:
            self.decide(update, "reject", "rejected")
            return
        if dice < world.reject + world.defer:
            self.decide(update, "defer", "deferred", until=1)
            self.pause(1.0)
            return
        if not self.decide(update, "accept", "accepted"):
            return
        self.fetch(offer["manifest_uri"], offer["manifest_digest"])
        self.report("downloading", update)
        for image in offer["images"]:
            self.fetch(image["uri"], image["digest"])
        self.report("downloading", update, word="progress", progress=99)
        self.report("downloaded", update)
        self.report("installing", update)
        if self.random.random() < world.fail:
            self.report("failed", update, failure="install")
            return
        self.report("rebooting", update)
        self.boot, self.counter = self.random.randrange(1, 1 << 62), 0
        installed = [{"version": offer["version"], "sequence": offer["sequence"],
                      "digest": offer["images"][0]["digest"]}]
        if self.early:
            self.register(installed, update=update, word="succeeded")
        else:
            self.register()
            self.report("succeeded", update, components=installed)


class Asker(Worker):
    """Speaks HTTP, on the control socket or the network, and repeats what got no answer."""

    def ask(self, method, path, body=None, headers=None, lane="control"):
        """(status, headers, body), or None when the connection broke."""
        headers = dict(headers or {})
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if lane == "control":
            connection = harness.UnixConnection(self.world.daemon.socket)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.world.daemon.http_port)
            headers["Authorization"] = "Bearer " + self.world.tokens[lane]
        connection.timeout = 5 * harness.PATIENCE
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            self.ledger.count("requests unanswered")
            return None
        finally:
            connection.close()

    def insist(self, method, path, body=None, headers=None, lane="control"):
        """Until an answer comes that is final: neither "busy" nor "full"."""
        while True:
            answer = self.ask(method, path, body, headers, lane)
            if answer and answer[0] not in (503, 507):
                return answer
            self.pause(0.02 + 0.05 * self.random.random())

    def post(self, path, body, kind=None, name=None, lane="control"):
        """A POST with a key of its own: whatever is cut, it happens once. The answer's body."""
        headers = {"Idempotency-Key": "%032x" % self.random.getrandbits(128)}
        if kind:
            self.ledger.wanted(kind, name)
        status, _, first = self.insist("POST", path, body, headers, lane)
        if status >= 300:
            raise AssertionError("POST %s: %d %r" % (path, status, first))
        if kind:
            self.ledger.made(kind, name)
        if self.random.random() < 0.2:
            again, _, second = self.insist("POST", path, body, headers, lane)
            if (again, second) != (status, first):
                raise AssertionError("POST %s repeated: %d %r, at first %d %r" % (path, again, second, status, first))
            self.ledger.count("acknowledged, sent again")
        return json.loads(first)

    def get(self, path, lane="control"):
        status, _, body = self.insist("GET", path, lane=lane)
        if status != 200:
            raise AssertionError("GET %s: %d %r" % (path, status, body))
        return json.loads(body)

    # -- images --

    def put_image(self, data, lane="control", resumable=False):
        digest = harness.sha256(data)
        self.world.bytes[digest] = data
        self.ledger.image(digest, False)
        if resumable:
            self.put_parts(data, lane)
        else:
            proof = "sha-256=:%s:" % base64.b64encode(bytes.fromhex(digest)).decode()
            status, _, body = self.insist("POST", "/api/v1/images", data, {"Repr-Digest": proof}, lane)
            if status not in (200, 201) or json.loads(body)["digest"] != digest:
                raise AssertionError("POST image: %d %r" % (status, body))
        self.ledger.image(digest, True)
        return digest

    def put_parts(self, data, lane):
        digest = harness.sha256(data)
        while True:
            status, headers, body = self.insist("POST", "/api/v1/images", b"",
                                                {"Upload-Complete": "?0", "Upload-Length": str(len(data))}, lane)
            if status != 201:
                raise AssertionError("POST images: %d %r" % (status, body))
            if self.send_parts(data, digest, headers["Location"], lane):
                return

    def send_parts(self, data, digest, place, lane):
        """False: the upload was finished by a request whose answer was lost, or is gone."""
        while True:
            status, headers, body = self.insist("HEAD", place, lane=lane)
            if status == 404:
                return self.has(digest, lane)
            offset = int(headers["Upload-Offset"])
            part = data[offset:offset + self.random.randint(1, 100000)]
            last = offset + len(part) == len(data)
            answer = self.ask("PATCH", place, part, {
                "Upload-Offset": str(offset), "Upload-Complete": "?1" if last else "?0",
                "Content-Type": "application/partial-upload"}, lane)
            if answer is None:
                self.pause(0.02)
            elif answer[0] in (200, 201) and last:
                if json.loads(answer[2])["digest"] != digest:
                    raise AssertionError("upload %s: %r" % (place, answer[2]))
                return True
            elif answer[0] not in (200, 201, 204, 404, 409, 503, 507):
                raise AssertionError("PATCH %s: %d %r" % (place, answer[0], answer[2]))

    def has(self, digest, lane):
        return self.insist("GET", "/api/v1/images/" + digest, lane=lane)[0] == 200


class Operator(Asker):
    """Enrols devices and makes groups, on both lanes."""

    def turn(self):
        lane = self.random.choice(("control", "operator"))
        name = "%s-%08x" % (self.name, self.random.getrandbits(32))
        if self.random.random() < 0.6:
            self.post("/api/v1/devices", {"id": name, "auth": "none"}, "device", name, lane)
        else:
            self.post("/api/v1/groups", {"name": name}, "group", name, lane)
        self.pause(self.random.random() * 0.1)


class Uploader(Asker):
    """Hands images in, whole or in parts, and takes old ones back."""
    KEPT = 50

    def __init__(self, *of):
        super().__init__(*of)
        self.own = []

    def turn(self):
        data = self.random.randbytes(self.random.randint(1, 300000))
        self.own.append(self.put_image(data, self.random.choice(("control", "author")), self.random.random() < 0.5))
        if len(self.own) > self.KEPT:
            self.remove(self.own.pop(self.random.randrange(self.KEPT // 2)))
        self.pause(self.random.random() * 0.6)

    def remove(self, digest):
        self.ledger.forget_image(digest)
        status, _, body = self.insist("DELETE", "/api/v1/images/" + digest)
        if status not in (204, 404):
            raise AssertionError("DELETE image: %d %r" % (status, body))
        self.ledger.count("images removed")


class Downloader(Asker):
    """Whole images and ranges of them over the network; every byte is compared."""

    def turn(self):
        with self.ledger.lock:
            known = [d for d, acked in self.ledger.images.items() if acked]
        if not known:
            self.pause(0.05)
            return
        digest = self.random.choice(known)
        right = self.world.bytes[digest]
        headers, first, last = {}, 0, len(right) - 1
        if self.random.random() < 0.5:
            first = self.random.randrange(len(right))
            last = self.random.randrange(first, len(right))
            headers["Range"] = "bytes=%d-%d" % (first, last)
        status, _, body = self.insist("GET", "/api/v1/images/%s/content" % digest, headers=headers, lane="viewer")
        if status == 404 and digest not in self.ledger.images:
            return      # removed meanwhile
        if status not in (200, 206) or body != right[first:last + 1]:
            raise AssertionError("image %s, %d-%d: status %d, %d bytes" % (digest, first, last, status, len(body)))
        self.ledger.count("downloads")
        self.pause(self.random.random() * 0.05)


class Manager(Asker):
    """One rollout after the other: upload, manifest, release, approval, rollout, start."""

    def __init__(self, world, seed, goods, budget, target):
        super().__init__(world, "manager", seed)
        self.goods, self.budget, self.target = list(goods), budget, target
        self.current, self.since = None, 0

    def turn(self):
        if self.over() and self.goods:
            self.next()
        self.pause(0.1)

    def over(self):
        if self.current is None:
            return True
        state = self.get("/api/v1/rollouts/" + self.current)["state"]
        return state in ("finished", "paused") or time.monotonic() - self.since > 6 * harness.PATIENCE

    def next(self):
        image, manifest = self.goods.pop(0)
        self.put_image(image)
        envelope = self.post_manifest(manifest)
        name = "release-%d" % len(self.goods)
        self.post("/api/v1/releases", {"manifest": envelope["digest"], "name": name}, "release", name)
        self.post("/api/v1/releases/%s/approve" % name, {})
        rollout = "rollout-%d" % len(self.goods)
        self.post("/api/v1/rollouts", {"name": rollout, "release": name, "target": self.target,
                                       "budget": self.budget}, "rollout", rollout)
        while self.get("/api/v1/rollouts/" + rollout)["state"] in ("draft", "creating"):
            self.pause(0.05)
        self.post("/api/v1/rollouts/%s/start" % rollout, {})
        self.current, self.since = rollout, time.monotonic()
        self.ledger.count("rollouts")

    def post_manifest(self, manifest):
        self.world.bytes[harness.sha256(manifest)] = manifest
        status, _, body = self.insist("POST", "/api/v1/manifests", manifest,
                                      {"Content-Type": "application/octet-stream"})
        if status not in (200, 201):
            raise AssertionError("POST manifest: %d %r" % (status, body))
        return json.loads(body)


class Watcher(Asker):
    """Looks at all rollouts all the time: the budget holds at every look."""

    def turn(self):
        answer = self.ask("GET", "/api/v1/rollouts")
        if answer and answer[0] == 200:
            for r in json.loads(answer[2])["items"]:
                n = r["counters"]
                if r["budget"] is not None and n["failed"] + n["in_flight"] > r["budget"]:
                    self.ledger.problem("rollout %s: %s, budget %d" % (r["name"], n, r["budget"]))
            self.ledger.count("looks at the budget")
        self.pause(0.05)


def answers(port):
    """Does the CoAP listener answer now?"""
    try:
        with coap.Client(port, timeout=0.3) as client:
            client.send(coap.Message.request(coap.GET, "healthz"))
            got = client.receive()
            return got is not None and coap.code(got.code) == "2.05"
    except OSError:
        return False
