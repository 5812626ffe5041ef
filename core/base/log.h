/*
 * log.h: one line at a time to standard error, or to syslog(3). Any thread.
 *
 * Lines are gathered and written by log_flush(), which the loop calls ten times a second; warnings
 * and errors are written at once, and so is everything once 32 KiB wait. Nothing here waits for who reads
 * standard error: while he does not, lines wait, then get lost, and how many is said. What came from the
 * network is escaped by the caller (write_escaped).
 */
#ifndef MONGREY_LOG_H
#define MONGREY_LOG_H

#include <stdbool.h>

#include "core/base/text.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

enum log_target {
    LOG_TO_CONSOLE, /* where standard error is systemd's journal, with its level in place of the time */
    LOG_TO_SYSLOG,
    LOG_TO_BOTH /* syslog, and standard error for as long as it is the console of who started us */
};

/* Before any thread starts. */
void log_start(enum log_target target, enum log_level lowest);
/* In the child of a fork. */
void log_forked(void);
void log_set_level(enum log_level lowest);
bool log_wants(enum log_level level);
void log_line(enum log_level level, struct text line);
/* A line that says itself when and what it is (JSON): on standard error nothing stands before it. */
void log_bare(enum log_level level, struct text line);
void log_format(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void log_flush(void);

#define log_debug(...) log_format(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_format(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_format(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...) log_format(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
