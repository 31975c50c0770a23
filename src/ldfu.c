/* SPDX-License-Identifier: MIT */
/* Class Board: the DFU primitives as Lua methods.  Each checks its arguments, starts an operation
 * and awaits it; what an operation came to is pushed, or raised, by operation_ended().
 *
 * The other half of the class is Lua: lua/moonflash/boards.lua finds and opens boards through the
 * functions at the end of this file, and lua/moonflash/explain.lua has the words of the errors.
 */
#include "ldfu.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "error.h"
#include "host.h"
#include "ltask.h"

#define BOARD_TYPE "dfu.Board"

/* Seconds that a command may take on the board, beyond the time of a request: twice the longest
 * that data sheets have (DS8626 table 40: 128 KB 4 s, 1 MB 32 s). */
#define ERASE_LIMIT_PER_BYTE (4.0 / 131072)
#define MASS_ERASE_LIMIT     64.0

#define MOST_REGIONS 4096

/* The handle in Lua.  Its user value is the table of fields that boards.lua keeps. */
struct box {
    struct board *board; /* never NULL but while it is made, and after __gc */
};

/* What a task waits for; a copy of the outcome, because the board may go on to other things. */
struct pending {
    struct wait wait;
    struct board *board;
    struct dfu_op op;
    struct port_setup setup; /* of a raw transfer */
    int raw_result;
    bool ok;
    uint8_t *out; /* what was read; freed when it was pushed */
};

/* ---- arguments ---- */

static struct board *check_board(lua_State *L)
{
    struct box *box = luaL_checkudata(L, 1, BOARD_TYPE);
    if (!box->board)
        luaL_error(L, "attempt to use a board that was collected");
    return box->board;
}

/* A board that an operation can be started on. */
static struct board *check_ready(lua_State *L)
{
    struct board *board = check_board(L);
    task_check(L);
    if (!board_is_open(board))
        luaL_error(L, "%s is not open: board:open() opens it", board->path);
    if (board->busy)
        luaL_error(L, "%s is busy: one operation at a time on a board", board->path);
    return board;
}

static uint32_t check_address(lua_State *L, int index)
{
    lua_Integer address = luaL_checkinteger(L, index);
    luaL_argcheck(L, address >= 0 && address <= 0xFFFFFFFF, index, "an address has 32 bits");
    return (uint32_t)address;
}

static uint16_t check_word(lua_State *L, int index)
{
    lua_Integer value = luaL_checkinteger(L, index);
    luaL_argcheck(L, value >= 0 && value <= 0xFFFF, index, "0 to 65535");
    return (uint16_t)value;
}

static double check_positive(lua_State *L, int index)
{
    double seconds = luaL_checknumber(L, index);
    luaL_argcheck(L, seconds > 0 && isfinite(seconds), index, "seconds, more than 0");
    return seconds;
}

/* ---- what Lua's half is asked for ---- */

/* Pushes field `name` of the board's table of fields: a function. [-0, +1, e] */
static void push_field(lua_State *L, const char *name)
{
    lua_getiuservalue(L, 1, 1);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

/* Tells the journal of the flash: [first, last] is now erased, written, or in doubt. */
static void mark(lua_State *L, const char *what, uint64_t first, uint64_t last)
{
    push_field(L, "mark");
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return;
    }
    lua_pushvalue(L, 1);
    lua_pushstring(L, what);
    lua_pushinteger(L, (lua_Integer)first);
    lua_pushinteger(L, (lua_Integer)last);
    lua_call(L, 4, 0);
}

/* With --dry-run: says what would be done.  True: and nothing is. */
static bool only_says(lua_State *L, struct board *board, const char *what, lua_Integer address,
                      size_t length)
{
    if (!board->dry)
        return false;
    push_field(L, "would");
    lua_pushvalue(L, 1);
    lua_pushstring(L, what);
    lua_pushinteger(L, address);
    lua_pushinteger(L, (lua_Integer)length);
    lua_call(L, 4, 0);
    return true;
}

/* ---- operations ---- */

