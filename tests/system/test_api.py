# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""The REST interface is what schema/openapi.yaml says: routes, roles, statuses, every answer's shape."""
import http.client
import json
import os
import re
import ssl

import harness

PSK = "00112233445566778899aabbccddeeff"
ROLES = ("viewer", "author", "operator", "approver")
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
FORMATS = {
    "uuid": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
}


def read(path):
    with open(os.path.join(harness.SOURCE, path)) as f:
        return f.read()


OPENAPI = json.loads(read("schema/openapi.yaml"))


def operations():
    """{(METHOD, path): operation} of the description."""
    return {(m.upper(), path): operation for path, methods in OPENAPI["paths"].items()
            for m, operation in methods.items() if m != "parameters"}


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def resolve(schema):
    while "$ref" in schema:
        node = OPENAPI
        for part in schema["$ref"].lstrip("#/").split("/"):
            node = node[part]
        schema = node
    return schema


def faults(value, schema, where="answer"):
    """What of value is not as schema says; members nobody described are faults too."""
    schema = resolve(schema)
    if "oneOf" in schema:
        tried = [faults(value, s, where) for s in schema["oneOf"]]
        return [] if [] in tried else min(tried, key=len)
    if "allOf" in schema:
        merged = {"type": "object", "properties": {}, "required": []}
        for part in map(resolve, schema["allOf"]):
            merged["properties"].update(part.get("properties", {}))
            merged["required"] += part.get("required", [])
        schema = merged
    found = []
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(is_type(value, t) for t in types):
        return ["%s is no %s: %r" % (where, types, value)]
    if "enum" in schema and value not in schema["enum"] and value is not None:
        found.append("%s is none of %s: %r" % (where, schema["enum"], value))
    if isinstance(value, str):
        pattern = schema.get("pattern", FORMATS.get(schema.get("format"), ""))
        if not re.search("^(%s)$" % pattern if "format" in schema and "pattern" not in schema else pattern, value):
            found.append("%s is not like %s: %r" % (where, pattern, value))
    if isinstance(value, list):
        for i, item in enumerate(value):
            found += faults(item, schema.get("items", {}), "%s[%d]" % (where, i))
    if isinstance(value, dict):
        members = schema.get("properties", {})
        other = schema.get("additionalProperties", False if members else True)
        found += ["%s.%s is missing" % (where, name) for name in schema.get("required", []) if name not in value]
        for name, member in value.items():
            inside = "%s.%s" % (where, name)
            if name in members:
                found += faults(member, members[name], inside)
            elif other is False:
                found.append(inside + " is not described")
            elif other is not True:
                found += faults(member, other, inside)
    return found


