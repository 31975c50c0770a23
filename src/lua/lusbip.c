/* SPDX-License-Identifier: MIT */
/* Simulated boards offered over USB/IP, for Lua.
 *
 *   sim.serve(address, port, paths, options) --> Server
 *   server:event() --> { event=, ... }, or nil   server:close()
 *   server.address  server.port
 */
#include "lua/lusbip.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/context.h"
#include "lua/error.h"
#include "lua/lmisuse.h"
#include "loop/loop.h"
#include "lua/task.h"
#include "usbip/usbip.h"
#include "usbip/usbipmsg.h"

#define SERVER_TYPE "sim.Server"

/* The one task that may wait for an event. */
struct waiter {
    struct wait wait;
    struct lserver *server;
};

struct lserver {
    struct usbip *usbip; /* NULL: closed */
    struct waiter *waiter;
    char address[64];
};

static struct lserver *check_server(lua_State *L)
{
    return method_self(L, SERVER_TYPE);
}

static void end_wait(struct lserver *server)
{
    struct waiter *waiter = server->waiter;
    server->waiter = NULL;
    if (waiter)
        wait_done(&waiter->wait);
}

static void on_event(void *arg)
{
    end_wait(arg);
}

static void give_up(struct wait *w)
{
    struct waiter *waiter = (struct waiter *)w;
    if (waiter->server->waiter == waiter)
        waiter->server->waiter = NULL;
    wait_done(w);
}

/* ---- events ---- */

static const char *const names[] = {
    [USBIP_READY] = "ready",     [USBIP_ATTACHED] = "attached", [USBIP_DETACHED] = "detached",
    [USBIP_FLASHED] = "flashed", [USBIP_ERASED] = "erased",     [USBIP_LEFT] = "left",
    [USBIP_RESET] = "reset",     [USBIP_GONE] = "gone",         [USBIP_REFUSED] = "refused",
    [USBIP_TROUBLE] = "trouble", [USBIP_LOST] = "lost",
};

static void set_integer(lua_State *L, const char *field, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, field);
}

/* Sets the fields that only some events have. */
static void set_details(lua_State *L, const struct lserver *server, const struct usbip_event *event)
{
    switch (event->what) {
    case USBIP_READY:
        error_set(L, "address", server->address);
        set_integer(L, "port", usbip_port(server->usbip));
        break;
    case USBIP_FLASHED:
    case USBIP_ERASED:
        set_integer(L, "bytes", event->bytes);
        set_integer(L, "first", event->first);
        set_integer(L, "last", event->last);
        break;
    case USBIP_LEFT:
        set_integer(L, "address", event->address);
        set_integer(L, "sp", event->sp);
        set_integer(L, "pc", event->pc);
        lua_pushboolean(L, event->works);
        lua_setfield(L, -2, "works");
        break;
    case USBIP_RESET:
        error_set(L, "mode", event->dfu ? "dfu" : "runtime");
        break;
    case USBIP_LOST:
        set_integer(L, "count", event->bytes);
        break;
    case USBIP_ATTACHED:
    case USBIP_DETACHED:
    case USBIP_GONE:
    case USBIP_REFUSED:
    case USBIP_TROUBLE:
        break;
    }
}

static int push_event(lua_State *L, const struct lserver *server, const struct usbip_event *event)
{
    lua_createtable(L, 0, 8);
    error_set(L, "event", names[event->what]);
    error_set(L, "why", event->why);
    if (event->board != USBIP_NO_BOARD) {
        char id[USBIPMSG_BUS_ID];
        usbipmsg_bus_id(event->board, id);
        error_set(L, "bus_id", id);
        error_set(L, "path", usbip_path(server->usbip, event->board));
    }
    set_details(L, server, event);
    return 1;
}

static int event_came(lua_State *L, int status, lua_KContext context)
{
    struct lserver *server = (struct lserver *)context;
    struct usbip_event event;
    (void)status;
    if (task_cancelled(L))
        return lua_error(L);
    if (!server->usbip || !usbip_next(server->usbip, &event))
        return 0;
    return push_event(L, server, &event);
}

/*** server:event() --> { event="attached", bus_id="1-1", path=, ... }: awaits the next event; nil,
 * if the server is closed. */
static int lserver_event(lua_State *L)
{
    struct lserver *server = check_server(L);
    struct usbip_event event;
    task_check(L);
    if (server->waiter)
        return luaL_error(L, "another task waits for an event of this server already");
    if (!server->usbip)
        return 0;
    if (usbip_next(server->usbip, &event))
        return push_event(L, server, &event);
    struct waiter *waiter = lua_newuserdatauv(L, sizeof *waiter, 0);
    *waiter = (struct waiter){ .wait = { .give_up = give_up }, .server = server };
    server->waiter = waiter;
    return task_await(L, &waiter->wait, (lua_KContext)server, event_came);
}