static const char *operation_name(enum dfu_kind kind)
{
    static const char *const names[] = {
        [DFU_GET_STATUS] = "get status",
        [DFU_GET_STATE] = "get state",
        [DFU_CLEAR_STATUS] = "clear status",
        [DFU_ABORT] = "abort",
        [DFU_COMMANDS] = "get commands",
        [DFU_SET_ADDRESS] = "set address",
        [DFU_ERASE] = "erase",
        [DFU_MASS_ERASE] = "mass erase",
        [DFU_READ_UNPROTECT] = "read unprotect",
        [DFU_DOWNLOAD_BLOCK] = "download block",
        [DFU_UPLOAD_BLOCK] = "upload block",
        [DFU_READ] = "read",
        [DFU_WRITE] = "write",
        [DFU_LEAVE] = "leave",
        [DFU_DETACH] = "detach",
        [DFU_TO_IDLE] = "idle",
    };
    return names[kind];
}

static const char *failure_name(enum dfu_failure failure)
{
    static const char *const names[] = {
        [DFU_NO_FAILURE] = "none",          [DFU_FAIL_STATUS] = "status",
        [DFU_FAIL_STATE] = "state",         [DFU_FAIL_STALL] = "stall",
        [DFU_FAIL_GONE] = "gone",           [DFU_FAIL_TIMEOUT] = "timeout",
        [DFU_FAIL_SHORT] = "short",         [DFU_FAIL_IO] = "io",
        [DFU_FAIL_RUNTIME] = "runtime",     [DFU_FAIL_RESET] = "reset",
        [DFU_FAIL_CANCELLED] = "cancelled",
    };
    return names[failure];
}

static const char *result_name(int result)
{
    switch (result) {
    case PORT_STALL:
        return "stall";
    case PORT_GONE:
        return "gone";
    case PORT_TIMEOUT:
        return "timeout";
    case PORT_CANCELLED:
        return "cancelled";
    case PORT_BUSY:
        return "busy";
    case PORT_PERMISSION:
        return "permission";
    case PORT_MEMORY:
        return "memory";
    default:
        return "io";
    }
}

static bool has_own_address(const struct dfu_op *op)
{
    return op->kind == DFU_SET_ADDRESS || op->kind == DFU_ERASE || op->kind == DFU_READ ||
           op->kind == DFU_WRITE || (op->kind == DFU_LEAVE && op->has_address);
}

/* Raises what explain.lua makes of the facts. */
static int raise_failure(lua_State *L, struct pending *pending, const char *failure,
                         const char *operation)
{
    const struct dfu_op *op = &pending->op;
    push_field(L, "explain");
    lua_pushvalue(L, 1);
    lua_createtable(L, 0, 8);
    error_set(L, "failure", failure);
    error_set(L, "op", operation);
    if (has_own_address(op)) {
        lua_pushinteger(L, (lua_Integer)op->address + (lua_Integer)op->done);
        lua_setfield(L, -2, "address");
    }
    if (op->failure == DFU_FAIL_STATUS)
        error_set(L, "status", dfu_status_name(op->status));
    if (op->failure == DFU_FAIL_STATUS || op->failure == DFU_FAIL_STATE)
        error_set(L, "state", dfu_state_name(op->state));
    lua_pushboolean(L, op->in_doubt);
    lua_setfield(L, -2, "in_doubt");
    if (task_cancelled(L)) /* the same error for all that the cancellation ends */
        lua_setfield(L, -2, "cancellation");
    lua_call(L, 2, 1);
    return lua_error(L);
}

