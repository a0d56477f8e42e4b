/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "codec/crypto.h"
#include "daemon/config.h"
#include "daemon/config_internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct config cfg, other;

static int parse(const char *text, struct err *e)
{
	memset(e, 0, sizeof(*e));
	return config_parse(slice_str(text), "t", &cfg, e);
}

static const char *written(const struct config *c, struct buf *b)
{
	buf_reset(b);
	config_write(c, b);
	ck_assert(!b->failed);
	return buf_cstr(b);
}

START_TEST(defaults_survive_writing)
{
	struct buf a = BUF_INIT(1 << 16), b = BUF_INIT(1 << 16);
	struct err e = { 0 };

	config_defaults(&cfg);
	ck_assert_str_eq(cfg.server.user, "fettle");
	ck_assert_uint_eq(cfg.server.cache_size, UINT64_C(1) << 30);
	ck_assert_uint_eq(cfg.coap.listen.n, 1);
	ck_assert(listen_addr_is_loopback(&cfg.coap.listen.v[0]));
	ck_assert_uint_eq(cfg.coap.trusted.n, 2);
	ck_assert_uint_eq(cfg.limits.http_idle_ms, 30000);
	ck_assert_int_eq(config_parse(slice_str(written(&cfg, &a)), "w", &other, &e), 0);
	ck_assert_str_eq(written(&other, &b), buf_cstr(&a));
	ck_assert_int_eq(parse("", &e), 0);
	ck_assert_str_eq(written(&cfg, &b), buf_cstr(&a));
	buf_free(&a);
	buf_free(&b);
}
END_TEST

/* Every number: its bounds are taken, one beyond is not, and the refusal names line and key. */
START_TEST(every_range_holds)
{
	char text[256], want[64];
	struct err e;

	for (unsigned i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];
		const uint64_t step = k->type == KEY_TYPE_TIME ? 1000 : 1;
		const char *unit = "";
		if (k->type != KEY_TYPE_COUNT && k->type != KEY_TYPE_SIZE &&
		    k->type != KEY_TYPE_TIME)
			continue;
		if (k->type == KEY_TYPE_TIME)
			unit = "s";
		const struct {
			uint64_t v;
			int rc;
		} tries[] = {
			{ k->min, 0 }, { k->max, 0 }, { k->max + step, -1 }, { k->min - step, -1 }
		};
		for (size_t t = 0; t < COUNT(tries); t++) {
			if (k->min == 0 && t == 3)
				continue;
			text_format(text, sizeof(text), "\n[%s]\n%s = %" PRIu64 "%s\n", k->section,
				    k->name, tries[t].v / step, unit);
			ck_assert_msg(parse(text, &e) == tries[t].rc, "%s: %s", text, e.text);
			text_format(want, sizeof(want), "t:3: %s must be", k->name);
			ck_assert_msg(tries[t].rc == 0 || strncmp(e.text, want, strlen(want)) == 0,
				      "%s", e.text);
		}
	}
}
END_TEST

