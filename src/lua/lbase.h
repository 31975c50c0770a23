/* SPDX-License-Identifier: MIT */
#ifndef LBASE_H
#define LBASE_H

#include <lua.h>

/* Replaces pcall, xpcall, coroutine.* and os.exit by functions that let waits and cancellations
 * pass through. [-0, +0, m] */
void lbase_open(lua_State *L);

#endif
