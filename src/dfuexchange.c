/* SPDX-License-Identifier: MIT */
/* An exchange: a download with the polls that wait for its end, or an upload; how it goes on when
 * a request of it was refused or lost; and manifestation, which the last download begins.
 */
#include "dfudev.h"

#include <string.h>

#define SLEEP_SHARE 0.9  /* of the expected time, before a board is asked early */
#define SMOOTHING   0.25 /* the weight of the newest block in the average */

/* ---- what begins one ---- */

struct dfu_act dfuexchange_block(struct dfu_op *op, enum stage stage, uint16_t block, size_t length)
{
    op->stage = stage;
    op->block_length = length;
    op->spent = op->slept = 0;
    op->first_took = -1;
    if (stage == STAGE_BLOCK || stage == STAGE_COMMAND)
        op->in_doubt = true;
    return dfuact_control(op, AT_DNLOAD, DFU_REQ_DNLOAD, block, length, op->board->timeout);
}

struct dfu_act dfuexchange_command(struct dfu_op *op, enum stage stage, uint8_t command,
                                   uint32_t address, size_t length)
{
    uint8_t *b = op->board->buffer;
    b[0] = command;
    for (int i = 0; i < 4; i++)
        b[1 + i] = (uint8_t)(address >> (8 * i));
    op->board->has_base = false; /* an erase moves the pointer as well */
    return dfuexchange_block(op, stage, 0, length);
}

struct dfu_act dfuexchange_upload(struct dfu_op *op, uint16_t block, size_t length)
{
    /* plain DFU is asked for whole blocks: U-Boot answers wTransferSize whatever wLength says */
    bool whole = op->kind == DFU_READ && !op->board->dfuse;
    op->stage = STAGE_UPLOAD;
    op->block_length = length;
    return dfuact_control(op, AT_UPLOAD, DFU_REQ_UPLOAD, block,
                          whole ? op->board->transfer_size : length, op->board->timeout);
}

/* ---- how it goes on ---- */

/* GETSTATUS after a request that was refused, or lost. */
static struct dfu_act ask_why(struct dfu_op *op)
{
    return dfuact_ask(op, AT_WHY, DFU_REQ_GETSTATUS, 6);
}

static struct dfu_act fail_status(struct dfu_op *op)
{
    if (op->status == DFU_ERR_TARGET || op->status == DFU_ERR_ADDRESS ||
        (op->status == DFU_ERR_VENDOR && op->board->vendor_protects))
        op->in_doubt = false; /* the board looked at the command, and refused it */
    return dfuact_fail(op, DFU_FAIL_STATUS);
}

/* Whether a download may be sent twice: DfuSe commands and blocks have the same effect again, and
 * a DfuSe board tells by its state whether it has stored one.  Not where the first may have made
 * it leave, and not what only the caller knows the meaning of. */
static bool may_send_twice(const struct dfu_op *op)
{
    return op->board->dfuse && !op->may_reset &&
           (op->stage == STAGE_ADDRESS || op->kind == DFU_ERASE || op->kind == DFU_MASS_ERASE ||
            op->kind == DFU_WRITE);
}

/* How long to wait before the next GETSTATUS of a board that said it was busy.  The ROMs that
 * hold the request until they are done (F2, F4, F7) are asked a little before the end; an erase
 * takes longer than any of them announces, so there the announced time costs nothing. */
static double busy_time(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    double poll = dfuact_honest_poll(op);
    if (!board->early || op->phase != AT_FIRST_STATUS || op->stage == STAGE_COMMAND)
        return poll;
    double early = op->stage == STAGE_BLOCK && op->block_length == board->transfer_size
                       ? SLEEP_SHARE * board->busy
                       : 0;
    return early < poll ? early : poll;
}

/* Learns how long a block takes, from one whose end was waited for, and of which nothing was
 * refused or lost. */
static void learn_busy(struct dfu_op *op, double took)
{
    struct dfu_board *board = op->board;
    if (!board->early || op->stage != STAGE_BLOCK || op->block_length != board->transfer_size ||
        op->first_took < 0 || op->lost)
        return;
    double busy = op->slept + took - op->first_took;
    if (busy < 0)
        busy = 0;
    board->busy += (busy - board->busy) * (board->busy > 0 ? SMOOTHING : 1);
}

