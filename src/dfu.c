/* SPDX-License-Identifier: MIT */
#include "dfu.h"

#include <string.h>

/* bRequest, DFU 1.1 table 3.2; bmRequestType 0x21 (to the interface) or 0xA1 (from it) */
enum { DETACH, DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT };

/* DfuSe commands: the first byte of block 0 */
enum { SET_ADDRESS = 0x21, ERASE = 0x41, READ_UNPROTECT = 0x92 };

#define MAX_CLEARS  3      /* tries to get out of dfuERROR, and so on */
#define LAST_BLOCK  65534u /* the address is set anew before block 65535 */
#define MIN_POLL    0.001  /* a board that is busy and says 0 is asked again after this */
#define ENTRY_POLL  0.1    /* between two GETSTATUS of a board that refuses the first */
#define LOSS_PAUSE  0.1    /* before a lost request is sent again: a hub notices an unplugging */
#define SLEEP_SHARE 0.9    /* of the expected time, before a board is asked early */
#define SMOOTHING   0.25   /* the weight of the newest block in the average */

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
    AT_WHY,      /* GETSTATUS after a STALL */
    AT_MANIFEST, /* GETSTATUS after the block of length 0 */
    AT_MANIFEST_WAIT,
    AT_SINGLE,    /* the one request of an operation that has no more */
    AT_LOSS_WAIT, /* before the request in op->next */
};

/* What an exchange (a download with its polls, or an upload) is for. */
enum stage { STAGE_ADDRESS, STAGE_COMMAND, STAGE_BLOCK, STAGE_MANIFEST, STAGE_UPLOAD };

static struct dfu_act advance(struct dfu_op *op);

const char *dfu_state_name(unsigned state)
{
    static const char *const names[DFU_STATES] = {
        [DFU_APP_IDLE] = "appIDLE",
        [DFU_APP_DETACH] = "appDETACH",
        [DFU_IDLE] = "dfuIDLE",
        [DFU_DNLOAD_SYNC] = "dfuDNLOAD-SYNC",
        [DFU_DNBUSY] = "dfuDNBUSY",
        [DFU_DNLOAD_IDLE] = "dfuDNLOAD-IDLE",
        [DFU_MANIFEST_SYNC] = "dfuMANIFEST-SYNC",
        [DFU_MANIFEST] = "dfuMANIFEST",
        [DFU_MANIFEST_WAIT_RESET] = "dfuMANIFEST-WAIT-RESET",
        [DFU_UPLOAD_IDLE] = "dfuUPLOAD-IDLE",
        [DFU_ERROR] = "dfuERROR",
    };
    return state < DFU_STATES ? names[state] : "unknown";
}

const char *dfu_status_name(unsigned status)
{
    static const char *const names[DFU_STATUSES] = {
        "OK",      "errTARGET", "errFILE",    "errWRITE",      "errERASE",    "errCHECK_ERASED",
        "errPROG", "errVERIFY", "errADDRESS", "errNOTDONE",    "errFIRMWARE", "errVENDOR",
        "errUSBR", "errPOR",    "errUNKNOWN", "errSTALLEDPKT",
    };
    return status < DFU_STATUSES ? names[status] : "unknown";
}

/* ---- actions ---- */

static struct dfu_act control(struct dfu_op *op, enum phase phase, uint8_t request, uint16_t value,
                              size_t length, double timeout)
{
    bool in = request == UPLOAD || request == GETSTATUS || request == GETSTATE;
    op->phase = phase;
    return op->next = (struct dfu_act){
        .what = DFU_CONTROL,
        .setup = { .type = in ? 0xA1 : 0x21,
                   .request = request,
                   .value = value,
                   .index = op->board->interface,
                   .length = (uint16_t)length },
        .data = op->board->buffer,
        .seconds = timeout,
    };
}

/* A request that the board answers without doing anything that takes time. */
static struct dfu_act ask(struct dfu_op *op, enum phase phase, uint8_t request, size_t length)
{
    return control(op, phase, request, 0, length, op->board->timeout);
}

