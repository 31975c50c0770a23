/* SPDX-License-Identifier: MIT */
/* Class Board: the DFU primitives as Lua methods.  Each checks its arguments, starts an operation
 * and awaits it (lboard_run.c).
 *
 * The other half of the class is Lua: lua/moonflash/board/place.lua finds and opens boards by
 * means of llink.c, and lua/moonflash/board/failure.lua makes the error objects.
 */
#include "lua/lboard.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dfu/board.h"
#include "lua/lmisuse.h"
#include "lua/lboard_run.h"

/* Seconds that a command may take on the board, beyond the time of a request: twice the longest
 * time in the data sheets (DS8626 table 40: 128 KB 4 s, 1 MB 32 s). */
#define ERASE_LIMIT_PER_BYTE (8.0 / 131072)
#define MASS_ERASE_LIMIT     64.0

/* ---- arguments ---- */

static uint32_t check_address(lua_State *L, const char *method, int index)
{
    lua_Integer address = method_integer(L, method, index);
    method_check(L, address >= 0 && address <= 0xFFFFFFFF, method, index, "an address has 32 bits");
    return (uint32_t)address;
}

static uint16_t check_word(lua_State *L, const char *method, int index)
{
    lua_Integer value = method_integer(L, method, index);
    method_check(L, value >= 0 && value <= 0xFFFF, method, index, "0 to 65535");
    return (uint16_t)value;
}

static uint8_t check_byte(lua_State *L, const char *method, int index)
{
    lua_Integer value = method_integer(L, method, index);
    method_check(L, value >= 0 && value <= 0xFF, method, index, "0 to 255");
    return (uint8_t)value;
}

/* Runs an operation that has no arguments. */
static int run_simple(lua_State *L, enum dfu_kind kind)
{
    struct board *board = lboard_ready(L);
    struct dfu_op op = { .kind = kind, .any_alt = true };
    return lboard_run(L, board, &op);
}

/* ---- memories ---- */

/* kind: DFU_READ, DFU_WRITE or DFU_ERASE. */
static bool allows(const struct region *region, enum dfu_kind kind)
{
    return kind == DFU_READ    ? region->readable
           : kind == DFU_WRITE ? region->writable
                               : region->erasable;
}

/* Returns the region at the address if all of [address, address + length) lies in one memory that
 * allows the operation; else raises dfu.outside, and nothing is sent. */
static const struct region *check_inside(lua_State *L, struct board *board, enum dfu_kind kind,
                                         uint32_t address, size_t length)
{
    uint64_t at = address, end = at + length;
    const struct region *first = board_region(board, address, NULL), *region = first;
    while (region && allows(region, kind) && region->end < end) {
        at = region->end;
        region = at <= 0xFFFFFFFF ? board_region(board, (uint32_t)at, first) : NULL;
    }
    if (region && allows(region, kind))
        return first;
    const struct lboard_failure failure = { .code = "dfu.outside",
                                            .detail = region ? "forbidden" : NULL,
                                            .operation = dfu_kind_name(kind) };
    lboard_refuse(L, &failure, (lua_Integer)(uint32_t)at);
    return NULL;
}

static void check_dfuse(lua_State *L, struct board *board, enum dfu_kind kind)
{
    if (board->dfu.dfuse)
        return;
    const struct lboard_failure failure = { .code = "dfu.not-dfuse",
                                            .operation = dfu_kind_name(kind) };
    lboard_refuse(L, &failure, LBOARD_NOWHERE);
}

