/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "device/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum kind { KIND_FLAG, KIND_TEXT, KIND_NUMBER, KIND_SECONDS, KIND_PERCENT, KIND_ANCHOR, KIND_LIST };

struct spec {
	const char *name;
	enum kind kind;
	size_t at;
	uint64_t min, max;
	const char *value, *help;
};

#define AT(member) offsetof(struct options, member)

static const struct spec specs[] = {
	{ "server", KIND_TEXT, AT(server), 0, 0, "URI",
	  "coap://, coaps://, http:// or https://HOST[:PORT]" },
	{ "id", KIND_TEXT, AT(id), 0, 0, "ID", "this device's id" },
	{ "state", KIND_TEXT, AT(state_dir), 0, 0, "DIR", "where state and firmware are kept" },
	{ "psk-file", KIND_TEXT, AT(psk_file), 0, 0, "FILE",
	  "pre-shared key, hex (a fleet's master key)" },
	{ "psk-identity", KIND_TEXT, AT(psk_identity), 0, 0, "ID",
	  "PSK identity (default: the device id)" },
	{ "token-file", KIND_TEXT, AT(token_file), 0, 0, "FILE", "bearer token for HTTPS" },
	{ "ca", KIND_TEXT, AT(ca), 0, 0, "FILE",
	  "certificates that may vouch for an HTTPS server" },
	{ "anchor", KIND_ANCHOR, 0, 0, 0, "PEM",
	  "public key manifests are verified by; may be repeated" },
	{ "vendor", KIND_TEXT, AT(vendor), 0, 0, "V", "vendor: a domain or a UUID" },
	{ "class", KIND_TEXT, AT(class_), 0, 0, "C", "class: a model name or a UUID" },
	{ "mode", KIND_TEXT, AT(mode), 0, 0, "M", "client (default), negotiated or server" },
	{ "push", KIND_FLAG, AT(push), 0, 0, NULL, "take manifests and images by PUT" },
	{ "pull", KIND_FLAG, AT(pull), 0, 0, NULL, "take manifests by PUT, fetch images" },
	{ "endpoint", KIND_NUMBER, AT(endpoint), 1, 65535, "PORT",
	  "be called at this port, too (coap, coaps)" },
	{ "service", KIND_TEXT, AT(service), 0, 0, "S", "its status: idle, busy or critical" },
	{ "service-for", KIND_SECONDS, AT(service_s), 1, 864000, "S",
	  "for so long, then it is idle" },
	{ "battery", KIND_NUMBER, AT(battery), 1, 100, "N", "its battery, percent" },
	{ "free-flash", KIND_NUMBER, AT(free_flash), 1, INT64_MAX, "N", "its free flash, bytes" },
	{ "parent", KIND_TEXT, AT(parent), 0, 0, "ID", "the device it is reached through" },
	{ "attribute", KIND_LIST, AT(attributes), 0, 0, "K=V",
	  "an attribute it registers; may be repeated" },
	{ "version", KIND_TEXT, AT(version), 0, 0, "V", "version installed at first" },
	{ "sequence", KIND_NUMBER, AT(sequence), 0, UINT64_MAX, "N",
	  "sequence number installed at first" },
	{ "poll", KIND_SECONDS, AT(poll_s), 1, 86400, "S",
	  "ask so often, whatever the server says" },
	{ "once", KIND_FLAG, AT(once), 0, 0, NULL, "end when there is nothing to do" },
	{ "until-done", KIND_FLAG, AT(until_done), 0, 0, NULL, "end when one update is over" },
	{ "timeout", KIND_SECONDS, AT(timeout_s), 1, 864000, "S", "give up after so long" },
	{ "block", KIND_NUMBER, AT(block), 16, 1024, "N",
	  "bytes of a CoAP block: 16, 32 ... 1024" },
	{ "max-image", KIND_NUMBER, AT(max_image), 1, UINT64_MAX / 2, "N",
	  "bytes an image may have (default 64 MiB)" },
	{ "defer", KIND_SECONDS, AT(defer_s), 1, 2592000, "S",
	  "answer the first offer: not before S seconds" },
	{ "reason", KIND_TEXT, AT(reason), 0, 0, "TEXT", "said with --defer and --reject" },
	{ "reject", KIND_FLAG, AT(reject), 0, 0, NULL, "answer offers: no" },
	{ "tamper", KIND_FLAG, AT(tamper), 0, 0, NULL, "damage what is downloaded (tests)" },
	{ "fail-install", KIND_FLAG, AT(fail_install), 0, 0, NULL,
	  "the installation fails (tests)" },
	{ "fail-first", KIND_NUMBER, AT(fail_first), 1, 1000, "N",
	  "so many installations fail first (tests)" },
	{ "attempts", KIND_NUMBER, AT(attempts), 1, 1000, "N",
	  "--until-done ends after so many failures (default 1)" },
	{ "roll-back", KIND_FLAG, AT(roll_back), 0, 0, NULL,
	  "the old version boots again (tests)" },
	{ "silent-after", KIND_TEXT, AT(silent_after), 0, 0, "STATE",
	  "end after reporting STATE (tests)" },
	{ "verbose", KIND_FLAG, AT(verbose), 0, 0, NULL, "say every request and answer" },
	{ "fleet", KIND_NUMBER, AT(fleet), 1, FLEET_MAX, "N", "simulate N devices" },
	{ "prefix", KIND_TEXT, AT(prefix), 0, 0, "P", "their ids: P00000 ... (default dev-)" },
	{ "auth-none", KIND_FLAG, AT(auth_none), 0, 0, NULL,
	  "they are enrolled without credential" },
	{ "seed", KIND_NUMBER, AT(seed), 0, UINT64_MAX, "N",
	  "what they do follows from it (default 1)" },
	{ "fail", KIND_PERCENT, AT(fail_percent), 0, 0, "P%", "installations that fail" },
	{ "silent", KIND_PERCENT, AT(silent_percent), 0, 0, "P%", "devices that fall silent" },
	{ "reject-share", KIND_PERCENT, AT(reject_percent), 0, 0, "P%", "devices that say no" },
	{ "roll-back-share", KIND_PERCENT, AT(roll_back_percent), 0, 0, "P%",
	  "devices on which the old version boots again" },
	{ "modes", KIND_TEXT, AT(modes), 0, 0, "LIST",
	  "client=50,negotiated=30,server=20 percent" },
	{ "dtls", KIND_PERCENT, AT(dtls_percent), 0, 0, "P%",
	  "devices that speak coaps, with --server coap://" },
	{ "dtls-port", KIND_NUMBER, AT(dtls_port), 1, 65535, "N",
	  "where (default: the port after the server's)" },
	{ "sessions", KIND_NUMBER, AT(sessions), 1, FLEET_MAX, "N",
	  "DTLS sessions open at once (default 5000)" },
	{ "expect", KIND_TEXT, AT(expect), 0, 0, "FILE",
	  "write the state each device is to end in as CSV" },
	{ "loss", KIND_PERCENT, AT(loss_percent), 0, 0, "P%", "datagrams lost, each way" },
	{ "log", KIND_TEXT, AT(log), 0, 0, "FILE",
	  "a line before each message and after its answer" },
	{ "enroll-out", KIND_TEXT, AT(enroll_out), 0, 0, "FILE",
	  "write ids and keys as NDJSON and end" },
	{ "load", KIND_TEXT, AT(load), 0, 0, "KIND", "load generator: reports, polls or blocks" },
	{ "seconds", KIND_SECONDS, AT(seconds), 1, 86400, "S", "for so long (default 10)" },
	{ "window", KIND_LIST, AT(windows), 0, 0, "W",
	  "a maintenance window it registers; --load: requests at once (default 64)" },
	{ "addresses", KIND_NUMBER, AT(addresses), 1, FLEET_MAX, "N",
	  "client addresses (default: one a device)" },
	{ "path", KIND_TEXT, AT(path), 0, 0, "PATH", "--load blocks: what is fetched" },
	{ "image", KIND_TEXT, AT(image), 0, 0, "FILE", "--load blocks: what it must be" },
	{ "help", KIND_FLAG, AT(help), 0, 0, NULL, "this" },
};
#define SPECS (sizeof(specs) / sizeof(specs[0]))

