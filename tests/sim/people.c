/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "codec/suit.h"
#include "sim.h"

/* Authors and operators: what they ask for, and what the oracle takes down when they got it. */

const char *const sim_vendors[VENDORS] = { "acme.example", "birch.example" };
const char *const sim_models[CLASSES] = { "lamp", "valve", "meter", "gate" };

static int64_t id_of(const struct heard *h)
{
	const struct doc *v = doc_get(h->doc, "id");

	return v && v->type == DOC_INT ? v->v.i : 0;
}

static int ask(struct sim *s, enum command c, int ref, const char *path, const char *json,
	       struct heard *h)
{
	struct said said = { .what = HAPPENS_COMMAND, .dev = -1, .command = c, .ref = ref };

	return sim_happen(
		s, &said,
		&(struct ask_of){ .dev = -1, .method = METHOD_POST, .path = path, .json = json },
		h);
}

/* ---- authors ---- */

static int add_anchor(struct sim *s, int vendor)
{
	struct o_model *m = s->oracle.now;
	struct buf pem = BUF_INIT(4096), json = BUF_INIT(8192);
	int n = m->n_anchors, rc = -1;
	struct heard h;

	if (n == O_ANCHORS)
		return 0;
	key_free(s->key[n]);
	s->key[n] = NULL;
	if (key_generate(KEY_P256, &s->key[n], NULL) != 0 ||
	    key_public_pem(s->key[n], &pem, NULL) != 0)
		goto out;
	buf_printf(&json, "{\"vendor\":\"%s\",\"key\":\"", sim_vendors[vendor]);
	for (const char *p = buf_cstr(&pem); *p; p++)
		if (*p == '\n')
			buf_add_str(&json, "\\n");
		else
			buf_add_u8(&json, (uint8_t)*p);
	buf_add_str(&json, "\"}");
	if (ask(s, COMMAND_ANCHOR, n, "/api/v1/anchors", buf_cstr(&json), &h) != 0)
		goto out;
	if (h.status == 201) {
		m->anchor[n] = (struct o_anchor){ .id = id_of(&h), .vendor = vendor };
		m->n_anchors++;
	}
	rc = 0;
out:
	buf_free(&pem);
	buf_free(&json);
	return rc;
}

static int anchor_in_force(const struct sim *s, int vendor)
{
	for (int i = s->oracle.now->n_anchors - 1; i >= 0; i--)
		if (s->oracle.now->anchor[i].vendor == vendor && !s->oracle.now->anchor[i].revoked)
			return i;
	return -1;
}

static int keep_image(struct sim *s, const char *text, struct digest *d)
{
	struct image i;

	if (server_begin(&s->server) != 0)
		return -1;
	store_handler_begin(s->server.st);
	int rc = store_image_add(s->server.st, slice_str(text), "uid:0", s->server.now.wall, &i,
				 NULL);
	*d = i.digest;
	return store_handler_end(s->server.st, rc >= 0, NULL) == 0 && rc >= 0 ? 0 : -1;
}

static int sign(struct sim *s, const struct o_release *r, const char *image, struct buf *out)
{
	static const int64_t priority[URGENCY_COUNT] = { -1, 50, 150, 250 };
	int vendor = r->class_ % VENDORS;
	struct suit_create c = { .sequence = r->sequence,
				 .n_images = 1,
				 .version = r->version,
				 .vendor_id = s->vendor_id[vendor],
				 .class_id = s->class_id[r->class_],
				 .vendor_domain = sim_vendors[vendor],
				 .model_name = sim_models[r->class_],
				 .has_priority = true,
				 .priority = priority[r->urgency],
				 .has_use_before = r->use_before > 0,
				 .use_before = (uint64_t)(r->use_before / 1000),
				 .images = { { .component = "main",
					       .digest = r->image,
					       .size = strlen(image),
					       .uri = "coap://files.example/x.bin" } } };

	return suit_create(&c, s->key[r->anchor], out, NULL);
}

static enum urgency any_urgency(struct dice *d)
{
	uint64_t n = dice_below(d, 10);

	return n < 2   ? URGENCY_CRITICAL
	       : n < 5 ? URGENCY_HIGH
	       : n < 9 ? URGENCY_NORMAL
		       : URGENCY_LOW;
}

static int hand_in(struct sim *s, struct buf *envelope, struct heard *h)
{
	struct said said = { .what = HAPPENS_COMMAND, .dev = -1, .command = COMMAND_OTHER };

	return sim_happen(s, &said,
			  &(struct ask_of){ .dev = -1,
					    .method = METHOD_POST,
					    .path = "/api/v1/manifests",
					    .body = buf_slice(envelope),
					    .media = MEDIA_SUIT_ENVELOPE },
			  h);
}