/* What the operation did to the flash, also if it failed or nobody wants to know any more. */
static void keep_journal(lua_State *L, const struct pending *pending)
{
    const struct dfu_op *op = &pending->op;
    const struct board *board = pending->board;
    const char *erased = op->in_doubt ? "doubt" : pending->ok ? "erased" : NULL;
    uint64_t at = (uint64_t)op->address + op->done;
    switch (op->kind) {
    case DFU_ERASE: {
        const struct region *region = board_region(board, op->address, NULL);
        if (erased && region) {
            uint64_t first = at - (at - region->address) % region->size;
            mark(L, erased, first, first + region->size - 1);
        }
        break;
    }
    case DFU_MASS_ERASE:
    case DFU_READ_UNPROTECT:
        for (size_t i = 0; erased && i < board->region_count; i++)
            if (board->regions[i].erasable && board->regions[i].alt == board->regions[0].alt)
                mark(L, erased, board->regions[i].address, board->regions[i].end - 1);
        break;
    case DFU_WRITE:
    case DFU_DOWNLOAD_BLOCK:
        if (op->kind == DFU_DOWNLOAD_BLOCK && (op->block < 2 || !op->has_address))
            break;
        if (op->done > 0)
            mark(L, "written", op->address, at - 1);
        if (op->in_doubt)
            mark(L, "doubt", at, at + op->block_length - 1);
        break;
    case DFU_LEAVE:
        if (pending->ok)
            mark(L, "left", op->address, op->address);
        break;
    default:
        break;
    }
}

static int push_results(lua_State *L, const struct pending *pending)
{
    const struct dfu_op *op = &pending->op;
    switch (op->kind) {
    case DFU_GET_STATUS:
        lua_createtable(L, 0, 3);
        error_set(L, "status", dfu_status_name(op->status));
        error_set(L, "state", dfu_state_name(op->state));
        lua_pushnumber(L, op->poll);
        lua_setfield(L, -2, "poll");
        return 1;
    case DFU_GET_STATE:
        lua_pushstring(L, dfu_state_name(op->state));
        return 1;
    case DFU_COMMANDS:
        lua_createtable(L, (int)op->done, 0);
        for (size_t i = 0; i < op->done; i++) {
            lua_pushinteger(L, pending->out[i]);
            lua_seti(L, -2, (lua_Integer)i + 1);
        }
        return 1;
    case DFU_READ:
    case DFU_UPLOAD_BLOCK:
        lua_pushlstring(L, (const char *)pending->out, op->done);
        return 1;
    case DFU_LEAVE:
        lua_pushstring(L, op->assumed ? "assumed" : "confirmed");
        return 1;
    default:
        return 0;
    }
}

static int pending_gc(lua_State *L)
{
    struct pending *pending = lua_touserdata(L, 1);
    free(pending->out);
    pending->out = NULL;
    return 0;
}

static int operation_ended(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct pending *pending = (struct pending *)context;
    keep_journal(L, pending);
    if (task_cancelled(L)) {
        lua_pop(L, 1);
        return raise_failure(L, pending, "cancelled", operation_name(pending->op.kind));
    }
    if (!pending->ok)
        return raise_failure(L, pending, failure_name(pending->op.failure),
                             operation_name(pending->op.kind));
    return push_results(L, pending);
}

static void on_ended(void *arg, bool ok)
{
    struct pending *pending = arg;
    pending->ok = ok;
    pending->op = pending->board->op;
    pending->raw_result = pending->board->raw_result;
    wait_done(&pending->wait);
}

static void give_up(struct wait *w)
{
    board_give_up(((struct pending *)w)->board);
}

