/* id.c: see id.h. */
#include "core/base/id.h"

#include "core/base/hash.h"

void id_start(struct id_maker *maker)
{
    uint32_t random[2];
    hash_random(random, sizeof(random));
    *maker = (struct id_maker){.process = random[0] & 0xffff, .count = 0};
}

void id_make(struct id_maker *maker, int64_t wall, char id[ID_SIZE + 1])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint64_t time = wall < 0 ? 0 : (uint64_t)wall;
    if (time > maker->last) {
        maker->last = time;
        maker->count = 0;
    } else if (++maker->count >= 1u << 20) {
        /* A million in one millisecond, or a clock set back: go on in the next. */
        maker->last++;
        maker->count = 0;
    }
    uint64_t low = (uint64_t)maker->process << 20 | maker->count;
    uint64_t high = maker->last;
    for (int i = ID_SIZE - 1; i >= 0; i--) {
        unsigned five = i >= 9 ? (unsigned)(low & 31) : 0;
        if (i >= 9) {
            low >>= 5;
            if (i == 9) /* one bit of the 36 is left below the time */
                high = high << 1 | low;
        } else {
            five = (unsigned)(high & 31);
            high >>= 5;
        }
        id[i] = digits[five];
    }
    id[ID_SIZE] = '\0';
}
