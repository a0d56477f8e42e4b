/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tracker/calls.h"
#include "tracker/internal.h"

/* ---- idempotence of what devices say ---- */

#define WINDOW 64

static int note_counter(struct boot_record *b, uint64_t counter, struct err *e)
{
	if (counter > b->high) {
		uint64_t shift = counter - b->high;
		b->window = shift >= WINDOW ? 1 : b->window << shift | 1;
		b->high = counter;
		return 1;
	}
	uint64_t back = b->high - counter;
	if (back >= WINDOW)
		return err_set(e, ERR_CONFLICT,
			       "counter %" PRIu64 " is too far below %" PRIu64
			       " to tell whether it is new",
			       counter, b->high);
	uint64_t bit = UINT64_C(1) << back;
	if (b->window & bit)
		return 0;
	b->window |= bit;
	return 1;
}

int registry_dedup(struct device_live *l, uint64_t boot, uint64_t counter, struct err *e)
{
	for (int i = 0; i < l->n_boots; i++)
		if (l->boots[i].boot == boot)
			return note_counter(&l->boots[i], counter, e);
	if (l->n_boots < BOOTS_KEPT)
		l->n_boots++;
	memmove(&l->boots[1], &l->boots[0], (size_t)(l->n_boots - 1) * sizeof(l->boots[0]));
	l->boots[0] = (struct boot_record){ .boot = boot, .high = counter, .window = 1 };
	l->boot = boot;
	return 1;
}

bool registry_later_boot(const struct device_live *l, uint64_t boot, uint64_t than)
{
	if (boot == than)
		return false;
	for (int i = 0; i < l->n_boots; i++) { /* the newest first */
		if (l->boots[i].boot == boot)
			return true;
		if (l->boots[i].boot == than)
			return false;
	}
	return true;
}

/* ---- assigned and reported ---- */

/*
 * What enrolment left open the device fills once. After that a differing report
 * changes nothing: it is held, to be shown.
 */
struct pins {
	struct device *d;
	bool changed;
	char held[REASON_TEXT];
};

static void hold(struct pins *p, const char *what, const char *reported)
{
	char text[REASON_TEXT];

	cause_format(text, sizeof(text), "%s%s%s %s reported", p->held, p->held[0] ? ", " : "",
		     what, reported);
	cause_copy(p->held, sizeof(p->held), text);
}

static void pin_text(struct pins *p, const char *what, char *assigned, const char *reported)
{
	if (reported[0] == '\0' || strcmp(assigned, reported) == 0)
		return;
	if (assigned[0] == '\0') {
		text_copy(assigned, NAME_TEXT, reported);
		p->changed = true;
	} else {
		hold(p, what, reported);
	}
}

static void pin_uuid(struct pins *p, const char *what, struct uuid *assigned,
		     const struct uuid *reported)
{
	char text[UUID_TEXT];

	if (!reported->set)
		return;
	if (!assigned->set) {
		*assigned = *reported;
		p->changed = true;
	} else if (memcmp(assigned->b, reported->b, UUID_SIZE) != 0) {
		uuid_text(text, reported);
		hold(p, what, text);
	}
}

/* Fixed at registration. Who says nothing is as its class is, or asks by itself. */
static void pin_mode(struct pins *p, const struct policy *policy, enum mode reported)
{
	struct device *d = p->d;
	const struct policy_class *c = policy_class_of(policy, &d->class_id, d->model);

	if (d->mode == MODE_UNSET) {
		d->mode = reported != MODE_UNSET ? reported : c ? c->mode : MODE_UNSET;
		if (d->mode == MODE_UNSET)
			d->mode = MODE_CLIENT;
		p->changed = true;
	} else if (reported != MODE_UNSET && reported != d->mode) {
		hold(p, "mode", mode_word(reported));
	}
}