/*** board:read(address, length) --> string */
static int lboard_read(lua_State *L)
{
    struct board *board = lboard_ready(L);
    uint32_t address = check_address(L, "read", 2);
    lua_Integer length = method_integer(L, "read", 3);
    method_check(L, length >= 0 && length <= 0xFFFFFFFF, "read", 3, "0 bytes or more");
    struct dfu_op op = { .kind = DFU_READ, .address = address, .length = (size_t)length };
    if (length == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (board->dfu.dfuse) {
        op.alt = check_inside(L, board, DFU_READ, address, op.length)->alt;
    } else {
        method_check(L, address == 0, "read", 2, "plain DFU reads its memory from 0");
        op.any_alt = board->selected < 0;
        op.alt = (uint8_t)board->selected;
    }
    return lboard_run(L, board, &op);
}

/* Raises if writing the string at the index would close the chip for ever. [-0, +0, e] */
static void guard(lua_State *L, uint32_t address, int index, bool irreversible)
{
    lboard_push_callback(L, LBOARD_GUARD);
    lua_pushinteger(L, address);
    lua_pushvalue(L, index);
    lua_pushboolean(L, irreversible);
    lua_call(L, 5, 0);
}

/* The same for a block that the caller numbers. */
static void guard_block(lua_State *L, const struct board *board, uint16_t block, int index,
                        bool irreversible)
{
    lboard_push_callback(L, LBOARD_GUARD_BLOCK);
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, block);
    lua_setfield(L, -2, "block");
    if (board->dfu.has_pointer) {
        lua_pushinteger(L, board->dfu.pointer);
        lua_setfield(L, -2, "pointer");
    }
    lua_pushvalue(L, index);
    lua_pushboolean(L, irreversible);
    lua_call(L, 5, 0);
}

/* Called before a block that the caller numbers is sent: marks what it may change as in doubt.
 * block: its number; -1 for a request that is not DNLOAD. */
static void begin_block(lua_State *L, lua_Integer block, int index)
{
    lboard_push_callback(L, LBOARD_BEGIN_BLOCK);
    lua_pushinteger(L, block);
    lua_pushvalue(L, index);
    lua_call(L, 4, 0);
}

/*** board:write(address, data, options?): never erases, never pads. */
static int lboard_write(lua_State *L)
{
    struct board *board = lboard_ready(L);
    uint32_t address = check_address(L, "write", 2);
    struct dfu_op op = { .kind = DFU_WRITE, .address = address };
    op.data = (const uint8_t *)method_string(L, "write", 3, &op.length);
    bool irreversible = lboard_irreversible(L, "write", 4);
    if (op.length == 0)
        return 0;
    if (board->dfu.dfuse) {
        const struct region *region = check_inside(L, board, DFU_WRITE, address, op.length);
        op.alt = region->alt;
        op.may_reset = region->resets;
        guard(L, address, 3, irreversible);
    } else {
        method_check(L, address == 0, "write", 2, "plain DFU writes its memory from 0");
        op.any_alt = board->selected < 0;
        op.alt = (uint8_t)board->selected;
    }
    if (lboard_only_says(L, board, dfu_kind_name(op.kind), address, op.length))
        return 0;
    lboard_begin(L, address, address + (uint64_t)op.length - 1,
                 op.any_alt ? board->dfu.alt : op.alt);
    return lboard_run(L, board, &op);
}

/*** board:erase_page(address, seconds?): erases the page (sector) that holds the address, in
 * `seconds` at the most. */
static int lboard_erase_page(lua_State *L)
{
    struct board *board = lboard_ready(L);
    uint32_t address = check_address(L, "erase_page", 2);
    check_dfuse(L, board, DFU_ERASE);
    const struct region *region = check_inside(L, board, DFU_ERASE, address, 1);
    struct dfu_op op = { .kind = DFU_ERASE, .address = address, .alt = region->alt };
    op.limit = luaL_optnumber(L, 3, board->dfu.timeout + ERASE_LIMIT_PER_BYTE * region->size);
    if (!(op.limit > 0))
        return misuse(L, "board:erase_page(address, seconds): seconds, more than 0");
    if (lboard_only_says(L, board, dfu_kind_name(op.kind), address, region->size))
        return 0;
    uint64_t first = address - (address - region->address) % region->size;
    lboard_begin(L, first, first + region->size - 1, region->alt);
    return lboard_run(L, board, &op);
}

/* Calls lboard_begin for the whole main flash. */
static void begin_all(lua_State *L, const struct board *board)
{
    for (size_t i = 0; i < board->region_count; i++) {
        const struct region *region = &board->regions[i];
        if (region->erasable && region->alt == board->regions[0].alt)
            lboard_begin(L, region->address, region->end - 1, region->alt);
    }
}

