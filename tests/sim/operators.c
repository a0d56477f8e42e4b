/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim.h"

/*
 * What operators do with rollouts besides starting and holding them, and with templates of
 * rollouts. Now and then they try what they must not.
 */

static int command(struct sim *s, struct said *said, enum method m, const char *path,
		   const char *json, struct heard *h)
{
	said->what = HAPPENS_COMMAND;
	said->dev = -1;
	return sim_happen(s, said,
			  &(struct ask_of){ .dev = said->other ? SIM_OTHER : -1,
					    .method = m,
					    .path = path,
					    .json = json },
			  h);
}

static int verb(struct sim *s, struct said *said, const char *word, const char *json)
{
	char path[96];
	struct heard h;

	snprintf(path, sizeof(path), "/api/v1/rollouts/%" PRId64 "/%s",
		 s->oracle.now->rollout[said->ref].id, word);
	return command(s, said, METHOD_POST, path, json, &h);
}

/* One of the last few that are in one of these states (bits), -1 none. */
static int recent(struct sim *s, unsigned states)
{
	const struct o_model *m = s->oracle.now;
	int found[12], n = 0;

	for (int i = m->n_rollouts - 1; i >= 0 && n < 12; i--)
		if (states >> m->rollout[i].state & 1)
			found[n++] = i;
	return n > 0 ? found[dice_below(&s->dice, (uint64_t)n)] : -1;
}

#define S(state) (1u << ROLLOUT_##state)

/* Releases that wait for their templates may make some, too. */
bool operators_room(const struct sim *s, int rollouts)
{
	const struct o_model *m = s->oracle.now;
	int all = rollouts + 3 * O_STANDING;

	return m->n_rollouts + all <= O_ROLLOUTS && m->n_updates + all * s->n_devices <= O_UPDATES;
}

/* ---- rollouts ---- */

/* More than it had, mostly. */
static void draw_budget(struct sim *s, struct said *said, char json[64])
{
	int64_t budget = s->oracle.now->rollout[said->ref].budget;

	json[0] = '\0';
	if (budget < 0 || !dice_chance(&s->dice, 600))
		return;
	said->budget = budget + dice_range(&s->dice, -1, 4);
	if (said->budget < 0)
		said->budget = 0;
	said->has_budget = true;
	said->other = dice_chance(&s->dice, 500);
	snprintf(json, 64, "{\"budget\":%" PRId64 "}", said->budget);
}

static int retry(struct sim *s)
{
	struct said said = { .command = COMMAND_RETRY,
			     .ref = recent(s, S(RUNNING) | S(PAUSED) | S(FINISHED)) };
	char json[64];

	if (said.ref < 0)
		return 0;
	draw_budget(s, &said, json);
	return verb(s, &said, "retry", json[0] ? json : NULL);
}

static int raise(struct sim *s)
{
	struct said said = { .command = COMMAND_RESUME, .ref = recent(s, S(PAUSED)) };
	char json[64];

	if (said.ref < 0)
		return 0;
	draw_budget(s, &said, json);
	return verb(s, &said, "resume", json[0] ? json : NULL);
}

static int next(struct sim *s)
{
	struct said said = { .command = COMMAND_NEXT, .ref = recent(s, S(RUNNING) | S(PAUSED)) };

	return said.ref < 0 ? 0 : verb(s, &said, "next", NULL);
}

static int clone(struct sim *s)
{
	const struct o_model *m = s->oracle.now;
	struct said said = { .command = COMMAND_CLONE, .ref = recent(s, ~S(CREATING)) };
	char json[64];

	if (said.ref < 0 || !operators_room(s, 1))
		return 0;
	snprintf(json, sizeof(json), "{\"name\":\"r%d\"}", m->n_rollouts);
	return verb(s, &said, "clone", json);
}

/* Nobody agrees to what is one's own. */
static int judge(struct sim *s)
{
	bool yes = dice_chance(&s->dice, 800);
	struct said said = { .command = yes ? COMMAND_AGREE : COMMAND_DENY,
			     .ref = recent(s, S(AWAITING_APPROVAL)),
			     .other = dice_chance(&s->dice, 750) };

	if (said.ref < 0)
		return 0;
	return verb(s, &said, yes ? "approve" : "deny", NULL);
}

/* A rollout of which something is on its way and not yet installed, -1 none. */
static int under_way(struct sim *s)
{
	const struct o_model *m = s->oracle.now;
	int found[12], n = 0;

	for (int i = m->n_updates - 1; i >= 0 && n < 12; i--)
		if (oracle_flies(m->update[i].state) && m->update[i].state < UPDATE_INSTALLING)
			found[n++] = m->update[i].rollout;
	return n > 0 ? found[dice_below(&s->dice, (uint64_t)n)] : -1;
}

static int force(struct sim *s)
{
	bool ends = dice_chance(&s->dice, 500);
	struct said said = { .command = ends ? COMMAND_ABORT : COMMAND_PAUSE,
			     .ref = under_way(s),
			     .force = true };

	if (said.ref < 0)
		said.ref = recent(s, S(RUNNING) | S(PAUSED) | S(ABORTED));

	if (said.ref < 0)
		return 0;
	return verb(s, &said, ends ? "abort" : "pause", "{\"force\":true}");
}

