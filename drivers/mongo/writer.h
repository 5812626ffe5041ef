/* writer.h: changes of records go one after the other, and each is done whole, though there are no
 * transactions: a lock, and an intent written down before it is done.
 *
 * The lock is the document `writer`: whose it is (`owner`, "" for nobody's), for how long others are to leave
 * it alone (`lease`), and whose intent is to be completed (`intent`). Who finds it unchanged for the lease, by
 * its own steady clock, takes it over, does what was intended (all of it may be done twice), and goes on. */
#ifndef MONGREY_DRIVER_MONGO_WRITER_H
#define MONGREY_DRIVER_MONGO_WRITER_H

#include "drivers/mongo/mongo.h"

/* In this order: a unique value is given up before it is taken. */
enum phase { PHASE_ERASE, PHASE_RELEASE, PHASE_UPDATE, PHASE_REPLACE, PHASE_INSERT, PHASES };

/* One write, which does nothing where it was done before. */
struct writing {
    enum phase phase;
    bson_t *selector; /* NULL: an insert */
    bson_t *update;   /* NULL: an erase */
};

struct writings {
    const char *collection;
    struct writing *writing;
    size_t count;
    size_t room;
};

/* False: out of memory. Takes both documents over in any case. */
bool writings_add(struct writings *writings, enum phase phase, bson_t *selector, bson_t *update);
void writings_end(struct writings *writings);

/* BUSY: somebody else has it. */
enum storage_status writer_lock(struct storage_session *session, struct storage_error *error);
/* Drops what was written down of what is done now. */
enum storage_status writer_forget(struct storage_session *session, struct storage_error *error);
/* With nothing left to do. */
enum storage_status writer_unlock(struct storage_session *session, struct storage_error *error);
/* From here on it will be done, by this session or, should it end, by the next writer. BUSY: the lock was
 * lost, and nothing was done. */
enum storage_status writer_intend(struct storage_session *session, const struct writings *writings,
                                  struct storage_error *error);
/* *done: how many of them met what they were to change; *refused: were met by a double. */
enum storage_status writer_do(struct storage_session *session, const struct writings *writings,
                              int64_t *done, bool *refused, struct storage_error *error);
enum storage_status writer_move_revision(struct storage_session *session,
                                         struct storage_error *error);
/* Called with what a reader saw of the lock: completes what a writer that is gone has left. */
enum storage_status writer_look_after(struct storage_session *session, const bson_t *lock,
                                      bool *completed, struct storage_error *error);

#endif
