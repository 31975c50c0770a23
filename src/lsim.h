/* SPDX-License-Identifier: MIT */
#ifndef LSIM_H
#define LSIM_H

#include <lua.h>

/* Registers the C half of module `sim` (the other is lua/moonflash/sims.lua). [-0, +1, m] */
int luaopen_sim(lua_State *L);

#endif
