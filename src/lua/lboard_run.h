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

/* Returns the board; lboard_ready raises unless an operation can be started on it. [-0, +0, e] */
struct board *lboard_board(lua_State *L);
struct board *lboard_ready(lua_State *L);

/* The functions of the library that C calls; link.callbacks sets them.  Each gets the Board, its
 * table of fields, and the arguments named here. */
enum lboard_callback {
    LBOARD_EXPLAIN,     /* facts --> error object */
    LBOARD_MARK,        /* what, first, last, alt */
    LBOARD_BEGIN,       /* first, last, alt */
    LBOARD_BEGIN_BLOCK, /* block, bytes: called before a block that the caller numbers is sent */
    LBOARD_WOULD,       /* what, address (0 on plain DFU), length */
    LBOARD_GUARD,       /* address, bytes, irreversible: raises if the write would close the chip */
    LBOARD_GUARD_BLOCK, /* { block=, pointer= }, bytes, irreversible: the same for a block */
    LBOARD_FIND_ALT,    /* number or name --> number of the alternate setting */
    LBOARD_UNKNOWN,     /* key --> value of a field that is not C's */
    LBOARD_ASSIGN,      /* key, value */
    LBOARD_CALLBACKS
};

/* Takes the callbacks from the table at the index, by name: all of them, and no others.
 * [-0, +0, v] */
void lboard_set_callbacks(lua_State *L, int index);

/* Pushes a callback, the Board and its table of fields. [-0, +3, e] */
void lboard_push_callback(lua_State *L, enum lboard_callback which);

/* Records in the journal that [first, last] of that alternate setting is now "erased", "written",
 * or in "doubt". */
void lboard_mark(lua_State *L, const char *what, uint64_t first, uint64_t last, int alt);

/* Called before an operation that changes [first, last] is started: a process that is killed
 * meanwhile reports the range as in doubt. */
void lboard_begin(lua_State *L, uint64_t first, uint64_t last, int alt);

/* Returns the option `irreversible` of the table at the index, which may be nil. */
bool lboard_irreversible(lua_State *L, const char *method, int index);

/* On a dry run, shows what would be done, and returns true: the caller does nothing more. */
bool lboard_only_says(lua_State *L, struct board *board, const char *what, lua_Integer address,
                      size_t length);

/* The facts about a failure, for LBOARD_EXPLAIN. */
struct lboard_failure {
    const char *code;      /* of the error object */
    const char *detail;    /* tells apart failures that share a code; or NULL */
    const char *operation; /* "erase", ... */
};

/* Raises the error of a request that is refused before anything is sent.  address: LBOARD_NOWHERE,
 * if the error has none. [-0, +0, v] */
int lboard_refuse(lua_State *L, const struct lboard_failure *failure, lua_Integer address);
#define LBOARD_NOWHERE (-1)

/* Starts the operation, or a control transfer of the caller's own, and awaits it: called as a tail
 * call.  The strings that it uses must stay on the stack until it has ended. */
int lboard_run(lua_State *L, struct board *board, const struct dfu_op *op);
int lboard_transfer(lua_State *L, struct board *board, const struct usb_setup *setup,
                    const char *data);

/* "gone", "busy", ... of a port_result: for trace and link.attach */
const char *lboard_result_name(int result);

#endif
