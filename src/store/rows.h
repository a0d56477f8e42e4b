/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_STORE_ROWS_H
#define FETTLE_STORE_ROWS_H

#include "store/internal.h"

struct sql;

/* Readers of a whole row, columns as columns.h orders them, that more than one file needs. */
void device_read(struct sql *q, struct device *d);

/* The row of an image whose bytes are sealed; one that is there stays. */
int store_image_record(struct store *st, const struct digest *d, uint64_t size, const char *by,
		       int64_t now_wall, struct image *out, struct err *e);

/* The windows of a thing that goes. */
int store_window_forget(struct store *st, enum window_level level, int64_t ref, struct err *e);

/* What may be offered, or published, may be another from now on: store_goods_version(). */
int store_goods_changed(struct store *st, struct err *e);
/* changed rows of a statement meant for one: 0, or -1 with ERR_NOT_FOUND "no such <what>". */
int store_expect_one(int changed, const char *what, struct err *e);
/* The last columns of a row: contact interval, model, class id, when it was seen. */
struct living;
bool store_living_read(struct sql *q, const struct living *l);
/* 0 when fewer than max, -1 with ERR_TOO_MANY; statement counts rows of (dev). */
int store_bounded(struct store *st, enum statement count, int64_t dev, int max, const char *what,
		  struct err *e);

#endif
