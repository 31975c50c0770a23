/* SPDX-License-Identifier: MIT */
/* Hex digits of the text formats of images, for module `sys`: in Lua they would be most of the time
 * that loading an image takes.
 */
#ifndef LHEX_H
#define LHEX_H

#include <lua.h>

int lhex_unhex(lua_State *L);
int lhex_unhex_run(lua_State *L);

#endif
