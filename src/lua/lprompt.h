/* SPDX-License-Identifier: MIT */
#ifndef LPROMPT_H
#define LPROMPT_H

#include <lua.h>

/* Opens module `prompt`: reads lines from a terminal while the loop runs. [-0, +1, m] */
int luaopen_prompt(lua_State *L);

#endif
