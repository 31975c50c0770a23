/* SPDX-License-Identifier: MIT */
/* An exchange: a download with the polls that wait for its end, or an upload; what follows when one
 * of its requests was refused or lost; and manifestation, which the last download begins.
 */
#include "dfu/dfu_private.h"

#include <string.h>

#define SLEEP_SHARE 0.9  /* of the expected time, before an early GETSTATUS */
#define SMOOTHING   0.25 /* the weight of the newest block in the average */

static const struct dfu_act next = { .what = DFU_NEXT };

/* ---- beginning an exchange ---- */

struct dfu_act dfuexchange_block(struct dfu_op *op, enum dfu_purpose purpose, uint16_t block,
                                 size_t length)
{
    op->purpose = purpose;
    op->block_length = length;
    op->spent = op->slept = 0;
    op->first_status_took = -1;
    if (purpose == FOR_BLOCK || purpose == FOR_COMMAND)
        op->in_doubt = true;
    return dfuact_control(op, ACT_DNLOAD, DFU_REQ_DNLOAD, block, length, op->board->timeout);
}

struct dfu_act dfuexchange_command(struct dfu_op *op, enum dfu_purpose purpose, uint8_t command,
                                   uint32_t address, size_t length)
{
    uint8_t *b = op->board->buffer;
    b[0] = command;
    for (int i = 0; i < 4; i++)
        b[1 + i] = (uint8_t)(address >> (8 * i));
    op->board->has_base = false; /* an erase moves the pointer, too */
    return dfuexchange_block(op, purpose, 0, length);
}

struct dfu_act dfuexchange_upload(struct dfu_op *op, uint16_t block, size_t length)
{
    /* plain DFU: whole blocks, because U-Boot answers wTransferSize bytes whatever wLength is */
    bool whole = op->kind == DFU_READ && !op->board->dfuse;
    op->purpose = FOR_UPLOAD;
    op->block_length = length;
    return dfuact_control(op, ACT_UPLOAD, DFU_REQ_UPLOAD, block,
                          whole ? op->board->transfer_size : length, op->board->timeout);
}

/* ---- going on ---- */

/* Sends GETSTATUS after a request that was refused or lost. */
static struct dfu_act ask_why(struct dfu_op *op)
{
    return dfuact_ask(op, ACT_WHY_STATUS, DFU_REQ_GETSTATUS, DFU_STATUS_LENGTH);
}

static struct dfu_act ask_manifest(struct dfu_op *op)
{
    return dfuact_ask(op, ACT_MANIFEST_STATUS, DFU_REQ_GETSTATUS, DFU_STATUS_LENGTH);
}

static struct dfu_act fail_status(struct dfu_op *op)
{
    if (op->status == DFU_ERR_TARGET || op->status == DFU_ERR_ADDRESS ||
        (op->status == DFU_ERR_VENDOR && op->board->vendor_protects))
        op->in_doubt = false; /* the board refused the command before executing it */
    return dfuact_fail(op, DFU_FAIL_STATUS);
}

/* Whether a lost download may be sent again: DfuSe commands and blocks have the same effect twice,
 * and the state of a DfuSe board shows whether it has stored one.  Not if the first may have reset
 * the board, nor for a block whose meaning only the caller knows. */
static bool may_send_twice(const struct dfu_op *op)
{
    return op->board->dfuse && !op->may_reset &&
           (op->purpose == FOR_ADDRESS || op->kind == DFU_ERASE || op->kind == DFU_MASS_ERASE ||
            op->kind == DFU_WRITE);
}

/* Seconds to wait before the next GETSTATUS of a busy board.  ROMs that delay their answer (F2, F4,
 * F7) are polled a little before the expected end.  An erase takes longer than any of them
 * announces, so there the announced time costs nothing. */
static double busy_time(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    double poll = dfuact_clamped_poll(op);
    if (!board->early_poll || op->action != ACT_FIRST_STATUS || op->purpose == FOR_COMMAND)
        return poll;
    double early = op->purpose == FOR_BLOCK && op->block_length == board->transfer_size
                       ? SLEEP_SHARE * board->block_seconds
                       : 0;
    return early < poll ? early : poll;
}

