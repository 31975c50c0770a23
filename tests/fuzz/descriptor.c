/* SPDX-License-Identifier: MIT */
/* Descriptors, strings and memory layouts of any bytes: see descriptor.lua for the claims, luarig.h
 * for what holds besides.  An input is what a device sends, for whichever of them.
 */
#include "luarig.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    luarig_open("descriptor.lua");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    luarig_check(data, size);
    return 0;
}
