/*
 * id.h: ids of decisions: 16 characters of Crockford's base32, sortable by time, made without the
 * store. 44 bits of milliseconds since 1970 (good until the year 2527), 16 bits drawn once by each
 * process, 20 bits counted up.
 */
#ifndef MONGREY_ID_H
#define MONGREY_ID_H

#include <stdint.h>

#define ID_SIZE 16

struct id_maker {
    uint64_t last; /* milliseconds; never goes back */
    uint32_t process;
    uint32_t count;
};

void id_start(struct id_maker *maker);
/* The next id, terminated. One thread at a time. */
void id_make(struct id_maker *maker, int64_t wall, char id[ID_SIZE + 1]);

#endif
