/* SPDX-License-Identifier: MIT */
#ifndef LGATE_H
#define LGATE_H

#include <lua.h>

/* Adds gate() to the module `task`, the table on the top. [-0, +0, m] */
void lgate_open(lua_State *L);

#endif
