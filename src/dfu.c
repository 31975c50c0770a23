/* SPDX-License-Identifier: MIT */
/* What comes next: from the state that a board is in to dfuIDLE, and from there, exchange by
 * exchange, to the end of the operation.
 */
#include "dfudev.h"

#include <string.h>

#define MAX_CLEARS 3      /* tries to get out of dfuERROR, and so on */
#define LAST_BLOCK 65534u /* the address is set anew before block 65535 */
#define ENTRY_POLL 0.1    /* between two GETSTATUS of a board that refuses the first */

/* ---- the way to dfuIDLE ---- */

/* GETSTATE: a ROM that still executes what was given up holds this, too. */
static struct dfu_act ask_state(struct dfu_op *op)
{
    const struct dfu_board *board = op->board;
    double timeout = board->hold > board->timeout ? board->hold : board->timeout;
    return dfuact_control(op, AT_STATE, DFU_REQ_GETSTATE, 0, 1, timeout);
}

/* One step out of a state that a board was found in.  Returns false where there is nothing to do:
 * dfuIDLE, dfuDNLOAD-IDLE and dfuUPLOAD-IDLE. */
static bool recover(struct dfu_op *op, struct dfu_act *act)
{
    struct dfu_board *board = op->board;
    switch (board->state) {
    case DFU_IDLE:
    case DFU_DNLOAD_IDLE:
    case DFU_UPLOAD_IDLE:
        return false;
    case DFU_APP_IDLE:
    case DFU_APP_DETACH:
        *act = dfuact_fail(op, DFU_FAIL_RUNTIME);
        return true;
    case DFU_MANIFEST_WAIT_RESET:
        *act = dfuact_fail(op, DFU_FAIL_RESET);
        return true;
    case DFU_UNKNOWN:
        *act = ask_state(op);
        return true;
    case DFU_DNBUSY:
    case DFU_MANIFEST:
        *act = dfuact_ask_busy(op, AT_ENTRY_STATUS);
        return true;
    default:
        break;
    }
    op->state = board->state;
    if (op->clears++ >= MAX_CLEARS) {
        *act = dfuact_fail(op, board->state == DFU_ERROR ? DFU_FAIL_STATUS : DFU_FAIL_STATE);
    } else if (board->state >= DFU_STATES) {
        /* a number that is no state: ST's example says 15 behind a refused UPLOAD */
        *act = dfuact_ask(op, AT_CLEAR, DFU_REQ_CLRSTATUS, 0);
    } else if (board->state == DFU_ERROR) {
        /* CLRSTATUS only here: elsewhere it puts a ROM into dfuERROR, or is stalled (C5) */
        *act = board->status == DFU_UNKNOWN ? dfuact_ask(op, AT_ENTRY_STATUS, DFU_REQ_GETSTATUS, 6)
                                            : dfuact_ask(op, AT_CLEAR, DFU_REQ_CLRSTATUS, 0);
    } else if (op->abort_refused) {
        *act = dfuact_ask_busy(op, AT_ENTRY_STATUS); /* there is no other way out */
    } else {
        /* dfuDNLOAD-SYNC, dfuMANIFEST-SYNC: GETSTATUS would execute what is stored */
        *act = dfuact_ask(op, AT_ABORT, DFU_REQ_ABORT, 0);
    }
    return true;
}