/* GETSTATE: a ROM that still executes what was given up holds this, too. */
static struct dfu_act ask_state(struct dfu_op *op)
{
    const struct dfu_board *board = op->board;
    double timeout = board->hold > board->timeout ? board->hold : board->timeout;
    return control(op, AT_STATE, GETSTATE, 0, 1, timeout);
}

/* A GETSTATUS that the board may hold until it is done. */
static struct dfu_act ask_busy(struct dfu_op *op, enum phase phase)
{
    double limit = op->limit > op->board->timeout ? op->limit : op->board->timeout;
    return control(op, phase, GETSTATUS, 0, 6, limit);
}

/* GETSTATUS after a request that was refused, or lost. */
static struct dfu_act ask_why(struct dfu_op *op)
{
    return ask(op, AT_WHY, GETSTATUS, 6);
}

static struct dfu_act pause_for(struct dfu_op *op, enum phase phase, double seconds)
{
    op->phase = phase;
    return (struct dfu_act){ .what = DFU_WAIT, .seconds = seconds };
}

static struct dfu_act done(struct dfu_op *op)
{
    op->in_doubt = false;
    return (struct dfu_act){ .what = DFU_DONE };
}

static struct dfu_act fail(struct dfu_op *op, enum dfu_failure failure)
{
    op->failure = failure;
    op->board->has_base = false;
    return (struct dfu_act){ .what = DFU_FAIL };
}

static struct dfu_act fail_status(struct dfu_op *op)
{
    if (op->status == DFU_ERR_TARGET || op->status == DFU_ERR_VENDOR)
        op->in_doubt = false; /* the board looked at the command, and refused it */
    return fail(op, DFU_FAIL_STATUS);
}

/* A transfer that did not come to its end: the board's state is anybody's guess. */
static struct dfu_act fail_transfer(struct dfu_op *op, int result)
{
    op->board->state = DFU_UNKNOWN;
    op->board->hold = op->limit;
    switch (result) {
    case PORT_STALL:
        return fail(op, DFU_FAIL_STALL);
    case PORT_GONE:
        op->gone = true;
        return fail(op, DFU_FAIL_GONE);
    case PORT_TIMEOUT:
        return fail(op, DFU_FAIL_TIMEOUT);
    case PORT_CANCELLED:
        return fail(op, DFU_FAIL_CANCELLED);
    default:
        return fail(op, result >= 0 ? DFU_FAIL_SHORT : DFU_FAIL_IO);
    }
}

/* ---- requests that were lost ---- */

/* Broken on the wire (EPROTO, EILSEQ, EOVERFLOW: a bad cable), or not answered in time. */
static bool is_lost(int result)
{
    return result == PORT_IO || result == PORT_TIMEOUT;
}

