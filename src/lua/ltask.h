/* SPDX-License-Identifier: MIT */
#ifndef LTASK_H
#define LTASK_H

#include <lua.h>

/* Opens module `task`. [-0, +1, m] */
int luaopen_task(lua_State *L);

#endif
