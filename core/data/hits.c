/* hits.c: see hits.h. */
#include "core/data/hits.h"

#include "core/base/hash.h"

#define KEEP INT64_C(315360000000) /* ten years after the last hit */

struct storage_sighting hits_sighting(enum snapshot_list list, struct text id,
                                      const struct list_hit *hit)
{
    char memory[STORAGE_ID_MAX + 32];
    struct writer w = writer_on(memory, sizeof(memory));
    struct storage_sighting s = {
        .op = STORAGE_COUNT,
        .count = hit->count,
        .now = hit->last,
        .keep = KEEP,
    };
    write_literal(&w, list == LIST_BLACK ? "hits blacklist " : "hits whitelist ");
    write_text(&w, id);
    hash_key(memory, (size_t)(w.at - w.start), s.key.bytes);
    return s;
}

void hits_take(struct snapshot *snapshot,
               void (*tell)(void *context, const struct storage_sighting *hit), void *context)
{
    for (int i = 0; i < LISTS; i++) {
        struct list *l = &snapshot->lists[i];
        for (size_t n = 0; l->met && n < l->count; n++) {
            if (l->hits[n].count == 0)
                continue;
            struct storage_sighting hit =
                hits_sighting((enum snapshot_list)i, l->entries[n].id, &l->hits[n]);
            l->hits[n].count = 0;
            tell(context, &hit);
        }
        l->met = false;
    }
}
