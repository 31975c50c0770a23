/* SPDX-License-Identifier: MIT */
/* The umockdev bed: simulated boards (src/sim/sim.c) behind usbfs ioctls.
 *
 * A client that runs under libumockdev-preload sees them in its /sys and /dev and talks to them
 * through real libusb, without root and without a kernel module.  Requests are answered in a
 * thread of umockdev's; boards are changed from the main thread; one lock is for both.  The bed
 * answers as fast as it can: what a board would take passes on the board's own clock.
 */
#ifndef BED_H
#define BED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sim/sim.h"

struct bed;
struct bed_board;

/* What can happen to a request.  Those that last go on until the board is plugged in again. */
enum bed_fault {
    BED_UNPLUG,  /* the board is gone */
    BED_YANK,    /* so it is, but the hub notices a little later: EPROTO meanwhile */
    BED_POWER,   /* it loses power, and comes back as a new device */
    BED_STALL,   /* refused, not carried out */
    BED_EPROTO,  /* lost on its way to the board */
    BED_EILSEQ,  /* the same, of another error */
    BED_LOST,    /* carried out, but the answer is lost */
    BED_SHORT,   /* half of an answer's bytes */
    BED_EMPTY,   /* none of them */
    BED_LONG,    /* more bytes than were asked for: EOVERFLOW */
    BED_HANG,    /* no answer, and none to anything later; lasts */
    BED_DEAF,    /* no answer to this one */
    BED_DELAY,   /* the answer comes `value` seconds late */
    BED_ERROR,   /* dfuERROR, errUNKNOWN */
    BED_CORRUPT, /* one bit of a block changes */
    BED_STATE,   /* an answer that has bState says `value` */
    BED_STATUS,  /* dfuERROR with bStatus `value`, once */
    BED_POLL,    /* bwPollTimeout says `value`; lasts */
    BED_STUCK,   /* GETSTATUS and GETSTATE say bState `value`; lasts */
    BED_SIGNAL,  /* the client gets signal `value`, and then its answer */
    BED_GATE,    /* held until bed_board_open_gate() */
    BED_FAULTS,  /* how many there are */
};

/* Strikes at request number `at`, counted from 1, of those that bRequest `request` (-1: any)
 * has. */
struct bed_strike {
    enum bed_fault fault;
    int request;
    unsigned at;
    double value;
};

/* A control request, as it came. */
struct bed_entry {
    struct usb_setup setup;
    int status; /* of the URB, 0 or -errno */
    int count;  /* bytes moved */
};

struct bed *bed_new(char *why, size_t why_size);
void bed_free(struct bed *bed);
void bed_set_client(struct bed *bed, pid_t pid); /* who gets BED_SIGNAL */
bool bed_is_idle(struct bed *bed);               /* no client has a board open */
void bed_retire(struct bed *bed);                /* forgets past devices; no client may run */
void bed_turn(struct bed *bed); /* brings the bus up to date; call it every few milliseconds */

struct bed_board *bed_board_new(struct bed *bed, const char *path,
                                const struct sim_options *options);
void bed_board_free(struct bed_board *board);

/* Instead of what the board has.  NULL bytes of a string: it is stalled. */
void bed_board_describe(struct bed_board *board, const void *device, size_t device_length,
                        const void *config, size_t config_length);
void bed_board_set_string(struct bed_board *board, uint8_t index, const void *bytes, size_t length);

/* A string as the kernel would have read it, for sysfs.  None are there unless they are set. */
void bed_board_set_attribute(struct bed_board *board, const char *name, const void *bytes,
                             size_t length);

/* What GETSTATUS says as bwPollTimeout, instead of what the board would (-1). */
void bed_board_set_poll(struct bed_board *board, int milliseconds);

void bed_board_plug(struct bed_board *board);
void bed_board_unplug(struct bed_board *board);
void bed_board_begin(struct bed_board *board); /* no faults, and counting starts anew */
bool bed_board_strike(struct bed_board *board, const struct bed_strike *strike);
bool bed_board_is_held(struct bed_board *board); /* a request waits at the gate */
void bed_board_open_gate(struct bed_board *board);
void bed_board_lock_node(struct bed_board *board, bool locked); /* no client may open it */
void bed_board_occupy(struct bed_board *board, bool occupied);  /* another program has claimed it */

size_t bed_board_log(struct bed_board *board, const struct bed_entry **entries);
unsigned bed_board_claims(struct bed_board *board); /* clients that have claimed it now */
int bed_board_state(struct bed_board *board);       /* bState, or a sim_result */
enum sim_life bed_board_life(struct bed_board *board);
struct sim_start bed_board_started(struct bed_board *board);
const uint8_t *bed_board_config(struct bed_board *board, size_t *length);
const uint8_t *bed_board_device(struct bed_board *board, size_t *length);
bool bed_board_peek(struct bed_board *board, uint32_t address, uint8_t *data, size_t length);
bool bed_board_poke(struct bed_board *board, uint32_t address, const uint8_t *data, size_t length);

#endif
