/* SPDX-License-Identifier: MIT */
/* Boards of board.c over simulated boards, on a loop with virtual time. */
#ifndef BOARDRIG_H
#define BOARDRIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dfu/board.h"
#include "sim/sim_private.h"
#include "sim/simport.h"

enum { FLASH = 0x08000000 };

struct boardrig {
    struct loop *loop;
    struct port *port;
    struct board *list;
    uint8_t data[0x20000], out[0x20000];
};

static struct boardrig rig;

/* The outcome of an operation. */
struct outcome {
    unsigned ended; /* how often */
    bool ok;
    struct dfu_op op;
    struct board *board;
};

static inline void on_ended(void *arg, bool ok)
{
    struct outcome *outcome = arg;
    outcome->ended++;
    outcome->ok = ok;
    outcome->op = outcome->board->op;
}

static inline int open_rig(void **state)
{
    (void)state;
    rig.loop = loop_new();
    loop_virtual_time(rig.loop);
    rig.port = simport_new(rig.loop);
    rig.list = NULL;
    for (size_t i = 0; i < sizeof rig.data; i++)
        rig.data[i] = (uint8_t)(i * 13 + (i >> 9) + 7);
    return rig.loop && rig.port ? 0 : -1;
}

static inline int close_rig(void **state)
{
    (void)state;
    for (struct board *board = rig.list, *next; board; board = next) {
        next = board->next;
        if (!board->orphan)
            board_orphan(board);
    }
    boards_release(&rig.list, rig.loop);
    assert_null(rig.list);
    rig.port->free(rig.port);
    loop_free(rig.loop);
    return 0;
}

#define BOARD_TEST(f) cmocka_unit_test_setup_teardown(f, open_rig, close_rig)

/* ---- simulated boards ---- */

static inline struct simboard *add_with(const char *path, const struct sim_options *options,
                                        const char *file, const char *bus)
{
    char why[300] = "";
    struct simboard *simboard = simport_add(rig.port, path, options, file, bus, why, sizeof why);
    if (!simboard)
        fail_msg("%s", why);
    return simboard;
}

static inline struct sim_options options_of(const char *kind)
{
    return (struct sim_options){ .kind = kind, .state = -1 };
}

/* Adds a simulated board of this kind, at a path of the same name. */
static inline struct simboard *add(const char *kind)
{
    struct sim_options options = options_of(kind);
    return add_with(kind, &options, NULL, NULL);
}

static inline uint8_t sim_byte(struct simboard *simboard, uint32_t address)
{
    uint8_t byte = 0;
    assert_true(sim_peek(simboard_sim(simboard), loop_now(rig.loop), address, &byte, 1));
    return byte;
}

static inline void unplug(struct simboard *simboard)
{
    sim_unplug(simboard_sim(simboard), loop_now(rig.loop));
    simboard_changed(simboard);
}

/* ---- boards ---- */

static inline struct board *make(const char *path)
{
    struct board *board = board_new(rig.loop, &rig.list, path);
    assert_non_null(board);
    return board;
}

/* Opens a board, with the facts that a host gets from the descriptors. */
static inline int attach(struct board *board, unsigned generation)
{
    int result = board_attach(board, rig.port, generation, 0, 0);
    struct simboard *simboard = simport_find(rig.port, board->path);
    if (result < 0)
        return result;
    const struct sim_kind *kind = simboard_sim(simboard)->kind;
    board->dfu.dfuse = !kind->plain;
    board->dfu.several_alts = kind->dfu.alts > 1;
    board->dfu.early_poll = strcmp(kind->name, "f407") == 0;
    board->dfu.transfer_size = kind->transfer_size;
    return result;
}

static inline struct board *open_board(const char *path)
{
    struct board *board = make(path);
    struct simboard *simboard = simport_find(rig.port, path);
    assert_int_equal(attach(board, sim_generation(simboard_sim(simboard))), 0);
    assert_true(board_is_open(board));
    return board;
}

/* Adds a simulated board, and opens it. */
static inline struct board *open_new(const char *kind)
{
    add(kind);
    return open_board(kind);
}

/* ---- operations ---- */

/* Starts an operation; its end is recorded in `outcome`. */
static inline void start_to(struct outcome *outcome, struct board *board, struct dfu_op op)
{
    *outcome = (struct outcome){ .board = board };
    board->op = op;
    if (op.limit <= 0)
        board->op.limit = 5;
    board_start(board, on_ended, outcome);
}

static inline void turn(void)
{
    assert_true(loop_turn(rig.loop, true));
}

static inline void finish(const struct outcome *outcome)
{
    while (outcome->ended == 0)
        turn();
    assert_int_equal(outcome->ended, 1);
}

static inline struct outcome run(struct board *board, struct dfu_op op)
{
    struct outcome outcome;
    start_to(&outcome, board, op);
    finish(&outcome);
    return outcome;
}

static inline struct dfu_op erase_of(uint32_t address)
{
    return (struct dfu_op){ .kind = DFU_ERASE, .address = address };
}

static inline struct dfu_op write_of(uint32_t address, size_t length)
{
    return (
        struct dfu_op){ .kind = DFU_WRITE, .address = address, .data = rig.data, .length = length };
}

static inline struct dfu_op read_of(uint32_t address, size_t length)
{
    return (
        struct dfu_op){ .kind = DFU_READ, .address = address, .out = rig.out, .length = length };
}

static inline struct dfu_op simple(enum dfu_kind kind)
{
    return (struct dfu_op){ .kind = kind, .any_alt = true };
}

/* Checks that the board works: erases, writes and reads back. */
static inline void check_works(struct board *board, uint32_t address, size_t length)
{
    if (board->dfu.dfuse)
        assert_true(run(board, erase_of(address)).ok);
    struct outcome outcome = run(board, write_of(address, length));
    if (!outcome.ok)
        fail_msg("the write fails: %d", (int)outcome.op.failure);
    if (!board_is_open(board))
        return;
    memset(rig.out, 0, length);
    assert_true(run(board, read_of(address, length)).ok);
    assert_memory_equal(rig.out, rig.data, length);
}

static inline void nothing(void *arg)
{
    (void)arg;
}

/* Turns the loop for so many seconds. */
static inline void let_pass(double seconds)
{
    double end = loop_now(rig.loop) + seconds;
    struct loop_timer timer = { .fire = nothing };
    loop_timer_set(rig.loop, &timer, end);
    while (timer.set)
        turn();
}

/* Turns the loop until a closed board is released; returns the seconds it took. */
static inline double release(struct board *board)
{
    double began = loop_now(rig.loop);
    while (board->handle)
        turn();
    return loop_now(rig.loop) - began;
}

#endif