/* The command or block that was under way is done. */
static struct dfu_act finish_exchange(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    op->again = op->lost = op->unheard = false;
    op->clears = 0;
    switch ((enum stage)op->stage) {
    case STAGE_ADDRESS:
        op->addressed = true;
        board->has_base = true;
        board->base = op->kind == DFU_WRITE || op->kind == DFU_READ
                          ? op->address + (uint32_t)op->done
                          : op->address;
        board->base_writes = op->kind == DFU_WRITE;
        board->has_pointer = true;
        board->pointer = board->base;
        break;
    case STAGE_BLOCK:
        if (op->kind == DFU_DOWNLOAD_BLOCK && op->block == 0)
            dfu_note_command(board, op->data, op->length);
        op->done += op->block_length;
        op->in_doubt = false;
        if (op->block_length < board->transfer_size)
            board->has_base = false; /* ROMs differ in what a short block counts for */
        break;
    case STAGE_UPLOAD:
        op->done += op->block_length;
        break;
    case STAGE_COMMAND:
        board->has_pointer = false; /* an erase moves it on some boards */
        op->in_doubt = false;
        break;
    case STAGE_MANIFEST:
        op->in_doubt = false;
        break;
    }
    if (op->stage != STAGE_ADDRESS || op->kind == DFU_SET_ADDRESS)
        op->sent = true;
    return dfu_advance(op);
}

/* The board has left the bus where that is what it should do, or may do. */
static struct dfu_act went_away(struct dfu_op *op, bool assumed)
{
    op->gone = true;
    op->assumed = assumed;
    op->board->state = DFU_UNKNOWN;
    if (op->stage == STAGE_BLOCK)
        op->done += op->block_length;
    return dfuact_done(op);
}

/* A board resets itself when all was written, not before. */
static bool leaving_is_right(const struct dfu_op *op)
{
    if (op->kind == DFU_READ_UNPROTECT)
        return true;
    return op->may_reset && op->stage == STAGE_BLOCK && op->done + op->block_length == op->length;
}

/* A board refused a block or a command.  The first block of plain DFU is sent once more: a board
 * that counts blocks may still have been at those of a download that was given up (U-Boot). */
static struct dfu_act refused(struct dfu_op *op)
{
    if (!op->board->dfuse && op->kind == DFU_WRITE && op->done == 0 && !op->again &&
        op->state == DFU_ERROR) {
        op->again = true;
        op->board->retries++;
        return dfu_advance(op);
    }
    return fail_status(op);
}

static struct dfu_act on_busy_status(struct dfu_op *op, int result, double elapsed)
{
    struct dfu_board *board = op->board;
    if (result == PORT_GONE && leaving_is_right(op) && op->phase == AT_STATUS)
        return went_away(op, false);
    if (result == PORT_STALL) {
        /* L4 and others refuse GETSTATUS while they are busy (dfu-util ticket 40) */
        board->early = false;
        if (op->spent >= op->limit)
            return dfuact_fail_transfer(op, result);
        return dfuact_pause(op, AT_BUSY_WAIT, dfuact_honest_poll(op));
    }
    if (!dfuact_read_status(op, result))
        return dfuact_fail_transfer(op, result);
    if (op->status != DFU_OK || op->state == DFU_ERROR) /* some never go to dfuERROR */
        return refused(op);

    switch (op->state) {
    case DFU_DNBUSY:
    case DFU_DNLOAD_SYNC:
        if (op->spent >= op->limit)
            return dfuact_fail(op, DFU_FAIL_TIMEOUT);
        double wait = busy_time(op);
        if (op->phase == AT_FIRST_STATUS)
            op->first_took = elapsed;
        op->slept += wait;
        if (wait <= 0)
            return dfuact_ask_busy(op, AT_STATUS);
        return dfuact_pause(op, AT_BUSY_WAIT, wait);
    case DFU_DNLOAD_IDLE:
        /* Some tell of an error once, and stay in dfuDNLOAD-IDLE (Black Magic Probe).  If that
         * answer was lost, blocks would go to the address before: so it is set once more. */
        if (op->unheard && op->stage == STAGE_ADDRESS) {
            op->unheard = false;
            op->board->retries++;
            return dfu_advance(op);
        }
        if (op->phase == AT_STATUS)
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
    if (dfuact_is_lost(result) && may_send_twice(op) && !op->lost)
        return dfuact_instead(op, ask_why(op));
    if (op->stage == STAGE_MANIFEST) {
        if (result == PORT_GONE) /* some clones are off before they answer (dfu-util 104) */
            return went_away(op, true);
        if (result < 0)
            return dfuact_fail_transfer(op, result);
        op->board->state = DFU_MANIFEST_SYNC;
        op->again = false; /* from here on: that an answer was lost */
        return dfuact_ask(op, AT_MANIFEST, DFU_REQ_GETSTATUS, 6);
    }
    if (result < 0 || (size_t)result != op->block_length)
        return dfuact_fail_transfer(op, result);
    op->board->state = DFU_DNLOAD_SYNC;
    return dfuact_ask_busy(op, AT_FIRST_STATUS);
}

static struct dfu_act on_upload(struct dfu_op *op, int result)
{
    struct dfu_board *board = op->board;
    if (result == PORT_STALL)
        return ask_why(op);
    size_t asked = op->next.setup.length, got = (size_t)(result < 0 ? 0 : result);
    if (result < 0 || got > asked)
        return dfuact_fail_transfer(op, result < 0 ? result : PORT_IO);
    bool is_short = got < asked;
    if (is_short && op->kind == DFU_READ && board->dfuse)
        return dfuact_fail_transfer(op, result);
    if (got > op->block_length)
        got = op->block_length; /* plain DFU: more than the caller wants */
    memcpy(op->out + op->done, board->buffer, got);
    board->state = is_short || op->kind != DFU_READ ? DFU_UNKNOWN : DFU_UPLOAD_IDLE;
    op->ended = is_short; /* plain DFU: that was the end of the memory */
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
            return dfuact_pause(op, AT_MANIFEST_WAIT, dfuact_honest_poll(op));
        }
        break;
    case DFU_MANIFEST_SYNC:
    case DFU_DNBUSY:
        break;
    case DFU_MANIFEST_WAIT_RESET:
        if (board->dfuse && !op->looked_again) {
            op->looked_again = true; /* CherryUSB leaves at the GETSTATUS behind this one */
            return dfuact_pause(op, AT_MANIFEST_WAIT, dfuact_honest_poll(op));
        }
        op->wants_reset = !board->dfuse;
        op->gone = true;
        return dfuact_done(op);
    case DFU_IDLE:
        op->sent = true;
        return board->dfuse ? dfuact_fail(op, DFU_FAIL_STATE) : dfuact_done(op);
    case DFU_ERROR:
        return fail_status(op);
    default:
        return dfuact_fail(op, DFU_FAIL_STATE);
    }
    if (op->spent >= op->limit)
        return dfuact_fail(op, DFU_FAIL_TIMEOUT);
    return dfuact_pause(op, AT_MANIFEST_WAIT, dfuact_honest_poll(op));
}

