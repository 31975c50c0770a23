/* SPDX-License-Identifier: MIT */
/* One action: a request, a pause, an end; and what the answer to a request means. */
#include "dfu/dfu_private.h"

#define MIN_POLL   0.001 /* seconds: for a busy board that announces 0 */
#define LOSS_PAUSE 0.1   /* seconds after a lost request: a hub notices an unplugging meanwhile */

/* ---- actions ---- */

struct dfu_act dfuact_control(struct dfu_op *op, enum dfu_action action, uint8_t request,
                              uint16_t value, size_t length, double timeout)
{
    bool in =
        request == DFU_REQ_UPLOAD || request == DFU_REQ_GETSTATUS || request == DFU_REQ_GETSTATE;
    op->action = action;
    return op->request = (struct dfu_act){
        .what = DFU_CONTROL,
        .setup = { .type = in ? DFU_IN : DFU_OUT,
                   .request = request,
                   .value = value,
                   .index = op->board->interface,
                   .length = (uint16_t)length },
        .data = op->board->buffer,
        .seconds = timeout,
    };
}

struct dfu_act dfuact_ask(struct dfu_op *op, enum dfu_action action, uint8_t request, size_t length)
{
    return dfuact_control(op, action, request, 0, length, op->board->timeout);
}

struct dfu_act dfuact_ask_busy(struct dfu_op *op, enum dfu_action action)
{
    double limit = op->limit > op->board->timeout ? op->limit : op->board->timeout;
    return dfuact_control(op, action, DFU_REQ_GETSTATUS, 0, DFU_STATUS_LENGTH, limit);
}

struct dfu_act dfuact_pause(struct dfu_op *op, enum dfu_action action, double seconds)
{
    op->action = action;
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
    op->board->busy_timeout = op->limit;
    op->gone = op->gone || result == PORT_GONE;
    return dfuact_fail(op, dfu_transfer_failure(result));
}

enum dfu_failure dfu_transfer_failure(int result)
{
    if (result >= 0)
        return DFU_FAIL_SHORT;
    switch ((enum port_result)result) {
    case PORT_STALL:
        return DFU_FAIL_STALL;
    case PORT_GONE:
        return DFU_FAIL_GONE;
    case PORT_TIMEOUT:
        return DFU_FAIL_TIMEOUT;
    case PORT_CANCELLED:
        return DFU_FAIL_CANCELLED;
    case PORT_IO:
    case PORT_BUSY:
    case PORT_PERMISSION:
    case PORT_MEMORY:
        break;
    }
    return DFU_FAIL_IO;
}

/* ---- the address pointer ---- */

void dfu_note_command(struct dfu_board *board, const uint8_t *data, size_t length)
{
    board->has_pointer = board->dfuse && length == 5 && data[0] == DFUSE_SET_ADDRESS;
    if (board->has_pointer)
        board->pointer = (uint32_t)data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16 |
                         (uint32_t)data[4] << 24;
}

/* ---- lost requests ---- */

bool dfuact_is_lost(int result)
{
    return result == PORT_IO || result == PORT_TIMEOUT;
}

struct dfu_act dfuact_instead(struct dfu_op *op, struct dfu_act next)
{
    op->replaced = true;
    op->board->retries++;
    op->request = next;
    op->request_action = op->action;
    return dfuact_pause(op, ACT_LOSS_PAUSE, LOSS_PAUSE);
}

/* ---- answers ---- */

void dfuact_heard_state(struct dfu_op *op, uint8_t state)
{
    op->board->busy_timeout = 0;
    op->state = state;
    op->board->state = state < DFU_STATES ? state : DFU_STATES;
}

bool dfuact_read_status(struct dfu_op *op, int result)
{
    if (result != DFU_STATUS_LENGTH)
        return false;
    const uint8_t *b = op->board->buffer;
    op->status = b[0];
    op->poll = (double)(b[1] | b[2] << 8 | b[3] << 16) / 1000;
    op->string = b[5];
    dfuact_heard_state(op, b[4]);
    op->board->status = op->status;
    return true;
}

double dfuact_clamped_poll(const struct dfu_op *op)
{
    double left = op->limit - op->spent;
    double poll = op->poll < left ? op->poll : left;
    return poll > MIN_POLL ? poll : MIN_POLL;
}

/* ---- names ---- */

#define DFU_NAME(name, text) [name] = (text),

const char *dfu_kind_name(enum dfu_kind kind)
{
    static const char *const names[] = { DFU_KINDS(DFU_NAME) };
    return names[kind];
}

const char *dfu_failure_code(enum dfu_failure failure)
{
    static const char *const codes[] = { DFU_FAILURES(DFU_NAME) };
    return codes[failure];
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
