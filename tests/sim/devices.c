/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sim.h"

/* What operators do with devices: they edit, shut out and remove them, and enrol them again. */

static int ask(struct sim *s, struct said *said, enum method m, const char *json)
{
	char path[96] = "/api/v1/devices";
	struct heard h;

	said->what = HAPPENS_COMMAND;
	said->dev = -1;
	if (m != METHOD_POST)
		snprintf(path, sizeof(path), "/api/v1/devices/%s", s->device[said->ref].id);
	return sim_happen(s, said,
			  &(struct ask_of){ .dev = -1, .method = m, .path = path, .json = json },
			  &h);
}

/* ---- members ---- */

static void put_parent(struct sim *s, int dev, char *json, size_t cap)
{
	struct o_device *d = &s->edited;

	d->parent = dev >= 4 && dice_chance(&s->dice, 700) ? (int)dice_below(&s->dice, 4) : -1;
	if (d->parent >= 0)
		snprintf(json, cap, "{\"parent\":\"%s\"}", s->device[d->parent].id);
	else
		snprintf(json, cap, "{\"parent\":null}");
}

static void put_tags(struct sim *s, int dev, char *json, size_t cap)
{
	unsigned tags = (unsigned)dice_below(&s->dice, 1u << O_TAGS);

	(void)dev;
	s->edited.tags = tags;
	snprintf(json, cap, "{\"tags\":[%s%s%s]}", tags & 1 ? "\"red\"" : "", tags == 3 ? "," : "",
		 tags & 2 ? "\"blue\"" : "");
}

static void put_disabled(struct sim *s, int dev, char *json, size_t cap)
{
	(void)dev;
	s->edited.disabled = !s->edited.disabled;
	snprintf(json, cap, "{\"disabled\":%s}", s->edited.disabled ? "true" : "false");
}

/* null: its next registration says which one it is. */
static void put_mode(struct sim *s, int dev, char *json, size_t cap)
{
	enum mode mode = (enum mode)dice_below(&s->dice, 4);

	(void)dev;
	s->edited.mode = mode;
	if (mode == MODE_UNSET)
		snprintf(json, cap, "{\"mode\":null}");
	else
		snprintf(json, cap, "{\"mode\":\"%s\"}", mode_word(mode));
}

static void class_members(const struct sim *s, int class_, char *dst, size_t cap)
{
	char vendor[UUID_TEXT], id[UUID_TEXT];

	uuid_text(vendor, &s->vendor_id[class_ % VENDORS]);
	uuid_text(id, &s->class_id[class_]);
	snprintf(dst, cap, "\"vendor_id\":\"%s\",\"class_id\":\"%s\",\"model\":\"%s\"", vendor, id,
		 sim_models[class_]);
}

static void put_class(struct sim *s, int dev, char *json, size_t cap)
{
	char members[200];

	(void)dev;
	s->edited.class_ = (int)dice_below(&s->dice, CLASSES);
	class_members(s, s->edited.class_, members, sizeof(members));
	snprintf(json, cap, "{%s}", members);
}

void devices_put_enrolment(struct sim *s, int dev, const struct o_device *as, char *json,
			   size_t cap)
{
	char members[200], parent[64] = "";

	class_members(s, as->class_, members, sizeof(members));
	if (as->parent >= 0)
		snprintf(parent, sizeof(parent), ",\"parent\":\"%s\"", s->device[as->parent].id);
	snprintf(json, cap, "{\"id\":\"%s\",\"auth\":\"none\",\"mode\":\"%s\",%s%s}",
		 s->device[dev].id, mode_word(as->mode), members, parent);
}

/* ---- what they do ---- */

static int enrol(struct sim *s, int dev)
{
	struct said said = { .command = COMMAND_ENROL, .ref = dev };
	char json[SIM_BODY];

	s->edited = (struct o_device){
		.class_ = (int)dice_below(&s->dice, CLASSES),
		.parent =
			dev >= 4 && dice_chance(&s->dice, 600) ? (int)dice_below(&s->dice, 4) : -1,
		.mode = (enum mode)dice_range(&s->dice, MODE_CLIENT, MODE_NEGOTIATED),
		.flash = -1
	};
	devices_put_enrolment(s, dev, &s->edited, json, sizeof(json));
	return ask(s, &said, METHOD_POST, json);
}

/* Mostly one of the last that have an update which runs: there it matters. */
static int whom(struct sim *s)
{
	const struct o_model *m = s->oracle.now;

	for (int i = m->n_updates - 1; i >= 0 && dice_chance(&s->dice, 950); i--)
		if (oracle_flies(m->update[i].state))
			return m->update[i].dev;
	return (int)dice_below(&s->dice, (uint64_t)s->n_devices);
}

static int edit(struct sim *s, int dev, void (*put)(struct sim *s, int dev, char *json, size_t cap))
{
	struct said said = { .command = COMMAND_DEVICE, .ref = dev };
	char json[320];

	if (s->oracle.now->device[dev].gone)
		return enrol(s, dev);
	s->edited = s->oracle.now->device[dev];
	put(s, dev, json, sizeof(json));
	return ask(s, &said, METHOD_PATCH, json);
}

int devices_act(struct sim *s)
{
	static void (*const puts[])(struct sim * s, int dev, char *json,
				    size_t cap) = { put_disabled, put_tags, put_parent, put_mode,
						    put_class };
	size_t which = dice_below(&s->dice, 6);
	struct said said = { .command = COMMAND_REMOVE };
	int dev = which < 3 ? (int)dice_below(&s->dice, (uint64_t)s->n_devices) : whom(s);

	if (which < 5)
		return edit(s, dev, puts[which]);
	if (s->oracle.now->device[dev].gone)
		return enrol(s, dev);
	said.ref = dev;
	return ask(s, &said, METHOD_DELETE, NULL);
}

/* Whoever was shut out or removed is let in again at last. */
int devices_let_in(struct sim *s)
{
	struct said said = { .command = COMMAND_DEVICE };

	for (int i = 0; i < s->n_devices; i++) {
		if (s->oracle.now->device[i].gone)
			return enrol(s, i);
		if (!s->oracle.now->device[i].disabled)
			continue;
		said.ref = i;
		s->edited = s->oracle.now->device[i];
		s->edited.disabled = false;
		return ask(s, &said, METHOD_PATCH, "{\"disabled\":false}");
	}
	return devices_act(s);
}

/* ---- what they got ---- */

/* The device is set up anew: most of the time as the server has it now. */
static void follow(struct sim *s, int dev, const struct o_device *d)
{
	struct virtual_device *v = &s->device[dev];

	if (d->mode != MODE_UNSET && dice_chance(&s->dice, 700))
		v->mode = d->mode;
	v->class_ = d->class_;
	v->waiting = false;
	v->stage = STAGE_NEW;
	v->next_at = s->server.now.track + 1000 * dice_range(&s->dice, 1, 600);
}

void devices_heard(struct sim *s, const struct said *said)
{
	struct o_model *m = s->oracle.now;
	struct device row;

	if (said->command == COMMAND_DEVICE) {
		oracle_edited(&s->oracle, said->ref, &s->edited);
		if (m->device[said->ref].mode != s->device[said->ref].mode)
			follow(s, said->ref, &s->edited);
	}
	if (said->command == COMMAND_REMOVE)
		oracle_removed(&s->oracle, said->ref);
	if (said->command != COMMAND_ENROL)
		return;
	if (store_device_get(s->server.st, s->device[said->ref].id, &row, NULL) == 1)
		s->edited.row = row.dev;
	oracle_edited(&s->oracle, said->ref, &s->edited);
	follow(s, said->ref, &s->edited);
}
