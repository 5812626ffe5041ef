/* breaker.c: see breaker.h. */
#include "core/store/breaker.h"

#include "core/base/hash.h"

#define PAUSE_FIRST 100
#define PAUSE_AWAY 2000
#define PAUSE_REFUSED 10000
#define LOOK_AGAIN 100 /* while somebody else tries */

void breaker_start(struct breaker *b)
{
    *b = (struct breaker){.open = false};
    pthread_mutex_init(&b->lock, NULL);
}

void breaker_end(struct breaker *b)
{
    pthread_mutex_destroy(&b->lock);
}

bool breaker_lets(struct breaker *b, int64_t now, bool may_probe, bool *probes)
{
    pthread_mutex_lock(&b->lock);
    *probes = b->open && may_probe && !b->probing && now >= b->retry_at;
    b->probing = b->probing || *probes;
    bool lets = !b->open || *probes;
    pthread_mutex_unlock(&b->lock);
    return lets;
}

void breaker_answered(struct breaker *b, bool probed)
{
    pthread_mutex_lock(&b->lock);
    b->open = false;
    b->pause = 0;
    if (probed)
        b->probing = false;
    pthread_mutex_unlock(&b->lock);
}

/* Several hosts that lost one store do not all come back to it at the same moment. */
static int64_t spread(int64_t pause)
{
    uint32_t chance;
    hash_random(&chance, sizeof(chance));
    return pause - pause / 4 + (int64_t)(chance % 1024) * (pause / 2) / 1024;
}

void breaker_failed(struct breaker *b, int64_t now, bool probed, enum breaker_pause pause)
{
    int64_t most = pause == BREAKER_REFUSED ? PAUSE_REFUSED : PAUSE_AWAY;
    pthread_mutex_lock(&b->lock);
    /* Calls that were under way when it went fail one after the other: the pause grows by tries only. */
    if (!b->open || probed) {
        bool soon = pause == BREAKER_SOON && !b->open;
        b->pause = b->pause == 0 ? PAUSE_FIRST : b->pause * 2;
        b->pause = b->pause > most ? most : b->pause;
        b->retry_at = soon ? now : now + spread(b->pause);
    }
    b->open = true;
    if (probed)
        b->probing = false;
    pthread_mutex_unlock(&b->lock);
}

int64_t breaker_due(struct breaker *b, int64_t now)
{
    pthread_mutex_lock(&b->lock);
    int64_t due = b->probing ? now + LOOK_AGAIN : b->retry_at;
    if (!b->open)
        due = BREAKER_NEVER;
    pthread_mutex_unlock(&b->lock);
    return due;
}
