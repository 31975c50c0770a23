/* SPDX-License-Identifier: MIT */
/* The inside of the step machine, for the three files that make it: dfu.c (what comes next),
 * dfuexchange.c (a download or upload to its end) and dfuact.c (one action, one answer).
 */
#ifndef DFUDEV_H
#define DFUDEV_H

#include "dfu.h"

/* What was sent last, so that the answer is understood. */
enum phase {
    AT_START,
    AT_STATE, /* GETSTATE */
    AT_STATE_WAIT,
    AT_ENTRY_STATUS, /* GETSTATUS on the way to dfuIDLE */
    AT_CLEAR,
    AT_ABORT,
    AT_SELECT,
    AT_ENTRY_WAIT,
    AT_DNLOAD,
    AT_FIRST_STATUS, /* the GETSTATUS that makes the board execute what it stored */
    AT_BUSY_WAIT,
    AT_STATUS, /* and those that wait for the end */
    AT_UPLOAD,
    AT_WHY,      /* GETSTATUS after a request that was refused, or lost */
    AT_MANIFEST, /* GETSTATUS after the block of length 0 */
    AT_MANIFEST_WAIT,
    AT_SINGLE,    /* the one request of an operation that has no more */
    AT_LOSS_WAIT, /* before the request in op->next */
};

/* What an exchange (a download with its polls, or an upload) is for. */
enum stage { STAGE_ADDRESS, STAGE_COMMAND, STAGE_BLOCK, STAGE_MANIFEST, STAGE_UPLOAD };

/* dfu.c.  From where the board and the operation are now, one step towards the end. */
struct dfu_act dfu_advance(struct dfu_op *op);

/* dfuexchange.c.  Three begin an exchange (a block is in the board's buffer by then), and the last
 * takes what came of an action in the phases AT_DNLOAD to AT_MANIFEST_WAIT.  An exchange that is
 * done ends in dfu_advance(). */
struct dfu_act dfuexchange_block(struct dfu_op *op, enum stage stage, uint16_t block,
                                 size_t length);
struct dfu_act dfuexchange_command(struct dfu_op *op, enum stage stage, uint8_t command,
                                   uint32_t address, size_t length);
struct dfu_act dfuexchange_upload(struct dfu_op *op, uint16_t block, size_t length);
struct dfu_act dfuexchange_step(struct dfu_op *op, int result, double elapsed);

/* dfuact.c.  Actions: a request, */
struct dfu_act dfuact_control(struct dfu_op *op, enum phase phase, uint8_t request, uint16_t value,
                              size_t length, double timeout);
/* one that the board answers without doing anything that takes time, */
struct dfu_act dfuact_ask(struct dfu_op *op, enum phase phase, uint8_t request, size_t length);
/* a GETSTATUS that the board may hold until it is done, */
struct dfu_act dfuact_ask_busy(struct dfu_op *op, enum phase phase);
/* a pause, and the ends of an operation. */
struct dfu_act dfuact_pause(struct dfu_op *op, enum phase phase, double seconds);
struct dfu_act dfuact_done(struct dfu_op *op);
struct dfu_act dfuact_fail(struct dfu_op *op, enum dfu_failure failure);

/* A transfer that did not come to its end: the board's state is anybody's guess. */
struct dfu_act dfuact_fail_transfer(struct dfu_op *op, int result);

/* Broken on the wire (EPROTO, EILSEQ, EOVERFLOW: a bad cable), or not answered in time. */
bool dfuact_is_lost(int result);

/* What takes the place of a lost request, after a moment.  Once an exchange. */
struct dfu_act dfuact_instead(struct dfu_op *op, struct dfu_act next);

/* bState as the board said it.  What DFU 1.1 does not name is never taken for DFU_UNKNOWN, which
 * would be asked for again, and again. */
void dfuact_heard_state(struct dfu_op *op, uint8_t state);

/* Takes in the six bytes of GETSTATUS.  False: they are not what the protocol has. */
bool dfuact_read_status(struct dfu_op *op, int result);

/* bwPollTimeout, as far as it can be true: boards announce 0, or hours.  Never 0, so that a clock
 * that rounds comes to the limit all the same. */
double dfuact_honest_poll(const struct dfu_op *op);

#endif
