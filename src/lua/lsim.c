/* SPDX-License-Identifier: MIT */
/* Module `sim`: simulated boards for Lua.
 *
 *   sim.make(path, options) --> Sim       sim.exists(path) --> boolean   sim.kinds() --> names
 *   sim:peek(address, length) --> string  sim:poke(address, bytes)
 *   sim:fault(kind, when)  sim:unplug()  sim:plug()  sim:reset()  sim:close()
 *   sim.path  sim.started  sim.requests
 */
#include "lua/lsim.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "lua/context.h"
#include "lua/error.h"
#include "lua/lmisuse.h"
#include "lua/lproduct.h"
#include "lua/lusbip.h"
#include "sim/simkind.h"
#include "sim/simport.h"
#include "sim/simproduct.h"
#include "sim/simreplay.h"

#define SIM_TYPE  "sim.Sim"
#define PEEK_MOST (64u << 20)

struct lsim {
    struct simboard *board; /* NULL: closed */
};

static struct lsim *check_self(lua_State *L)
{
    return method_self(L, SIM_TYPE);
}

/* Called when all arguments are read, and nothing is allocated any more: an allocation may run a
 * finalizer that closes the board. */
static struct simboard *check_board(lua_State *L)
{
    const struct lsim *handle = check_self(L);
    if (!handle->board)
        luaL_error(L, "attempt to use a closed simulated board");
    return handle->board;
}

static uint32_t check_address(lua_State *L, int index)
{
    lua_Integer address = luaL_checkinteger(L, index);
    luaL_argcheck(L, address >= 0 && address <= 0xFFFFFFFF, index, "an address has 32 bits");
    return (uint32_t)address;
}

/*** sim:peek(address, length) --> string: reads memory, without any effect on the board. */
static int lsim_peek(lua_State *L)
{
    check_self(L);
    uint32_t address = check_address(L, 2);
    lua_Integer length = luaL_checkinteger(L, 3);
    luaL_argcheck(L, length >= 0 && length <= PEEK_MOST, 3, "length out of range");
    luaL_Buffer buffer;
    uint8_t *bytes = (uint8_t *)luaL_buffinitsize(L, &buffer, (size_t)length);
    struct simboard *board = check_board(L);
    if (!sim_peek(simboard_sim(board), simboard_now(board), address, bytes, (size_t)length))
        return luaL_error(L, "no memory of the simulated board holds all of that");
    luaL_pushresultsize(&buffer, (size_t)length);
    return 1;
}

/*** sim:poke(address, bytes): sets memory, without any other effect on the board. */
static int lsim_poke(lua_State *L)
{
    check_self(L);
    uint32_t address = check_address(L, 2);
    size_t length;
    const char *bytes = luaL_checklstring(L, 3, &length);
    struct simboard *board = check_board(L);
    if (!sim_poke(simboard_sim(board), simboard_now(board), address, (const uint8_t *)bytes,
                  length))
        return luaL_error(L, "no memory of the simulated board holds all of that");
    simboard_changed(board);
    return 0;
}

/* Parses "write 0x08004000". */
static bool parse_when(const char *text, struct sim_when *when)
{
    static const struct {
        const char *name;
        enum sim_op op;
    } ops[] = { { "write ", SIM_OP_WRITE }, { "read ", SIM_OP_READ }, { "erase ", SIM_OP_ERASE } };
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        size_t n = strlen(ops[i].name);
        if (strncmp(text, ops[i].name, n) != 0)
            continue;
        char *end;
        unsigned long long address = strtoull(text + n, &end, 0);
        when->op = ops[i].op;
        when->address = (uint32_t)address;
        return *end == '\0' && end != text + n && address <= 0xFFFFFFFF;
    }
    return false;
}

/*** sim:fault(kind, when): kind: unplug, stall, error, corrupt, hang or short; when: the number of
 * a class request (sim.requests counts them), or "write 0x08004000". */
static int lsim_fault(lua_State *L)
{
    check_self(L);
    struct sim_when when = { 0 };
    enum sim_fault fault;
    luaL_argcheck(L, sim_fault_by_name(luaL_checkstring(L, 2), &fault), 2,
                  "unplug, stall, error, corrupt, hang or short");
    if (lua_isinteger(L, 3)) {
        lua_Integer request = lua_tointeger(L, 3);
        luaL_argcheck(L, request > 0, 3, "requests are counted from 1");
        when.request = (uint64_t)request;
    } else {
        luaL_argcheck(L, parse_when(luaL_checkstring(L, 3), &when), 3,
                      "a request number, or \"write 0x08004000\"");
    }
    if (!sim_add_fault(simboard_sim(check_board(L)), fault, &when))
        return luaL_error(L, "too many faults");
    return 0;
}