static struct pending *new_pending(lua_State *L, struct board *board)
{
    struct pending *pending = lua_newuserdatauv(L, sizeof *pending, 0);
    memset(pending, 0, sizeof *pending);
    pending->wait.give_up = give_up;
    pending->board = board;
    if (luaL_newmetatable(L, "dfu.pending")) {
        lua_pushcfunction(L, pending_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return pending;
}

/* Starts the operation and awaits it, as a tail call.  The strings that it uses are arguments,
 * and stay on the stack until it has ended. */
static int run(lua_State *L, struct board *board, const struct dfu_op *op)
{
    struct pending *pending = new_pending(L, board);
    board->op = *op;
    if (op->kind == DFU_READ || op->kind == DFU_UPLOAD_BLOCK || op->kind == DFU_COMMANDS) {
        pending->out = malloc(op->length ? op->length : 1);
        if (!pending->out)
            return luaL_error(L, "not enough memory for %I bytes", (LUAI_UACINT)op->length);
        board->op.out = pending->out;
    }
    if (op->limit <= 0)
        board->op.limit = board->dfu.timeout;
    board_start(board, on_ended, pending);
    return task_await(L, &pending->wait, (lua_KContext)pending, operation_ended);
}

/* An operation that has nothing but its kind. */
static int run_simple(lua_State *L, enum dfu_kind kind)
{
    struct board *board = check_ready(L);
    struct dfu_op op = { .kind = kind, .any_alt = true };
    return run(L, board, &op);
}

/* ---- memories ---- */

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_ERASE };

static bool allows(const struct region *region, enum access access)
{
    return access == ACCESS_READ    ? region->readable
           : access == ACCESS_WRITE ? region->writable
                                    : region->erasable;
}

/* The region at the address, all of [address, address + length) being one memory's and open to
 * that access; else raises dfu.outside, and nothing is sent. */
static const struct region *check_inside(lua_State *L, struct board *board, enum access access,
                                         uint32_t address, size_t length)
{
    static const char *const names[] = { "read", "write", "erase" };
    uint64_t at = address, end = at + length;
    const struct region *first = board_region(board, address, NULL), *region = first;
    while (region && allows(region, access) && region->end < end) {
        at = region->end;
        region = at <= 0xFFFFFFFF ? board_region(board, (uint32_t)at, first) : NULL;
    }
    if (region && allows(region, access))
        return first;
    struct pending none = { .board = board, .op = { .kind = DFU_READ, .address = (uint32_t)at } };
    raise_failure(L, &none, region ? "forbidden" : "outside", names[access]);
    return NULL;
}

static void check_dfuse(lua_State *L, struct board *board, const char *operation)
{
    if (board->dfu.dfuse)
        return;
    struct pending none = { .board = board };
    raise_failure(L, &none, "not-dfuse", operation);
}

/*** board:read(address, length) --> string */
static int board_read(lua_State *L)
{
    struct board *board = check_ready(L);
    uint32_t address = check_address(L, 2);
    lua_Integer length = luaL_checkinteger(L, 3);
    luaL_argcheck(L, length >= 0 && length <= 0xFFFFFFFF, 3, "0 bytes or more");
    struct dfu_op op = { .kind = DFU_READ, .address = address, .length = (size_t)length };
    if (length == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (board->dfu.dfuse) {
        op.alt = check_inside(L, board, ACCESS_READ, address, op.length)->alt;
    } else {
        luaL_argcheck(L, address == 0, 2, "plain DFU reads its memory from 0");
        op.any_alt = board->selected < 0;
        op.alt = (uint8_t)board->selected;
    }
    return run(L, board, &op);
}

/*** board:write(address, data): never erases, never pads. */
static int board_write(lua_State *L)
{
    struct board *board = check_ready(L);
    uint32_t address = check_address(L, 2);
    struct dfu_op op = { .kind = DFU_WRITE, .address = address };
    op.data = (const uint8_t *)luaL_checklstring(L, 3, &op.length);
    if (op.length == 0)
        return 0;
    if (board->dfu.dfuse) {
        const struct region *region = check_inside(L, board, ACCESS_WRITE, address, op.length);
        op.alt = region->alt;
        op.may_reset = region->resets;
    } else {
        luaL_argcheck(L, address == 0, 2, "plain DFU writes its memory from 0");
        op.any_alt = board->selected < 0;
        op.alt = (uint8_t)board->selected;
    }
    if (only_says(L, board, "write", address, op.length))
        return 0;
    return run(L, board, &op);
}

/*** board:erase_page(address): the page (sector) that holds the address. */
static int board_erase_page(lua_State *L)
{
    struct board *board = check_ready(L);
    uint32_t address = check_address(L, 2);
    check_dfuse(L, board, "erase");
    const struct region *region = check_inside(L, board, ACCESS_ERASE, address, 1);
    struct dfu_op op = { .kind = DFU_ERASE, .address = address, .alt = region->alt };
    op.limit = board->dfu.timeout + ERASE_LIMIT_PER_BYTE * region->size;
    if (only_says(L, board, "erase", address, region->size))
        return 0;
    return run(L, board, &op);
}

/*** board:mass_erase() */
static int board_mass_erase(lua_State *L)
{
    struct board *board = check_ready(L);
    check_dfuse(L, board, "mass erase");
    struct dfu_op op = { .kind = DFU_MASS_ERASE,
                         .any_alt = board->selected < 0,
                         .alt = (uint8_t)board->selected,
                         .limit = board->dfu.timeout + MASS_ERASE_LIMIT };
    if (only_says(L, board, "mass erase", 0, 0))
        return 0;
    return run(L, board, &op);
}

/*** board:read_unprotect(): erases the whole chip; the board goes away. */
static int board_read_unprotect(lua_State *L)
{
    struct board *board = check_ready(L);
    check_dfuse(L, board, "read unprotect");
    struct dfu_op op = { .kind = DFU_READ_UNPROTECT,
                         .any_alt = true,
                         .limit = board->dfu.timeout + MASS_ERASE_LIMIT };
    if (only_says(L, board, "read unprotect", 0, 0))
        return 0;
    return run(L, board, &op);
}

/*** board:set_address(address): the address that block 2 stands for. */
static int board_set_address(lua_State *L)
{
    struct board *board = check_ready(L);
    uint32_t address = check_address(L, 2);
    check_dfuse(L, board, "set address");
    struct dfu_op op = { .kind = DFU_SET_ADDRESS, .address = address, .any_alt = true };
    const struct region *region = board_region(board, address, NULL);
    if (region) {
        op.any_alt = false;
        op.alt = region->alt;
    }
    return run(L, board, &op);
}

/*** board:download_block(number, data): one DFU_DNLOAD, and its polls. */
static int board_download_block(lua_State *L)
{
    struct board *board = check_ready(L);
    struct dfu_op op = { .kind = DFU_DOWNLOAD_BLOCK, .any_alt = true, .block = check_word(L, 2) };
    op.data = (const uint8_t *)luaL_checklstring(L, 3, &op.length);
    luaL_argcheck(L, op.length <= 0xFFFF, 3, "a block has at most 65535 bytes");
    /* a command may be a mass erase, or take as long */
    op.limit = board->dfu.timeout + (op.block == 0 && board->dfu.dfuse ? MASS_ERASE_LIMIT : 0);
    if (board->dfu.has_base && op.block >= 2) {
        op.has_address = true;
        op.address = board->dfu.base + (op.block - 2u) * board->dfu.transfer_size;
    }
    if (only_says(L, board, "download block", op.block, op.length))
        return 0;
    return run(L, board, &op);
}

/*** board:upload_block(number, length) --> string */
static int board_upload_block(lua_State *L)
{
    struct board *board = check_ready(L);
    struct dfu_op op = { .kind = DFU_UPLOAD_BLOCK, .any_alt = true, .block = check_word(L, 2) };
    op.length = check_word(L, 3);
    return run(L, board, &op);
}

/*** board:leave(address?) --> "confirmed" or "assumed" */
static int board_leave(lua_State *L)
{
    struct board *board = check_ready(L);
    struct dfu_op op = { .kind = DFU_LEAVE, .any_alt = true };
    if (!lua_isnoneornil(L, 2))
        op.address = check_address(L, 2);
    else if (board->region_count > 0)
        op.address = board->regions[0].address;
    if (only_says(L, board, "leave", op.address, 0))
        return 0;
    if (!board->dfu.dfuse) { /* a USB reset is how plain DFU goes back to its program */
        board_reset(board);
        mark(L, "left", 0, 0);
        lua_pushliteral(L, "assumed");
        return 1;
    }
    op.has_address = !lua_isnoneornil(L, 2) || board->region_count > 0;
    return run(L, board, &op);
}

/*** board:get_status() --> { status=, state=, poll= } */
static int board_get_status(lua_State *L)
{
    return run_simple(L, DFU_GET_STATUS);
}

/*** board:get_state() --> string */
static int board_get_state(lua_State *L)
{
    return run_simple(L, DFU_GET_STATE);
}

/*** board:clear_status(): from dfuERROR to dfuIDLE. */
static int board_clear_status(lua_State *L)
{
    return run_simple(L, DFU_CLEAR_STATUS);
}

/*** board:abort() */
static int board_abort(lua_State *L)
{
    return run_simple(L, DFU_ABORT);
}

/*** board:commands() --> { 0x00, 0x21, 0x41, ... } */
static int board_commands(lua_State *L)
{
    struct board *board = check_ready(L);
    check_dfuse(L, board, "get commands");
    struct dfu_op op = { .kind = DFU_COMMANDS, .any_alt = true, .length = 64 };
    return run(L, board, &op);
}

static int raw_ended(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct pending *pending = (struct pending *)context;
    if (task_cancelled(L)) {
        lua_pop(L, 1);
        return raise_failure(L, pending, "cancelled", "control");
    }
    if (!pending->ok)
        return raise_failure(L, pending, result_name(pending->raw_result), "control");
    if (!(pending->setup.type & 0x80))
        return 0;
    lua_pushlstring(L, (const char *)pending->board->dfu.buffer, (size_t)pending->raw_result);
    return 1;
}

/*** board:control(request_type, request, value, index, data_or_length) --> string, when it reads */
static int board_control(lua_State *L)
{
    struct board *board = check_ready(L);
    struct port_setup setup = {
        .type = (uint8_t)luaL_checkinteger(L, 2),
        .request = (uint8_t)luaL_checkinteger(L, 3),
        .value = check_word(L, 4),
        .index = check_word(L, 5),
    };
    size_t length = 0;
    const char *data = NULL;
    if (setup.type & 0x80) {
        setup.length = check_word(L, 6);
    } else {
        data = luaL_optlstring(L, 6, "", &length);
        luaL_argcheck(L, length <= 0xFFFF, 6, "a transfer has at most 65535 bytes");
        setup.length = (uint16_t)length;
        if (only_says(L, board, "control", setup.request, length))
            return 0;
    }
    struct pending *pending = new_pending(L, board);
    pending->setup = setup;
    if (data)
        memcpy(board->dfu.buffer, data, length);
    if (setup.type & 0x80)
        memset(board->dfu.buffer, 0, setup.length);
    board_start_raw(board, &setup, on_ended, pending);
    return task_await(L, &pending->wait, (lua_KContext)pending, raw_ended);
}

/*** board:select(alt): by number, or by the beginning of its name; nil: the address decides. */
static int board_select(lua_State *L)
{
    struct board *board = check_board(L);
    if (lua_isnoneornil(L, 2)) {
        board->selected = -1;
        return 0;
    }
    push_field(L, "find_alt");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    board->selected = (int)luaL_checkinteger(L, -1);
    return 0;
}

/*** board:reset(): a USB reset; the board comes back as another device. */
static int board_l_reset(lua_State *L)
{
    struct board *board = check_ready(L);
    if (only_says(L, board, "reset", 0, 0))
        return 0;
    board_reset(board);
    return 0;
}

/*** board:close(); also <close>, and when it is collected. */
static int board_l_close(lua_State *L)
{
    struct box *box = luaL_checkudata(L, 1, BOARD_TYPE);
    if (box->board)
        board_close(box->board);
    return 0;
}

static int board_gc(lua_State *L)
{
    struct box *box = luaL_checkudata(L, 1, BOARD_TYPE);
    if (box->board)
        board_orphan(box->board);
    box->board = NULL;
    return 0;
}

static int board_tostring(lua_State *L)
{
    struct board *board = check_board(L);
    lua_pushfstring(L, "Board (%s%s)", board->path, board_is_open(board) ? "" : ", not open");
    return 1;
}

/* ---- fields ---- */

/* Upvalue 1: the methods.  Then what is C's, then what boards.lua keeps; it also answers for what
 * nobody has. */
static int board_index(lua_State *L)
{
    struct board *board = check_board(L);
    const char *key = luaL_checkstring(L, 2);
    if (lua_getfield(L, lua_upvalueindex(1), key) != LUA_TNIL)
        return 1;
    if (strcmp(key, "path") == 0) {
        lua_pushstring(L, board->path);
    } else if (strcmp(key, "is_open") == 0) {
        lua_pushboolean(L, board_is_open(board));
    } else if (strcmp(key, "timeout") == 0) {
        lua_pushnumber(L, board->dfu.timeout);
    } else if (strcmp(key, "transfer_size") == 0) {
        lua_pushinteger(L, board->dfu.transfer_size);
    } else if (strcmp(key, "alt") == 0) {
        lua_pushinteger(L, board->selected >= 0 ? board->selected : board->dfu.alt);
    } else if (strcmp(key, "retries") == 0) {
        lua_pushinteger(L, board->dfu.retries);
    } else if (strcmp(key, "opened") == 0) {
        lua_pushnumber(L, board->opened);
    } else {
        push_field(L, "unknown");
        lua_pushvalue(L, 1);
        lua_pushvalue(L, 2);
        lua_call(L, 2, 1);
    }
    return 1;
}

static int board_newindex(lua_State *L)
{
    struct board *board = check_board(L);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "timeout") == 0) {
        board->dfu.timeout = check_positive(L, 3);
        return 0;
    }
    push_field(L, "assign");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_call(L, 3, 0);
    return 0;
}

