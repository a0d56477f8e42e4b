/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "tracker/filter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Values of all tests together; one test has at most FILTER_NODES. */
#define VALUES_MAX 256

enum token_kind { T_END, T_WORD, T_STRING, T_OPEN, T_CLOSE, T_COMMA, T_DOT, T_CMP, T_BAD };

struct parser {
	const char *text, *at; /* at: behind the token */
	struct arena *a;
	struct err *e;
	unsigned nodes, values, depth;
	/* the token looked at */
	enum token_kind token;
	const char *from;
	enum filter_cmp cmp;
	char word[NAME_TEXT]; /* T_WORD, T_STRING: what it says */
	const char *trouble; /* T_BAD: why */
};

static int fail(struct parser *p, const char *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct parser *p, const char *at, const char *fmt, ...)
{
	char text[160];
	size_t column = 1;
	va_list ap;

	/* of characters, as people see them: the filter is UTF-8 */
	for (const char *c = p->text; c < at; c++)
		column += ((unsigned char)*c & 0xc0) != 0x80;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(p->e, ERR_INVALID, "column %zu: %s", column, text);
}

/* Of bare words: what names, versions, UUIDs and numbers are made of; a '.' apart. */
static bool word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("_-:+~", c)) || (unsigned char)c >= 0x80;
}

static enum token_kind bad(struct parser *p, const char *why)
{
	p->trouble = why;
	return T_BAD;
}

static enum token_kind lex_word(struct parser *p)
{
	size_t n = 0;

	/* a dot inside belongs to the word ("1.2.0"); the parser splits attr.name itself */
	while (word_byte(p->at[n]) || (p->at[n] == '.' && word_byte(p->at[n + 1])))
		n++;
	if (text_copy_slice(p->word, sizeof(p->word), slice_of(p->at, n)) < 0)
		return bad(p, "a word of at most 64 bytes is expected");
	p->at += n;
	return T_WORD;
}

static enum token_kind lex_string(struct parser *p)
{
	size_t n = 0;

	for (p->at++; *p->at != '"'; p->at++) {
		if (*p->at == '\\' && (p->at[1] == '"' || p->at[1] == '\\'))
			p->at++;
		if (*p->at == '\0')
			return bad(p, "the string is not closed");
		if ((unsigned char)*p->at < 0x20)
			return bad(p, "a control character inside a string");
		if (n + 1 >= sizeof(p->word))
			return bad(p, "a string of at most 64 bytes is expected");
		p->word[n++] = *p->at;
	}
	p->word[n] = '\0';
	p->at++;
	return T_STRING;
}

static const struct {
	const char *text;
	enum filter_cmp cmp;
} comparisons[] = {
	{ "==", CMP_EQ }, { "!=", CMP_NE }, { "<=", CMP_LE },
	{ ">=", CMP_GE }, { "<", CMP_LT },  { ">", CMP_GT },
};

static enum token_kind lex_sign(struct parser *p)
{
	static const char signs[] = "(),.";
	static const enum token_kind tokens[] = { T_OPEN, T_CLOSE, T_COMMA, T_DOT };
	const char *s = strchr(signs, *p->at);

	if (s) {
		p->at++;
		return tokens[s - signs];
	}
	for (size_t i = 0; i < sizeof(comparisons) / sizeof(comparisons[0]); i++) {
		size_t n = strlen(comparisons[i].text);
		if (strncmp(p->at, comparisons[i].text, n) == 0) {
			p->cmp = comparisons[i].cmp;
			p->at += n;
			return T_CMP;
		}
	}
	return bad(p, *p->at == '=' ? "== is expected" : "not a sign of the language");
}

static void next(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')
		p->at++;
	p->from = p->at;
	if (*p->at == '\0')
		p->token = T_END;
	else if (*p->at == '"')
		p->token = lex_string(p);
	else if (word_byte(*p->at))
		p->token = lex_word(p);
	else
		p->token = lex_sign(p);
}

static int expected(struct parser *p, const char *what)
{
	if (p->token == T_BAD)
		return fail(p, p->from, "%s", p->trouble);
	if (p->token == T_END)
		return fail(p, p->from, "%s is expected, the filter ends", what);
	return fail(p, p->from, "%s is expected", what);
}

static bool keyword(const struct parser *p, const char *word)
{
	return p->token == T_WORD && strcmp(p->word, word) == 0;
}

static void *take(struct parser *p, size_t n)
{
	void *m = arena_alloc(p->a, n);

	if (!m)
		err_set(p->e, ERR_NO_MEMORY, "no memory for the filter");
	return m;
}

