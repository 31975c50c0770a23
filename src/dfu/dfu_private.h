/* SPDX-License-Identifier: MIT */
/* The inside of the step machine, from the top: dfu.c (what comes next), dfuexchange.c (a download
 * or upload to its end) and dfuact.c (one action, one answer).
 */
#ifndef DFU_PRIVATE_H
#define DFU_PRIVATE_H

#include "dfu/dfu.h"

/* ---- dfuexchange.c ---- */

/* Returned in place of an action when an exchange has ended: dfu.c finds the next action. */
#define DFU_NEXT ((enum dfu_what)(DFU_FAIL + 1))

/* Begin an exchange, and return its first action.  dfuexchange_block() sends what is in the
 * board's buffer. */
struct dfu_act dfuexchange_block(struct dfu_op *op, enum dfu_purpose purpose, uint16_t block,
                                 size_t length);
struct dfu_act dfuexchange_command(struct dfu_op *op, enum dfu_purpose purpose, uint8_t command,
                                   uint32_t address, size_t length);
struct dfu_act dfuexchange_upload(struct dfu_op *op, uint16_t block, size_t length);

/* Takes the outcome of an action of an exchange (ACT_DNLOAD to ACT_MANIFEST_PAUSE); returns the
 * next action, or DFU_NEXT. */
struct dfu_act dfuexchange_step(struct dfu_op *op, int result, double elapsed);

/* ---- dfuact.c ---- */

/* A request. */
struct dfu_act dfuact_control(struct dfu_op *op, enum dfu_action action, uint8_t request,
                              uint16_t value, size_t length, double timeout);

/* A request that the board answers at once. */
struct dfu_act dfuact_ask(struct dfu_op *op, enum dfu_action action, uint8_t request,
                          size_t length);

/* A GETSTATUS that the board may answer only when its command has ended. */
struct dfu_act dfuact_ask_busy(struct dfu_op *op, enum dfu_action action);

struct dfu_act dfuact_pause(struct dfu_op *op, enum dfu_action action, double seconds);

/* The ends of an operation. */
struct dfu_act dfuact_done(struct dfu_op *op);
struct dfu_act dfuact_fail(struct dfu_op *op, enum dfu_failure failure);

/* Fails: the transfer did not complete, and the board's state is unknown. */
struct dfu_act dfuact_fail_transfer(struct dfu_op *op, int result);

/* Whether a transfer was lost: broken on the wire (EPROTO, EILSEQ, EOVERFLOW: a bad cable), or not
 * answered in time. */
bool dfuact_is_lost(int result);

/* Sends `next` after LOSS_PAUSE, instead of the lost request.  At most once per exchange. */
struct dfu_act dfuact_instead(struct dfu_op *op, struct dfu_act next);

/* Records bState as the board reported it.  A number that DFU 1.1 does not name becomes DFU_STATES,
 * never DFU_UNKNOWN, which would be asked for again and again. */
void dfuact_heard_state(struct dfu_op *op, uint8_t state);

/* Records the six bytes of GETSTATUS.  False: the transfer gave another number of bytes. */
bool dfuact_read_status(struct dfu_op *op, int result);

/* bwPollTimeout clamped to 1 ms .. the time left: boards announce 0, or hours.  Never 0, so that a
 * clock that rounds reaches the limit, too. */
double dfuact_clamped_poll(const struct dfu_op *op);

#endif
