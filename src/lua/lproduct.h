/* SPDX-License-Identifier: MIT */
/* Kinds of simulated board that are made at run time, from Lua tables. */
#ifndef LPRODUCT_H
#define LPRODUCT_H

#include <lua.h>

struct simproduct;

/* Makes a product from the table at the index, which lua/moonflash/sim/product.lua has checked. The
 * caller drops it, and raises nothing before that.  Leaves one value to be popped. [-0, +1, e] */
struct simproduct *lproduct_new(lua_State *L, int index);

#endif