static struct filter *node(struct parser *p, enum filter_op op)
{
	if (++p->nodes > FILTER_NODES) {
		fail(p, p->from, "more than %d tests and operators", FILTER_NODES);
		return NULL;
	}
	struct filter *f = take(p, sizeof(*f));
	if (f)
		f->op = op;
	return f;
}

static const struct {
	const char *word;
	enum filter_field field;
} fields[] = {
	{ "id", FIELD_ID },	      { "manufacturer", FIELD_MANUFACTURER },
	{ "model", FIELD_MODEL },     { "vendor", FIELD_VENDOR },
	{ "class", FIELD_CLASS },     { "mode", FIELD_MODE },
	{ "parent", FIELD_PARENT },   { "tag", FIELD_TAG },
	{ "group", FIELD_GROUP },     { "state", FIELD_STATE },
	{ "version", FIELD_VERSION },
};

static int parse_version(struct parser *p, struct filter *f)
{
	f->field = FIELD_VERSION;
	next(p);
	if (p->token != T_OPEN)
		return 0;
	next(p);
	if (p->token != T_STRING)
		return expected(p, "a component's name in quotes");
	text_copy(f->sub, sizeof(f->sub), p->word);
	next(p);
	if (p->token != T_CLOSE)
		return expected(p, ")");
	next(p);
	return 0;
}

static int parse_attribute(struct parser *p, struct filter *f, enum filter_field field,
			   const char *name)
{
	/* a word never ends in a dot, so there is a name */
	f->field = field;
	text_copy(f->sub, sizeof(f->sub), name);
	next(p);
	return 0;
}

static int parse_field(struct parser *p, struct filter *f)
{
	if (p->token != T_WORD)
		return expected(p, "a field, all, not or (");
	if (strcmp(p->word, "version") == 0)
		return parse_version(p, f);
	if (strncmp(p->word, "attr.", 5) == 0)
		return parse_attribute(p, f, FIELD_ATTR, p->word + 5);
	if (strncmp(p->word, "reported.", 9) == 0)
		return parse_attribute(p, f, FIELD_REPORTED, p->word + 9);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(p->word, fields[i].word) == 0) {
			f->field = fields[i].field;
			next(p);
			return 0;
		}
	}
	return fail(p, p->from,
		    "%s is no field; id, manufacturer, model, vendor, class, mode, parent,"
		    " tag, group, state, version, attr.NAME and reported.NAME are",
		    p->word);
}

/* Values of fields that are enumerations or ids are checked, and brought to their one spelling. */
static int settle_value(struct parser *p, const struct filter *f, struct filter_value *v)
{
	enum update_state state;
	enum mode mode;
	struct uuid id;

	if (f->field == FIELD_VENDOR || f->field == FIELD_CLASS) {
		char text[UUID_TEXT];
		if (uuid_parse(&id, slice_str(v->text)) < 0)
			return fail(p, p->from, "a UUID is expected");
		uuid_text(text, &id);
		text_copy(v->text, sizeof(v->text), text);
	} else if (f->field == FIELD_MODE && mode_parse(v->text, &mode) < 0) {
		return fail(p, p->from, "unset, client, server or negotiated is expected");
	} else if (f->field == FIELD_STATE && update_state_parse(v->text, &state) < 0) {
		return fail(p, p->from, "a state of updates is expected");
	}
	return 0;
}

static int parse_value(struct parser *p, const struct filter *f, struct filter_value *v)
{
	if (p->token != T_WORD && p->token != T_STRING)
		return expected(p, "a value");
	text_copy(v->text, sizeof(v->text), p->word);
	/* only attributes have numbers: a model called 7960 stays text */
	if (p->token == T_WORD && (f->field == FIELD_ATTR || f->field == FIELD_REPORTED))
		v->is_number = text_i64(slice_str(p->word), &v->number) == 0;
	if (settle_value(p, f, v) < 0)
		return -1;
	next(p);
	return 0;
}

static struct filter_value *room(struct parser *p, unsigned n)
{
	p->values += n;
	if (p->values > VALUES_MAX) {
		fail(p, p->from, "more than %d values", VALUES_MAX);
		return NULL;
	}
	return take(p, n * sizeof(struct filter_value));
}

static int parse_in(struct parser *p, struct filter *f)
{
	struct filter_value list[FILTER_NODES];

	f->op = FILTER_IN;
	next(p);
	if (p->token != T_OPEN)
		return expected(p, "(");
	do {
		if (f->n == FILTER_NODES)
			return fail(p, p->from, "more than %d values", FILTER_NODES);
		memset(&list[f->n], 0, sizeof(list[0]));
		next(p);
		if (parse_value(p, f, &list[f->n]) < 0)
			return -1;
		f->n++;
	} while (p->token == T_COMMA);
	if (p->token != T_CLOSE)
		return expected(p, ", or )");
	next(p);
	f->values = room(p, f->n);
	if (!f->values)
		return -1;
	memcpy(f->values, list, f->n * sizeof(list[0]));
	return 0;
}