static int add_release(struct sim *s, int class_)
{
	struct o_model *m = s->oracle.now;
	int anchor = anchor_in_force(s, class_ % VENDORS);
	struct buf envelope = BUF_INIT(65536);
	char image[SIM_IMAGE], json[256], hex[DIGEST_TEXT], path[64];
	struct heard h;
	int rc = -1;

	if (anchor < 0 || m->n_releases == O_RELEASES || !operators_room(s, O_STANDING))
		return 0;
	s->sequence[class_] += 1 + dice_below(&s->dice, 3);
	struct o_release r = { .class_ = class_,
			       .anchor = anchor,
			       .sequence = s->sequence[class_],
			       .urgency = any_urgency(&s->dice) };
	snprintf(r.version, sizeof(r.version), "1.%" PRIu64, r.sequence);
	int n = snprintf(image, sizeof(image), "%s %s", sim_models[class_], r.version);
	places_pad_image(s, image, n, sizeof(image));
	r.size = (int64_t)strlen(image);
	if (dice_chance(&s->dice, s->habits.expiry))
		r.use_before =
			(s->server.now.wall / 1000 + dice_range(&s->dice, 3600, 4000000)) * 1000;
	if (keep_image(s, image, &r.image) != 0 || sign(s, &r, image, &envelope) != 0 ||
	    sha256_once(buf_slice(&envelope), &r.manifest) != 0 || hand_in(s, &envelope, &h) != 0)
		goto out;
	digest_text(hex, &r.manifest);
	snprintf(json, sizeof(json), "{\"manifest\":\"%s\"}", hex);
	if (ask(s, COMMAND_RELEASE, 0, "/api/v1/releases", json, &h) != 0)
		goto out;
	rc = 0;
	if (h.status != 201)
		goto out;
	r.id = id_of(&h);
	m->release[m->n_releases++] = r;
	if (dice_chance(&s->dice, 900)) {
		snprintf(path, sizeof(path), "/api/v1/releases/%" PRId64 "/approve", r.id);
		rc = ask(s, COMMAND_APPROVE, m->n_releases - 1, path, NULL, &h);
		if (rc == 0 && h.status == 200)
			m->release[m->n_releases - 1].approved = true;
	}
out:
	buf_free(&envelope);
	return rc;
}

/* ---- operators ---- */

static void put_phases(struct sim *s, struct o_rollout *r, struct buf *json)
{
	r->n_phases = (int)dice_range(&s->dice, 1, O_PHASES - 1);
	if (dice_chance(&s->dice, 400)) {
		r->n_phases = 1;
		r->phase[0] = (struct o_phase){ .percent = 100 };
		return;
	}
	buf_add_str(json, ",\"phases\":[");
	for (int i = 0; i < r->n_phases; i++) {
		struct o_phase *p = &r->phase[i];

		*p = (struct o_phase){ .success = dice_range(&s->dice, 0, 100) };
		buf_add_str(json, i ? ",{" : "{");
		if (operators_put_filter(s, p, json))
			p->percent = 0;
		else if (dice_chance(&s->dice, 500))
			p->percent = dice_range(&s->dice, 1, 100 / r->n_phases);
		else
			p->count = dice_range(&s->dice, 1, 6);
		if (dice_chance(&s->dice, 500))
			p->soak_s = dice_range(&s->dice, 1, 200000);
		if (dice_chance(&s->dice, 500))
			p->timeout_s = dice_range(&s->dice, 3600, 2000000);
		if (p->tag == 0)
			buf_printf(json, "\"%s\":%" PRId64, p->percent ? "percent" : "count",
				   p->percent ? p->percent : p->count);
		buf_printf(json,
			   ",\"success_percent\":%" PRId64 ",\"soak_s\":%" PRId64
			   ",\"timeout_s\":%" PRId64 "}",
			   p->success, p->soak_s, p->timeout_s);
	}
	buf_add_str(json, "]");
}

static void put_limits(struct sim *s, struct o_rollout *r, struct buf *json)
{
	struct {
		const char *name;
		int64_t *value;
	} limits[] = { { "per_minute", &r->per_minute },
		       { "max_in_flight", &r->most },
		       { "per_link", &r->per_link } };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (!dice_chance(&s->dice, 250))
			continue;
		*limits[i].value = dice_range(&s->dice, 1, 4);
		buf_printf(json, ",\"%s\":%" PRId64, limits[i].name, *limits[i].value);
	}
	places_put_limits(s, r, json);
	operators_put_pause_at(s, r, json);
}

