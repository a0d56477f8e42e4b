/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "store/sql.h"

/*
 * A filter as SQL. Every leaf is plainly true or false, never NULL: what a
 * device does not have compares false, != is the opposite of ==, so that "not"
 * means what it says. Values only travel as parameters.
 */

static const char *const cmp_text[] = {
	[CMP_EQ] = "=",	 [CMP_NE] = "=", [CMP_LT] = "<",
	[CMP_LE] = "<=", [CMP_GT] = ">", [CMP_GE] = ">=",
};

/* How a field is looked up: before, the column compared, behind. */
struct look {
	const char *before, *column, *number_column, *behind;
	bool sub; /* before ends in "= ", the sub-name follows */
	bool uuid;
};

static const struct look looks[FIELD_COUNT] = {
	[FIELD_ID] = { "", "d.id", NULL, "", false, false },
	[FIELD_MANUFACTURER] = { "", "d.manufacturer", NULL, "", false, false },
	[FIELD_MODEL] = { "", "d.model", NULL, "", false, false },
	[FIELD_VENDOR] = { "d.vendor_id IS NOT NULL AND ", "d.vendor_id", NULL, "", false, true },
	[FIELD_CLASS] = { "d.class_id IS NOT NULL AND ", "d.class_id", NULL, "", false, true },
	[FIELD_MODE] = { "", "d.mode", NULL, "", false, false },
	[FIELD_PARENT] = { "", "d.parent", NULL, "", false, false },
	[FIELD_TAG] = { "EXISTS (SELECT 1 FROM device_tags t WHERE t.dev = d.dev AND ", "t.tag",
			NULL, ")", false, false },
	[FIELD_GROUP] = { "EXISTS (SELECT 1 FROM group_members m "
			  "JOIN device_groups g ON g.id = m.grp "
			  "WHERE m.dev = d.dev AND ",
			  "g.name", NULL, ")", false, false },
	[FIELD_VERSION] = { "EXISTS (SELECT 1 FROM device_components c WHERE c.dev = d.dev AND "
			    "c.name = ",
			    "c.version", NULL, ")", true, false },
	[FIELD_ATTR] = { "EXISTS (SELECT 1 FROM device_attributes a WHERE a.dev = d.dev AND "
			 "a.reported = 0 AND a.name = ",
			 "a.text", "a.number", ")", true, false },
	[FIELD_REPORTED] = { "EXISTS (SELECT 1 FROM device_attributes a WHERE a.dev = d.dev AND "
			     "a.reported = 1 AND a.name = ",
			     "a.text", "a.number", ")", true, false },
	[FIELD_STATE] = { "EXISTS (SELECT 1 FROM updates u WHERE u.id = (SELECT max(v.id) "
			  "FROM updates v WHERE v.dev = d.dev) AND ",
			  "u.state", NULL, ")", false, false },
};

/* version without a name is component 0's. */
static const struct look look_version_first = {
	"EXISTS (SELECT 1 FROM device_components c WHERE c.dev = d.dev AND c.n = 0 AND ",
	"c.version",
	NULL,
	")",
	false,
	false
};

static const struct look *look_of(const struct filter *x)
{
	if (x->field == FIELD_VERSION && !x->sub[0])
		return &look_version_first;
	return &looks[x->field];
}

static int too_large(struct err *e)
{
	return err_set(e, ERR_TOO_LARGE, "the filter has more than %d values", FILTER_VALUES);
}

static int param(struct filter_sql *f, const struct filter_value *v, const struct look *l,
		 struct err *e)
{
	if (f->n_values == FILTER_VALUES)
		return too_large(e);
	f->values[f->n_values++] = (struct filter_value_ref){
		.v = v, .as_uuid = l->uuid, .as_number = v->is_number && l->number_column
	};
	buf_printf(&f->text, "$%d", ++f->param);
	return 0;
}

static int sub_name(struct filter_sql *f, const struct filter *x, struct err *e)
{
	if (f->n_values == FILTER_VALUES)
		return too_large(e);
	f->values[f->n_values++] = (struct filter_value_ref){ .sub = x->sub };
	buf_printf(&f->text, "$%d AND ", ++f->param);
	return 0;
}

