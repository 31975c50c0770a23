/* SPDX-License-Identifier: MIT */
#ifndef LSQLITE_H
#define LSQLITE_H

#include <lua.h>

/* Opens module `sqlite`. [-0, +1, m] */
int luaopen_sqlite(lua_State *L);

#endif
