/* SPDX-License-Identifier: MIT */
#ifndef LCHANNEL_H
#define LCHANNEL_H

#include <lua.h>

/* Opens module `outside`: programs, serial ports and standard input, for
 * lua/moonflash/sys/init.lua.
 * [-0, +1, m] */
int luaopen_outside(lua_State *L);

#endif
