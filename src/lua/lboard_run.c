/* SPDX-License-Identifier: MIT */
#include "lua/lboard_run.h"

#include <lauxlib.h>
#include <string.h>

#include "dfu/board.h"
#include "lua/error.h"
#include "lua/lmisuse.h"
#include "lua/task.h"

/* What a task waits for.  The outcome is copied into it: the board may begin another operation
 * before the task runs. */
struct pending {
    struct wait wait;
    struct board *board;
    struct dfu_op op;
    int raw_result;
    bool ok;
    uint8_t *out;                 /* the bytes read, behind this struct; or NULL */
    const struct pending *failed; /* where a string is read: the failed operation that names it */
};

/* ---- the board ---- */

struct board *lboard_board(lua_State *L)
{
    const struct lboard *handle = method_self(L, BOARD_TYPE);
    if (!handle->board)
        misuse(L, "attempt to use a board that was collected");
    return handle->board;
}

struct board *lboard_ready(lua_State *L)
{
    struct board *board = lboard_board(L);
    task_check(L);
    if (!board_is_open(board))
        misuse(L, "%s is not open: board:open() opens it", board->path);
    if (board->busy)
        misuse(L, "%s is busy: one operation at a time on a board", board->path);
    return board;
}

/* ---- callbacks ---- */

static const char callbacks_key; /* of the registry: the functions, by their numbers */

void lboard_set_callbacks(lua_State *L, int index)
{
    static const char *const names[] = {
        [LBOARD_EXPLAIN] = "explain",
        [LBOARD_MARK] = "mark",
        [LBOARD_BEGIN] = "begin",
        [LBOARD_BEGIN_BLOCK] = "begin_block",
        [LBOARD_WOULD] = "would",
        [LBOARD_GUARD] = "guard",
        [LBOARD_GUARD_BLOCK] = "guard_block",
        [LBOARD_FIND_ALT] = "find_alt",
        [LBOARD_UNKNOWN] = "unknown",
        [LBOARD_ASSIGN] = "assign",
    };
    luaL_checktype(L, index, LUA_TTABLE);
    lua_createtable(L, LBOARD_CALLBACKS, 1);
    for (int i = 0; i < LBOARD_CALLBACKS; i++) {
        if (lua_getfield(L, index, names[i]) != LUA_TFUNCTION)
            luaL_error(L, "the callback '%s' is missing", names[i]);
        lua_rawseti(L, -2, i);
    }
    int count = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        count++;
    luaL_argcheck(L, count == LBOARD_CALLBACKS, index, "there is a callback too many");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &callbacks_key);
}

void lboard_push_callback(lua_State *L, enum lboard_callback which)
{
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &callbacks_key);
    lua_rawgeti(L, -1, which);
    lua_remove(L, -2);
    lua_pushvalue(L, 1);
    lua_getiuservalue(L, 1, 1);
}

static void push_range(lua_State *L, uint64_t first, uint64_t last, int alt)
{
    lua_pushinteger(L, (lua_Integer)first);
    lua_pushinteger(L, (lua_Integer)last);
    lua_pushinteger(L, alt);
}

void lboard_mark(lua_State *L, const char *what, uint64_t first, uint64_t last, int alt)
{
    lboard_push_callback(L, LBOARD_MARK);
    lua_pushstring(L, what);
    push_range(L, first, last, alt);
    lua_call(L, 6, 0);
}

void lboard_begin(lua_State *L, uint64_t first, uint64_t last, int alt)
{
    lboard_push_callback(L, LBOARD_BEGIN);
    push_range(L, first, last, alt);
    lua_call(L, 5, 0);
}

bool lboard_irreversible(lua_State *L, const char *method, int index)
{
    if (lua_isnoneornil(L, index))
        return false;
    method_check(L, lua_istable(L, index), method, index, "options, { irreversible = true }");
    lua_getfield(L, index, "irreversible");
    bool is_meant = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_meant;
}

bool lboard_only_says(lua_State *L, struct board *board, const char *what, lua_Integer address,
                      size_t length)
{
    if (!board->dry)
        return false;
    lboard_push_callback(L, LBOARD_WOULD);
    lua_pushstring(L, what);
    lua_pushinteger(L, address);
    lua_pushinteger(L, (lua_Integer)length);
    lua_call(L, 5, 0);
    return true;
}

/* ---- the results of transfers ---- */

const char *lboard_result_name(int result)
{
    switch ((enum port_result)result) {
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
    case PORT_IO:
        break;
    }
    return "io";
}

/* ---- failures ---- */

static bool has_own_address(const struct dfu_op *op)
{
    return op->kind == DFU_SET_ADDRESS || op->kind == DFU_ERASE || op->kind == DFU_READ ||
           op->kind == DFU_WRITE || (op->kind == DFU_LEAVE && op->has_address);
}

/* Pushes the callback that explains a failure, and its arguments; the facts, on the top, are a
 * table to be filled in. [-0, +4, e] */