int options_percent(const char *text, double *out)
{
	size_t n = strlen(text);
	uint64_t whole, part = 0, scale = 1;
	const char *dot;

	if (n > 0 && text[n - 1] == '%')
		n--;
	dot = memchr(text, '.', n);
	if (text_u64(slice_of(text, dot ? (size_t)(dot - text) : n), &whole) != 0 || whole > 100)
		return -1;
	if (dot) {
		size_t digits = n - (size_t)(dot + 1 - text);

		if (digits > 6 || text_u64(slice_of(dot + 1, digits), &part) != 0)
			return -1;
		while (digits-- > 0)
			scale *= 10;
	}
	*out = (double)whole + (double)part / (double)scale;
	return *out <= 100 ? 0 : -1;
}

static const struct spec *find(const char *arg, size_t n)
{
	static const char *const shorts[][2] = { { "-v", "verbose" }, { "-h", "help" } };

	for (size_t i = 0; i < 2; i++)
		if (strcmp(arg, shorts[i][0]) == 0)
			return find(shorts[i][1], strlen(shorts[i][1]));
	if (n > 2 && arg[0] == '-' && arg[1] == '-') {
		arg += 2;
		n -= 2;
	}
	for (size_t i = 0; i < SPECS; i++)
		if (strlen(specs[i].name) == n && memcmp(specs[i].name, arg, n) == 0)
			return &specs[i];
	return NULL;
}

