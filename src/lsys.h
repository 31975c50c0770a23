/* SPDX-License-Identifier: MIT */
#ifndef LSYS_H
#define LSYS_H

#include <lua.h>

/* Registers module `sys`: what a terminal program needs and Lua lacks. [-0, +1, m] */
int luaopen_sys(lua_State *L);

#endif
