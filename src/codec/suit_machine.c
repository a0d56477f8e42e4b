/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "codec/suit_internal.h"
#include "codec/suit_worlds.h"

/*
 * The abstract machine of draft-ietf-suit-manifest-37 section 6.4, run without
 * a device: a condition is taken to hold unless an earlier one of the same run
 * says otherwise, and try-each forks. What is left at the end of a section are
 * the runs ("worlds") a device might make, and the images they fetch.
 */
struct machine {
	struct suit_manifest *m;
	struct worlds *w;
	unsigned commands, depth;
	uint32_t selected; /* components, by bit */
	bool shared;
	bool index_set;
};

static int run_sequence(struct machine *mc, struct slice bytes, struct err *e);

/* Run a sequence found at c; its errors become the cursor's. */
static void run_nested(struct machine *mc, struct cbor_reader *c, struct slice bytes)
{
	uint32_t selected = mc->selected;
	struct err why;

	if (!c->failed && run_sequence(mc, bytes, &why))
		cbor_fail(c, why.code, "%.130s", why.text);
	mc->selected = selected;
}

static void do_policy(struct machine *mc, struct cbor_reader *c)
{
	uint64_t policy = cbor_take_uint(c);

	(void)mc;
	if (!c->failed && policy > 15)
		cbor_fail(c, ERR_INVALID, "reporting policy %llu", (unsigned long long)policy);
}

static void do_use_before(struct machine *mc, struct cbor_reader *c)
{
	do_policy(mc, c);
	mc->m->use_before_effective = true;
}

static void do_authorized(struct machine *mc, struct cbor_reader *c)
{
	do_policy(mc, c);
	mc->m->needs_authorization = true;
}

static void do_slot(struct machine *mc, struct cbor_reader *c)
{
	do_policy(mc, c);
	worlds_bind_slots(mc->w, mc->selected);
}

static void do_version(struct machine *mc, struct cbor_reader *c)
{
	do_policy(mc, c);
	if (!c->failed && mc->m->version_match[0] == '\0')
		(void)text_copy(mc->m->version_match, sizeof(mc->m->version_match),
				worlds_version(mc->w, mc->selected));
}

static void do_fetch(struct machine *mc, struct cbor_reader *c)
{
	do_policy(mc, c);
	worlds_fetch(mc->w, mc->selected);
}

static void do_abort(struct machine *mc, struct cbor_reader *c)
{
	do_policy(mc, c);
	mc->w->n = 0;
}

static void do_dependency(struct machine *mc, struct cbor_reader *c)
{
	(void)mc;
	cbor_fail(c, ERR_UNSUPPORTED, "dependencies are not supported");
}

static uint32_t component_bit(struct machine *mc, struct cbor_reader *c)
{
	uint64_t i = cbor_take_uint(c);

	if (!c->failed && i >= mc->m->n_components)
		cbor_fail(c, ERR_INVALID, "component index %llu out of range",
			  (unsigned long long)i);
	return c->failed ? 0 : UINT32_C(1) << i;
}

static void do_set_index(struct machine *mc, struct cbor_reader *c)
{
	enum cbor_kind k = cbor_peek(c);
	uint32_t selected = 0;
	uint64_t n;

	if (k == CBOR_BOOL) {
		if (!cbor_take_bool(c))
			cbor_fail(c, ERR_INVALID, "component index is false");
		selected = (UINT32_C(1) << mc->m->n_components) - 1;
	} else if (k == CBOR_ARRAY) {
		n = cbor_take_array(c);
		for (uint64_t i = 0; i < n && !c->failed; i++)
			selected |= component_bit(mc, c);
		if (!c->failed && n == 0)
			cbor_fail(c, ERR_INVALID, "empty list of component indices");
	} else {
		selected = component_bit(mc, c);
	}
	mc->selected = selected;
	mc->index_set = true;
}

/* Every branch starts from the same worlds; their ends together are the result. */
static void do_try_each(struct machine *mc, struct cbor_reader *c)
{
	struct worlds *outer = mc->w, before = { 0 }, branch = { 0 }, after = { 0 };
	uint64_t n = cbor_take_array(c);

	if (!c->failed && n < 2)
		cbor_fail(c, ERR_MALFORMED, "try-each with fewer than two alternatives");
	if (worlds_copy(&before, outer))
		cbor_fail(c, ERR_NO_MEMORY, "no memory to run the manifest");
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		if (worlds_copy(&branch, &before))
			cbor_fail(c, ERR_NO_MEMORY, "no memory to run the manifest");
		mc->w = &branch;
		if (cbor_peek(c) == CBOR_NULL && i + 1 == n)
			cbor_take_null(c);
		else
			run_nested(mc, c, cbor_take_bytes(c));
		if (!c->failed && worlds_append(&after, &branch))
			cbor_fail(c, ERR_TOO_LARGE, "more than %d alternatives", WORLDS_MAX);
	}
	mc->w = outer;
	if (!c->failed && worlds_copy(outer, &after))
		cbor_fail(c, ERR_NO_MEMORY, "no memory to run the manifest");
	worlds_free(&before);
	worlds_free(&branch);
	worlds_free(&after);
}

