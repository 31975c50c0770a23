/* SPDX-License-Identifier: MIT */
/* The next action: from the state that the board is in to dfuIDLE, and from there, exchange by
 * exchange, to the end of the operation.  All of it follows from the board's state and from how far
 * the operation is (advance()).
 */
#include "dfu/dfu_private.h"

#include <string.h>

#define MAX_RECOVERIES 3      /* steps out of dfuERROR, and so on */
#define LAST_BLOCK     65534u /* Set Address is sent again before block 65535 */
#define ENTRY_POLL     0.1    /* seconds between two requests to a board that stalls the first */

static struct dfu_act advance(struct dfu_op *op);

/* ---- the way to dfuIDLE ---- */

/* GETSTATE, which a ROM that still executes a cancelled command answers only at its end. */
static struct dfu_act ask_state(struct dfu_op *op)
{
    const struct dfu_board *board = op->board;
    double timeout = board->busy_timeout > board->timeout ? board->busy_timeout : board->timeout;
    return dfuact_control(op, ACT_GETSTATE, DFU_REQ_GETSTATE, 0, 1, timeout);
}

static struct dfu_act abort_request(struct dfu_op *op)
{
    return dfuact_ask(op, ACT_ABORT, DFU_REQ_ABORT, 0);
}

static struct dfu_act ask_status(struct dfu_op *op)
{
    return dfuact_ask(op, ACT_RECOVERY_STATUS, DFU_REQ_GETSTATUS, DFU_STATUS_LENGTH);
}

/* Sets `act` to one step out of the state that the board is in.  Returns false in dfuIDLE,
 * dfuDNLOAD-IDLE and dfuUPLOAD-IDLE, where there is nothing to do. */
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
        *act = dfuact_ask_busy(op, ACT_RECOVERY_STATUS);
        return true;
    default:
        break;
    }
    op->state = board->state;
    if (op->recoveries++ >= MAX_RECOVERIES) {
        *act = dfuact_fail(op, board->state == DFU_ERROR ? DFU_FAIL_STATUS : DFU_FAIL_STATE);
    } else if (board->state >= DFU_STATES) {
        /* a number that is no state: ST's example gives 15 after a refused UPLOAD */
        *act = dfuact_ask(op, ACT_CLRSTATUS, DFU_REQ_CLRSTATUS, 0);
    } else if (board->state == DFU_ERROR) {
        /* CLRSTATUS only here: elsewhere it puts a ROM into dfuERROR, or is stalled (STM32C5) */
        *act = board->status == DFU_UNKNOWN ? ask_status(op)
                                            : dfuact_ask(op, ACT_CLRSTATUS, DFU_REQ_CLRSTATUS, 0);
    } else if (op->abort_refused) {
        *act = dfuact_ask_busy(op, ACT_RECOVERY_STATUS); /* the only other way out */
    } else {
        /* dfuDNLOAD-SYNC, dfuMANIFEST-SYNC: GETSTATUS would execute the stored block */
        *act = abort_request(op);
    }
    return true;
}

static struct dfu_act on_state(struct dfu_op *op, int result)
{
    struct dfu_board *board = op->board;
    bool stalled = result == PORT_STALL && op->kind != DFU_GET_STATE;
    if (stalled && op->spent < op->limit)
        return dfuact_pause(op, ACT_GETSTATE_PAUSE, ENTRY_POLL); /* busy: L4 and others */
    if (stalled && !op->clear_sent) {
        op->clear_sent = true; /* or in dfuERROR, where CherryUSB takes nothing else */
        return dfuact_ask(op, ACT_CLRSTATUS, DFU_REQ_CLRSTATUS, 0);
    }
    if (result != 1)
        return dfuact_fail_transfer(op, result);
    dfuact_heard_state(op, board->buffer[0]);
    board->status = DFU_UNKNOWN;
    return op->kind == DFU_GET_STATE ? dfuact_done(op) : advance(op);
}

