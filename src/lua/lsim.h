/* SPDX-License-Identifier: MIT */
#ifndef LSIM_H
#define LSIM_H

#include <lua.h>

/* Opens the C half of module `sim`; lua/moonflash/sim/init.lua is the other. [-0, +1, m] */
int luaopen_sim(lua_State *L);

#endif
