/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim.h"

/* When and where: windows, black-outs and groups of the operators, and what devices say of both. */

/* ---- windows ---- */

static const struct {
	const char *name;
	int east;
} zones[] = { { "UTC", 0 }, { "Asia/Kolkata", 330 }, { "America/Phoenix", -420 } };

static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

static void draw_window(struct sim *s, struct o_window *w, char *text, size_t cap)
{
	struct buf b = BUF_INIT(256);
	size_t zone = dice_below(&s->dice, sizeof(zones) / sizeof(zones[0]));

	w->east = zones[zone].east;
	w->from = 5 * (int)dice_below(&s->dice, 288);
	/* long ones more often, so that a few of them leave some time open */
	int minutes = (int)dice_range(&s->dice, 1, 10) * (dice_chance(&s->dice, 250) ? 7 : 120);
	w->until = (w->from + minutes) % 1440;
	w->days = dice_chance(&s->dice, 700) ? 127 : (unsigned)dice_range(&s->dice, 1, 127);
	if (w->days == 127)
		buf_add_str(&b, "daily");
	for (int i = 0; i < 7 && w->days != 127; i++)
		if (w->days >> i & 1)
			buf_printf(&b, "%s%s", b.n ? "," : "", days[i]);
	buf_printf(&b, " %02d:%02d-%02d:%02d %s", w->from / 60, w->from % 60, w->until / 60,
		   w->until % 60, zones[zone].name);
	text_copy(text, cap, buf_cstr(&b));
	buf_free(&b);
}

static int64_t first_id(const struct doc *d)
{
	const struct doc *list = doc_get(d, "items");
	const struct doc *id =
		list && list->type == DOC_ARRAY ? doc_get(list->v.c.first, "id") : NULL;

	return id && id->type == DOC_INT ? id->v.i : 0;
}

static int command(struct sim *s, enum command c, int ref, enum method m, const char *path,
		   const char *json, struct heard *h)
{
	struct said said = { .what = HAPPENS_COMMAND, .dev = -1, .command = c, .ref = ref };

	return sim_happen(s, &said,
			  &(struct ask_of){ .dev = -1, .method = m, .path = path, .json = json },
			  h);
}

/* Of what, by its name. */
static bool aim(struct sim *s, struct o_window *w, char ref[24])
{
	const struct o_model *m = s->oracle.now;

	w->level = (enum window_level)dice_below(&s->dice, WINDOW_LEVEL_COUNT);
	switch (w->level) {
	case WINDOW_DEVICE:
		w->ref = (int)dice_below(&s->dice, (uint64_t)s->n_devices);
		text_copy(ref, 24, s->device[w->ref].id);
		return true;
	case WINDOW_GROUP:
		w->ref = (int)dice_below(&s->dice, O_GROUPS);
		text_format(ref, 24, "g%d", w->ref);
		return true;
	case WINDOW_CLASS:
		w->ref = (int)dice_below(&s->dice, CLASSES);
		text_copy(ref, 24, sim_models[w->ref]);
		return true;
	case WINDOW_ROLLOUT:
		if (m->n_rollouts == 0)
			return false;
		w->ref = m->n_rollouts - 1 -
			 (int)dice_below(&s->dice, m->n_rollouts < 6 ? (uint64_t)m->n_rollouts : 6);
		text_format(ref, 24, "r%d", w->ref);
		return true;
	case WINDOW_LEVEL_COUNT:
		break;
	}
	return false;
}

static int add_window(struct sim *s, int at)
{
	struct o_window w = { .blackout = dice_chance(&s->dice, 350) };
	char ref[24], text[128], json[320];
	struct heard h;

	if (!aim(s, &w, ref))
		return 0;
	draw_window(s, &w, text, sizeof(text));
	snprintf(json, sizeof(json),
		 "{\"level\":\"%s\",\"ref\":\"%s\",\"window\":\"%s\",\"blackout\":%s}",
		 window_level_word(w.level), ref, text, w.blackout ? "true" : "false");
	s->drawn = w;
	return command(s, COMMAND_WINDOW, at, METHOD_POST, "/api/v1/windows", json, &h);
}

static int remove_window(struct sim *s, int at)
{
	char path[64];
	struct heard h;

	snprintf(path, sizeof(path), "/api/v1/windows/%" PRId64, s->oracle.now->window[at].id);
	return command(s, COMMAND_UNWINDOW, at, METHOD_DELETE, path, NULL, &h);
}

