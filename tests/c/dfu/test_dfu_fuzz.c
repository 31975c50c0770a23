/* SPDX-License-Identifier: MIT */
/* The step machine with random outcomes: it ends, it stays within its memory (this runs under
 * sanitizers), and it never claims more than was moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dfu/dfu.h"

enum { STEPS = 200000, MOST_STEPS = 30000, BLOCKS_MOST = 6 };

static uint64_t seed;

/* xorshift: the same numbers everywhere */
static uint32_t any(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % n;
}

static struct dfu_board board;
static struct dfu_op op;
static uint8_t last_state; /* that was reported */
static size_t moved;       /* bytes of its blocks */

/* A new board now and then: the buffer is no longer than it may use. */
static void open_board(void)
{
    static const uint16_t sizes[] = { 64, 100, 1024, 2048, 65535 };
    free(board.buffer);
    board = (struct dfu_board){
        .dfuse = any(4) > 0,
        .several_alts = any(2),
        .tolerant = any(2),
        .early_poll = any(2),
        .transfer_size = sizes[any(5)],
        .timeout = 5,
        .state = DFU_UNKNOWN,
        .status = DFU_UNKNOWN,
    };
    board.buffer = malloc(board.transfer_size);
    memset(board.buffer, 0, board.transfer_size);
}

static void choose_operation(void)
{
    size_t most = any(2) ? board.transfer_size : 20;
    op = (struct dfu_op){
        .board = &board,
        .kind = any(DFU_TO_IDLE + 1),
        .any_alt = any(2),
        .alt = (uint8_t)any(3),
        .may_reset = any(4) == 0,
        .has_address = any(2),
        .address = any(8) ? 0x08000000 + any(100) * 512 : 0xFFFFF000 + any(0x1000),
        .block = (uint16_t)(any(4) ? any(5) : 65533 + any(3)),
        .limit = any(10) ? 0.5 : 0,
    };
    if (op.kind == DFU_READ || op.kind == DFU_WRITE)
        op.length = any((uint32_t)most * BLOCKS_MOST);
    else if (op.kind == DFU_COMMANDS)
        op.length = 64;
    else if (op.kind == DFU_DOWNLOAD_BLOCK || op.kind == DFU_UPLOAD_BLOCK)
        op.length = any((uint32_t)most + 1);
    op.out = malloc(op.length + 1);
    op.data = calloc(1, op.length + 1);
}

/* A plausible state after this one, or any. */
static uint8_t likely_state(void)
{
    static const uint8_t states[] = { DFU_IDLE,        DFU_DNBUSY,      DFU_DNLOAD_IDLE,
                                      DFU_DNLOAD_IDLE, DFU_DNLOAD_IDLE, DFU_UPLOAD_IDLE,
                                      DFU_ERROR,       DFU_DNLOAD_SYNC, DFU_MANIFEST };
    return any(20) ? states[any(sizeof states)] : (uint8_t)any(256);
}

static bool state_stalled; /* the last GETSTATE was refused */

static int answer(const struct dfu_act *act)
{
    uint16_t length = act->setup.length;
    if (act->setup.request == DFU_REQ_DNLOAD) /* refused ones, too: they may have been stored */
        moved += length;
    bool status = act->setup.request == 3, asks = status || act->setup.request == 5;
    state_stalled = false;
    if (any(25) == 0) {
        int result = -1 - (int)any(5);
        state_stalled = act->setup.request == 5 && result == PORT_STALL;
        return result;
    }
    for (size_t i = 0; asks && i < length; i++)
        act->data[i] = (uint8_t)(any(2) ? 0 : any(256));
    if (asks && length > 0) {
        last_state = likely_state();
        act->data[status ? 4 : 0] = last_state;
        if (status && any(3))
            act->data[2] = act->data[3] = 0; /* no poll timeouts of hours */
    }
    if (act->setup.request == 2) {
        memset(act->data, (int)any(256), length);
        moved += length;
    }
    return any(30) ? length : any(2) ? (int)any(length + 1u) : length + 1;
}

static void check_control(const struct dfu_act *act)
{
    assert_ptr_equal(act->data, board.buffer);
    assert_true(act->seconds > 0 && act->seconds < 10);
    assert_true(act->setup.type == 0x21 || act->setup.type == 0xA1);
    assert_true(act->setup.request <= 6);
    if (act->setup.request == DFU_REQ_CLRSTATUS) /* or no state at all, or none was told */
        assert_true(last_state == DFU_ERROR || last_state >= DFU_STATES || state_stalled);
}

static struct dfu_act step(const struct dfu_act *act)
{
    double elapsed = act->seconds;
    int result = 0;
    if (act->what == DFU_CONTROL) {
        check_control(act);
        result = answer(act);
        elapsed = any(100) / 1e5;
    } else if (act->what == DFU_SELECT) {
        result = any(20) ? 0 : -1 - (int)any(5);
        elapsed = 0;
    } else {
        assert_int_equal(act->what, DFU_WAIT);
        assert_true(act->seconds >= 0 && act->seconds <= 5);
    }
    if (any(500) == 0)
        dfu_cancel(&op);
    return dfu_step(&op, result, elapsed);
}

static void check_end(const struct dfu_act *act)
{
    bool ok = act->what == DFU_DONE;
    assert_true(op.done <= op.length);
    assert_true(op.done <= moved);
    if (!ok)
        assert_int_not_equal(op.failure, DFU_NO_FAILURE);
    if (op.cancelled && !ok)
        assert_int_equal(op.failure, DFU_FAIL_CANCELLED);
    if (!ok)
        return;
    assert_false(op.in_doubt);
    if (op.kind == DFU_WRITE || (op.kind == DFU_READ && board.dfuse))
        assert_int_equal(op.done, op.length);
    if (op.kind == DFU_LEAVE)
        assert_true(op.gone || !board.dfuse);
}

/* Carries out one operation; returns the number of its steps. */
static size_t operation(void)
{
    size_t steps = 0;
    moved = 0;
    choose_operation();
    struct dfu_act act = dfu_start(&op);
    while (act.what != DFU_DONE && act.what != DFU_FAIL) {
        act = step(&act);
        assert_true(++steps < MOST_STEPS);
    }
    check_end(&act);
    free(op.out);
    free((void *)(uintptr_t)op.data);
    return steps + 1;
}

static void fuzz(uint64_t with)
{
    size_t steps = 0, done = 0;
    seed = with;
    while (steps < STEPS) {
        if (steps == 0 || any(50) == 0)
            open_board();
        steps += operation();
        done += op.failure == DFU_NO_FAILURE;
    }
    assert_true(done > 1000); /* most operations must not fail early */
    free(board.buffer);
    board.buffer = NULL;
}

static void test_any_answers(void **state)
{
    (void)state;
    fuzz(0x9E3779B97F4A7C15);
    fuzz(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_any_answers) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
