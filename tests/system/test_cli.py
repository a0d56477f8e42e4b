# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""fettle, every sentence of it: what people read, what scripts read, exit codes."""
import http.client
import json
import os
import re
import stat
import subprocess

import harness

DONE, REFUSED, USAGE, UNREACHABLE = range(4)
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
PSK = "00112233445566778899aabbccddeeff"


def sentences():
    """Every command's pattern, as fettle itself lists them."""
    out = subprocess.run([harness.FETTLE, "--help"], capture_output=True, text=True, check=True).stdout
    lines = out.split("\n\n")[2].splitlines()
    return [re.sub(r"^  (.*?)  +.*$", r"\1", line) for line in lines]


def run(*words, **more):
    return subprocess.run([harness.FETTLE, *words], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60 * harness.PATIENCE, **more)


class Sentences(harness.unittest.TestCase):
    """What needs no service."""

    def refused(self, code, message, *words):
        done = run(*words)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        self.assertIn(message, done.stderr)
        self.assertTrue(done.stderr.startswith("fettle: "), done.stderr)
        self.assertEqual(done.stdout, "")

    def test_every_command_has_help_with_an_example(self):
        self.assertGreater(len(sentences()), 60)
        for pattern in sentences():
            words = re.sub(r" *[<\[].*", "", pattern).split()
            with self.subTest(command=pattern):
                done = run(*words, "--help")
                self.assertEqual(done.returncode, DONE, done.stderr)
                self.assertTrue(done.stdout.startswith("usage: fettle %s" % pattern), done.stdout)
                self.assertRegex(done.stdout, r"\nexample: fettle (--json )?%s" % " ".join(words))
                self.assertEqual(done.stderr, "")

    def test_usage_errors_name_what_is_wrong(self):
        for message, words in (
                ("no command given", []),
                ("no such command: devcie", ["devcie", "list"]),
                ("no such command: device lits", ["device", "lits"]),
                ("the command goes on: rollout", ["rollout"]),
                ("missing: <id>", ["device", "add"]),
                ("missing: --release R", ["rollout", "create", "x", "--target", "all"]),
                ("unknown option: --colour", ["device", "add", "x", "--colour", "red"]),
                ("unknown option: --sockets", ["--sockets", "x", "status"]),
                ("this option needs a value: --socket", ["--socket"]),
                ("this option needs a value: --mode", ["device", "add", "x", "--mode"]),
                ("unexpected argument: now", ["status", "now"]),
                ("given twice: --mode", ["device", "add", "x", "--mode", "a", "--mode", "b"]),
                ("--server takes https://", ["--server", "http://gw.example.com", "status"]),
                ("is for --server: --token-file", ["--token-file", "/x", "status"]),
                ("--alg is es256", ["key", "generate", "--alg", "rsa", "-o", "/nonexistent/x"]),
                ("--sequence takes a number, not 'x'",
                 ["manifest", "create", "--image", "/etc/hostname", "--sequence", "x", "--vendor", "example.com",
                  "--class", "c", "-o", "/nonexistent/x"]),
                ("--phase 'percent=x'", ["rollout", "create", "x", "--release", "r", "--target", "all",
                                         "--phase", "percent=x"]),
                ("'colour' is not NAME=VALUE", ["device", "add", "x", "--attr", "colour"]),
                ("nothing to set", ["device", "set", "x"]),
                ("disabled is yes or no", ["device", "set", "x", "disabled=perhaps"]),
                ("either --psk-file FILE (hex) or --token", ["device", "credential", "add", "x"]),
        ):
            with self.subTest(words=words):
                self.refused(USAGE, message, *words)

    def test_nobody_there(self):
        self.refused(UNREACHABLE, "/nonexistent/socket does not answer", "--socket", "/nonexistent/socket", "status")
        port = harness.free_port(harness.socket.SOCK_STREAM)
        self.refused(UNREACHABLE, "does not answer", "--server", "https://localhost:%d" % port, "status")

    def test_version_and_families(self):
        self.assertRegex(run("--version").stdout, r"^fettle \d+\.\d+\.\d+\n$")
        done = run("device", "credential", "--help")
        self.assertEqual(done.returncode, DONE)
        self.assertIn("device credential revoke <id> <number>", done.stdout)
        self.assertNotIn("rollout", done.stdout)

    def test_completion(self):
        script = os.path.join(harness.SOURCE, "etc/bash-completion/fettle")
        for typed, want in (
                (["dev"], ["device"]),
                (["rollout", ""], ["create", "list", "show", "start", "pause", "resume", "abort", "retry",
                                   "next", "clone", "approve", "deny", "why", "watch", "standing"]),
                (["device", "credential", "r"], ["revoke"]),
                (["rollout", "create", "x", "--ta"], ["--target"]),
                (["--socket", "/x", "rel"], ["release"]),
                (["image", "add", ""], [])):
            with self.subTest(typed=typed):
                done = subprocess.run(
                    ["bash", "-c", '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fettle; '
                     'printf "%s\\n" "${COMPREPLY[@]}"', script, harness.FETTLE, *typed],
                    capture_output=True, text=True)
                self.assertEqual(done.stderr, "")
                self.assertEqual(done.stdout.split(), want)


