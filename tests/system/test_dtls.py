# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""Who a DTLS session is: by handshake, by ticket, after revocation, with a wrong key."""
import json
import time

import coap
import dtls
import harness


class Recorder:
    """A socket that keeps what it sent."""

    def __init__(self, wrapped, sent):
        self.wrapped, self.sent = wrapped, sent

    def send(self, data):
        self.sent.append(data)
        return self.wrapped.send(data)

    def __getattr__(self, name):
        return getattr(self.wrapped, name)


class Dtls(harness.Case):
    def setUp(self):
        super().setUp()
        self.identity, key, _ = self.psk_device("meter")
        self.key = bytes.fromhex(key)
        self.psk_device("other")

    def session(self, identity=None, key=None, **more):
        s = dtls.Session(self.daemon.coaps_port, identity or self.identity, key or self.key,
                         timeout=5 * harness.PATIENCE, **more)
        self.addCleanup(s.close)
        return s

    def code(self, answer):
        return coap.code(answer.code) if answer else None

    def assert_is(self, session, own="meter", others="other"):
        """The session is this device and no other."""
        core = session.get("/.well-known/core")
        self.assertEqual(self.code(core), "2.05")
        self.assertIn(b"</device/%s>" % own.encode(), core.payload)
        self.assertNotIn(b"</device/%s>" % others.encode(), core.payload)
        mine = self.code(session.get("/device/%s/update" % own))
        self.assertNotIn(mine, (None, "4.01", "4.03", "4.04"))
        theirs = self.code(session.get("/device/%s/update" % others))
        self.assertIn(theirs, ("4.01", "4.03", "4.04"))

    def revoke(self, name="meter"):
        for c in self.daemon.json("device", "credential", "list", name)["items"]:
            self.daemon.fettle("device", "credential", "revoke", name, str(c["id"]))

    def test_identity(self):
        s = self.session().handshake()
        self.assertFalse(s.reused)
        self.assert_is(s)
        # and the operator sees that there is one, within seconds
        harness.wait_until("the front's figures", lambda: b"\nfettle_dtls_sessions 1\n" in
                           self.daemon.rest("GET", "/metrics", raw=True))

    def test_ticket_keeps_the_identity(self):
        first = self.session().handshake()
        self.assert_is(first)
        ticket = first.ticket()
        self.assertIsNotNone(ticket, "no ticket was given")
        for source in ("127.0.0.1", "127.0.0.77"):    # also from another address
            again = self.session(resume=ticket, source=(source, 0)).handshake()
            self.assertTrue(again.reused)
            self.assert_is(again)

    def test_device_starts_over(self):
        """A device that lost its session begins anew from the same address and port."""
        first = self.session().handshake()
        self.assert_is(first)
        source = first.socket.getsockname()
        for resume in (None, first.ticket()):
            first.socket.close()    # no close_notify: the power went
            first = self.session(source=source, resume=resume)
            began = time.monotonic()
            first.handshake()
            self.assertLess(time.monotonic() - began, 0.9 * harness.PATIENCE, "taken, but by a retransmission")
            self.assert_is(first)

    def test_old_first_flights(self):
        """A first flight that comes again later, and one without a cookie, end no session."""
        s = self.session()
        sent, send = [], s.socket
        s.socket = Recorder(send, sent)
        s.handshake()
        self.assert_is(s)
        self.assertEqual([d[13] for d in sent[:2]], [1, 1])
        for d in sent[:2] * 3 + [dtls.client_hello(self.random.randbytes(32))]:
            send.send(d)
        self.assert_is(s)
        self.assertFalse(s.closed)

    def test_ticket_of_another(self):
        """A ticket says whom it was given to, whatever its holder claims besides."""
        ticket = self.session().handshake().ticket()
        thief = self.session("other", b"x" * 16, resume=ticket).handshake()
        self.assertTrue(thief.reused)
        self.assert_is(thief)

    def test_ticket_of_the_revoked(self):
        first = self.session().handshake()
        self.assert_is(first)
        ticket = first.ticket()
        self.revoke()
        again = self.session(resume=ticket)
        try:
            again.handshake()
        except dtls.Refused:
            return
        answer = again.get("/device/meter/update")
        self.assertIn(self.code(answer), (None, "4.01", "4.03", "4.04"))
        core = again.get("/.well-known/core")
        self.assertNotIn(b"/device/meter", core.payload if core else b"")

    def test_revocation_ends_open_sessions(self):
        sessions = [self.session().handshake() for _ in range(5)]
        bystander_key = self.random.randbytes(16)
        self.daemon.rest("POST", "/api/v1/devices/other/credentials",
                         {"kind": "psk", "identity": "other-2", "key": bystander_key.hex()})
        bystander = self.session("other-2", bystander_key).handshake()
        self.assert_is(bystander, "other", "meter")
        for s in sessions:
            self.assert_is(s)
        self.revoke()
        began = time.monotonic()
        for s in sessions:
            while not s.closed and time.monotonic() - began < 1 * harness.PATIENCE:
                s.receive(0.05)
            self.assertTrue(s.closed, "no close_notify within a second")
        self.assert_is(bystander, "other", "meter")
        # Also who does not listen to the alert gets nothing more.
        for s in sessions:
            self.assertIsNone(s.get("/device/meter/update", tries=1))
        with self.assertRaises(dtls.Refused):
            self.session().handshake()

    def test_removed_device(self):
        s = self.session().handshake()
        self.assert_is(s)
        self.daemon.fettle("device", "remove", "meter")
        harness.wait_until("the session to end", lambda: s.receive(0.05) is None and s.closed, 1)

    def refused(self, identity, key):
        """What a stranger sees: the shape of every datagram, and how long it takes."""
        s = dtls.Session(self.daemon.coaps_port, identity, key, timeout=4.5)
        self.addCleanup(s.close)
        with self.assertRaises(dtls.Refused):
            s.handshake()
        return [dtls.records(d) for d in s.got]

    def test_wrong_key_looks_like_no_identity(self):
        wrong = self.refused("meter", bytes(16))
        unknown = self.refused("nobody-here", bytes(16))
        self.assertEqual(wrong, unknown)
        self.assertGreater(len(wrong), 1)
        self.assertEqual(wrong, self.refused("nobody-here", bytes(16)))
        self.assert_is(self.session().handshake())

    def test_odd_identities(self):
        for identity in ("x", "a" * 127, "m\u00e4ter", "meter ", "METER", "../meter", "%s%n"):
            with self.subTest(identity=identity):
                self.assertEqual(self.refused_quickly(identity), True)
        self.assert_is(self.session().handshake())

    def refused_quickly(self, identity):
        s = dtls.Session(self.daemon.coaps_port, identity, self.key, timeout=0.7 * harness.PATIENCE)
        self.addCleanup(s.close)
        try:
            s.handshake()
        except dtls.Refused:
            return True
        return False

    def test_key_of_another_size(self):
        for n in (16, 20, 32, 64):
            key = self.random.randbytes(n)
            name = "size-%d" % n
            self.daemon.fettle("device", "add", name)
            self.daemon.rest("POST", "/api/v1/devices/%s/credentials" % name,
                             {"kind": "psk", "identity": name, "key": key.hex()})
            with self.subTest(bytes=n):
                self.assert_is(self.session(name, key).handshake(), name, "meter")

    def test_blocks_over_dtls(self):
        image = self.random.randbytes(30000)
        self.release(image, 1, publish=True)
        path = "/image/" + harness.sha256(image)
        s = self.session().handshake()
        count = (len(image) + 511) // 512
        order = list(range(count)) * 2
        self.random.shuffle(order)
        got = {}
        for n in order:
            answer = s.get(path, [(coap.BLOCK2, coap.block(n, 0, 5))])
            self.assertEqual(self.code(answer), "2.05")
            self.assertEqual(answer.payload, got.setdefault(n, answer.payload))
        self.assertEqual(b"".join(got[n] for n in range(count)), image)

    def test_an_answer_in_blocks(self):
        """Slowly fetched in small blocks it is one answer, though the time in it goes on."""
        s = self.session().handshake()
        text = (coap.ACCEPT, coap.uint(50))
        path, first, whole = "/device/meter/update", None, b""
        for n in range(200):
            answer = s.get(path, [text, (coap.BLOCK2, coap.block(n, 0, 0))])
            self.assertEqual(self.code(answer), "2.05")
            first = first or answer
            self.assertEqual(answer.option(coap.ETAG), first.option(coap.ETAG))
            whole += answer.payload
            if not answer.uint_option(coap.BLOCK2) & 8:
                break
            time.sleep(1.1)
        said = json.loads(whole)
        self.assertEqual(len(whole), first.uint_option(coap.SIZE2))
        # another second's answer has another tag, and is no news to who has the first
        later = s.get(path, [text])
        self.assertGreater(json.loads(later.payload)["now"], said["now"])
        self.assertNotEqual(later.option(coap.ETAG), first.option(coap.ETAG))
        for tag in (first, later):
            answer = s.get(path, [(coap.ETAG, tag.option(coap.ETAG))])
            self.assertEqual((self.code(answer), answer.payload), ("2.03", b""))
            self.assertEqual(answer.option(coap.ETAG), tag.option(coap.ETAG))


if __name__ == "__main__":
    harness.main()
