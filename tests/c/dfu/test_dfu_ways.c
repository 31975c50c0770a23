/* SPDX-License-Identifier: MIT */
/* The step machine: from every state that a board may be found in to dfuIDLE, what it makes of
 * refusals, and giving up. */
#include "dfu/dfuscript.h"

static void begin_to_idle(void)
{
    begin_simple(DFU_TO_IDLE);
}

/* A board of which nothing is known. */
static void begin_unknown(void)
{
    found_in(DFU_UNKNOWN);
    begin_to_idle();
}

static void is_idle(void)
{
    PLAY("done");
    assert_int_equal(script.board.state, DFU_IDLE);
}

/* ---- the way to dfuIDLE ---- */

static void test_from_idle(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> dfuIDLE");
    is_idle();
    begin_to_idle(); /* it is known: nothing is asked */
    is_idle();
}

static void test_from_error(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> dfuERROR", "getstatus -> dfuERROR errFIRMWARE", "clrstatus",
         "getstatus -> dfuIDLE");
    is_idle();
    assert_int_equal(script.board.status, DFU_OK);
    found_in(DFU_ERROR);
    script.board.status = 10; /* why is known as well */
    script.told = DFU_ERROR;
    begin_to_idle();
    PLAY("clrstatus", "getstatus -> dfuIDLE");
    is_idle();
}

static void test_error_clears_at_second_try(void **state)
{
    (void)state;
    begin_unknown(); /* H743: the first one gives errUNKNOWN */
    PLAY("getstate -> dfuERROR", "getstatus -> dfuERROR errFIRMWARE", "clrstatus",
         "getstatus -> dfuERROR errUNKNOWN", "clrstatus", "getstatus -> dfuIDLE");
    is_idle();
}

static void test_stuck_error(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> dfuERROR");
    for (size_t requests = 0; script.act.what == DFU_CONTROL; requests++) {
        assert_true(requests < 10);
        step_script(script.act.setup.request == 3 ? "dfuERROR errVENDOR" : "");
    }
    PLAY("fail status");
    assert_int_equal(script.op.status, DFU_ERR_VENDOR);
    assert_int_equal(script.op.state, DFU_ERROR);
    assert_false(script.op.in_doubt);
    begin_to_idle(); /* and a new operation tries anew */
    PLAY("clrstatus", "getstatus -> dfuIDLE");
    is_idle();
}

/* A status that DFU 1.1 does not name, and that looks like "not known" here. */
static void test_error_255(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> dfuERROR");
    for (size_t requests = 0; script.act.what == DFU_CONTROL; requests++) {
        assert_true(requests < 10);
        uint8_t answer[6] = { 255, 0, 0, 0, DFU_ERROR, 0 };
        memcpy(script.board.buffer, answer, sizeof answer);
        script.act = dfu_step(&script.op, script.act.setup.request == 3 ? 6 : 0, 0);
    }
    assert_true(script.act.what == DFU_FAIL);
}

/* GETSTATUS would execute what is left over: an erase, perhaps. */
static void test_from_dnload_sync(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> dfuDNLOAD-SYNC", "abort");
    is_idle();
    found_in(DFU_UNKNOWN);
    begin_write(FLASH, 2048);
    PLAY("getstate -> dfuDNLOAD-SYNC", "abort", RUN("set 08000000"), RUN("dnload 2 2048"));
    wrote(2048);
    begin_unknown();
    PLAY("getstate -> dfuMANIFEST-SYNC", "abort");
    is_idle();
    begin_unknown();
    /* ABORT is refused, and the state unchanged: GETSTATUS leads on (CherryUSB) */
    PLAY("getstate -> dfuDNLOAD-SYNC", "abort -> stall", "wait 100", "getstate -> dfuDNLOAD-SYNC",
         "getstatus -> dfuDNLOAD-IDLE", "abort");
    is_idle();
    begin_unknown();
    PLAY("getstate -> dfuDNLOAD-SYNC", "abort -> stall", "wait 100", "getstate -> dfuDNLOAD-SYNC",
         "getstatus -> dfuDNLOAD-SYNC", "getstatus -> dfuDNLOAD-SYNC", "fail state");
}

