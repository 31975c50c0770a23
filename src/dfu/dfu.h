/* SPDX-License-Identifier: MIT */
/* The protocols DFU 1.1 and DfuSe 1.1a (ST's AN3156, UM0424) as a step machine.
 *
 * No I/O and no clock: dfu_start() returns the first action of an operation; dfu_step() takes the
 * outcome of the last action and returns the next one, until DFU_DONE or DFU_FAIL.  struct
 * dfu_board keeps what is known of the board between operations.
 *
 * docs/protocol.md describes what the machine does when, and where each fact was seen.
 */
#ifndef DFU_H
#define DFU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usb/dfu_spec.h"
#include "usb/port.h"

#define DFU_BUFFER 65536u /* holds the longest control transfer */

enum { DFU_UNKNOWN = 255 }; /* a state or status that is not known without asking */

/* "dfuIDLE", "errTARGET", ...; "unknown" for a number that DFU 1.1 does not name. */
const char *dfu_state_name(unsigned state);
const char *dfu_status_name(unsigned status);

/* What is known of a board.  The opener fills in the first group, the operations the second. */
struct dfu_board {
    uint8_t interface;
    bool dfuse;
    bool several_alts;    /* else SET_INTERFACE is left out: devices with one may not know it */
    bool tolerant;        /* bitManifestationTolerant */
    bool vendor_protects; /* a known ROM: its errVENDOR is read protection */
    bool early_poll; /* the ROM delays its answer to GETSTATUS until the operation has ended, so it
                        may be polled before bwPollTimeout */
    bool transfer_size_unknown; /* Set Address is sent before every block */
    uint16_t transfer_size;
    double timeout;  /* seconds that one request may take */
    uint8_t *buffer; /* DFU_BUFFER bytes: the data stage of the transfer in flight */

    uint8_t alt;          /* the alternate setting in force */
    uint8_t state;        /* dfu_state, or DFU_UNKNOWN; DFU_STATES: a number that is no state */
    uint8_t status;       /* of dfuERROR: dfu_status, or DFU_UNKNOWN */
    double busy_timeout;  /* seconds that the next request may take, if more than `timeout`: an
                             earlier operation may still be running */
    bool has_base;        /* `base` is valid: Set Address was sent for this direction */
    bool base_writes;     /* ... which is DNLOAD */
    uint32_t base;        /* the address of block 2 */
    bool has_pointer;     /* `pointer` is valid */
    uint32_t pointer;     /* the address of the last Set Address command */
    double block_seconds; /* for which a full block keeps the board busy: a moving average */
    unsigned retries;     /* requests sent again since the board was opened */
};

/* Operations, and their names in error objects and in messages. */
#define DFU_KINDS(X)                                                                               \
    X(DFU_GET_STATUS, "get status")                                                                \
    X(DFU_GET_STATE, "get state")                                                                  \
    X(DFU_CLEAR_STATUS, "clear status")                                                            \
    X(DFU_ABORT, "abort")                                                                          \
    X(DFU_COMMANDS, "get commands") /* DfuSe Get Commands */                                       \
    X(DFU_SET_ADDRESS, "set address")                                                              \
    X(DFU_ERASE, "erase")                                                                          \
    X(DFU_MASS_ERASE, "mass erase")                                                                \
    X(DFU_READ_UNPROTECT, "read unprotect")                                                        \
    X(DFU_DOWNLOAD_BLOCK, "download block")                                                        \
    X(DFU_UPLOAD_BLOCK, "upload block")                                                            \
    X(DFU_READ, "read")                                                                            \
    X(DFU_WRITE, "write")                                                                          \
    X(DFU_LEAVE, "leave")                                                                          \
    X(DFU_DETACH, "detach")                                                                        \
    X(DFU_TO_IDLE, "idle") /* only the way to dfuIDLE */

/* How an operation can fail, and the code of the error object (moonflash.errors). */
#define DFU_FAILURES(X)                                                                            \
    X(DFU_NO_FAILURE, NULL)                                                                        \
    X(DFU_FAIL_STATUS, "dfu")      /* dfuERROR: op->status has the reason */                       \
    X(DFU_FAIL_STATE, "dfu.state") /* a state that makes no sense here */                          \
    X(DFU_FAIL_STALL, "dfu.stall") /* a request was refused, without a status */                   \
    X(DFU_FAIL_GONE, "usb.gone")                                                                   \
    X(DFU_FAIL_TIMEOUT, "timeout") /* no answer, or never ready */                                 \
    X(DFU_FAIL_SHORT, "usb.io")    /* fewer bytes than the protocol has */                         \
    X(DFU_FAIL_IO, "usb.io")                                                                       \
    X(DFU_FAIL_RUNTIME, "dfu.runtime") /* the board is in run-time mode */                         \
    X(DFU_FAIL_RESET, "dfu.reset")     /* the board waits for a USB reset */                       \
    X(DFU_FAIL_CANCELLED, "cancelled")

#define DFU_ENUMERATOR(name, text) name,
enum dfu_kind { DFU_KINDS(DFU_ENUMERATOR) };
enum dfu_failure { DFU_FAILURES(DFU_ENUMERATOR) };
#undef DFU_ENUMERATOR

