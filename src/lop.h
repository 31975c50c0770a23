/* SPDX-License-Identifier: MIT */
/* A board's operations as Lua sees them: started, awaited, and what they came to pushed or raised.
 * In all of these the Board is the argument at index 1. */
#ifndef LOP_H
#define LOP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;
struct dfu_op;
struct usb_setup;

#define BOARD_TYPE "dfu.Board"

/* The handle in Lua.  Its user value is the table of fields that boards.lua keeps. */
struct lboard {
    struct board *board; /* never NULL but while it is made, and after __gc */
};

struct board *lop_board(lua_State *L); /* [-0, +0, e] */
struct board *lop_ready(lua_State *L); /* one that an operation can be started on. [-0, +0, e] */

/* Pushes field `name` of the board's table of fields: a function. [-0, +1, e] */
void lop_push_field(lua_State *L, const char *name);

/* Tells the journal of the flash: [first, last] of that alternate setting is now erased, written,
 * or in doubt. */
void lop_mark(lua_State *L, const char *what, uint64_t first, uint64_t last, int alt);

/* Tells the library that an operation is about to change [first, last], so that the last words of a
 * process that is killed meanwhile are true. */
void lop_begin(lua_State *L, uint64_t first, uint64_t last, int alt);

/* Whether the options at the index say { irreversible = true }; nil is no options. */
bool lop_irreversible(lua_State *L, const char *method, int index);

/* With --dry-run: says what would be done.  True: and nothing is. */
bool lop_only_says(lua_State *L, struct board *board, const char *what, lua_Integer address,
                   size_t length);

/* A failure as explain.lua gets it. */
struct lop_failure {
    const char *code;      /* of the error object */
    const char *detail;    /* tells apart failures that share a code; or NULL */
    const char *operation; /* "erase", ... */
};

/* Raises the failure before anything was sent. [-0, +0, v] */
int lop_refuse(lua_State *L, const struct lop_failure *failure, lua_Integer address);
#define LOP_NOWHERE (-1) /* for an address */

/* Starts the operation, or the user's own control transfer, and awaits it: to be called as a tail
 * call.  The strings that it uses are arguments, and stay on the stack until it has ended. */
int lop_run(lua_State *L, struct board *board, const struct dfu_op *op);
int lop_control(lua_State *L, struct board *board, const struct usb_setup *setup, const char *data);

/* "gone", "busy", ... of a port_result: for trace and link.attach */
const char *lop_result_name(int result);

#endif