static int bad(struct err *e, const struct spec *s, const char *what)
{
	return err_set(e, ERR_INVALID, "--%s: %s", s->name, what);
}

static int take_number(const struct spec *s, const char *v, uint64_t *to, struct err *e)
{
	if (text_u64(slice_str(v), to) != 0 || *to < s->min || *to > s->max)
		return err_set(e, ERR_INVALID, "--%s takes %llu to %llu", s->name,
			       (unsigned long long)s->min, (unsigned long long)s->max);
	return 0;
}

static int take_seconds(const struct spec *s, const char *v, uint64_t *to, struct err *e)
{
	int64_t ms;

	if (text_duration_ms(slice_str(v), &ms) != 0 || ms < 0)
		return bad(e, s, "takes seconds, or 15m, 12h, 7d");
	*to = (uint64_t)ms / 1000;
	return *to < s->min || *to > s->max ? bad(e, s, "is out of range") : 0;
}

static int take_listed(struct options *o, const struct spec *s, const char *v, struct err *e)
{
	struct list *l = (struct list *)(void *)((char *)o + s->at);
	const char *equals = strchr(v, '=');

	/* "--window 64" is of --load */
	if (s->at == AT(windows) && v[0] && strspn(v, "0123456789") == strlen(v))
		return text_u64(slice_str(v), &o->window) == 0 && o->window >= 1 &&
				       o->window <= 65536
			       ? 0
			       : bad(e, s, "takes 1 to 65536");
	if (s->at == AT(attributes) && (!equals || equals == v || equals - v > NAME_MAX_LEN ||
					strlen(equals + 1) > NAME_MAX_LEN))
		return bad(e, s, "takes NAME=VALUE");
	if (l->n == LIST_MAX)
		return bad(e, s, "given too often");
	l->v[l->n++] = v;
	return 0;
}

static int take(struct options *o, const struct spec *s, const char *v, struct err *e)
{
	char *at = (char *)o + s->at;

	switch (s->kind) {
	case KIND_FLAG:
		*(bool *)(void *)at = true;
		return 0;
	case KIND_TEXT:
		*(const char **)(void *)at = v;
		return 0;
	case KIND_NUMBER:
		return take_number(s, v, (uint64_t *)(void *)at, e);
	case KIND_SECONDS:
		/* a fleet's --defer is a share of it */
		if (s->at == AT(defer_s) && v[0] && v[strlen(v) - 1] == '%')
			return options_percent(v, &o->defer_percent) == 0
				       ? 0
				       : bad(e, s, "takes 0% to 100%");
		return take_seconds(s, v, (uint64_t *)(void *)at, e);
	case KIND_PERCENT:
		return options_percent(v, (double *)(void *)at) == 0
			       ? 0
			       : bad(e, s, "takes 0% to 100%");
	case KIND_ANCHOR:
		if (o->n_anchors == ANCHORS_MAX)
			return bad(e, s, "given too often");
		o->anchors[o->n_anchors++] = v;
		return 0;
	case KIND_LIST:
		return take_listed(o, s, v, e);
	}
	return -1;
}

static int settle_mode(struct options *o, struct err *e)
{
	bool coap = o->server && strncmp(o->server, "coap", 4) == 0;
	enum mode m = MODE_CLIENT;

	if (o->mode && (mode_parse(o->mode, &m) != 0 || m == MODE_UNSET))
		return err_set(e, ERR_INVALID, "--mode: client, negotiated or server");
	if (m == MODE_SERVER && !o->pull)
		o->push = true;
	if (o->push && o->pull)
		return err_set(e, ERR_INVALID, "--push and --pull exclude each other");
	if (m == MODE_CLIENT && (o->push || o->pull))
		return err_set(e, ERR_INVALID, "--push and --pull: not in client mode");
	if ((o->push || o->pull || o->endpoint) && o->server && !coap)
		return err_set(e, ERR_INVALID, "the server calls over coap and coaps alone");
	if (o->service && strcmp(o->service, "idle") != 0 && strcmp(o->service, "busy") != 0 &&
	    strcmp(o->service, "critical") != 0)
		return err_set(e, ERR_INVALID, "--service: idle, busy or critical");
	return 0;
}

