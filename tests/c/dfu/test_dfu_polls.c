/* SPDX-License-Identifier: MIT */
/* The step machine and time: between two GETSTATUS, and in all. */
#include "dfu/dfuscript.h"

/* ---- boards that are believed ---- */

static void begin_erase(double limit)
{
    found_in(DFU_IDLE);
    begin((struct dfu_op){ .kind = DFU_ERASE, .address = FLASH, .limit = limit });
    PLAY("erase 08000000");
}

static void test_polls_are_obeyed(void **state)
{
    (void)state;
    begin_erase(40);
    PLAY("getstatus -> dfuDNBUSY 100", "wait 100", "getstatus -> dfuDNBUSY 2000", "wait 2000",
         "getstatus -> dfuDNBUSY 7", "wait 7", "getstatus -> dfuDNLOAD-SYNC 33", "wait 33",
         "getstatus -> dfuDNLOAD-IDLE", "done");
    assert_true(script.op.poll < 1e-9);
}

/* A board that executes inside DNLOAD has nothing to wait for. */
static void test_done_at_once(void **state)
{
    (void)state;
    begin_erase(40);
    PLAY("getstatus -> dfuDNLOAD-IDLE", "done");
}

static void test_polls_are_clamped(void **state)
{
    (void)state;
    begin_erase(40);
    PLAY("getstatus -> dfuDNBUSY 0", "wait 1", "getstatus -> dfuDNBUSY 0", "wait 1",
         "getstatus -> dfuDNBUSY 16777215", "wait 39998", "getstatus -> dfuDNBUSY 1",
         "fail timeout");
    begin_erase(40); /* the time of the answers counts */
    PLAY("getstatus -> dfuDNBUSY 16777215 +15", "wait 25000", "getstatus -> dfuDNLOAD-IDLE",
         "done");
}

/* The timeout of a GETSTATUS that the board may answer only at the end. */
static void test_timeouts_of_requests(void **state)
{
    (void)state;
    begin_erase(40);
    assert_true(script.act.seconds >= 40);
    PLAY("getstatus -> dfuDNBUSY 100", "wait 100");
    assert_true(script.act.seconds >= 40);
    PLAY("getstatus -> dfuDNLOAD-IDLE", "done");
    begin_erase(0.5); /* never less than what one request may take */
    assert_true(script.act.seconds >= 5);
    PLAY("getstatus -> dfuDNLOAD-IDLE", "done");
    script.board.timeout = 7;
    begin_read(FLASH, 2048);
    assert_true(script.act.setup.request == 1 && script.act.seconds == 7);
    script.board.timeout = 5;
    found_in(DFU_DNBUSY);
    begin((struct dfu_op){ .kind = DFU_TO_IDLE, .any_alt = true, .limit = 60 });
    assert_true(script.act.seconds >= 60);
}

/* ---- deadlines ---- */

/* The number of steps until DFU_FAIL_TIMEOUT, with a board that is busy for ever. */
static size_t busy_for_ever(const char *answer, double *seconds)
{
    size_t steps = 0;
    *seconds = 0;
    while (script.act.what != DFU_FAIL && script.act.what != DFU_DONE) {
        *seconds += script.act.what == DFU_WAIT ? script.act.seconds : 0;
        step_script(script.act.what == DFU_WAIT ? "" : answer);
        assert_true(++steps < 100000);
    }
    return steps;
}

static void test_busy_for_ever(void **state)
{
    double seconds;
    (void)state;
    begin_erase(10);
    assert_true(busy_for_ever("dfuDNBUSY 100", &seconds) < 210);
    PLAY("fail timeout");
    assert_true(seconds >= 10 && seconds < 10.1);
    assert_true(script.op.in_doubt);
    begin_erase(10);
    assert_true(busy_for_ever("dfuDNBUSY 0", &seconds) < 21000);
    PLAY("fail timeout");
    assert_true(seconds >= 10 && seconds < 10.1);
    begin_erase(10);
    assert_true(busy_for_ever("stall", &seconds) < 21000);
    PLAY("fail stall");
    assert_true(seconds >= 10 && seconds < 10.1);
    script.board.early_poll = true;
    begin_erase(10);
    busy_for_ever("dfuDNBUSY 104", &seconds);
    PLAY("fail timeout");
    assert_true(seconds >= 10 && seconds < 10.1);
}

