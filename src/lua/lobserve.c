/* SPDX-License-Identifier: MIT */
/* Reports each transfer to Lua, for --trace and --pcap.
 *
 * The function is called from inside the loop, on a Lua thread of its own; it can't wait.  An error
 * in it ends the observing, and nothing else. */
#include "lua/lobserve.h"

#include <lauxlib.h>
#include <stdio.h>

#include "dfu/board.h"
#include "lua/context.h"
#include "loop/loop.h"
#include "lua/lboard_run.h"

/* Registry keys of the function and of its thread. */
static const char function_key, thread_key;

struct sight {
    const struct board *board;
    const struct usb_setup *setup;
    const uint8_t *data;
    int result;
    double started;
};

static size_t bytes_seen(const struct sight *sight)
{
    if (!(sight->setup->type & USB_IN))
        return sight->setup->length;
    return sight->result > 0 ? (size_t)sight->result : 0;
}

/* Calls the function.  Runs protected: pushing the arguments may fail as well. */
static int tell(lua_State *L)
{
    const struct sight *sight = lua_touserdata(L, 1);
    const struct usb_setup *setup = sight->setup;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &function_key);
    lua_pushstring(L, sight->board->path);
    lua_pushinteger(L, sight->board->generation);
    lua_pushnumber(L, sight->started);
    lua_pushnumber(L, loop_now(sight->board->loop) - sight->started);
    if (sight->result < 0)
        lua_pushstring(L, lboard_result_name(sight->result));
    else
        lua_pushinteger(L, sight->result);
    if (!setup) {
        lua_call(L, 5, 0);
        return 0;
    }
    lua_pushinteger(L, setup->type);
    lua_pushinteger(L, setup->request);
    lua_pushinteger(L, setup->value);
    lua_pushinteger(L, setup->index);
    lua_pushinteger(L, setup->length);
    lua_pushlstring(L, sight->data ? (const char *)sight->data : "", bytes_seen(sight));
    lua_call(L, 11, 0);
    return 0;
}

static void saw(void *arg, const struct board *board, const struct usb_setup *setup,
                const uint8_t *data, int result, double started)
{
    lua_State *L = arg;
    struct sight sight = { board, setup, data, result, started };
    lua_pushcfunction(L, tell);
    lua_pushlightuserdata(L, &sight);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK)
        return;
    const char *why = lua_tostring(L, -1);
    fprintf(stderr, "moonflash: internal error, tracing stopped: %s\n", why ? why : "?");
    lua_pop(L, 1);
    context_of(L)->observer->saw = NULL;
}

int link_observe(lua_State *L)
{
    struct context *context = context_of(L);
    bool off = lua_isnoneornil(L, 1);
    if (!off)
        luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &function_key);
    context->observer->saw = NULL;
    if (off)
        return 0;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &thread_key) == LUA_TNIL) {
        lua_newthread(L); /* never freed: this call may come from it */
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &thread_key);
    }
    *context->observer = (struct board_observer){ saw, lua_tothread(L, -1) };
    return 0;
}