static struct dfu_act on_entry(struct dfu_op *op, int result)
{
    struct dfu_board *board = op->board;
    switch ((enum phase)op->phase) {
    case AT_STATE:
        if (result == PORT_STALL && op->kind != DFU_GET_STATE && op->spent < op->limit)
            return dfuact_pause(op, AT_STATE_WAIT, ENTRY_POLL); /* it is busy: L4 and others */
        if (result == PORT_STALL && op->kind != DFU_GET_STATE && !op->clear_sent) {
            op->clear_sent = true; /* or in dfuERROR, and deaf to all but this: CherryUSB */
            return dfuact_ask(op, AT_CLEAR, DFU_REQ_CLRSTATUS, 0);
        }
        if (result != 1)
            return dfuact_fail_transfer(op, result);
        dfuact_heard_state(op, board->buffer[0]);
        board->status = DFU_UNKNOWN;
        if (op->kind == DFU_GET_STATE)
            return dfuact_done(op);
        return dfu_advance(op);
    case AT_ENTRY_STATUS:
        if (result == PORT_STALL && op->spent < op->limit)
            return dfuact_pause(op, AT_ENTRY_WAIT, ENTRY_POLL);
        if (!dfuact_read_status(op, result))
            return dfuact_fail_transfer(op, result);
        if (board->state == DFU_DNBUSY || board->state == DFU_MANIFEST) {
            if (op->spent >= op->limit)
                return dfuact_fail(op, DFU_FAIL_TIMEOUT);
            return dfuact_pause(op, AT_ENTRY_WAIT, dfuact_honest_poll(op));
        }
        return dfu_advance(op);
    case AT_CLEAR:
        if ((dfuact_is_lost(result) || result == PORT_STALL) && !op->lost)
            return dfuact_instead(op, dfuact_ask(op, AT_ENTRY_STATUS, DFU_REQ_GETSTATUS, 6));
        if (result < 0)
            return dfuact_fail_transfer(op, result);
        return dfuact_ask(op, AT_ENTRY_STATUS, DFU_REQ_GETSTATUS, 6);
    case AT_ABORT: /* not GETSTATUS: it would execute what is stored */
        op->abort_refused = op->abort_refused || result == PORT_STALL;
        if ((dfuact_is_lost(result) || result == PORT_STALL) && !op->lost && op->kind != DFU_ABORT)
            return dfuact_instead(op, ask_state(op));
        if (result < 0)
            return dfuact_fail_transfer(op, result);
        board->state = DFU_IDLE;
        if (op->kind == DFU_ABORT)
            return dfuact_done(op);
        return dfu_advance(op);
    case AT_SELECT:
        if (result < 0)
            return dfuact_fail_transfer(op, result);
        board->alt = op->alt;
        board->has_base = false;
        return dfu_advance(op);
    case AT_STATE_WAIT:
        return ask_state(op);
    default: /* AT_ENTRY_WAIT */
        return dfuact_ask_busy(op, AT_ENTRY_STATUS);
    }
}

/* ---- the next exchange ---- */

static struct dfu_act set_address(struct dfu_op *op, uint32_t address)
{
    return dfuexchange_command(op, STAGE_ADDRESS, DFUSE_SET_ADDRESS, address, 5);
}

static struct dfu_act download(struct dfu_op *op)
{
    if (op->board->state == DFU_UPLOAD_IDLE)
        return dfuact_ask(op, AT_ABORT, DFU_REQ_ABORT, 0);

    uint8_t *buffer = op->board->buffer;
    struct dfu_board *board = op->board;
    switch (op->kind) {
    case DFU_SET_ADDRESS:
        return set_address(op, op->address);
    case DFU_ERASE:
        return dfuexchange_command(op, STAGE_COMMAND, DFUSE_ERASE, op->address, 5);
    case DFU_MASS_ERASE:
        return dfuexchange_command(op, STAGE_COMMAND, DFUSE_ERASE, 0, 1);
    case DFU_READ_UNPROTECT:
        return dfuexchange_command(op, STAGE_COMMAND, DFUSE_READ_UNPROTECT, 0, 1);
    case DFU_LEAVE:
        if (op->has_address && !op->addressed)
            return set_address(op, op->address);
        return dfuexchange_block(op, STAGE_MANIFEST, 2, 0);
    case DFU_DOWNLOAD_BLOCK:
        if (op->block < 2)
            board->has_base = false; /* a command, perhaps one that moves the pointer */
        if (op->length)
            memcpy(buffer, op->data, op->length);
        return dfuexchange_block(op, op->length ? STAGE_BLOCK : STAGE_MANIFEST, op->block,
                                 op->length);
    default:
        return dfuact_fail(op, DFU_FAIL_IO); /* not reached: no other kind downloads */
    }
}

