/* daemon.h: what makes a program a daemon: detaching, the pid file, another user. */
#ifndef MONGREY_DAEMON_H
#define MONGREY_DAEMON_H

#include <stdbool.h>

/* Forks. In the parent it waits until the child is ready, or has failed, and exits with its status;
 * it returns in the child only. False: it could not fork. */
bool daemon_detach(void);
/* In the child: lets the parent go (exit status 0), and leaves the terminal, standard error too if
 * `close_console`. Without a daemon_detach() before it, it does nothing. */
void daemon_ready(bool close_console);

/* Writes and locks the pid file; false, and logged, where another one holds it. */
bool daemon_write_pid(const char *path);
void daemon_remove_pid(void);

/* Becomes another user for good, with its groups. */
bool daemon_become(const char *user);

#endif
