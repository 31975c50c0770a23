/* SPDX-License-Identifier: MIT */
#ifndef LOBSERVE_H
#define LOBSERVE_H

#include <lua.h>

/*** link.observe(f?): from now on f hears of each transfer that has ended; nil: nobody does. */
int link_observe(lua_State *L);

#endif