/* "client=50,negotiated=30,server=20" */
static int take_modes(struct options *o, struct err *e)
{
	double share[MODE_COUNT] = { 0 }, sum = 0;
	char word[16], number[16];

	for (const char *p = o->modes; *p; p += *p == ',') {
		size_t n = strcspn(p, ","), at = strcspn(p, "=");
		enum mode m;

		if (at >= n || text_copy_slice(word, sizeof(word), slice_of(p, at)) != 0 ||
		    text_copy_slice(number, sizeof(number), slice_of(p + at + 1, n - at - 1)) ||
		    mode_parse(word, &m) != 0 || options_percent(number, &share[m]) != 0)
			return err_set(e, ERR_INVALID,
				       "--modes: client=50,negotiated=30,server=20");
		p += n;
	}
	for (int m = MODE_CLIENT; m < MODE_COUNT; m++)
		sum += share[m];
	if (sum != 100 || o->mode)
		return err_set(e, ERR_INVALID,
			       "--modes: 100 percent together, and no --mode beside it");
	o->negotiated_percent = share[MODE_NEGOTIATED];
	o->server_percent = share[MODE_SERVER];
	return 0;
}

static int settle(struct options *o, struct err *e)
{
	static const char *const loads[] = { "", "reports", "polls", "blocks" };

	if (!o->server && !o->enroll_out)
		return err_set(e, ERR_INVALID, "--server is missing");
	if (!o->fleet && (!o->id || !o->state_dir))
		return err_set(e, ERR_INVALID, "--%s is missing", o->id ? "state" : "id");
	for (int i = LOAD_REPORTS; o->load && i <= LOAD_BLOCKS; i++)
		if (strcmp(loads[i], o->load) == 0)
			o->load_kind = (enum load_kind)i;
	if (o->load && (o->load_kind == LOAD_NONE || !o->fleet))
		return err_set(e, ERR_INVALID,
			       "--load takes reports, polls or blocks, and --fleet");
	if (o->load_kind == LOAD_BLOCKS && !o->path)
		return err_set(e, ERR_INVALID, "--load blocks needs --path");
	if (settle_mode(o, e) != 0)
		return -1;
	if (o->reject && o->defer_s)
		return err_set(e, ERR_INVALID, "--reject and --defer exclude each other");
	if (o->class_ && !o->vendor)
		return err_set(e, ERR_INVALID, "--class needs --vendor");
	if (o->block & (o->block - 1))
		return err_set(e, ERR_INVALID, "--block takes 16, 32, 64 ... 1024");
	if (o->fail_percent + o->defer_percent + o->silent_percent + o->reject_percent +
		    o->roll_back_percent >
	    100)
		return err_set(e, ERR_INVALID, "the shares are over 100%% together");
	return o->modes ? take_modes(o, e) : 0;
}

int options_parse(int argc, char **argv, struct options *o, struct err *e)
{
	*o = (struct options){
		.prefix = "dev-", .seed = 1, .window = 64, .seconds = 10, .block = 1024
	};
	if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
		o->show_version = true;
		return 0;
	}
	for (int i = 1; i < argc; i++) {
		const char *equals = strchr(argv[i], '=');
		size_t n = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
		const struct spec *s = argv[i][0] == '-' ? find(argv[i], n) : NULL;
		const char *value = equals ? equals + 1 : NULL;

		if (!s)
			return err_set(e, ERR_INVALID, "unknown option %s", argv[i]);
		if (s->kind == KIND_FLAG && value)
			return bad(e, s, "takes no value");
		if (s->kind != KIND_FLAG && !value && i + 1 == argc)
			return bad(e, s, "needs a value");
		if (s->kind != KIND_FLAG && !value)
			value = argv[++i];
		if (take(o, s, value, e) != 0)
			return -1;
		o->has_sequence = o->has_sequence || s->at == AT(sequence);
	}
	return o->help ? 0 : settle(o, e);
}

void options_help(void)
{
	printf("usage: fettle-device --server URI --id ID --state DIR [options]\n"
	       "       fettle-device --server URI --fleet N [options]\n\n");
	for (size_t i = 0; i < SPECS; i++)
		printf("  --%-14s %-6s %s\n", specs[i].name, specs[i].value ? specs[i].value : "",
		       specs[i].help);
	printf("\nExample:\n  fettle-device --server coap://127.0.0.1 --id lamp-7 --state lamp-7 "
	       "\\\n      --anchor vendor.pem --vendor example.com --class lamp --until-done\n");
}