static const struct {
	const char *text, *error;
} bad[] = {
	{ "[server]\ndata_dri = /x\n", "t:2: [server] has no key \"data_dri\"" },
	{ "\n\n[sever]\nuser = x\n", "t:4: there is no section [sever] (key \"user\")" },
	{ "user = x\n", "t:1: there is no section [] (key \"user\")" },
	{ "[mirror \"acme\"]\nurl = x\n",
	  "t:2: there is no section [mirror \"acme\"] (key \"url\")" },
	{ "[server]\nuser = a\nuser = b\n", "t:3: user was given on line 2 already" },
	{ "[server]\nuser = a\n  b\n", "t:3: user was given on line 2 already" },
	{ "[server]\nnonsense\n", "t:2: expected [section] or key = value" },
	{ "[server\n", "t:1: expected [section] or key = value" },
	{ "[server]\ndata_dir = var/lib\n", "t:2: data_dir must be an absolute file name" },
	{ "[server]\nuser = a b\n", "t:2: user must be the name of a user" },
	{ "[server]\nlog_level = loud\n",
	  "t:2: log_level must be error, warn, notice, info or debug" },
	{ "[server]\ncache_size = 1\n", "t:2: cache_size must be 16M to 16384G bytes" },
	{ "[coap]\ninsecure = perhaps\n", "t:2: insecure must be yes or no" },
	{ "[coap]\nlisten = 0.0.0.0:5683\n",
	  "t:2: listen 0.0.0.0:5683 is not loopback: plain listeners elsewhere need "
	  "insecure = yes in this section" },
	{ "[http]\n\nlisten = *:80\n",
	  "t:3: listen *:80 is not loopback: plain listeners elsewhere need "
	  "insecure = yes in this section" },
	{ "[coap]\nlisten = localhost:5683\n",
	  "t:2: listen needs an address in numbers, IPv6 in brackets" },
	{ "[coap]\nlisten = ::1:5683\n",
	  "t:2: listen needs an address in numbers, IPv6 in brackets" },
	{ "[coap]\nlisten = [127.0.0.1]:5683\n",
	  "t:2: listen needs an address in numbers, IPv6 in brackets" },
	{ "[coap]\nlisten = 127.0.0.1\n",
	  "t:2: listen needs ADDRESS:PORT, like 127.0.0.1:5683 or [::1]:5683" },
	{ "[coap]\nlisten = 127.0.0.1:0\n",
	  "t:2: listen needs a port from 1 to 65535 behind the last colon" },
	{ "[coap]\nlisten = 127.0.0.1:65536\n",
	  "t:2: listen needs a port from 1 to 65535 behind the last colon" },
	{ "[coap]\nlisten = 127.0.0.1:1 127.0.0.1:1\n", "t:2: listen names 127.0.0.1:1 twice" },
	{ "[coap]\ntrusted = 10.0.0.0/33\n", "t:2: trusted needs 0 to 32 bits behind the slash" },
	{ "[coap]\ntrusted = 10.0.0.1/8\n", "t:2: trusted has bits set behind its prefix" },
	{ "[coap]\ntrusted = ten/8\n",
	  "t:2: trusted needs ADDRESS/BITS, like 10.0.0.0/8 or 2001:db8::/32" },
	{ "[http]\nlisten_tls = *:8443\n", "t:2: listen_tls needs certificate and key" },
	{ "[http]\ncertificate = /c.pem\n",
	  "t:2: certificate and key are given together or not at all" },
	{ "[http]\nkey = ../key.pem\n",
	  "t:2: key must be an absolute file name or the name of a credential" },
	{ "[coap]\nlisten = 127.0.0.1:1 127.0.0.1:2 127.0.0.1:3 127.0.0.1:4 127.0.0.1:5\n"
	  "  127.0.0.1:6 127.0.0.1:7 127.0.0.1:8\n  127.0.0.1:9\n",
	  "t:4: listen has more than 8 addresses" },
};

START_TEST(errors_name_file_and_line)
{
	struct err e;

	ck_assert_int_eq(parse(bad[_i].text, &e), -1);
	ck_assert_str_eq(e.text, bad[_i].error);
}
END_TEST

START_TEST(odd_bytes_are_errors)
{
	static const char nul[] = "[server]\nuser = a\0b\n";
	char line[400];
	struct err e = { 0 };

	ck_assert_int_eq(config_parse(slice_of(nul, sizeof(nul) - 1), "t", &cfg, &e), -1);
	ck_assert_str_eq(e.text, "t:2: line holds a NUL byte");
	/* a long line must not be taken apart: its tail could be a key of its own */
	memset(line, ' ', sizeof(line));
	memcpy(line, "# x", 3);
	memcpy(line + 220, "[server]", 8);
	line[sizeof(line) - 1] = '\0';
	ck_assert_int_eq(parse(line, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "t:1: line is longer than"));
}
END_TEST

START_TEST(values_are_taken)
{
	static const char text[] =
		"; a comment\n[server]\ndata_dir = /srv/f ; behind a value\ncache_size = 64M\n"
		"log_level=debug\n"
		"[coap]\nlisten = 127.0.0.1:1,[::1]:2\n  127.0.0.9:3\nlisten_dtls =\ntrusted =\n"
		"[http]\ninsecure = yes\nlisten = *:8080\nlisten_tls = [2001:DB8::1]:8443\n"
		"certificate = cert\n"
		"key = /etc/k.pem\n[limits]\nhttp_idle = 2m\nobjects = 16";
	struct buf b = BUF_INIT(1 << 16), again = BUF_INIT(1 << 16);
	struct err e;

	ck_assert_msg(parse(text, &e) == 0, "%s", e.text);
	ck_assert_str_eq(cfg.server.data_dir, "/srv/f");
	ck_assert_uint_eq(cfg.server.cache_size, 64 << 20);
	ck_assert_int_eq(cfg.server.log_level, LOG_DEBUG_);
	ck_assert_uint_eq(cfg.coap.listen.n, 3);
	ck_assert_str_eq(cfg.coap.listen.v[1].text, "[::1]:2");
	ck_assert_uint_eq(cfg.coap.listen.v[2].port, 3);
	ck_assert_uint_eq(cfg.coap.listen_dtls.n, 0);
	ck_assert_uint_eq(cfg.coap.trusted.n, 0);
	ck_assert_str_eq(cfg.http.listen_tls.v[0].text, "[2001:db8::1]:8443");
	ck_assert_uint_eq(cfg.limits.http_idle_ms, 120000);
	ck_assert_uint_eq(cfg.limits.objects, 16);
	written(&cfg, &b);
	ck_assert_int_eq(config_parse(buf_slice(&b), "w", &other, &e), 0);
	ck_assert_str_eq(written(&other, &again), buf_cstr(&b));
	buf_free(&b);
	buf_free(&again);
}
END_TEST