const char *dfu_kind_name(enum dfu_kind kind);
const char *dfu_failure_code(enum dfu_failure failure);

/* The failure that a transfer's result is: a port_result, or too few bytes. */
enum dfu_failure dfu_transfer_failure(int result);

enum dfu_what {
    DFU_CONTROL, /* carry out the control transfer */
    DFU_SELECT,  /* select alternate setting `alt` */
    DFU_WAIT,    /* let `seconds` pass */
    DFU_DONE,
    DFU_FAIL, /* op->failure has the reason */
};

struct dfu_act {
    enum dfu_what what;
    struct usb_setup setup;
    uint8_t *data;
    uint8_t alt;
    double seconds; /* to wait, or the timeout of the transfer */
};

/* Inside the machine: the action whose outcome dfu_step() takes next. */
enum dfu_action {
    ACT_NONE,
    ACT_GETSTATE,
    ACT_GETSTATE_PAUSE,  /* before GETSTATE is sent again */
    ACT_RECOVERY_STATUS, /* GETSTATUS on the way to dfuIDLE */
    ACT_RECOVERY_PAUSE,
    ACT_CLRSTATUS,
    ACT_ABORT,
    ACT_SELECT,
    ACT_DNLOAD,
    ACT_FIRST_STATUS, /* the GETSTATUS that makes the board execute what it stored */
    ACT_BUSY_PAUSE,
    ACT_STATUS, /* the GETSTATUS after ACT_BUSY_PAUSE */
    ACT_UPLOAD,
    ACT_WHY_STATUS,      /* GETSTATUS after a request that was refused or lost */
    ACT_MANIFEST_STATUS, /* GETSTATUS after the block of length 0 */
    ACT_MANIFEST_PAUSE,
    ACT_SINGLE,     /* the one request of an operation that has no more */
    ACT_LOSS_PAUSE, /* before op->request is sent instead of a lost request */
};

/* Inside the machine: what an exchange (a download with its polls, or an upload) is for. */
enum dfu_purpose { FOR_ADDRESS, FOR_COMMAND, FOR_BLOCK, FOR_MANIFEST, FOR_UPLOAD };

struct dfu_op {
    /* what the caller wants */
    struct dfu_board *board;
    enum dfu_kind kind;
    bool any_alt; /* else `alt` is selected first */
    uint8_t alt;
    bool may_reset;   /* the board may reset itself at the end (option bytes) */
    bool has_address; /* leave: Set Address is sent first */
    uint32_t address;
    uint16_t block; /* download block, upload block: its number; detach: milliseconds */
    const uint8_t *data;
    size_t length; /* of data, or of what is to be read into out */
    uint8_t *out;
    double limit; /* seconds that one command of the operation may take on the board */

    /* the outcome */
    enum dfu_failure failure;
    uint8_t status, state;
    uint8_t string;   /* iString: the descriptor that describes the status, or 0 */
    double poll;      /* seconds: the last bwPollTimeout */
    size_t done;      /* bytes written or read, for certain */
    bool in_doubt;    /* the bytes after `done` may have been begun */
    bool resent;      /* a refused block or command was sent a second time */
    bool gone;        /* the board has left the bus, or is about to */
    bool assumed;     /* ... because it stopped answering */
    bool wants_reset; /* plain DFU: a USB reset starts the new program */

    /* progress, of the machine's own */
    enum dfu_action action;
    enum dfu_purpose purpose;       /* of the exchange under way */
    struct dfu_act request;         /* the last request; in ACT_LOSS_PAUSE the next one */
    enum dfu_action request_action; /* of `request`, in ACT_LOSS_PAUSE */
    unsigned recoveries;            /* steps on the way to dfuIDLE without success */
    bool abort_refused, clear_sent; /* on the way to dfuIDLE */
    bool address_set;               /* leave: Set Address was executed */
    bool finished;                  /* the exchange that the operation is for was executed */
    bool upload_ended;              /* plain DFU: a short UPLOAD was the end of the memory */
    bool asked_in_wait_reset;       /* leave: GETSTATUS was sent in dfuMANIFEST-WAIT-RESET */
    bool replaced;       /* in this exchange: another request was sent instead of a lost one */
    bool status_lost;    /* in this exchange: the answer to a GETSTATUS was lost */
    bool manifest_asked; /* a failed ACT_MANIFEST_STATUS was sent again */
    size_t block_length;
    double spent;             /* seconds since the command under way was sent */
    double slept;             /* seconds of pauses in this exchange */
    double first_status_took; /* seconds, in this exchange; negative: not known */
    bool cancelled;
};

/* Returns the first action.  The first group of fields is set, the others are zero. */
struct dfu_act dfu_start(struct dfu_op *op);

/* Returns the next action.  result: bytes moved, 0 for a wait or a selection, or a port_result;
 * elapsed: the seconds that the last action took. */
struct dfu_act dfu_step(struct dfu_op *op, int result, double elapsed);

/* Updates board->pointer after a block 0 whose contents the caller chose. */
void dfu_note_command(struct dfu_board *board, const uint8_t *data, size_t length);

/* Cancels the operation: the next step returns DFU_FAIL, and the board's state is known well enough
 * for the next operation to find the way to dfuIDLE. */
void dfu_cancel(struct dfu_op *op);

#endif
