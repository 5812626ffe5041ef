/* process.h: what this process takes of the machine. Any thread; reads /proc, where there is one. */
#ifndef MONGREY_PROCESS_H
#define MONGREY_PROCESS_H

#include <stdint.h>

/* What cannot be read is 0. */
struct process {
    uint64_t resident; /* bytes */
    uint64_t virtual;  /* bytes */
    uint64_t cpu;      /* ms, user and system, all threads */
    uint64_t fds;      /* open descriptors */
    uint64_t most_fds;
};

void process_read(struct process *process);
/* Bytes of the machine's memory. */
uint64_t process_machine_memory(void);

#endif