static void test_from_between_blocks(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> dfuDNLOAD-IDLE", "abort");
    is_idle();
    begin_unknown();
    PLAY("getstate -> dfuUPLOAD-IDLE", "abort");
    is_idle();
    found_in(DFU_UNKNOWN); /* a write needs no dfuIDLE */
    begin_write(FLASH, 2048);
    PLAY("getstate -> dfuDNLOAD-IDLE", RUN("set 08000000"), RUN("dnload 2 2048"));
    wrote(2048);
    found_in(DFU_UNKNOWN);
    begin((struct dfu_op){ .kind = DFU_ERASE, .address = FLASH });
    PLAY("getstate -> dfuUPLOAD-IDLE", "abort", RUN("erase 08000000"), "done");
}

static void test_from_busy(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> dfuDNBUSY", "getstatus -> dfuDNBUSY 100", "wait 100",
         "getstatus -> dfuDNBUSY 50", "wait 50", "getstatus -> dfuDNLOAD-IDLE", "abort");
    is_idle();
    begin_unknown(); /* refused while it is busy */
    PLAY("getstate -> dfuDNBUSY", "getstatus -> stall", "wait 100", "getstatus -> stall",
         "wait 100", "getstatus -> dfuDNLOAD-IDLE", "abort");
    is_idle();
    begin_unknown();
    PLAY("getstate -> dfuMANIFEST", "getstatus -> dfuMANIFEST 50", "wait 50",
         "getstatus -> dfuIDLE");
    is_idle();
    begin_unknown();
    PLAY("getstate -> dfuDNBUSY", "getstatus -> dfuERROR errVENDOR", "clrstatus",
         "getstatus -> dfuIDLE");
    is_idle();
}

/* Boards that refuse requests while they are busy do so with GETSTATE too. */
static void test_getstate_refused(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> stall", "wait 100", "getstate -> stall", "wait 100",
         "getstate -> dfuDNLOAD-SYNC", "abort");
    is_idle();
    begin_unknown();
    size_t clears = 0;
    for (size_t steps = 0; script.act.what != DFU_FAIL; steps++) {
        assert_true(steps < 400);
        clears += script.act.what == DFU_CONTROL && script.act.setup.request == 4;
        step_script(script.act.what == DFU_WAIT ? "" : "stall");
    }
    PLAY("fail stall");
    assert_int_equal(clears, 1);
    /* deaf in dfuERROR to all but CLRSTATUS (CherryUSB) */
    begin_unknown();
    for (size_t steps = 0; script.act.setup.request != 4 || script.act.what != DFU_CONTROL;
         steps++) {
        assert_true(steps < 400);
        step_script(script.act.what == DFU_WAIT ? "" : "stall");
    }
    PLAY("clrstatus", "getstatus -> dfuIDLE");
    is_idle();
    found_in(DFU_UNKNOWN);
    begin_simple(DFU_GET_STATE); /* board:get_state() takes any answer */
    PLAY("getstate -> stall", "fail stall");
}

static void check_busy_for_ever(const char *answer)
{
    begin_unknown();
    PLAY("getstate -> dfuDNBUSY");
    double seconds = 0;
    for (size_t steps = 0; script.act.what != DFU_FAIL; steps++) {
        assert_true(steps < 200);
        seconds += script.act.what == DFU_WAIT ? script.act.seconds : 0;
        step_script(script.act.what == DFU_WAIT ? "" : answer);
    }
    assert_true(seconds >= 5 && seconds < 5.1);
}

static void test_busy_for_ever(void **state)
{
    (void)state;
    check_busy_for_ever("dfuDNBUSY 100");
    PLAY("fail timeout");
    check_busy_for_ever("stall");
    PLAY("fail stall");
}

static void test_no_way(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> appIDLE", "fail runtime");
    begin_unknown();
    PLAY("getstate -> appDETACH", "fail runtime");
    begin_unknown();
    PLAY("getstate -> dfuMANIFEST-WAIT-RESET", "fail reset");
    begin_unknown();
    PLAY("getstate -> gone", "fail gone");
    assert_true(script.op.gone);
    begin_unknown();
    PLAY("getstate -> timeout", "fail timeout");
    begin_unknown();
    PLAY("getstate -> short 0", "fail short");
    begin_unknown();
    PLAY("getstate -> dfuERROR", "getstatus -> dfuERROR errPOR", "clrstatus -> stall", "wait 100",
         "getstatus -> dfuERROR errPOR", "clrstatus -> stall", "fail stall");
    assert_int_equal(script.board.state, DFU_UNKNOWN);
}