static void do_run_sequence(struct machine *mc, struct cbor_reader *c)
{
	run_nested(mc, c, cbor_take_bytes(c));
}

static void do_set_params(struct machine *mc, struct cbor_reader *c)
{
	struct suit_params p;

	suit_params_read(c, mc->m, &p);
	worlds_set_params(mc->w, mc->selected, &p, false);
}

static void do_override(struct machine *mc, struct cbor_reader *c)
{
	struct suit_params p;

	suit_params_read(c, mc->m, &p);
	worlds_set_params(mc->w, mc->selected, &p, true);
}

static void do_override_multiple(struct machine *mc, struct cbor_reader *c)
{
	struct cbor_keys seen = { .n = 0 };
	uint64_t n = cbor_take_map(c);

	for (uint64_t i = 0; i < n && !c->failed; i++) {
		int64_t index = cbor_take_label(c, &seen);
		struct suit_params p;

		if (!c->failed && (index < 0 || index >= mc->m->n_components))
			cbor_fail(c, ERR_INVALID, "component index %lld out of range",
				  (long long)index);
		suit_params_read(c, mc->m, &p);
		if (!c->failed)
			worlds_set_params(mc->w, UINT32_C(1) << index, &p, true);
	}
}

static void do_copy_params(struct machine *mc, struct cbor_reader *c)
{
	struct cbor_keys seen = { .n = 0 };
	uint64_t n = cbor_take_map(c);

	for (uint64_t i = 0; i < n && !c->failed; i++) {
		int64_t from = cbor_take_label(c, &seen);
		uint64_t count = cbor_take_array(c);
		uint32_t mask = 0;

		if (!c->failed && (from < 0 || from >= mc->m->n_components))
			cbor_fail(c, ERR_INVALID, "component index %lld out of range",
				  (long long)from);
		for (uint64_t j = 0; j < count && !c->failed; j++) {
			int64_t number = cbor_take_int(c);

			if (number > 0 && number < 32)
				mask |= PARAM_BIT(number);
		}
		if (!c->failed)
			worlds_copy_params(mc->w, mc->selected, (unsigned)from, mask);
	}
}

struct command {
	uint8_t number;
	uint8_t needs; /* parameter that must have a value, 0: none */
	bool shared; /* allowed in the shared sequence */
	void (*run)(struct machine *mc, struct cbor_reader *c);
};

static const struct command commands[] = {
	{ COMMAND_VENDOR, PARAM_VENDOR, true, do_policy },
	{ COMMAND_CLASS, PARAM_CLASS, true, do_policy },
	{ COMMAND_IMAGE_MATCH, PARAM_DIGEST, true, do_policy },
	{ COMMAND_USE_BEFORE, PARAM_USE_BEFORE, true, do_use_before },
	{ COMMAND_SLOT, PARAM_SLOT, true, do_slot },
	{ COMMAND_CHECK_CONTENT, PARAM_CONTENT, true, do_policy },
	{ COMMAND_DEPENDENCY_INTEGRITY, 0, true, do_dependency },
	{ COMMAND_IS_DEPENDENCY, 0, true, do_dependency },
	{ COMMAND_PROCESS_DEPENDENCY, 0, false, do_dependency },
	{ COMMAND_SET_INDEX, 0, true, do_set_index },
	{ COMMAND_ABORT, 0, true, do_abort },
	{ COMMAND_TRY_EACH, 0, true, do_try_each },
	{ COMMAND_WRITE, PARAM_CONTENT, false, do_policy },
	{ COMMAND_SET_PARAMS, 0, true, do_set_params },
	{ COMMAND_OVERRIDE, 0, true, do_override },
	{ COMMAND_FETCH, PARAM_URI, false, do_fetch },
	{ COMMAND_COPY, PARAM_SOURCE, false, do_policy },
	{ COMMAND_INVOKE, 0, false, do_policy },
	{ COMMAND_DEVICE, PARAM_DEVICE, true, do_policy },
	{ COMMAND_IMAGE_NOT_MATCH, PARAM_DIGEST, true, do_policy },
	{ COMMAND_BATTERY, PARAM_BATTERY, true, do_policy },
	{ COMMAND_AUTHORIZED, PARAM_PRIORITY, true, do_authorized },
	{ COMMAND_VERSION, PARAM_VERSION, true, do_version },
	{ COMMAND_WAIT, PARAM_WAIT, false, do_policy },
	{ COMMAND_SWAP, PARAM_SOURCE, false, do_policy },
	{ COMMAND_RUN_SEQUENCE, 0, true, do_run_sequence },
	{ COMMAND_UNLINK, 0, false, do_policy },
	{ COMMAND_OVERRIDE_MULTIPLE, 0, true, do_override_multiple },
	{ COMMAND_COPY_PARAMS, 0, true, do_copy_params },
};

