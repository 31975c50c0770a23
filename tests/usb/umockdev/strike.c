/* SPDX-License-Identifier: MIT */
/* A request on its way to a board and back, and what strikes it there. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "inside.h"

enum { YANK_REQUESTS = 2 }; /* that fail before a hub notices */

static const double signal_seconds = 0.002; /* for a signal to come through */

static bool is_class_in(const struct usb_setup *setup, uint8_t request)
{
    return setup->type == DFU_IN && setup->request == request;
}

/* The first strike at this request; it strikes once. */
static bool take_strike(struct bed_board *board, const struct usb_setup *setup,
                        struct bed_strike *taken)
{
    bool found = false;
    for (unsigned i = 0; i < board->strike_count; i++) {
        struct bed_strike *strike = &board->strikes[i];
        bool meant = strike->request < 0 || (strike->request == setup->request &&
                                             (setup->type & USB_TYPE_MASK) == USB_TYPE_CLASS);
        if (!meant || --strike->at > 0)
            continue;
        if (found) {
            strike->at = 1; /* two at once: at the next one */
            continue;
        }
        *taken = *strike;
        found = true;
        board->strike_count--;
        memmove(strike, strike + 1, (board->strike_count - i) * sizeof *strike);
        i--;
    }
    return found;
}

/* Strikes before the request reaches the board.  Returns true if the request ends with that. */
static bool strike_before(struct bed_board *board, const struct bed_strike *strike,
                          struct outcome *outcome)
{
    struct sim_when next = { .request = sim_requests(board->sim) + 1 };
    switch (strike->fault) {
    case BED_UNPLUG:
        board->plugged = false;
        sim_unplug(board->sim, bed_now(board));
        bed_lose(board);
        outcome->status = -ESHUTDOWN;
        return true;
    case BED_YANK:
        sim_unplug(board->sim, bed_now(board));
        board->plugged = false;
        board->yank_left = YANK_REQUESTS;
        outcome->status = -EPROTO;
        return true;
    case BED_POWER:
        sim_unplug(board->sim, bed_now(board));
        sim_plug(board->sim, bed_now(board));
        bed_lose(board);
        outcome->status = -ESHUTDOWN;
        return true;
    case BED_STALL:
        outcome->status = -EPIPE;
        return true;
    case BED_EPROTO:
        outcome->status = -EPROTO;
        return true;
    case BED_EILSEQ:
        outcome->status = -EILSEQ;
        return true;
    case BED_HANG:
        board->hung = true;
        outcome->never = true;
        return true;
    case BED_DEAF:
        outcome->never = true;
        return true;
    case BED_GATE:
        outcome->held = board->held = true;
        board->gate_open = false;
        return true;
    case BED_ERROR:
        sim_add_fault(board->sim, SIM_FAULT_ERROR, &next);
        return false;
    case BED_CORRUPT:
        sim_add_fault(board->sim, SIM_FAULT_CORRUPT, &next);
        return false;
    case BED_STUCK:
        board->stuck = (int)strike->value;
        return false;
    case BED_POLL:
        board->poll = (int64_t)strike->value;
        return false;
    case BED_SIGNAL:
        kill(board->bed->client, (int)strike->value);
        outcome->seconds = signal_seconds;
        return false;
    case BED_DELAY:
        outcome->seconds = strike->value;
        return false;
    default:
        return false;
    }
}

/* Strikes the answer of the board on its way to the host. */
static void strike_after(const struct bed_strike *strike, const struct usb_setup *setup,
                         uint8_t *data, struct outcome *outcome)
{
    bool in = setup->type & USB_IN;
    if (strike->fault == BED_LOST)
        outcome->status = -EPROTO;
    if (outcome->status != 0 || !in)
        return;
    switch (strike->fault) {
    case BED_SHORT:
        outcome->count /= 2;
        break;
    case BED_EMPTY:
        outcome->count = 0;
        break;
    case BED_LONG:
        outcome->status = -EOVERFLOW;
        break;
    case BED_STATE:
        if (is_class_in(setup, DFU_REQ_GETSTATUS) && outcome->count == 6)
            data[4] = (uint8_t)strike->value;
        if (is_class_in(setup, DFU_REQ_GETSTATE) && outcome->count == 1)
            data[0] = (uint8_t)strike->value;
        break;
    case BED_STATUS:
        if (is_class_in(setup, DFU_REQ_GETSTATUS) && outcome->count == 6) {
            data[0] = (uint8_t)strike->value;
            data[4] = DFU_ERROR;
        }
        break;
    default:
        break;
    }
}