class Api(harness.Case):
    """Calls whose every answer is held against the description."""
    called = set()

    def operation(self, method, path):
        segments = path.split("?")[0].split("/")
        best = None
        for m, pattern in operations():
            parts = pattern.split("/")
            if m == method and len(parts) == len(segments) and all(
                    p == s or p.startswith("{") for p, s in zip(parts, segments)):
                if best is None or pattern.count("{") < best.count("{"):
                    best = pattern
        return best

    def check(self, method, path, status, headers, data):
        if path.startswith("/device/"):  # its messages are in schema/device.cddl
            return json.loads(data) if data else None
        pattern = self.operation(method, path)
        if method == "HEAD" or status == 304:
            self.assertEqual(data, b"")
            return None
        media = (headers["Content-Type"] or "").split(";")[0]
        if status >= 400:
            self.assertEqual(media, "application/problem+json", (method, path, status, data))
            problem = json.loads(data)
            self.assertEqual(faults(problem, {"$ref": "#/components/schemas/Problem"}), [])
            self.assertEqual(problem["status"], status)
            self.assertRegex(problem["type"], r"^urn:fettle:[a-z-]+$")
            return problem
        self.assertIsNotNone(pattern, "%s %s is not described" % (method, path))
        answers = operations()[method, pattern]["responses"]
        self.assertIn(str(status), answers, (method, path, data))
        Api.called.add((method, pattern))
        content = answers[str(status)].get("content")
        if not content:
            self.assertEqual(data, b"")
            return None
        self.assertIn(media, content)
        if media != "application/json":
            return data
        body = json.loads(data)
        self.assertEqual(faults(body, content[media]["schema"]), [], (method, path))
        return body

    def api(self, method, path, body=None, headers=None, status=None, token=None, scheme="unix"):
        """The answer's body; its headers are kept in self.headers."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if token:
            headers["Authorization"] = "Bearer " + token
        if scheme == "unix":
            connection = harness.UnixConnection(self.daemon.socket)
        elif scheme == "https":
            connection = http.client.HTTPSConnection(
                "localhost", self.daemon.https_port, timeout=30 * harness.PATIENCE,
                context=ssl.create_default_context(cafile=self.daemon.certificate))
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port,
                                                    timeout=30 * harness.PATIENCE)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data, self.headers = answer.read(), answer.headers
        finally:
            connection.close()
        if status is not None:
            self.assertEqual(answer.status, status, (method, path, data))
        self.status = answer.status
        return self.check(method, path, answer.status, self.headers, data)

    def refused(self, status, word, detail, method, path, body=None, **more):
        problem = self.api(method, path, body, status=status, **more)
        self.assertEqual(problem["type"], "urn:fettle:" + word)
        self.assertIn(detail, problem.get("detail", ""))

    def imported(self, job):
        """All its lines are, once the job has ended."""
        path = "/api/v1/jobs/%d" % job["id"]
        harness.wait_until("the import's end", lambda: self.api("GET", path)["state"] != "running")
        ended = self.api("GET", path, status=200)
        self.assertEqual((ended["state"], ended["done"], ended["errors"]), ("done", job["total"], []))

    def tokens(self):
        return {role: self.api("POST", "/api/v1/tokens", {"name": role, "role": role}, status=201)["token"]
                for role in ROLES}


class Description(harness.unittest.TestCase):
    """schema/openapi.yaml and the route table say the same."""

    def routes(self):
        text = read("src/service/routes.c")
        rows = re.findall(r'\{ METHOD_(\w+), (API )?"([^"]*)",\s+(\w+),\s+([^}]*?),\s*svc_\w+,', text)
        return {(method, ("/api/v1" if api else "") + path): (who, flags) for method, api, path, who, flags in rows}

    def test_routes(self):
        routes = {}
        for (method, path), about in self.routes().items():
            if path.startswith("/api/") or path in ("/healthz", "/readyz", "/metrics"):
                routes[method, path.replace("<", "{").replace(">", "}")] = about
        self.assertGreater(len(routes), 60)
        self.assertEqual(set(routes), set(operations()))
        roles = {"WHO_ALL": ["anyone"], "WHO_READ": ["viewer", "operator", "approver", "admin"],
                 "WHO_SEE": ["viewer", "author", "operator", "approver", "admin"],
                 "WHO_AUTHOR": ["author", "operator", "admin"], "WHO_OPERATE": ["operator", "admin"],
                 "WHO_DECIDE": ["operator", "approver", "admin"], "WHO_APPROVE": ["approver", "admin"],
                 "WHO_ADMIN": ["admin"]}
        for key, (who, flags) in routes.items():
            with self.subTest(route=key):
                operation = operations()[key]
                self.assertEqual(operation["x-roles"], roles[who])
                self.assertEqual(operation.get("x-lane"), "control" if "CONTROL_ONLY" in flags else None)
                self.assertEqual([p for p in re.findall(r"{(\w+)}", key[1])],
                                 [p["name"] for p in map(resolve, operation.get("parameters", [])) if p["in"] == "path"])
                self.assertEqual("requestBody" in operation, "ROUTE_NO_BODY" not in flags and key != (
                    "PUT", "/api/v1/groups/{name}/devices/{id}") and not (
                        "ROUTE_DOC_OPT" in flags and "requestBody" not in operation))

    def test_references_exist(self):
        def walk(node):
            if isinstance(node, dict):
                if "$ref" in node:
                    self.assertTrue(resolve(node))
                for member in node.values():
                    walk(member)
            elif isinstance(node, list):
                for member in node:
                    walk(member)
        walk(OPENAPI)


class Answers(Api):
    def test_every_operation(self):
        """One life of everything; at the end no operation of the description was left out."""
        image = self.random.randbytes(3000)
        key = self.author()
        manifest = self.manifest(image, 1, key, version="1.0")
        digest = harness.sha256(image)
        with open(manifest, "rb") as f:
            envelope = f.read()
        with open(self.path("anchor.pem")) as f:
            pem = f.read()
        one = self.api
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/status"):
            one("GET", path, status=200)
        anchor = one("POST", "/api/v1/anchors", {"vendor": "acme.example", "key": pem}, status=201)
        one("GET", "/api/v1/anchors", status=200)
        one("GET", self.headers_location(one, "/api/v1/anchors/%d" % anchor["id"]), status=200)
        one("POST", "/api/v1/anchors/%d/revoke" % anchor["id"], status=200)
        # images, at once and in parts
        made = one("POST", "/api/v1/images", image, {"Content-Type": "application/octet-stream"}, status=201)
        self.assertEqual((made["digest"], made["size"]), (digest, "3000"))
        self.assertEqual(self.headers["Location"], "/api/v1/images/" + digest)
        one("GET", "/api/v1/images", status=200)
        one("GET", "/api/v1/images/" + digest, status=200)
        self.assertEqual(one("GET", "/api/v1/images/%s/content" % digest, status=200), image)
        self.upload_in_parts()
        # manifests and releases
        put = one("POST", "/api/v1/manifests", envelope, {"Content-Type": "application/suit-envelope+cose"}, status=201)
        one("GET", "/api/v1/manifests", status=200)
        one("GET", "/api/v1/manifests/" + put["digest"], status=200)
        self.assertEqual(one("GET", "/api/v1/manifests/%s/content" % put["digest"], status=200), envelope)
        release = one("POST", "/api/v1/releases", {"manifest": put["digest"]}, status=201)
        one("GET", "/api/v1/releases", status=200)
        base = "/api/v1/releases/%d" % release["id"]
        one("GET", base, status=200)
        one("PATCH", base, {"urgency": "high"}, status=200)
        for verb, body in (("approve", None), ("publish", {"published": True})):
            one("POST", "%s/%s" % (base, verb), body, status=200)
        self.refused(409, "conflict", "release", "DELETE", "/api/v1/manifests/" + put["digest"])
        # devices
        one("POST", "/api/v1/devices", {"id": "a"}, status=201)
        self.assertEqual(self.headers["Location"], "/api/v1/devices/a")
        job = one("POST", "/api/v1/devices/import", b'{"id": "b"}\n{"id": "c", "tags": ["x"]}\n',
                  {"Content-Type": "application/x-ndjson"}, status=202)["job"]
        self.assertEqual((job["kind"], job["total"]), ("device-import", 2))
        self.imported(job)
        one("GET", "/api/v1/devices", status=200)
        one("GET", "/api/v1/devices/a", status=200)
        one("PATCH", "/api/v1/devices/a", {"model": "lamp", "attributes": {"x": 1}}, status=200)
        one("GET", "/api/v1/devices/a/history", status=200)
        self.assertFalse(one("POST", "/api/v1/devices/a/approve", status=200)["held_back"])
        psk = one("POST", "/api/v1/devices/a/credentials", {"kind": "psk", "key": PSK}, status=201)
        asker = one("POST", "/api/v1/devices/a/credentials", {"kind": "token", "days": 3}, status=201)["token"]
        one("GET", "/api/v1/devices/a/credentials", status=200)
        one("DELETE", "/api/v1/devices/a/credentials/%d" % psk["id"], status=204)
        one("POST", "/api/v1/groups", {"name": "g"}, status=201)
        one("GET", "/api/v1/groups", status=200)
        one("PATCH", "/api/v1/groups/g", {"join": ["a"]}, status=204)
        one("PATCH", "/api/v1/groups/g", {"leave": ["a"]}, status=204)
        one("PUT", "/api/v1/groups/g/devices/a", status=204)
        one("DELETE", "/api/v1/groups/g/devices/a", status=204)
        # windows
        made = one("POST", "/api/v1/windows", {"level": "group", "ref": "g", "window": "daily 01:00-02:00 UTC"},
                   status=201)["items"][0]
        self.assertEqual(self.headers["Location"], "/api/v1/windows/%d" % made["id"])
        one("POST", "/api/v1/windows", {"level": "device", "ref": "a", "rrule": "FREQ=DAILY", "zone": "UTC",
                                        "starts": "2026-11-22T01:00:00", "duration": 60, "blackout": True}, status=201)
        self.assertEqual(len(one("GET", "/api/v1/windows?blackout=1", status=200)["items"]), 1)
        self.assertEqual(one("GET", "/api/v1/windows/%d" % made["id"], status=200), made)
        one("GET", "/api/v1/windows/next?device=a&count=2", status=200)
        one("GET", "/api/v1/windows/next?expr=all", status=200)
        for w in one("GET", "/api/v1/windows", status=200)["items"]:
            one("DELETE", "/api/v1/windows/%d" % w["id"], status=204)
        one("DELETE", "/api/v1/groups/g", status=204)
        # rollouts
        plan = {"name": "r", "release": release["name"], "target": "all", "budget": 1,
                "phases": [{"count": 1, "success_percent": 100}, {"percent": 100, "soak_s": 5}]}
        dry = one("POST", "/api/v1/rollouts?dry_run=1", plan, status=200)
        self.assertEqual((dry["devices"], dry["exact"], dry["order"]), (3, True, "any"))
        self.assertEqual([phase["number"] for phase in dry["phases"]], list(range(1, len(dry["phases"]) + 1)))
        rollout = one("POST", "/api/v1/rollouts", plan, status=202)
        base = "/api/v1/rollouts/%d" % rollout["id"]
        self.assertEqual(self.headers["Location"], base)
        harness.wait_until("the rollout to be planned", lambda: one("GET", base, status=200)["state"] != "creating")
        one("GET", "/api/v1/rollouts", status=200)
        for verb, body in (("start", None), ("pause", {"reason": "lunch"}), ("resume", {})):
            one("POST", "%s/%s" % (base, verb), body, status=200)
        one("GET", "/api/v1/devices/a/why", status=200)
        updates = one("GET", "/api/v1/updates?rollout=r", status=200)["items"]
        one("GET", "/api/v1/updates/%d" % updates[0]["id"], status=200)
        self.assertIn("gates", one("GET", base + "/why", status=200))
        one("POST", base + "/next", None, status=200)
        self.refused(409, "conflict", "", "POST", base + "/retry")
        copy = one("POST", base + "/clone", {"name": "r2"}, status=202)
        twin = "/api/v1/rollouts/%d" % copy["id"]
        harness.wait_until("the copy to be planned", lambda: one("GET", twin, status=200)["state"] == "ready")
        self.approvals(base)
        # what has failed gets another attempt
        mine = {"token": asker, "scheme": "https"}
        one("PUT", "/device/a", {"boot": 1, "counter": 1, "mode": "client"}, **mine)
        offer = one("GET", "/device/a/update", status=200, **mine)
        one("POST", "/device/a/report", {"boot": 1, "counter": 2, "update": offer["update"], "state": "failed",
                                         "failure": "signature"}, **mine)
        self.assertEqual(self.status, 200)
        self.assertEqual(one("GET", base, status=200)["counters"]["failed"], 1)
        self.refused(409, "conflict", "used up", "POST", base + "/retry")
        one("POST", base + "/retry", {"budget": 2})
        self.assertIn(self.status, (200, 202))
        one("POST", "/api/v1/devices/a/diag", None, status=200)
        self.assertEqual(one("GET", "/api/v1/devices/a/diag", status=200)["items"], [])
        one("POST", base + "/abort", {"reason": "enough"})
        self.assertIn(self.status, (200, 202))
        jobs = one("GET", "/api/v1/jobs", status=200)["items"]
        one("GET", "/api/v1/jobs/%d" % jobs[0]["id"], status=200)
        one("POST", "/api/v1/releases/%d/withdraw" % release["id"], {"floor": False}, status=200)
        # standing rollouts
        standing = {"name": "s", "enabled": True, "urgency": "high", "rollout": {"target": "all", "budget": 1}}
        made = one("POST", "/api/v1/standing-rollouts", standing, status=201)
        self.assertEqual(self.headers["Location"], "/api/v1/standing-rollouts/%d" % made["id"])
        self.assertEqual({k: made[k] for k in standing}, standing)
        tag = self.headers["ETag"]
        self.assertEqual(len(one("GET", "/api/v1/standing-rollouts", status=200)["items"]), 1)
        one("GET", "/api/v1/standing-rollouts/s", status=200)
        one("PATCH", "/api/v1/standing-rollouts/s", {"urgency": None}, {"If-Match": tag}, status=200)
        self.refused(412, "precondition", "", "PATCH", "/api/v1/standing-rollouts/s", {"enabled": False},
                     headers={"If-Match": tag})
        self.refused(422, "invalid", "rollout: name and release", "POST", "/api/v1/standing-rollouts",
                     dict(standing, name="t", rollout={"target": "all", "release": "x"}))
        self.refused(422, "invalid", "rollout: is missing", "POST", "/api/v1/standing-rollouts", {"name": "t"})
        self.refused(422, "invalid", "name", "PATCH", "/api/v1/standing-rollouts/s", {"name": "t"})
        one("DELETE", "/api/v1/standing-rollouts/s", status=204)
        # people, policy, audit
        token = one("POST", "/api/v1/tokens", {"name": "t", "role": "viewer", "scope": "tag == x"}, status=201)
        one("GET", "/api/v1/tokens", status=200)
        one("POST", "/api/v1/tokens/%d/revoke" % token["id"], status=200)
        one("POST", "/api/v1/operators", {"uid": 4711, "role": "operator"}, status=201)
        one("GET", "/api/v1/operators", status=200)
        one("DELETE", "/api/v1/operators/4711", status=204)
        policy = one("GET", "/api/v1/policies/settings", status=200)
        one("PUT", "/api/v1/policies/settings", policy, status=200)
        self.assertEqual(one("POST", "/api/v1/policies/check", {"min_rate": 7}, status=200)["min_rate"], 7)
        self.assertEqual(one("GET", "/api/v1/policies/settings", status=200), policy)
        tried = one("POST", "/api/v1/policies/test", {"manifest": put["digest"], "policy": {"default_urgency": "low"}},
                    status=200)
        self.assertEqual((tried["urgency"], tried["urgency_by"]), ("low", "default"))
        self.refused(404, "not-found", "manifest", "POST", "/api/v1/policies/test", {"manifest": "00" * 32})
        self.refused(422, "invalid", "policy: rules[0]", "POST", "/api/v1/policies/test",
                     {"manifest": put["digest"], "policy": {"rules": [{}]}})
        suit = {"Content-Type": "application/suit-envelope+cose"}
        self.assertEqual(one("POST", "/api/v1/policies/test", envelope, suit, status=200)["policy"], "in force")
        self.refused(422, "verify", "", "POST", "/api/v1/policies/test", envelope[:-1] + b"?", headers=suit)
        one("GET", "/api/v1/audit", status=200)
        self.assertTrue(one("GET", "/api/v1/audit/verify", status=200)["whole"])
        self.assertTrue(one("POST", "/api/v1/clock/accept", status=200)["clock"]["trusted"])
        one("DELETE", "/api/v1/devices/a", status=204)
        # what nothing names can go
        other = one("POST", "/api/v1/images", b"other", {"Content-Type": "application/octet-stream"}, status=201)
        one("DELETE", "/api/v1/images/" + other["digest"], status=204)
        with open(self.manifest(b"other", 2, key), "rb") as f:
            put = one("POST", "/api/v1/manifests", f.read(), {"Content-Type": "application/octet-stream"}, status=201)
        one("DELETE", "/api/v1/manifests/" + put["digest"], status=204)
        # only a job that still runs can be cancelled, and the description needs to be installed to be shown
        left = set(operations()) - Api.called - {("POST", "/api/v1/jobs/{id}/cancel"), ("GET", "/api/v1/openapi.json")}
        self.assertEqual(left, set())

    def approvals(self, base):
        """Rollouts of more devices than policy lets pass wait for another pair of eyes."""
        policy = self.api("GET", "/api/v1/policies/settings", status=200)
        self.api("PUT", "/api/v1/policies/settings", {"approve_above": 1}, status=200)
        eyes = self.api("POST", "/api/v1/tokens", {"name": "eyes", "role": "approver"}, status=201)["token"]
        for verb, state in (("approve", "ready"), ("deny", "aborted")):
            twin = "/api/v1/rollouts/%d" % self.api("POST", base + "/clone", {"name": verb}, status=202)["id"]
            harness.wait_until("the rollout to wait", lambda: self.api("GET", twin)["state"] == "awaiting-approval")
            self.refused(409, "conflict", "", "POST", twin + "/start")
            self.api("POST", "%s/%s" % (twin, verb), token=eyes, scheme="https")
            self.assertIn(self.status, (200, 202))
            self.assertEqual(self.api("GET", twin, status=200)["state"], state)
        self.api("PUT", "/api/v1/policies/settings", policy, status=200)

    def headers_location(self, one, want):
        self.assertEqual(self.headers["Location"] or want, want)
        return want

    def upload_in_parts(self):
        data = self.random.randbytes(5000)
        connection = harness.UnixConnection(self.daemon.socket)
        self.addCleanup(connection.close)

        def send(method, path, body, headers):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            self.check(method, path, answer.status, answer.headers, content)
            return answer
        begun = send("POST", "/api/v1/images", b"", {"Upload-Complete": "?0", "Upload-Length": "5000"})
        self.assertEqual(begun.status, 201)
        place = begun.headers["Location"]
        self.assertTrue(place.startswith("/api/v1/uploads/"), place)
        part = {"Content-Type": "application/partial-upload"}
        answer = send("PATCH", place, data[:2000], dict(part, **{"Upload-Offset": "0", "Upload-Complete": "?0"}))
        self.assertEqual((answer.status, answer.headers["Upload-Offset"]), (200, "2000"))
        answer = send("PATCH", place, data[:10], dict(part, **{"Upload-Offset": "0", "Upload-Complete": "?0"}))
        self.assertEqual(answer.status, 409)
        self.assertEqual(send("HEAD", place, None, {}).headers["Upload-Offset"], "2000")
        upload = self.api("GET", place, status=200)
        self.assertEqual((upload["offset"], upload["size"], upload["complete"]), (2000, 5000, False))
        answer = send("PATCH", place, data[2000:], dict(part, **{"Upload-Offset": "2000", "Upload-Complete": "?1"}))
        self.assertEqual(answer.status, 201)
        self.assertEqual(self.api("GET", "/api/v1/images/%s/content" % harness.sha256(data), status=200), data)
        begun = send("POST", "/api/v1/images", b"", {"Upload-Complete": "?0"})
        self.api("DELETE", begun.headers["Location"], status=204)
        self.api("GET", begun.headers["Location"], status=404)


class Rules(Api):
    def test_errors_name_the_member(self):
        many = {"attributes": {"a%d" % i: 1 for i in range(300)}, "id": "x"}
        for status, word, detail, body in (
                (400, "malformed", "JSON", b"{"),
                (400, "malformed", "JSON", b'{"id": "x", "id": "y"}'),
                (400, "malformed", "contact_interval", b'{"id": "x", "contact_interval": 1.5}'),
                (400, "malformed", "", b""),
                (400, "malformed", "", b"\xff\xfe"),
                (422, "invalid", "colour", {"id": "x", "colour": "red"}),
                (422, "invalid", "id", {}),
                (422, "invalid", "id", {"id": 7}),
                (422, "invalid", "id", {"id": "x" * 65}),
                (422, "invalid", "id", {"id": "../x"}),
                (422, "invalid", "mode", {"id": "x", "mode": "fast"}),
                (422, "invalid", "vendor_id", {"id": "x", "vendor_id": "1234"}),
                (422, "invalid", "contact_interval", {"id": "x", "contact_interval": -1}),
                (422, "invalid", "contact_interval", {"id": "x", "contact_interval": "often"}),
                (422, "invalid", "tags", {"id": "x", "tags": "lab"}),
                (422, "invalid", "tags", {"id": "x", "tags": ["a b"]}),
                (422, "invalid", "attributes", {"id": "x", "attributes": {"a b": 1}}),
                (422, "invalid", "disabled", {"id": "x", "disabled": "yes"}),
                (413, "too-large", "deeper", b"[" * 20 + b"]" * 20),
                (413, "too-large", "members", many),
                (413, "too-large", "", b'{"id": "' + b"x" * 70000 + b'"}'),
        ):
            with self.subTest(body=str(body)[:60]):
                self.refused(status, word, detail, "POST", "/api/v1/devices", body,
                             headers={"Content-Type": "application/json"})
        self.refused(415, "media", "JSON", "POST", "/api/v1/devices", b"id=x",
                     headers={"Content-Type": "application/x-www-form-urlencoded"})
        self.refused(415, "media", "", "POST", "/api/v1/devices/import", b"x", headers={"Content-Type": "image/png"})
        self.assertEqual(self.api("GET", "/api/v1/devices")["items"], [])
        for path, detail in (("limit=x", "limit"), ("limit=-1", "limit"), ("cursor=x", "cursor"), ("q=model%20%3D", "q"),
                             ("q=" + "x" * 1100, ""), ("q=%zz", "")):
            with self.subTest(query=path):
                problem = self.api("GET", "/api/v1/devices?" + path)
                self.assertIn(self.status, (400, 414, 422))
                self.assertIn(detail, problem["detail"])

    def test_what_is_not_there(self):
        for path in ("/api/v1/devices/x", "/api/v1/rollouts/9", "/api/v1/rollouts/x", "/api/v1/updates/9", "/api/v1/jobs/9",
                     "/api/v1/releases/9", "/api/v1/anchors/9", "/api/v1/anchors/x", "/api/v1/images/" + "0" * 64,
                     "/api/v1/images/zz", "/api/v1/manifests/" + "0" * 64, "/api/v1/nothing", "/api/v2/devices",
                     "/api/v1/devices/x/credentials", "/api/v1/uploads/x", "/image/" + "0" * 64):
            with self.subTest(path=path):
                self.refused(404, "not-found", "", "GET", path)
        self.refused(405, "method", "PUT", "PUT", "/api/v1/devices/x", {})
        self.assertEqual(self.headers.get("Allow"), "GET, HEAD, PATCH, DELETE")
        self.refused(405, "method", "DELETE", "DELETE", "/api/v1/status")
        for path in ("/api/v1//devices", "/api/v1/devices/", "/api/v1/devices/..", "/api/v1/./devices",
                     "/api/v1/devices/%2e%2e", "/api/v1/devices/%00"):
            with self.subTest(path=path):
                self.api("GET", path)
                self.assertIn(self.status, (400, 404))

    def test_paging(self):
        body = "".join('{"id": "d%03d", "tags": ["%s"]}\n' % (i, "even" if i % 2 == 0 else "odd") for i in range(250))
        self.imported(self.api("POST", "/api/v1/devices/import", body.encode(),
                               {"Content-Type": "application/x-ndjson"}, status=202)["job"])
        everything = ["d%03d" % i for i in range(250)]

        def pages(query):
            seen, cursor, sizes = [], "", []
            for _ in range(300):
                page = self.api("GET", "/api/v1/devices?%s%s" % (query, cursor and "&cursor=" + cursor), status=200)
                seen += [d["id"] for d in page["items"]]
                sizes.append(len(page["items"]))
                if page["next"] is None:
                    return seen, sizes
                cursor = page["next"]
            self.fail("no end of pages")
        self.assertEqual(pages("limit=7")[0], everything)
        self.assertEqual(max(pages("limit=7")[1]), 7)
        self.assertEqual(max(pages("")[1]), 100)
        self.assertEqual(pages("limit=1000")[0], everything)
        self.assertEqual(pages("limit=100000")[0], everything)
        self.assertEqual(pages("limit=10&q=tag%20%3D%3D%20even")[0], everything[::2])
        self.assertEqual(pages("q=id%20%3D%3D%20none")[0], [])
        # what changes between two pages neither repeats nor hides the others
        first = self.api("GET", "/api/v1/devices?limit=100")
        self.api("DELETE", "/api/v1/devices/d000", status=204)
        self.api("DELETE", "/api/v1/devices/d120", status=204)
        self.api("POST", "/api/v1/devices", {"id": "aaa"}, status=201)
        rest, _ = pages("limit=1000&cursor=" + first["next"])
        self.assertEqual(rest, [d for d in everything[100:] if d != "d120"] + ["aaa"])

    def test_idempotency(self):
        key = {"Idempotency-Key": "5f3a"}
        first = self.api("POST", "/api/v1/devices", {"id": "a"}, key, status=201)
        place = self.headers["Location"]
        self.assertEqual(self.api("POST", "/api/v1/devices", {"id": "a"}, key, status=201), first)
        self.assertEqual(self.headers["Location"], place)
        self.assertEqual(len(self.api("GET", "/api/v1/devices")["items"]), 1)
        self.refused(409, "conflict", "Idempotency-Key", "POST", "/api/v1/devices", {"id": "b"}, headers=key)
        self.refused(409, "conflict", "Idempotency-Key", "POST", "/api/v1/groups", {"name": "a"}, headers=key)
        self.assertEqual(len(self.api("GET", "/api/v1/devices")["items"]), 1)
        # what was refused may be tried again with the same key
        self.refused(422, "invalid", "", "POST", "/api/v1/devices", {"id": "?"}, headers={"Idempotency-Key": "x"})
        self.api("POST", "/api/v1/devices", {"id": "b"}, {"Idempotency-Key": "x"}, status=201)
        # a secret is shown once, whatever is repeated
        self.assertIsNotNone(self.api("POST", "/api/v1/tokens", {"name": "t", "role": "viewer"}, key | {
            "Idempotency-Key": "t"}, status=201)["token"])
        again = self.api("POST", "/api/v1/tokens", {"name": "t", "role": "viewer"}, {"Idempotency-Key": "t"}, status=201)
        self.assertIsNone(again["token"])
        self.assertEqual(len(self.api("GET", "/api/v1/tokens")["items"]), 1)
        self.refused(400, "malformed", "Idempotency-Key", "POST", "/api/v1/groups", {"name": "a"},
                     headers={"Idempotency-Key": "k" * 129})
        # another asker's key is another key
        token = self.tokens()["operator"]
        self.api("POST", "/api/v1/devices", {"id": "c"}, key, token=token, scheme="https", status=201)
        # across a restart
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.api("POST", "/api/v1/devices", {"id": "a"}, key, status=201), first)

    def test_versions(self):
        self.api("POST", "/api/v1/devices", {"id": "a"}, status=201)
        self.api("GET", "/api/v1/devices/a", status=200)
        old = self.headers["ETag"]
        self.assertRegex(old, r'^"[^"]+"$')
        self.api("GET", "/api/v1/devices/a", headers={"If-None-Match": old}, status=304)
        self.assertEqual(self.headers["ETag"], old)
        self.api("GET", "/api/v1/devices/a", headers={"If-None-Match": '"x", %s' % old}, status=304)
        self.api("GET", "/api/v1/devices/a", headers={"If-None-Match": '"x"'}, status=200)
        self.api("PATCH", "/api/v1/devices/a", {"model": "m1"}, {"If-Match": old}, status=200)
        new = self.headers["ETag"]
        self.assertNotEqual(new, old)
        self.refused(412, "precondition", "", "PATCH", "/api/v1/devices/a", {"model": "m2"}, headers={"If-Match": old})
        self.refused(412, "precondition", "", "DELETE", "/api/v1/devices/a", headers={"If-Match": old})
        self.assertEqual(self.api("GET", "/api/v1/devices/a")["model"], "m1")
        self.api("PATCH", "/api/v1/devices/a", {"model": "m3"}, {"If-Match": "*"}, status=200)
        self.api("GET", "/api/v1/devices/a", headers={"If-None-Match": old}, status=200)
        release = self.release(b"image", 1, version="1.0")
        path = "/api/v1/releases/%d" % release["id"]
        self.api("GET", path, status=200)
        old = self.headers["ETag"]
        self.api("GET", path, headers={"If-None-Match": old}, status=304)
        self.api("PATCH", path, {"urgency": "low"}, {"If-Match": old}, status=200)
        self.refused(412, "precondition", "", "POST", path + "/withdraw", {}, headers={"If-Match": old})
        self.assertEqual(self.api("GET", path)["state"], "approved")
        # bytes have their digest as their tag
        digest = harness.sha256(b"image")
        self.api("GET", "/api/v1/images/%s/content" % digest, status=200)
        self.api("GET", "/api/v1/images/%s/content" % digest, headers={"If-None-Match": self.headers["ETag"]}, status=304)
        rollout = self.api("POST", "/api/v1/rollouts", {"name": "r", "release": release["id"], "target": "all"}, status=202)
        path = "/api/v1/rollouts/%d" % rollout["id"]
        harness.wait_until("the plan", lambda: self.api("GET", path)["state"] != "creating")
        self.refused(412, "precondition", "", "POST", path + "/start", headers={"If-Match": '"abcd"'})
        self.api("POST", path + "/start", headers={"If-Match": self.etag(path)}, status=200)

    def etag(self, path):
        self.api("GET", path, status=200)
        return self.headers["ETag"]

    def test_heads(self):
        """HEAD is GET without the body."""
        self.api("POST", "/api/v1/devices", {"id": "a"}, status=201)
        for path in ("/api/v1/devices/a", "/api/v1/devices", "/healthz"):
            self.api("GET", path, status=200)
            length, tag = self.headers["Content-Length"], self.headers["ETag"]
            self.api("HEAD", path, status=200)
            self.assertEqual((self.headers["Content-Length"], self.headers["ETag"]), (length, tag))


class Askers(Api):
    """Who may what: tokens by their role, devices by their own path."""

    def test_roles(self):
        tokens = self.tokens()
        self.api("POST", "/api/v1/devices", {"id": "a"}, status=201)
        release = self.release(b"image", 1, version="1.0")
        self.daemon.fettle("rollout", "create", "r", "--release", release["name"], "--target", "all", "--budget", "1")
        tries = (
            ("GET", "/api/v1/devices", None, "viewer operator approver"),
            ("GET", "/api/v1/devices/a", None, "viewer operator approver"),
            ("GET", "/api/v1/status", None, "viewer author operator approver"),
            ("GET", "/api/v1/releases", None, "viewer author operator approver"),
            ("GET", "/api/v1/audit", None, "viewer operator approver"),
            ("GET", "/metrics", None, "viewer operator approver"),
            ("GET", "/api/v1/images/%s/content" % harness.sha256(b"image"), None, "viewer operator approver"),
            ("PATCH", "/api/v1/devices/a", {"model": "m"}, "operator"),
            ("POST", "/api/v1/groups", {"name": "%s"}, "operator"),
            ("POST", "/api/v1/releases/1/publish", {}, "operator"),
            ("POST", "/api/v1/rollouts/r/start", {}, "operator"),
            ("PUT", "/api/v1/policies/settings", {}, "operator"),
            ("POST", "/api/v1/images", b"bytes of %s", "author operator"),
            ("GET", "/api/v1/tokens", None, ""),
            ("POST", "/api/v1/tokens", {"name": "x", "role": "viewer"}, ""),
            ("POST", "/api/v1/operators", {"uid": 1, "role": "admin"}, ""),
            ("POST", "/api/v1/anchors", {"vendor": "x.example", "key": "x"}, ""),
            ("POST", "/api/v1/anchors/1/revoke", {}, ""),
        )
        for scheme in ("https", "http", "unix"):
            for method, path, body, may in tries:
                for role, token in tokens.items():
                    with self.subTest(scheme=scheme, role=role, call="%s %s" % (method, path)):
                        sent = body
                        if isinstance(body, dict) and body.get("name") == "%s":
                            sent = {"name": "%s-%s" % (scheme, role)}
                        headers = {}
                        if isinstance(body, bytes):
                            sent = body % (scheme + role).encode()
                            headers = {"Content-Type": "application/octet-stream"}
                        self.api(method, path, sent, headers, token=token, scheme=scheme)
                        if role not in may.split():
                            self.assertEqual(self.status, 403)
                        else:
                            # a rollout that runs already cannot be started
                            self.assertIn(self.status, (200, 201, 409))
        # nobody in particular
        for scheme in ("https", "http"):
            for method, path, body, _ in tries:
                with self.subTest(scheme=scheme, call="%s %s" % (method, path)):
                    self.api(method, path, None if isinstance(body, bytes) else body, scheme=scheme)
                    self.assertEqual(self.status, 401)
                    self.assertTrue(self.headers["WWW-Authenticate"])
            self.api("GET", "/healthz", scheme=scheme, status=200)
            self.api("GET", "/readyz", scheme=scheme, status=200)

    def test_tokens_end(self):
        made = self.api("POST", "/api/v1/tokens", {"name": "t", "role": "viewer"}, status=201)
        token = made["token"]
        self.api("GET", "/api/v1/devices", token=token, scheme="https", status=200)
        for wrong in (token[:-1], token + "x", "ft_" + "A" * 43, "fd_" + token[3:], "x", "x" * 300):
            self.api("GET", "/api/v1/devices", token=wrong, scheme="https")
            self.assertIn(self.status, (400, 401))
        # a wrong token on the local socket is not the socket's user
        self.api("GET", "/api/v1/devices", token="ft_" + "A" * 43, status=401)
        self.api("POST", "/api/v1/tokens/%d/revoke" % made["id"], status=200)
        self.api("GET", "/api/v1/devices", token=token, scheme="https", status=401)

    def test_scope(self):
        """A scoped token: other devices are as if they were not there."""
        for name, tag in (("a", "lab"), ("b", "field")):
            self.api("POST", "/api/v1/devices", {"id": name, "tags": [tag]}, status=201)
        token = self.api("POST", "/api/v1/tokens", {"name": "t", "role": "operator", "scope": "tag == lab"},
                         status=201)["token"]

        def scoped(*words, **more):
            return self.api(*words, token=token, scheme="https", **more)
        self.assertEqual([d["id"] for d in scoped("GET", "/api/v1/devices", status=200)["items"]], ["a"])
        scoped("GET", "/api/v1/devices/a", status=200)
        for method, path, body in (("GET", "/api/v1/devices/b", None), ("PATCH", "/api/v1/devices/b", {"model": "m"}),
                                   ("DELETE", "/api/v1/devices/b", None), ("GET", "/api/v1/devices/b/why", None),
                                   ("POST", "/api/v1/devices/b/credentials", {"kind": "token"})):
            scoped(method, path, body, status=404)
        self.assertNotIn("devices", scoped("GET", "/api/v1/status", status=200))
        # it cannot take a device out of its scope, nor enrol one outside, nor touch what is no device
        for method, path, body in (("PATCH", "/api/v1/devices/a", {"tags": ["field"]}),
                                   ("POST", "/api/v1/devices", {"id": "c", "tags": ["field"]}),
                                   ("POST", "/api/v1/groups", {"name": "g"}), ("PUT", "/api/v1/policies/settings", {}),
                                   ("GET", "/api/v1/audit", None)):
            scoped(method, path, body, status=403)
        scoped("POST", "/api/v1/devices", {"id": "d", "tags": ["lab"]}, status=201)
        self.assertEqual(self.api("GET", "/api/v1/devices/a")["tags"], ["lab"])
        self.api("GET", "/api/v1/devices/c", status=404)

    def device(self, method, path, body=None, **more):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        token = more.pop("token", None)
        if token:
            headers["Authorization"] = "Bearer " + token
        tls = more.pop("tls", False)
        connection = http.client.HTTPSConnection(
            "localhost", self.daemon.https_port, timeout=30 * harness.PATIENCE,
            context=ssl.create_default_context(cafile=self.daemon.certificate)) if tls else \
            http.client.HTTPConnection("127.0.0.1", self.daemon.http_port, timeout=30 * harness.PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def test_devices_keep_to_themselves(self):
        tokens = {}
        for name in ("a", "b"):
            self.api("POST", "/api/v1/devices", {"id": name}, status=201)
            tokens[name] = self.api("POST", "/api/v1/devices/%s/credentials" % name, {"kind": "token"}, status=201)["token"]
        self.api("POST", "/api/v1/devices", {"id": "open", "auth": "none"}, status=201)
        hello = {"boot": 1, "counter": 1, "mode": "client"}
        self.assertEqual(self.device("PUT", "/device/a", hello, token=tokens["a"], tls=True), 200)
        self.assertEqual(self.device("GET", "/d/a/update", token=tokens["a"], tls=True), 200)
        for path in ("/device/b", "/device/open", "/d/b"):
            self.assertEqual(self.device("PUT", path, hello, token=tokens["a"], tls=True), 403, path)
            self.assertEqual(self.device("GET", path + "/update", token=tokens["a"], tls=True), 403, path)
            self.assertEqual(self.device("POST", path + "/report", dict(hello, state="idle"), token=tokens["a"], tls=True), 403)
        # a device is no operator
        for path in ("/api/v1/devices", "/api/v1/devices/a", "/api/v1/status", "/metrics"):
            self.assertEqual(self.device("GET", path, token=tokens["a"], tls=True), 403, path)
        # without its token, over TLS or not, its name is not enough
        self.assertEqual(self.device("PUT", "/device/a", hello, tls=True), 401)
        self.assertEqual(self.device("PUT", "/device/a", hello), 401)
        # a device's token never counts in the clear
        self.assertEqual(self.device("PUT", "/device/a", hello, token=tokens["a"]), 401)
        # who is enrolled without credential is believed on plain listeners only
        self.assertEqual(self.device("PUT", "/device/open", hello), 200)
        self.assertEqual(self.device("PUT", "/device/open", hello, tls=True), 401)
        self.assertEqual(self.api("POST", "/api/v1/devices/open/credentials", {"kind": "token"}, status=409)["status"], 409)
        # disabled, or its credential gone: the next request is refused
        self.api("PATCH", "/api/v1/devices/a", {"disabled": True}, status=200)
        self.assertEqual(self.device("GET", "/device/a/update", token=tokens["a"], tls=True), 401)
        self.api("PATCH", "/api/v1/devices/a", {"disabled": False}, status=200)
        self.assertEqual(self.device("GET", "/device/a/update", token=tokens["a"], tls=True), 200)
        self.api("DELETE", "/api/v1/devices/a/credentials/1", status=204)
        self.assertEqual(self.device("GET", "/device/a/update", token=tokens["a"], tls=True), 401)

    def test_first_contact(self):
        """A stranger is nobody until policy says otherwise; then its name is enough, in the clear alone."""
        hello = {"boot": 1, "counter": 1, "mode": "client", "manufacturer": "acme", "model": "lamp"}
        self.assertEqual(self.device("PUT", "/device/new", hello), 401)
        self.assertEqual(self.device("GET", "/device/new/update"), 401)
        self.assertEqual(self.api("GET", "/api/v1/devices")["items"], [])
        self.api("PUT", "/api/v1/policies/settings", {"first_contact_plain": True}, status=200)
        self.assertEqual(self.device("GET", "/device/new/update"), 401)
        self.assertEqual(self.device("PUT", "/device/new", hello, tls=True), 401)
        self.assertEqual(self.device("PUT", "/device/bad%20name", hello), 401)
        self.assertEqual(self.device("PUT", "/device/new", hello), 201)
        self.assertEqual(self.device("PUT", "/device/new", hello), 200)
        device = self.api("GET", "/api/v1/devices/new")
        self.assertEqual((device["auth"], device["registered"]), ("none", True))
        # one who has a credential is not taken over by its name
        self.api("POST", "/api/v1/devices", {"id": "known"}, status=201)
        self.assertEqual(self.device("PUT", "/device/known", hello), 401)


class Import(Api):
    def refuse(self, lines, media, *bad):
        data = lines.encode() if isinstance(lines, str) else lines
        connection = harness.UnixConnection(self.daemon.socket)
        self.addCleanup(connection.close)
        connection.request("POST", "/api/v1/devices/import", data, {"Content-Type": media})
        answer = connection.getresponse()
        problem = self.check("POST", "/api/v1/devices/import", answer.status, answer.headers, answer.read())
        self.assertEqual(answer.status, 422)
        self.assertEqual([e["line"] for e in problem["errors"]], list(bad))
        return [e["detail"] for e in problem["errors"]]

    def test_ndjson(self):
        details = self.refuse('{"id": "a"}\n{"id": "a b"}\n\n{"id": "c", "colour": 1}\n{"id": "a"}\nx\n',
                              "application/x-ndjson", 2, 4, 5, 6)
        self.assertIn("id", details[0])
        self.assertIn("colour", details[1])
        self.assertEqual(details[2], "device a is named twice")
        self.assertEqual(self.api("GET", "/api/v1/devices")["items"], [])
        self.imported(self.api("POST", "/api/v1/devices/import", b'{"id": "a"}\r\n{"id": "b"}',
                               {"Content-Type": "application/x-ndjson"}, status=202)["job"])

    def test_csv(self):
        text = 'id,model,tags,attr.site,attr.floor\na,"la,""mp",x y,north,3\nb,,,,\n'
        self.imported(self.api("POST", "/api/v1/devices/import", text.encode(), {"Content-Type": "text/csv"},
                               status=202)["job"])
        device = self.api("GET", "/api/v1/devices/a")
        self.assertEqual((device["model"], device["tags"], device["attributes"]),
                         ('la,"mp', ["x", "y"], {"site": "north", "floor": 3}))
        self.assertEqual(self.refuse("id,colour\nc,red\nd,blue\n", "text/csv", 1),
                         ['head line: column 2: a device has no "colour"'])
        self.refuse('id\nc\nd,e\n"f\n', "text/csv", 3, 4)
        # a line that was cut off, a word that is neither yes nor no
        self.refuse("id,model,tags\nc,lamp\nd,lamp,\ne,lamp\n", "text/csv", 2, 4)
        self.refuse("id,disabled\nc,perhaps\n", "text/csv", 2)
        self.assertEqual(self.refuse("id,model,id\nc,lamp,d\n", "text/csv", 1),
                         ['head line: column 3: "id" is there twice'])
        self.assertEqual(len(self.api("GET", "/api/v1/devices")["items"]), 2)
        # as spreadsheets write it: a byte order mark, CRLF, empty columns at the end
        text = "\ufeffid,disabled,,\r\nc,yes,,\r\nd,false,,\r\n"
        self.imported(self.api("POST", "/api/v1/devices/import", text.encode(), {"Content-Type": "text/csv"},
                               status=202)["job"])
        self.assertEqual([self.api("GET", "/api/v1/devices/" + i)["disabled"] for i in "cd"], [True, False])


if __name__ == "__main__":
    harness.main()
