/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#ifndef FETTLE_BASE_LOG_H
#define FETTLE_BASE_LOG_H

/*
 * One line per event on standard error, "<N>" priority prefix when
 * $JOURNAL_STREAM names it (sd-daemon(3)). Values are key=value, objects carry
 * their id. Secrets are never arguments. Values that come from outside go
 * through %s only after log_safe().
 */
enum log_level { LOG_ERROR_ = 3, LOG_WARN_ = 4, LOG_NOTICE_ = 5, LOG_INFO_ = 6, LOG_DEBUG_ = 7 };

void log_init(const char *process, enum log_level level);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
int log_level_parse(const char *word, enum log_level *out);
/* Tests take the sink; NULL gives it back. */
void log_set_sink(void (*sink)(enum log_level level, const char *line));

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Make s printable (control bytes and non-ASCII become '?'), in one of 4 rotating
 * buffers of 128 bytes.
 */
const char *log_safe(const char *s);

#endif