static int add_rollout(struct sim *s)
{
	struct o_model *m = s->oracle.now;
	struct buf json = BUF_INIT(4096);
	struct heard h;

	if (m->n_releases == 0 || !operators_room(s, 1))
		return 0;
	int back = (int)dice_below(&s->dice, m->n_releases < 5 ? (uint64_t)m->n_releases : 5);
	struct o_rollout r = { .release = m->n_releases - 1 - back,
			       .state = ROLLOUT_CREATING,
			       .at_phase = 1,
			       .budget = -1 };
	r.class_ = dice_chance(&s->dice, 150) ? -1 : m->release[r.release].class_;
	buf_printf(&json, "{\"name\":\"r%d\",\"release\":%" PRId64 ",\"target\":\"", m->n_rollouts,
		   m->release[r.release].id);
	if (r.class_ < 0)
		buf_add_str(&json, "all\"");
	else
		buf_printf(&json, "model == %s\"", sim_models[r.class_]);
	if (!dice_chance(&s->dice, 300))
		r.budget = dice_range(&s->dice, 0, 8);
	if (r.budget >= 0)
		buf_printf(&json, ",\"budget\":%" PRId64, r.budget);
	if (dice_chance(&s->dice, 200)) {
		r.window = dice_range(&s->dice, 1, 6);
		buf_printf(&json, ",\"in_flight\":%" PRId64, r.window);
	}
	put_phases(s, &r, &json);
	put_limits(s, &r, &json);
	buf_add_str(&json, "}");
	s->made = r;
	int rc = ask(s, COMMAND_ROLLOUT, m->n_rollouts, "/api/v1/rollouts", buf_cstr(&json), &h);
	buf_free(&json);
	return rc;
}

static int verb(struct sim *s, enum command c, int rollout, const char *word)
{
	char path[96];
	struct heard h;

	snprintf(path, sizeof(path), "/api/v1/rollouts/%" PRId64 "/%s",
		 s->oracle.now->rollout[rollout].id, word);
	return ask(s, c, rollout, path, NULL, &h);
}

/* What an operator would do with one of the rollouts, as it is. */
static int tend(struct sim *s)
{
	const struct o_model *m = s->oracle.now;

	if (m->n_rollouts == 0)
		return add_rollout(s);
	int back = (int)dice_below(&s->dice, m->n_rollouts < 6 ? (uint64_t)m->n_rollouts : 6);
	int i = m->n_rollouts - 1 - back;
	switch (m->rollout[i].state) {
	case ROLLOUT_READY:
		return verb(s, COMMAND_START, i, "start");
	case ROLLOUT_RUNNING:
		return dice_chance(&s->dice, 850) ? verb(s, COMMAND_PAUSE, i, "pause")
						  : verb(s, COMMAND_ABORT, i, "abort");
	case ROLLOUT_PAUSED:
		return dice_chance(&s->dice, 850) ? verb(s, COMMAND_RESUME, i, "resume")
						  : verb(s, COMMAND_ABORT, i, "abort");
	case ROLLOUT_DRAFT:
	case ROLLOUT_CREATING:
	case ROLLOUT_AWAITING_APPROVAL:
	case ROLLOUT_FINISHED:
	case ROLLOUT_ABORTED:
	case ROLLOUT_STATE_COUNT:
		break;
	}
	/* refused, and nothing changes */
	return dice_chance(&s->dice, 300) ? verb(s, COMMAND_START, i, "start") : add_rollout(s);
}

/* Whatever waits to be started is started: otherwise a fleet has nothing to do. */
static int start_one(struct sim *s)
{
	const struct o_model *m = s->oracle.now;

	for (int i = 0; i < m->n_rollouts; i++)
		if (m->rollout[i].state == ROLLOUT_READY)
			return verb(s, COMMAND_START, i, "start");
	for (int i = 0; i < m->n_rollouts; i++)
		if (m->rollout[i].state == ROLLOUT_PAUSED && dice_chance(&s->dice, 500))
			return verb(s, COMMAND_RESUME, i, "resume");
	return add_rollout(s);
}

static int withdraw(struct sim *s)
{
	struct o_model *m = s->oracle.now;
	char path[96];
	struct heard h;

	if (m->n_releases == 0)
		return 0;
	int i = (int)dice_below(&s->dice, (uint64_t)m->n_releases);
	bool floor = dice_chance(&s->dice, 300);
	snprintf(path, sizeof(path), "/api/v1/releases/%" PRId64 "/withdraw", m->release[i].id);
	return ask(s, floor ? COMMAND_FLOOR : COMMAND_WITHDRAW, i, path,
		   floor ? "{\"floor\":true}" : NULL, &h);
}