static bool pin_all(const struct policy *policy, struct device *d, const struct registration *r)
{
	struct pins p = { .d = d };

	pin_uuid(&p, "vendor_id", &d->vendor_id, &r->vendor_id);
	pin_uuid(&p, "class_id", &d->class_id, &r->class_id);
	pin_text(&p, "manufacturer", d->manufacturer, r->manufacturer);
	pin_text(&p, "model", d->model, r->model);
	pin_text(&p, "parent", d->parent, r->parent);
	pin_mode(&p, policy, r->mode); /* by then its class is known */
	if (!d->registered) {
		d->registered = true;
		p.changed = true;
	}
	/* what it can do may be another thing after an update: its last word counts */
	if (r->has_capabilities && strcmp(d->capabilities, r->capabilities) != 0) {
		text_copy(d->capabilities, sizeof(d->capabilities), r->capabilities);
		p.changed = true;
	}
	if (strcmp(d->held, p.held) != 0) {
		text_copy(d->held, sizeof(d->held), p.held);
		p.changed = true;
	}
	return p.changed;
}

static int keep_device(struct tracker *tk, struct device *d, const struct registration *r,
		       bool *created, struct err *e)
{
	bool placed = d->parent[0] != '\0';
	bool changed = pin_all(tk->policy, d, r);

	placed = !placed && d->parent[0];
	*created = d->dev == 0;
	if (!*created && !changed)
		return 0;
	d->changed = tk->now.wall;
	if (!*created && store_device_put(tk->st, d, e) < 0)
		return -1;
	if (!*created)
		return placed ? outage_moved(tk, d, e) : 0;
	d->created = tk->now.wall;
	d->held_back = tk->policy->first_contact == FIRST_HOLD;
	if (store_device_add(tk->st, d, e) < 0 || outage_moved(tk, d, e) < 0)
		return -1;
	return audit_note(tk, "device.first-contact", d->id, e, "mode %s%s", mode_word(d->mode),
			  d->held_back ? ", held back" : "");
}

static bool says(const struct registration *r, const char *name)
{
	for (int i = 0; i < r->n_attributes; i++)
		if (strcmp(r->attributes[i].name, name) == 0)
			return true;
	return false;
}

/* What it does not say now makes room. */
static int drop_unsaid(struct tracker *tk, int64_t dev, const struct registration *r, struct err *e)
{
	char(*names)[NAME_TEXT] = arena_alloc(tk->a, sizeof(*names) * STORE_ATTRIBUTES_MAX);
	struct filter_value *v = arena_alloc(tk->a, sizeof(*v) * STORE_ATTRIBUTES_MAX);

	if (!names || !v)
		return err_set(e, ERR_NO_MEMORY, "no memory for the attributes");
	int n = store_attr_list(tk->st, dev, true, STORE_ATTRIBUTES_MAX, names, v, e);
	for (int i = 0; i < n; i++)
		if (!says(r, names[i]) && store_attr_put(tk->st, dev, true, names[i], NULL, e) < 0)
			return -1;
	return n < 0 ? -1 : 0;
}

static int keep_attribute(struct tracker *tk, int64_t dev, const struct registration *r, int i,
			  struct err *e)
{
	const char *name = r->attributes[i].name;
	const struct filter_value *v = &r->attributes[i].v;
	struct err why = { .code = ERR_NONE };

	if (store_attr_put(tk->st, dev, true, name, v, &why) == 0)
		return 0;
	if (why.code == ERR_TOO_MANY)
		return drop_unsaid(tk, dev, r, e) < 0
			       ? -1
			       : store_attr_put(tk->st, dev, true, name, v, e);
	return err_set(e, why.code, "%s", why.text);
}

static int keep_attributes(struct tracker *tk, int64_t dev, const struct registration *r,
			   struct err *e)
{
	for (int i = 0; i < r->n_attributes; i++)
		if (keep_attribute(tk, dev, r, i, e) < 0)
			return -1;
	return 0;
}

int registry_live(struct tracker *tk, int64_t dev, struct device_live *out, struct err *e)
{
	if (store_live_get(tk->st, dev, out, e) < 0)
		return -1;
	if (out->n_boots == 0 && out->track_seen == 0)
		out->battery = out->free_flash = out->free_ram = -1;
	out->dev = dev;
	return 0;
}

