/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The Fettle authors */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_SIZE 1024
#define SAFE_SIZE 128
#define SAFE_COUNT 4

/* The one mutable state in the library: where log lines go is a property of the process. */
static struct {
	char process[32];
	enum log_level level;
	bool journal;
	void (*sink)(enum log_level level, const char *line);
} logger = { .level = LOG_INFO_ };

/* clang-format off */
static const struct {
	const char *word;
	enum log_level level;
} levels[] = {
	{ "error", LOG_ERROR_ },
	{ "warn", LOG_WARN_ },
	{ "warning", LOG_WARN_ },
	{ "notice", LOG_NOTICE_ },
	{ "info", LOG_INFO_ },
	{ "debug", LOG_DEBUG_ },
};
/* clang-format on */

/* $JOURNAL_STREAM is inherited by everything below; it counts only if stderr is that stream. */
static bool stderr_is_journal(void)
{
	const char *want = getenv("JOURNAL_STREAM");
	struct stat st;
	char have[64];

	if (!want || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(have, sizeof(have), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(have, want) == 0;
}

void log_init(const char *process, enum log_level level)
{
	snprintf(logger.process, sizeof(logger.process), "%s", process ? process : "");
	logger.level = level;
	logger.journal = stderr_is_journal();
}

void log_set_level(enum log_level level)
{
	logger.level = level;
}

enum log_level log_get_level(void)
{
	return logger.level;
}

int log_level_parse(const char *word, enum log_level *out)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(levels[i].word, word) == 0) {
			*out = levels[i].level;
			return 0;
		}
	}
	return -1;
}

void log_set_sink(void (*sink)(enum log_level level, const char *line))
{
	logger.sink = sink;
}

/* One write(2) a line, so that lines of several processes do not mix. */
static void emit(enum log_level level, char *line, size_t n)
{
	if (logger.sink) {
		line[n] = '\0';
		logger.sink(level, line);
		return;
	}
	line[n++] = '\n';
	for (size_t at = 0; at < n;) {
		ssize_t done = write(STDERR_FILENO, line + at, n - at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return; /* nowhere to complain to */
		at += (size_t)done;
	}
}

static size_t advance(size_t n, int added)
{
	if (added < 0)
		return n;
	return (size_t)added < LINE_SIZE - n ? n + (size_t)added : LINE_SIZE - 1;
}

static void __attribute__((format(printf, 2, 0)))
put(enum log_level level, const char *fmt, va_list ap)
{
	char line[LINE_SIZE + 1];
	size_t n = 0;
	int saved = errno;

	if (level > logger.level)
		return;
	if (logger.journal && !logger.sink)
		n = advance(n, snprintf(line, LINE_SIZE, "<%d>", (int)level));
	if (logger.process[0] && !logger.sink)
		n = advance(n, snprintf(line + n, LINE_SIZE - n, "%s: ", logger.process));
	size_t text = n;
	errno = saved; /* for %m */
	n = advance(n, vsnprintf(line + n, LINE_SIZE - n, fmt, ap));
	for (size_t i = text; i < n; i++)
		if ((unsigned char)line[i] < 0x20)
			line[i] = ' ';
	emit(level, line, n);
	errno = saved;
}

#define LOG_FUNCTION(name, level)       \
	void name(const char *fmt, ...) \
	{                               \
		va_list ap;             \
		va_start(ap, fmt);      \
		put(level, fmt, ap);    \
		va_end(ap);             \
	}

LOG_FUNCTION(log_error, LOG_ERROR_)
LOG_FUNCTION(log_warn, LOG_WARN_)
LOG_FUNCTION(log_notice, LOG_NOTICE_)
LOG_FUNCTION(log_info, LOG_INFO_)
LOG_FUNCTION(log_debug, LOG_DEBUG_)

const char *log_safe(const char *s)
{
	static char buffers[SAFE_COUNT][SAFE_SIZE];
	static unsigned turn;
	char *to = buffers[turn++ % SAFE_COUNT];
	size_t n = 0;

	for (; s && s[n] && n < SAFE_SIZE - 1; n++)
		to[n] = (s[n] >= 0x20 && s[n] < 0x7f) ? s[n] : '?';
	to[n] = '\0';
	return to;
}