static int revoke(struct sim *s)
{
	const struct o_model *m = s->oracle.now;
	int vendor = (int)dice_below(&s->dice, VENDORS);
	int i = anchor_in_force(s, vendor);
	char path[96];
	struct heard h;

	if (i < 0)
		return add_anchor(s, vendor);
	snprintf(path, sizeof(path), "/api/v1/anchors/%" PRId64 "/revoke", m->anchor[i].id);
	return ask(s, COMMAND_REVOKE, i, path, NULL, &h);
}

static int settings(struct sim *s)
{
	const struct o_rules *r = &s->oracle.rules;
	struct said said = { .what = HAPPENS_COMMAND, .dev = -1, .command = COMMAND_OTHER };
	struct buf json = BUF_INIT(8192);
	struct heard h;

	buf_printf(&json,
		   "{\"contact_interval\":%" PRId64 ",\"offer_timeout\":%" PRId64
		   ",\"decide_timeout\":%" PRId64 ",\"download_slack\":%" PRId64
		   ",\"install_timeout\":%" PRId64 ",\"reboot_timeout\":%" PRId64
		   ",\"confirm_timeout\":%" PRId64 ",\"install_expected\":%" PRId64
		   ",\"urgency\":{",
		   r->contact_s, r->offer_s, r->decide_s, r->download_s, r->install_s, r->reboot_s,
		   r->confirm_s, r->expected_s);
	for (int i = 0; i < URGENCY_COUNT; i++) {
		const struct o_class *c = &r->class_[i];

		buf_printf(&json,
			   "%s\"%s\":{\"deadline\":%" PRId64 ",\"defer_max\":%" PRId64
			   ",\"defer_count\":%d,\"retries\":%d,\"backoff_min\":%" PRId64
			   ",\"backoff_max\":%" PRId64 ",\"contact_interval\":%" PRId64
			   ",\"idle_only\":%s,\"window_until_deadline\":%s,\"window_download\":%s"
			   ",\"outage\":%" PRId64 "}",
			   i ? "," : "", urgency_word((enum urgency)i), c->deadline_s,
			   c->defer_max_s, c->defer_count, c->retries, c->backoff_min_s,
			   c->backoff_max_s, c->contact_s, c->idle_only ? "true" : "false",
			   c->until_deadline ? "true" : "false",
			   c->with_download ? "true" : "false", c->outage_s);
	}
	buf_add_str(&json, "}");
	operators_put_settings(s, &json);
	buf_add_str(&json, "}");
	int rc = sim_happen(s, &said,
			    &(struct ask_of){ .dev = -1,
					      .method = METHOD_PUT,
					      .path = "/api/v1/policies/settings",
					      .json = buf_cstr(&json) },
			    &h);
	buf_free(&json);
	return rc == 0 && h.status == 200 ? 0 : -1;
}

int people_begin(struct sim *s)
{
	if (settings(s) != 0 || fleet_enrol(s) != 0 || places_begin(s) != 0)
		return -1;
	for (int v = 0; v < VENDORS; v++)
		if (add_anchor(s, v) != 0)
			return -1;
	for (int c = 0; c < CLASSES; c++)
		if (add_release(s, c) != 0 || add_rollout(s) != 0)
			return -1;
	return 0;
}

int people_act(struct sim *s)
{
	uint64_t n = dice_below(&s->dice, 100);

	if (s->opt.operators && dice_chance(&s->dice, 250))
		return operators_act(s);
	if (s->habits.windows > 0 && dice_chance(&s->dice, 150))
		return places_act(s);
	if (n < 15) {
		int class_ = (int)dice_below(&s->dice, CLASSES);
		return anchor_in_force(s, class_ % VENDORS) < 0 ? add_anchor(s, class_ % VENDORS)
								: add_release(s, class_);
	}
	if (n < 30)
		return add_rollout(s);
	if (n < 65)
		return start_one(s);
	if (n < 94)
		return tend(s);
	return n < 98 ? withdraw(s) : revoke(s);
}

/* What they got: into the oracle's model, before it looks at the rows. */
void people_heard(struct sim *s, const struct said *said, const struct heard *h)
{
	struct o_model *m = s->oracle.now;

	if (h->status >= 300)
		return;
	places_heard(s, said, h);
	operators_heard(s, said, h);
	if (said->command == COMMAND_WITHDRAW || said->command == COMMAND_FLOOR) {
		struct o_release *r = &m->release[said->ref];
		r->withdrawn = true;
		if (said->command == COMMAND_FLOOR && m->class_floor[r->class_] <= r->sequence)
			m->class_floor[r->class_] = r->sequence + 1;
	}
	if (said->command == COMMAND_REVOKE)
		m->anchor[said->ref].revoked = true;
	if (said->command == COMMAND_ROLLOUT) {
		s->made.id = id_of(h);
		m->rollout[m->n_rollouts++] = s->made;
	}
}