/* What takes the place of a lost request, after a moment.  Once an exchange. */
static struct dfu_act instead(struct dfu_op *op, struct dfu_act next)
{
    op->lost = true;
    op->board->retries++;
    op->next = next;
    op->next_phase = op->phase;
    return pause_for(op, AT_LOSS_WAIT, LOSS_PAUSE);
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

/* Whether a download may be sent twice: DfuSe commands and blocks have the same effect again, and
 * a DfuSe board tells by its state whether it has stored one.  Not where the first may have made
 * it leave, and not what only the caller knows the meaning of. */
static bool may_send_twice(const struct dfu_op *op)
{
    return op->board->dfuse && !op->may_reset &&
           (op->stage == STAGE_ADDRESS || op->kind == DFU_ERASE || op->kind == DFU_MASS_ERASE ||
            op->kind == DFU_WRITE);
}

/* bState as the board said it.  What DFU 1.1 does not name is never taken for DFU_UNKNOWN, which
 * would be asked for again, and again. */
static void heard_state(struct dfu_op *op, uint8_t state)
{
    op->board->hold = 0;
    op->state = state;
    op->board->state = state < DFU_STATES ? state : DFU_STATES;
}

/* Takes in the six bytes of GETSTATUS.  False: they are not what the protocol has. */
static bool read_status(struct dfu_op *op, int result)
{
    if (result != 6)
        return false;
    const uint8_t *b = op->board->buffer;
    op->status = b[0];
    op->poll = (double)(b[1] | b[2] << 8 | b[3] << 16) / 1000;
    heard_state(op, b[4]);
    op->board->status = op->status;
    return true;
}

/* bwPollTimeout, as far as it can be true: boards announce 0, or hours.  Never less than MIN_POLL,
 * so that a clock that rounds comes to the limit all the same. */
static double honest_poll(const struct dfu_op *op)
{
    double left = op->limit - op->spent;
    double poll = op->poll < left ? op->poll : left;
    return poll > MIN_POLL ? poll : MIN_POLL;
}

/* ---- exchanges ---- */

static struct dfu_act send_block(struct dfu_op *op, enum stage stage, uint16_t block, size_t length)
{
    op->stage = stage;
    op->block_length = length;
    op->spent = op->slept = 0;
    if (stage == STAGE_BLOCK || stage == STAGE_COMMAND)
        op->in_doubt = true;
    return control(op, AT_DNLOAD, DNLOAD, block, length, op->board->timeout);
}

static struct dfu_act send_command(struct dfu_op *op, enum stage stage, uint8_t command,
                                   uint32_t address, size_t length)
{
    uint8_t *b = op->board->buffer;
    b[0] = command;
    for (int i = 0; i < 4; i++)
        b[1 + i] = (uint8_t)(address >> (8 * i));
    op->board->has_base = false; /* an erase moves the pointer as well */
    return send_block(op, stage, 0, length);
}

static struct dfu_act send_upload(struct dfu_op *op, uint16_t block, size_t length)
{
    op->stage = STAGE_UPLOAD;
    op->block_length = length;
    return control(op, AT_UPLOAD, UPLOAD, block, length, op->board->timeout);
}

/* How long to wait before the next GETSTATUS of a board that said it was busy.  The ROMs that
 * hold the request until they are done (F2, F4, F7) are asked a little before the end; an erase
 * takes longer than any of them announces, so there the announced time costs nothing. */
static double busy_time(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    double poll = honest_poll(op);
    if (!board->early || op->phase != AT_FIRST_STATUS || op->stage == STAGE_COMMAND)
        return poll;
    double early = op->stage == STAGE_BLOCK && op->block_length == board->transfer_size
                       ? SLEEP_SHARE * board->busy
                       : 0;
    return early < poll ? early : poll;
}

/* Learns how long a block takes, from one whose end was waited for. */
static void learn_busy(struct dfu_op *op, double took)
{
    struct dfu_board *board = op->board;
    if (!board->early || op->stage != STAGE_BLOCK || op->block_length != board->transfer_size)
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
    op->again = op->lost = false;
    op->clears = 0;
    switch ((enum stage)op->stage) {
    case STAGE_ADDRESS:
        op->addressed = true;
        board->has_base = true;
        board->base = op->kind == DFU_WRITE || op->kind == DFU_READ
                          ? op->address + (uint32_t)op->done
                          : op->address;
        board->base_writes = op->kind == DFU_WRITE;
        break;
    case STAGE_BLOCK:
        op->done += op->block_length;
        op->in_doubt = false;
        if (op->block_length < board->transfer_size)
            board->has_base = false; /* ROMs differ in what a short block counts for */
        break;
    case STAGE_UPLOAD:
        op->done += op->block_length;
        break;
    case STAGE_COMMAND:
    case STAGE_MANIFEST:
        op->in_doubt = false;
        break;
    }
    if (op->stage != STAGE_ADDRESS || op->kind == DFU_SET_ADDRESS)
        op->sent = true;
    return advance(op);
}

/* The board has left the bus where that is what it should do, or may do. */
static struct dfu_act went_away(struct dfu_op *op, bool assumed)
{
    op->gone = true;
    op->assumed = assumed;
    op->board->state = DFU_UNKNOWN;
    if (op->stage == STAGE_BLOCK)
        op->done += op->block_length;
    return done(op);
}

/* A board resets itself when all was written, not before. */
static bool leaving_is_right(const struct dfu_op *op)
{
    if (op->kind == DFU_READ_UNPROTECT)
        return true;
    return op->may_reset && op->stage == STAGE_BLOCK && op->done + op->block_length == op->length;
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
            return fail_transfer(op, result);
        return pause_for(op, AT_BUSY_WAIT, honest_poll(op));
    }
    if (!read_status(op, result))
        return fail_transfer(op, result);