/* CLRSTATUS, each time with the same answer, until the operation gives up. */
static void clear_in_vain(const char *answer, int tries)
{
    for (int i = 0; i < tries; i++) {
        PLAY("clrstatus");
        step_script(answer);
    }
    PLAY("fail state");
}

/* What DFU 1.1 does not name is cleared; where that does not help it fails, and the next operation
 * asks again. */
static void test_unknown_states(void **state)
{
    char answer[20];
    (void)state;
    begin_unknown(); /* ST's example, behind a refused UPLOAD */
    PLAY("getstate -> #15", "clrstatus", "getstatus -> dfuERROR errUNKNOWN", "clrstatus",
         "getstatus -> dfuIDLE");
    is_idle();
    for (unsigned i = DFU_STATES; i < 256; i++) {
        snprintf(answer, sizeof answer, "#%u", i);
        begin_unknown();
        step_script(answer);
        clear_in_vain(answer, 3);
        begin_to_idle();
        PLAY("getstate -> dfuDNBUSY");
        step_script(answer);
        clear_in_vain(answer, 3);
        begin_to_idle();
        PLAY("getstate -> dfuERROR", "getstatus -> dfuERROR errUNKNOWN", "clrstatus");
        step_script(answer);
        clear_in_vain(answer, 1);
        begin_to_idle();
        PLAY("getstate -> dfuIDLE");
        is_idle();
        begin((struct dfu_op){ .kind = DFU_ERASE, .address = FLASH });
        PLAY("erase 08000000");
        step_script(answer);
        PLAY("fail state");
        begin_to_idle();
        PLAY("getstate -> dfuIDLE");
        is_idle();
    }
    begin_unknown();
    begin_simple(DFU_GET_STATE); /* and is told as it is */
    PLAY("getstate -> #255", "done");
    assert_int_equal(script.op.state, 255);
}

/* ---- GETSTATUS with too few bytes ---- */

static void test_short_status(void **state)
{
    char answer[40];
    (void)state;
    for (int n = 0; n < 6; n++) {
        snprintf(answer, sizeof answer, "dfuDNLOAD-IDLE short %d", n);
        found_in(DFU_IDLE);
        begin((struct dfu_op){ .kind = DFU_ERASE, .address = FLASH });
        PLAY("erase 08000000");
        script.board.buffer[4] = DFU_DNLOAD_IDLE; /* what an earlier answer left there */
        step_script(answer);
        PLAY("fail short");
        assert_true(script.op.in_doubt);
        assert_int_equal(script.board.state, DFU_UNKNOWN);

        found_in(DFU_IDLE);
        begin((struct dfu_op){ .kind = DFU_ERASE, .address = FLASH });
        PLAY("erase 08000000", "getstatus -> dfuDNBUSY 10", "wait 10");
        step_script(answer);
        PLAY("fail short");

        begin_unknown();
        PLAY("getstate -> dfuERROR");
        step_script(answer);
        PLAY("fail short");

        begin_simple(DFU_GET_STATUS);
        script.stored = true;
        step_script(answer);
        PLAY("fail short");
    }
}

/* ---- refusals ---- */

static void begin_erase(void)
{
    found_in(DFU_IDLE);
    begin((struct dfu_op){ .kind = DFU_ERASE, .address = FLASH });
}

static void test_stalled_once(void **state)
{
    (void)state;
    begin_erase();
    PLAY("erase 08000000 -> stall", "getstatus -> dfuIDLE", RUN("erase 08000000"), "done");
    assert_int_equal(script.board.retries, 1);
    found_in(DFU_IDLE);
    begin_write(FLASH, 4096); /* once a block, not once a write */
    PLAY(RUN("set 08000000"), "dnload 2 2048 -> stall", "getstatus -> dfuDNLOAD-IDLE",
         RUN("dnload 2 2048"), "dnload 3 2048 -> stall", "getstatus -> dfuDNLOAD-IDLE",
         RUN("dnload 3 2048"));
    wrote(4096);
    found_in(DFU_IDLE);
    begin_read(FLASH, 2048);
    PLAY(RUN("set 08000000"), "abort", "upload 2 2048 -> stall", "getstatus -> dfuIDLE",
         "upload 2 2048");
    did_read(2048);
}

