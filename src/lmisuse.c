/* SPDX-License-Identifier: MIT */
#include "lmisuse.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>

/* Pushes "script.lua:12: " of the function that called the library; "" where there is none, as
 * behind a tail call.  Lua's own luaL_where takes a number of levels, and who called may be Lua of
 * the library's. [-0, +1, e] */
static void push_position(lua_State *L)
{
    lua_Debug about;
    for (int level = 1; lua_getstack(L, level, &about); level++) {
        lua_getinfo(L, "Sl", &about);
        if (strcmp(about.what, "C") == 0 || strstr(about.source, "lua/moonflash/"))
            continue;
        if (about.currentline > 0) {
            lua_pushfstring(L, "%s:%d: ", about.short_src, about.currentline);
            return;
        }
        break;
    }
    lua_pushliteral(L, "");
}

int misuse(lua_State *L, const char *format, ...)
{
    va_list list;
    push_position(L);
    va_start(list, format);
    lua_pushvfstring(L, format, list);
    va_end(list);
    lua_concat(L, 2);
    return lua_error(L);
}

int misuse_argument(lua_State *L, const char *method, int index, const char *what)
{
    return misuse(L, "bad argument #%d to '%s' (%s)", index - 1, method, what);
}

static int misuse_type(lua_State *L, const char *method, int index, const char *expected)
{
    return misuse_argument(
        L, method, index,
        lua_pushfstring(L, "%s expected, got %s", expected, luaL_typename(L, index)));
}

lua_Integer method_integer(lua_State *L, const char *method, int index)
{
    int is_integer;
    lua_Integer value = lua_tointegerx(L, index, &is_integer);
    if (!is_integer && lua_isnumber(L, index))
        misuse_argument(L, method, index, "number has no integer representation");
    else if (!is_integer)
        misuse_type(L, method, index, "number");
    return value;
}

const char *method_string(lua_State *L, const char *method, int index, size_t *length)
{
    const char *value = lua_tolstring(L, index, length);
    if (!value)
        misuse_type(L, method, index, "string");
    return value;
}

void method_check(lua_State *L, bool condition, const char *method, int index, const char *what)
{
    if (!condition)
        misuse_argument(L, method, index, what);
}
