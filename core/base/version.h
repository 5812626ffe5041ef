/* version.h: what `--version` and the X-Greylist header say. */
#ifndef MONGREY_VERSION_H
#define MONGREY_VERSION_H

#define MONGREY_VERSION "0.5.0"

#endif