    switch (op->state) {
    case DFU_DNBUSY:
    case DFU_DNLOAD_SYNC:
        if (op->spent >= op->limit)
            return fail(op, DFU_FAIL_TIMEOUT);
        double wait = busy_time(op);
        if (op->phase == AT_FIRST_STATUS)
            op->first_took = elapsed;
        op->slept += wait;
        if (wait <= 0)
            return ask_busy(op, AT_STATUS);
        return pause_for(op, AT_BUSY_WAIT, wait);
    case DFU_DNLOAD_IDLE:
        if (op->phase == AT_STATUS)
            learn_busy(op, elapsed);
        return finish_exchange(op);
    case DFU_ERROR:
        return fail_status(op);
    default:
        return fail(op, DFU_FAIL_STATE);
    }
}

static struct dfu_act on_dnload(struct dfu_op *op, int result)
{
    if (result == PORT_STALL)
        return ask_why(op);
    if (is_lost(result) && may_send_twice(op) && !op->lost)
        return instead(op, ask_why(op));
    if (op->stage == STAGE_MANIFEST) {
        if (result == PORT_GONE) /* some clones are off before they answer (dfu-util 104) */
            return went_away(op, true);
        if (result < 0)
            return fail_transfer(op, result);
        op->board->state = DFU_MANIFEST_SYNC;
        op->again = false; /* from here on: that an answer was lost */
        return ask(op, AT_MANIFEST, GETSTATUS, 6);
    }
    if (result < 0 || (size_t)result != op->block_length)
        return fail_transfer(op, result);
    op->board->state = DFU_DNLOAD_SYNC;
    return ask_busy(op, AT_FIRST_STATUS);
}

static struct dfu_act on_upload(struct dfu_op *op, int result)
{
    struct dfu_board *board = op->board;
    if (result == PORT_STALL)
        return ask_why(op);
    if (result < 0 || (size_t)result > op->block_length)
        return fail_transfer(op, result < 0 ? result : PORT_IO);
    bool is_short = (size_t)result < op->block_length;
    if (is_short && op->kind == DFU_READ && board->dfuse)
        return fail_transfer(op, result);
    memcpy(op->out + op->done, board->buffer, (size_t)result);
    board->state = is_short || op->kind != DFU_READ ? DFU_UNKNOWN : DFU_UPLOAD_IDLE;
    op->ended = is_short; /* plain DFU: that was the end of the memory */
    op->block_length = (size_t)result;
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
            return pause_for(op, AT_MANIFEST_WAIT, honest_poll(op));
        }
        break;
    case DFU_MANIFEST_SYNC:
    case DFU_DNBUSY:
        break;
    case DFU_MANIFEST_WAIT_RESET:
        op->wants_reset = true;
        op->gone = true;
        return done(op);
    case DFU_IDLE:
        op->sent = true;
        return board->dfuse ? fail(op, DFU_FAIL_STATE) : done(op);
    case DFU_ERROR:
        return fail_status(op);
    default:
        return fail(op, DFU_FAIL_STATE);
    }
    if (op->spent >= op->limit)
        return fail(op, DFU_FAIL_TIMEOUT);
    return pause_for(op, AT_MANIFEST_WAIT, honest_poll(op));
}