/* Updates board->block_seconds from a full block of which no request was refused or lost. */
static void learn_busy(struct dfu_op *op, double took)
{
    struct dfu_board *board = op->board;
    if (!board->early_poll || op->purpose != FOR_BLOCK ||
        op->block_length != board->transfer_size || op->first_status_took < 0 || op->replaced)
        return;
    double busy = op->slept + took - op->first_status_took;
    if (busy < 0)
        busy = 0;
    board->block_seconds +=
        (busy - board->block_seconds) * (board->block_seconds > 0 ? SMOOTHING : 1);
}

/* The board has executed the command or block. */
static struct dfu_act finish_exchange(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    op->resent = op->replaced = op->status_lost = false;
    op->recoveries = 0;
    switch (op->purpose) {
    case FOR_ADDRESS:
        op->address_set = true;
        board->has_base = true;
        board->base = op->kind == DFU_WRITE || op->kind == DFU_READ
                          ? op->address + (uint32_t)op->done
                          : op->address;
        board->base_writes = op->kind == DFU_WRITE;
        board->has_pointer = true;
        board->pointer = board->base;
        break;
    case FOR_BLOCK:
        if (op->kind == DFU_DOWNLOAD_BLOCK && op->block == 0)
            dfu_note_command(board, op->data, op->length);
        op->done += op->block_length;
        op->in_doubt = false;
        if (op->block_length < board->transfer_size)
            board->has_base = false; /* ROMs differ in how they count a short block */
        break;
    case FOR_UPLOAD:
        op->done += op->block_length;
        break;
    case FOR_COMMAND:
        board->has_pointer = false; /* an erase moves it on some boards */
        op->in_doubt = false;
        break;
    case FOR_MANIFEST:
        op->in_doubt = false;
        break;
    }
    if (op->purpose != FOR_ADDRESS || op->kind == DFU_SET_ADDRESS)
        op->finished = true;
    return next;
}

/* Ends the operation: the board has left the bus, as it should or may. */
static struct dfu_act went_away(struct dfu_op *op, bool assumed)
{
    op->gone = true;
    op->assumed = assumed;
    op->board->state = DFU_UNKNOWN;
    if (op->purpose == FOR_BLOCK)
        op->done += op->block_length;
    return dfuact_done(op);
}

/* Whether the board may leave now.  One that resets itself does so after the last block. */
static bool leaving_is_right(const struct dfu_op *op)
{
    if (op->kind == DFU_READ_UNPROTECT)
        return true;
    return op->may_reset && op->purpose == FOR_BLOCK && op->done + op->block_length == op->length;
}

/* The board refused a block or a command.  The first block of plain DFU is sent once more: a board
 * that counts blocks may have been counting those of a cancelled download (U-Boot). */
static struct dfu_act refused(struct dfu_op *op)
{
    if (!op->board->dfuse && op->kind == DFU_WRITE && op->done == 0 && !op->resent &&
        op->state == DFU_ERROR) {
        op->resent = true;
        op->board->retries++;
        return next;
    }
    return fail_status(op);
}

static struct dfu_act on_busy_status(struct dfu_op *op, int result, double elapsed)
{
    struct dfu_board *board = op->board;
    if (result == PORT_GONE && leaving_is_right(op) && op->action == ACT_STATUS)
        return went_away(op, false);
    if (result == PORT_STALL) {
        /* L4 and others refuse GETSTATUS while they are busy (dfu-util ticket 40) */
        board->early_poll = false;
        if (op->spent >= op->limit)
            return dfuact_fail_transfer(op, result);
        return dfuact_pause(op, ACT_BUSY_PAUSE, dfuact_clamped_poll(op));
    }
    if (!dfuact_read_status(op, result))
        return dfuact_fail_transfer(op, result);
    if (op->status != DFU_OK || op->state == DFU_ERROR) /* some boards never enter dfuERROR */
        return refused(op);

