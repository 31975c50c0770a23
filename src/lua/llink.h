/* SPDX-License-Identifier: MIT */
#ifndef LLINK_H
#define LLINK_H

#include <lua.h>

/* Makes class Board, and pushes the module moonflash.link: what lua/moonflash/board/ finds and
 * opens boards with. [-0, +1, m] */
int luaopen_link(lua_State *L);

#endif