static void begin_facts(lua_State *L, const struct lboard_failure *failure)
{
    lboard_push_callback(L, LBOARD_EXPLAIN);
    lua_createtable(L, 0, 10);
    error_set(L, "code", failure->code);
    if (failure->detail)
        error_set(L, "detail", failure->detail);
    error_set(L, "op", failure->operation);
}

static void set_address(lua_State *L, lua_Integer address)
{
    lua_pushinteger(L, address);
    lua_setfield(L, -2, "address");
}

/* [-4, +0, v] */
static int raise_facts(lua_State *L)
{
    lua_call(L, 3, 1);
    return lua_error(L);
}

/* Raises the error of an operation that failed.  Indices, or 0: cancellation, of the error that the
 * task has coming; string, of the string descriptor that iString names. [-0, +0, v] */
static int raise_failure(lua_State *L, const struct dfu_op *op,
                         const struct lboard_failure *failure, int cancellation, int string)
{
    begin_facts(L, failure);
    if (has_own_address(op))
        set_address(L, (lua_Integer)op->address + (lua_Integer)op->done);
    if (op->failure == DFU_FAIL_STATUS)
        error_set(L, "status", dfu_status_name(op->status));
    if (op->failure == DFU_FAIL_STATUS || op->failure == DFU_FAIL_STATE)
        error_set(L, "state", dfu_state_name(op->state));
    lua_pushboolean(L, op->in_doubt);
    lua_setfield(L, -2, "in_doubt");
    lua_pushboolean(L, op->resent);
    lua_setfield(L, -2, "again");
    lua_pushnumber(L, op->limit);
    lua_setfield(L, -2, "limit");
    if (string) {
        lua_pushvalue(L, string);
        lua_setfield(L, -2, "string");
    }
    if (cancellation) {
        lua_pushvalue(L, cancellation);
        lua_setfield(L, -2, "cancellation");
    }
    return raise_facts(L);
}

int lboard_refuse(lua_State *L, const struct lboard_failure *failure, lua_Integer address)
{
    begin_facts(L, failure);
    if (address != LBOARD_NOWHERE)
        set_address(L, address);
    return raise_facts(L);
}

static struct lboard_failure failure_of(enum dfu_failure failure, const char *operation)
{
    return (struct lboard_failure){ .code = dfu_failure_code(failure),
                                    .detail = failure == DFU_FAIL_SHORT ? "short" : NULL,
                                    .operation = operation };
}

/* Raises if the task is being cancelled, or the operation failed. [-0, +0, e] */
static void check_outcome(lua_State *L, const struct pending *pending, enum dfu_failure failure,
                          const char *operation)
{
    struct lboard_failure cancelled = failure_of(DFU_FAIL_CANCELLED, operation);
    struct lboard_failure failed = failure_of(failure, operation);
    if (task_cancelled(L))
        raise_failure(L, &pending->op, &cancelled, lua_gettop(L), 0);
    if (!pending->ok)
        raise_failure(L, &pending->op, &failed, 0, 0);
}

/* ---- the end of an operation ---- */

/* Records the operation's effect on the flash, even if it failed or its task was cancelled. */
static void keep_journal(lua_State *L, const struct pending *pending)
{
    const struct dfu_op *op = &pending->op;
    const struct board *board = pending->board;
    const char *erased = op->in_doubt ? "doubt" : pending->ok ? "erased" : NULL;
    uint64_t at = (uint64_t)op->address + op->done;
    int alt = op->any_alt ? board->dfu.alt : op->alt;
    switch (op->kind) {
    case DFU_ERASE: {
        const struct region *region = board_region(board, op->address, NULL);
        if (erased && region) {
            uint64_t first = at - (at - region->address) % region->size;
            lboard_mark(L, erased, first, first + region->size - 1, alt);
        }
        break;
    }
    case DFU_MASS_ERASE:
    case DFU_READ_UNPROTECT:
        for (size_t i = 0; erased && i < board->region_count; i++)
            if (board->regions[i].erasable && board->regions[i].alt == board->regions[0].alt)
                lboard_mark(L, erased, board->regions[i].address, board->regions[i].end - 1,
                            board->regions[i].alt);
        break;
    case DFU_WRITE:
    case DFU_DOWNLOAD_BLOCK:
        if (op->kind == DFU_DOWNLOAD_BLOCK && (op->block < 2 || !op->has_address))
            break;
        if (op->done > 0)
            lboard_mark(L, "written", op->address, at - 1, alt);
        if (op->in_doubt)
            lboard_mark(L, "doubt", at, at + op->block_length - 1, alt);
        break;
    case DFU_GET_STATUS:
    case DFU_GET_STATE:
    case DFU_CLEAR_STATUS:
    case DFU_ABORT:
    case DFU_COMMANDS:
    case DFU_SET_ADDRESS:
    case DFU_UPLOAD_BLOCK:
    case DFU_READ:
    case DFU_LEAVE:
    case DFU_DETACH:
    case DFU_TO_IDLE:
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
    case DFU_CLEAR_STATUS:
    case DFU_ABORT:
    case DFU_SET_ADDRESS:
    case DFU_ERASE:
    case DFU_MASS_ERASE:
    case DFU_READ_UNPROTECT:
    case DFU_DOWNLOAD_BLOCK:
    case DFU_WRITE:
    case DFU_DETACH:
    case DFU_TO_IDLE:
        break;
    }
    return 0;
}