    switch (op->state) {
    case DFU_DNBUSY:
    case DFU_DNLOAD_SYNC:
        if (op->spent >= op->limit)
            return dfuact_fail(op, DFU_FAIL_TIMEOUT);
        double wait = busy_time(op);
        if (op->action == ACT_FIRST_STATUS)
            op->first_status_took = elapsed;
        op->slept += wait;
        if (wait <= 0)
            return dfuact_ask_busy(op, ACT_STATUS);
        return dfuact_pause(op, ACT_BUSY_PAUSE, wait);
    case DFU_DNLOAD_IDLE:
        /* Some boards report an error once and stay in dfuDNLOAD-IDLE (Black Magic Probe).  If that
         * answer was lost, blocks would go to the previous address: so Set Address is repeated. */
        if (op->status_lost && op->purpose == FOR_ADDRESS) {
            op->status_lost = false;
            op->board->retries++;
            return next;
        }
        if (op->action == ACT_STATUS)
            learn_busy(op, elapsed);
        return finish_exchange(op);
    default:
        return dfuact_fail(op, DFU_FAIL_STATE);
    }
}

static struct dfu_act on_dnload(struct dfu_op *op, int result)
{
    if (result == PORT_STALL)
        return ask_why(op);
    if (dfuact_is_lost(result) && may_send_twice(op) && !op->replaced)
        return dfuact_instead(op, ask_why(op));
    if (op->purpose == FOR_MANIFEST) {
        if (result == PORT_GONE) /* some clones leave before they answer (dfu-util 104) */
            return went_away(op, true);
        if (result < 0)
            return dfuact_fail_transfer(op, result);
        op->board->state = DFU_MANIFEST_SYNC;
        return ask_manifest(op);
    }
    if (result < 0 || (size_t)result != op->block_length)
        return dfuact_fail_transfer(op, result);
    op->board->state = DFU_DNLOAD_SYNC;
    return dfuact_ask_busy(op, ACT_FIRST_STATUS);
}

static struct dfu_act on_upload(struct dfu_op *op, int result)
{
    struct dfu_board *board = op->board;
    if (result == PORT_STALL)
        return ask_why(op);
    size_t asked = op->request.setup.length, got = (size_t)(result < 0 ? 0 : result);
    if (result < 0 || got > asked)
        return dfuact_fail_transfer(op, result < 0 ? result : PORT_IO);
    bool is_short = got < asked;
    if (is_short && op->kind == DFU_READ && board->dfuse)
        return dfuact_fail_transfer(op, result);
    if (got > op->block_length)
        got = op->block_length; /* plain DFU: a whole block, of which the caller wants less */
    memcpy(op->out + op->done, board->buffer, got);
    board->state = is_short || op->kind != DFU_READ ? DFU_UNKNOWN : DFU_UPLOAD_IDLE;
    op->upload_ended = is_short; /* plain DFU: the end of the memory */
    op->block_length = got;
    return finish_exchange(op);
}

/* ---- leaving, and manifestation ---- */

static struct dfu_act on_manifest_state(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    switch (op->state) {
    case DFU_MANIFEST:
        if (board->dfuse)
            return went_away(op, false);
        if (!board->tolerant) {
            op->wants_reset = true;
            return dfuact_pause(op, ACT_MANIFEST_PAUSE, dfuact_clamped_poll(op));
        }
        break;
    case DFU_MANIFEST_SYNC:
    case DFU_DNBUSY:
        break;
    case DFU_MANIFEST_WAIT_RESET:
        if (board->dfuse && !op->asked_in_wait_reset) {
            op->asked_in_wait_reset = true; /* CherryUSB leaves at the next GETSTATUS */
            return dfuact_pause(op, ACT_MANIFEST_PAUSE, dfuact_clamped_poll(op));
        }
        op->wants_reset = !board->dfuse;
        op->gone = true;
        return dfuact_done(op);
    case DFU_IDLE:
        op->finished = true;
        return board->dfuse ? dfuact_fail(op, DFU_FAIL_STATE) : dfuact_done(op);
    case DFU_ERROR:
        return fail_status(op);
    default:
        return dfuact_fail(op, DFU_FAIL_STATE);
    }
    if (op->spent >= op->limit)
        return dfuact_fail(op, DFU_FAIL_TIMEOUT);
    return dfuact_pause(op, ACT_MANIFEST_PAUSE, dfuact_clamped_poll(op));
}

