/* SPDX-License-Identifier: MIT */
#ifndef LUSBIP_H
#define LUSBIP_H

#include <lua.h>

/* Adds serve() to the module `sim`, the table on the top. [-0, +0, m] */
void lusbip_open(lua_State *L);

#endif