/* Whoever manifests may stop answering at any moment.  One that is there all the same is asked
 * twice, so that a single lost answer is not taken for success. */
static struct dfu_act on_manifest(struct dfu_op *op, int result)
{
    if (result == PORT_GONE)
        return went_away(op, op->again);
    if (result == PORT_CANCELLED)
        return fail_transfer(op, result);
    if (read_status(op, result))
        return on_manifest_state(op);
    if (op->again)
        return went_away(op, true);
    op->again = true;
    op->board->retries++;
    return ask(op, AT_MANIFEST, GETSTATUS, 6);
}

/* ---- a request that was refused, or lost ---- */

/* A board that is in order all the same (some F411 stall at random: dfu-util 140) has not stored
 * the block, and is sent it again, once. */
static struct dfu_act on_why(struct dfu_op *op, int result)
{
    if (!read_status(op, result))
        return fail_transfer(op, result);
    switch (op->state) {
    case DFU_ERROR:
        return fail_status(op);
    case DFU_DNBUSY: /* it had stored the block, and executes it now */
        if (op->stage == STAGE_UPLOAD)
            return fail(op, DFU_FAIL_STATE);
        if (op->stage == STAGE_MANIFEST)
            return on_manifest_state(op);
        return pause_for(op, AT_BUSY_WAIT, honest_poll(op));
    case DFU_IDLE:
    case DFU_DNLOAD_IDLE:
    case DFU_UPLOAD_IDLE:
        if (op->again)
            return fail(op, DFU_FAIL_STALL);
        op->again = true;
        op->board->retries++;
        return advance(op);
    default:
        return op->stage == STAGE_MANIFEST ? on_manifest_state(op) : fail(op, DFU_FAIL_STATE);
    }
}

/* ---- the way to dfuIDLE ---- */

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
        *act = fail(op, DFU_FAIL_RUNTIME);
        return true;
    case DFU_MANIFEST_WAIT_RESET:
        *act = fail(op, DFU_FAIL_RESET);
        return true;
    case DFU_UNKNOWN:
        *act = ask_state(op);
        return true;
    case DFU_DNBUSY:
    case DFU_MANIFEST:
        *act = ask_busy(op, AT_ENTRY_STATUS);
        return true;
    default:
        break;
    }
    if (board->state >= DFU_STATES) {
        *act = fail(op, DFU_FAIL_STATE);
        return true;
    }
    op->state = board->state;
    if (op->clears++ >= MAX_CLEARS) {
        *act = fail(op, board->state == DFU_ERROR ? DFU_FAIL_STATUS : DFU_FAIL_STATE);
    } else if (board->state == DFU_ERROR) {
        /* CLRSTATUS only here: elsewhere it puts a ROM into dfuERROR, or is stalled (C5) */
        *act = board->status == DFU_UNKNOWN ? ask(op, AT_ENTRY_STATUS, GETSTATUS, 6)
                                            : ask(op, AT_CLEAR, CLRSTATUS, 0);
    } else {
        /* dfuDNLOAD-SYNC, dfuMANIFEST-SYNC: GETSTATUS would execute what is stored */
        *act = ask(op, AT_ABORT, ABORT, 0);
    }
    return true;
}

