/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "tracker/filter.h"
#include "tracker/internal.h"

#define POLICY "policy" /* who, in audit and history */
#define IMAGE_RELEASES 16

static int start_as_policy(struct tracker *tk, const char *kind, int64_t release, struct err *e)
{
	const char *asker = tk->who;
	struct job j;

	tk->who = POLICY;
	int rc = job_start(tk, kind, release, &j, e);
	tk->who = asker;
	return rc;
}

/* ---- policy approves ---- */

int standing_release_added(struct tracker *tk, const struct release *r, struct err *e)
{
	if (tk->policy->n_auto_approve == 0 || r->state != RELEASE_SUBMITTED)
		return 0;
	return start_as_policy(tk, "release-policy", r->id, e);
}

int standing_image_added(struct tracker *tk, const struct digest *image, struct err *e)
{
	struct release waiting[IMAGE_RELEASES];
	int n = 0;

	if (tk->policy->n_auto_approve > 0)
		n = store_release_by_image(tk->st, image, 0, IMAGE_RELEASES, waiting, e);
	for (int i = 0; i < n; i++)
		if (standing_release_added(tk, &waiting[i], e) < 0)
			return -1;
	return n < 0 ? -1 : 0;
}

/* 1 verified by a key policy names, 0 not, -1. */
static int of_policys_key(struct tracker *tk, const struct release *r, struct err *e)
{
	struct manifest m;
	struct anchor a;

	int found = store_manifest_get(tk->st, &r->manifest, &m, e);
	if (found > 0)
		found = store_anchor_get(tk->st, m.anchor, &a, e);
	if (found > 0)
		found = policy_approves_key(tk->policy, &a.key_id) ? 1 : 0;
	return found;
}

/* What cannot be approved waits for a person, or for the image that is missing. */
enum step release_policy_step(struct tracker *tk, struct job *j, struct err *e)
{
	struct err why = { .code = ERR_NONE };
	struct release r;

	int found = store_release_get(tk->st, j->ref, &r, e);
	if (found > 0 && r.state == RELEASE_SUBMITTED && !tk->policy->release_approver)
		found = of_policys_key(tk, &r, e);
	else if (found > 0)
		found = 0;
	if (found < 0)
		return STEP_ERROR;
	if (found == 0) {
		cause_copy(j->result, sizeof(j->result), "not policy's to approve");
		return STEP_DONE;
	}
	if (release_approve(tk, &r, &why) < 0 && why.code >= ERR_BUSY) {
		*e = why;
		return STEP_ERROR;
	}
	cause_copy(j->result, sizeof(j->result), why.code == ERR_NONE ? "approved" : why.text);
	return STEP_DONE;
}

/* ---- a rollout of each template ---- */

int standing_release_approved(struct tracker *tk, const struct release *r, struct err *e)
{
	struct standing first;
	int found = store_standing_next(tk->st, r->urgency, 0, &first, e);

	return found <= 0 ? found : start_as_policy(tk, "standing", r->id, e);
}

/* As a string of the filter language holds it: an author chose the words. */
static void quoted(const char *model, char dst[2 * NAME_TEXT])
{
	size_t n = 0;

	for (const char *c = model; *c && n < 2 * NAME_TEXT - 2; c++) {
		if (*c == '"' || *c == '\\')
			dst[n++] = '\\';
		dst[n++] = *c;
	}
	dst[n] = '\0';
}

/* The class of r as a filter. */
static int class_filter(const struct release *r, char *dst, size_t cap)
{
	char text[UUID_TEXT], model[2 * NAME_TEXT];

	quoted(r->model, model);
	if (!r->class_id.set)
		return text_format(dst, cap, "model == \"%s\"", model);
	uuid_text(text, &r->class_id);
	return text_format(dst, cap, "class == %s", text);
}

