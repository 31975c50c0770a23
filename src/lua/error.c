/* SPDX-License-Identifier: MIT */
#include "lua/error.h"

#include <lauxlib.h>
#include <stdarg.h>

#define ERROR_TYPE "moonflash.error"

/* Returns the message, for print and for error handlers. */
static int error_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    luaL_tolstring(L, -1, NULL);
    return 1;
}

void error_open(lua_State *L)
{
    luaL_newmetatable(L, ERROR_TYPE);
    lua_pushcfunction(L, error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}

void error_push(lua_State *L, const char *code, const char *format, ...)
{
    luaL_checkstack(L, 4, NULL);
    lua_createtable(L, 0, 8);
    lua_pushstring(L, code);
    lua_setfield(L, -2, "code");
    va_list arguments;
    va_start(arguments, format);
    lua_pushvfstring(L, format, arguments);
    va_end(arguments);
    lua_setfield(L, -2, "message");
    luaL_setmetatable(L, ERROR_TYPE);
}

void error_set(lua_State *L, const char *field, const char *value)
{
    if (!value)
        return;
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
}

int error_is(lua_State *L, int index)
{
    if (!lua_istable(L, index) || !lua_getmetatable(L, index))
        return 0;
    luaL_getmetatable(L, ERROR_TYPE);
    int same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

int error_new(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getfield(L, 1, "code") != LUA_TSTRING || lua_getfield(L, 1, "message") != LUA_TSTRING)
        return luaL_error(L, "an error has a code and a message");
    lua_settop(L, 1);
    luaL_setmetatable(L, ERROR_TYPE);
    return 1;
}