int places_act(struct sim *s)
{
	const struct o_model *m = s->oracle.now;
	int n = 0, at = (int)dice_below(&s->dice, O_WINDOWS);

	for (int i = 0; i < O_WINDOWS; i++)
		n += m->window[i].id != 0;
	if (n > 0 && dice_chance(&s->dice, (unsigned)n * 1000 / (unsigned)s->habits.windows)) {
		while (m->window[at].id == 0)
			at = (at + 1) % O_WINDOWS;
		return remove_window(s, at);
	}
	while (m->window[at].id != 0)
		at = (at + 1) % O_WINDOWS;
	return add_window(s, at);
}

void places_heard(struct sim *s, const struct said *said, const struct heard *h)
{
	struct o_model *m = s->oracle.now;

	if (said->command == COMMAND_WINDOW) {
		m->window[said->ref] = s->drawn;
		m->window[said->ref].id = first_id(h->doc);
	}
	if (said->command == COMMAND_UNWINDOW)
		m->window[said->ref].id = 0;
}

int places_begin(struct sim *s)
{
	char path[64], json[64];
	struct heard h;

	for (int g = 0; g < O_GROUPS; g++) {
		snprintf(json, sizeof(json), "{\"name\":\"g%d\"}", g);
		if (command(s, COMMAND_OTHER, 0, METHOD_POST, "/api/v1/groups", json, &h) != 0)
			return -1;
		for (int i = 0; i < s->n_devices; i++) {
			if (!dice_chance(&s->dice, 300))
				continue;
			snprintf(path, sizeof(path), "/api/v1/groups/g%d/devices/%s", g,
				 s->device[i].id);
			if (command(s, COMMAND_OTHER, 0, METHOD_PUT, path, NULL, &h) != 0 ||
			    h.status >= 300)
				return -1;
			s->oracle.now->device[i].groups |= 1u << g;
		}
	}
	return 0;
}

/* ---- of a rollout ---- */

void places_put_limits(struct sim *s, struct o_rollout *r, struct buf *json)
{
	if (dice_chance(&s->dice, 400)) {
		r->order = dice_chance(&s->dice, 500) ? ORDER_LEAF_FIRST : ORDER_CORE_FIRST;
		buf_printf(json, ",\"order\":\"%s\"", update_order_word(r->order));
	}
	r->focus = dice_chance(&s->dice, 150);
	r->force = dice_chance(&s->dice, 200);
	buf_printf(json, ",\"focus\":%s,\"force\":%s", r->focus ? "true" : "false",
		   r->force ? "true" : "false");
}

void places_pad_image(struct sim *s, char *image, int n, size_t cap)
{
	int64_t size =
		dice_chance(&s->dice, 400) ? dice_range(&s->dice, 1000, (int64_t)cap - 1) : n;

	memset(image + n, '.', (size_t)(size - n));
	image[size] = '\0';
}

/* ---- what devices say ---- */

void places_put_status(struct sim *s, struct said *said, char *dst, size_t cap)
{
	const struct virtual_device *d = &s->device[said->dev];
	char service[32] = "", flash[40] = "";

	dst[0] = '\0';
	said->flash = -1;
	if (!d->tells_status || dice_chance(&s->dice, 300))
		return;
	said->has_status = true;
	places_draw_service(s, said->service, &said->flash);
	if (said->service[0])
		snprintf(service, sizeof(service), "\"service\":\"%s\"", said->service);
	if (said->flash >= 0)
		snprintf(flash, sizeof(flash), "%s\"free_flash\":%" PRId64, service[0] ? "," : "",
			 said->flash);
	snprintf(dst, cap, ",\"status\":{%s%s}", service, flash);
}

void places_draw_service(struct sim *s, char service[12], int64_t *flash)
{
	uint64_t n = dice_below(&s->dice, 100);

	text_copy(service, 12, n < 55 ? "idle" : n < 80 ? "busy" : n < 92 ? "critical" : "");
	*flash = dice_chance(&s->dice, 100)   ? dice_range(&s->dice, 0, 2000)
		 : dice_chance(&s->dice, 500) ? 10000
					      : -1;
}

/* Its own windows: now and then others, or none. */
void places_put_own(struct sim *s, struct said *said, char *dst, size_t cap)
{
	const struct virtual_device *d = &s->device[said->dev];
	char text[128];

	dst[0] = '\0';
	if (!d->tells_windows || dice_chance(&s->dice, 700))
		return;
	said->has_own = true;
	if (dice_chance(&s->dice, 400)) {
		snprintf(dst, cap, ",\"windows\":[]");
		return;
	}
	said->own =
		(struct o_window){ .id = 1, .level = WINDOW_DEVICE, .ref = said->dev, .own = true };
	draw_window(s, &said->own, text, sizeof(text));
	snprintf(dst, cap, ",\"windows\":[\"%s\"]", text);
}
