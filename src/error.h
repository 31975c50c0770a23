/* SPDX-License-Identifier: MIT */
/* Error objects: what an operation that failed raises.  One kind of table, made here for C and
 * Lua; lua/moonflash/errors.lua has what the codes mean. */
#ifndef ERROR_H
#define ERROR_H

#include <lua.h>

/* Makes the metatable. [-0, +0, m] */
void error_open(lua_State *L);

/* Pushes { code = code, message = <formatted as by lua_pushfstring> }. [-0, +1, m] */
void error_push(lua_State *L, const char *code, const char *format, ...);

/* Sets a field of the error object on the top, unless value is NULL. [-0, +0, m] */
void error_set(lua_State *L, const char *field, const char *value);

/* Whether the value at the index is an error object. */
int error_is(lua_State *L, int index);

/* The Lua function that makes one from a table of its fields. [-0, +1, e] */
int error_new(lua_State *L);

#endif
