/* SPDX-License-Identifier: MIT */
#ifndef LDFU_H
#define LDFU_H

#include <lua.h>

/* Registers class Board. The module `dfu` is made of it by lua/moonflash/boards.lua, through the
 * private functions that this pushes. [-0, +1, m] */
int luaopen_link(lua_State *L);

#endif
