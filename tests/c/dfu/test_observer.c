/* SPDX-License-Identifier: MIT */
/* The observer is called once after each transfer, with its bytes.  If a finalizer runs meanwhile,
 * the board may be closed inside saw(). */
#include "dfu/boardrig.h"

struct seen {
    struct board_observer observer;
    unsigned controls, selections, resets, stalls, failures;
    size_t out, in; /* bytes of blocks */
    struct board *closes;
    double last;
};

static void saw(void *arg, const struct board *board, const struct usb_setup *setup,
                const uint8_t *data, int result, double started)
{
    struct seen *seen = arg;
    assert_true(started >= seen->last && started <= loop_now(rig.loop));
    assert_non_null(board->handle);
    seen->last = started;
    if (!setup) {
        seen->resets++;
        if (seen->closes)
            board_close(seen->closes);
        return;
    }
    seen->failures += result < 0;
    seen->stalls += result == PORT_STALL;
    if (setup->type == 0x01) {
        seen->selections++;
        assert_null(data);
        return;
    }
    seen->controls++;
    bool block = setup->value >= 2 && result >= 0 && setup->length > 0;
    if (block && setup->request == 1) {
        assert_memory_equal(data, rig.data + seen->out, setup->length);
        seen->out += (size_t)result;
    } else if (block && setup->request == 2) {
        if (seen->selections == 0)
            assert_memory_equal(data, rig.data + seen->in, (size_t)result);
        seen->in += (size_t)result;
    }
}

static void look_on(struct board *board, struct seen *seen)
{
    *seen = (struct seen){ .observer = { saw, seen } };
    board->observer = &seen->observer;
}

static void test_everything_is_seen(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    struct sim *sim = simboard_sim(simport_find(rig.port, "f407"));
    struct seen seen;
    look_on(board, &seen);
    check_works(board, FLASH, 5000);
    assert_int_equal(seen.out, 5000);
    assert_int_equal(seen.in, 5000);
    assert_int_equal(seen.controls, sim->requests);
    assert_int_equal(seen.failures, 0);
    struct dfu_op other = read_of(0x1FFFC000, 16);
    other.alt = 1;
    assert_true(run(board, other).ok);
    assert_int_equal(seen.selections, 1);
    board_close(board);
    release(board);
    assert_int_equal(seen.controls, sim->requests);
}

static void test_raw_transfers_and_stalls(void **state)
{
    (void)state;
    struct board *board = open_new("f407");
    struct seen seen;
    struct outcome outcome = { .board = board };
    look_on(board, &seen);
    let_pass(1);
    board_start_raw(board, &(struct usb_setup){ .type = 0xC0, .request = 5, .length = 3 }, on_ended,
                    &outcome);
    finish(&outcome);
    assert_int_equal(seen.stalls, 1);
    assert_true(seen.last >= 1);
}

/* A board that is closed during its USB reset: nothing is sent to the device any more. */
static void test_closed_in_a_reset(void **state)
{
    (void)state;
    struct sim_options options = options_of("dfu11");
    options.state = DFU_IDLE;
    add_with("dfu11", &options, NULL, NULL);
    struct board *board = open_board("dfu11");
    struct seen seen;
    look_on(board, &seen);
    seen.closes = board;
    assert_true(run(board, write_of(0, 100)).ok);
    assert_int_equal(seen.resets, 1);
    assert_int_equal(board->op.kind, DFU_WRITE);
    assert_false(board->busy);
    assert_null(board->handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOARD_TEST(test_everything_is_seen),
        BOARD_TEST(test_raw_transfers_and_stalls),
        BOARD_TEST(test_closed_in_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