/* Whoever manifests may stop answering at any moment.  One that is there all the same is asked
 * twice, so that a single lost answer is not taken for success. */
static struct dfu_act on_manifest(struct dfu_op *op, int result)
{
    if (result == PORT_GONE)
        return went_away(op, op->again);
    if (result == PORT_CANCELLED)
        return dfuact_fail_transfer(op, result);
    if (dfuact_read_status(op, result))
        return op->status == DFU_OK ? on_manifest_state(op) : fail_status(op);
    if (op->again || op->looked_again)
        return went_away(op, true);
    op->again = true;
    op->board->retries++;
    return dfuact_ask(op, AT_MANIFEST, DFU_REQ_GETSTATUS, 6);
}

/* ---- a request that was refused, or lost ---- */

/* Whether a block that was refused may be sent again.  Not in plain DFU, where one that goes out
 * from dfuIDLE could be taken for the first, and not what only the caller knows the meaning of. */
static bool may_insist(const struct dfu_op *op)
{
    return op->board->dfuse && !op->again && op->kind != DFU_DOWNLOAD_BLOCK &&
           op->kind != DFU_UPLOAD_BLOCK;
}

/* A board that is in order all the same (some F411 stall at random: dfu-util 140) has not stored
 * the block, and is sent it again, once. */
static struct dfu_act on_why(struct dfu_op *op, int result)
{
    if (!dfuact_read_status(op, result))
        return dfuact_fail_transfer(op, result);
    if (op->status != DFU_OK || op->state == DFU_ERROR)
        return refused(op);
    switch (op->state) {
    case DFU_DNBUSY: /* it had stored the block, and executes it now */
        if (op->stage == STAGE_UPLOAD)
            return dfuact_fail(op, DFU_FAIL_STATE);
        if (op->stage == STAGE_MANIFEST)
            return on_manifest_state(op);
        return dfuact_pause(op, AT_BUSY_WAIT, dfuact_honest_poll(op));
    case DFU_IDLE:
    case DFU_DNLOAD_IDLE:
    case DFU_UPLOAD_IDLE:
        if (!may_insist(op))
            return dfuact_fail(op, DFU_FAIL_STALL);
        op->again = true;
        op->board->retries++;
        return dfu_advance(op);
    default:
        return op->stage == STAGE_MANIFEST ? on_manifest_state(op)
                                           : dfuact_fail(op, DFU_FAIL_STATE);
    }
}

struct dfu_act dfuexchange_step(struct dfu_op *op, int result, double elapsed)
{
    switch ((enum phase)op->phase) {
    case AT_DNLOAD:
        return on_dnload(op, result);
    case AT_FIRST_STATUS:
    case AT_STATUS:
        return on_busy_status(op, result, elapsed);
    case AT_UPLOAD:
        return on_upload(op, result);
    case AT_WHY:
        return on_why(op, result);
    case AT_MANIFEST:
        return on_manifest(op, result);
    case AT_MANIFEST_WAIT:
        if (op->wants_reset) {
            op->gone = true;
            return dfuact_done(op);
        }
        return dfuact_ask(op, AT_MANIFEST, DFU_REQ_GETSTATUS, 6);
    default: /* AT_BUSY_WAIT */
        return dfuact_ask_busy(op, AT_STATUS);
    }
}
