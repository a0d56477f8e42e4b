/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
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
	const char *before, *column, *number_column, *behind; /* numbers: attributes alone */
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

/* A parameter, and what follows it. */
static void param(struct filter_sql *f, struct filter_value_ref r, const char *behind)
{
	if (f->n_values == FILTER_VALUES) {
		f->too_large = true;
		return;
	}
	f->values[f->n_values++] = r;
	buf_printf(&f->text, "$%d%s", ++f->param, behind);
}

static void value(struct filter_sql *f, const struct filter_value *v, const struct look *l)
{
	param(f, (struct filter_value_ref){ .v = v, .as_uuid = l->uuid }, "");
}

/* column IN (its numbers, or its texts); nothing when there are none. True: there are some. */
static bool in_list(struct filter_sql *f, const struct filter *x, const struct look *l,
		    bool numbers, const char *before)
{
	bool any = false;

	for (uint32_t i = 0; i < x->n; i++) {
		if (x->values[i].is_number != numbers)
			continue;
		if (any)
			buf_add_str(&f->text, ", ");
		else
			buf_printf(&f->text, "%s%s IN (", before,
				   numbers ? l->number_column : l->column);
		value(f, &x->values[i], l);
		any = true;
	}
	if (any)
		buf_add_str(&f->text, ")");
	return any;
}

static void in(struct filter_sql *f, const struct filter *x, const struct look *l)
{
	buf_add_str(&f->text, "(");
	bool texts = in_list(f, x, l, false, "");
	in_list(f, x, l, true, texts ? " OR " : "");
	buf_add_str(&f->text, ")");
}

static void leaf(struct filter_sql *f, const struct filter *x)
{
	const struct look *l = look_of(x);
	bool compare = x->op == FILTER_COMPARE;

	buf_printf(&f->text, "%s(%s", compare && x->cmp == CMP_NE ? "(NOT " : "(", l->before);
	if (l->sub)
		param(f, (struct filter_value_ref){ .sub = x->sub }, " AND ");
	if (compare) {
		buf_printf(&f->text, "%s %s ", x->values->is_number ? l->number_column : l->column,
			   cmp_text[x->cmp]);
		value(f, x->values, l);
	} else {
		in(f, x, l);
	}
	buf_printf(&f->text, "%s))", l->behind);
}

static void node(struct filter_sql *f, const struct filter *x, int depth)
{
	if (depth > FILTER_DEPTH || ++f->nodes > FILTER_NODES) {
		f->too_large = true;
		return;
	}
	if (x->op == FILTER_ALL) {
		buf_add_str(&f->text, "(1 = 1)");
	} else if (x->op == FILTER_COMPARE || x->op == FILTER_IN) {
		leaf(f, x);
	} else if (x->op == FILTER_NOT) {
		buf_add_str(&f->text, "(NOT ");
		node(f, x->left, depth + 1);
		buf_add_str(&f->text, ")");
	} else {
		buf_add_str(&f->text, "(");
		node(f, x->left, depth + 1);
		buf_add_str(&f->text, x->op == FILTER_AND ? " AND " : " OR ");
		node(f, x->right, depth + 1);
		buf_add_str(&f->text, ")");
	}
}

int filter_sql_where(struct filter_sql *f, const struct filter *filter, struct err *e)
{
	f->nodes = 0;
	node(f, filter, 1);
	return !f->too_large ? 0
			     : err_set(e, ERR_TOO_LARGE,
				       "the filter has more than %d tests and operators, %d values,"
				       " or a depth of %d",
				       FILTER_NODES, FILTER_VALUES, FILTER_DEPTH);
}

static void bind(struct filter_value_ref *r, struct sql *q)
{
	struct uuid u = { .set = false };

	if (r->sub) {
		sql_text(q, r->sub);
	} else if (r->v->is_number) {
		sql_int(q, r->v->number);
	} else if (r->as_uuid) {
		/* what is no UUID is no vendor: the empty blob equals none */
		(void)uuid_parse(&u, slice_str(r->v->text));
		memcpy(r->bytes, u.b, sizeof(r->bytes));
		sql_blob(q, r->bytes, u.set ? sizeof(r->bytes) : 0);
	} else {
		sql_text(q, r->v->text);
	}
}

void filter_sql_bind(struct filter_sql *f, int from, int upto, struct sql *q)
{
	for (int i = from; i < upto; i++)
		bind(&f->values[i], q);
}