void registry_status(struct device_live *l, const struct device_live *reported, int64_t now)
{
	l->status_at = now > 0 ? now : 1;
	text_copy(l->service, sizeof(l->service), reported->service);
	l->service_until = reported->service_until;
	l->battery = reported->battery;
	l->free_flash = reported->free_flash;
	l->free_ram = reported->free_ram;
}

int registry_components(struct tracker *tk, const struct device *d, const struct component *c,
			int n, struct err *e)
{
	uint64_t sequence = 0;

	if (n < 0)
		return 0;
	if (store_components_put(tk->st, d->dev, c, n, NULL, e) < 0)
		return -1;
	if (!installed_sequence(c, n, &sequence) || (d->has_floor && sequence <= d->floor_sequence))
		return 0;
	return store_device_floor(tk->st, d->dev, sequence, e);
}

int64_t registry_ask_again(const struct tracker *tk, const struct device *d, const struct update *u)
{
	int64_t interval = policy_contact_s(tk->policy, d);

	if (u && tk->policy->strategy[u->urgency].contact_interval_s < interval)
		interval = tk->policy->strategy[u->urgency].contact_interval_s;
	return policy_spread_s(interval, d->dev, tk->now.wall);
}

static int ask_again(struct tracker *tk, const struct device *d, int64_t *out, struct err *e)
{
	struct update u;
	int found = store_update_open(tk->st, d->dev, &u, e);

	*out = registry_ask_again(tk, d, found > 0 ? &u : NULL);
	return found < 0 ? -1 : 0;
}

/* They may only narrow, so they need nobody's leave; a change of them may open or close at once. */
static int keep_windows(struct tracker *tk, int64_t dev, const struct registration *r,
			struct err *e)
{
	struct window own[WINDOWS_EACH];
	bool changed;

	if (!r->has_windows)
		return 0;
	memcpy(own, r->windows, sizeof(own));
	for (int i = 0; i < r->n_windows; i++) {
		own[i].created = tk->now.wall;
		text_copy(own[i].by, sizeof(own[i].by), tk->who);
	}
	return store_window_report(tk->st, dev, own, r->n_windows, &changed, e);
}

/* What holds of the device now: not told by an older boot's words that come late. */
static int keep_current(struct tracker *tk, struct device *d, const struct registration *r,
			struct err *e)
{
	if (keep_attributes(tk, d->dev, r, e) < 0 || keep_windows(tk, d->dev, r, e) < 0 ||
	    registry_components(tk, d, r->components, r->n_components, e) < 0)
		return -1;
	return installed_conclude(tk, d, r->boot, r->components, r->n_components,
				  "registration after a restart", e);
}

int registry_register(struct tracker *tk, struct device *d, const struct registration *r,
		      const struct evidence *ev, bool *created, int64_t *ask_again_s, struct err *e)
{
	struct device_live live = { .battery = -1, .free_flash = -1, .free_ram = -1 };

	*created = false;
	if (d->dev > 0 && registry_live(tk, d->dev, &live, e) < 0)
		return -1;
	int fresh = registry_dedup(&live, r->boot, r->counter, e);
	if (fresh <= 0)
		return fresh < 0 ? -1 : ask_again(tk, d, ask_again_s, e);
	if (keep_device(tk, d, r, created, e) < 0)
		return -1;
	bool current = live.boot == r->boot;
	live.dev = d->dev;
	live.last_seen = tk->now.wall;
	live.track_seen = tk->now.track;
	if (ev)
		memcpy(live.ip, ev->ip, sizeof(live.ip));
	if (current && r->has_port)
		live.endpoint_port = r->port;
	if (current) {
		registry_status(&live, &r->status, tk->now.track);
		if (!r->has_status)
			live.status_at = 0;
	}
	if (store_live_put(tk->st, &live, e) < 0 || (current && keep_current(tk, d, r, e) < 0) ||
	    (current && rollout_join_late(tk, d->dev, e) < 0))
		return -1;
	/* who cannot be called has no row of calls */
	if (call_possible(d, &live) && call_contact(tk, d, true, e) < 0)
		return -1;
	return ask_again(tk, d, ask_again_s, e);
}
