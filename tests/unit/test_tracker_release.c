/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */

/* Trust, manifests, releases: who is believed, and what may be offered. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "tracker/internal.h"
#include "tracker_world.h"

static struct world w;

static void setup(void)
{
	world_open(&w);
}

static void teardown(void)
{
	world_close(&w);
}

static int hand_in(const struct world_author *by, struct manifest *m)
{
	struct buf b;

	world_envelope(by, &b);
	int result = WORLD_DO(&w, release_manifest_add(&w.tk, buf_slice(&b), m, &w.err));
	buf_free(&b);
	return result;
}

static struct key *new_key(enum key_kind kind)
{
	struct key *k = NULL;

	ck_assert_int_eq(key_generate(kind, &k, &w.err), 0);
	return k;
}

static struct anchor add_anchor_until(const struct key *k, const char *vendor, int64_t not_after)
{
	struct anchor a = { .not_after = not_after };
	struct buf der = BUF_INIT(sizeof(a.spki));

	ck_assert_int_eq(key_public_spki(k, &der, &w.err), 0);
	memcpy(a.spki, der.p, der.n);
	a.spki_len = (uint16_t)der.n;
	text_copy(a.vendor, sizeof(a.vendor), vendor);
	WORLD_OK(&w, anchor_add(&w.tk, &a, &w.err));
	buf_free(&der);
	return a;
}

static struct anchor add_anchor(const struct key *k, const char *vendor)
{
	return add_anchor_until(k, vendor, 0);
}

START_TEST(test_derived)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct manifest_image images[4];
	struct manifest m;

	by.has_priority = true;
	by.priority = -1;
	ck_assert_msg(hand_in(&by, &m) == 0, "%s", w.err.text);
	ck_assert_str_eq(m.manufacturer, "example.com");
	ck_assert_str_eq(m.model, "lamp");
	ck_assert_str_eq(m.version, "2.0");
	ck_assert_uint_eq(m.sequence, 5);
	ck_assert_int_eq(m.anchor, w.anchor.id);
	ck_assert_str_eq(m.format, "suit");
	ck_assert(m.has_priority && m.priority == -1);
	ck_assert(!digest_eq(&m.digest, &m.identity));
	ck_assert_int_eq(store_manifest_images(w.st, &m.digest, images, 4, &w.err), 1);
	ck_assert(digest_eq(&images[0].digest, &by.image));
	ck_assert_uint_eq(images[0].size, by.size);
	ck_assert(!images[0].external && !images[0].integrated);
}
END_TEST

START_TEST(test_every_kind_of_key)
{
	static const enum key_kind kinds[] = { KEY_P256, KEY_P384, KEY_P521, KEY_ED25519 };
	struct world_author by = world_author(&w, 5, "2.0");
	struct manifest m;

	struct key *k = new_key(kinds[_i]);
	by.key = k;
	ck_assert_int_eq(hand_in(&by, &m), -1);
	ck_assert_int_eq(w.err.code, ERR_VERIFY);
	struct anchor a = add_anchor(k, "example.com");
	ck_assert_msg(hand_in(&by, &m) == 0, "%s", w.err.text);
	ck_assert_int_eq(m.anchor, a.id);
	key_free(k);
}
END_TEST

START_TEST(test_a_strangers_manifest_is_not_kept)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct manifest m, page[2];
	int64_t ids[2];

	struct key *stranger = new_key(KEY_P256);
	by.key = stranger;
	ck_assert_int_eq(hand_in(&by, &m), -1);
	ck_assert_int_eq(w.err.code, ERR_VERIFY);
	ck_assert_ptr_nonnull(strstr(w.err.text, "no trust anchor"));
	ck_assert_int_eq(store_manifest_list(w.st, 0, 2, ids, page, &w.err), 0);
	key_free(stranger);
}
END_TEST

START_TEST(test_an_anchor_speaks_for_its_vendor_only)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct manifest m;

	struct key *other = new_key(KEY_P256);
	add_anchor(other, "other.example");
	by.key = other; /* signs for example.com */
	ck_assert_int_eq(hand_in(&by, &m), -1);
	ck_assert_int_eq(w.err.code, ERR_VERIFY);
	ck_assert_ptr_nonnull(strstr(w.err.text, "no trust anchor of vendor"));
	/* the same key as anchor of both: then it may */
	add_anchor(other, "example.com");
	ck_assert_msg(hand_in(&by, &m) == 0, "%s", w.err.text);
	key_free(other);
}
END_TEST