/* Time that hardly passes: with a clock that rounds, the limit is reached, too. */
static void test_a_clock_that_rounds(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        double now = 1e6;
        size_t steps = 0;
        begin_erase(0.3 + i / 1000.0);
        while (script.act.what != DFU_FAIL) {
            double before = now;
            if (script.act.what == DFU_WAIT) {
                now += script.act.seconds;
                script.act = dfu_step(&script.op, 0, now - before);
            } else {
                step_script("dfuDNBUSY 100");
            }
            assert_true(++steps < 20);
        }
        PLAY("fail timeout");
    }
}

static void test_limit_is_of_one_command(void **state)
{
    (void)state;
    found_in(DFU_IDLE);
    begin((struct dfu_op){
        .kind = DFU_WRITE, .address = FLASH, .data = script.image, .length = 4096, .limit = 1 });
    PLAY("set 08000000", "getstatus -> dfuDNBUSY 900", "wait 900", "getstatus -> dfuDNLOAD-IDLE",
         "dnload 2 2048", "getstatus -> dfuDNBUSY 900", "wait 900", "getstatus -> dfuDNLOAD-IDLE",
         "dnload 3 2048", "getstatus -> dfuDNBUSY 900", "wait 900", "getstatus -> dfuDNLOAD-IDLE");
    wrote(4096);
}

/* ---- boards that hold an early GETSTATUS (F2, F4, F7) ---- */

static void test_early_address_and_first_block(void **state)
{
    (void)state;
    script.board.early_poll = true;
    begin_write(FLASH, 2048);
    PLAY("set 08000000", "getstatus -> dfuDNBUSY 104", "getstatus -> dfuDNLOAD-IDLE",
         "dnload 2 2048", "getstatus -> dfuDNBUSY 104 +0.0004",
         "getstatus -> dfuDNLOAD-IDLE +0.0332");
    wrote(2048);
    assert_true(fabs(script.board.block_seconds - 0.0328) <
                1e-6); /* without the time of the transfer */
}

/* The machine sleeps for most of the usual time; the answer is delayed for the rest. */
static void test_early_sleep(void **state)
{
    (void)state;
    script.board.early_poll = true;
    script.board.block_seconds = 0.1;
    begin_write(FLASH, 4 * 2048 + 100);
    PLAY("set 08000000", "getstatus -> dfuDNBUSY 104", "getstatus -> dfuDNLOAD-IDLE",
         "dnload 2 2048", "getstatus -> dfuDNBUSY 104", "wait 90",
         "getstatus -> dfuDNLOAD-IDLE +0.01", "dnload 3 2048", "getstatus -> dfuDNBUSY 104",
         "wait 90", "getstatus -> dfuDNLOAD-IDLE +0.11", /* slow: 200 ms */
         "dnload 4 2048", "getstatus -> dfuDNBUSY 104",
         "wait 104", /* 0.9 of 125 ms, and never more than announced */
         "getstatus -> dfuDNLOAD-IDLE", "dnload 5 2048", "getstatus -> dfuDNBUSY 90", "wait 90",
         "getstatus -> dfuDNLOAD-IDLE");
    PLAY("dnload 6 100", "getstatus -> dfuDNBUSY 104", /* a short block ends sooner */
         "getstatus -> dfuDNLOAD-IDLE +0.002");
    wrote(4 * 2048 + 100);
    assert_true(script.board.block_seconds > 0.1 && script.board.block_seconds < 0.125);
}

