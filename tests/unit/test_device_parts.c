/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "device/fleet.h"
#include "device/histogram.h"

START_TEST(heap_orders)
{
	enum { N = 200 };
	int64_t due[N], last = -1, at;
	bool in[N];
	struct heap h;
	uint32_t who;

	ck_assert_int_eq(heap_init(&h, N), 0);
	for (uint32_t i = 0; i < N; i++) {
		due[i] = (int64_t)(fleet_mix(i) % 1000);
		in[i] = true;
		heap_set(&h, i, due[i]);
	}
	for (uint32_t i = 0; i < N; i += 3) {
		due[i] = (int64_t)(fleet_mix(i + 7) % 1000);
		heap_set(&h, i, due[i]);
	}
	for (uint32_t i = 0; i < N; i += 5) {
		heap_remove(&h, i);
		heap_remove(&h, i);
		in[i] = false;
	}
	while (heap_first(&h, &who, &at)) {
		ck_assert(in[who]);
		ck_assert_int_eq(at, due[who]);
		ck_assert_int_ge(at, last);
		last = at;
		in[who] = false;
		heap_remove(&h, who);
	}
	for (uint32_t i = 0; i < N; i++)
		ck_assert(!in[i]);
	heap_free(&h);
}
END_TEST

START_TEST(histogram_percentiles)
{
	struct histogram *h = calloc(1, sizeof(*h));

	ck_assert_ptr_nonnull(h);
	ck_assert_uint_eq(histogram_at(h, 500), 0);
	for (uint64_t i = 1; i <= 100000; i++)
		histogram_add(h, i);
	ck_assert_uint_eq(h->n, 100000);
	ck_assert_uint_ge(histogram_at(h, 500), 50000);
	ck_assert_uint_le(histogram_at(h, 500), 50000 + 50000 / 32);
	ck_assert_uint_ge(histogram_at(h, 990), 99000);
	ck_assert_uint_le(histogram_at(h, 1000), 100000);
	histogram_add(h, UINT64_MAX);
	ck_assert_uint_eq(h->max, UINT64_MAX);
	free(h);
}
END_TEST

START_TEST(behaviours_follow_the_seed)
{
	struct options o = {
		.seed = 42, .fail_percent = 2, .defer_percent = 10, .silent_percent = 1
	};
	unsigned count[BEHAVE_COUNT] = { 0 };

	for (uint32_t i = 0; i < 20000; i++) {
		ck_assert_int_eq(fleet_behaviour(&o, i), fleet_behaviour(&o, i));
		count[fleet_behaviour(&o, i)]++;
	}
	ck_assert_uint_ge(count[BEHAVE_FAIL], 300);
	ck_assert_uint_le(count[BEHAVE_FAIL], 500);
	ck_assert_uint_ge(count[BEHAVE_DEFER], 1800);
	ck_assert_uint_le(count[BEHAVE_DEFER], 2200);
	ck_assert_uint_ge(count[BEHAVE_SILENT], 130);
	ck_assert_uint_le(count[BEHAVE_SILENT], 270);
}
END_TEST

START_TEST(modes_follow_the_seed)
{
	struct options o = { .server = "coap://h",
			     .seed = 9,
			     .dtls_percent = 50,
			     .negotiated_percent = 30,
			     .server_percent = 20,
			     .defer_percent = 10,
			     .reject_percent = 5,
			     .roll_back_percent = 5 };
	unsigned mode[MODE_COUNT] = { 0 }, secure = 0, both = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		enum mode m = fleet_mode(&o, i);
		const char *end = fleet_expected(&o, i);

		mode[m]++;
		secure += fleet_secure(&o, i);
		both += m == MODE_SERVER && fleet_secure(&o, i);
		ck_assert(m != MODE_SERVER || strcmp(end, "rejected") != 0);
	}
	ck_assert_uint_ge(mode[MODE_CLIENT], 9700);
	ck_assert_uint_le(mode[MODE_CLIENT], 10300);
	ck_assert_uint_ge(mode[MODE_SERVER], 3800);
	ck_assert_uint_le(mode[MODE_SERVER], 4200);
	ck_assert_uint_ge(secure, 9700);
	ck_assert_uint_le(secure, 10300);
	/* they do not hang together */
	ck_assert_uint_ge(both, 1850);
	ck_assert_uint_le(both, 2150);
}
END_TEST

START_TEST(keys_differ_by_device)
{
	struct carrier_options c = { .psk = { 1, 2, 3 }, .psk_n = 3 };
	uint8_t a[DTLS_KEY_SIZE], b[DTLS_KEY_SIZE];
	struct digest d;

	ck_assert_int_eq(fleet_key(&c, "dev-00000", a), 0);
	ck_assert_int_eq(fleet_key(&c, "dev-00001", b), 0);
	ck_assert_mem_ne(a, b, sizeof(a));
	ck_assert_int_eq(hmac_sha256(slice_of(c.psk, 3), slice_str("dev-00000"), &d), 0);
	ck_assert_mem_eq(a, d.b, sizeof(a));
}
END_TEST