static struct dfu_act on_recovery_status(struct dfu_op *op, int result)
{
    const struct dfu_board *board = op->board;
    if (result == PORT_STALL && op->spent < op->limit)
        return dfuact_pause(op, ACT_RECOVERY_PAUSE, ENTRY_POLL);
    if (!dfuact_read_status(op, result))
        return dfuact_fail_transfer(op, result);
    if (board->state != DFU_DNBUSY && board->state != DFU_MANIFEST)
        return advance(op);
    if (op->spent >= op->limit)
        return dfuact_fail(op, DFU_FAIL_TIMEOUT);
    return dfuact_pause(op, ACT_RECOVERY_PAUSE, dfuact_clamped_poll(op));
}

static struct dfu_act on_clear(struct dfu_op *op, int result)
{
    if ((dfuact_is_lost(result) || result == PORT_STALL) && !op->replaced)
        return dfuact_instead(op, ask_status(op));
    if (result < 0)
        return dfuact_fail_transfer(op, result);
    return ask_status(op);
}

/* GETSTATE follows a lost ABORT: GETSTATUS would execute the stored block. */
static struct dfu_act on_abort(struct dfu_op *op, int result)
{
    bool stalled = result == PORT_STALL;
    op->abort_refused = op->abort_refused || stalled;
    if ((dfuact_is_lost(result) || stalled) && !op->replaced && op->kind != DFU_ABORT)
        return dfuact_instead(op, ask_state(op));
    if (result < 0)
        return dfuact_fail_transfer(op, result);
    op->board->state = DFU_IDLE;
    return op->kind == DFU_ABORT ? dfuact_done(op) : advance(op);
}

static struct dfu_act on_select(struct dfu_op *op, int result)
{
    if (result < 0)
        return dfuact_fail_transfer(op, result);
    op->board->alt = op->alt;
    op->board->has_base = false;
    return advance(op);
}

/* ---- the next exchange ---- */

static struct dfu_act set_address(struct dfu_op *op, uint32_t address)
{
    return dfuexchange_command(op, FOR_ADDRESS, DFUSE_SET_ADDRESS, address, 5);
}

static struct dfu_act leave(struct dfu_op *op)
{
    if (op->has_address && !op->address_set)
        return set_address(op, op->address);
    return dfuexchange_block(op, FOR_MANIFEST, DFUSE_FIRST_BLOCK, 0);
}

static struct dfu_act download_block(struct dfu_op *op)
{
    if (op->block < DFUSE_FIRST_BLOCK)
        op->board->has_base = false; /* a command, which may move the pointer */
    if (op->length)
        memcpy(op->board->buffer, op->data, op->length);
    return dfuexchange_block(op, op->length ? FOR_BLOCK : FOR_MANIFEST, op->block, op->length);
}

/* The number of the block that holds the next byte, or -1: Set Address must be sent first. */
static int64_t next_block(const struct dfu_op *op)
{
    const struct dfu_board *board = op->board;
    if (!board->dfuse)
        return (int64_t)(op->done / board->transfer_size);
    uint64_t address = (uint64_t)op->address + op->done;
    if (!board->has_base || board->base_writes != (op->kind == DFU_WRITE) || address < board->base)
        return -1;
    uint64_t offset = address - board->base;
    if (board->transfer_size_unknown && offset > 0)
        return -1;
    uint64_t block = DFUSE_FIRST_BLOCK + offset / board->transfer_size;
    return offset % board->transfer_size || block > LAST_BLOCK ? -1 : (int64_t)block;
}

static struct dfu_act write_next(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    if (op->done == op->length) { /* plain DFU: the block of length 0, after a short one, too */
        size_t blocks = (op->length + board->transfer_size - 1) / board->transfer_size;
        return dfuexchange_block(op, FOR_MANIFEST, (uint16_t)blocks, 0);
    }
    int64_t block = next_block(op);
    if (block < 0)
        return set_address(op, op->address + (uint32_t)op->done);
    size_t left = op->length - op->done;
    size_t length = left < board->transfer_size ? left : board->transfer_size;
    memcpy(board->buffer, op->data + op->done, length);
    return dfuexchange_block(op, FOR_BLOCK, (uint16_t)block, length);
}

static struct dfu_act read_next(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    int64_t block = next_block(op);
    if (block < 0) {
        if (board->state == DFU_UPLOAD_IDLE)
            return abort_request(op);
        return set_address(op, op->address + (uint32_t)op->done);
    }
    if (board->state == DFU_DNLOAD_IDLE)
        return abort_request(op);
    size_t left = op->length - op->done;
    return dfuexchange_upload(op, (uint16_t)block,
                              left < board->transfer_size ? left : board->transfer_size);
}

