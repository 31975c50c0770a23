/* SPDX-License-Identifier: MIT */
#ifndef LHTTP_H
#define LHTTP_H

#include <lua.h>

/* Opens module `http`. [-0, +1, m] */
int luaopen_http(lua_State *L);

#endif
