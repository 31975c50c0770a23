/* SPDX-License-Identifier: MIT */
/* Error objects, which failed operations raise: tables, made here for C and Lua.
 * lua/moonflash/errors.lua has the meaning of the codes. */
#ifndef ERROR_H
#define ERROR_H

#include <lua.h>

/* Makes the metatable. [-0, +0, m] */
void error_open(lua_State *L);

/* Pushes { code = code, message = <formatted as by lua_pushfstring> }. [-0, +1, m] */
void error_push(lua_State *L, const char *code, const char *format, ...);

/* Sets a field of the error object on the top, unless value is NULL. [-0, +0, m] */
void error_set(lua_State *L, const char *field, const char *value);

/* Returns true if the value at the index is an error object. */
int error_is(lua_State *L, int index);

/* The Lua function that makes an error object from a table of its fields. [-0, +1, e] */
int error_new(lua_State *L);

#endif
