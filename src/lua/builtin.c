/* SPDX-License-Identifier: MIT */
#include "lua/builtin.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "lua/context.h"

static int push_file(lua_State *L, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    size_t n;
    do {
        n = fread(luaL_prepbuffer(&buffer), 1, LUAL_BUFFERSIZE, file);
        luaL_addsize(&buffer, n);
    } while (n > 0);
    fclose(file);
    luaL_pushresult(&buffer);
    return 1;
}

int builtin_push(lua_State *L, const char *name)
{
    const char *tree = context_of(L)->source_tree;
    if (tree && !strstr(name, "..")) {
        const char *path = lua_pushfstring(L, "%s/%s", tree, name);
        if (push_file(L, path)) {
            lua_pushfstring(L, "@%s", path);
            lua_remove(L, -3);
            return 2;
        }
        lua_pop(L, 1);
    }
    for (const struct builtin *file = builtin_files; file->name; file++) {
        if (strcmp(file->name, name) != 0)
            continue;
        lua_pushlstring(L, (const char *)file->text, file->length);
        lua_pushfstring(L, "@%s", name);
        return 2;
    }
    lua_pushnil(L);
    return 1;
}

/* A searcher: "moonflash.image" is lua/moonflash/image.lua or lua/moonflash/image/init.lua. */
static int search(lua_State *L)
{
    static const char *const patterns[] = { "lua/%s.lua", "lua/%s/init.lua" };
    const char *module = luaL_checkstring(L, 1);
    const char *path = luaL_gsub(L, module, ".", "/");
    for (int i = 0; i < 2; i++) {
        lua_settop(L, 2);
        const char *name = lua_pushfstring(L, patterns[i], path);
        if (builtin_push(L, name) == 1)
            continue;
        size_t length;
        const char *text = lua_tolstring(L, -2, &length);
        const char *chunk = lua_tostring(L, -1);
        if (luaL_loadbufferx(L, text, length, chunk, "t") != LUA_OK)
            return lua_error(L);
        lua_pushvalue(L, -2);
        return 2;
    }
    lua_pushfstring(L, "no built-in file 'lua/%s.lua'", path);
    return 1;
}

void builtin_open(lua_State *L)
{
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "insert");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    lua_remove(L, -2);
    lua_pushinteger(L, 2); /* after package.preload */
    lua_pushcfunction(L, search);
    lua_call(L, 3, 0);
    lua_pop(L, 1);
}
