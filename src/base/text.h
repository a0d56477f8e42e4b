/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_TEXT_H
#define FETTLE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Copy s with its NUL into dst of size cap; -1 (dst becomes "") when it does not fit. */
int text_copy(char *dst, size_t cap, const char *s);
int text_copy_slice(char *dst, size_t cap, struct slice s);	/* also -1 on an inner NUL */
/* printf into dst; -1 (dst becomes "") when it does not fit. */
int text_format(char *dst, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Hex, lower case. dst needs 2n+1 bytes. */
void text_hex(char *dst, const uint8_t *p, size_t n);
/* Exactly 2n hex digits, either case; -1 otherwise. */
int text_unhex(uint8_t *dst, size_t n, struct slice s);

/* base64url without padding (RFC 4648 section 5), strict on input (unused bits zero). */
int text_base64url(struct buf *dst, struct slice s);
int text_unbase64url(struct buf *dst, struct slice s);
/* base64 with padding (RFC 4648 section 4), for Basic and PEM-like fields. */
int text_base64(struct buf *dst, struct slice s);
int text_unbase64(struct buf *dst, struct slice s);

/* Whole slice as a decimal number; -1 on anything else, on overflow, on empty. */
int text_u64(struct slice s, uint64_t *out);
int text_i64(struct slice s, int64_t *out);
/* "10", "64K", "1M", "2G": powers of 1024. */
int text_size(struct slice s, uint64_t *out);
/* "90s", "15m", "12h", "7d", or plain seconds, to milliseconds. */
int text_duration_ms(struct slice s, int64_t *out);

/* RFC 3339, UTC: "2026-11-22T09:00:00.000Z". dst of 32 bytes. */
#define TEXT_TIME_SIZE 32
void text_time(char dst[TEXT_TIME_SIZE], int64_t wall_ms);
int text_untime(struct slice s, int64_t *wall_ms);

/* An IP address, IPv4 or IPv6, as 16 bytes (IPv4 mapped into IPv6); -1: not one. */
int text_ip(const char *s, uint8_t ip[16]);

bool text_is_utf8(struct slice s);
/* Compare versions as dpkg does (deb-version(7)): <0, 0, >0. */
int text_version_cmp(const char *a, const char *b);

#endif
