/* SPDX-License-Identifier: MIT */
#ifndef LCHANNEL_H
#define LCHANNEL_H

#include <lua.h>

/* C's half of what stands around a board, for lua/moonflash/around.lua: programs, serial ports and
 * standard input. [-0, +1, m] */
int luaopen_outside(lua_State *L);

#endif