START_TEST(settling_makes_addresses_concrete)
{
	struct err e;

	ck_assert_int_eq(parse("[coap]\nlisten_dtls = *:5684\n", &e), 0);
	config_settle(&cfg);
	ck_assert(strcmp(cfg.coap.listen_dtls.v[0].text, "[::]:5684") == 0 ||
		  strcmp(cfg.coap.listen_dtls.v[0].text, "0.0.0.0:5684") == 0);
	ck_assert_int_eq(cfg.coap.listen_dtls.v[0].v4, cfg.coap.listen_dtls.v[0].text[0] == '0');
}
END_TEST

START_TEST(changes_are_told_apart)
{
	struct err e;

	config_defaults(&other);
	ck_assert_int_eq(parse("[server]\nlog_level = debug\n", &e), 0);
	ck_assert_ptr_null(config_needs_restart(&cfg, &other));
	ck_assert(config_same_front(&cfg, &other));
	ck_assert_int_eq(parse("[server]\ndata_dir = /elsewhere\n", &e), 0);
	ck_assert_str_eq(config_needs_restart(&cfg, &other), "data_dir");
	ck_assert_int_eq(parse("[limits]\nimage_max = 1M\n", &e), 0);
	ck_assert_str_eq(config_needs_restart(&cfg, &other), "image_max");
	ck_assert_int_eq(parse("[http]\nlisten = 127.0.0.1:9\n", &e), 0);
	ck_assert(!config_same_front(&cfg, &other));
	ck_assert_int_eq(parse("[limits]\ngrants = 100\n", &e), 0);
	ck_assert(!config_same_front(&cfg, &other));
}
END_TEST

/* The two paths depend on how the build was configured; all else is to the letter. */
static bool depends_on_build(const char *line)
{
	return strncmp(line, "#data_dir", 9) == 0 || strncmp(line, "#socket", 7) == 0;
}

START_TEST(shipped_file_is_the_schema)
{
	const char *top = getenv("top_srcdir");
	char path[512], line[512];
	struct buf b = BUF_INIT(1 << 16);

	text_format(path, sizeof(path), "%s/etc/fettled.conf", top ? top : ".");
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	config_write_example(&b);
	const char *at = buf_cstr(&b);
	while (fgets(line, sizeof(line), f)) {
		size_t n = strcspn(at, "\n") + 1;
		if (!depends_on_build(line))
			ck_assert_msg(strncmp(at, line, n) == 0 && strlen(line) == n, "%s", line);
		at += n;
	}
	ck_assert_str_eq(at, "");
	ck_assert_int_eq(fclose(f), 0);
	buf_free(&b);
}
END_TEST

