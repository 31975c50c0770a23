/* SPDX-License-Identifier: MIT */
/* moonflash's Lua library under libFuzzer: a Lua state with the modules of lua/ in this tree, and a
 * script of this folder, which gets the name of a file in memory and returns check(bytes).  The
 * claims of every script:
 *
 *   - check() raises nothing: what may be raised, it catches;
 *   - it needs no more than MEMORY_MOST bytes beside the library, and lines in proportion to its
 *     input, so that hostile bytes cost neither memory nor time.
 *
 * liblua is not instrumented.  What libFuzzer sees of the library is which lines follow which.
 */
#ifndef LUARIG_H
#define LUARIG_H

#include "fuzz.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>
#include <sys/mman.h>

#include "lua/builtin.h"
#include "lua/error.h"
#include "lua/context.h"
#include "lua/lsys.h"

enum { LINE_COUNTERS = 1 << 15 };

#define MEMORY_MOST    (64u << 20) /* bytes, of one check */
#define MEMORY_IDLE    (16u << 20) /* bytes of garbage that may lie about between two checks */
#define LINES_MOST     1000000u    /* of one check, */
#define LINES_PER_BYTE 300u        /* and more for each byte of input */

__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t line_counters[LINE_COUNTERS];

static struct {
    lua_State *L;
    size_t used, most, idle; /* bytes */
    size_t lines, lines_most;
    uint32_t last_line;
} luarig;

static inline void *luarig_allocate(void *arg, void *block, size_t old_size, size_t size)
{
    (void)arg;
    size_t old = block ? old_size : 0;
    if (size == 0) {
        free(block);
        luarig.used -= old;
        return NULL;
    }
    if (size > old && luarig.used + (size - old) > luarig.most)
        return NULL; /* Lua collects its garbage, and tries once more */
    void *moved = realloc(block, size);
    if (moved)
        luarig.used += size - old;
    return moved;
}

/* The Lua state lives as long as the process: looking for leaks behind each input only costs. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* Counts a line, by the one before it.  The two numbers tell well enough which file they are of;
 * to ask for its name would take longer than all else. */
__attribute__((no_sanitize("address", "undefined", "coverage"))) static inline void
luarig_line(lua_State *L, lua_Debug *where)
{
    uint32_t line = (uint32_t)where->currentline;
    line_counters[(line * 2654435761u ^ luarig.last_line * 40503u) % LINE_COUNTERS]++;
    luarig.last_line = line;
    if (++luarig.lines > luarig.lines_most) {
        luaL_traceback(L, L, "too many lines", 0);
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        CLAIM(luarig.lines <= luarig.lines_most);
    }
}

static inline int luarig_open_errors(lua_State *L)
{
    lua_pushcfunction(L, error_new);
    return 1;
}

static inline void luarig_preload(lua_State *L, const char *name, lua_CFunction open)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* The message of what was raised, with a traceback; an error object has one. */
static inline int luarig_message(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

/* Calls the function below `arguments` on the stack, which must not raise. */
static inline void luarig_call(lua_State *L, int arguments, int results)
{
    int handler = lua_gettop(L) - arguments;
    lua_pushcfunction(L, luarig_message);
    lua_insert(L, handler);
    int status = lua_pcall(L, arguments, results, handler);
    if (status != LUA_OK)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    CLAIM(status != LUA_ERRMEM);
    CLAIM(status == LUA_OK);
    lua_remove(L, handler);
}

/* What main.c gives the library, as far as files and descriptors need it. */
static inline void luarig_open(const char *script)
{
    static char tree[] = MOONFLASH_TREE;
    static struct context context = { .source_tree = tree };
    luarig.most = SIZE_MAX;
    luarig.lines_most = SIZE_MAX;
    lua_State *L = luarig.L = lua_newstate(luarig_allocate, NULL);
    *(struct context **)lua_getextraspace(L) = &context;
    luaL_openlibs(L);
    error_open(L);
    builtin_open(L);
    luarig_preload(L, "moonflash.system", luaopen_sys);
    luarig_preload(L, "moonflash.error", luarig_open_errors);
    lua_pushfstring(L, "%s/tests/fuzz/%s", tree, script);
    CLAIM(luaL_loadfile(L, lua_tostring(L, -1)) == LUA_OK);
    lua_pushfstring(L, "/proc/self/fd/%d", memfd_create("input", MFD_CLOEXEC));
    luarig_call(L, 1, 1);
    lua_sethook(L, luarig_line, LUA_MASKLINE, 0);
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCSTOP); /* but for luarig_check, and where memory comes to its end */
    luarig.idle = luarig.used;
}

/* check(bytes) */
static inline void luarig_check(const uint8_t *data, size_t size)
{
    lua_State *L = luarig.L;
    if (luarig.used > luarig.idle + MEMORY_IDLE)
        lua_gc(L, LUA_GCCOLLECT);
    luarig.most = luarig.used + MEMORY_MOST;
    luarig.lines = luarig.last_line = 0;
    luarig.lines_most = LINES_MOST + size * LINES_PER_BYTE;
    lua_pushvalue(L, -1);
    lua_pushlstring(L, (const char *)data, size);
    luarig_call(L, 1, 0);
    trace("%zu lines\n", luarig.lines);
}

#endif
