/* SPDX-License-Identifier: MIT */
/* A board as the host drives it: the step machine of dfu.h on one side, a port on the other, the
 * loop between them.  No Lua here: a board outlives its handle in Lua while it is released. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dfu.h"
#include "loop.h"
#include "port.h"

struct board;

/* A run of equal sectors in one of the board's memories. */
struct region {
    uint32_t address, size; /* of a sector */
    uint64_t end;           /* one past the last byte of the run */
    uint8_t alt;
    bool readable, erasable, writable;
    bool resets; /* the board resets itself when it was written (option bytes) */
};

/* Hears of each transfer that has ended, and may start nothing on a board, nor close one.  A
 * request without a setup is a USB reset.  data: what was sent, or what came. */
struct board_observer {
    void (*saw)(void *arg, const struct board *board, const struct usb_setup *setup,
                const uint8_t *data, int result, double started); /* NULL: nobody listens */
    void *arg;
};

struct board {
    struct loop *loop;
    const struct board_observer *observer; /* or NULL */
    struct board **list, *next;            /* all that are not released */
    char path[PORT_PATH_MAX];
    struct port_handle *handle; /* NULL: not open */
    unsigned generation;        /* of the device that was opened last */
    bool left;                  /* that device was told to go: the next one is another */
    struct dfu_board dfu;
    struct region *regions;
    size_t region_count;
    int selected;  /* the alternate setting that the user chose, or -1 */
    bool dry;      /* what would change the board only says so */
    bool touched;  /* something was asked of it that may have left it out of dfuIDLE */
    double opened; /* when */

    bool busy;     /* an operation is under way */
    bool given_up; /* the last one was not carried to its end */
    struct dfu_op op;
    void (*ended)(void *arg, bool ok); /* called once for each operation */
    void *ended_arg;

    /* the action under way */
    struct port_transfer transfer;
    struct loop_timer timer;
    double started;
    bool raw; /* a control transfer of the user's own, not the machine's */
    int raw_result;

    bool closing;   /* closed by its user, not yet released */
    bool releasing; /* on its last way to dfuIDLE */
    bool orphan;    /* nobody holds it */
    struct loop_timer closing_limit;
};

/* A board, not open.  NULL: no memory. */
struct board *board_new(struct loop *loop, struct board **list, const char *path);

/* Nobody holds it any more: it is closed, released, and freed. */
void board_orphan(struct board *board);

/* Waits until all boards of the list are released; nobody holds one any more. */
void boards_release(struct board **list, struct loop *loop);

/* 0, or a port_result. */
int board_attach(struct board *board, struct port *port, unsigned generation,
                 unsigned configuration, int interface);

/* Closes it: what is under way is given up, the board is brought back to dfuIDLE and released,
 * all of it in the loop.  May be called again. */
void board_close(struct board *board);

/* The device has gone: nothing can be asked of it any more. */
void board_lost(struct board *board);

/* A USB reset: the device goes, and comes back as another. */
void board_reset(struct board *board);

bool board_is_open(const struct board *board);

/* Starts board->op (whose first group of fields is set), or a control transfer of the user's.
 * ended() comes from the loop, or from inside board_start and board_give_up where there is nothing
 * to wait for.  It takes note, and no more: it starts nothing on the board, and closes nothing. */
void board_start(struct board *board, void (*ended)(void *arg, bool ok), void *arg);
void board_start_raw(struct board *board, const struct usb_setup *setup,
                     void (*ended)(void *arg, bool ok), void *arg);

/* Gives the operation under way up: it ends soon. */
void board_give_up(struct board *board);

/* The run of sectors that holds the address, in the selected alternate setting or in any; in that
 * of `like`, unless that is NULL. */
const struct region *board_region(const struct board *board, uint32_t address,
                                  const struct region *like);

#endif