/* ---- the whole operation ---- */

static bool is_complete(const struct dfu_op *op)
{
    if (op->kind == DFU_READ)
        return op->done == op->length || op->upload_ended;
    if (op->kind == DFU_WRITE) /* plain DFU: manifestation ends the operation */
        return op->done == op->length && op->board->dfuse;
    return op->finished;
}

/* Whether ABORT must come before the operation's next request.  The board is in dfuIDLE,
 * dfuDNLOAD-IDLE or dfuUPLOAD-IDLE. */
static bool must_abort(const struct dfu_op *op, bool other_alt)
{
    const struct dfu_board *board = op->board;
    /* plain DFU counts from dfuIDLE: some devices ignore the block numbers */
    bool first_block =
        !board->dfuse && op->done == 0 && (op->kind == DFU_READ || op->kind == DFU_WRITE);
    if (board->state == DFU_IDLE)
        return false;
    if (other_alt || first_block)
        return true;
    switch (op->kind) {
    case DFU_TO_IDLE:
    case DFU_COMMANDS:
        return true;
    case DFU_UPLOAD_BLOCK:
        return board->state == DFU_DNLOAD_IDLE;
    case DFU_SET_ADDRESS:
    case DFU_ERASE:
    case DFU_MASS_ERASE:
    case DFU_READ_UNPROTECT:
    case DFU_DOWNLOAD_BLOCK:
    case DFU_WRITE:
    case DFU_LEAVE:
        return board->state == DFU_UPLOAD_IDLE;
    case DFU_READ: /* see read_next() */
    case DFU_GET_STATUS:
    case DFU_GET_STATE:
    case DFU_CLEAR_STATUS:
    case DFU_ABORT:
    case DFU_DETACH:
        break;
    }
    return false;
}

static struct dfu_act advance(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    if (is_complete(op))
        return dfuact_done(op);
    struct dfu_act act;
    if (recover(op, &act))
        return act;

    bool other_alt = !op->any_alt && board->several_alts && board->alt != op->alt;
    if (must_abort(op, other_alt))
        return abort_request(op);
    if (other_alt) {
        op->action = ACT_SELECT;
        return (struct dfu_act){ .what = DFU_SELECT, .alt = op->alt };
    }
    switch (op->kind) {
    case DFU_TO_IDLE:
    case DFU_CLEAR_STATUS: /* recover() has left dfuERROR */
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
    case DFU_DOWNLOAD_BLOCK:
        return download_block(op);
    case DFU_SET_ADDRESS:
        return set_address(op, op->address);
    case DFU_ERASE:
        return dfuexchange_command(op, FOR_COMMAND, DFUSE_ERASE, op->address, 5);
    case DFU_MASS_ERASE:
        return dfuexchange_command(op, FOR_COMMAND, DFUSE_ERASE, 0, 1);
    case DFU_READ_UNPROTECT:
        return dfuexchange_command(op, FOR_COMMAND, DFUSE_READ_UNPROTECT, 0, 1);
    case DFU_LEAVE:
        return leave(op);
    case DFU_GET_STATUS: /* one request, see dfu_start() */
    case DFU_GET_STATE:
    case DFU_ABORT:
    case DFU_DETACH:
        break;
    }
    return dfuact_fail(op, DFU_FAIL_IO); /* not reached */
}

static struct dfu_act on_single(struct dfu_op *op, int result)
{
    if (op->kind == DFU_GET_STATUS && !dfuact_read_status(op, result))
        return dfuact_fail_transfer(op, result);
    if (op->kind == DFU_DETACH && (result == PORT_GONE || result == PORT_STALL))
        result = 0; /* many leave at once, some stall; the board that comes back decides */
    if (result < 0)
        return dfuact_fail_transfer(op, result);
    return dfuact_done(op);
}

