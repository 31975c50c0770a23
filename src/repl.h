/* SPDX-License-Identifier: MIT */
#ifndef REPL_H
#define REPL_H

#include <lua.h>

/* Registers module `prompt`: lines that a person types, while the loop goes on. [-0, +1, m] */
int luaopen_prompt(lua_State *L);

#endif
