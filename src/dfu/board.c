/* SPDX-License-Identifier: MIT */
#include "dfu/board.h"

#include <stdlib.h>
#include <string.h>

#define CLOSING_TIME 1.0 /* seconds for the way to dfuIDLE, before the board is released anyway */

struct board *board_new(struct loop *loop, struct board **list, const char *path)
{
    struct board *board = calloc(1, sizeof *board);
    if (!board)
        return NULL;
    board->dfu.buffer = malloc(DFU_BUFFER);
    if (!board->dfu.buffer) {
        free(board);
        return NULL;
    }
    board->loop = loop;
    board->list = list;
    board->next = *list;
    *list = board;
    strncpy(board->path, path, sizeof board->path - 1);
    board->selected = -1;
    board->dfu.timeout = 5;
    return board;
}

static void free_if_orphan(struct board *board)
{
    if (!board->orphan || board->handle || board->busy)
        return;
    struct board **p = board->list;
    while (*p != board)
        p = &(*p)->next;
    *p = board->next;
    free(board->regions);
    free(board->dfu.buffer);
    free(board);
}

void board_orphan(struct board *board)
{
    board->orphan = true;
    if (board->handle)
        board_close(board);
    else
        free_if_orphan(board);
}

int board_attach(struct board *board, struct port *port, unsigned generation,
                 unsigned configuration, int interface)
{
    int result =
        port->open(port, board->path, generation, configuration, interface, &board->handle);
    if (result < 0)
        return result;
    double timeout = board->dfu.timeout;
    uint8_t *buffer = board->dfu.buffer;
    board->dfu = (struct dfu_board){
        .interface = (uint8_t)(interface < 0 ? 0 : interface),
        .state = DFU_UNKNOWN,
        .status = DFU_UNKNOWN,
        .transfer_size = 64,
        .timeout = timeout,
        .buffer = buffer,
    };
    board->generation = generation;
    board->left = false;
    board->selected = -1;
    board->touched = false;
    board->opened = loop_now(board->loop);
    return 0;
}

bool board_is_open(const struct board *board)
{
    return board->handle && !board->closing;
}

/* ---- the observer, and what the operating system sends for us ---- */

static void tell(const struct board *board, const struct usb_setup *setup, const uint8_t *data,
                 int result, double started)
{
    const struct board_observer *observer = board->observer;
    if (observer && observer->saw)
        observer->saw(observer->arg, board, setup, data, result, started);
}

static int select_alt(struct board *board, uint8_t alt)
{
    double started = loop_now(board->loop);
    struct usb_setup setup = { .type = USB_TO_INTERFACE,
                               .request = USB_SET_INTERFACE,
                               .value = alt,
                               .index = board->dfu.interface };
    int result = board->handle->port->select(board->handle, board->dfu.interface, alt);
    tell(board, &setup, NULL, result, started);
    return result;
}

static int reset_device(struct board *board)
{
    double started = loop_now(board->loop);
    int result = board->handle->port->reset(board->handle);
    bool was_busy = board->busy;
    board->busy = true; /* a finalizer that runs in tell() may close the board: no release then */
    tell(board, NULL, NULL, result, started);
    board->busy = was_busy;
    return result;
}

/* ---- carrying out the actions of the step machine ---- */

static void perform(struct board *board, struct dfu_act act);

static void begin_release(struct board *board);

/* Calls ended() first; the code below may free the board. */
static void end_operation(struct board *board, bool ok)
{
    bool gone = board->raw ? board->raw_result == PORT_GONE : board->op.gone;
    board->busy = false;
    if (board->ended)
        board->ended(board->ended_arg, ok);
    if (!board->raw && ok && board->op.wants_reset)
        reset_device(board);
    if (gone)
        board->left = true;
    if (gone || board->releasing)
        board_disconnect(board);
    else if (board->closing)
        begin_release(board);
}

static void next_action(struct board *board, int result)
{
    double elapsed = loop_now(board->loop) - board->started;
    perform(board, dfu_step(&board->op, result, elapsed));
}

static void transfer_done(void *arg, int result)
{
    struct board *board = arg;
    tell(board, &board->transfer.setup, board->transfer.data, result, board->started);
    if (!board->raw) {
        next_action(board, result);
        return;
    }
    board->raw_result = result;
    end_operation(board, result >= 0);
}

static void wait_over(void *arg)
{
    next_action(arg, 0);
}

