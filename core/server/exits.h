/* exits.h: exit statuses of mongrey's programs. */
#ifndef MONGREY_EXITS_H
#define MONGREY_EXITS_H

#define EXIT_FINE 0
#define EXIT_FAILED 1
#define EXIT_WRONG_USE 2
#define EXIT_CONFIG 78 /* EX_CONFIG of sysexits(3): the configuration is bad */

#endif