static int string_ended(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    const struct pending *pending = (const struct pending *)context, *failed = pending->failed;
    const char *operation = dfu_kind_name(failed->op.kind);
    struct lboard_failure cancelled = failure_of(DFU_FAIL_CANCELLED, operation);
    struct lboard_failure refused = failure_of(DFU_FAIL_STATUS, operation);
    if (task_cancelled(L))
        raise_failure(L, &failed->op, &cancelled, lua_gettop(L), 0);
    if (!pending->ok)
        return raise_failure(L, &failed->op, &refused, 0, 0);
    lua_pushlstring(L, (const char *)pending->out, (size_t)pending->raw_result);
    return raise_failure(L, &failed->op, &refused, 0, lua_gettop(L));
}

static int ask_for_string(lua_State *L, const struct pending *failed);

static int operation_ended(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct pending *pending = (struct pending *)context;
    const struct dfu_op *op = &pending->op;
    keep_journal(L, pending);
    bool names_string = !pending->ok && op->failure == DFU_FAIL_STATUS && op->string != 0;
    if (names_string && board_is_open(pending->board) && !pending->board->given_up)
        return ask_for_string(L, pending);
    check_outcome(L, pending, pending->op.failure, dfu_kind_name(pending->op.kind));
    return push_results(L, pending);
}

static int control_ended(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct pending *pending = (struct pending *)context;
    check_outcome(L, pending, dfu_transfer_failure(pending->raw_result), "control");
    if (!pending->out)
        return 0;
    lua_pushlstring(L, (const char *)pending->out, (size_t)pending->raw_result);
    return 1;
}

/* ---- starting an operation ---- */

/* Copies the outcome and the bytes read now: the next operation reuses the board's buffer. */
static void on_ended(void *arg, bool ok)
{
    struct pending *pending = arg;
    const struct board *board = pending->board;
    pending->ok = ok;
    pending->op = board->op;
    pending->raw_result = board->raw_result;
    if (board->raw && ok && pending->out)
        memcpy(pending->out, board->dfu.buffer, (size_t)board->raw_result);
    wait_done(&pending->wait);
}

static void give_up(struct wait *w)
{
    board_give_up(((struct pending *)w)->board);
}

/* Called immediately before an operation is started.  The allocation may run a finalizer, which may
 * close the board: therefore the second lboard_ready.  out: bytes that may be read. [-0, +1, e] */
static struct pending *new_pending(lua_State *L, struct board *board, bool reads, size_t out)
{
    struct pending *pending = lua_newuserdatauv(L, sizeof *pending + (reads ? out : 0), 0);
    *pending = (struct pending){ .wait = { .give_up = give_up },
                                 .board = board,
                                 .out = reads ? (uint8_t *)(pending + 1) : NULL };
    lboard_ready(L);
    return pending;
}

int lboard_run(lua_State *L, struct board *board, const struct dfu_op *op)
{
    bool reads = op->kind == DFU_READ || op->kind == DFU_UPLOAD_BLOCK || op->kind == DFU_COMMANDS;
    struct pending *pending = new_pending(L, board, reads, op->length);
    board->op = *op;
    board->op.out = pending->out;
    if (op->limit <= 0)
        board->op.limit = board->dfu.timeout;
    board_start(board, on_ended, pending);
    return task_await(L, &pending->wait, (lua_KContext)pending, operation_ended);
}

int lboard_transfer(lua_State *L, struct board *board, const struct usb_setup *setup,
                    const char *data)
{
    struct pending *pending = new_pending(L, board, !data, setup->length);
    if (data)
        memcpy(board->dfu.buffer, data, setup->length);
    else
        memset(board->dfu.buffer, 0, setup->length);
    board_start_raw(board, setup, on_ended, pending);
    return task_await(L, &pending->wait, (lua_KContext)pending, control_ended);
}

/* Reads the string that the board names for its error, before that error is raised. */
static int ask_for_string(lua_State *L, const struct pending *failed)
{
    struct usb_setup setup = { .type = USB_IN,
                               .request = USB_GET_DESCRIPTOR,
                               .value = (uint16_t)(USB_STRING_DESCRIPTOR << 8 | failed->op.string),
                               .index = USB_ENGLISH_US,
                               .length = 255 };
    struct pending *pending = new_pending(L, failed->board, true, setup.length);
    pending->failed = failed;
    memset(failed->board->dfu.buffer, 0, setup.length);
    board_start_raw(failed->board, &setup, on_ended, pending);
    return task_await(L, &pending->wait, (lua_KContext)pending, string_ended);
}