static struct dfu_act on_entry(struct dfu_op *op, int result)
{
    struct dfu_board *board = op->board;
    switch ((enum phase)op->phase) {
    case AT_STATE:
        if (result == PORT_STALL && op->kind != DFU_GET_STATE && op->spent < op->limit)
            return pause_for(op, AT_STATE_WAIT, ENTRY_POLL); /* it is busy: L4 and others */
        if (result != 1)
            return fail_transfer(op, result);
        heard_state(op, board->buffer[0]);
        board->status = DFU_UNKNOWN;
        if (op->kind == DFU_GET_STATE)
            return done(op);
        return advance(op);
    case AT_ENTRY_STATUS:
        if (result == PORT_STALL && op->spent < op->limit)
            return pause_for(op, AT_ENTRY_WAIT, ENTRY_POLL);
        if (!read_status(op, result))
            return fail_transfer(op, result);
        if (board->state == DFU_DNBUSY || board->state == DFU_MANIFEST) {
            if (op->spent >= op->limit)
                return fail(op, DFU_FAIL_TIMEOUT);
            return pause_for(op, AT_ENTRY_WAIT, honest_poll(op));
        }
        return advance(op);
    case AT_CLEAR:
        if ((is_lost(result) || result == PORT_STALL) && !op->lost)
            return instead(op, ask(op, AT_ENTRY_STATUS, GETSTATUS, 6));
        if (result < 0)
            return fail_transfer(op, result);
        return ask(op, AT_ENTRY_STATUS, GETSTATUS, 6);
    case AT_ABORT: /* not GETSTATUS: it would execute what is stored */
        if ((is_lost(result) || result == PORT_STALL) && !op->lost && op->kind != DFU_ABORT)
            return instead(op, ask_state(op));
        if (result < 0)
            return fail_transfer(op, result);
        board->state = DFU_IDLE;
        if (op->kind == DFU_ABORT)
            return done(op);
        return advance(op);
    case AT_SELECT:
        if (result < 0)
            return fail_transfer(op, result);
        board->alt = op->alt;
        board->has_base = false;
        return advance(op);
    case AT_STATE_WAIT:
        return ask_state(op);
    default: /* AT_ENTRY_WAIT */
        return ask_busy(op, AT_ENTRY_STATUS);
    }
}

/* ---- what comes next ---- */

static struct dfu_act download(struct dfu_op *op)
{
    if (op->board->state == DFU_UPLOAD_IDLE)
        return ask(op, AT_ABORT, ABORT, 0);

