/* SPDX-License-Identifier: MIT */
/* The protocols DFU 1.1 and DfuSe 1.1a (ST's AN3156, UM0424) as a step machine.
 *
 * No I/O and no clock: dfu_start() gives the first action of an operation, dfu_step() takes the
 * outcome of the last action and gives the next, until DFU_DONE or DFU_FAIL.  What is known of
 * the board between operations is in struct dfu_board.
 *
 * docs/protocol.md says what it does when, and where each fact was seen.
 */
#ifndef DFU_H
#define DFU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port.h"

#define DFU_BUFFER 65536u /* holds the longest control transfer */

enum { DFU_UNKNOWN = 255 }; /* state, status: not known without asking */

/* "dfuIDLE", "errTARGET", ...; "unknown" for what DFU 1.1 does not name. */
const char *dfu_state_name(unsigned state);
const char *dfu_status_name(unsigned status);

/* What is known of a board.  Filled when it is opened, kept up by the operations. */
struct dfu_board {
    uint8_t interface;
    bool dfuse;
    bool several_alts;    /* else SET_INTERFACE is left out: devices with one may not know it */
    bool tolerant;        /* bitManifestationTolerant */
    bool vendor_protects; /* errVENDOR is read protection: a known ROM */
    bool early;           /* quirk: it holds an early GETSTATUS until it is done */
    bool uncounted;       /* what it counts blocks in is not known: each gets its address */
    uint16_t transfer_size;
    double timeout; /* seconds that one request may take */

    uint8_t alt;    /* the alternate setting in force */
    uint8_t state;  /* dfu_state, as far as it is known without asking */
    uint8_t status; /* with DFU_ERROR: why; DFU_UNKNOWN when it was not asked */
    double hold;    /* seconds that it may hold a request: it was left at work */
    bool has_base;  /* the address pointer is known, and set for this direction */
    bool base_writes;
    uint32_t base;    /* what block 2 stands for */
    bool has_pointer; /* `pointer` is valid: the address of the last Set Address command */
    uint32_t pointer;
    double busy;      /* seconds that a full block keeps it busy: a moving average */
    unsigned retries; /* requests sent again, ever */
    uint8_t *buffer;  /* DFU_BUFFER bytes: what is on the wire */
};

enum dfu_kind {
    DFU_GET_STATUS,
    DFU_GET_STATE,
    DFU_CLEAR_STATUS,
    DFU_ABORT,
    DFU_COMMANDS, /* DfuSe Get Commands */
    DFU_SET_ADDRESS,
    DFU_ERASE,
    DFU_MASS_ERASE,
    DFU_READ_UNPROTECT,
    DFU_DOWNLOAD_BLOCK,
    DFU_UPLOAD_BLOCK,
    DFU_READ,
    DFU_WRITE,
    DFU_LEAVE,
    DFU_DETACH,
    DFU_TO_IDLE, /* only the way to dfuIDLE */
};

enum dfu_failure {
    DFU_NO_FAILURE,
    DFU_FAIL_STATUS, /* dfuERROR: status says why */
    DFU_FAIL_STATE,  /* a state that makes no sense here */
    DFU_FAIL_STALL,  /* refused, and no status that says why */
    DFU_FAIL_GONE,
    DFU_FAIL_TIMEOUT, /* no answer, or never ready */
    DFU_FAIL_SHORT,   /* fewer bytes than the protocol has */
    DFU_FAIL_IO,
    DFU_FAIL_RUNTIME, /* it is in run-time mode */
    DFU_FAIL_RESET,   /* it waits for a reset */
    DFU_FAIL_CANCELLED,
};

enum dfu_what {
    DFU_CONTROL, /* carry out the control transfer */
    DFU_SELECT,  /* select alternate setting `alt` */
    DFU_WAIT,    /* let `seconds` pass */
    DFU_DONE,
    DFU_FAIL, /* op->failure says why */
};

struct dfu_act {
    enum dfu_what what;
    struct usb_setup setup;
    uint8_t *data;
    uint8_t alt;
    double seconds; /* to wait, or the timeout of the transfer */
};

struct dfu_op {
    /* what is wanted */
    struct dfu_board *board;
    enum dfu_kind kind;
    bool any_alt; /* else `alt` is selected first */
    uint8_t alt;
    bool may_reset;   /* the board may reset itself when it has done it (option bytes) */
    bool has_address; /* leave: set it first */
    uint32_t address;
    uint16_t block; /* of download and upload block; detach: its timeout in milliseconds */
    const uint8_t *data;
    size_t length; /* of data, or of what is to be read into out */
    uint8_t *out;
    double limit; /* seconds that one command of it may take on the board */

    /* what came of it */
    enum dfu_failure failure;
    uint8_t status, state;
    uint8_t string;   /* iString: a string descriptor that says more of the status, or 0 */
    double poll;      /* seconds: the last bwPollTimeout */
    size_t done;      /* bytes written or read, for certain */
    bool in_doubt;    /* what comes after `done` may have been begun */
    bool gone;        /* the board has left the bus, or is about to */
    bool assumed;     /* ... because it stopped answering */
    bool wants_reset; /* plain DFU: a USB reset starts the new program */

    /* how far it is */
    unsigned phase;
    unsigned stage;  /* what the exchange under way is for */
    unsigned clears; /* how often the way to dfuIDLE was tried */
    bool sent, addressed, ended;
    bool abort_refused, clear_sent; /* on the way to dfuIDLE */
    bool looked_again;              /* leaving: GETSTATUS in dfuMANIFEST-WAIT-RESET */
    bool again, lost;    /* in this exchange: sent again after a STALL; was lost on the wire */
    bool unheard;        /* in this exchange: the answer to a GETSTATUS was lost */
    struct dfu_act next; /* the last request; after a loss, the one that comes next */
    unsigned next_phase;
    size_t block_length;
    double spent;             /* seconds since the command under way was sent */
    double slept, first_took; /* of this exchange: waited; by the first GETSTATUS, or negative */
    bool cancelled;
};

/* The first action.  The fields of the first group are set, the others zero. */
struct dfu_act dfu_start(struct dfu_op *op);

/* The next action.  result: bytes moved, 0 for a wait or a selection, or a port_result;
 * elapsed: the seconds that the last action took. */
struct dfu_act dfu_step(struct dfu_op *op, int result, double elapsed);

/* Updates `pointer` after a block 0 whose contents the caller chose. */
void dfu_note_command(struct dfu_board *board, const uint8_t *data, size_t length);

/* Gives the operation up: the next step is DFU_FAIL, and the board's state is known well enough
 * for the next operation to find its way. */
void dfu_cancel(struct dfu_op *op);

#endif