static const struct {
	const char *uri;
	const char *host;
	uint16_t port;
} targets[] = {
	{ "coap://127.0.0.1", "127.0.0.1", 5683 },
	{ "coaps://a.example:99/", "a.example", 99 },
	{ "https://[::1]:8443", "::1", 8443 },
	{ "http://h", "h", 80 },
	{ "ftp://h", NULL, 0 },
	{ "coap://", NULL, 0 },
	{ "coap://h:0", NULL, 0 },
	{ "coap://h:65536", NULL, 0 },
	{ "coap://h/path", NULL, 0 },
	{ "coap://[::1", NULL, 0 },
	{ "h", NULL, 0 },
};

START_TEST(target)
{
	struct target t;
	struct err e;
	int rc = target_parse(targets[_i].uri, &t, &e);

	ck_assert_int_eq(rc, targets[_i].host ? 0 : -1);
	if (rc == 0) {
		ck_assert_str_eq(t.host, targets[_i].host);
		ck_assert_uint_eq(t.port, targets[_i].port);
		ck_assert_ptr_nonnull(carrier_of(&t));
	}
}
END_TEST

static int parse(struct options *o, struct err *e, const char *line)
{
	static char text[512];
	char *argv[40], *save = NULL;
	int argc = 0;

	text_copy(text, sizeof(text), line);
	for (char *w = strtok_r(text, " ", &save); w && argc < 39; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	return options_parse(argc, argv, o, e);
}

#define ONE "x --server coap://h --id d --state s "

static const char *const bad_lines[] = {
	"x",
	"x --server coap://h",
	"x --server coap://h --id d",
	ONE "--nonsense",
	ONE "stray",
	ONE "--poll",
	ONE "--poll x",
	ONE "--poll 0",
	ONE "--block 100",
	ONE "--block 2048",
	ONE "--mode shy",
	ONE "--push",
	ONE "--mode server --push --pull",
	ONE "--service asleep",
	ONE "--attribute hw",
	ONE "--attribute =3",
	"x --server https://h --id d --state s --mode server",
	"x --server https://h --id d --state s --endpoint 99",
	"x --server coap://h --fleet 5 --modes client=50,server=40",
	"x --server coap://h --fleet 5 --modes client=50,shy=50",
	"x --server coap://h --fleet 5 --modes client",
	"x --server coap://h --fleet 5 --mode server --modes client=100",
	"x --server coap://h --fleet 5 --reject-share 60% --silent 50%",
	ONE "--once=1",
	ONE "--reject --defer 5",
	ONE "--class lamp",
	ONE "--load polls",
	"x --server coap://h --fleet 0",
	"x --server coap://h --fleet 5 --load dances",
	"x --server coap://h --fleet 5 --load blocks",
	"x --server coap://h --fleet 5 --loss 101%",
	"x --server coap://h --fleet 5 --fail 60% --silent 50%",
};

START_TEST(options_refused)
{
	struct options o;
	struct err e = { 0 };

	ck_assert_int_eq(parse(&o, &e, bad_lines[_i]), -1);
	ck_assert_uint_gt(strlen(e.text), 0);
}
END_TEST

START_TEST(options_taken)
{
	struct options o;
	struct err e = { 0 };

	ck_assert_int_eq(parse(&o, &e,
			       ONE "--anchor a --anchor b --poll=15m --sequence 0 --until-done "
				   "--defer 30 -v"),
			 0);
	ck_assert_uint_eq(o.n_anchors, 2);
	ck_assert_uint_eq(o.poll_s, 900);
	ck_assert(o.has_sequence && o.until_done && o.verbose);
	ck_assert_uint_eq(o.defer_s, 30);
	ck_assert_int_eq(parse(&o, &e,
			       "x --server coap://h --fleet 100 --fail 2% --defer 10% --loss "
			       "0.5 --load polls"),
			 0);
	ck_assert_double_eq(o.fail_percent, 2);
	ck_assert_double_eq(o.defer_percent, 10);
	ck_assert_double_eq(o.loss_percent, 0.5);
	ck_assert_int_eq(o.load_kind, LOAD_POLLS);
	ck_assert_uint_eq(o.defer_s, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("device_parts");
	TCase *t = tcase_create("parts");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, heap_orders);
	tcase_add_test(t, histogram_percentiles);
	tcase_add_test(t, behaviours_follow_the_seed);
	tcase_add_test(t, modes_follow_the_seed);
	tcase_add_test(t, keys_differ_by_device);
	tcase_add_loop_test(t, target, 0, sizeof(targets) / sizeof(targets[0]));
	tcase_add_loop_test(t, options_refused, 0, sizeof(bad_lines) / sizeof(bad_lines[0]));
	tcase_add_test(t, options_taken);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