/* ---- the server ---- */

/*** server:close(): ends all connections, which unplugs the boards; also <close>, and when the
 * Server is collected. */
static int lserver_close(lua_State *L)
{
    struct lserver *server = check_server(L);
    usbip_free(server->usbip);
    server->usbip = NULL;
    end_wait(server);
    return 0;
}

static int lserver_index(lua_State *L)
{
    struct lserver *server = check_server(L);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "address") == 0) {
        lua_pushstring(L, server->address);
    } else if (strcmp(key, "port") == 0) {
        if (!server->usbip)
            return 0;
        lua_pushinteger(L, usbip_port(server->usbip));
    } else {
        lua_pushvalue(L, lua_upvalueindex(1));
        if (lua_getfield(L, -1, key) == LUA_TNIL)
            return luaL_error(L, "a Server has no '%s'", key);
    }
    return 1;
}

static int lserver_tostring(lua_State *L)
{
    struct lserver *server = check_server(L);
    if (server->usbip)
        lua_pushfstring(L, "Server (%s, port %d)", server->address, usbip_port(server->usbip));
    else
        lua_pushliteral(L, "Server (closed)");
    return 1;
}

/* Returns the strings of the list at the index, in a new userdata on the top. [-0, +1, e] */
static const char **check_paths(lua_State *L, int index, size_t *count)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_Integer n = luaL_len(L, index);
    luaL_argcheck(L, n >= 1 && n <= USBIP_BOARDS, index, "1 to 64 boards");
    const char **paths = lua_newuserdatauv(L, (size_t)n * sizeof *paths, 1);
    lua_createtable(L, (int)n, 0); /* keeps the strings */
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, index, i);
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_argerror(L, index, "a list of paths");
        paths[i - 1] = lua_tostring(L, -1);
        lua_rawseti(L, -2, i);
    }
    lua_setiuservalue(L, -2, 1);
    *count = (size_t)n;
    return paths;
}

static int raise_failure(lua_State *L, enum usbip_failure failure, const char *why)
{
    static const char *const codes[] = { [USBIP_BAD_ADDRESS] = "usage",
                                         [USBIP_NOT_LOOPBACK] = "usage",
                                         [USBIP_IN_USE] = "usb.busy",
                                         [USBIP_FORBIDDEN] = "usb.permission",
                                         [USBIP_FAILED] = "usb" };
    error_push(L, codes[failure], "%s", why);
    if (failure == USBIP_NOT_LOOPBACK)
        error_set(L, "hint", "If you mean it, add --anywhere (in Lua: anywhere = true).");
    return lua_error(L);
}

/*** sim.serve(address, port, paths, options?) --> Server.  paths: of boards that exist, which
 * lua/moonflash/sim/init.lua ensures.  options: anywhere. */
static int lserver_serve(lua_State *L)
{
    const char *address = luaL_checkstring(L, 1);
    lua_Integer port = luaL_checkinteger(L, 2);
    luaL_argcheck(L, strlen(address) < sizeof((struct lserver *)0)->address, 1, "it is too long");
    luaL_argcheck(L, port >= 0 && port <= 65535, 2, "0 to 65535");
    bool anywhere = false;
    if (!lua_isnoneornil(L, 4)) {
        luaL_checktype(L, 4, LUA_TTABLE);
        lua_getfield(L, 4, "anywhere");
        anywhere = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    task_check(L);
    size_t count;
    const char **paths = check_paths(L, 3, &count);
    struct lserver *server = lua_newuserdatauv(L, sizeof *server, 0);
    *server = (struct lserver){ 0 };
    strcpy(server->address, address);
    luaL_setmetatable(L, SERVER_TYPE);
    struct usbip_options options = { .address = address,
                                     .port = (uint16_t)port,
                                     .anywhere = anywhere,
                                     .paths = paths,
                                     .count = count,
                                     .notify = on_event,
                                     .arg = server };
    struct context *context = context_of(L);
    enum usbip_failure failure;
    char why[256];
    server->usbip = usbip_new(context->loop, context->sims, &options, &failure, why, sizeof why);
    return server->usbip ? 1 : raise_failure(L, failure, why);
}

static const luaL_Reg sim_lib[] = {
    { "serve", lserver_serve },
    { NULL, NULL },
};

static const luaL_Reg server_meth[] = {
    { "event", lserver_event },
    { "close", lserver_close },
    { NULL, NULL },
};

static const luaL_Reg server_meta[] = {
    { "__gc", lserver_close },
    { "__close", lserver_close },
    { "__tostring", lserver_tostring },
    { NULL, NULL },
};

void lusbip_open(lua_State *L)
{
    luaL_newmetatable(L, SERVER_TYPE);
    luaL_setfuncs(L, server_meta, 0);
    luaL_newlib(L, server_meth);
    lua_pushcclosure(L, lserver_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_setfuncs(L, sim_lib, 0);
}