static int act(lua_State *L, void (*what)(struct sim *, double))
{
    struct simboard *board = check_board(L);
    what(simboard_sim(board), simboard_now(board));
    simboard_changed(board);
    return 0;
}

/*** sim:unplug() */
static int lsim_unplug(lua_State *L)
{
    return act(L, sim_unplug);
}

/*** sim:plug(): plugs the board in, with BOOT0 high. */
static int lsim_plug(lua_State *L)
{
    return act(L, sim_plug);
}

/*** sim:reset(): the reset button. */
static int lsim_reset(lua_State *L)
{
    return act(L, sim_reset);
}

/*** sim:close(): removes the board; also <close>, and when the Sim is collected. */
static int lsim_close(lua_State *L)
{
    struct lsim *handle = check_self(L);
    if (handle->board)
        simport_remove(handle->board);
    handle->board = NULL;
    return 0;
}

static int push_started(lua_State *L, const struct sim_start *start)
{
    if (!start->happened)
        return 0;
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, start->address);
    lua_setfield(L, -2, "address");
    lua_pushinteger(L, start->sp);
    lua_setfield(L, -2, "sp");
    lua_pushinteger(L, start->pc);
    lua_setfield(L, -2, "pc");
    lua_pushboolean(L, start->works);
    lua_setfield(L, -2, "works");
    return 1;
}

