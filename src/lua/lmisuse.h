/* SPDX-License-Identifier: MIT */
/* Misuse: a mistake in a script is a plain Lua error with the position of the script's line that
 * called the library; lua/moonflash/base/misuse.lua raises the same. */
#ifndef LMISUSE_H
#define LMISUSE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Pushes the place of the script's function that is running, "script.lua:12"; or "", if there is
 * none, as behind a tail call. [-0, +1, e] */
void push_place(lua_State *L);

/* Raises. [-0, +0, v] */
__attribute__((format(printf, 2, 3))) int misuse(lua_State *L, const char *format, ...);

/* Returns the object of a method: the userdata of that type at index 1.  Where it is another value,
 * as in `board.close()`, raises misuse that shows the call with the colon. [-0, +0, v] */
void *method_self(lua_State *L, const char *type);

/* Raises for a bad argument of a method.  The message counts without the object, which is at
 * index 1. */
int misuse_argument(lua_State *L, const char *method, int index, const char *what);

/* luaL_checkinteger, luaL_checklstring and luaL_argcheck for methods. [-0, +0, e] */
lua_Integer method_integer(lua_State *L, const char *method, int index);
const char *method_string(lua_State *L, const char *method, int index, size_t *length);
void method_check(lua_State *L, bool condition, const char *method, int index, const char *what);

#endif