/*** board:mass_erase() */
static int lboard_mass_erase(lua_State *L)
{
    struct board *board = lboard_ready(L);
    check_dfuse(L, board, DFU_MASS_ERASE);
    struct dfu_op op = { .kind = DFU_MASS_ERASE,
                         .any_alt = board->selected < 0,
                         .alt = (uint8_t)board->selected,
                         .limit = board->dfu.timeout + MASS_ERASE_LIMIT };
    if (lboard_only_says(L, board, dfu_kind_name(op.kind), 0, 0))
        return 0;
    begin_all(L, board);
    return lboard_run(L, board, &op);
}

/*** board:read_unprotect(): erases the whole chip; then the board leaves the bus. */
static int lboard_read_unprotect(lua_State *L)
{
    struct board *board = lboard_ready(L);
    check_dfuse(L, board, DFU_READ_UNPROTECT);
    struct dfu_op op = { .kind = DFU_READ_UNPROTECT,
                         .any_alt = true,
                         .limit = board->dfu.timeout + MASS_ERASE_LIMIT };
    if (lboard_only_says(L, board, dfu_kind_name(op.kind), 0, 0))
        return 0;
    begin_all(L, board);
    return lboard_run(L, board, &op);
}

/*** board:set_address(address): sets the address of block 2. */
static int lboard_set_address(lua_State *L)
{
    struct board *board = lboard_ready(L);
    uint32_t address = check_address(L, "set_address", 2);
    check_dfuse(L, board, DFU_SET_ADDRESS);
    struct dfu_op op = { .kind = DFU_SET_ADDRESS, .address = address, .any_alt = true };
    const struct region *region = board_region(board, address, NULL);
    if (region) {
        op.any_alt = false;
        op.alt = region->alt;
    }
    return lboard_run(L, board, &op);
}

/*** board:download_block(number, data, options?): one DFU_DNLOAD, polled to its end. */
static int lboard_download_block(lua_State *L)
{
    struct board *board = lboard_ready(L);
    struct dfu_op op = { .kind = DFU_DOWNLOAD_BLOCK,
                         .any_alt = true,
                         .block = check_word(L, "download_block", 2) };
    op.data = (const uint8_t *)method_string(L, "download_block", 3, &op.length);
    method_check(L, op.length <= 0xFFFF, "download_block", 3, "a block has at most 65535 bytes");
    guard_block(L, board, op.block, 3, lboard_irreversible(L, "download_block", 4));
    /* block 0 of DfuSe is a command, which may be a mass erase */
    op.limit = board->dfu.timeout + (op.block == 0 && board->dfu.dfuse ? MASS_ERASE_LIMIT : 0);
    if (board->dfu.has_base && op.block >= 2) {
        op.has_address = true;
        op.address = board->dfu.base + (op.block - 2u) * board->dfu.transfer_size;
    }
    if (lboard_only_says(L, board, dfu_kind_name(op.kind), op.block, op.length))
        return 0;
    if (!op.has_address)
        begin_block(L, op.block, 3);
    return lboard_run(L, board, &op);
}

/*** board:upload_block(number, length) --> string */
static int lboard_upload_block(lua_State *L)
{
    struct board *board = lboard_ready(L);
    struct dfu_op op = { .kind = DFU_UPLOAD_BLOCK,
                         .any_alt = true,
                         .block = check_word(L, "upload_block", 2) };
    op.length = check_word(L, "upload_block", 3);
    return lboard_run(L, board, &op);
}

/*** board:leave(address?) --> "confirmed" or "assumed" */
static int lboard_leave(lua_State *L)
{
    struct board *board = lboard_board(L);
    if (!board->dfu.dfuse && board->left && !board_is_open(board)) {
        lua_pushliteral(L, "confirmed"); /* plain DFU: writing the program has started it */
        return 1;
    }
    board = lboard_ready(L);
    struct dfu_op op = { .kind = DFU_LEAVE, .any_alt = true };
    if (!lua_isnoneornil(L, 2))
        op.address = check_address(L, "leave", 2);
    else if (board->region_count > 0)
        op.address = board->regions[0].address;
    if (lboard_only_says(L, board, dfu_kind_name(op.kind), op.address, 0))
        return 0;
    if (!board->dfu.dfuse) { /* in plain DFU a USB reset starts the program */
        board_reset(board);
        lua_pushliteral(L, "assumed");
        return 1;
    }
    op.has_address = !lua_isnoneornil(L, 2) || board->region_count > 0;
    return lboard_run(L, board, &op);
}