static const struct command *find_command(int64_t number)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].number == number)
			return &commands[i];
	return NULL;
}

static void run_custom(struct machine *mc, struct cbor_reader *c, int64_t number)
{
	if (mc->shared)
		cbor_fail(c, ERR_INVALID, "custom command %lld in the shared sequence",
			  (long long)number);
	cbor_take_raw(c);
}

static void run_command(struct machine *mc, struct cbor_reader *c)
{
	int64_t number = cbor_take_int(c);
	const struct command *cmd = find_command(number);

	if (c->failed)
		return;
	if (++mc->commands > SUIT_COMMANDS_MAX)
		cbor_fail(c, ERR_TOO_LARGE, "more than %d commands", SUIT_COMMANDS_MAX);
	else if (!mc->index_set && number != COMMAND_SET_INDEX &&
		 number != COMMAND_OVERRIDE_MULTIPLE) /* names its components itself */
		cbor_fail(c, ERR_INVALID,
			  "a sequence for several components must start with "
			  "set-component-index");
	else if (number < 0)
		run_custom(mc, c, number);
	else if (!cmd)
		cbor_fail(c, ERR_UNSUPPORTED, "command %lld", (long long)number);
	else if (mc->shared && !cmd->shared)
		cbor_fail(c, ERR_INVALID, "command %lld in the shared sequence", (long long)number);
	else if (cmd->needs && !worlds_have(mc->w, mc->selected, cmd->needs))
		cbor_fail(c, ERR_INVALID, "command %lld without parameter %u", (long long)number,
			  cmd->needs);
	else
		cmd->run(mc, c);
}

static int run_sequence(struct machine *mc, struct slice bytes, struct err *e)
{
	struct cbor_reader c;
	uint64_t n;

	if (mc->depth == SUIT_DEPTH_MAX)
		return err_set(e, ERR_TOO_LARGE, "sequences nested deeper than %d", SUIT_DEPTH_MAX);
	mc->depth++;
	cbor_begin(&c, bytes, e);
	n = cbor_take_array(&c);
	if (!c.failed && (n == 0 || n % 2 != 0))
		cbor_fail(&c, ERR_MALFORMED, "command sequence with %llu members",
			  (unsigned long long)n);
	for (uint64_t i = 0; i < n && !c.failed; i += 2)
		run_command(mc, &c);
	mc->depth--;
	return cbor_end(&c);
}

static int run_section(struct machine *mc, struct slice bytes, const char *name, struct err *e)
{
	bool single = mc->m->n_components <= 1;

	mc->index_set = single;
	mc->selected = mc->m->n_components == 1;
	if (run_sequence(mc, bytes, e))
		return err_prefix(e, "%s", name);
	if (mc->w->n == 0)
		return err_set(e, ERR_INVALID, "%s: no alternative can succeed", name);
	return 0;
}

static const struct {
	uint8_t member;
	bool images; /* what it fetches or installs is an image of the release */
	const char *name;
} sections[] = {
	{ MANIFEST_PAYLOAD_FETCH, true, "payload-fetch" },
	{ MANIFEST_CANDIDATE_VERIFICATION, false, "candidate-verification" },
	{ MANIFEST_INSTALL, true, "install" },
	{ MANIFEST_VALIDATE, false, "validate" },
	{ MANIFEST_LOAD, false, "load" },
	{ MANIFEST_INVOKE, false, "invoke" },
	{ MANIFEST_UNINSTALL, false, "uninstall" },
};

/* The shared sequence runs before every section, so each starts from its end. */
static int run_sections(struct machine *mc, const struct worlds *start,
			const struct suit_members *man, struct err *e)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		const struct suit_member *s = &man->m[sections[i].member];

		if (!s->present || !s->content.p)
			continue;
		if (worlds_copy(mc->w, start))
			return err_set(e, ERR_NO_MEMORY, "no memory to run the manifest");
		if (run_section(mc, s->content, sections[i].name, e))
			return -1;
		if (sections[i].images && worlds_collect(mc->w, mc->m, e))
			return -1;
	}
	return worlds_collect(start, mc->m, e);
}

int suit_machine_run(struct suit_manifest *m, struct slice shared, const struct suit_members *man,
		     struct err *e)
{
	struct worlds start = { 0 }, work = { 0 };
	struct machine mc = { .m = m, .w = &start, .shared = true };
	int rc;

	if (worlds_init(&start))
		return err_set(e, ERR_NO_MEMORY, "no memory to run the manifest");
	rc = shared.p ? run_section(&mc, shared, "shared sequence", e) : 0;
	mc.shared = false;
	mc.w = &work;
	if (rc == 0)
		rc = run_sections(&mc, &start, man, e);
	worlds_free(&start);
	worlds_free(&work);
	return rc;
}
