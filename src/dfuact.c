/* SPDX-License-Identifier: MIT */
/* One action: a request, a pause, an end; and what the answer to a request says. */
#include "dfudev.h"

#define MIN_POLL   0.001 /* a board that is busy and says 0 is asked again after this */
#define LOSS_PAUSE 0.1   /* before a lost request is sent again: a hub notices an unplugging */

/* ---- actions ---- */

struct dfu_act dfuact_control(struct dfu_op *op, enum phase phase, uint8_t request, uint16_t value,
                              size_t length, double timeout)
{
    bool in =
        request == DFU_REQ_UPLOAD || request == DFU_REQ_GETSTATUS || request == DFU_REQ_GETSTATE;
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

struct dfu_act dfuact_ask(struct dfu_op *op, enum phase phase, uint8_t request, size_t length)
{
    return dfuact_control(op, phase, request, 0, length, op->board->timeout);
}

struct dfu_act dfuact_ask_busy(struct dfu_op *op, enum phase phase)
{
    double limit = op->limit > op->board->timeout ? op->limit : op->board->timeout;
    return dfuact_control(op, phase, DFU_REQ_GETSTATUS, 0, 6, limit);
}

struct dfu_act dfuact_pause(struct dfu_op *op, enum phase phase, double seconds)
{
    op->phase = phase;
    return (struct dfu_act){ .what = DFU_WAIT, .seconds = seconds };
}

struct dfu_act dfuact_done(struct dfu_op *op)
{
    op->in_doubt = false;
    return (struct dfu_act){ .what = DFU_DONE };
}

struct dfu_act dfuact_fail(struct dfu_op *op, enum dfu_failure failure)
{
    op->failure = failure;
    op->board->has_base = op->board->has_pointer = false;
    return (struct dfu_act){ .what = DFU_FAIL };
}

struct dfu_act dfuact_fail_transfer(struct dfu_op *op, int result)
{
    op->board->state = DFU_UNKNOWN;
    op->board->hold = op->limit;
    switch (result) {
    case PORT_STALL:
        return dfuact_fail(op, DFU_FAIL_STALL);
    case PORT_GONE:
        op->gone = true;
        return dfuact_fail(op, DFU_FAIL_GONE);
    case PORT_TIMEOUT:
        return dfuact_fail(op, DFU_FAIL_TIMEOUT);
    case PORT_CANCELLED:
        return dfuact_fail(op, DFU_FAIL_CANCELLED);
    default:
        return dfuact_fail(op, result >= 0 ? DFU_FAIL_SHORT : DFU_FAIL_IO);
    }
}

/* ---- the address pointer ---- */

void dfu_note_command(struct dfu_board *board, const uint8_t *data, size_t length)
{
    board->has_pointer = board->dfuse && length == 5 && data[0] == DFUSE_SET_ADDRESS;
    if (board->has_pointer)
        board->pointer = (uint32_t)data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16 |
                         (uint32_t)data[4] << 24;
}

/* ---- requests that were lost ---- */

bool dfuact_is_lost(int result)
{
    return result == PORT_IO || result == PORT_TIMEOUT;
}

struct dfu_act dfuact_instead(struct dfu_op *op, struct dfu_act next)
{
    op->lost = true;
    op->board->retries++;
    op->next = next;
    op->next_phase = op->phase;
    return dfuact_pause(op, AT_LOSS_WAIT, LOSS_PAUSE);
}

/* ---- answers ---- */

void dfuact_heard_state(struct dfu_op *op, uint8_t state)
{
    op->board->hold = 0;
    op->state = state;
    op->board->state = state < DFU_STATES ? state : DFU_STATES;
}

bool dfuact_read_status(struct dfu_op *op, int result)
{
    if (result != 6)
        return false;
    const uint8_t *b = op->board->buffer;
    op->status = b[0];
    op->poll = (double)(b[1] | b[2] << 8 | b[3] << 16) / 1000;
    op->string = b[5];
    dfuact_heard_state(op, b[4]);
    op->board->status = op->status;
    return true;
}

double dfuact_honest_poll(const struct dfu_op *op)
{
    double left = op->limit - op->spent;
    double poll = op->poll < left ? op->poll : left;
    return poll > MIN_POLL ? poll : MIN_POLL;
}

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