/*** board:get_status() --> { status=, state=, poll= } */
static int lboard_get_status(lua_State *L)
{
    return run_simple(L, DFU_GET_STATUS);
}

/*** board:get_state() --> string */
static int lboard_get_state(lua_State *L)
{
    return run_simple(L, DFU_GET_STATE);
}

/*** board:clear_status(): from dfuERROR to dfuIDLE. */
static int lboard_clear_status(lua_State *L)
{
    return run_simple(L, DFU_CLEAR_STATUS);
}

/*** board:abort() */
static int lboard_abort(lua_State *L)
{
    return run_simple(L, DFU_ABORT);
}

/*** board:commands() --> { 0x00, 0x21, 0x41, ... } */
static int lboard_commands(lua_State *L)
{
    struct board *board = lboard_ready(L);
    check_dfuse(L, board, DFU_COMMANDS);
    struct dfu_op op = { .kind = DFU_COMMANDS, .any_alt = true, .length = 64 };
    return lboard_run(L, board, &op);
}

/* Returns true for a class request that may change the flash: DNLOAD, an IN request sent as OUT, or
 * a request unknown to DFU 1.1.  block: that of DNLOAD, or -1. */
static bool may_change_flash(const struct usb_setup *setup, lua_Integer *block)
{
    bool is_dnload = setup->request == DFU_REQ_DNLOAD;
    *block = is_dnload ? setup->value : -1;
    return (setup->type & (USB_IN | USB_TYPE_MASK)) == USB_TYPE_CLASS &&
           (is_dnload || setup->request == DFU_REQ_UPLOAD || setup->request == DFU_REQ_GETSTATUS ||
            setup->request == DFU_REQ_GETSTATE || setup->request > DFU_REQ_ABORT);
}

/*** board:control(request_type, request, value, index, data_or_length, options?) --> string, if it
 * reads */
static int lboard_control(lua_State *L)
{
    struct board *board = lboard_ready(L);
    struct usb_setup setup = {
        .type = check_byte(L, "control", 2),
        .request = check_byte(L, "control", 3),
        .value = check_word(L, "control", 4),
        .index = check_word(L, "control", 5),
    };
    size_t length = 0;
    const char *data = NULL;
    if (setup.type & USB_IN) {
        setup.length = check_word(L, "control", 6);
    } else {
        data = lua_isnoneornil(L, 6) ? "" : method_string(L, "control", 6, &length);
        method_check(L, length <= 0xFFFF, "control", 6, "a transfer has at most 65535 bytes");
        setup.length = (uint16_t)length;
        bool irreversible = lboard_irreversible(L, "control", 7);
        lua_Integer block;
        bool changes = may_change_flash(&setup, &block);
        lua_pushlstring(L, data, length);
        int bytes = lua_gettop(L);
        if (changes && block >= 0)
            guard_block(L, board, setup.value, bytes, irreversible);
        if (lboard_only_says(L, board, "control", setup.request, length))
            return 0;
        if (changes)
            begin_block(L, block, bytes);
    }
    return lboard_transfer(L, board, &setup, data);
}

/*** board:select(alt): a number, or the beginning of a name; nil: each address decides. */
static int lboard_select(lua_State *L)
{
    struct board *board = lboard_board(L);
    if (lua_isnoneornil(L, 2)) {
        board->selected = -1;
        return 0;
    }
    lboard_push_callback(L, LBOARD_FIND_ALT);
    lua_pushvalue(L, 2);
    lua_call(L, 3, 1);
    board->selected = (int)luaL_checkinteger(L, -1);
    return 0;
}

/*** board:reset(): a USB reset; the board comes back as a new device. */
static int lboard_reset(lua_State *L)
{
    struct board *board = lboard_ready(L);
    if (lboard_only_says(L, board, "reset", 0, 0))
        return 0;
    board_reset(board);
    return 0;
}

/*** board:close(): also <close>, and when the Board is collected. */
static int lboard_close(lua_State *L)
{
    struct lboard *handle = method_self(L, BOARD_TYPE);
    if (handle->board)
        board_close(handle->board);
    return 0;
}

static int lboard_gc(lua_State *L)
{
    struct lboard *handle = method_self(L, BOARD_TYPE);
    if (handle->board)
        board_orphan(handle->board);
    handle->board = NULL;
    return 0;
}