struct dfu_act dfu_start(struct dfu_op *op)
{
    op->action = ACT_NONE;
    if (op->board->state >= DFU_STATES)
        op->board->state = DFU_UNKNOWN; /* a number that is no state: ask again */
    switch (op->kind) {
    case DFU_GET_STATUS:
        return dfuact_ask_busy(op, ACT_SINGLE);
    case DFU_GET_STATE:
        return ask_state(op);
    case DFU_ABORT:
        op->board->has_base = false;
        return abort_request(op);
    case DFU_DETACH:
        op->board->state = DFU_UNKNOWN;
        return dfuact_control(op, ACT_SINGLE, DFU_REQ_DETACH, op->block, 0, op->board->timeout);
    case DFU_CLEAR_STATUS:
    case DFU_COMMANDS:
    case DFU_SET_ADDRESS:
    case DFU_ERASE:
    case DFU_MASS_ERASE:
    case DFU_READ_UNPROTECT:
    case DFU_DOWNLOAD_BLOCK:
    case DFU_UPLOAD_BLOCK:
    case DFU_READ:
    case DFU_WRITE:
    case DFU_LEAVE:
    case DFU_TO_IDLE:
        break;
    }
    return advance(op);
}

/* Whether the last request can be sent again, even if the board executed it: one that only asks,
 * or an upload by address.  A question that timed out is not repeated: the board had its time. */
static bool is_repeatable(const struct dfu_op *op, int result)
{
    bool asks = op->action == ACT_GETSTATE || op->action == ACT_RECOVERY_STATUS ||
                op->action == ACT_FIRST_STATUS || op->action == ACT_STATUS ||
                op->action == ACT_WHY_STATUS;
    if (asks)
        return result == PORT_IO;
    return op->action == ACT_UPLOAD && op->board->dfuse && op->kind == DFU_READ;
}

/* Ends a cancelled operation.  result: of its last action. */
static struct dfu_act end_cancelled(struct dfu_op *op, int result)
{
    struct dfu_board *board = op->board;
    board->busy_timeout = op->limit;
    if (op->action == ACT_SELECT && result >= 0)
        board->alt = op->alt;
    if (result == PORT_CANCELLED || result == PORT_GONE || op->action == ACT_GETSTATE)
        board->state = DFU_UNKNOWN;
    else if (op->action == ACT_DNLOAD && result >= 0)
        board->state = op->block_length ? DFU_DNLOAD_SYNC : DFU_MANIFEST_SYNC;
    else if (op->action != ACT_BUSY_PAUSE)
        board->state = DFU_UNKNOWN;
    op->gone = result == PORT_GONE;
    return dfuact_fail(op, DFU_FAIL_CANCELLED);
}

struct dfu_act dfu_step(struct dfu_op *op, int result, double elapsed)
{
    struct dfu_act act;
    op->spent += elapsed;
    if (op->cancelled)
        return end_cancelled(op, result);
    if (dfuact_is_lost(result) && !op->replaced && is_repeatable(op, result)) {
        op->status_lost = op->action == ACT_FIRST_STATUS || op->action == ACT_STATUS;
        return dfuact_instead(op, op->request);
    }
    switch (op->action) {
    case ACT_LOSS_PAUSE:
        op->action = op->request_action;
        return op->request;
    case ACT_DNLOAD:
    case ACT_FIRST_STATUS:
    case ACT_BUSY_PAUSE:
    case ACT_STATUS:
    case ACT_UPLOAD:
    case ACT_WHY_STATUS:
    case ACT_MANIFEST_STATUS:
    case ACT_MANIFEST_PAUSE:
        act = dfuexchange_step(op, result, elapsed);
        return act.what == DFU_NEXT ? advance(op) : act;
    case ACT_SINGLE:
        return on_single(op, result);
    case ACT_GETSTATE:
        return on_state(op, result);
    case ACT_GETSTATE_PAUSE:
        return ask_state(op);
    case ACT_RECOVERY_STATUS:
        return on_recovery_status(op, result);
    case ACT_RECOVERY_PAUSE:
        return dfuact_ask_busy(op, ACT_RECOVERY_STATUS);
    case ACT_CLRSTATUS:
        return on_clear(op, result);
    case ACT_ABORT:
        return on_abort(op, result);
    case ACT_SELECT:
        return on_select(op, result);
    case ACT_NONE:
        break;
    }
    return dfuact_fail(op, DFU_FAIL_IO); /* not reached: dfu_start() has set the action */
}

void dfu_cancel(struct dfu_op *op)
{
    op->cancelled = true;
}
