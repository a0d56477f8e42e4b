/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_TESTS_STORE_UTIL_H
#define FETTLE_TESTS_STORE_UTIL_H

#include "store/store.h"

/* What the store's tests share: a data directory of their own, and a store in it. */
struct bed {
	char dir[64];
	struct store *st;
	struct err e;
};

void bed_make(struct bed *b); /* a new directory, an open store */
void bed_open(struct bed *b); /* again, after bed_close */
void bed_close(struct bed *b);
void bed_remove(struct bed *b); /* close, and remove the directory */
void bed_path(const struct bed *b, char *dst, size_t cap, const char *file);
/* Run SQL against a closed store's file by a connection of its own. */
void bed_sql(const struct bed *b, const char *file, const char *sql);

/* Rows that others refer to. */
int64_t make_device(struct store *st, const char *id);
int64_t make_release(struct store *st, const char *name, uint64_t sequence);
int64_t make_rollout(struct store *st, const char *name, int64_t release, int64_t budget);
struct update make_update(struct store *st, int64_t dev, int64_t rollout, int64_t release);
struct digest digest_of(const char *text);

/* Numbers that look random and are the same in every run. */
unsigned util_random(unsigned *seed);

/* Two models are equal, whatever lies between their members. */
#if defined(__has_builtin) && __has_builtin(__builtin_clear_padding)
#define same(a, b) \
	(__builtin_clear_padding(a), __builtin_clear_padding(b), memcmp(a, b, sizeof(*(a))) == 0)
#else
#define same(a, b) (sizeof(*(a)) == sizeof(*(b))) /* only gcc can tell */
#endif

/* 0 or the error's text on the test's output. */
#define ok(call)                                                   \
	do {                                                       \
		struct err e_ = { 0 };                             \
		struct err *e __attribute__((unused)) = &e_;       \
		int rc_ = (call);                                  \
		ck_assert_msg(rc_ >= 0, "%s: %s", #call, e_.text); \
	} while (0)
#define refuses(call, want)                                                                       \
	do {                                                                                      \
		struct err e_ = { 0 };                                                            \
		struct err *e __attribute__((unused)) = &e_;                                      \
		int rc_ = (call);                                                                 \
		ck_assert_msg(rc_ == -1 && e_.code == (want), "%s: %d, %s", #call, rc_, e_.text); \
	} while (0)

#endif