/* A block with a lost answer does not change the average. */
static void test_nothing_learnt_of_losses(void **state)
{
    (void)state;
    script.board.early_poll = true;
    script.board.block_seconds = 0.03;
    begin_write(FLASH, 2 * 2048);
    PLAY("set 08000000", "getstatus -> dfuDNLOAD-IDLE", "dnload 2 2048 -> stall",
         "getstatus -> dfuDNBUSY 104", "wait 104", "getstatus -> dfuDNLOAD-IDLE +0.001");
    PLAY("dnload 3 2048", "getstatus -> dfuDNBUSY 104", "wait 27", "getstatus -> io", "wait 100",
         "getstatus -> dfuDNLOAD-IDLE +0.001", "done");
    assert_int_equal(script.op.done, 2 * 2048);
    assert_true(script.board.block_seconds == 0.03);
}

/* After dfuDNBUSY in answer to an early GETSTATUS the announced time is waited for. */
static void test_early_and_still_busy(void **state)
{
    (void)state;
    script.board.early_poll = true;
    script.board.block_seconds = 0.01;
    begin_write(FLASH, 2048);
    PLAY("set 08000000", "getstatus -> dfuDNLOAD-IDLE", "dnload 2 2048",
         "getstatus -> dfuDNBUSY 104", "wait 9", "getstatus -> dfuDNBUSY 104", "wait 104",
         "getstatus -> dfuDNLOAD-IDLE");
    wrote(2048);
}

/* Erases take longer than any ROM announces: there the poll costs nothing. */
static void test_early_erase(void **state)
{
    (void)state;
    script.board.early_poll = true;
    script.board.block_seconds = 0.03;
    begin_erase(40);
    PLAY("getstatus -> dfuDNBUSY 100", "wait 100", "getstatus -> dfuDNLOAD-IDLE +2", "done");
    assert_true(script.board.block_seconds == 0.03);
}

static void test_stall_ends_early(void **state)
{
    (void)state;
    script.board.early_poll = true;
    script.board.block_seconds = 0.03;
    begin_write(FLASH, 2 * 2048);
    PLAY("set 08000000", "getstatus -> dfuDNBUSY 50", "getstatus -> dfuDNLOAD-IDLE",
         "dnload 2 2048", "getstatus -> dfuDNBUSY 50", "wait 27", "getstatus -> stall", "wait 50",
         "getstatus -> stall", "wait 50", "getstatus -> dfuDNLOAD-IDLE");
    assert_false(script.board.early_poll);
    assert_int_equal(script.board.retries, 0); /* GETSTATUS of a busy board is no retry */
    PLAY("dnload 3 2048", "getstatus -> dfuDNBUSY 50", "wait 50", "getstatus -> dfuDNLOAD-IDLE");
    wrote(2 * 2048);
    begin_write(FLASH + 4096, 2048); /* for good */
    PLAY("dnload 4 2048", "getstatus -> dfuDNBUSY 50", "wait 50", "getstatus -> dfuDNLOAD-IDLE");
    wrote(2048);
    assert_true(script.board.block_seconds == 0.03); /* nor is anything learnt from it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(test_polls_are_obeyed),
        SCRIPT_TEST(test_done_at_once),
        SCRIPT_TEST(test_polls_are_clamped),
        SCRIPT_TEST(test_timeouts_of_requests),
        SCRIPT_TEST(test_busy_for_ever),
        SCRIPT_TEST(test_a_clock_that_rounds),
        SCRIPT_TEST(test_limit_is_of_one_command),
        SCRIPT_TEST(test_early_address_and_first_block),
        SCRIPT_TEST(test_early_sleep),
        SCRIPT_TEST(test_early_and_still_busy),
        SCRIPT_TEST(test_early_erase),
        SCRIPT_TEST(test_nothing_learnt_of_losses),
        SCRIPT_TEST(test_stall_ends_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
