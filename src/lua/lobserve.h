/* SPDX-License-Identifier: MIT */
#ifndef LOBSERVE_H
#define LOBSERVE_H

#include <lua.h>

/*** link.observe(f?): from now on calls f for each transfer that has ended; nil: calls none. */
int link_observe(lua_State *L);

#endif