/* The manual names every key with its default, and its range in the same words. */
START_TEST(manual_has_every_key)
{
	static char page[1 << 16];
	const char *top = getenv("top_srcdir");
	char path[512], item[96], range[96];

	text_format(path, sizeof(path), "%s/docs/fettled.conf.5", top ? top : ".");
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(page, 1, sizeof(page) - 1, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	for (unsigned i = 0; i < config_keys_count; i++) {
		const struct config_key *k = &config_keys[i];
		text_format(item, sizeof(item), ".Ss [%s]\n", k->section);
		const char *at = strstr(page, item);
		ck_assert_msg(at != NULL, "%s", item);
		text_format(item, sizeof(item), ".It Cm %s No =", k->name);
		at = strstr(at, item);
		ck_assert_msg(at != NULL, "%s", item);
		config_key_range(k, range, sizeof(range));
		ck_assert_msg(strstr(at, range) != NULL, "%s: %s", k->name, range);
		text_format(item, sizeof(item), ".Ql %s .\n", k->preset);
		bool depends = k->type == KEY_TYPE_PATH;
		ck_assert_msg(depends || !k->preset[0] || strstr(at, item) != NULL, "%s: default",
			      k->name);
	}
}
END_TEST

START_TEST(shipped_file_with_all_keys_is_the_default)
{
	struct buf b = BUF_INIT(1 << 16), x = BUF_INIT(1 << 16), y = BUF_INIT(1 << 16);
	struct err e = { 0 };

	config_write_example(&b);
	for (char *p = (char *)(uintptr_t)buf_cstr(&b); p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (p[0] == '#' && p[1] != ' ')
			p[0] = '\n'; /* an empty line, and the key without its # */
	}
	ck_assert_msg(config_parse(buf_slice(&b), "x", &cfg, &e) == 0, "%s", e.text);
	config_defaults(&other);
	ck_assert_str_eq(written(&cfg, &x), written(&other, &y));
	buf_free(&b);
	buf_free(&x);
	buf_free(&y);
}
END_TEST

/* ---- secrets ---- */

static char dir[] = "/tmp/fettle-config-XXXXXX";

static void put_file(const char *name, const char *text, mode_t mode, char *path, size_t cap)
{
	text_format(path, cap, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static int load_key(const char *text, mode_t mode, struct err *e)
{
	char cert[64], key[64];
	struct secrets s;

	put_file("cert.pem", "-----BEGIN CERTIFICATE-----\n", 0644, cert, sizeof(cert));
	put_file("key.pem", text, mode, key, sizeof(key));
	config_defaults(&cfg);
	text_copy(cfg.http.certificate, sizeof(cfg.http.certificate), cert);
	text_copy(cfg.http.key, sizeof(cfg.http.key), key);
	int rc = secrets_load(&cfg, &s, e);
	if (rc == 0)
		secrets_wipe(&s);
	unlink(cert);
	unlink(key);
	return rc;
}

static char *copy(const char *s)
{
	char *p = strdup(s);

	ck_assert_ptr_nonnull(p);
	return p;
}

/* A fresh key and a certificate for it, as PEM texts. */
static void make_pair(struct buf *cert, struct buf *key)
{
	struct key *k;
	struct err e = { 0 };

	*cert = *key = BUF_INIT(8192);
	ck_assert_int_eq(key_generate(KEY_P256, &k, &e), 0);
	ck_assert_int_eq(crypto_self_signed(k, NULL, 1, cert, &e), 0);
	ck_assert_int_eq(key_private_pem(k, key, &e), 0);
	key_free(k);
}

static int check_pair(const char *cert, const char *key, struct err *e)
{
	struct secrets s = { .certificate_pem = copy(cert), .key_pem = copy(key) };
	int rc;

	config_defaults(&cfg);
	text_copy(cfg.http.certificate, sizeof(cfg.http.certificate), "/c.pem");
	text_copy(cfg.http.key, sizeof(cfg.http.key), "/k.pem");
	rc = secrets_check(&cfg, &s, e);
	secrets_wipe(&s);
	return rc;
}

START_TEST(certificate_and_key_are_a_pair)
{
	struct buf cert, key, cert2, key2;
	struct err e = { 0 };

	make_pair(&cert, &key);
	make_pair(&cert2, &key2);
	ck_assert_int_eq(check_pair(buf_cstr(&cert), buf_cstr(&key), &e), 0);
	ck_assert_int_eq(check_pair(buf_cstr(&cert), buf_cstr(&key2), &e), -1);
	ck_assert_int_eq(e.code, ERR_CONFLICT);
	ck_assert_ptr_nonnull(strstr(e.text, "/c.pem and /k.pem: "));
	ck_assert_int_eq(check_pair(buf_cstr(&key), buf_cstr(&key), &e), -1);
	ck_assert_int_eq(check_pair(buf_cstr(&cert), buf_cstr(&cert), &e), -1);
	ck_assert_int_eq(check_pair("-----BEGIN CERTIFICATE-----\n", "", &e), -1);
	struct secrets none = { .certificate_pem = copy(""), .key_pem = copy("") };
	config_defaults(&cfg);
	ck_assert_int_eq(secrets_check(&cfg, &none, &e), 0);
	secrets_wipe(&none);
	buf_free(&cert);
	buf_free(&key);
	buf_free(&cert2);
	buf_free(&key2);
}
END_TEST

START_TEST(keys_of_others_eyes_are_refused)
{
	static const char pem[] = "-----BEGIN PRIVATE KEY-----\n";
	struct err e = { 0 };

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(load_key(pem, 0600, &e), 0);
	ck_assert_int_eq(load_key(pem, 0400, &e), 0);
	ck_assert_int_eq(load_key(pem, 0640, &e), -1);
	ck_assert_int_eq(e.code, ERR_FORBIDDEN);
	ck_assert_ptr_nonnull(strstr(e.text, "mode is 0640"));
	ck_assert_int_eq(load_key(pem, 0604, &e), -1);
	ck_assert_int_eq(load_key("no key", 0600, &e), -1);
	ck_assert_int_eq(e.code, ERR_MALFORMED);
	ck_assert_int_eq(load_key("", 0600, &e), -1);
	text_copy(cfg.http.key, sizeof(cfg.http.key), "tls-key");
	unsetenv("CREDENTIALS_DIRECTORY");
	struct secrets s;
	text_copy(cfg.http.certificate, sizeof(cfg.http.certificate), "");
	ck_assert_int_eq(secrets_load(&cfg, &s, &e), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "CREDENTIALS_DIRECTORY"));
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(sealed_memory_carries_both)
{
	struct secrets in = { .certificate_pem = copy("CERT"), .key_pem = copy("KEY") }, out;
	struct buf a = BUF_INIT(1 << 16), b = BUF_INIT(1 << 16);
	struct err e = { 0 };

	memset(in.echo_secret, 7, sizeof(in.echo_secret));
	ck_assert_int_eq(parse("[coap]\nlisten = 127.0.0.1:7\ntrusted =\n", &e), 0);
	int fd = config_seal(&cfg, &in, &e);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "x", 1), -1);
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	ck_assert_msg(config_unseal(fd, &other, &out, &e) == 0, "%s", e.text);
	ck_assert_str_eq(written(&cfg, &a), written(&other, &b));
	ck_assert(secrets_same(&in, &out));
	ck_assert_mem_eq(in.echo_secret, out.echo_secret, sizeof(in.echo_secret));
	out.key_pem[0] = 'k';
	ck_assert(!secrets_same(&in, &out));
	secrets_wipe(&in);
	secrets_wipe(&out);
	close(fd);
	buf_free(&a);
	buf_free(&b);
}
END_TEST

START_TEST(unsealed_memory_is_refused)
{
	struct secrets out;
	struct err e = { 0 };
	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs("hello hello", f), 0);
	ck_assert_int_eq(fflush(f), 0);
	ck_assert_int_eq(config_unseal(fileno(f), &other, &out, &e), -1);
	ck_assert_int_eq(e.code, ERR_MALFORMED);
	ck_assert_int_eq(fclose(f), 0);
}
END_TEST

