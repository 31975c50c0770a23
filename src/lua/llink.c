/* SPDX-License-Identifier: MIT */
/* Module `moonflash.link`: what lua/moonflash/board/ finds and opens boards with. */
#include "lua/llink.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "dfu/board.h"
#include "lua/context.h"
#include "lua/lboard.h"
#include "lua/lobserve.h"
#include "lua/lboard_run.h"

#define MOST_REGIONS 4096

/*** link.new(path, fields) --> Board, not open */
static int link_new(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_argcheck(L, strlen(path) < PORT_PATH_MAX, 1, "the path is too long");
    struct lboard *handle = lua_newuserdatauv(L, sizeof *handle, 1);
    handle->board = NULL;
    luaL_setmetatable(L, BOARD_TYPE);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    struct context *context = context_of(L);
    handle->board = board_new(context->loop, &context->boards, path);
    if (!handle->board)
        return luaL_error(L, "not enough memory");
    handle->board->observer = context->observer;
    return 1;
}

/*** link.fields(board) --> its table of fields */
static int link_fields(lua_State *L)
{
    lboard_board(L);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

/* Returns the port that reaches the device at a path; NULL, if there is no such port. */
static struct port *port_of(lua_State *L, const char *path)
{
    struct context *context = context_of(L);
    return strncmp(path, "sim:", 4) == 0 ? context->sims : context->usb;
}

/* Called for each device: appends its row to the list on the top of the stack. */
static bool push_device(void *arg, const struct port_device *device)
{
    lua_State *L = arg;
    lua_createtable(L, 0, 6);
    lua_pushstring(L, device->path);
    lua_setfield(L, -2, "path");
    lua_pushinteger(L, device->generation);
    lua_setfield(L, -2, "generation");
    lua_pushinteger(L, device->number);
    lua_setfield(L, -2, "number");
    lua_pushlstring(L, (const char *)device->device, device->device_length);
    lua_setfield(L, -2, "device");
    lua_pushlstring(L, (const char *)device->config, device->config_length);
    lua_setfield(L, -2, "config");
    lua_pushinteger(L, device->configuration);
    lua_setfield(L, -2, "configuration");
    lua_seti(L, -2, luaL_len(L, -2) + 1);
    return true;
}

/*** link.devices(path?) --> { { path=, generation=, number=, device=bytes, config=bytes,
 * configuration= }, ... } */
static int link_devices(lua_State *L)
{
    const char *path = luaL_optstring(L, 1, NULL);
    struct port *sims = context_of(L)->sims, *usb = context_of(L)->usb;
    lua_settop(L, 1);
    lua_newtable(L);
    if (!path || sims == port_of(L, path))
        sims->list(sims, path, push_device, L);
    if (usb && (!path || usb == port_of(L, path)))
        usb->list(usb, path, push_device, L);
    return 1;
}

/*** link.system_string(path, generation, name) --> bytes; or nil: the device's string
 * "manufacturer", "product" or "serial", as the operating system read it */
static int link_system_string(lua_State *L)
{
    static const char *const names[] = { "manufacturer", "product", "serial", NULL };
    const char *path = luaL_checkstring(L, 1);
    unsigned generation = (unsigned)luaL_checkinteger(L, 2);
    const char *name = names[luaL_checkoption(L, 3, NULL, names)];
    char text[512]; /* 126 units of UTF-16, 3 bytes each, and a newline */
    struct port *port = port_of(L, path);
    if (!port || !port->string)
        return 0;
    ssize_t n = port->string(port, path, generation, name, text, sizeof text);
    if (n < 0)
        return 0;
    lua_pushlstring(L, text, (size_t)n);
    return 1;
}

/*** link.tty(path, generation) --> "/dev/ttyACM0", whether this user may open it; or nil */
static int link_tty(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    unsigned generation = (unsigned)luaL_checkinteger(L, 2);
    char name[256];
    bool may_open = false;
    struct port *port = port_of(L, path);
    if (!port || !port->tty)
        return 0;
    ssize_t n = port->tty(port, path, generation, name, sizeof name, &may_open);
    if (n < 0)
        return 0;
    lua_pushfstring(L, "/dev/%s", name);
    lua_pushboolean(L, may_open);
    return 2;
}

/*** link.attach(board, generation, configuration, interface) --> true; or nil and "gone", "busy",
 * ...: opens the device of that generation.  Configuration 0: the active one; interface -1: none,
 * which is enough to read strings. */
static int link_attach(lua_State *L)
{
    struct board *board = lboard_board(L);
    unsigned generation = (unsigned)luaL_checkinteger(L, 2);
    unsigned configuration = (unsigned)luaL_checkinteger(L, 3);
    int interface = (int)luaL_checkinteger(L, 4);
    if (board->handle)
        return luaL_error(L, "%s is open already", board->path);
    struct port *port = port_of(L, board->path);
    int result = PORT_GONE;
    if (port)
        result = board_attach(board, port, generation, configuration, interface);
    if (result < 0) {
        lua_pushnil(L);
        lua_pushstring(L, lboard_result_name(result));
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

static bool flag(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

static lua_Integer number(lua_State *L, int index, const char *name, lua_Integer most)
{
    lua_getfield(L, index, name);
    lua_Integer value = luaL_checkinteger(L, -1);
    if (value < 0 || value > most)
        luaL_error(L, "%s is out of range", name);
    lua_pop(L, 1);
    return value;
}

static void set_regions(lua_State *L, struct board *board, int index)
{
    lua_Integer n = luaL_len(L, index);
    if (n > MOST_REGIONS)
        luaL_error(L, "too many regions");
    free(board->regions);
    board->region_count = 0;
    board->regions = calloc((size_t)(n > 0 ? n : 1), sizeof *board->regions);
    if (!board->regions)
        luaL_error(L, "not enough memory");
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, index, i);
        int t = lua_gettop(L);
        struct region *region = &board->regions[i - 1];
        region->alt = (uint8_t)number(L, t, "alt", 255);
        region->address = (uint32_t)number(L, t, "address", 0xFFFFFFFF);
        region->size = (uint32_t)number(L, t, "size", 0xFFFFFFFF);
        region->end =
            region->address + (uint64_t)region->size * (uint64_t)number(L, t, "count", 0xFFFFFFFF);
        region->readable = flag(L, t, "readable");
        region->erasable = flag(L, t, "erasable");
        region->writable = flag(L, t, "writable");
        region->resets = flag(L, t, "resets");
        if (region->size == 0 || region->end > 0x100000000)
            luaL_error(L, "a region is empty, or passes 4 GiB");
        lua_settop(L, t - 1);
    }
    board->region_count = (size_t)n;
}

/*** link.configure(board, { dfuse=, several_alts=, tolerant=, early_poll=,
 * transfer_size_unknown=, dry=,
 * transfer_size=, regions={ { alt=, address=, size=, count=, readable=, erasable=, writable=,
 * resets= } } }) */
static int link_configure(lua_State *L)
{
    struct board *board = lboard_board(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    board->dfu.dfuse = flag(L, 2, "dfuse");
    board->dfu.several_alts = flag(L, 2, "several_alts");
    board->dfu.tolerant = flag(L, 2, "tolerant");
    board->dfu.early_poll = flag(L, 2, "early_poll");
    board->dfu.vendor_protects = flag(L, 2, "vendor_protects");
    board->dry = flag(L, 2, "dry");
    board->dfu.transfer_size_unknown = flag(L, 2, "transfer_size_unknown");
    board->dfu.transfer_size = (uint16_t)number(L, 2, "transfer_size", 65535);
    if (board->dfu.transfer_size == 0)
        return luaL_error(L, "a transfer has 1 byte or more");
    lua_getfield(L, 2, "regions");
    luaL_checktype(L, -1, LUA_TTABLE);
    set_regions(L, board, lua_gettop(L));
    return 0;
}

/*** link.selected(board) --> number of the alternate setting that board:select chose, or nil */
static int link_selected(lua_State *L)
{
    struct board *board = lboard_board(L);
    if (board->selected < 0)
        return 0;
    lua_pushinteger(L, board->selected);
    return 1;
}

/*** link.stale(board) --> generation of the device that was told to leave; nil, if none was */
static int link_stale(lua_State *L)
{
    struct board *board = lboard_board(L);
    if (!board->left)
        return 0;
    lua_pushinteger(L, board->generation);
    return 1;
}

/*** link.pending(board) --> seconds since the request under way was sent, seconds that it may take;
 * nothing if there is none */
static int link_pending(lua_State *L)
{
    struct board *board = lboard_board(L);
    if (!board->busy || board->timer.set)
        return 0;
    lua_pushnumber(L, loop_now(board->loop) - board->started);
    lua_pushnumber(L, board->transfer.timeout);
    return 2;
}

/*** link.early_poll(board, boolean?) --> boolean: whether it is polled before bwPollTimeout */
static int link_early_poll(lua_State *L)
{
    struct board *board = lboard_board(L);
    if (lua_isboolean(L, 2))
        board->dfu.early_poll = lua_toboolean(L, 2);
    lua_pushboolean(L, board->dfu.early_poll);
    return 1;
}

/*** link.transfer_size(board, size, announced): sets the bytes of a block.  Boards may count blocks
 * in the size that they announce: with another one, each block gets its address. */
static int link_transfer_size(lua_State *L)
{
    struct board *board = lboard_board(L);
    lua_Integer size = luaL_checkinteger(L, 2);
    luaL_argcheck(L, size > 0 && size <= 4096, 2, "1 to 4096");
    board->dfu.transfer_size = (uint16_t)size;
    board->dfu.transfer_size_unknown = size != luaL_checkinteger(L, 3);
    return 0;
}

/*** link.progress(board) --> bytes that the read or write under way has moved; nil: there is none
 */
static int link_progress(lua_State *L)
{
    struct board *board = lboard_board(L);
    if (!board->busy || (board->op.kind != DFU_READ && board->op.kind != DFU_WRITE))
        return 0;
    lua_pushinteger(L, (lua_Integer)board->op.done);
    return 1;
}

/*** link.is_closing(path) --> whether a board there is closed, but not yet released */
static int link_is_closing(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct context *context = context_of(L);
    bool closing = false;
    for (struct board *board = context->boards; board; board = board->next)
        closing = closing || (board->closing && strcmp(board->path, path) == 0);
    lua_pushboolean(L, closing);
    return 1;
}

/*** link.detach(board, milliseconds): DFU_DETACH, in run-time mode */
static int link_detach(lua_State *L)
{
    struct board *board = lboard_ready(L);
    lua_Integer milliseconds = luaL_checkinteger(L, 2);
    luaL_argcheck(L, milliseconds >= 0 && milliseconds <= 0xFFFF, 2, "0 to 65535");
    struct dfu_op op = { .kind = DFU_DETACH, .any_alt = true, .block = (uint16_t)milliseconds };
    if (lboard_only_says(L, board, dfu_kind_name(op.kind), 0, 0))
        return 0;
    return lboard_run(L, board, &op);
}

/*** link.to_idle(board): after a cancelled operation, brings the board back to dfuIDLE; else does
 * nothing. */
static int link_to_idle(lua_State *L)
{
    struct board *board = lboard_board(L);
    if (!board_is_open(board) || board->busy || !board->given_up)
        return 0;
    struct dfu_op op = { .kind = DFU_TO_IDLE, .any_alt = true };
    return lboard_run(L, board, &op);
}

static int method_returned(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return lua_gettop(L);
}

/* Calls a method of Board that is written in Lua (upvalue 1), if the first argument is a Board. */
static int call_method(lua_State *L)
{
    lboard_board(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, method_returned);
    return lua_gettop(L);
}

/*** link.extend(name, function) --> the method that had this name: adds a method to Board, or
 * replaces one */
static int link_extend(lua_State *L)
{
    luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_pushcclosure(L, call_method, 1);
    lua_pushvalue(L, 1);
    lua_gettable(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_settable(L, lua_upvalueindex(1));
    return 1;
}

/*** link.callbacks{ explain=, mark=, begin=, begin_block=, would=, guard=, guard_block=, find_alt=,
 * unknown=, assign= }: the functions of the library that C calls; see lboard_run.h */
static int link_callbacks(lua_State *L)
{
    lboard_set_callbacks(L, 1);
    return 0;
}

static const luaL_Reg link_lib[] = {
    { "new", link_new },
    { "fields", link_fields },
    { "devices", link_devices },
    { "system_string", link_system_string },
    { "tty", link_tty },
    { "attach", link_attach },
    { "callbacks", link_callbacks },
    { "configure", link_configure },
    { "stale", link_stale },
    { "pending", link_pending },
    { "selected", link_selected },
    { "early_poll", link_early_poll },
    { "transfer_size", link_transfer_size },
    { "progress", link_progress },
    { "is_closing", link_is_closing },
    { "detach", link_detach },
    { "observe", link_observe },
    { "to_idle", link_to_idle },
    { NULL, NULL },
};

/* Pushes a table of the names, from index 0. */
static void push_names(lua_State *L, const char *(*name)(unsigned), unsigned n)
{
    lua_createtable(L, (int)n, 1);
    for (unsigned i = 0; i < n; i++) {
        lua_pushstring(L, name(i));
        lua_rawseti(L, -2, i);
    }
}

int luaopen_link(lua_State *L)
{
    lboard_class(L);
    luaL_newlib(L, link_lib);
    push_names(L, dfu_state_name, DFU_STATES);
    lua_setfield(L, -2, "states");
    push_names(L, dfu_status_name, DFU_STATUSES);
    lua_setfield(L, -2, "statuses");
    lboard_push_field_names(L);
    lua_setfield(L, -2, "field_names");
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "methods");
    lua_insert(L, -2);
    lua_pushcclosure(L, link_extend, 1);
    lua_setfield(L, -2, "extend");
    return 1;
}
