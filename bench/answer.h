/*
 * answer.h: what a policy server answered, judged as Postfix would: one `action=` line and one
 * empty line, not a byte more.
 */
#ifndef MONGREY_BENCH_ANSWER_H
#define MONGREY_BENCH_ANSWER_H

#include <stddef.h>

enum answer {
    ANSWER_PARTIAL, /* well formed so far, more has to come */
    ANSWER_PASS,    /* DUNNO or PREPEND */
    ANSWER_DEFER,   /* 4xx text, or DEFER and what begins so */
    ANSWER_OTHER,   /* well formed, but neither */
    ANSWER_MALFORMED,
    ANSWER_KINDS,
};

enum answer answer_judge(const char *bytes, size_t length);

const char *answer_name(enum answer answer);

#endif