START_TEST(test_one_key_counts_once)
{
	struct anchor again = w.anchor;

	again.id = 0;
	ck_assert_int_eq(WORLD_DO(&w, anchor_add(&w.tk, &again, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
}
END_TEST

START_TEST(test_anchors_that_are_refused)
{
	struct anchor a = w.anchor;

	a.vendor[0] = '\0';
	ck_assert_int_eq(WORLD_DO(&w, anchor_add(&w.tk, &a, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_INVALID);
	struct anchor b = { .vendor = "example.net", .spki = "no key", .spki_len = 6 };
	ck_assert_int_eq(WORLD_DO(&w, anchor_add(&w.tk, &b, &w.err)), -1);
	struct anchor c = w.anchor;
	text_copy(c.vendor, sizeof(c.vendor), "example.net");
	c.vendor_id.set = false;
	c.not_before = 2000;
	c.not_after = 2000;
	ck_assert_int_eq(WORLD_DO(&w, anchor_add(&w.tk, &c, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_INVALID);
	ck_assert_int_eq(WORLD_DO(&w, anchor_revoke(&w.tk, 77, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_NOT_FOUND);
}
END_TEST

START_TEST(test_validity_of_anchors)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct manifest m;

	struct key *k = new_key(KEY_P256);
	struct anchor a = add_anchor(k, "example.com");
	by.key = k;
	WORLD_OK(&w, anchor_revoke(&w.tk, a.id, &w.err));
	ck_assert_int_eq(hand_in(&by, &m), -1);
	ck_assert_ptr_nonnull(strstr(w.err.text, "revoked"));
	struct now now = { .wall = 1000 };
	a = (struct anchor){ .not_before = 1000 };
	ck_assert(anchor_in_force(&a, &now));
	a.not_before = 1001;
	ck_assert(!anchor_in_force(&a, &now));
	a = (struct anchor){ .not_after = 1001 };
	ck_assert(anchor_in_force(&a, &now));
	a.not_after = 1000;
	ck_assert(!anchor_in_force(&a, &now));
	a = (struct anchor){ .revoked = 5000 };
	ck_assert(!anchor_in_force(&a, &now));
	key_free(k);
}
END_TEST

/* The key id of the signature becomes an initialisation vector: nobody is named then. */
static void unname(struct buf *b, const struct key *k)
{
	struct digest id;
	uint8_t kid[11] = { 0xa1, 0x04, 0x48 };

	ck_assert_int_eq(key_id(k, &id), 0);
	memcpy(kid + 3, id.b, 8);
	uint8_t *at = memmem(b->p, b->n, kid, sizeof(kid));
	ck_assert_ptr_nonnull(at);
	at[1] = 0x05;
}

/* The one that is named is found among any number; without a name, so many are tried. */
static const struct {
	int anchors;
	bool named;
	const char *says;
} crowds[] = {
	{ 40, true, NULL },
	{ 40, false, NULL },
	{ 70, true, NULL },
	{ 70, false, "no signature verified within 64 tries" },
};

START_TEST(test_one_of_many_anchors)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct key *k = NULL;
	struct manifest m;
	struct buf b;

	for (int i = 1; i < crowds[_i].anchors; i++) {
		key_free(k);
		k = new_key(KEY_P256);
		add_anchor(k, "example.com");
	}
	by.key = k;
	world_envelope(&by, &b);
	if (!crowds[_i].named)
		unname(&b, k);
	int got = WORLD_DO(&w, release_manifest_add(&w.tk, buf_slice(&b), &m, &w.err));
	ck_assert_msg(got == (crowds[_i].says ? -1 : 0), "%s", w.err.text);
	if (crowds[_i].says) {
		ck_assert_int_eq(w.err.code, ERR_VERIFY);
		ck_assert_ptr_nonnull(strstr(w.err.text, crowds[_i].says));
	}
	buf_free(&b);
	key_free(k);
}
END_TEST

START_TEST(test_tampered)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct manifest m;
	struct buf b;
	int refused = 0;

	world_envelope(&by, &b);
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 0x10;
		int got = WORLD_DO(&w, release_manifest_add(&w.tk, buf_slice(&b), &m, &w.err));
		/* members outside the signature (text is severable, tags) may still be read */
		refused += got < 0;
		ck_assert(got < 0 || digest_is_zero(&m.identity) == false);
		if (got >= 0)
			ck_assert_uint_eq(m.sequence, 5);
		b.p[i] ^= 0x10;
	}
	ck_assert_int_gt(refused, (int)b.n / 2);
	for (size_t n = 0; n < b.n; n++)
		ck_assert_int_eq(
			WORLD_DO(&w, release_manifest_add(&w.tk, slice_of(b.p, n), &m, &w.err)),
			-1);
	buf_free(&b);
}
END_TEST

START_TEST(test_sequence_does_not_go_back)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct manifest m;

	ck_assert_int_eq(hand_in(&by, &m), 0);
	ck_assert_int_eq(hand_in(&by, &m), 0); /* the same again: the same manifest */
	by.sequence = 4;
	ck_assert_int_eq(hand_in(&by, &m), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	by.model = "switch"; /* another class has its own */
	ck_assert_msg(hand_in(&by, &m) == 0, "%s", w.err.text);
	by.model = "lamp";
	by.sequence = UINT64_MAX;
	ck_assert_int_eq(hand_in(&by, &m), 0);
}
END_TEST

START_TEST(test_domains_are_not_borrowed)
{
	struct suit_create c = { .sequence = 1,
				 .n_images = 1,
				 .version = "1",
				 .images = { { .component = "main",
					       .digest = { { 1 } },
					       .size = 1,
					       .uri = "https://example.com/x" } },
				 .vendor_domain = "rich.example",
				 .model_name = "../etc" };
	struct buf b = BUF_INIT(SUIT_ENVELOPE_MAX);
	struct manifest_image images[2];
	struct manifest m;
	char text[UUID_TEXT];
	int n;

	c.vendor_id = w.vendor; /* example.com's, signed by its key */
	c.class_id = w.class_id;
	ck_assert_int_eq(suit_create(&c, w.author, &b, &w.err), 0);
	ck_assert_int_eq(release_check_manifest(&w.tk, buf_slice(&b), &m, images, 2, &n, &w.err),
			 0);
	uuid_text(text, &w.vendor);
	ck_assert_str_eq(m.manufacturer, text);
	uuid_text(text, &w.class_id);
	ck_assert_str_eq(m.model, text);
	buf_free(&b);
}
END_TEST

static struct release add_release(const struct world_author *by)
{
	struct manifest m;
	struct release r;

	ck_assert_msg(hand_in(by, &m) == 0, "%s", w.err.text);
	WORLD_OK(&w, release_add(&w.tk, &m.digest, NULL, &r, &w.err));
	return r;
}

START_TEST(test_complete_before_approved)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct digest image = by.image, missing[2];

	by.image = (struct digest){ { 7 } }; /* nobody has it */
	struct release r = add_release(&by);
	ck_assert(!r.complete);
	ck_assert_str_eq(r.name, "lamp-2.0");
	ck_assert_int_eq(release_missing(&w.tk, &r, missing, 2, &w.err), 1);
	ck_assert(digest_eq(&missing[0], &by.image));
	ck_assert_int_eq(WORLD_DO(&w, release_approve(&w.tk, &r, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	/* the right digest in another size is not it */
	by.sequence = 6;
	by.version = "2.1";
	by.image = image;
	by.size += 1;
	r = add_release(&by);
	ck_assert_int_eq(release_missing(&w.tk, &r, NULL, 0, &w.err), 1);
	by.sequence = 7;
	by.version = "2.2";
	by.size -= 1;
	r = add_release(&by);
	ck_assert_int_eq(release_missing(&w.tk, &r, NULL, 0, &w.err), 0);
	WORLD_OK(&w, release_approve(&w.tk, &r, &w.err));
	ck_assert_int_eq(r.state, RELEASE_APPROVED);
	ck_assert_str_eq(r.approved_by, "uid:0");
}
END_TEST

START_TEST(test_external_images_where_policy_allows)
{
	struct world_author by = world_author(&w, 5, "2.0");

	w.policy.allow_external = true;
	by.image = (struct digest){ { 7 } };
	struct release r = add_release(&by);
	ck_assert(r.complete);
	WORLD_OK(&w, release_approve(&w.tk, &r, &w.err));
	w.policy.allow_external = false;
	ck_assert_int_eq(release_missing(&w.tk, &r, NULL, 0, &w.err), 1);
}
END_TEST

START_TEST(test_publish_and_withdraw)
{
	struct release r = world_release(&w, 5, "2.0"), found;
	struct manifest_image images[2];
	struct digest object;
	int64_t id;

	ck_assert_int_eq(store_manifest_images(w.st, &r.manifest, images, 2, &w.err), 1);
	ck_assert_int_eq(store_route_published(w.st, "/lamp/main.bin", &object, &id, &w.err), 0);
	WORLD_OK(&w, release_publish(&w.tk, &r, true, &w.err));
	ck_assert_int_eq(store_release_published(w.st, "example.com", "lamp", &found, &w.err), 1);
	ck_assert_int_eq(store_route_published(w.st, "/lamp/main.bin", &object, &id, &w.err), 1);
	ck_assert(digest_eq(&object, &images[0].digest));
	effects_clear(&w.fx);
	WORLD_OK(&w, release_withdraw(&w.tk, &r, false, &w.err));
	ck_assert_int_eq(store_release_published(w.st, "example.com", "lamp", &found, &w.err), 0);
	ck_assert_int_eq(store_route_published(w.st, "/lamp/main.bin", &object, &id, &w.err), 0);
	int withdrawn = 0;
	for (unsigned i = 0; i < w.fx.n; i++)
		withdrawn += w.fx.v[i].kind == EFFECT_WITHDRAW;
	ck_assert_int_eq(withdrawn, 2);
	ck_assert(!release_offerable(&w.tk, &r, &w.err));
	ck_assert_int_eq(WORLD_DO(&w, release_approve(&w.tk, &r, &w.err)), -1);
	ck_assert_int_eq(WORLD_DO(&w, release_publish(&w.tk, &r, true, &w.err)), -1);
	WORLD_OK(&w, release_withdraw(&w.tk, &r, false, &w.err));
}
END_TEST

START_TEST(test_withdraw_raises_the_floor_on_purpose)
{
	struct release r = world_release(&w, 5, "2.0");
	struct world_author by = world_author(&w, 5, "2.0.1");
	struct manifest m;

	WORLD_OK(&w, release_withdraw(&w.tk, &r, true, &w.err));
	ck_assert_int_eq(hand_in(&by, &m), -1);
	ck_assert_ptr_nonnull(strstr(w.err.text, "floor"));
	by.sequence = 6;
	ck_assert_msg(hand_in(&by, &m) == 0, "%s", w.err.text);
}
END_TEST

/* A floor that was raised afterwards closes what was approved before it. */
START_TEST(test_below_the_floor_nothing_is_offered)
{
	struct release old = world_release(&w, 5, "2.0"), r = world_release(&w, 7, "3.0");

	ck_assert_msg(release_offerable(&w.tk, &old, &w.err), "%s", w.err.text);
	WORLD_OK(&w, release_withdraw(&w.tk, &r, true, &w.err));
	ck_assert(!release_offerable(&w.tk, &old, &w.err));
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(w.err.text, "below the floor 8"));
}
END_TEST

START_TEST(test_withdrawal_ends_its_rollouts)
{
	world_enrol(&w, "lamp-1", "1.0", 1);
	world_enrol(&w, "lamp-2", "1.0", 1);
	struct release r = world_release(&w, 5, "2.0");
	struct rollout ro = world_rollout(&w, &r, "spring", "all", 2);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_gt(u, 0);
	WORLD_OK(&w, release_withdraw(&w.tk, &r, false, &w.err));
	/* not even the one that was offered it, as long as it has not begun to install */
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_CANCELLED);
	ck_assert_int_eq(world_ask(&w, "lamp-2"), 0);
	world_jobs(&w);
	ro = world_rollout_now(&w, ro.id);
	ck_assert_int_eq(ro.state, ROLLOUT_ABORTED);
	ck_assert_int_eq(ro.ended, 2);
	ck_assert_int_eq(ro.planned + ro.in_flight + ro.deferred, 0);
}
END_TEST

START_TEST(test_revocation_acts_before_the_next_offer)
{
	world_enrol(&w, "lamp-1", "1.0", 1);
	struct release r = world_release(&w, 5, "2.0");
	struct rollout ro = world_rollout(&w, &r, "spring", "all", 2);
	WORLD_OK(&w, anchor_revoke(&w.tk, w.anchor.id, &w.err));
	/* the job has not run yet */
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "revoked"));
	ck_assert_int_eq(store_release_get(w.st, r.id, &r, &w.err), 1);
	ck_assert_int_eq(r.state, RELEASE_APPROVED);
	world_jobs(&w);
	ck_assert_int_eq(store_release_get(w.st, r.id, &r, &w.err), 1);
	ck_assert_int_eq(r.state, RELEASE_WITHDRAWN);
	ck_assert_int_eq(world_rollout_now(&w, ro.id).state, ROLLOUT_ABORTED);
}
END_TEST

START_TEST(test_expiry)
{
	struct world_author by = world_author(&w, 5, "2.0");

	world_enrol(&w, "lamp-1", "1.0", 1);
	by.has_use_before = true;
	by.use_before = (uint64_t)(w.tk.now.wall / 1000) + 100;
	struct release r = add_release(&by);
	WORLD_OK(&w, release_approve(&w.tk, &r, &w.err));
	struct rollout ro = world_rollout(&w, &r, "spring", "all", 2);
	w.tk.now.wall_trusted = false;
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_ptr_nonnull(strstr(w.err.text, "clock"));
	w.tk.now.wall_trusted = true;
	world_wait(&w, 100);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ro = world_rollout_now(&w, ro.id);
	ck_assert_int_eq(ro.state, ROLLOUT_FINISHED);
	ck_assert_int_eq(ro.failed, 0);
}
END_TEST

/* A step of the clock takes back nothing that was begun: expiry waits until it is right again. */
START_TEST(test_expiry_waits_for_the_clock)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct digest d;

	world_enrol(&w, "lamp-1", "1.0", 1);
	by.has_use_before = true;
	by.use_before = (uint64_t)(w.tk.now.wall / 1000) + 100;
	struct release r = add_release(&by);
	WORLD_OK(&w, release_approve(&w.tk, &r, &w.err));
	world_rollout(&w, &r, "spring", "all", 2);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_gt(u, 0);
	w.tk.now.wall_trusted = false;
	ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_OFFERED);
	d = r.manifest;
	ck_assert_int_eq(offer_grants_object(&w.tk, world_device(&w, "lamp-1").dev, &d, &w.err), 1);
	w.tk.now.wall_trusted = true;
	ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
	world_wait(&w, 100);
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_EXPIRED);
}
END_TEST