/* The number of the block that holds the next byte, or -1: the address must be set first. */
static int64_t next_block(const struct dfu_op *op)
{
    const struct dfu_board *board = op->board;
    if (!board->dfuse)
        return (int64_t)(op->done / board->transfer_size);
    uint64_t address = (uint64_t)op->address + op->done;
    if (!board->has_base || board->base_writes != (op->kind == DFU_WRITE) || address < board->base)
        return -1;
    uint64_t offset = address - board->base;
    if (board->uncounted && offset > 0)
        return -1;
    uint64_t block = 2 + offset / board->transfer_size;
    return offset % board->transfer_size || block > LAST_BLOCK ? -1 : (int64_t)block;
}

static struct dfu_act write_next(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    if (board->state == DFU_UPLOAD_IDLE)
        return dfuact_ask(op, AT_ABORT, DFU_REQ_ABORT, 0);
    if (op->done == op->length) { /* plain DFU: a block of its own, after a short one as well */
        size_t blocks = (op->length + board->transfer_size - 1) / board->transfer_size;
        return dfuexchange_block(op, STAGE_MANIFEST, (uint16_t)blocks, 0);
    }
    int64_t block = next_block(op);
    if (block < 0)
        return set_address(op, op->address + (uint32_t)op->done);
    size_t left = op->length - op->done;
    size_t length = left < board->transfer_size ? left : board->transfer_size;
    memcpy(board->buffer, op->data + op->done, length);
    return dfuexchange_block(op, STAGE_BLOCK, (uint16_t)block, length);
}

static struct dfu_act read_next(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    int64_t block = next_block(op);
    if (block < 0) {
        if (board->state == DFU_UPLOAD_IDLE)
            return dfuact_ask(op, AT_ABORT, DFU_REQ_ABORT, 0);
        return set_address(op, op->address + (uint32_t)op->done);
    }
    if (board->state == DFU_DNLOAD_IDLE)
        return dfuact_ask(op, AT_ABORT, DFU_REQ_ABORT, 0);
    size_t left = op->length - op->done;
    return dfuexchange_upload(op, (uint16_t)block,
                              left < board->transfer_size ? left : board->transfer_size);
}

/* ---- the whole operation ---- */

static bool is_complete(const struct dfu_op *op)
{
    switch (op->kind) {
    case DFU_READ:
        return op->done == op->length || op->ended;
    case DFU_WRITE: /* plain DFU ends in manifestation, which ends the operation itself */
        return op->done == op->length && op->board->dfuse;
    default:
        return op->sent;
    }
}

struct dfu_act dfu_advance(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    if (is_complete(op))
        return dfuact_done(op);
    struct dfu_act act;
    if (recover(op, &act))
        return act;

    bool other_alt = !op->any_alt && board->several_alts && board->alt != op->alt;
    /* plain DFU counts from dfuIDLE: there are devices that take no notice of block numbers */
    bool first_block =
        !board->dfuse && op->done == 0 && (op->kind == DFU_READ || op->kind == DFU_WRITE);
    bool from_idle = other_alt || first_block || op->kind == DFU_TO_IDLE ||
                     ((op->kind == DFU_COMMANDS || op->kind == DFU_UPLOAD_BLOCK) &&
                      board->state == DFU_DNLOAD_IDLE) ||
                     (op->kind == DFU_COMMANDS && board->state == DFU_UPLOAD_IDLE);
    if (from_idle && board->state != DFU_IDLE)
        return dfuact_ask(op, AT_ABORT, DFU_REQ_ABORT, 0);
    if (other_alt) {
        op->phase = AT_SELECT;
        return (struct dfu_act){ .what = DFU_SELECT, .alt = op->alt };
    }
    switch (op->kind) {
    case DFU_TO_IDLE:
    case DFU_CLEAR_STATUS: /* it is not in dfuERROR (any more) */
        return dfuact_done(op);
    case DFU_READ:
        return read_next(op);
    case DFU_WRITE:
        return write_next(op);
    case DFU_COMMANDS:
        return dfuexchange_upload(op, 0, op->length);
    case DFU_UPLOAD_BLOCK:
        board->has_base = false;
        return dfuexchange_upload(op, op->block, op->length);
    default:
        return download(op);
    }
}