class Files(harness.unittest.TestCase):
    """Keys and manifests, on files alone."""

    def setUp(self):
        self.root = harness.tempfile.mkdtemp(prefix="fettle-test-")
        self.addCleanup(harness.shutil.rmtree, self.root)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.root)

    def fettle(self, *words, code=DONE):
        done = run(*words)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        return done.stdout if code == DONE else done.stderr

    def test_keys(self):
        for alg in ("es256", "es384", "es512", "ed25519"):
            with self.subTest(alg=alg):
                made = json.loads(self.fettle("--json", "key", "generate", "--alg", alg, "-o", alg))
                self.assertEqual(sorted(made), ["alg", "key_id", "private"])
                self.assertEqual((made["alg"], made["private"]), (alg, True))
                self.assertRegex(made["key_id"], r"^[0-9a-f]{64}$")
                self.assertEqual(stat.S_IMODE(os.stat(alg).st_mode), 0o600)
                public = self.fettle("key", "public", alg)
                self.assertTrue(public.startswith("-----BEGIN PUBLIC KEY-----"))
                with open(alg + ".pub", "w") as f:
                    f.write(public)
                shown = json.loads(self.fettle("--json", "key", "show", alg + ".pub"))
                self.assertEqual(shown, dict(made, private=False))
                self.assertEqual(self.fettle("key", "show", alg),
                                 "key_id               %s\nalg                  %s\nprivate              yes\n"
                                 % (made["key_id"], alg))

    def test_a_key_is_never_written_over(self):
        self.fettle("key", "generate", "-o", "k")
        with open("k") as f:
            before = f.read()
        self.assertIn("File exists", self.fettle("key", "generate", "-o", "k", code=REFUSED))
        with open("k") as f:
            self.assertEqual(f.read(), before)

    def test_no_private_key_is_shown(self):
        out = self.fettle("key", "generate", "-o", "k") + self.fettle("key", "show", "k") + \
            self.fettle("key", "public", "k")
        self.assertNotIn("PRIVATE", out)
        with open("k") as f:
            secret = [line for line in f.read().splitlines() if not line.startswith("-")]
        for line in secret[:1]:
            self.assertNotIn(line, out)
        self.assertIn("BEGIN PRIVATE KEY", self.fettle("key", "generate", "-o", "-"))

    def test_what_is_no_key(self):
        with open("x", "w") as f:
            f.write("nothing of the kind")
        self.assertIn("x: ", self.fettle("key", "show", "x", code=REFUSED))
        self.assertIn("none: No such file", self.fettle("key", "show", "none", code=REFUSED))

    def manifest(self, *more):
        with open("lamp.bin", "wb") as f:
            f.write(b"firmware" * 1000)
        self.fettle("key", "generate", "-o", "author")
        for name in ("author", "other"):
            if name == "other":
                self.fettle("key", "generate", "--alg", "ed25519", "-o", "other")
            with open(name + ".pub", "w") as f:
                f.write(self.fettle("key", "public", name))
        return self.fettle("--json", "manifest", "create", "--image", "lamp.bin", "--sequence", "7",
                           "--vendor", "example.com", "--class", "lamp", "-o", "lamp.suit", *more)

    def test_create_verify_inspect(self):
        made = json.loads(self.manifest("--key", "author", "--version", "1.2.3", "--priority", "-1"))
        self.assertEqual(sorted(made), ["digest", "file", "sequence", "signatures", "size"])
        self.assertEqual((made["file"], made["sequence"], made["signatures"]), ("lamp.suit", "7", 1))
        self.assertEqual(made["size"], os.path.getsize("lamp.suit"))
        valid = json.loads(self.fettle("--json", "manifest", "verify", "lamp.suit", "--anchor", "other.pub",
                                       "--anchor", "author.pub"))
        self.assertEqual(valid, {"valid": True, "anchor": "author.pub", "alg": valid["alg"],
                                 "digest": made["digest"], "sequence": "7"})
        self.assertIn("valid                yes\n", self.fettle("manifest", "verify", "lamp.suit",
                                                               "--anchor", "author.pub"))
        shown = json.loads(self.fettle("--json", "manifest", "inspect", "lamp.suit"))
        self.assertEqual(sorted(shown), ["class_id", "digest", "images", "model", "priority", "sequence",
                                         "signatures", "uri", "vendor", "vendor_id", "version"])
        self.assertEqual(shown["vendor_id"], str(harness_uuid("example.com")))
        self.assertEqual((shown["version"], shown["priority"], shown["model"]), ("1.2.3", -1, "lamp"))
        with open("lamp.bin", "rb") as f:
            digest = harness.sha256(f.read())
        self.assertEqual(shown["images"], [{"component": "firmware", "digest": digest, "size": "8000",
                                            "uri": "coap://fettle/image/" + digest}])
        text = self.fettle("manifest", "inspect", "lamp.suit")
        for want in (made["digest"], digest, "1.2.3", "example.com"):
            self.assertIn(want, text)

    def test_refused_manifests(self):
        self.manifest("--key", "author")
        error = self.fettle("manifest", "verify", "lamp.suit", "--anchor", "other.pub", code=REFUSED)
        self.assertTrue(error.startswith("fettle: "), error)
        with open("lamp.suit", "rb") as f:
            good = f.read()
        for name, bad in (("cut", good[:-3]), ("longer", good + b"x"), ("empty", b""),
                          ("turned", good[:-20] + bytes([good[-20] ^ 1]) + good[-19:])):
            with open(name, "wb") as f:
                f.write(bad)
            with self.subTest(name=name):
                done = run("manifest", "verify", name, "--anchor", "author.pub")
                self.assertEqual(done.returncode, REFUSED)
                self.assertEqual(done.stdout, "")
                self.assertRegex(done.stderr, r"^fettle: .+\n$")
                self.assertNotEqual(run("--json", "manifest", "inspect", name).returncode, DONE)

    def test_sign_again(self):
        self.manifest()
        self.assertIn("signature", self.fettle("manifest", "verify", "lamp.suit", "--anchor", "author.pub",
                                               code=REFUSED))
        self.fettle("manifest", "sign", "lamp.suit", "--key", "author", "-o", "once.suit")
        made = json.loads(self.fettle("--json", "manifest", "sign", "once.suit", "--key", "other", "-o",
                                      "twice.suit"))
        self.assertEqual(made["signatures"], 2)
        for key in ("author.pub", "other.pub"):
            self.fettle("manifest", "verify", "twice.suit", "--anchor", key)
        # a public key signs nothing
        self.fettle("manifest", "sign", "lamp.suit", "--key", "author.pub", "-o", "none.suit", code=REFUSED)
        self.assertFalse(os.path.exists("none.suit"))

    def test_standard_output(self):
        self.manifest("--key", "author")
        done = subprocess.run([harness.FETTLE, "manifest", "sign", "lamp.suit", "--key", "other", "-o", "-"],
                              capture_output=True)
        self.assertEqual(done.returncode, DONE)
        again = subprocess.run([harness.FETTLE, "manifest", "verify", "-", "--anchor", "other.pub"],
                               input=done.stdout, capture_output=True)
        self.assertEqual(again.returncode, DONE, again.stderr)
        with open("/dev/full", "w") as full:
            self.assertEqual(subprocess.run([harness.FETTLE, "--help"], stdout=full).returncode, DONE)
            done = subprocess.run([harness.FETTLE, "key", "show", "author"], stdout=full,
                                  stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, REFUSED)
            self.assertIn(b"standard output cannot be written", done.stderr)

    def test_policy_check(self):
        with open("p.json", "w") as f:
            json.dump({"contact_interval": 60, "urgency": {"normal": {"retries": 0}}}, f)
        shown = json.loads(self.fettle("--json", "policy", "check", "p.json"))
        self.assertEqual((shown["contact_interval"], shown["urgency"]["normal"]["retries"]), (60, 0))
        self.assertEqual(shown["urgency"]["high"]["retries"], 4)
        for text, want in (('{"contact_intervall": 1}', "contact_intervall"), ('{"contact_interval": 0}',
                           "contact_interval"), ("{", "p.json"), ("[]", "p.json")):
            with open("p.json", "w") as f:
                f.write(text)
            self.assertIn(want, self.fettle("policy", "check", "p.json", code=REFUSED))


