/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <string.h>

#include "tracker/internal.h"
#include "tracker/urgency.h"

static void add_text(struct urgency_facts *f, struct slice text)
{
	if (text.n > 0 && f->n_texts < URGENCY_TEXTS_MAX)
		f->texts[f->n_texts++] = text;
}

/* All it says to people; what a row keeps of it is cut. */
static void find_texts(struct slice bytes, const struct manifest *m, struct suit_manifest *s,
		       struct urgency_facts *f)
{
	if (strcmp(m->format, "suit") != 0 || suit_open(bytes, s, NULL) < 0 ||
	    suit_parse(bytes, s, NULL) < 0) {
		add_text(f, slice_str(m->text));
		return;
	}
	add_text(f, s->text.update_description);
	add_text(f, s->text.description);
	add_text(f, s->text.component_description);
	add_text(f, s->text.model_info);
}

int release_judge(struct tracker *tk, const struct policy *p, const struct manifest *m,
		  const struct manifest_image *images, int n_images, struct slice bytes,
		  struct urgency_verdict *out, struct err *e)
{
	struct suit_manifest *s = arena_alloc(tk->a, sizeof(*s));
	struct release before = { .version = "" };
	struct urgency_facts f = { .has_priority = m->has_priority,
				   .priority = m->priority,
				   .stated = m->urgency,
				   .manufacturer = m->manufacturer,
				   .model = m->model,
				   .vendor_id = m->vendor_id,
				   .class_id = m->class_id,
				   .version = m->version,
				   .images = images,
				   .n_images = n_images };

	if (!s)
		return err_set(e, ERR_NO_MEMORY, "no memory for the manifest");
	if (store_release_before(tk->st, m, &before, e) < 0)
		return -1;
	f.before = before.version;
	find_texts(bytes, m, s, &f);
	urgency_judge(p, &f, out);
	return 0;
}
