/*
 * breaks.h: the faults that the memory driver makes on purpose when it is opened with ?break=NAME.
 *
 * A conformance suite that passes everything proves nothing. Each of these is one rule of storage.h
 * broken in one place; tests/conformance/notices.c checks that the suite notices every one. The
 * list is here once: the enum, the names in the URL and the test are all made from it.
 */
#ifndef MONGREY_MEMORY_BREAKS_H
#define MONGREY_MEMORY_BREAKS_H

/* clang-format off */
#define MEMORY_BREAKS(X)                                                                           \
    X(GREY_EARLY, "grey-early")           /* lets pass 1 ms before the delay is over */            \
    X(GREY_LATE, "grey-late")             /* not yet when the delay is just over */                \
    X(WAITED_DELAY, "waited-delay")       /* notes the delay, not what was waited */               \
    X(DEAD_LIVES, "dead-lives")           /* expires == now still counts as live */                \
    X(PENDING_FOREVER, "pending-forever") /* what has not passed never expires */                  \
    X(FIRST_SEEN_MOVES, "first-seen-moves")     /* each try starts the wait again */               \
    X(FIRST_SEEN_STAYS, "first-seen-stays")     /* not lowered when the clock goes back */         \
    X(LAST_SEEN_BACK, "last-seen-back")         /* lowered when the clock goes back */             \
    X(STEP_LAST, "step-last")                   /* lowers it only after looking at the delay */    \
    X(ALTERNATES_IGNORED, "alternates-ignored")                                                    \
    X(ALTERNATES_FIRST, "alternates-first")     /* the first that lives, not the best */           \
    X(OWN_NOT_PREFERRED, "own-not-preferred")   /* an older alternate before the own passed */     \
    X(ALTERNATE_WRITTEN, "alternate-written")   /* changed where it was found */                   \
    X(ORIGIN_MISSING, "origin-missing")                                                            \
    X(COUNT_ONE, "count-one")                   /* doubles are not counted */                      \
    X(COUNTS_WRAP, "counts-wrap")               /* beyond UINT32_MAX they begin at 0 again */      \
    X(SLIDE_ALWAYS, "slide-always")                                                                \
    X(SLIDE_NEVER, "slide-never")                                                                  \
    X(TOUCH_MAKES, "touch-makes")               /* makes a row that is not there */                \
    X(TOUCH_PENDING, "touch-pending")           /* lets pass what has not passed */                \
    X(LEARN_FORGETS, "learn-forgets")           /* sets waited back */                             \
    X(MERGE_TWICE, "merge-twice")                                                                  \
    X(MERGE_ONE_ORIGIN, "merge-one-origin")     /* remembers only the last origin */               \
    X(MERGE_LATEST_FIRST, "merge-latest-first") /* takes the later first_seen */                   \
    X(MERGE_DEAD, "merge-dead")                 /* merges what has expired */                      \
    X(MERGE_UNREAD, "merge-unread")             /* a row that it makes keeps no reading */         \
    X(MERGE_READING, "merge-reading")           /* replaces the reading of a row that is there */  \
    X(GAP_ZERO, "gap-zero")                     /* not always: not where the clock goes back */    \
    X(COUNT_NO_GAP, "count-no-gap")                                                                \
    X(COUNT_ZERO_SLIDES, "count-zero-slides")   /* a mere look lengthens the life */               \
    X(COUNT_LAST_SEEN, "count-last-seen")       /* what did not count still moves last_seen */     \
    X(PAIR_DOUBLES, "pair-doubles")                                                                \
    X(PAIR_UNBOUNDED, "pair-unbounded")                                                            \
    X(PAIR_WINDOW_SLIDES, "pair-window-slides")                                                    \
    X(TAKE_LEAVES, "take-leaves")                                                                  \
    X(TAKE_ANY, "take-any")                     /* takes what has not reached the count */         \
    X(ON_PASS_ALWAYS, "on-pass-always")                                                            \
    X(ON_PASS_NEVER, "on-pass-never")                                                              \
    X(ON_PASS_ONCE, "on-pass-once")             /* two in one moment count as one */               \
    X(LOOK_WRITES, "look-writes")                                                                  \
    X(LOOK_ON_PASS, "look-on-pass")                                                                \
    X(LOOK_MIXED, "look-mixed")                 /* takes looks beside other sightings */           \
    X(EXEMPT_ANY, "exempt-any")                 /* whatever the count */                           \
    X(EXEMPT_WRITES, "exempt-writes")           /* makes the row all the same */                   \
    X(READING_LAST, "reading-last")             /* kept of every sighting */                       \
    X(BATCH_HALF, "batch-half")                 /* refuses after having done some */               \
    X(BATCH_UNSORTED, "batch-unsorted")                                                            \
    X(BATCH_INTERLEAVED, "batch-interleaved")   /* wants entries and counters in one order */      \
    X(RACE, "race")                             /* reads, waits, writes */                         \
    X(UNIQUE_IGNORED, "unique-ignored")                                                            \
    X(UNIQUE_CONFLICT, "unique-conflict")       /* says CONFLICT where it is EXISTS */             \
    X(INDEXED_LONG, "indexed-long")             /* takes a text longer than STORAGE_INDEXED_MAX */ \
    X(CHANGE_HALF, "change-half")               /* refuses after having done some */               \
    X(VERSION_UNTOLD, "version-untold")         /* does not say the new version */                 \
    X(VERSION_IGNORED, "version-ignored")                                                          \
    X(EMPTY_NULL, "empty-null")                 /* an empty text comes back as NULL */             \
    X(TEXT_CUT, "text-cut")                     /* 65535 bytes at most */                          \
    X(REVISION_STAYS, "revision-stays")                                                            \
    X(REVISION_EACH, "revision-each")           /* moves once for each change of a call */         \
    X(REVISION_QUIET, "revision-quiet")         /* moves for quiet kinds as well */                \
    X(REVISION_ENTRY, "revision-entry")         /* stays when an entry is erased */                \
    X(NULL_UNEQUAL, "null-unequal")             /* EQ does not find NULL */                        \
    X(NULL_LESS, "null-less")                   /* LT finds NULL */                                \
    X(NULL_HIGHEST, "null-highest")                                                                \
    X(TIES_ASCEND, "ties-ascend")               /* also where the order descends */                \
    X(PAGE_REPEATS, "page-repeats")             /* begins with the last one's end */               \
    X(LETTER_CASE, "letter-case")               /* CONTAINS tells letters apart */                 \
    X(PURGE_LIVING, "purge-living")                                                                \
    X(PURGE_UNBOUNDED, "purge-unbounded")                                                          \
    X(PURGE_ENTRIES_ONLY, "purge-entries-only")                                                    \
    X(TALLY_ALL_PASSED, "tally-all-passed")     /* those that did not wait as well */              \
    X(TALLY_PENDING, "tally-pending")           /* those that have not passed as well */           \
    X(READ_ONLY_IGNORED, "read-only-ignored")                                                      \
    X(REOPEN_EMPTY, "reopen-empty")             /* forgets all when the last one closes it */
/* clang-format on */

enum memory_break {
#define MEMORY_BREAK_VALUE(symbol, text) MEMORY_BREAK_##symbol,
    MEMORY_BREAKS(MEMORY_BREAK_VALUE)
#undef MEMORY_BREAK_VALUE
        MEMORY_BREAKS_COUNT,
    MEMORY_BREAK_NONE = MEMORY_BREAKS_COUNT
};

#endif