static void perform(struct board *board, struct dfu_act act)
{
    board->started = loop_now(board->loop);
    while (act.what == DFU_SELECT)
        act = dfu_step(&board->op, select_alt(board, act.alt), 0);
    switch (act.what) {
    case DFU_CONTROL:
        board->transfer = (struct port_transfer){ .setup = act.setup,
                                                  .data = act.data,
                                                  .timeout = act.seconds,
                                                  .done = transfer_done,
                                                  .arg = board };
        board->handle->port->submit(board->handle, &board->transfer);
        break;
    case DFU_WAIT:
        board->timer.fire = wait_over;
        board->timer.arg = board;
        loop_timer_set(board->loop, &board->timer, board->started + act.seconds);
        break;
    case DFU_SELECT:
    case DFU_DONE:
    case DFU_FAIL:
        end_operation(board, act.what == DFU_DONE);
        break;
    }
}

void board_start(struct board *board, void (*ended)(void *arg, bool ok), void *arg)
{
    board->busy = true;
    board->given_up = false;
    board->raw = false;
    board->ended = ended;
    board->ended_arg = arg;
    board->op.board = &board->dfu;
    if (board->op.kind != DFU_GET_STATE)
        board->touched = true;
    perform(board, dfu_start(&board->op));
}

void board_start_raw(struct board *board, const struct usb_setup *setup,
                     void (*ended)(void *arg, bool ok), void *arg)
{
    board->busy = true;
    board->given_up = false;
    board->raw = true;
    board->ended = ended;
    board->ended_arg = arg;
    if ((setup->type & USB_TYPE_MASK) ==
        USB_TYPE_CLASS) { /* a class request may change the state */
        board->touched = true;
        board->dfu.state = DFU_UNKNOWN;
        board->dfu.has_base = false;
        if (setup->type == DFU_OUT && setup->request == DFU_REQ_DNLOAD && setup->value == 0)
            dfu_note_command(&board->dfu, board->dfu.buffer, setup->length);
    }
    board->transfer = (struct port_transfer){ .setup = *setup,
                                              .data = board->dfu.buffer,
                                              .timeout = board->dfu.timeout,
                                              .done = transfer_done,
                                              .arg = board };
    board->started = loop_now(board->loop);
    board->handle->port->submit(board->handle, &board->transfer);
}

void board_give_up(struct board *board)
{
    if (!board->busy)
        return;
    board->given_up = true;
    if (!board->raw)
        dfu_cancel(&board->op);
    if (board->timer.set) {
        loop_timer_cancel(board->loop, &board->timer);
        next_action(board, 0);
    } else {
        board->handle->port->cancel(board->handle);
    }
}

/* ---- closing ---- */

void board_reset(struct board *board)
{
    board->left = reset_device(board) != 0;
    board_disconnect(board);
}

void board_disconnect(struct board *board)
{
    loop_timer_cancel(board->loop, &board->closing_limit);
    if (board->handle)
        board->handle->port->close(board->handle);
    board->handle = NULL;
    board->closing = board->releasing = false;
    free_if_orphan(board);
}

static void closing_too_long(void *arg)
{
    board_give_up(arg);
}

/* Starts the last operation on a board: back to dfuIDLE, for CLOSING_TIME at most. */
static void begin_release(struct board *board)
{
    bool in_order = board->dfu.state == DFU_IDLE || board->dfu.state == DFU_APP_IDLE;
    if (!board->touched || in_order) {
        board_disconnect(board);
        return;
    }
    board->closing_limit.fire = closing_too_long;
    board->closing_limit.arg = board;
    loop_timer_set(board->loop, &board->closing_limit, loop_now(board->loop) + CLOSING_TIME);
    board->op = (struct dfu_op){ .kind = DFU_TO_IDLE, .any_alt = true, .limit = CLOSING_TIME };
    board->releasing = true;
    board_start(board, NULL, NULL);
}

void board_close(struct board *board)
{
    if (!board_is_open(board))
        return;
    board->closing = true;
    if (board->busy)
        board_give_up(board);
    else
        begin_release(board);
}

const struct region *board_region(const struct board *board, uint32_t address,
                                  const struct region *like)
{
    for (size_t i = 0; i < board->region_count; i++) {
        const struct region *region = &board->regions[i];
        if (address < region->address || address >= region->end)
            continue;
        if (like ? region->alt == like->alt : board->selected < 0 || region->alt == board->selected)
            return region;
    }
    return NULL;
}

void boards_release(struct board **list, struct loop *loop)
{
    while (*list && loop_turn(loop, true)) {
    }
}