/* column IN (its numbers, or its texts); nothing when there are none. */
static int in_list(struct filter_sql *f, const struct filter *x, const struct look *l, bool numbers,
		   bool *any, struct err *e)
{
	const char *column = numbers ? l->number_column : l->column;
	bool first = true;

	for (uint32_t i = 0; i < x->n; i++) {
		if ((x->values[i].is_number && l->number_column) != numbers)
			continue;
		if (first)
			buf_printf(&f->text, "%s%s IN (", *any ? " OR " : "", column);
		else
			buf_add_str(&f->text, ", ");
		if (param(f, &x->values[i], l, e) != 0)
			return -1;
		first = false;
	}
	if (!first) {
		buf_add_str(&f->text, ")");
		*any = true;
	}
	return 0;
}

static int in(struct filter_sql *f, const struct filter *x, const struct look *l, struct err *e)
{
	bool any = false;

	buf_add_str(&f->text, "(");
	if (in_list(f, x, l, false, &any, e) != 0)
		return -1;
	if (l->number_column && in_list(f, x, l, true, &any, e) != 0)
		return -1;
	buf_add_str(&f->text, any ? ")" : "1 = 0)");
	return 0;
}

static int compare(struct filter_sql *f, const struct filter *x, const struct look *l,
		   struct err *e)
{
	bool number = x->n == 1 && x->values[0].is_number && l->number_column;

	if (x->n != 1 || (unsigned)x->cmp > CMP_GE)
		return err_set(e, ERR_INTERNAL, "a comparison without its value");
	buf_printf(&f->text, "%s %s ", number ? l->number_column : l->column, cmp_text[x->cmp]);
	return param(f, &x->values[0], l, e);
}

static int leaf(struct filter_sql *f, const struct filter *x, struct err *e)
{
	const struct look *l;

	if ((unsigned)x->field >= FIELD_COUNT)
		return err_set(e, ERR_INTERNAL, "a filter names no field");
	l = look_of(x);
	buf_printf(&f->text, "%s(%s", x->op == FILTER_COMPARE && x->cmp == CMP_NE ? "(NOT " : "(",
		   l->before);
	if (l->sub && sub_name(f, x, e) != 0)
		return -1;
	if ((x->op == FILTER_IN ? in(f, x, l, e) : compare(f, x, l, e)) != 0)
		return -1;
	buf_printf(&f->text, "%s))", l->behind);
	return 0;
}

static int node(struct filter_sql *f, const struct filter *x, int depth, struct err *e)
{
	if (!x || depth > FILTER_DEPTH || ++f->nodes > FILTER_NODES)
		return err_set(e, ERR_TOO_LARGE, "the filter is too large");
	switch (x->op) {
	case FILTER_ALL:
		buf_add_str(&f->text, "(1 = 1)");
		return 0;
	case FILTER_NOT:
		buf_add_str(&f->text, "(NOT ");
		if (node(f, x->left, depth + 1, e) != 0)
			return -1;
		buf_add_str(&f->text, ")");
		return 0;
	case FILTER_AND:
	case FILTER_OR:
		buf_add_str(&f->text, "(");
		if (node(f, x->left, depth + 1, e) != 0)
			return -1;
		buf_add_str(&f->text, x->op == FILTER_AND ? " AND " : " OR ");
		if (node(f, x->right, depth + 1, e) != 0)
			return -1;
		buf_add_str(&f->text, ")");
		return 0;
	case FILTER_COMPARE:
	case FILTER_IN:
		return leaf(f, x, e);
	}
	return err_set(e, ERR_INTERNAL, "a filter with an unknown operator");
}

int filter_sql_where(struct filter_sql *f, const struct filter *filter, struct err *e)
{
	return node(f, filter, 1, e);
}

static void bind(struct filter_value_ref *r, struct sql *q)
{
	struct uuid u;

	if (r->sub) {
		sql_text(q, r->sub);
	} else if (r->as_number) {
		sql_int(q, r->v->number);
	} else if (r->as_uuid) {
		/* what is no UUID is no vendor: the empty blob equals none */
		u = (struct uuid){ 0 };
		if (uuid_parse(&u, slice_str(r->v->text)) != 0)
			u.set = false;
		memcpy(r->bytes, u.b, sizeof(r->bytes));
		sql_blob(q, r->bytes, u.set ? sizeof(r->bytes) : 0);
	} else if (r->v->is_number) {
		snprintf(r->number, sizeof(r->number), "%" PRId64, r->v->number);
		sql_text(q, r->number);
	} else {
		sql_text(q, r->v->text);
	}
}

void filter_sql_bind(struct filter_sql *f, int from, int upto, struct sql *q)
{
	for (int i = from; i < upto; i++)
		bind(&f->values[i], q);
}
