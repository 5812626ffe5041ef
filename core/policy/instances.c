/* instances.c: see instances.h. */
#include "core/policy/instances.h"

#include "core/base/hash.h"

bool instances_first(struct instances *instances, struct text instance, struct text client,
                     struct text sender)
{
    if (instance.size == 0)
        return true;
    uint64_t parts[3] = {hash_table(instance.data, instance.size),
                         hash_table(client.data, client.size),
                         hash_table(sender.data, sender.size)};
    uint64_t hash = hash_table(parts, sizeof(parts)) | 1;
    for (size_t i = 0; i < INSTANCES_MAX; i++) {
        if (instances->seen[i] == hash)
            return false;
    }
    instances->seen[instances->next] = hash;
    instances->next = (instances->next + 1) % INSTANCES_MAX;
    return true;
}