static struct dfu_act on_single(struct dfu_op *op, int result)
{
    if (op->kind == DFU_GET_STATUS && !dfuact_read_status(op, result))
        return dfuact_fail_transfer(op, result);
    if (op->kind == DFU_DETACH && (result == PORT_GONE || result == PORT_STALL))
        result = 0; /* many go at once, and some answer with a STALL; its coming back decides */
    if (result < 0)
        return dfuact_fail_transfer(op, result);
    return dfuact_done(op);
}

struct dfu_act dfu_start(struct dfu_op *op)
{
    op->phase = AT_START;
    if (op->board->state >= DFU_STATES)
        op->board->state = DFU_UNKNOWN; /* what it said made no sense: it is asked anew */
    switch (op->kind) {
    case DFU_GET_STATUS:
        return dfuact_ask_busy(op, AT_SINGLE);
    case DFU_GET_STATE:
        return ask_state(op);
    case DFU_ABORT:
        op->board->has_base = false;
        return dfuact_ask(op, AT_ABORT, DFU_REQ_ABORT, 0);
    case DFU_DETACH:
        op->board->state = DFU_UNKNOWN;
        return dfuact_control(op, AT_SINGLE, DFU_REQ_DETACH, op->block, 0, op->board->timeout);
    default:
        return dfu_advance(op);
    }
}

/* Requests that can be sent again as they were, whether the board had them or not: those that
 * ask, and reading by address.  A board that does not answer a question has had its time. */
static bool is_repeatable(const struct dfu_op *op, int result)
{
    switch ((enum phase)op->phase) {
    case AT_STATE:
    case AT_WHY:
    case AT_ENTRY_STATUS:
    case AT_FIRST_STATUS:
    case AT_STATUS:
        return result == PORT_IO;
    case AT_UPLOAD:
        return op->board->dfuse && op->kind == DFU_READ;
    default:
        return false;
    }
}

struct dfu_act dfu_step(struct dfu_op *op, int result, double elapsed)
{
    op->spent += elapsed;
    if (op->cancelled) {
        op->board->hold = op->limit;
        if (op->phase == AT_SELECT && result >= 0)
            op->board->alt = op->alt;
        if (result == PORT_CANCELLED || result == PORT_GONE || op->phase == AT_STATE)
            op->board->state = DFU_UNKNOWN;
        else if (op->phase == AT_DNLOAD && result >= 0)
            op->board->state = op->block_length ? DFU_DNLOAD_SYNC : DFU_MANIFEST_SYNC;
        else if (op->phase != AT_BUSY_WAIT)
            op->board->state = DFU_UNKNOWN;
        op->gone = result == PORT_GONE;
        return dfuact_fail(op, DFU_FAIL_CANCELLED);
    }
    if (dfuact_is_lost(result) && !op->lost && is_repeatable(op, result)) {
        op->unheard = op->phase == AT_FIRST_STATUS || op->phase == AT_STATUS;
        return dfuact_instead(op, op->next);
    }
    switch ((enum phase)op->phase) {
    case AT_LOSS_WAIT:
        op->phase = op->next_phase;
        return op->next;
    case AT_DNLOAD:
    case AT_FIRST_STATUS:
    case AT_BUSY_WAIT:
    case AT_STATUS:
    case AT_UPLOAD:
    case AT_WHY:
    case AT_MANIFEST:
    case AT_MANIFEST_WAIT:
        return dfuexchange_step(op, result, elapsed);
    case AT_SINGLE:
        return on_single(op, result);
    default: /* on the way to dfuIDLE */
        return on_entry(op, result);
    }
}

void dfu_cancel(struct dfu_op *op)
{
    op->cancelled = true;
}
