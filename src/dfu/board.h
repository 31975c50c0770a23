/* SPDX-License-Identifier: MIT */
/* A board as the host drives it: the step machine of dfu.h on one side, a port on the other, the
 * loop between them.  No Lua here: a board outlives its handle in Lua until it is released. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dfu/dfu.h"
#include "loop/loop.h"
#include "usb/port.h"

struct board;

/* A run of equal sectors in one of the board's memories. */
struct region {
    uint32_t address, size; /* of a sector */
    uint64_t end;           /* one past the last byte of the run */
    uint8_t alt;
    bool readable, erasable, writable;
    bool resets; /* writing it resets the board (option bytes) */
};

/* saw() is called after each transfer, and must not start anything on a board.  setup: NULL for a
 * USB reset.  data: what was sent or received. */
struct board_observer {
    void (*saw)(void *arg, const struct board *board, const struct usb_setup *setup,
                const uint8_t *data, int result, double started); /* or NULL */
    void *arg;
};

struct board {
    struct loop *loop;
    const struct board_observer *observer; /* or NULL */
    struct board **list, *next;            /* the boards that are not released */
    char path[PORT_PATH_MAX];
    struct port_handle *handle; /* NULL: not open */
    unsigned generation;        /* of the device that was opened last */
    bool left;                  /* that device was told to leave: what comes is another one */
    struct dfu_board dfu;
    struct region *regions;
    size_t region_count;
    int selected;  /* the alternate setting that the user chose, or -1 */
    bool dry;      /* --dry-run: operations that would change the board only report it */
    bool touched;  /* an operation may have left it in another state than dfuIDLE */
    double opened; /* when, on the loop's clock */

    bool busy;     /* an operation is under way */
    bool given_up; /* the last operation was cancelled */
    struct dfu_op op;
    void (*ended)(void *arg, bool ok); /* called once for each operation */
    void *ended_arg;

    /* the action under way */
    struct port_transfer transfer;
    struct loop_timer timer;
    double started;
    bool raw; /* a control transfer of the user's, not an operation */
    int raw_result;

    bool closing;   /* board_close() was called, and the board is not released yet */
    bool releasing; /* the last operation, DFU_TO_IDLE, is under way */
    bool orphan;    /* board_orphan() was called */
    struct loop_timer closing_limit;
};

/* Makes a board that is not open, and adds it to the list.  NULL: no memory. */
struct board *board_new(struct loop *loop, struct board **list, const char *path);

/* Gives the board up: it is closed, released, and freed by the loop. */
void board_orphan(struct board *board);

/* Waits until all boards of the list are freed.  All of them are orphans. */
void boards_release(struct board **list, struct loop *loop);

/* Opens the device of that generation: see port->open().  Returns 0, or a port_result. */
int board_attach(struct board *board, struct port *port, unsigned generation,
                 unsigned configuration, int interface);

/* Closes the board: cancels the operation under way, brings the board back to dfuIDLE and releases
 * it, all of it in the loop.  May be called again. */
void board_close(struct board *board);

/* Closes the port's handle at once: the device has gone, or is in order. */
void board_disconnect(struct board *board);

/* Sends a USB reset: the device goes, and comes back as another. */
void board_reset(struct board *board);

bool board_is_open(const struct board *board);

/* Starts board->op (whose first group of fields is set), or a control transfer of the user's.
 * ended() is called once: from the loop, or from inside board_start() and board_give_up() if there
 * is nothing to wait for.  It must not start anything on the board, nor close it. */
void board_start(struct board *board, void (*ended)(void *arg, bool ok), void *arg);
void board_start_raw(struct board *board, const struct usb_setup *setup,
                     void (*ended)(void *arg, bool ok), void *arg);

/* Cancels the operation under way, which ends soon. */
void board_give_up(struct board *board);

/* The region that holds the address: in the alternate setting of `like`, or, if that is NULL, in
 * the selected one, or in any if none was selected.  NULL: there is none. */
const struct region *board_region(const struct board *board, uint32_t address,
                                  const struct region *like);

#endif