/* What lasts. */
static void distort(const struct bed_board *board, const struct usb_setup *setup, uint8_t *data,
                    const struct outcome *outcome)
{
    if (board->stuck >= 0 && is_class_in(setup, DFU_REQ_GETSTATE) && outcome->count == 1)
        data[0] = (uint8_t)board->stuck;
    if (!is_class_in(setup, DFU_REQ_GETSTATUS) || outcome->count != 6)
        return;
    if (board->stuck >= 0)
        data[4] = (uint8_t)board->stuck;
    for (int i = 0; board->poll >= 0 && i < 3; i++)
        data[1 + i] = (uint8_t)(board->poll >> (8 * i));
}

/* A string that the bed has instead of the board's; false: it has none. */
static bool own_string(struct bed_board *board, const struct usb_setup *setup, uint8_t *data,
                       struct outcome *outcome)
{
    const struct bed_string *string = &board->strings[setup->value & 0xFF];
    if (setup->type != USB_IN || setup->request != USB_GET_DESCRIPTOR ||
        setup->value >> 8 != USB_STRING_DESCRIPTOR || !string->set)
        return false;
    if (!string->bytes) {
        outcome->status = -EPIPE;
        return true;
    }
    size_t length = string->length < setup->length ? string->length : setup->length;
    memcpy(data, string->bytes, length);
    outcome->count = (int)length;
    if (string->length > setup->length)
        outcome->status = -EOVERFLOW;
    return true;
}

/* It has not left the bus, and not left it and come back. */
static bool is_same_device(struct bed_board *board)
{
    return bed_on_bus(board) && board->device &&
           sim_generation(board->sim) == board->device->generation;
}

static void carry_out(struct bed_board *board, const struct usb_setup *setup, uint8_t *data,
                      struct outcome *outcome)
{
    if (own_string(board, setup, data, outcome))
        return;
    struct sim_answer answer = sim_control(board->sim, bed_now(board), setup, data);
    board->skipped += answer.seconds;
    switch (answer.result) {
    case SIM_STALL:
        outcome->status = -EPIPE;
        break;
    case SIM_HANG:
        outcome->never = true;
        break;
    case SIM_GONE:
        outcome->status = -ESHUTDOWN;
        break;
    default:
        outcome->count = answer.result;
    }
    if (!is_same_device(board))
        bed_lose(board);
}

static struct outcome request(struct bed_board *board, const struct usb_setup *setup, uint8_t *data)
{
    struct outcome outcome = { .status = 0 };
    struct bed_strike strike = { .fault = BED_FAULTS };
    if (board->yank_left > 0) {
        if (--board->yank_left == 0)
            bed_lose(board);
        outcome.status = -EPROTO;
        return outcome;
    }
    if (!is_same_device(board)) {
        bed_lose(board);
        outcome.status = -ESHUTDOWN;
        return outcome;
    }
    if (board->hung) {
        outcome.never = true;
        return outcome;
    }
    if (take_strike(board, setup, &strike) && strike_before(board, &strike, &outcome))
        return outcome;
    carry_out(board, setup, data, &outcome);
    strike_after(&strike, setup, data, &outcome);
    distort(board, setup, data, &outcome);
    return outcome;
}

struct outcome bed_request(struct bed_board *board, const struct usb_setup *setup, uint8_t *data)
{
    board->requests++;
    struct outcome outcome = request(board, setup, data);
    struct bed_entry entry = { .setup = *setup, .status = outcome.status, .count = outcome.count };
    g_array_append_val(board->log, entry);
    return outcome;
}