static void test_stalled_twice(void **state)
{
    (void)state;
    begin_erase();
    PLAY("erase 08000000 -> stall", "getstatus -> dfuIDLE", "erase 08000000 -> stall",
         "getstatus -> dfuIDLE", "fail stall");
    begin_erase();
    PLAY("erase 08000000 -> stall", "getstatus -> stall", "fail stall");
    found_in(DFU_IDLE);
    begin_read(FLASH, 2048);
    PLAY(RUN("set 08000000"), "abort", "upload 2 2048 -> stall", "getstatus -> dfuIDLE",
         "upload 2 2048 -> stall", "getstatus -> dfuUPLOAD-IDLE", "fail stall");
    assert_int_equal(script.op.done, 0);
}

/* Blocks that only the caller understands; and plain DFU, where a block in dfuIDLE may be block 0.
 */
static void test_stalled_and_not_sent_again(void **state)
{
    (void)state;
    found_in(DFU_IDLE);
    begin((struct dfu_op){
        .kind = DFU_UPLOAD_BLOCK, .any_alt = true, .block = 2, .length = 8, .out = script.image });
    PLAY("upload 2 8 -> stall", "getstatus -> dfuIDLE", "fail stall");
    script.board.dfuse = false;
    found_in(DFU_IDLE);
    begin_read(0, 4096);
    PLAY("upload 0 2048", "upload 1 2048 -> stall", "getstatus -> dfuIDLE", "fail stall");
    assert_int_equal(script.board.retries, 0);
}

static void test_stalled_with_a_reason(void **state)
{
    (void)state;
    begin_erase();
    PLAY("erase 08000000 -> stall", "getstatus -> dfuERROR errSTALLEDPKT", "fail status");
    assert_int_equal(script.op.status, 15);
    found_in(DFU_IDLE);
    begin_read(FLASH, 2048);
    PLAY(RUN("set 08000000"), "abort", "upload 2 2048 -> stall", "getstatus -> dfuERROR errVENDOR",
         "fail status");
    assert_int_equal(script.op.status, DFU_ERR_VENDOR);
    begin_erase();
    PLAY("erase 08000000 -> stall", "getstatus -> dfuMANIFEST", "fail state");
}

/* The block was stored in spite of the STALL: GETSTATUS executes it. */
static void test_stalled_and_stored(void **state)
{
    (void)state;
    found_in(DFU_IDLE);
    begin_write(FLASH, 2048);
    PLAY(RUN("set 08000000"), "dnload 2 2048 -> stall", "getstatus -> dfuDNBUSY 104", "wait 104",
         "getstatus -> dfuDNLOAD-IDLE", "done");
    assert_int_equal(script.op.done, 2048);
}

/* Busy with anything: nothing was read. */
static void test_busy_after_a_stalled_upload(void **state)
{
    (void)state;
    found_in(DFU_IDLE);
    begin_read(FLASH, 2048);
    PLAY(RUN("set 08000000"), "abort", "upload 2 2048 -> stall", "getstatus -> dfuDNBUSY 104",
         "fail state");
    assert_int_equal(script.op.done, 0);
}