    uint8_t *buffer = op->board->buffer;
    struct dfu_board *board = op->board;
    switch (op->kind) {
    case DFU_SET_ADDRESS:
        return send_command(op, STAGE_ADDRESS, SET_ADDRESS, op->address, 5);
    case DFU_ERASE:
        return send_command(op, STAGE_COMMAND, ERASE, op->address, 5);
    case DFU_MASS_ERASE:
        return send_command(op, STAGE_COMMAND, ERASE, 0, 1);
    case DFU_READ_UNPROTECT:
        return send_command(op, STAGE_COMMAND, READ_UNPROTECT, 0, 1);
    case DFU_LEAVE:
        if (op->has_address && !op->addressed)
            return send_command(op, STAGE_ADDRESS, SET_ADDRESS, op->address, 5);
        return send_block(op, STAGE_MANIFEST, 2, 0);
    case DFU_DOWNLOAD_BLOCK:
        if (op->block < 2)
            board->has_base = false; /* a command, perhaps one that moves the pointer */
        if (op->length)
            memcpy(buffer, op->data, op->length);
        return send_block(op, op->length ? STAGE_BLOCK : STAGE_MANIFEST, op->block, op->length);
    default:
        return fail(op, DFU_FAIL_IO); /* not reached: no other kind downloads */
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
        return ask(op, AT_ABORT, ABORT, 0);
    if (op->done == op->length) { /* plain DFU: a block of its own, after a short one as well */
        size_t blocks = (op->length + board->transfer_size - 1) / board->transfer_size;
        return send_block(op, STAGE_MANIFEST, (uint16_t)blocks, 0);
    }
    int64_t block = next_block(op);
    if (block < 0)
        return send_command(op, STAGE_ADDRESS, SET_ADDRESS, op->address + (uint32_t)op->done, 5);
    size_t left = op->length - op->done;
    size_t length = left < board->transfer_size ? left : board->transfer_size;
    memcpy(board->buffer, op->data + op->done, length);
    return send_block(op, STAGE_BLOCK, (uint16_t)block, length);
}

static struct dfu_act read_next(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    int64_t block = next_block(op);
    if (block < 0) {
        if (board->state == DFU_UPLOAD_IDLE)
            return ask(op, AT_ABORT, ABORT, 0);
        return send_command(op, STAGE_ADDRESS, SET_ADDRESS, op->address + (uint32_t)op->done, 5);
    }
    if (board->state == DFU_DNLOAD_IDLE)
        return ask(op, AT_ABORT, ABORT, 0);
    size_t left = op->length - op->done;
    return send_upload(op, (uint16_t)block,
                       left < board->transfer_size ? left : board->transfer_size);
}

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

/* From where the board and the operation are now, one step towards the end. */
static struct dfu_act advance(struct dfu_op *op)
{
    struct dfu_board *board = op->board;
    if (is_complete(op))
        return done(op);
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
        return ask(op, AT_ABORT, ABORT, 0);
    if (other_alt) {
        op->phase = AT_SELECT;
        return (struct dfu_act){ .what = DFU_SELECT, .alt = op->alt };
    }
    switch (op->kind) {
    case DFU_TO_IDLE:
    case DFU_CLEAR_STATUS: /* it is not in dfuERROR (any more) */
        return done(op);
    case DFU_READ:
        return read_next(op);
    case DFU_WRITE:
        return write_next(op);
    case DFU_COMMANDS:
        return send_upload(op, 0, op->length);
    case DFU_UPLOAD_BLOCK:
        board->has_base = false;
        return send_upload(op, op->block, op->length);
    default:
        return download(op);
    }
}

static struct dfu_act on_single(struct dfu_op *op, int result)
{
    if (op->kind == DFU_GET_STATUS && !read_status(op, result))
        return fail_transfer(op, result);
    if (op->kind == DFU_DETACH && (result == PORT_GONE || result == PORT_STALL))
        result = 0; /* many go at once, and some answer with a STALL; its coming back decides */
    if (result < 0)
        return fail_transfer(op, result);
    return done(op);
}

struct dfu_act dfu_start(struct dfu_op *op)
{
    op->phase = AT_START;
    if (op->board->state >= DFU_STATES)
        op->board->state = DFU_UNKNOWN; /* what it said made no sense: it is asked anew */
    switch (op->kind) {
    case DFU_GET_STATUS:
        return ask_busy(op, AT_SINGLE);
    case DFU_GET_STATE:
        return ask_state(op);
    case DFU_ABORT:
        op->board->has_base = false;
        return ask(op, AT_ABORT, ABORT, 0);
    case DFU_DETACH:
        op->board->state = DFU_UNKNOWN;
        return control(op, AT_SINGLE, DETACH, op->block, 0, op->board->timeout);
    default:
        return advance(op);
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
        return fail(op, DFU_FAIL_CANCELLED);
    }
    if (is_lost(result) && !op->lost && is_repeatable(op, result))
        return instead(op, op->next);
    switch ((enum phase)op->phase) {
    case AT_LOSS_WAIT:
        op->phase = op->next_phase;
        return op->next;
    case AT_DNLOAD:
        return on_dnload(op, result);
    case AT_FIRST_STATUS:
    case AT_STATUS:
        return on_busy_status(op, result, elapsed);
    case AT_BUSY_WAIT:
        return ask_busy(op, AT_STATUS);
    case AT_UPLOAD:
        return on_upload(op, result);
    case AT_WHY:
        return on_why(op, result);
    case AT_MANIFEST:
        return on_manifest(op, result);
    case AT_MANIFEST_WAIT:
        if (op->wants_reset) {
            op->gone = true;
            return done(op);
        }
        return ask(op, AT_MANIFEST, GETSTATUS, 6);
    case AT_SINGLE:
        return on_single(op, result);
    default:
        return on_entry(op, result);
    }
}

void dfu_cancel(struct dfu_op *op)
{
    op->cancelled = true;
}