/* The same holds of the times of its anchor; its revocation needs no clock. */
START_TEST(test_validity_waits_for_the_clock)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct key *k = new_key(KEY_P256);
	struct anchor a = add_anchor_until(k, "example.com", w.tk.now.wall + 100000);

	world_enrol(&w, "lamp-1", "1.0", 1);
	by.key = k;
	struct release r = add_release(&by);
	WORLD_OK(&w, release_approve(&w.tk, &r, &w.err));
	world_rollout(&w, &r, "spring", "all", 2);
	int64_t u = world_ask(&w, "lamp-1");
	ck_assert_int_gt(u, 0);
	w.tk.now.wall_trusted = false;
	w.tk.now.wall += 7200000;
	ck_assert(!release_offerable(&w.tk, &r, &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-1"), u);
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_OFFERED);
	WORLD_OK(&w, anchor_revoke(&w.tk, a.id, &w.err));
	ck_assert_int_eq(world_ask(&w, "lamp-1"), 0);
	ck_assert_int_eq(world_update(&w, u).state, UPDATE_CANCELLED);
	key_free(k);
}
END_TEST

START_TEST(test_names_of_releases)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct release r = add_release(&by), other;
	struct manifest m;

	ck_assert_int_eq(WORLD_DO(&w, release_add(&w.tk, &r.manifest, "again", &other, &w.err)),
			 -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	by.sequence = 6;
	ck_assert_int_eq(hand_in(&by, &m), 0);
	ck_assert_int_eq(WORLD_DO(&w, release_add(&w.tk, &m.digest, "-x", &other, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_INVALID);
	ck_assert_int_eq(WORLD_DO(&w, release_add(&w.tk, &m.digest, "lamp-2.0", &other, &w.err)),
			 -1);
	ck_assert_int_eq(w.err.code, ERR_CONFLICT);
	WORLD_OK(&w, release_add(&w.tk, &m.digest, "second", &other, &w.err));
	ck_assert_str_eq(other.name, "second");
	struct digest none = { { 1 } };
	ck_assert_int_eq(WORLD_DO(&w, release_add(&w.tk, &none, NULL, &other, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_NOT_FOUND);
}
END_TEST

/* The manifest with its header inside an unsigned envelope: what the digest is over. */
static struct slice manifest_of(const struct buf *b, const struct digest *digest)
{
	for (size_t i = 0; i + 4 < b->n; i++) {
		bool two = b->p[i] == 0x59;
		if (!two && b->p[i] != 0x58)
			continue;
		size_t n = two ? 3u + (size_t)(b->p[i + 1] << 8 | b->p[i + 2]) : 2u + b->p[i + 1];
		struct digest d;
		if (i + n <= b->n && sha256_once(slice_of(b->p + i, n), &d) == 0 &&
		    digest_eq(&d, digest))
			return slice_of(b->p + i, n);
	}
	ck_abort_msg("no manifest");
	return slice_of(NULL, 0);
}

/* An envelope whose image lies in it, under "#main": made by hand, with the payload behind. */
static void integrated(const char *payload, uint64_t size, struct buf *out)
{
	struct world_author by = world_author(&w, 5, "2.0");
	struct buf b;
	struct suit_manifest m;
	struct digest digest;

	ck_assert_int_eq(sha256_once(slice_str(payload), &by.image), 0);
	by.size = size;
	by.uri = "a://b";
	by.key = NULL;
	world_envelope(&by, &b);
	ck_assert_int_eq(suit_open(buf_slice(&b), &m, &w.err), 0);
	memcpy(digest.b, m.digest.p, DIGEST_SIZE);
	struct slice inner = manifest_of(&b, &digest);
	uint8_t *uri = memmem(inner.p, inner.n, "a://b", 5);
	ck_assert_ptr_nonnull(uri);
	memcpy(uri, "#main", 5);
	uint8_t *place = b.p + (m.digest.p - b.p);
	ck_assert_int_eq(sha256_once(inner, &digest), 0);
	memcpy(place, digest.b, DIGEST_SIZE);
	/* one more member of the envelope: tag 107, then the map's head */
	ck_assert_uint_eq(b.p[2] & 0xe0, 0xa0);
	b.p[2]++;
	buf_add_u8(&b, 0x65);
	buf_add_str(&b, "#main");
	buf_add_u8(&b, (uint8_t)(0x40 | strlen(payload)));
	buf_add_str(&b, payload);
	*out = BUF_INIT(SUIT_ENVELOPE_MAX);
	ck_assert_msg(suit_sign(buf_slice(&b), w.author, out, &w.err) == 0, "%s", w.err.text);
	buf_free(&b);
}

START_TEST(test_integrated_payloads_are_images)
{
	struct manifest_image images[2];
	struct manifest m;
	struct release r;
	struct image held;
	struct buf b;

	integrated("tiny firmware", 13, &b);
	ck_assert_msg(WORLD_DO(&w, release_manifest_add(&w.tk, buf_slice(&b), &m, &w.err)) == 0,
		      "%s", w.err.text);
	ck_assert_int_eq(store_manifest_images(w.st, &m.digest, images, 2, &w.err), 1);
	ck_assert(images[0].integrated);
	ck_assert_int_eq(store_image_get(w.st, &images[0].digest, &held, &w.err), 1);
	ck_assert_uint_eq(held.size, 13);
	WORLD_OK(&w, release_add(&w.tk, &m.digest, NULL, &r, &w.err));
	ck_assert(r.complete);
	WORLD_OK(&w, release_approve(&w.tk, &r, &w.err));
	buf_free(&b);
}
END_TEST

START_TEST(test_integrated_payloads_of_another_size)
{
	struct manifest m;
	struct buf b;

	integrated("tiny firmware", 14, &b);
	ck_assert_int_eq(WORLD_DO(&w, release_manifest_add(&w.tk, buf_slice(&b), &m, &w.err)), -1);
	ck_assert_int_eq(w.err.code, ERR_VERIFY);
	buf_free(&b);
}
END_TEST

static const struct {
	const char *uri, *path;
} routes[] = {
	{ "https://example.com/a/b.bin", "/a/b.bin" },
	{ "coaps://[2001:db8::1]:5684/fw", "/fw" },
	{ "coap://gw/a%20b", "/a b" },
	{ "http://gw/a?x=1#y", "/a" },
	{ "http://gw/deviceful/x", "/deviceful/x" },
	{ "http://gw", NULL },
	{ "http://gw/", NULL },
	{ "http://gw?x", NULL },
	{ "http://gw/a/", NULL },
	{ "http://gw//a", NULL },
	{ "http://gw/a/../b", NULL },
	{ "http://gw/./b", NULL },
	{ "http://gw/%2e%2e/b", NULL },
	{ "http://gw/a%2fb", NULL },
	{ "http://gw/a%00", NULL },
	{ "http://gw/a%zz", NULL },
	{ "http://gw/a%f", NULL },
	{ "http://gw/a%ff", NULL },
	{ "http://gw/a b", NULL },
	{ "http://gw/api/v1/x", NULL },
	{ "http://gw/device/lamp-1/update", NULL },
	{ "http://gw/d/lamp-1", NULL },
	{ "http://gw/image/x", NULL },
	{ "http://gw/manifest/x", NULL },
	{ "http://gw/.well-known/core", NULL },
	{ "http://gw/.wellknown/x", NULL },
	{ "http://gw/healthz", NULL },
	{ "http://gw/%61pi/x", NULL },
	{ "main.bin", NULL },
	{ "/main.bin", NULL },
	{ "#payload", NULL },
	{ "/a?b=http://gw/c", NULL },
	{ "", NULL },
};

/* The path of the image itself needs no route, and no word about it; another's does. */
START_TEST(test_routes_of_its_own)
{
	static const char hex[] =
		"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
	struct digest own = { { 0 } };
	char uri[URI_TEXT];

	for (unsigned i = 0; i < DIGEST_SIZE; i++)
		own.b[i] = (uint8_t)i;
	ck_assert_int_eq(text_format(uri, sizeof(uri), "coap://fettle/image/%s", hex), 0);
	ck_assert(route_is_own(uri, &own));
	own.b[31] ^= 1;
	ck_assert(!route_is_own(uri, &own));
	own.b[31] ^= 1;
	ck_assert_int_eq(text_format(uri, sizeof(uri), "coap://fettle/image/%s/x", hex), 0);
	ck_assert(!route_is_own(uri, &own));
	ck_assert_int_eq(text_format(uri, sizeof(uri), "coap://fettle/manifest/%s", hex), 0);
	ck_assert(!route_is_own(uri, &own));
	ck_assert_int_eq(text_format(uri, sizeof(uri), "/image/%s", hex), 0);
	ck_assert(!route_is_own(uri, &own));
}
END_TEST

static unsigned said;

static void count_warnings(enum log_level level, const char *line)
{
	said += level <= LOG_NOTICE_ && strstr(line, "no route") != NULL;
}

static void approve_with_uri(const char *uri, uint64_t sequence)
{
	struct world_author by = world_author(&w, sequence, "2.0");
	struct manifest m;
	struct release rel;
	struct buf b;
	char hex[DIGEST_TEXT], name[16], own[URI_TEXT];

	digest_text(hex, &by.image);
	ck_assert_int_eq(text_format(own, sizeof(own), "coap://fettle/image/%s", hex), 0);
	ck_assert_int_eq(text_format(name, sizeof(name), "r%u", (unsigned)sequence), 0);
	by.uri = uri ? uri : own;
	world_envelope(&by, &b);
	WORLD_OK(&w, release_manifest_add(&w.tk, buf_slice(&b), &m, &w.err));
	WORLD_OK(&w, release_add(&w.tk, &m.digest, name, &rel, &w.err));
	WORLD_OK(&w, release_approve(&w.tk, &rel, &w.err));
	buf_free(&b);
}

START_TEST(test_only_collisions_are_spoken_of)
{
	said = 0;
	log_set_sink(count_warnings);
	approve_with_uri(NULL, 5);
	ck_assert_uint_eq(said, 0);
	approve_with_uri("coap://fettle/firmware/a.bin", 6);
	ck_assert_uint_eq(said, 0);
	approve_with_uri("coap://fettle/api/v1/status", 7);
	ck_assert_uint_eq(said, 1);
	log_set_sink(NULL);
}
END_TEST

START_TEST(test_routes)
{
	char path[URI_TEXT];
	int got = route_path(routes[_i].uri, path);

	ck_assert_msg(got == (routes[_i].path != NULL), "%s", routes[_i].uri);
	if (got)
		ck_assert_str_eq(path, routes[_i].path);
}
END_TEST

START_TEST(test_audited)
{
	struct audit rows[64];
	struct release r = world_release(&w, 5, "2.0");
	int64_t count;
	bool end;
	bool approved = false;

	WORLD_OK(&w, release_withdraw(&w.tk, &r, true, &w.err));
	int n = store_audit_list(w.st, 0, 64, rows, &w.err);
	ck_assert_int_ge(n, 5);
	for (int i = 0; i < n; i++) {
		ck_assert_str_eq(rows[i].who, "uid:0");
		approved |= strcmp(rows[i].verb, "release.approve") == 0 &&
			    strcmp(rows[i].object, "lamp-2.0") == 0;
	}
	ck_assert(approved);
	ck_assert_int_eq(store_audit_verify(w.st, 0, 64, &count, &end, &w.err), 1);
	ck_assert(end);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tracker/release");
	TCase *t = tcase_create("release");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_derived);
	tcase_add_loop_test(t, test_every_kind_of_key, 0, 4);
	tcase_add_test(t, test_a_strangers_manifest_is_not_kept);
	tcase_add_test(t, test_an_anchor_speaks_for_its_vendor_only);
	tcase_add_test(t, test_one_key_counts_once);
	tcase_add_test(t, test_anchors_that_are_refused);
	tcase_add_loop_test(t, test_one_of_many_anchors, 0, sizeof(crowds) / sizeof(crowds[0]));
	tcase_add_test(t, test_validity_of_anchors);
	tcase_add_test(t, test_tampered);
	tcase_add_test(t, test_sequence_does_not_go_back);
	tcase_add_test(t, test_domains_are_not_borrowed);
	tcase_add_test(t, test_complete_before_approved);
	tcase_add_test(t, test_external_images_where_policy_allows);
	tcase_add_test(t, test_publish_and_withdraw);
	tcase_add_test(t, test_withdraw_raises_the_floor_on_purpose);
	tcase_add_test(t, test_below_the_floor_nothing_is_offered);
	tcase_add_test(t, test_withdrawal_ends_its_rollouts);
	tcase_add_test(t, test_revocation_acts_before_the_next_offer);
	tcase_add_test(t, test_expiry);
	tcase_add_test(t, test_expiry_waits_for_the_clock);
	tcase_add_test(t, test_validity_waits_for_the_clock);
	tcase_add_test(t, test_names_of_releases);
	tcase_add_test(t, test_integrated_payloads_are_images);
	tcase_add_test(t, test_integrated_payloads_of_another_size);
	tcase_add_test(t, test_routes_of_its_own);
	tcase_add_test(t, test_only_collisions_are_spoken_of);
	tcase_add_loop_test(t, test_routes, 0, (int)(sizeof(routes) / sizeof(routes[0])));
	tcase_add_test(t, test_audited);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