/* Does f ask for another class, whatever else it asks for? */
static bool rules_out(const struct filter *f, const struct release *r)
{
	char text[UUID_TEXT];

	if (f->op == FILTER_AND)
		return rules_out(f->left, r) || rules_out(f->right, r);
	if (f->op == FILTER_OR)
		return rules_out(f->left, r) && rules_out(f->right, r);
	if (f->op != FILTER_COMPARE || f->cmp != CMP_EQ)
		return false;
	uuid_text(text, &r->class_id);
	if (f->field == FIELD_CLASS && r->class_id.set)
		return strcmp(f->values[0].text, text) != 0;
	return f->field == FIELD_MODEL && !r->class_id.set &&
	       strcmp(f->values[0].text, r->model) != 0;
}

/* "<template>-<release>"; what is cut off to fit is told apart by both their numbers. */
static void rollout_name(const struct standing *t, const struct release *r, char dst[NAME_TEXT])
{
	char text[2 * NAME_TEXT], numbers[48] = "";

	cause_format(text, sizeof(text), "%s-%s", t->name, r->name);
	if (strlen(text) > NAME_MAX_LEN)
		cause_format(numbers, sizeof(numbers), "-%" PRId64 "-%" PRId64, t->id, r->id);
	cause_format(dst, NAME_TEXT, "%.*s%s", (int)(NAME_MAX_LEN - strlen(numbers)), text,
		     numbers);
}

int standing_complete(struct tracker *tk, const struct standing *t, const struct release *r,
		      struct rollout_spec *s, struct err *e)
{
	char class_text[2 * NAME_TEXT + UUID_TEXT], both[FILTER_TEXT];
	struct filter *f;

	/* by itself a filter: "a) or (b" would step out of the parentheses it is put into */
	if (filter_parse(s->target, tk->a, &f, e) < 0)
		return err_prefix(e, "target");
	if (rules_out(f, r))
		return 0;
	if (class_filter(r, class_text, sizeof(class_text)) < 0 ||
	    text_format(both, sizeof(both), "(%s) and %s", s->target, class_text) < 0)
		return err_set(e, ERR_TOO_LARGE, "target: too long together with the class");
	rollout_name(t, r, s->name);
	s->release = r->id;
	s->auto_start = true;
	s->standing = t->id;
	return text_copy(s->target, sizeof(s->target), both) < 0 ? -1 : 1;
}

/* 1 made, 0 not for this release or made already, -1. */
static int make(struct tracker *tk, const struct standing *t, const struct release *r,
		standing_reader read, struct err *e)
{
	struct rollout_spec s;
	struct rollout made;
	struct job job;

	if (read(tk, t, &s, e) < 0)
		return -1;
	int fits = standing_complete(tk, t, r, &s, e);
	if (fits <= 0)
		return fits;
	int found = store_rollout_by_name(tk->st, s.name, &made, e);
	if (found < 0 || (found > 0 && made.standing == t->id && made.release == r->id))
		return found < 0 ? -1 : 0;
	if (rollout_create(tk, &s, &made, &job, e) < 0)
		return -1;
	return audit_note(tk, "standing.rollout", t->name, e, "rollout %s of release %s", made.name,
			  r->name) < 0
		       ? -1
		       : 1;
}

enum step standing_step(struct tracker *tk, struct job *j, standing_reader read, struct err *e)
{
	struct err why = { .code = ERR_NONE };
	struct standing t;
	struct release r;

	int found = store_release_get(tk->st, j->ref, &r, e);
	if (found > 0 && r.state != RELEASE_APPROVED)
		found = 0;
	if (found > 0)
		found = store_standing_next(tk->st, r.urgency, j->cursor, &t, e);
	if (found <= 0)
		return found < 0 ? STEP_ERROR : STEP_DONE;
	int made = make(tk, &t, &r, read, &why);
	if (made < 0 && why.code >= ERR_BUSY) {
		*e = why;
		return STEP_ERROR;
	}
	if (made < 0) { /* one that is not right keeps the others from nothing */
		log_warn("standing=%s release=%s cause=\"%s\"", t.name, r.name, log_safe(why.text));
		if (audit_note(tk, "standing.failed", t.name, e, "release %s: %s", r.name,
			       why.text) < 0)
			return STEP_ERROR;
	}
	j->cursor = t.id;
	j->done += made > 0;
	return STEP_MORE;
}
