/* SPDX-License-Identifier: MIT */
/* Decodes the hex digits of text formats of images, for module `sys`: in Lua, this took most of the
 * time of loading an image.
 */
#ifndef LHEX_H
#define LHEX_H

#include <lua.h>

int lhex_unhex(lua_State *L);
int lhex_unhex_run(lua_State *L);

#endif
