/* SPDX-License-Identifier: MIT */
#ifndef LSYS_H
#define LSYS_H

#include <lua.h>

/* Opens the C half of module `sys`: files, terminals, time; lua/moonflash/sys/init.lua has the
 * rest.
 * [-0, +1, m] */
int luaopen_sys(lua_State *L);

#endif
