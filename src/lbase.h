/* SPDX-License-Identifier: MIT */
#ifndef LBASE_H
#define LBASE_H

#include <lua.h>

/* Puts functions in the place of pcall, xpcall, coroutine.*, os.exit that let waits and
 * cancelling pass through. [-0, +0, m] */
void lbase_open(lua_State *L);

#endif