static int lboard_tostring(lua_State *L)
{
    struct board *board = lboard_board(L);
    lua_pushfstring(L, "Board (%s%s)", board->path, board_is_open(board) ? "" : ", not open");
    return 1;
}

/* ---- fields ---- */

static void push_path(lua_State *L, const struct board *board)
{
    lua_pushstring(L, board->path);
}

static void push_is_open(lua_State *L, const struct board *board)
{
    lua_pushboolean(L, board_is_open(board));
}

static void push_timeout(lua_State *L, const struct board *board)
{
    lua_pushnumber(L, board->dfu.timeout);
}

static void push_transfer_size(lua_State *L, const struct board *board)
{
    lua_pushinteger(L, board->dfu.transfer_size);
}

static void push_alt(lua_State *L, const struct board *board)
{
    lua_pushinteger(L, board->selected >= 0 ? board->selected : board->dfu.alt);
}

static void push_retries(lua_State *L, const struct board *board)
{
    lua_pushinteger(L, board->dfu.retries);
}

static void push_opened(lua_State *L, const struct board *board)
{
    lua_pushnumber(L, board->opened);
}

static const struct field {
    const char *name;
    void (*push)(lua_State *L, const struct board *board);
} fields[] = {
    { "path", push_path },       { "is_open", push_is_open },
    { "timeout", push_timeout }, { "transfer_size", push_transfer_size },
    { "alt", push_alt },         { "retries", push_retries },
    { "opened", push_opened },
};

void lboard_push_field_names(lua_State *L)
{
    lua_newtable(L);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        lua_pushstring(L, fields[i].name);
        lua_seti(L, -2, (lua_Integer)i + 1);
    }
}

/* Upvalues: the methods; the struct field of each name.  All other keys are the library's. */
static int lboard_index(lua_State *L)
{
    struct board *board = lboard_board(L);
    luaL_checkstring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) {
        const struct field *field = lua_touserdata(L, -1);
        field->push(L, board);
        return 1;
    }
    lboard_push_callback(L, LBOARD_UNKNOWN);
    lua_pushvalue(L, 2);
    lua_call(L, 3, 1);
    return 1;
}

static int lboard_newindex(lua_State *L)
{
    struct board *board = lboard_board(L);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "timeout") == 0) {
        double seconds = lua_tonumber(L, 3);
        if (!(seconds > 0 && isfinite(seconds)))
            return misuse(L, "board.timeout: seconds, more than 0");
        board->dfu.timeout = seconds;
        return 0;
    }
    lboard_push_callback(L, LBOARD_ASSIGN);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_call(L, 4, 0);
    return 0;
}

static const luaL_Reg board_meth[] = {
    { "read", lboard_read },
    { "write", lboard_write },
    { "erase_page", lboard_erase_page },
    { "mass_erase", lboard_mass_erase },
    { "read_unprotect", lboard_read_unprotect },
    { "set_address", lboard_set_address },
    { "download_block", lboard_download_block },
    { "upload_block", lboard_upload_block },
    { "leave", lboard_leave },
    { "get_status", lboard_get_status },
    { "get_state", lboard_get_state },
    { "clear_status", lboard_clear_status },
    { "abort", lboard_abort },
    { "commands", lboard_commands },
    { "control", lboard_control },
    { "select", lboard_select },
    { "reset", lboard_reset },
    { "close", lboard_close },
    { NULL, NULL },
};

static const luaL_Reg board_meta[] = {
    { "__newindex", lboard_newindex }, { "__gc", lboard_gc }, { "__close", lboard_close },
    { "__tostring", lboard_tostring }, { NULL, NULL },
};

void lboard_class(lua_State *L)
{
    luaL_newmetatable(L, BOARD_TYPE);
    luaL_setfuncs(L, board_meta, 0);
    luaL_newlib(L, board_meth);
    lua_pushvalue(L, -1);
    lua_newtable(L);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        lua_pushlightuserdata(L, (void *)&fields[i]);
        lua_setfield(L, -2, fields[i].name);
    }
    lua_pushcclosure(L, lboard_index, 2);
    lua_setfield(L, -3, "__index");
    lua_remove(L, -2);
}
