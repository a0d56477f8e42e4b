/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_FILTER_H
#define FETTLE_BASE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/model.h"
#include "base/slice.h"

/*
 * The target filter as a tree. tracker/filter.c parses the language into it,
 * store/filter_sql.c turns it into bound SQL. Nodes live in an arena; at most
 * FILTER_NODES of them, depth FILTER_DEPTH.
 */
#define FILTER_NODES 64
#define FILTER_DEPTH 16

enum filter_op { FILTER_AND, FILTER_OR, FILTER_NOT, FILTER_COMPARE, FILTER_IN, FILTER_ALL };
enum filter_field {
	FIELD_ID,
	FIELD_MANUFACTURER,
	FIELD_MODEL,
	FIELD_VENDOR,
	FIELD_CLASS,
	FIELD_MODE,
	FIELD_PARENT,
	FIELD_TAG,
	FIELD_GROUP,
	FIELD_VERSION,
	FIELD_ATTR,
	FIELD_REPORTED,
	FIELD_STATE,
	FIELD_COUNT,
};
enum filter_cmp { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };

struct filter_value {
	bool is_number;		/* of attr and reported alone; a filter's text says it, too */
	int64_t number;
	char text[NAME_TEXT];
};

struct filter {
	enum filter_op op;
	struct filter *left, *right;	/* AND, OR; NOT has left */
	enum filter_field field;
	char sub[NAME_TEXT];		/* attr.<sub>, reported.<sub>, version("<sub>") */
	enum filter_cmp cmp;
	struct filter_value *values;	/* COMPARE: 1, IN: n, 1 at least */
	uint32_t n;
};

#endif