static void test_failed_transfers(void **state)
{
    static const struct {
        const char *answer, *outcome;
    } ways[] = {
        { "gone", "fail gone" },
        { "short 4", "fail short" },
        { "cancelled", "fail cancelled" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        begin_erase();
        step_script(ways[i].answer);
        PLAY(ways[i].outcome);
        assert_true(script.op.in_doubt);
        assert_int_equal(script.board.state, DFU_UNKNOWN);
        assert_int_equal(script.op.gone, i == 0);
        begin_erase();
        PLAY("erase 08000000");
        step_script(ways[i].answer);
        PLAY(ways[i].outcome);
        assert_true(script.op.in_doubt);
    }
    begin_to_idle();
    PLAY("getstate -> dfuDNLOAD-IDLE", "abort");
    is_idle();
}

/* ---- requests that are lost ---- */

/* DfuSe commands and blocks may be repeated, and the board's state shows whether it stored one. */
static void test_lost_downloads(void **state)
{
    (void)state;
    begin_erase();
    PLAY("erase 08000000 -> io", "wait 100", "getstatus -> dfuIDLE", RUN("erase 08000000"), "done");
    assert_int_equal(script.board.retries, 2); /* the question, and the command */
    begin_erase();
    PLAY("erase 08000000 -> timeout", "wait 100", "getstatus -> dfuDNBUSY 50", "wait 50",
         "getstatus -> dfuDNLOAD-IDLE", "done");
    found_in(DFU_IDLE);
    begin_write(FLASH, 4096); /* once a block, not once a write */
    PLAY("set 08000000 -> io", "wait 100", "getstatus -> dfuIDLE", RUN("set 08000000"),
         "dnload 2 2048 -> io", "wait 100", "getstatus -> dfuDNLOAD-IDLE", RUN("dnload 2 2048"),
         "dnload 3 2048 -> io", "wait 100", "getstatus -> dfuDNBUSY 9", "wait 9",
         "getstatus -> dfuDNLOAD-IDLE", "done");
    assert_int_equal(script.op.done, 4096);
}

static void test_lost_questions(void **state)
{
    (void)state;
    begin_erase();
    PLAY("erase 08000000", "getstatus -> io", "wait 100", "getstatus -> dfuDNBUSY 50", "wait 50",
         "getstatus -> dfuDNLOAD-IDLE", "done");
    begin_erase();
    PLAY("erase 08000000", "getstatus -> dfuDNBUSY 50", "wait 50", "getstatus -> io", "wait 100",
         "getstatus -> dfuDNLOAD-IDLE", "done");
    begin_unknown();
    PLAY("getstate -> io", "wait 100", "getstate -> dfuERROR", "getstatus -> dfuERROR errPOR",
         "clrstatus", "getstatus -> dfuIDLE");
    is_idle();
    begin_unknown();
    PLAY("getstate -> dfuERROR", "getstatus -> io", "wait 100", "getstatus -> dfuERROR errPOR",
         "clrstatus", "getstatus -> dfuIDLE");
    is_idle();
    found_in(DFU_IDLE);
    begin_read(FLASH, 2048);
    PLAY(RUN("set 08000000"), "abort", "upload 2 2048 -> timeout", "wait 100", "upload 2 2048");
    did_read(2048);
}

/* Some boards report a bad address once, and stay in dfuDNLOAD-IDLE.  If that answer
 * was lost, the block would go to the address before. */
static void test_lost_status_of_an_address(void **state)
{
    (void)state;
    begin_write(FLASH, 2048);
    PLAY("set 08000000", "getstatus -> io", "wait 100", "getstatus -> dfuDNLOAD-IDLE",
         RUN("set 08000000"), RUN("dnload 2 2048"), "done");
    begin_write(FLASH + 0x100, 2048);
    PLAY("set 08000100", "getstatus -> io", "wait 100", "getstatus -> dfuDNLOAD-IDLE",
         "set 08000100", "getstatus -> dfuDNLOAD-IDLE errTARGET", "fail status");
}

/* CLRSTATUS in dfuIDLE would lead to dfuERROR, so GETSTATUS comes first. */
static void test_lost_on_the_way_to_idle(void **state)
{
    (void)state;
    begin_unknown();
    PLAY("getstate -> dfuERROR", "getstatus -> dfuERROR errPOR", "clrstatus -> io", "wait 100",
         "getstatus -> dfuIDLE");
    is_idle();
    found_in(DFU_DNLOAD_IDLE);
    begin_to_idle();
    PLAY("abort -> io", "wait 100", "getstate -> dfuDNLOAD-IDLE", "abort");
    is_idle();
    found_in(DFU_DNLOAD_IDLE);
    begin_to_idle();
    PLAY("abort -> io", "wait 100", "getstate -> dfuIDLE");
    is_idle();
}

static void test_lost_for_good(void **state)
{
    (void)state;
    begin_erase();
    PLAY("erase 08000000 -> io", "wait 100", "getstatus -> io", "fail io");
    assert_true(script.op.in_doubt);
    assert_int_equal(script.board.state, DFU_UNKNOWN);
    begin_erase();
    PLAY("erase 08000000 -> timeout", "wait 100", "getstatus -> dfuIDLE",
         "erase 08000000 -> timeout", "fail timeout");
    begin_erase(); /* it was unplugged, and the hub noticed a little later */
    PLAY("erase 08000000", "getstatus -> io", "wait 100", "getstatus -> gone", "fail gone");
    assert_true(script.op.gone);
    begin_erase();
    PLAY("erase 08000000", "getstatus -> timeout", "fail timeout");
    begin_unknown();
    PLAY("getstate -> timeout", "fail timeout");
    assert_int_equal(script.board.state, DFU_UNKNOWN);
}

/* Not sent again: what may have reset the board, what only the caller understands, and plain DFU,
 * where GETSTATUS does not show whether the block was stored. */
static void test_lost_and_not_sent_again(void **state)
{
    (void)state;
    found_in(DFU_IDLE);
    begin((struct dfu_op){ .kind = DFU_WRITE,
                           .any_alt = true,
                           .address = FLASH,
                           .data = script.image,
                           .length = 16,
                           .may_reset = true });
    PLAY("set 08000000 -> io", "fail io");
    found_in(DFU_IDLE);
    begin((struct dfu_op){ .kind = DFU_READ_UNPROTECT, .any_alt = true });
    PLAY("unprotect -> io", "fail io");
    found_in(DFU_IDLE);
    begin((struct dfu_op){ .kind = DFU_LEAVE, .any_alt = true });
    PLAY("dnload 2 0 -> io", "fail io");
    script.board.dfuse = false;
    found_in(DFU_IDLE);
    begin_write(0, 2048);
    PLAY("dnload 0 2048 -> io", "fail io");
}

/* ---- what is in doubt ---- */

static void test_doubt(void **state)
{
    static const char *const names[] = { "errTARGET",  "errVENDOR", "errADDRESS", "errWRITE",
                                         "errUNKNOWN", "errPROG",   "errVENDOR" };
    char answer[40];
    (void)state;
    for (size_t i = 0; i < 7; i++) {
        found_in(DFU_IDLE);
        script.board.vendor_protects = i < 3; /* only a known ROM refuses before it executes */
        begin_write(FLASH, 4096);
        PLAY(RUN("set 08000000"), RUN("dnload 2 2048"), "dnload 3 2048",
             "getstatus -> dfuDNBUSY 104", "wait 104");
        snprintf(answer, sizeof answer, "dfuERROR %s", names[i]);
        step_script(answer);
        PLAY("fail status");
        assert_int_equal(script.op.in_doubt,
                         i >= 3); /* the first three refused it before executing */
        assert_int_equal(script.op.done, 2048);
        assert_string_equal(dfu_status_name(script.op.status), names[i]);
        assert_false(script.board.has_base);
    }
    found_in(DFU_IDLE);
    begin_write(FLASH, 4096); /* between two blocks nothing is under way */
    PLAY("set 08000000 -> cancelled", "fail cancelled");
    assert_false(script.op.in_doubt);
    begin_unknown();
    PLAY("getstate -> gone", "fail gone");
    assert_false(script.op.in_doubt);
}

/* ---- giving up ---- */

/* The script of a board without faults, for a write of two blocks, found in dfuERROR. */
static const char *const honest[] = {
    "getstate -> dfuERROR",
    "getstatus -> dfuERROR errFIRMWARE",
    "clrstatus",
    "getstatus -> dfuIDLE",
    "select 1",
    RUN("set 08000000"),
    RUN("dnload 2 2048"),
    RUN("dnload 3 100"),
    "done",
};

enum { HONEST = sizeof honest / sizeof *honest };

static void begin_honest(void)
{
    found_in(DFU_UNKNOWN);
    script.board.alt = 0;
    begin((struct dfu_op){
        .kind = DFU_WRITE, .alt = 1, .address = FLASH, .data = script.image, .length = 2148 });
}

static void test_cancel_everywhere(void **state)
{
    (void)state;
    for (size_t at = 0; at + 1 < HONEST; at++) {
        begin_honest();
        for (size_t i = 0; i < at; i++)
            play_line(honest[i], i + 1);
        dfu_cancel(&script.op);
        bool control = script.act.what == DFU_CONTROL;
        script.act = dfu_step(&script.op, control ? PORT_CANCELLED : 0, 0);
        PLAY("fail cancelled");
        assert_false(script.op.gone);
        assert_false(script.board.has_base);
        if (control)
            assert_int_equal(script.board.state, DFU_UNKNOWN);
        assert_int_equal(script.op.in_doubt, at > 8); /* from the first block on */
    }
}

/* A stored block of a cancelled operation is dropped, not executed. */
static void test_cancel_drops_a_block(void **state)
{
    (void)state;
    begin_honest();
    for (size_t i = 0; i < 9; i++)
        play_line(honest[i], i + 1);
    dfu_cancel(&script.op);
    PLAY("dnload 2 2048", "fail cancelled");
    assert_int_equal(script.op.done, 0);
    begin_simple(DFU_MASS_ERASE); /* any next operation */
    PLAY("abort", "mass-erase -> gone", "fail gone");
    script.board.state = DFU_DNLOAD_IDLE;
    begin_simple(DFU_LEAVE);
    dfu_cancel(&script.op);
    PLAY("dnload 2 0", "fail cancelled");
    begin_simple(DFU_MASS_ERASE);
    PLAY("abort", "mass-erase -> gone", "fail gone");
}

static void test_cancel_while_busy(void **state)
{
    (void)state;
    begin_erase();
    PLAY("erase 08000000", "getstatus -> dfuDNBUSY 100");
    dfu_cancel(&script.op);
    PLAY("wait 100", "fail cancelled");
    assert_true(script.op.in_doubt);
    begin_to_idle(); /* it executes: nothing is stored any more */
    PLAY("getstatus -> dfuDNBUSY 100", "wait 100", "getstatus -> dfuDNLOAD-IDLE", "abort");
    is_idle();
}

static void test_cancel_and_gone(void **state)
{
    (void)state;
    begin_erase();
    dfu_cancel(&script.op);
    PLAY("erase 08000000 -> gone", "fail cancelled");
    assert_true(script.op.gone);
}

/* The alternate setting was changed. */
static void test_cancel_a_selection(void **state)
{
    (void)state;
    begin((struct dfu_op){ .kind = DFU_ERASE, .address = FLASH, .alt = 2 });
    dfu_cancel(&script.op);
    PLAY("select 2", "fail cancelled");
    found_in(DFU_IDLE);
    begin((struct dfu_op){ .kind = DFU_ERASE, .address = FLASH, .alt = 0 });
    PLAY("select 0", RUN("erase 08000000"), "done");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(test_from_idle),
        SCRIPT_TEST(test_from_error),
        SCRIPT_TEST(test_error_clears_at_second_try),
        SCRIPT_TEST(test_stuck_error),
        SCRIPT_TEST(test_error_255),
        SCRIPT_TEST(test_from_dnload_sync),
        SCRIPT_TEST(test_from_between_blocks),
        SCRIPT_TEST(test_from_busy),
        SCRIPT_TEST(test_getstate_refused),
        SCRIPT_TEST(test_busy_for_ever),
        SCRIPT_TEST(test_no_way),
        SCRIPT_TEST(test_unknown_states),
        SCRIPT_TEST(test_short_status),
        SCRIPT_TEST(test_stalled_once),
        SCRIPT_TEST(test_stalled_twice),
        SCRIPT_TEST(test_stalled_and_not_sent_again),
        SCRIPT_TEST(test_stalled_with_a_reason),
        SCRIPT_TEST(test_stalled_and_stored),
        SCRIPT_TEST(test_busy_after_a_stalled_upload),
        SCRIPT_TEST(test_failed_transfers),
        SCRIPT_TEST(test_lost_downloads),
        SCRIPT_TEST(test_lost_questions),
        SCRIPT_TEST(test_lost_status_of_an_address),
        SCRIPT_TEST(test_lost_on_the_way_to_idle),
        SCRIPT_TEST(test_lost_for_good),
        SCRIPT_TEST(test_lost_and_not_sent_again),
        SCRIPT_TEST(test_doubt),
        SCRIPT_TEST(test_cancel_everywhere),
        SCRIPT_TEST(test_cancel_drops_a_block),
        SCRIPT_TEST(test_cancel_while_busy),
        SCRIPT_TEST(test_cancel_and_gone),
        SCRIPT_TEST(test_cancel_a_selection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