/* What only has names, or a set of them, has no order. */
static bool ordered(enum filter_field f)
{
	return f == FIELD_ID || f == FIELD_VERSION || f == FIELD_ATTR || f == FIELD_REPORTED;
}

static int parse_comparison(struct parser *p, struct filter *f)
{
	f->op = FILTER_COMPARE;
	f->cmp = p->cmp;
	if (f->cmp != CMP_EQ && f->cmp != CMP_NE && !ordered(f->field))
		return fail(p, p->from, "this field has no order: == or != is expected");
	next(p);
	f->values = room(p, 1);
	f->n = 1;
	return f->values ? parse_value(p, f, f->values) : -1;
}

static struct filter *parse_test(struct parser *p)
{
	struct filter *f = node(p, FILTER_COMPARE);

	if (!f || parse_field(p, f) < 0)
		return NULL;
	int result;
	if (keyword(p, "in"))
		result = parse_in(p, f);
	else if (p->token == T_CMP)
		result = parse_comparison(p, f);
	else
		result = expected(p, "==, !=, <, <=, >, >= or in");
	return result < 0 ? NULL : f;
}

static struct filter *parse_or(struct parser *p);
static struct filter *parse_factor(struct parser *p);

static struct filter *parse_brackets(struct parser *p)
{
	next(p);
	struct filter *f = parse_or(p);
	if (!f)
		return NULL;
	if (p->token != T_CLOSE) {
		expected(p, "and, or or )");
		return NULL;
	}
	next(p);
	return f;
}

static struct filter *parse_not(struct parser *p)
{
	struct filter *f = node(p, FILTER_NOT);

	if (!f)
		return NULL;
	next(p);
	f->left = parse_factor(p);
	return f->left ? f : NULL;
}

static struct filter *parse_factor(struct parser *p)
{
	if (keyword(p, "not"))
		return parse_not(p);
	if (p->token == T_OPEN)
		return parse_brackets(p);
	if (keyword(p, "all")) {
		next(p);
		return node(p, FILTER_ALL);
	}
	return parse_test(p);
}

/* Terms joined as a tree that is as flat as it can be: depth is what is bounded. */
static struct filter *join(struct parser *p, enum filter_op op, struct filter **terms, unsigned n)
{
	if (n == 1)
		return terms[0];
	struct filter *f = node(p, op);
	if (!f)
		return NULL;
	f->left = join(p, op, terms, n / 2);
	f->right = join(p, op, terms + n / 2, n - n / 2);
	return f->left && f->right ? f : NULL;
}

static struct filter *parse_chain(struct parser *p, enum filter_op op, const char *word,
				  struct filter *(*term)(struct parser *))
{
	struct filter *terms[FILTER_NODES];
	unsigned n = 0;

	do {
		if (n == FILTER_NODES) {
			fail(p, p->from, "more than %d tests and operators", FILTER_NODES);
			return NULL;
		}
		if (n > 0)
			next(p);
		terms[n] = term(p);
		if (!terms[n])
			return NULL;
		n++;
	} while (keyword(p, word));
	return join(p, op, terms, n);
}

static struct filter *parse_and(struct parser *p)
{
	return parse_chain(p, FILTER_AND, "and", parse_factor);
}

static struct filter *parse_or(struct parser *p)
{
	if (p->depth == FILTER_DEPTH) {
		fail(p, p->from, "nested deeper than %d", FILTER_DEPTH);
		return NULL;
	}
	p->depth++;
	struct filter *f = parse_chain(p, FILTER_OR, "or", parse_and);
	p->depth--;
	return f;
}

static int depth_of(const struct filter *f)
{
	if (!f)
		return 0;
	int left = depth_of(f->left), right = depth_of(f->right);
	return 1 + (left > right ? left : right);
}

int filter_parse(const char *text, struct arena *a, struct filter **out, struct err *e)
{
	struct parser p = { .text = text, .at = text, .a = a, .e = e };

	if (strlen(text) >= FILTER_TEXT)
		return err_set(e, ERR_TOO_LARGE, "a filter has at most %d bytes", FILTER_TEXT - 1);
	if (!text_is_utf8(slice_str(text)))
		return err_set(e, ERR_INVALID, "the filter is not UTF-8");
	next(&p);
	struct filter *f = parse_or(&p);
	if (!f)
		return -1;
	if (p.token != T_END)
		return expected(&p, "and, or or the filter's end");
	if (depth_of(f) > FILTER_DEPTH)
		return fail(&p, text, "nested deeper than %d", FILTER_DEPTH);
	*out = f;
	return 0;
}