def harness_uuid(domain):
    import uuid
    return uuid.uuid5(uuid.NAMESPACE_DNS, domain)


class Operating(harness.Case):
    """Everything that asks the service."""

    def refused(self, message, *words, code=REFUSED):
        done = self.daemon.fettle(*words, ok=False)
        self.assertEqual(done.returncode, code, (words, done.stdout, done.stderr))
        self.assertIn(message, done.stderr)
        self.assertEqual(done.stdout, "")

    def shape(self, document, members, partial=False):
        self.assertIsInstance(document, dict)
        missing = set(members.split()) - set(document)
        self.assertFalse(missing, "missing in %s" % sorted(document))
        if not partial:
            self.assertEqual(set(document), set(members.split()))

    def test_status_and_doctor(self):
        status = self.daemon.json("status")
        self.shape(status, "version state uptime_s devices rollouts_running updates_in_flight jobs_running "
                   "store clock", partial=True)
        self.assertEqual((status["state"], status["devices"]), ("running", 0))
        self.assertIn("state                running\n", self.daemon.fettle("status"))
        findings = self.daemon.json("doctor")["items"]
        self.assertEqual([(f["check"], f["ok"]) for f in findings],
                         [("service", True), ("clock", True), ("audit", True)])
        self.assertRegex(self.daemon.fettle("doctor"), r"(?m)^audit    yes  chain is whole$")
        # behind the command --json means the same
        self.assertEqual(json.loads(self.daemon.fettle("status", "--json"))["state"], "running")

    def test_anchors(self):
        key = self.author()
        listed = self.daemon.json("anchor", "list")
        self.shape(listed, "items")
        anchor = listed["items"][0]
        self.shape(anchor, "id vendor vendor_id key_id alg not_before not_after revoked created by")
        self.assertEqual(anchor["vendor"], "example.com")
        self.assertEqual(anchor["vendor_id"], str(harness_uuid("example.com")))
        self.assertEqual(anchor, self.daemon.json("anchor", "show", str(anchor["id"])))
        self.assertRegex(self.daemon.fettle("anchor", "list"), r"^ID +VENDOR +ALG +KEY +NOT AFTER +REVOKED\n1 +example.com")
        # a private key handed in by mistake: only its public half leaves
        other = self.path("other.pem")
        run("key", "generate", "-o", other)
        added = self.daemon.json("anchor", "add", other, "--vendor", "acme.example",
                                 "--not-after", "2040-01-01T00:00:00Z")
        self.assertEqual(added["key_id"], json.loads(run("--json", "key", "show", other).stdout)["key_id"])
        self.assertEqual(added["not_after"], "2040-01-01T00:00:00.000Z")
        self.assertIsNotNone(self.daemon.json("anchor", "revoke", str(anchor["id"]))["revoked"])
        self.refused("there is no such anchor", "anchor", "show", "77")
        self.refused("not_after", "anchor", "add", key, "--vendor", "x.example", "--not-after", "soon")
        self.refused("vendor", "anchor", "add", key, "--vendor", "not a domain")

    def test_images(self):
        image = self.random.randbytes(300000)
        path = self.write("image.bin", image)
        digest = harness.sha256(image)
        added = self.daemon.json("image", "add", path)
        self.shape(added, "digest size created by")
        self.assertEqual((added["digest"], added["size"], added["by"]), (digest, "300000", "uid:%d" % os.getuid()))
        self.assertEqual(self.daemon.json("image", "show", digest), added)
        self.assertEqual(self.daemon.json("image", "list")["items"], [added])
        self.assertRegex(self.daemon.fettle("image", "list"),
                         r"^DIGEST +SIZE +BY +CREATED\n%s  300000  uid:\d+ +%s\n$" % (digest, TIME))
        out = self.path("out.bin")
        self.daemon.fettle("image", "get", digest, "-o", out)
        with open(out, "rb") as f:
            self.assertEqual(f.read(), image)
        self.assertEqual(self.daemon.fettle("image", "get", digest, "-o", "-", ok=False, text=False).stdout, image)
        # what is refused leaves what was there, and nothing beside it
        before = sorted(os.listdir(self.root))
        self.refused("there is no such image", "image", "get", "0" * 64, "-o", out)
        with open(out, "rb") as f:
            self.assertEqual(f.read(), image)
        self.assertEqual(sorted(os.listdir(self.root)), before)
        self.refused("No such file", "image", "get", digest, "-o", self.path("none/x"))
        self.refused("No such file", "image", "add", self.path("none"))
        self.assertEqual(self.daemon.fettle("image", "remove", digest), "")
        self.refused("there is no such image", "image", "show", digest)

    def test_releases(self):
        key = self.author()
        image = self.random.randbytes(5000)
        manifest = self.manifest(image, 3, key, version="1.2")
        image_path = self.path("image-lamp-3.bin")
        release = self.daemon.json("release", "add", manifest, image_path)
        self.shape(release, "id name manifest state complete missing published vendor_id class_id manufacturer model "
                   "version sequence urgency urgency_by by approved_by created approved", partial=True)
        self.assertEqual((release["name"], release["sequence"], release["complete"], release["missing"]),
                         ("lamp-1.2", "3", True, []))
        self.assertEqual(self.daemon.json("release", "approve", "lamp-1.2")["state"], "approved")
        self.assertTrue(self.daemon.json("release", "publish", "lamp-1.2")["published"])
        self.assertFalse(self.daemon.json("release", "publish", "lamp-1.2", "--off")["published"])
        self.assertEqual(self.daemon.json("release", "set", "lamp-1.2", "--urgency", "critical")["urgency"], "critical")
        self.refused("urgency", "release", "set", "lamp-1.2", "--urgency", "panic")
        self.assertRegex(self.daemon.fettle("release", "list"),
                         r"^ID  NAME +VERSION  SEQUENCE  STATE +COMPLETE  PUBLISHED  URGENCY\n"
                         r"1   lamp-1.2  1.2      3         approved  yes       no         critical\n$")
        self.assertEqual(self.daemon.json("release", "show", "lamp-1.2")["id"],
                         self.daemon.json("release", "show", str(release["id"]))["id"])
        self.assertEqual(self.daemon.json("release", "withdraw", "lamp-1.2", "--floor")["state"], "withdrawn")
        self.refused("there is no such release", "release", "show", "lamp-9")
        # a manifest that is refused uploads no image
        big = self.write("big.bin", self.random.randbytes(70000))
        self.refused(os.path.basename(image_path), "release", "add", image_path, big)
        self.assertEqual(len(self.daemon.json("image", "list")["items"]), 1)
        named = self.daemon.json("release", "add", self.manifest(b"other image", 4, key), self.path("image-lamp-4.bin"),
                                 "--name", "by-hand")
        self.assertEqual(named["name"], "by-hand")

    def test_devices(self):
        device = self.daemon.json("device", "add", "lamp-1", "--mode", "client", "--manufacturer", "acme", "--model", "lamp",
                                  "--contact-interval", "15m", "--tag", "lab", "--tag", "new",
                                  "--attr", "site=north", "--attr", "floor=3")
        self.shape(device, "id auth mode registered disabled vendor_id class_id manufacturer model parent contact_interval "
                   "held floor_sequence tags attributes reported components last_seen endpoint service created "
                   "changed update", partial=True)
        self.assertEqual((device["id"], device["auth"], device["mode"], device["contact_interval"], device["registered"]),
                         ("lamp-1", "credential", "client", 900, False))
        self.assertEqual(device["tags"], ["lab", "new"])
        self.assertEqual(device["attributes"], {"site": "north", "floor": 3})
        self.assertEqual(self.daemon.json("device", "show", "lamp-1"), device)
        self.daemon.fettle("device", "add", "gw-1", "--auth", "none")
        changed = self.daemon.json("device", "set", "lamp-1", "parent=gw-1", "disabled=yes", "model=7",
                                   "contact_interval=1h", "--attr", "site=", "--no-tags")
        self.assertEqual((changed["parent"], changed["disabled"], changed["model"], changed["contact_interval"]),
                         ("gw-1", True, "7", 3600))
        self.assertEqual((changed["tags"], changed["attributes"]), ([], {"floor": 3}))
        self.assertIsNone(self.daemon.json("device", "set", "lamp-1", "parent=", "disabled=no")["parent"])
        self.assertRegex(self.daemon.fettle("device", "list"),
                         r"^ID +MODE +MANUFACTURER +MODEL +VERSION +UPDATE +LAST SEEN\n"
                         r"lamp-1  client  acme          7      -        -       -\ngw-1 ")
        self.assertEqual([d["id"] for d in self.daemon.json("device", "list", "-q", "id == gw-1")["items"]], ["gw-1"])
        self.refused("q: column 1: colour is no field", "device", "list", "--query", "colour == red")
        self.assertEqual(self.daemon.json("device", "history", "lamp-1"), {"items": []})
        why = self.daemon.json("device", "why", "lamp-1")
        self.shape(why, "device gates")
        self.assertRegex(self.daemon.fettle("device", "why", "lamp-1"), r"^> closed update +none is planned\n$")
        self.refused("device lamp-1 exists already", "device", "add", "lamp-1")
        self.refused("parent", "device", "set", "lamp-1", "parent=lamp-1")
        self.refused("colour", "device", "set", "lamp-1", "colour=red")
        self.refused("there is no such device", "device", "show", "lamp-2")
        self.assertEqual(self.daemon.fettle("device", "remove", "lamp-1"), "")
        self.refused("there is no such device", "device", "remove", "lamp-1")

    def test_arguments_stay_in_their_place(self):
        """An argument names one thing: no path, no query, no dot segment gets out of it."""
        self.daemon.fettle("device", "add", "lamp-1")
        for evil in ("..", ".", "../devices/lamp-1", "lamp-1?x=1", "lamp-1#x", "lamp-1/credentials", "%2e%2e", "",
                     "lamp-1\n", " lamp-1"):
            with self.subTest(argument=evil):
                for words in (("device", "show", evil), ("device", "remove", evil), ("group", "leave", evil, "lamp-1"),
                              ("device", "credential", "revoke", evil, "1"), ("group", "leave", "..", "lamp-1")):
                    self.assertEqual(self.daemon.fettle(*words, ok=False).returncode, REFUSED, words)
        self.assertEqual(self.daemon.json("device", "show", "lamp-1")["id"], "lamp-1")
        # what nothing can be called is named, not called malformed
        for odd in ("lamp 1", "l\u00e4mpchen"):
            for words in (("device", "show", odd), ("rollout", "why", odd), ("group", "remove", odd),
                          ("release", "show", odd), ("device", "credential", "list", odd)):
                self.refused("'%s': names have no blanks" % odd, *words)
        self.assertNotIn("\x1b", self.daemon.fettle("device", "show", "lamp\x1b", ok=False).stderr)

    def test_credentials(self):
        self.daemon.fettle("device", "add", "lamp-1")
        path = self.write("psk", (PSK + "\n").encode())
        added = self.daemon.json("device", "credential", "add", "lamp-1", "--psk-file", path, "--identity", "lamp")
        self.shape(added, "id kind identity created not_after revoked")
        self.assertEqual((added["kind"], added["identity"]), ("psk", "lamp"))
        out = self.daemon.fettle("device", "credential", "add", "lamp-1", "--token", "--days", "30")
        token = re.search(r"(?m)^token +(fd_\S+)$", out).group(1)
        everything = [self.daemon.fettle(*words) for words in (
            ("device", "credential", "list", "lamp-1"), ("--json", "device", "credential", "list", "lamp-1"),
            ("--json", "device", "show", "lamp-1"), ("--json", "audit", "list"))]
        with open(self.daemon.log) as f:
            everything.append(f.read())
        for text in everything:
            self.assertNotIn(token, text)
            self.assertNotIn(PSK, text)
        listed = self.daemon.json("device", "credential", "list", "lamp-1")["items"]
        self.assertEqual([c["kind"] for c in listed], ["psk", "token"])
        self.assertIsNotNone(listed[1]["not_after"])
        self.assertEqual(self.daemon.fettle("device", "credential", "revoke", "lamp-1", str(listed[0]["id"])), "")
        self.assertIsNotNone(self.daemon.json("device", "credential", "list", "lamp-1")["items"][0]["revoked"])
        self.refused("there is no such credential", "device", "credential", "revoke", "lamp-1", "99")
        for bad in (b"0011", b"xyz", b"", b"00" * 300):
            done = self.daemon.fettle("device", "credential", "add", "lamp-1", "--psk-file",
                                      self.write("bad", bad), ok=False)
            self.assertEqual(done.returncode, REFUSED)
            if bad:
                self.assertNotIn(bad.decode(), done.stderr)

    def test_groups(self):
        for name in ("a", "b", "c"):
            self.daemon.fettle("device", "add", name)
        self.assertEqual(self.daemon.json("group", "add", "north"), {"name": "north"})
        self.assertEqual(self.daemon.fettle("group", "list"), "NAME\nnorth\n")
        self.assertEqual(self.daemon.fettle("group", "join", "north", "a", "b"), "")
        query = ("--json", "device", "list", "-q", "group == north")
        self.assertEqual([d["id"] for d in json.loads(self.daemon.fettle(*query))["items"]], ["a", "b"])
        self.daemon.fettle("group", "leave", "north", "a")
        self.assertEqual([d["id"] for d in json.loads(self.daemon.fettle(*query))["items"]], ["b"])
        self.refused("nobody: there is no such device", "group", "join", "north", "nobody")
        self.refused("there is no such group", "group", "join", "south", "a")
        # one of them is wrong: nothing changes for the others
        self.refused("nobody: there is no such device", "group", "join", "north", "a", "nobody", "c")
        self.refused("nobody: there is no such device", "group", "leave", "north", "b", "nobody")
        self.assertEqual([d["id"] for d in json.loads(self.daemon.fettle(*query))["items"]], ["b"])
        self.refused("group north exists already", "group", "add", "north")
        self.assertEqual(self.daemon.fettle("group", "remove", "north"), "")
        self.assertEqual(self.daemon.json("group", "list"), {"items": []})
        self.assertEqual(self.daemon.fettle("group", "list"), "none\n")

    def test_windows(self):
        """More of them in test_window.py."""
        self.daemon.fettle("device", "add", "a")
        self.assertIn("\n1   device  a   window ", self.daemon.fettle("window", "add", "device", "a",
                                                                    "Sat,Sun 01:00-05:00 Europe/Berlin"))
        self.assertEqual(self.daemon.json("window", "list")["items"][0]["duration"], 14400)
        self.assertEqual(len(self.daemon.json("window", "next", "a", "--count", "2")["items"][0]["openings"]), 2)
        self.refused("window, column 1: a day was expected", "window", "add", "device", "a", "01:00-05:00 UTC")
        self.assertEqual(self.daemon.fettle("window", "remove", "1"), "")
        self.assertEqual(self.daemon.fettle("window", "list"), "none\n")

    def rollout(self, name="spring", *more):
        release = self.release(b"image " + name.encode(), len(name), version="1.%d" % len(name))
        return self.daemon.json("rollout", "create", name, "--release", release["name"], "--target", "all", *more)

    def test_rollouts(self):
        for name in ("a", "b", "c"):
            self.daemon.fettle("device", "add", name)
        release = self.release(b"image", 1, version="1.0")["name"]
        words = ("rollout", "create", "spring", "--release", release, "--target", "all")
        plan = self.daemon.json(*words, "--dry-run", "--phase", "count=1,soak=1h", "--phase", "filter=id in (b, c)",
                                "--per-minute", "1")
        self.assertEqual((plan["devices"], plan["exact"], plan["order"]), (3, True, "any"))
        self.assertEqual([(p["devices"], p["begins_s"], p["ends_s"]) for p in plan["phases"]],
                         [(1, 0, 0), (2, 3600, 3660)])
        self.assertEqual(plan["sampled"], 3)
        self.assertNotIn("warning", plan)
        self.assertIn("exact", self.daemon.fettle(*words, "--dry-run"))
        nobody = words[:-1] + ("id == nobody",)
        self.assertIn("the target takes no device", self.daemon.json(*nobody, "--dry-run")["warning"])
        self.assertRegex(self.daemon.fettle(*nobody, "--dry-run"), r"(?m)^warning +the target takes no device")
        self.assertEqual(self.daemon.json("rollout", "list"), {"items": []})
        rollout = self.daemon.json(*words, "--budget", "2", "--phase", "count=1,success=100,soak=1h",
                                   "--phase", "percent=100,timeout=7d")
        self.shape(rollout, "id name release target state reason urgency budget in_flight_window counters phase phases by "
                   "created started finished", partial=True)
        self.assertNotEqual(rollout["state"], "creating")
        self.assertEqual((rollout["budget"], rollout["counters"]["total"], rollout["release"]), (2, 3, release))
        self.assertEqual([(p.get("count"), p.get("percent"), p["soak_s"], p["timeout_s"]) for p in rollout["phases"]],
                         [(1, None, 3600, 0), (None, 100, 0, 604800)])
        self.assertEqual(self.daemon.json("rollout", "start", "spring")["state"], "running")
        self.assertEqual(self.daemon.json("rollout", "pause", "spring", "--reason", "holidays")["reason"], "holidays")
        # watch: 0 only when finished
        done = self.daemon.fettle("rollout", "watch", "spring", ok=False)
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn("rollout is paused: holidays", done.stderr)
        self.assertIn("state                paused\n", done.stdout)
        self.assertEqual(self.daemon.json("rollout", "resume", "spring")["state"], "running")
        self.assertEqual(self.daemon.json("rollout", "show", str(rollout["id"]))["name"], "spring")
        self.assertRegex(self.daemon.fettle("rollout", "list"),
                         r"^ID  NAME +RELEASE +STATE +DEVICES +SUCCEEDED +IN FLIGHT +FAILED +BUDGET +REASON\n"
                         r"1   spring  lamp-1.0  running  3        0          0          0       2       -\n$")
        updates = self.daemon.json("update", "list")["items"]
        self.assertEqual([u["device"] for u in updates], ["a", "b", "c"])
        self.shape(updates[0], "id device rollout release state urgency attempt progress reason failure late created "
                   "changed")
        self.assertEqual(self.daemon.json("update", "list", "--rollout", "spring")["items"], updates)
        self.assertEqual(self.daemon.json("update", "list", "--device", "b")["items"], updates[1:2])
        self.assertEqual(self.daemon.json("update", "list", "--device", "b", "--rollout", "spring")["items"], updates[1:2])
        self.assertEqual(self.daemon.json("update", "show", str(updates[0]["id"])), updates[0])
        self.refused("there is no such rollout", "update", "list", "--rollout", "autumn")
        self.refused("there is no such update", "update", "show", "99")
        self.assertRegex(self.daemon.fettle("update", "list"), r"^ID  DEVICE  ROLLOUT  STATE +ATTEMPT  PROGRESS  REASON\n")
        self.daemon.fettle("rollout", "abort", "spring", "--reason", "enough")
        harness.wait_until("the rollout to be aborted",
                           lambda: self.daemon.json("rollout", "show", "spring")["state"] == "aborted")
        done = self.daemon.fettle("rollout", "watch", "spring", ok=False)
        self.assertEqual((done.returncode, "rollout is aborted: enough" in done.stderr), (REFUSED, True), done.stderr)
        self.refused("rollout spring exists already", *words)
        self.refused("there is no such release", "rollout", "create", "x", "--release", "none", "--target", "all")
        self.refused("target: ", "rollout", "create", "x", "--release", release, "--target", "model =")
        self.refused("there is no such rollout", "rollout", "start", "autumn")
        jobs = self.daemon.json("job", "list")["items"]
        self.assertTrue(jobs)
        self.shape(jobs[0], "id kind ref state done total result by created finished")
        self.assertEqual(self.daemon.json("job", "show", str(jobs[0]["id"]))["kind"], jobs[0]["kind"])
        self.assertRegex(self.daemon.fettle("job", "list"), r"^ID  KIND +STATE +DONE +TOTAL +BY +CREATED\n")
        self.refused("", "job", "cancel", str(jobs[0]["id"]))
        self.refused("there is no such job", "job", "show", "99")

    def test_rollout_limits(self):
        """What makes a rollout comes back as it was said, in a clone too."""
        self.daemon.fettle("device", "add", "a")
        release = self.release(b"image", 1, version="1.0")["name"]
        words = ("rollout", "create", "spring", "--release", release, "--target", "all")
        made = self.daemon.json(*words, "--per-minute", "30", "--max-in-flight", "7", "--per-link", "2",
                                "--bytes-per-second", "4096", "--link-bytes-per-second", "512", "--order", "leaf-first",
                                "--focus", "--force", "--pause-at", "digest=3", "--pause-at", "boot=1",
                                "--phase", "count=1,start=2030-01-01T00:00:00Z", "--phase", "filter=id in (a, b)")
        limits = {"per_minute": 30, "max_in_flight": 7, "per_link": 2, "bytes_per_s": 4096, "link_bytes_per_s": 512,
                  "order": "leaf-first", "focus": True, "force": True, "pause_at": {"digest": 3, "boot": 1}}
        self.assertEqual({k: made[k] for k in limits}, limits)
        self.assertEqual([(p.get("filter"), p.get("not_before")) for p in made["phases"]],
                         [(None, "2030-01-01T00:00:00.000Z"), ("id in (a, b)", None)])
        clone = self.daemon.json("rollout", "clone", "spring", "summer")
        self.assertEqual((clone["name"], {k: clone[k] for k in limits}), ("summer", limits))
        self.assertEqual([p.get("not_before") for p in clone["phases"]], [None, None])
        self.refused("rollout summer exists already", "rollout", "clone", "spring", "summer")
        self.refused("there is no such rollout", "rollout", "clone", "autumn", "winter")
        self.refused("pause_at: no failure is called flood", *words, "--pause-at", "flood=1")
        self.refused("order: any, leaf-first or core-first", *words, "--order", "zigzag")
        self.refused("not_before: a time as", *words, "--phase", "count=1,start=soon", "--phase", "percent=100")
        self.refused("phase 1: percent, count or filter, one of them", *words, "--phase", "count=1,filter=all")
        done = self.daemon.fettle(*words, "--pause-at", "digest", ok=False)
        self.assertIn("--pause-at takes FAILURE=N", done.stderr)

    def test_rollout_verbs(self):
        for name in ("a", "b"):
            self.daemon.fettle("device", "add", name)
        release = self.release(b"image", 1, version="1.0")["name"]
        words = ("rollout", "create", "spring", "--release", release, "--target", "all")
        self.daemon.json(*words, "--phase", "count=1,soak=1h", "--phase", "percent=100", "--auto-start")
        self.assertEqual(self.daemon.json("rollout", "show", "spring")["state"], "running")
        why = self.daemon.json("rollout", "why", "spring")
        self.assertEqual(why["rollout"], "spring")
        self.assertEqual([g["gate"] for g in why["gates"]],
                         ["verification", "rollout", "phase", "success", "failures", "budget", "links", "pace", "order"])
        self.assertRegex(self.daemon.fettle("rollout", "why", "spring"),
                         r"  open   phase            phase 1: 0 of 1 joined, 0 done, 0 succeeded\n")
        self.assertEqual(self.daemon.json("rollout", "next", "spring")["phase"], 2)
        self.refused("is in its last phase", "rollout", "next", "spring")
        self.refused("nothing has failed", "rollout", "retry", "spring")
        self.refused("is less than 2", "rollout", "retry", "spring", "--budget", "1")
        self.refused("takes a number", "rollout", "retry", "spring", "--budget", "few", code=2)
        self.refused("it cannot be approved", "rollout", "approve", "spring")
        self.refused("it cannot be denied", "rollout", "deny", "spring", "--reason", "no")
        paused = self.daemon.json("rollout", "pause", "spring", "--force", "--reason", "hold on")
        self.assertEqual((paused["state"], paused["reason"], paused["job"]["kind"]), ("paused", "hold on", "rollout-recall"))
        self.assertRegex(self.daemon.fettle("rollout", "why", "spring"), r"> closed rollout +paused: hold on\n")
        self.refused("is less than 2", "rollout", "resume", "spring", "--budget", "1")
        self.assertEqual(self.daemon.json("rollout", "resume", "spring", "--budget", "5")["budget"], 5)
        stopped = self.daemon.json("rollout", "abort", "spring", "--force")
        self.assertEqual((stopped["state"], stopped["job"]["kind"]), ("aborted", "rollout-stop"))
        self.refused("there is no such rollout", "rollout", "why", "autumn")

    def test_watch_to_the_end(self):
        """A rollout for nobody, and one for a device that is there already, finish; watch says so."""
        self.daemon.fettle("device", "add", "bulb", "--auth", "none")
        self.rollout("spring", "--budget", "1")
        watch = subprocess.Popen([harness.FETTLE, "--socket", self.daemon.socket, "--json", "rollout", "watch", "spring"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.stderr.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        self.daemon.fettle("rollout", "start", "spring")
        state = self.path("state")
        os.makedirs(state)
        device = subprocess.run([harness.DEVICE, "--server", self.daemon.url("coap"), "--id", "bulb", "--state", state,
                                 "--anchor", self.path("anchor.pem"), "--vendor", "example.com", "--class", "lamp",
                                 "--poll", "1", "--timeout", "60", "--until-done"], capture_output=True, text=True,
                                timeout=90 * harness.PATIENCE)
        self.assertEqual(device.returncode, 0, device.stdout + device.stderr)
        out, error = watch.communicate(timeout=30 * harness.PATIENCE)
        self.assertEqual((watch.returncode, error), (DONE, ""))
        self.assertEqual(json.loads(out)["state"], "finished")
        self.assertIn("bulb", self.daemon.fettle("device", "list"))
        self.assertRegex(self.daemon.fettle("device", "list"), r"(?m)^bulb .* 1\.6 ")
        moves = self.daemon.fettle("device", "history", "bulb")
        self.assertRegex(moves, r"^AT +UPDATE  FROM +TO +CAUSE\n%s  1 " % TIME)

    def test_tokens_and_operators(self):
        made = self.daemon.json("token", "create", "ci", "--role", "author", "--days", "30")
        self.shape(made, "id name role scope created not_after revoked by token")
        self.assertRegex(made["token"], r"^ft_[A-Za-z0-9_-]{40,}$")
        for words in (("token", "list"), ("--json", "token", "list"), ("--json", "audit", "list")):
            self.assertNotIn(made["token"], self.daemon.fettle(*words))
        self.assertRegex(self.daemon.fettle("token", "list"), r"^ID  NAME  ROLE +SCOPE  NOT AFTER +REVOKED\n1   ci    author")
        self.assertIsNotNone(self.daemon.json("token", "revoke", "1")["revoked"])
        self.refused("role", "token", "create", "x", "--role", "admin")
        self.daemon.fettle("token", "create", "twice", "--role", "viewer")
        self.refused("token twice exists already", "token", "create", "twice", "--role", "viewer")
        self.refused("role", "token", "create", "x", "--role", "king")
        self.refused("scope", "token", "create", "x", "--role", "viewer", "--scope", "colour = red")
        self.refused("there is no such token", "token", "revoke", "9")
        operator = self.daemon.json("operator", "add", "--uid", "4711", "--role", "operator")
        self.shape(operator, "uid role by created")
        self.assertEqual((operator["uid"], operator["role"]), (4711, "operator"))
        self.assertRegex(self.daemon.fettle("operator", "list"), r"^UID   ROLE +BY +CREATED\n4711  operator  uid:\d+ ")
        self.assertEqual(self.daemon.fettle("operator", "remove", "4711"), "")
        self.refused("there is no such operator", "operator", "remove", "4711")

    def test_over_https(self):
        self.daemon.fettle("device", "add", "lamp-1")
        files = {}
        for role in ("viewer", "operator"):
            token = self.daemon.json("token", "create", role, "--role", role)["token"]
            files[role] = self.write(role, (token + "\n").encode())

        def https(role, *words, ca=True):
            more = ["--ca", self.daemon.certificate] if ca else []
            if role:
                more += ["--token-file", files[role]]
            return run("--server", self.daemon.url("https"), *more, *words)
        done = https("viewer", "--json", "device", "show", "lamp-1")
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertEqual(json.loads(done.stdout)["id"], "lamp-1")
        done = https("viewer", "device", "add", "lamp-2")
        self.assertEqual(done.returncode, REFUSED)
        self.assertIn("token:viewer may not do this", done.stderr)
        self.assertEqual(https("operator", "device", "add", "lamp-2").returncode, DONE)
        image = self.write("image", b"x" * 100000)
        self.assertEqual(https("operator", "image", "add", image).returncode, DONE)
        out = self.path("out")
        self.assertEqual(https("viewer", "image", "get", harness.sha256(b"x" * 100000), "-o", out).returncode, DONE)
        self.assertEqual(os.path.getsize(out), 100000)
        # what concerns trust is for the local socket
        for words in (("token", "list"), ("operator", "list"), ("anchor", "revoke", "1")):
            self.assertEqual(https("operator", *words).returncode, REFUSED, words)
        self.assertEqual(https(None, "device", "list").returncode, REFUSED)
        self.write("viewer", b"ft_" + b"x" * 43)
        self.assertEqual(https("viewer", "device", "list").returncode, REFUSED)
        # a server nobody vouches for is not spoken to
        done = https("operator", "status", ca=False)
        self.assertEqual(done.returncode, UNREACHABLE)
        self.assertIn("certificate", done.stderr)
        # plain HTTP, this machine only
        done = run("--server", self.daemon.url("http"), "--token-file", files["operator"], "--json", "status")
        self.assertEqual(done.returncode, DONE, done.stderr)
        # a proxy of the environment is nothing the local socket knows
        done = run("--socket", self.daemon.socket, "status",
                   env=dict(os.environ, http_proxy="http://127.0.0.1:1", ALL_PROXY="http://127.0.0.1:1"))
        self.assertEqual(done.returncode, DONE, done.stderr)

    def test_audit_and_policy(self):
        self.daemon.fettle("device", "add", "lamp-1")
        rows = self.daemon.json("audit", "list")["items"]
        self.shape(rows[0], "id at who verb object detail hash")
        self.assertEqual((rows[0]["verb"], rows[0]["object"]), ("device.add", "lamp-1"))
        self.assertRegex(self.daemon.fettle("audit", "list"), r"^ID  AT +WHO +VERB +OBJECT +DETAIL\n1   %s  uid:" % TIME)
        verified = self.daemon.json("audit", "verify")
        self.assertEqual(verified, {"rows": len(rows), "whole": True, "first_bad": None, "next": None})
        self.assertIn("whole                yes\n", self.daemon.fettle("audit", "verify"))
        policy = self.daemon.json("policy", "show")
        self.assertEqual(policy["urgency"]["normal"]["retries"], 3)
        path = self.write("policy.json", json.dumps({"urgency": {"normal": {"retries": 1}}}).encode())
        self.assertEqual(self.daemon.json("policy", "set", path)["urgency"]["normal"]["retries"], 1)
        self.assertEqual(self.daemon.json("policy", "show")["urgency"]["normal"]["retries"], 1)
        # everything that is shown can be set again
        whole = self.write("whole.json", self.daemon.fettle("--json", "policy", "show").encode())
        self.assertEqual(self.daemon.json("policy", "set", whole), self.daemon.json("policy", "show"))
        self.assertIn("contact_interval     3600\n", self.daemon.fettle("policy", "show"))
        self.refused("retriesss", "policy", "set",
                     self.write("bad.json", b'{"urgency": {"normal": {"retriesss": 1}}}'))
        self.refused("bad.json: JSON", "policy", "set", self.write("bad.json", b'{"urgency": '))

    def test_a_whole_fleet(self):
        """Import, and lists of many pages, of objects with much in them."""
        lines = [json.dumps({"id": "d%04d" % i, "model": "lamp", "tags": ["t%d" % k for k in range(20)],
                             "attributes": {"a%d" % k: k for k in range(20)}}) for i in range(300)]
        path = self.write("fleet.ndjson", "\n".join(lines).encode())
        self.assertEqual(self.daemon.json("device", "import", path), {"added": 300})
        items = self.daemon.json("device", "list")["items"]
        self.assertEqual([d["id"] for d in items], ["d%04d" % i for i in range(300)])
        self.assertEqual(len(self.daemon.fettle("device", "list").splitlines()), 301)
        found = self.daemon.json("device", "list", "--query", "id in (d0007, d0299)")["items"]
        self.assertEqual([d["id"] for d in found], ["d0007", "d0299"])
        self.assertEqual(len(self.daemon.json("audit", "list")["items"]), 300)

    def test_objects_with_much_in_them(self):
        """A page of the usual length would be more than one document may hold."""
        lines = [json.dumps({"id": "d%02d" % i, "auth": "none"}) for i in range(80)]
        self.daemon.fettle("device", "import", self.write("fleet", "\n".join(lines).encode()))
        body = json.dumps({"boot": 1, "counter": 1, "mode": "client", "components": [
            {"name": "part-%d" % k, "version": "1.%d" % k, "sequence": str(k), "digest": "%064x" % k}
            for k in range(16)]})
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port, timeout=10 * harness.PATIENCE)
        self.addCleanup(connection.close)
        for i in range(80):
            connection.request("PUT", "/device/d%02d" % i, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            self.assertIn(answer.status, (200, 201), text)
            if answer.getheader("Connection") == "close":
                connection.close()
        items = self.daemon.json("device", "list")["items"]
        self.assertEqual([d["id"] for d in items], ["d%02d" % i for i in range(80)])
        self.assertEqual({len(d["components"]) for d in items}, {16})

    def test_words_that_contradict_each_other(self):
        """Nothing is sent; what is wrong is named."""
        for words, says in (
                (["--phase", ""], "--phase says nothing"),
                (["--phase", "percent=10,percent=20"], "percent is there twice"),
                (["--phase", "percent=10,success=0"], "success is from 1 on"),
                (["--pause-at", "boot=1", "--pause-at", "boot=2"], "--pause-at boot is given twice")):
            done = self.daemon.fettle("rollout", "create", "odd", "--release", "none", "--target", "all",
                                      *words, ok=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(says, done.stderr)

    def test_import_of_csv(self):
        path = self.write("fleet.csv", b"id,mode,model,tags,attr.site,contact_interval\r\n"
                          b"a,client,lamp,lab new,north,60\r\n\r\n\"b\",,\"la,mp\",,,\r\n")
        self.assertEqual(self.daemon.json("device", "import", path), {"added": 2})
        device = self.daemon.json("device", "show", "a")
        self.assertEqual((device["mode"], device["tags"], device["attributes"], device["contact_interval"]),
                         ("client", ["lab", "new"], {"site": "north"}, 60))
        # parts: the bad line is named by its number in the file, and no line of its part is taken
        rows = ["id,model"] + ["x%d,m" % i for i in range(2000)]
        rows[1799] = "bad id,m"
        path = self.write("big", ("\n".join(rows) + "\n").encode())
        done = self.daemon.fettle("device", "import", path, "--csv", ok=False)
        self.assertEqual(done.returncode, REFUSED)
        self.assertRegex(done.stderr, r"(?m)^line 1800: id")
        self.assertIn("after 1000 devices were enrolled", done.stderr)
        self.assertEqual(self.daemon.json("status")["devices"], 1002)
        # a second part: the lines are the file's
        rows[1799] = rows[1699]
        done = self.daemon.fettle("device", "import", self.write("twice", ("\n".join(
            rows[:1] + ["y" + row for row in rows[1:]]) + "\n").encode()), "--csv", ok=False)
        self.assertRegex(done.stderr, r"(?m)^line 1800: device yx1698 is named twice: in line 1700, too$")
        # the head line is the first with something in it, for every part
        rows = ["", "\r", "id,model"] + ["z%d,m" % i for i in range(1001)] + ["bad id,m"]
        done = self.daemon.fettle("device", "import", self.write("late", ("\n".join(rows) + "\n").encode()), "--csv",
                                  ok=False)
        self.assertRegex(done.stderr, r"\Aline 1005: id: .*\nfettle: after 1000 devices were enrolled: 1 bad line")
        # nor is the mark some programs put before UTF-8 a line
        rows = ["\ufeff", "id,model"] + ["m%d,m" % i for i in range(1001)] + ["bad id,m"]
        done = self.daemon.fettle("device", "import", self.write("mark", ("\n".join(rows) + "\n").encode()), "--csv",
                                  ok=False)
        self.assertRegex(done.stderr, r"\Aline 1004: id: .*\nfettle: after 1000 devices were enrolled: 1 bad line")
        # a head line alone is looked at, too: lines that end as nobody ends them any more are all in it
        done = self.daemon.fettle("device", "import", self.write("old", b"id\rold-1\r"), "--csv", ok=False)
        self.assertEqual(done.returncode, REFUSED)
        self.assertRegex(done.stderr, r"\Aline 1: head line: column 1: ")
        self.assertEqual(self.daemon.json("device", "import", self.write("none", b"id\n"), "--csv"), {"added": 0})
        done = self.daemon.fettle("device", "import", self.write("head", b"id,colour\na1,red\na2,blue\n"), "--csv",
                                  ok=False)
        self.assertRegex(done.stderr, r'\Aline 1: head line: column 2: a device has no "colour"\n'
                         r"fettle: 1 bad line; nothing was enrolled")
        done = self.daemon.fettle("device", "import", self.write("bad", b'{"id": "y"}\n{"idd": "z"}\n{'), ok=False)
        self.assertEqual(done.returncode, REFUSED)
        self.assertRegex(done.stderr, r"line 2: .*idd.*\nline 3: .*\nfettle: 2 bad lines; nothing was enrolled")

    def test_what_devices_say_is_harmless(self):
        """A device's words end on an operator's terminal: no control character comes through."""
        self.daemon.fettle("device", "add", "bulb", "--auth", "none")
        evil = "\x1b[2J\x1b]0;owned\x07\r\n\u009b31m\u202e"
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port, timeout=10 * harness.PATIENCE)
        self.addCleanup(connection.close)
        connection.request("PUT", "/device/bulb", json.dumps(
            {"boot": 1, "counter": 1, "mode": "client", "components": [{"name": "x", "version": "1" + evil}],
             "attributes": {"note": "a" + evil}}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        self.assertLess(answer.status, 500)
        for words in (("device", "show", "bulb"), ("device", "list"), ("device", "why", "bulb"), ("audit", "list")):
            out = self.daemon.fettle(*words)
            self.assertEqual(re.findall("[\x00-\x09\x0b-\x1f\x7f\x80-\x9f\u202a-\u202e]", out), [], words)
        with open(self.daemon.log, errors="surrogateescape") as f:
            self.assertEqual(re.findall("[\x00-\x08\x0b-\x1f\x7f]", f.read()), [])

    def test_service_goes_away(self):
        self.daemon.stop()
        done = subprocess.run([harness.FETTLE, "--socket", self.daemon.socket, "status"], capture_output=True, text=True)
        self.assertEqual(done.returncode, UNREACHABLE, done.stderr)
        self.assertIn(self.daemon.socket, done.stderr)

    def test_every_command_is_tested(self):
        """A new sentence needs a line in this file, or in one beside it."""
        text, here = "", os.path.dirname(os.path.realpath(__file__))
        for name in sorted(os.listdir(here)):
            if name.startswith("test_") and name.endswith(".py"):
                with open(os.path.join(here, name)) as f:
                    text += re.sub(r'",\s+"', '", "', f.read())
        for pattern in sentences():
            words = re.sub(r" *[<\[].*", "", pattern).split()
            self.assertTrue('"%s"' % '", "'.join(words) in text, "no test runs 'fettle %s'" % pattern)


if __name__ == "__main__":
    harness.main()