/* ---- templates ---- */

static int add_standing(struct sim *s)
{
	struct o_standing *t = &s->template;
	struct said said = { .command = COMMAND_STANDING };
	int n = s->oracle.now->n_standing;
	char json[512], target[64] = "all", id[UUID_TEXT];
	struct heard h;

	if (n == O_STANDING)
		return 0;
	*t = (struct o_standing){
		.enabled = dice_chance(&s->dice, 800),
		.urgency =
			dice_chance(&s->dice, 500) ? (int)dice_below(&s->dice, URGENCY_COUNT) : -1,
		.class_ = dice_chance(&s->dice, 500) ? (int)dice_below(&s->dice, CLASSES) : -1,
		.budget = dice_range(&s->dice, 1, 9),
		.count = dice_range(&s->dice, 1, 5)
	};
	t->by_id = t->class_ >= 0 && dice_chance(&s->dice, 500);
	if (t->by_id) {
		uuid_text(id, &s->class_id[t->class_]);
		snprintf(target, sizeof(target), "class == %s", id);
	} else if (t->class_ >= 0) {
		snprintf(target, sizeof(target), "model == %s", sim_models[t->class_]);
	}
	snprintf(json, sizeof(json),
		 "{\"name\":\"t%d\",\"enabled\":%s%s%s%s,\"rollout\":{\"target\":\"%s\","
		 "\"budget\":%" PRId64 ",\"phases\":[{\"count\":%" PRId64
		 ",\"success_percent\":50},{\"percent\":100}]}}",
		 n, t->enabled ? "true" : "false", t->urgency >= 0 ? ",\"urgency\":\"" : "",
		 t->urgency >= 0 ? urgency_word((enum urgency)t->urgency) : "",
		 t->urgency >= 0 ? "\"" : "", target, t->budget, t->count);
	return command(s, &said, METHOD_POST, "/api/v1/standing-rollouts", json, &h);
}

static int switch_standing(struct sim *s)
{
	const struct o_model *m = s->oracle.now;
	struct said said = { .command = COMMAND_SWITCH };
	char path[64];
	struct heard h;

	if (m->n_standing == 0)
		return add_standing(s);
	said.ref = (int)dice_below(&s->dice, (uint64_t)m->n_standing);
	said.force = !m->standing[said.ref].enabled;
	snprintf(path, sizeof(path), "/api/v1/standing-rollouts/%" PRId64,
		 m->standing[said.ref].id);
	return command(s, &said, METHOD_PATCH, path,
		       said.force ? "{\"enabled\":true}" : "{\"enabled\":false}", &h);
}

/* ---- all of it ---- */

int operators_act(struct sim *s)
{
	static int (*const acts[])(struct sim *) = { retry,	   retry,	    raise,
						     next,	   clone,	    judge,
						     judge,	   force,	    force,
						     add_standing, switch_standing, devices_act,
						     devices_act,  devices_let_in };

	return acts[dice_below(&s->dice, sizeof(acts) / sizeof(acts[0]))](s);
}

void operators_heard(struct sim *s, const struct said *said, const struct heard *h)
{
	struct o_model *m = s->oracle.now;
	const struct doc *id = doc_get(h->doc, "id");
	int64_t row = id && id->type == DOC_INT ? id->v.i : 0;

	if (said->command == COMMAND_STANDING && m->n_standing < O_STANDING) {
		m->standing[m->n_standing] = s->template;
		m->standing[m->n_standing++].id = row;
	}
	if (said->command == COMMAND_SWITCH)
		m->standing[said->ref].enabled = said->force;
	devices_heard(s, said);
	if (said->command == COMMAND_CLONE)
		oracle_clone(&s->oracle, said->ref, row);
	oracle_verb(&s->oracle);
}

void operators_put_settings(struct sim *s, struct buf *json)
{
	if (s->oracle.rules.approve_above >= 0)
		buf_printf(json, ",\"approve_above\":%" PRId64, s->oracle.rules.approve_above);
}

/* Whom a phase is for, when it is for some. */
bool operators_put_filter(struct sim *s, struct o_phase *p, struct buf *json)
{
	static const char *const tags[O_TAGS] = { "red", "blue" };

	if (s->habits.filters == 0 || !dice_chance(&s->dice, s->habits.filters))
		return false;
	p->tag = 1 + (int)dice_below(&s->dice, O_TAGS);
	buf_printf(json, "\"filter\":\"tag == %s\"", tags[p->tag - 1]);
	return true;
}

/* So many failures of one class, or of a few. */
void operators_put_pause_at(struct sim *s, struct o_rollout *r, struct buf *json)
{
	const char *comma = "";

	if (!s->opt.operators || !dice_chance(&s->dice, 300))
		return;
	buf_add_str(json, ",\"pause_at\":{");
	for (int f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++) {
		if (!dice_chance(&s->dice, f == FAILURE_TIMEOUT || f == FAILURE_BOOT ? 500 : 200))
			continue;
		r->pause_at[f] = (int)dice_range(&s->dice, 1, 3);
		buf_printf(json, "%s\"%s\":%d", comma, failure_word((enum failure)f),
			   r->pause_at[f]);
		comma = ",";
	}
	buf_add_str(json, "}");
}
