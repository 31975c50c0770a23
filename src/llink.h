/* SPDX-License-Identifier: MIT */
#ifndef LLINK_H
#define LLINK_H

#include <lua.h>

/* Makes class Board, and pushes the private functions out of which lua/moonflash/boards.lua makes
 * the module `dfu`. [-0, +1, m] */
int luaopen_link(lua_State *L);

#endif
