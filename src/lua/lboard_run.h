/* SPDX-License-Identifier: MIT */
/* The operations of a board for Lua: starts one, awaits it, and pushes its results or raises its
 * error.  The Board is at index 1 in all of these functions. */
#ifndef LBOARD_RUN_H
#define LBOARD_RUN_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;
struct dfu_op;
struct usb_setup;

#define BOARD_TYPE "dfu.Board"

/* Class Board in Lua.  Its user value is the Board's state, a table that
 * lua/moonflash/board/class.lua makes. */
struct lboard {
    struct board *board; /* NULL only while the Board is made, and after __gc */
};

/* Returns the board; lop_ready raises unless an operation can be started on it. [-0, +0, e] */
struct board *lop_board(lua_State *L);
struct board *lop_ready(lua_State *L);

/* The functions of the library that C calls; link.callbacks sets them.  Each gets the Board, its
 * table of fields, and the arguments named here. */
enum lop_callback {
    LOP_EXPLAIN,     /* facts --> error object */
    LOP_MARK,        /* what, first, last, alt */
    LOP_BEGIN,       /* first, last, alt */
    LOP_BEGIN_BLOCK, /* block, bytes: called before a block that the caller numbers is sent */
    LOP_WOULD,       /* what, address, length */
    LOP_GUARD,       /* address, bytes, irreversible: raises if the write would close the chip */
    LOP_GUARD_BLOCK, /* { block=, pointer= }, bytes, irreversible: the same for a block */
    LOP_FIND_ALT,    /* number or name --> number of the alternate setting */
    LOP_UNKNOWN,     /* key --> value of a field that is not C's */
    LOP_ASSIGN,      /* key, value */
    LOP_CALLBACKS
};

/* Takes the callbacks from the table at the index, by name: all of them, and no others.
 * [-0, +0, v] */
void lop_set_callbacks(lua_State *L, int index);

/* Pushes a callback, the Board and its table of fields. [-0, +3, e] */
void lop_push_callback(lua_State *L, enum lop_callback which);

/* Records in the journal that [first, last] of that alternate setting is now "erased", "written",
 * or in "doubt". */
void lop_mark(lua_State *L, const char *what, uint64_t first, uint64_t last, int alt);

/* Called before an operation that changes [first, last] is started: a process that is killed
 * meanwhile reports the range as in doubt. */
void lop_begin(lua_State *L, uint64_t first, uint64_t last, int alt);

/* Returns the option `irreversible` of the table at the index, which may be nil. */
bool lop_irreversible(lua_State *L, const char *method, int index);

/* On a dry run, shows what would be done, and returns true: the caller does nothing more. */
bool lop_only_says(lua_State *L, struct board *board, const char *what, lua_Integer address,
                   size_t length);

/* The facts about a failure, for LOP_EXPLAIN. */
struct lop_failure {
    const char *code;      /* of the error object */
    const char *detail;    /* tells apart failures that share a code; or NULL */
    const char *operation; /* "erase", ... */
};

/* Raises the error of a request that is refused before anything is sent.  address: LOP_NOWHERE, if
 * the error has none. [-0, +0, v] */
int lop_refuse(lua_State *L, const struct lop_failure *failure, lua_Integer address);
#define LOP_NOWHERE (-1)

/* Starts the operation, or a control transfer of the caller's own, and awaits it: called as a tail
 * call.  The strings that it uses must stay on the stack until it has ended. */
int lop_run(lua_State *L, struct board *board, const struct dfu_op *op);
int lop_control(lua_State *L, struct board *board, const struct usb_setup *setup, const char *data);

/* "gone", "busy", ... of a port_result: for trace and link.attach */
const char *lop_result_name(int result);

#endif