/* During manifestation the board may vanish.  A failed GETSTATUS is repeated once before that is
 * assumed. */
static struct dfu_act on_manifest(struct dfu_op *op, int result)
{
    if (result == PORT_GONE)
        return went_away(op, op->manifest_asked);
    if (result == PORT_CANCELLED)
        return dfuact_fail_transfer(op, result);
    if (dfuact_read_status(op, result))
        return op->status == DFU_OK ? on_manifest_state(op) : fail_status(op);
    if (op->manifest_asked || op->asked_in_wait_reset)
        return went_away(op, true);
    op->manifest_asked = true;
    op->board->retries++;
    return ask_manifest(op);
}

/* ---- a request that was refused or lost ---- */

/* Whether a refused block may be sent again.  Not in plain DFU, where a block sent in dfuIDLE could
 * be taken for the first one, nor if only the caller knows the block's meaning. */
static bool may_insist(const struct dfu_op *op)
{
    return op->board->dfuse && !op->resent && op->kind != DFU_DOWNLOAD_BLOCK &&
           op->kind != DFU_UPLOAD_BLOCK;
}

/* Takes the status after a refused or lost request.  A board without an error (some F411 stall at
 * random: dfu-util 140) has not stored the block, which is sent once more. */
static struct dfu_act on_why(struct dfu_op *op, int result)
{
    if (!dfuact_read_status(op, result))
        return dfuact_fail_transfer(op, result);
    if (op->status != DFU_OK || op->state == DFU_ERROR)
        return refused(op);
    switch (op->state) {
    case DFU_DNBUSY: /* the board had stored the block, and executes it now */
        if (op->purpose == FOR_UPLOAD)
            return dfuact_fail(op, DFU_FAIL_STATE);
        if (op->purpose == FOR_MANIFEST)
            return on_manifest_state(op);
        return dfuact_pause(op, ACT_BUSY_PAUSE, dfuact_clamped_poll(op));
    case DFU_IDLE:
    case DFU_DNLOAD_IDLE:
    case DFU_UPLOAD_IDLE:
        if (!may_insist(op))
            return dfuact_fail(op, DFU_FAIL_STALL);
        op->resent = true;
        op->board->retries++;
        return next;
    default:
        return op->purpose == FOR_MANIFEST ? on_manifest_state(op)
                                           : dfuact_fail(op, DFU_FAIL_STATE);
    }
}

struct dfu_act dfuexchange_step(struct dfu_op *op, int result, double elapsed)
{
    switch (op->action) {
    case ACT_DNLOAD:
        return on_dnload(op, result);
    case ACT_FIRST_STATUS:
    case ACT_STATUS:
        return on_busy_status(op, result, elapsed);
    case ACT_UPLOAD:
        return on_upload(op, result);
    case ACT_WHY_STATUS:
        return on_why(op, result);
    case ACT_MANIFEST_STATUS:
        return on_manifest(op, result);
    case ACT_MANIFEST_PAUSE:
        if (op->wants_reset) {
            op->gone = true;
            return dfuact_done(op);
        }
        return ask_manifest(op);
    case ACT_BUSY_PAUSE:
        return dfuact_ask_busy(op, ACT_STATUS);
    case ACT_NONE: /* the others are dfu.c's */
    case ACT_GETSTATE:
    case ACT_GETSTATE_PAUSE:
    case ACT_RECOVERY_STATUS:
    case ACT_RECOVERY_PAUSE:
    case ACT_CLRSTATUS:
    case ACT_ABORT:
    case ACT_SELECT:
    case ACT_SINGLE:
    case ACT_LOSS_PAUSE:
        break;
    }
    return next;
}
