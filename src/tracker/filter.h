/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TRACKER_FILTER_H
#define FETTLE_TRACKER_FILTER_H

#include "base/err.h"
#include "base/filter.h"
#include "base/slice.h"

/*
 * The target filter language, for rollouts and q=:
 *   expr   := term { "or" term }      term := factor { "and" factor }
 *   factor := "not" factor | "(" expr ")" | "all" | test
 *   test   := field cmp value | field "in" "(" value { "," value } ")"
 *   field  := id | manufacturer | model | vendor | class | mode | parent | tag | group | state
 *           | version [ "(" string ")" ] | attr "." name | reported "." name
 *   cmp    := "==" | "!=" | "<" | "<=" | ">" | ">="
 *   value  := string in double quotes | bare word | integer
 * Errors name the column, counted in characters, and what was expected.
 */
int filter_parse(const char *text, struct arena *a, struct filter **out, struct err *e);

#endif
