/* SPDX-License-Identifier: MIT */
#include "lua/lmisuse.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>

/* luaL_where needs the number of levels, which differs: the caller may be Lua code of the library.
 */
void push_place(lua_State *L)
{
    lua_Debug about;
    for (int level = 0; lua_getstack(L, level, &about); level++) {
        lua_getinfo(L, "Sl", &about);
        if (strcmp(about.what, "C") == 0 || strstr(about.source, "lua/moonflash/"))
            continue;
        if (about.currentline > 0) {
            lua_pushfstring(L, "%s:%d", about.short_src, about.currentline);
            return;
        }
        break;
    }
    lua_pushliteral(L, "");
}

/* Pushes the same, to begin a message with: "script.lua:12: ". [-0, +1, e] */
static void push_position(lua_State *L)
{
    push_place(L);
    if (*lua_tostring(L, -1)) {
        lua_pushliteral(L, ": ");
        lua_concat(L, 2);
    }
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

/* Pushes the name of the running function in the method table of the class, or nil. [-0, +1, e] */
static void push_method_name(lua_State *L, const char *type)
{
    lua_Debug about;
    luaL_getmetatable(L, type);
    lua_getfield(L, -1, "__index");
    if (lua_iscfunction(L, -1))
        lua_getupvalue(L, -1, 1);
    int methods = lua_gettop(L);
    lua_getstack(L, 0, &about);
    lua_getinfo(L, "f", &about);
    for (lua_pushnil(L); lua_next(L, methods); lua_pop(L, 1))
        if (lua_rawequal(L, -1, methods + 1)) {
            lua_pop(L, 1);
            return;
        }
    lua_pushnil(L);
}

void *method_self(lua_State *L, const char *type)
{
    void *self = luaL_testudata(L, 1, type);
    if (self)
        return self;
    const char *class = strrchr(type, '.') + 1;
    const char *got = luaL_typename(L, 1);
    if (luaL_getmetafield(L, 1, "__name") == LUA_TSTRING)
        got = lua_tostring(L, -1);
    push_method_name(L, type);
    const char *method = lua_tostring(L, -1);
    if (!method)
        misuse(L, "%s expected, got %s", class, got);
    else
        misuse(L, "%s expected, got %s; write %c%s:%s(...), with the colon", class, got,
               *class | 0x20, class + 1, method);
    return NULL;
}

/* How the methods are called whose arguments are confused. */
static const char *usage_of(const char *method)
{
    static const struct {
        const char *method, *usage;
    } usages[] = {
        { "read", "board:read(address, length)" },
        { "write", "board:write(address, data)" },
        { "erase_page", "board:erase_page(address)" },
        { "set_address", "board:set_address(address)" },
        { "download_block", "board:download_block(number, data)" },
        { "upload_block", "board:upload_block(number, length)" },
    };
    for (size_t i = 0; i < sizeof usages / sizeof *usages; i++)
        if (strcmp(method, usages[i].method) == 0)
            return usages[i].usage;
    return NULL;
}

int misuse_argument(lua_State *L, const char *method, int index, const char *what)
{
    const char *usage = usage_of(method);
    return misuse(L, "bad argument #%d to '%s' (%s)%s%s", index - 1, method, what,
                  usage ? "; it is " : "", usage ? usage : "");
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
    if (!value && lua_istable(L, index) && strcmp(method, "write") == 0)
        misuse(L,
               "board:write(address, data): data is a string, not a table; an image is written by "
               "flash.write(board, image)");
    if (!value)
        misuse_type(L, method, index, "string");
    return value;
}

void method_check(lua_State *L, bool condition, const char *method, int index, const char *what)
{
    if (!condition)
        misuse_argument(L, method, index, what);
}
