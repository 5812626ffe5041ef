/*
 * lint.h: what in settings, lists and policies cannot work or surely isn't meant. Only what is
 * certain is told: of what may be meant, nothing. Knows nothing of where the records come from, of
 * files or of the command line. One thread.
 */
#ifndef MONGREY_LINT_H
#define MONGREY_LINT_H

#include "core/policy/settings.h"
#include "core/store/records.h"

enum finding {
#define FINDING(name, level, code, help) FINDING_##name,
#include "core/lint/findings.def"
#undef FINDING
    FINDINGS
};

struct lint;

/* What became of it. */
struct lint_tally {
    size_t errors;
    size_t warnings;
    size_t records; /* that were taken, those that do not count with them */
};

/* Takes one finding, a line without its end, valid for the call. */
typedef void lint_put(void *context, struct text line);

/* The settings stay the caller's, and outlive it. `now`: what is not later has expired (ms).
 * NULL when out of memory. */
struct lint *lint_make(const struct settings *settings, int64_t now, lint_put *put, void *context);
void lint_free(struct lint *lint);

/* A sentence about a setting that settings_load gave while it read them. */
void lint_setting_odd(struct lint *lint, const char *text);
/* From here on records come from this file, which the findings name with their lines; else they name
 * the records' ids. The name outlives the lint. */
void lint_from_file(struct lint *lint, const char *name);
/* What of that file was refused. */
void lint_refused(struct lint *lint, unsigned line, const char *what);
/* Takes one record, all of which is copied; kinds that nothing is said of are skipped. False: out of
 * memory. */
bool lint_take(struct lint *lint, enum kind kind, const struct storage_record *record,
               unsigned line);
/* All records were taken: what is missing among them is missing. Without it only the settings are
 * judged. */
void lint_taken_all(struct lint *lint);

/* Tells all findings, those of the settings first. False: out of memory, and not all was told. */
bool lint_run(struct lint *lint);
struct lint_tally lint_tally(const struct lint *lint);

#endif
