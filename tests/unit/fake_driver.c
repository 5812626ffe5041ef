/*
 * fake_driver.c: a storage driver that can only be loaded, for test_loader.c. Each fake is this
 * file compiled with other macros:
 *
 *   FAKE_SYMBOL   storage_driver_NAME
 *   FAKE_NAME     what it says its name is
 *   FAKE_SCHEME   the one scheme that it knows
 *   FAKE_ABI      default STORAGE_ABI
 *   FAKE_SIZE     default the size of struct storage_driver
 */
#include "include/storage.h"

#ifndef FAKE_ABI
#define FAKE_ABI STORAGE_ABI
#endif
#ifndef FAKE_SIZE
#define FAKE_SIZE sizeof(struct storage_driver)
#endif

static const char *library(void)
{
    return "fake 1.0";
}

static const char *const schemes[] = {FAKE_SCHEME, NULL};

extern const struct storage_driver FAKE_SYMBOL;
const struct storage_driver FAKE_SYMBOL = {
    .abi = FAKE_ABI,
    .size = FAKE_SIZE,
    .name = FAKE_NAME,
    .schemes = schemes,
    .writers = 1,
    .batch = 1,
    .library = library,
};