static int lsim_index(lua_State *L)
{
    const char *key = luaL_checkstring(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    if (lua_getfield(L, -1, key) != LUA_TNIL)
        return 1;
    struct simboard *board = check_board(L);
    if (strcmp(key, "path") == 0) {
        lua_pushstring(L, simboard_path(board));
        return 1;
    }
    if (strcmp(key, "requests") == 0) {
        lua_pushinteger(L, (lua_Integer)sim_requests(simboard_sim(board)));
        return 1;
    }
    if (strcmp(key, "difference") == 0) {
        const char *text = sim_difference(simboard_sim(board));
        lua_pushstring(L, *text ? text : NULL);
        return 1;
    }
    if (strcmp(key, "started") == 0)
        return push_started(L, sim_started(simboard_sim(board)));
    return luaL_error(L, "a Sim has no '%s'", key);
}

static int lsim_tostring(lua_State *L)
{
    struct lsim *handle = check_self(L);
    lua_pushfstring(L, "Sim (%s)", handle->board ? simboard_path(handle->board) : "closed");
    return 1;
}

static const char *optional_field(lua_State *L, int index, const char *name)
{
    if (lua_getfield(L, index, name) == LUA_TNIL) {
        lua_pop(L, 1);
        return NULL;
    }
    return luaL_checkstring(L, -1); /* stays on the stack, which keeps it valid */
}

static lua_Integer integer_field(lua_State *L, int index, const char *name, lua_Integer otherwise)
{
    lua_getfield(L, index, name);
    lua_Integer value = luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    return value;
}

static int choice_field(lua_State *L, int index, const char *name, const char *const *choices)
{
    lua_getfield(L, index, name);
    return luaL_checkoption(L, -1, choices[0], choices);
}

static int integer_of(lua_State *L, const char *name)
{
    return (int)integer_field(L, -1, name, 0);
}

static double number_of(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    double value = luaL_checknumber(L, -1);
    lua_pop(L, 1);
    return value;
}

/* Makes a replay of the list of transfers at the index. */
static struct simreplay *make_replay(lua_State *L, int index, bool strict)
{
    size_t count = (size_t)luaL_len(L, index);
    luaL_argcheck(L, count > 0 && count <= SIM_REPLAY_MOST, index, "a list of transfers");
    struct sim_recorded *list = lua_newuserdatauv(L, count * sizeof list[0], 0);
    for (size_t i = 0; i < count; i++) {
        lua_geti(L, index, (lua_Integer)i + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        list[i] = (struct sim_recorded){
            .device = (unsigned)integer_of(L, "nth") - 1,
            .setup = { .type = (uint8_t)integer_of(L, "type"),
                       .request = (uint8_t)integer_of(L, "request"),
                       .value = (uint16_t)integer_of(L, "value"),
                       .index = (uint16_t)integer_of(L, "index"),
                       .length = (uint16_t)integer_of(L, "length") },
            .result = integer_of(L, "result"),
            .at = number_of(L, "at"),
            .seconds = number_of(L, "seconds"),
        };
        lua_getfield(L, -1, "data");
        list[i].data = (const uint8_t *)luaL_checklstring(L, -1, &list[i].length);
        lua_pop(L, 2); /* the list holds it */
    }
    struct simreplay *replay = simreplay_new(list, count, strict);
    lua_pop(L, 1);
    return replay ? replay : (luaL_error(L, "no memory for the capture"), NULL);
}

/*** sim.make(path, options) --> Sim.  Options: kind or product, serial, rdp, wrp, usb, times,
 * state, flash, bus; lua/moonflash/sim/init.lua has checked them. */
static int lsim_make(lua_State *L)
{
    static const char *const usb[] = { "real", "ideal", "none", NULL };
    static const char *const times[] = { "typ", "max", "zero", NULL };
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_argcheck(L, strlen(path) < PORT_PATH_MAX, 1, "the path is too long");
    struct port *port = context_of(L)->sims;
    luaL_argcheck(L, !simport_find(port, path), 1, "there is a board at this path already");
    struct sim_options options = {
        .kind = optional_field(L, 2, "kind"),
        .serial = optional_field(L, 2, "serial"),
        .rdp = (int)integer_field(L, 2, "rdp", 0),
        .wrp = (uint32_t)integer_field(L, 2, "wrp", 0),
        .usb = (enum sim_usb)choice_field(L, 2, "usb", usb),
        .times = (enum sim_times)choice_field(L, 2, "times", times),
        .state = (int)integer_field(L, 2, "state", -1),
    };
    const char *flash = optional_field(L, 2, "flash");
    const char *bus = optional_field(L, 2, "bus");

    struct lsim *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    handle->board = NULL;
    luaL_setmetatable(L, SIM_TYPE);
    int handle_at = lua_gettop(L);
    char why[512] = "";
    lua_getfield(L, 2, "strict");
    bool strict = lua_toboolean(L, -1);
    if (lua_getfield(L, 2, "product") != LUA_TNIL)
        options.product = lproduct_new(L, lua_gettop(L));
    if (lua_getfield(L, 2, "replay") != LUA_TNIL)
        options.replay = make_replay(L, lua_gettop(L), strict);
    handle->board = simport_add(port, path, &options, flash, bus, why, sizeof why);
    const char *code = errno == EWOULDBLOCK ? "usb.busy" : "file";
    simproduct_drop(options.product); /* the board holds it, too */
    lua_settop(L, handle_at);
    if (handle->board)
        return 1;
    error_push(L, code, "%s: %s", path, why);
    return lua_error(L);
}

/*** sim.exists(path) --> whether a simulated board is at the path */
static int lsim_exists(lua_State *L)
{
    lua_pushboolean(L, simport_find(context_of(L)->sims, luaL_checkstring(L, 1)) != NULL);
    return 1;
}

/*** sim.kinds() --> { "f407", ... } */
static int lsim_kinds(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; sim_kind_name(i); i++) {
        lua_pushstring(L, sim_kind_name(i));
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/*** sim.habits() --> names */
static int lsim_habits(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < SIM_HABITS; i++) {
        lua_pushstring(L, sim_habit_names[i]);
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/*** sim.ram(kind) --> address, size, bytes that the boot loader uses */
static int lsim_ram(lua_State *L)
{
    const struct sim_kind *kind = simkind_find(luaL_checkstring(L, 1));
    luaL_argcheck(L, kind != NULL, 1, "there is no such kind");
    const struct sim_memory *ram = &kind->memories[kind->memory_count - 1];
    lua_pushinteger(L, ram->address);
    lua_pushinteger(L, ram->size);
    lua_pushinteger(L, ram->reserved);
    return 3;
}

static const luaL_Reg sim_lib[] = {
    { "make", lsim_make },   { "ram", lsim_ram },       { "exists", lsim_exists },
    { "kinds", lsim_kinds }, { "habits", lsim_habits }, { NULL, NULL },
};

static const luaL_Reg sim_meth[] = {
    { "peek", lsim_peek },     { "poke", lsim_poke }, { "fault", lsim_fault },
    { "unplug", lsim_unplug }, { "plug", lsim_plug }, { "reset", lsim_reset },
    { "close", lsim_close },   { NULL, NULL },
};

static const luaL_Reg sim_meta[] = {
    { "__gc", lsim_close },
    { "__close", lsim_close },
    { "__tostring", lsim_tostring },
    { NULL, NULL },
};

int luaopen_sim(lua_State *L)
{
    luaL_newmetatable(L, SIM_TYPE);
    luaL_setfuncs(L, sim_meta, 0);
    luaL_newlib(L, sim_meth);
    lua_pushcclosure(L, lsim_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, sim_lib);
    lusbip_open(L);
    return 1;
}
