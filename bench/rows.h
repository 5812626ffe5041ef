/*
 * rows.h: greylist rows by number, the same in every run and every store: a key that is spread as a
 * hash is, texts as long and as often repeated as mail's are, and a time.
 */
#ifndef MONGREY_BENCH_ROWS_H
#define MONGREY_BENCH_ROWS_H

#include "include/storage.h"

#define ROWS_BEGIN INT64_C(1700000000000) /* when row 0 was first seen */
#define ROWS_STEP INT64_C(10)             /* ms from one to the next */
#define ROWS_WINDOW INT64_C(172800000)
#define ROWS_KEEP INT64_C(3110400000)
#define ROWS_SENDER_DOMAINS 200000
#define ROWS_RECIPIENT_DOMAINS 3000
#define ROWS_TEXT 96

struct row_texts {
    char text[6][ROWS_TEXT];
    struct storage_reading reading;
};

uint64_t rows_mix(uint64_t number);
int64_t rows_time(uint64_t number);
void rows_key(uint64_t number, struct storage_key *key);
void rows_read(uint64_t number, struct row_texts *texts);

#endif
