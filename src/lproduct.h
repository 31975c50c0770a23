/* SPDX-License-Identifier: MIT */
/* Kinds of simulated board that are made at run time, from tables of Lua's. */
#ifndef LPRODUCT_H
#define LPRODUCT_H

#include <lua.h>

struct simproduct;

/* Makes one of the table at the index, which lua/moonflash/product.lua has checked; nothing may be
 * raised from then on until it is dropped.  [-0, +1, e]: what is left on the stack is of no use. */
struct simproduct *lproduct_new(lua_State *L, int index);

#endif