/* ---- for boards.lua ---- */

/*** link.new(path, fields) --> Board, not open */
static int link_new(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_argcheck(L, strlen(path) < PORT_PATH_MAX, 1, "the path is too long");
    struct box *box = lua_newuserdatauv(L, sizeof *box, 1);
    box->board = NULL;
    luaL_setmetatable(L, BOARD_TYPE);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 1);
    struct host *host = host_of(L);
    box->board = board_new(host->loop, &host->boards, path);
    return box->board ? 1 : luaL_error(L, "not enough memory");
}

/*** link.fields(board) --> the table that belongs to it */
static int link_fields(lua_State *L)
{
    check_board(L);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static bool push_device(void *arg, const struct port_device *device)
{
    lua_State *L = arg;
    lua_createtable(L, 0, 4);
    lua_pushstring(L, device->path);
    lua_setfield(L, -2, "path");
    lua_pushinteger(L, device->generation);
    lua_setfield(L, -2, "generation");
    lua_pushlstring(L, (const char *)device->device, device->device_length);
    lua_setfield(L, -2, "device");
    lua_pushlstring(L, (const char *)device->config, device->config_length);
    lua_setfield(L, -2, "config");
    lua_seti(L, -2, luaL_len(L, -2) + 1);
    return true;
}

/*** link.devices() --> { { path=, generation=, device=bytes, config=bytes }, ... } */
static int link_devices(lua_State *L)
{
    struct host *host = host_of(L);
    lua_newtable(L);
    for (int i = 0; i < HOST_PORTS; i++)
        if (host->ports[i])
            host->ports[i]->list(host->ports[i], push_device, L);
    return 1;
}

/*** link.attach(board, generation, interface) --> true, or nil and "gone", "busy", ...: opens the
 * device of that generation; interface -1: only to read its strings. */
static int link_attach(lua_State *L)
{
    struct board *board = check_board(L);
    unsigned generation = (unsigned)luaL_checkinteger(L, 2);
    int interface = (int)luaL_checkinteger(L, 3);
    struct host *host = host_of(L);
    if (board->handle)
        return luaL_error(L, "%s is open already", board->path);
    int result = PORT_GONE;
    for (int i = 0; i < HOST_PORTS && result == PORT_GONE; i++)
        if (host->ports[i])
            result = board_attach(board, host->ports[i], generation, interface);
    if (result < 0) {
        lua_pushnil(L);
        lua_pushstring(L, result_name(result));
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

/*** link.configure(board, { dfuse=, several_alts=, tolerant=, early=, transfer_size=, dry=,
 * regions={ { alt=, address=, size=, count=, readable=, erasable=, writable=, resets= } } }) */
static int link_configure(lua_State *L)
{
    struct board *board = check_board(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    board->dfu.dfuse = flag(L, 2, "dfuse");
    board->dfu.several_alts = flag(L, 2, "several_alts");
    board->dfu.tolerant = flag(L, 2, "tolerant");
    board->dfu.early = flag(L, 2, "early");
    board->dry = flag(L, 2, "dry");
    board->dfu.transfer_size = (uint16_t)number(L, 2, "transfer_size", 65535);
    if (board->dfu.transfer_size == 0)
        return luaL_error(L, "a transfer has 1 byte or more");
    lua_getfield(L, 2, "regions");
    luaL_checktype(L, -1, LUA_TTABLE);
    set_regions(L, board, lua_gettop(L));
    return 0;
}

/*** link.stale(board) --> the generation of the device that has left this place, if one has */
static int link_stale(lua_State *L)
{
    struct board *board = check_board(L);
    if (!board->left)
        return 0;
    lua_pushinteger(L, board->generation);
    return 1;
}

/*** link.early(board, boolean?) --> boolean: whether it is asked before its poll time is over */
static int link_early(lua_State *L)
{
    struct board *board = check_board(L);
    if (lua_isboolean(L, 2))
        board->dfu.early = lua_toboolean(L, 2);
    lua_pushboolean(L, board->dfu.early);
    return 1;
}

/*** link.is_closing(path) --> whether a board there is on its way to being released */
static int link_is_closing(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct host *host = host_of(L);
    bool closing = false;
    for (struct board *board = host->boards; board; board = board->next)
        closing = closing || (board->closing && strcmp(board->path, path) == 0);
    lua_pushboolean(L, closing);
    return 1;
}

/*** link.detach(board, milliseconds): DFU_DETACH, in run-time mode */
static int link_detach(lua_State *L)
{
    struct board *board = check_ready(L);
    struct dfu_op op = { .kind = DFU_DETACH, .any_alt = true, .block = check_word(L, 2) };
    if (only_says(L, board, "detach", 0, 0))
        return 0;
    return run(L, board, &op);
}

/*** link.extend(name, function): a method of Board that is written in Lua */
static int link_extend(lua_State *L)
{
    luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_settable(L, 1);
    return 0;
}

static const luaL_Reg board_meth[] = {
    { "read", board_read },
    { "write", board_write },
    { "erase_page", board_erase_page },
    { "mass_erase", board_mass_erase },
    { "read_unprotect", board_read_unprotect },
    { "set_address", board_set_address },
    { "download_block", board_download_block },
    { "upload_block", board_upload_block },
    { "leave", board_leave },
    { "get_status", board_get_status },
    { "get_state", board_get_state },
    { "clear_status", board_clear_status },
    { "abort", board_abort },
    { "commands", board_commands },
    { "control", board_control },
    { "select", board_select },
    { "reset", board_l_reset },
    { "close", board_l_close },
    { NULL, NULL },
};

static const luaL_Reg board_meta[] = {
    { "__newindex", board_newindex }, { "__gc", board_gc }, { "__close", board_l_close },
    { "__tostring", board_tostring }, { NULL, NULL },
};

static const luaL_Reg link_lib[] = {
    { "new", link_new },
    { "fields", link_fields },
    { "devices", link_devices },
    { "attach", link_attach },
    { "configure", link_configure },
    { "stale", link_stale },
    { "early", link_early },
    { "is_closing", link_is_closing },
    { "detach", link_detach },
    { NULL, NULL },
};

int luaopen_link(lua_State *L)
{
    luaL_newmetatable(L, BOARD_TYPE);
    luaL_setfuncs(L, board_meta, 0);
    luaL_newlib(L, board_meth);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, board_index, 1);
    lua_setfield(L, -3, "__index");
    luaL_newlib(L, link_lib);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, link_extend, 1);
    lua_setfield(L, -2, "extend");
    return 1;
}