/* A reload that finds no descriptor free must fail whole: no default takes the place of a rule. */
START_TEST(without_descriptors_everything_fails)
{
	struct secrets in = { .certificate_pem = copy(""), .key_pem = copy("") }, out;
	struct rlimit full, none;
	struct err e = { 0 };

	config_defaults(&other);
	text_copy(other.http.certificate, sizeof(other.http.certificate), "/dev/null");
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &full), 0);
	none = (struct rlimit){ 0, full.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	int loaded = config_load("/dev/null", &cfg, &e);
	enum err_code load_code = e.code;
	int secret = secrets_load(&other, &out, &e);
	int sealed = config_seal(&other, &in, &e);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
	ck_assert_int_eq(loaded, -1);
	ck_assert_int_eq(load_code, ERR_IO);
	ck_assert_int_eq(secret, -1);
	ck_assert_int_eq(sealed, -1);
	ck_assert_int_eq(config_load("/dev/null", &cfg, &e), 0);
	secrets_wipe(&in);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("daemon/config");
	TCase *t = tcase_create("all");

	tcase_add_test(t, defaults_survive_writing);
	tcase_add_test(t, every_range_holds);
	tcase_add_loop_test(t, errors_name_file_and_line, 0, (int)COUNT(bad));
	tcase_add_test(t, odd_bytes_are_errors);
	tcase_add_test(t, values_are_taken);
	tcase_add_test(t, settling_makes_addresses_concrete);
	tcase_add_test(t, changes_are_told_apart);
	tcase_add_test(t, shipped_file_is_the_schema);
	tcase_add_test(t, manual_has_every_key);
	tcase_add_test(t, shipped_file_with_all_keys_is_the_default);
	tcase_add_test(t, keys_of_others_eyes_are_refused);
	tcase_add_test(t, certificate_and_key_are_a_pair);
	tcase_add_test(t, sealed_memory_carries_both);
	tcase_add_test(t, unsealed_memory_is_refused);
	tcase_add_test(t, without_descriptors_everything_fails);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
