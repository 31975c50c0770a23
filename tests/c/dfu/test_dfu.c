/* SPDX-License-Identifier: MIT */
/* The step machine: the requests of each operation, when all goes well. */
#include "dfu/dfuscript.h"

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(dfu_state_name(DFU_APP_IDLE), "appIDLE");
    assert_string_equal(dfu_state_name(DFU_DNLOAD_SYNC), "dfuDNLOAD-SYNC");
    assert_string_equal(dfu_state_name(DFU_ERROR), "dfuERROR");
    assert_string_equal(dfu_status_name(0), "OK");
    assert_string_equal(dfu_status_name(DFU_ERR_TARGET), "errTARGET");
    assert_string_equal(dfu_status_name(10), "errFIRMWARE");
    assert_string_equal(dfu_status_name(DFU_ERR_VENDOR), "errVENDOR");
    assert_string_equal(dfu_status_name(15), "errSTALLEDPKT");
    for (unsigned i = DFU_STATES; i < 300; i++)
        assert_string_equal(dfu_state_name(i), "unknown");
    for (unsigned i = DFU_STATUSES; i < 300; i++)
        assert_string_equal(dfu_status_name(i), "unknown");
}

/* ---- writing ---- */

static void test_write(void **state)
{
    (void)state;
    begin_write(FLASH + 0x4000, 5000);
    PLAY(RUN("set 08004000"), RUN("dnload 2 2048"), RUN("dnload 3 2048"), RUN("dnload 4 904"));
    wrote(5000);
    assert_int_equal(script.board.state, DFU_DNLOAD_IDLE);
    assert_int_equal(script.board.retries, 0);
}

static void test_write_goes_on(void **state)
{
    (void)state;
    begin_write(FLASH, 4096);
    PLAY(RUN("set 08000000"), RUN("dnload 2 2048"), RUN("dnload 3 2048"));
    wrote(4096);
    begin_write(FLASH + 4096, 2048); /* no Set Address: it continues the last write */
    PLAY(RUN("dnload 4 2048"));
    wrote(2048);
    begin_write(FLASH + 0x4000, 2048); /* after a gap of whole blocks */
    PLAY(RUN("dnload 10 2048"));
    wrote(2048);
    begin_write(FLASH + 2048, 2048); /* back */
    PLAY(RUN("dnload 3 2048"));
    wrote(2048);
    begin_write(FLASH + 0x8100, 2048); /* not at a block: Set Address */
    PLAY(RUN("set 08008100"), RUN("dnload 2 2048"));
    wrote(2048);
    begin_write(FLASH, 2048); /* before the address that was set */
    PLAY(RUN("set 08000000"), RUN("dnload 2 2048"));
    wrote(2048);
}

static void test_short_block_ends_the_counting(void **state)
{
    (void)state;
    begin_write(FLASH, 2048 + 100);
    PLAY(RUN("set 08000000"), RUN("dnload 2 2048"), RUN("dnload 3 100"));
    wrote(2148);
    begin_write(FLASH + 4096, 2048);
    PLAY(RUN("set 08001000"), RUN("dnload 2 2048"));
    wrote(2048);
}

static void test_block_numbers_run_out(void **state)
{
    const uint32_t near_end = FLASH + (65534 - 2) * 2048u;
    (void)state;
    script.board.state = DFU_DNLOAD_IDLE;
    script.board.has_base = script.board.base_writes = true;
    script.board.base = FLASH;
    begin_write(near_end, 3 * 2048);
    PLAY(RUN("dnload 65534 2048"), RUN("set 0fffe800"), RUN("dnload 2 2048"), RUN("dnload 3 2048"));
    wrote(3 * 2048);

    script.board.state = DFU_UPLOAD_IDLE;
    script.board.base_writes = false;
    script.board.base = FLASH;
    begin_read(near_end, 2 * 2048);
    PLAY("upload 65534 2048", "abort", RUN("set 0fffe800"), "abort", "upload 2 2048");
    did_read(2 * 2048);
}

static void test_write_at_the_end_of_addresses(void **state)
{
    (void)state;
    begin_write(0xFFFFF800, 2048);
    PLAY(RUN("set fffff800"), RUN("dnload 2 2048"));
    wrote(2048);
    begin_write(0xFFFF0000, 4);
    PLAY(RUN("set ffff0000"), RUN("dnload 2 4"));
    wrote(4);
}

static void test_write_of_nothing(void **state)
{
    (void)state;
    begin_write(FLASH, 0);
    PLAY("done");
    begin_read(FLASH, 0);
    PLAY("done");
}

/* Three transfers a block, and three for the address: there is no cheaper way. */
static void test_transfers_of_a_block(void **state)
{
    size_t transfers = 0;
    (void)state;
    begin_write(FLASH, 16 * 2048);
    while (script.act.what != DFU_DONE) {
        bool first = script.act.what == DFU_CONTROL && script.act.setup.request == 1;
        bool waited = script.told == DFU_DNBUSY;
        transfers += script.act.what == DFU_CONTROL;
        step_script(first                         ? ""
                    : script.act.what == DFU_WAIT ? ""
                    : waited                      ? "dfuDNLOAD-IDLE"
                                                  : "dfuDNBUSY 104");
    }
    wrote(16 * 2048);
    assert_int_equal(transfers, 3 + 16 * 3);
}

/* ---- reading ---- */

static void test_read(void **state)
{
    (void)state;
    begin_read(FLASH, 5000);
    PLAY(RUN("set 08000000"), "abort", "upload 2 2048", "upload 3 2048", "upload 4 904");
    did_read(5000);
    assert_int_equal(script.board.state, DFU_UPLOAD_IDLE);
    begin_read(FLASH + 6144, 2048);
    PLAY("upload 5 2048");
    did_read(2048);
    begin_read(FLASH + 100, 100);
    PLAY("abort", RUN("set 08000064"), "abort", "upload 2 100");
    did_read(100);
}

static void test_read_and_write_in_turn(void **state)
{
    (void)state;
    begin_write(FLASH, 2048);
    PLAY(RUN("set 08000000"), RUN("dnload 2 2048"));
    wrote(2048);
    begin_read(FLASH, 2048); /* Set Address was sent for the other direction */
    PLAY(RUN("set 08000000"), "abort", "upload 2 2048");
    did_read(2048);
    begin_write(FLASH + 2048, 2048);
    PLAY("abort", RUN("set 08000800"), RUN("dnload 2 2048"));
    wrote(2048);
}

static void test_short_read_fails(void **state)
{
    (void)state;
    begin_read(FLASH, 4096);
    PLAY(RUN("set 08000000"), "abort", "upload 2 2048", "upload 3 2048 -> short 2047",
         "fail short");
    assert_int_equal(script.op.done, 2048);
    begin_read(FLASH, 2048);
    PLAY("getstate -> dfuUPLOAD-IDLE", "abort", RUN("set 08000000"), "abort",
         "upload 2 2048 -> short 0", "fail short");
    assert_int_equal(script.op.done, 0);
}

static void test_commands(void **state)
{
    static const uint8_t states[] = { DFU_IDLE, DFU_DNLOAD_IDLE, DFU_UPLOAD_IDLE };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        found_in(states[i]);
        begin((struct dfu_op){
            .kind = DFU_COMMANDS, .any_alt = true, .length = 64, .out = script.out });
        if (states[i] != DFU_IDLE)
            PLAY("abort");
        PLAY("upload 0 64 -> short 4");
        did_read(4);
        assert_int_equal(script.board.state, DFU_UNKNOWN); /* it stays or not: unknown */
    }
}

static void test_upload_block(void **state)
{
    (void)state;
    found_in(DFU_DNLOAD_IDLE);
    begin((struct dfu_op){
        .kind = DFU_UPLOAD_BLOCK, .any_alt = true, .block = 7, .length = 512, .out = script.out });
    PLAY("abort", "upload 7 512");
    did_read(512);
    begin((struct dfu_op){
        .kind = DFU_UPLOAD_BLOCK, .any_alt = true, .block = 8, .length = 512, .out = script.out });
    PLAY("getstate -> dfuUPLOAD-IDLE", "upload 8 512 -> short 12");
    did_read(12);
}

/* ---- commands ---- */

static void test_set_address(void **state)
{
    (void)state;
    begin((struct dfu_op){ .kind = DFU_SET_ADDRESS, .any_alt = true, .address = 0x20004000 });
    PLAY(RUN("set 20004000"), "done");
    begin_read(0x20004000, 2048);
    PLAY("abort", "upload 2 2048");
    did_read(2048);
}

static void test_erase(void **state)
{
    (void)state;
    begin_write(FLASH, 2048);
    PLAY(RUN("set 08000000"), RUN("dnload 2 2048"));
    begin((struct dfu_op){ .kind = DFU_ERASE, .address = FLASH + 0x4000 });
    PLAY(RUN("erase 08004000"), "done");
    assert_false(script.op.in_doubt);
    begin_write(FLASH + 2048, 2048); /* an erase moves the pointer */
    PLAY(RUN("set 08000800"), RUN("dnload 2 2048"));
    wrote(2048);
}

static void test_mass_erase(void **state)
{
    (void)state;
    begin((struct dfu_op){ .kind = DFU_MASS_ERASE, .limit = 45 });
    PLAY("mass-erase", "getstatus -> dfuDNBUSY 100", "wait 100");
    assert_true(script.act.seconds >= 40); /* a ROM delays the answer for up to 32 s */
    PLAY("getstatus -> dfuDNLOAD-IDLE +31.9", "done");
    assert_false(script.op.in_doubt);
}

static void test_read_unprotect(void **state)
{
    (void)state;
    begin_simple(DFU_READ_UNPROTECT);
    PLAY("unprotect", "getstatus -> dfuDNBUSY 100", "wait 100", "getstatus -> gone", "done");
    assert_true(script.op.gone);
    assert_false(script.op.in_doubt);
    found_in(DFU_IDLE);
    begin_simple(DFU_READ_UNPROTECT); /* gone before GETSTATUS: it was unplugged */
    PLAY("unprotect", "getstatus -> gone", "fail gone");
    assert_true(script.op.in_doubt);
    assert_true(script.op.gone);
    found_in(DFU_IDLE);
    begin_simple(DFU_READ_UNPROTECT);
    PLAY("unprotect", "getstatus -> dfuDNBUSY 100", "wait 100", "getstatus -> dfuERROR errUNKNOWN",
         "fail status");
    assert_false(script.op.gone);
}

static void test_option_bytes(void **state)
{
    struct dfu_op op = {
        .kind = DFU_WRITE, .address = 0x1FFFC000, .length = 16, .data = script.image
    };
    (void)state;
    op.may_reset = true;
    begin(op);
    PLAY(RUN("set 1fffc000"), "dnload 2 16", "getstatus -> dfuDNBUSY 104", "wait 104",
         "getstatus -> gone");
    wrote(16);
    assert_true(script.op.gone);
    found_in(DFU_IDLE); /* a board that stays is fine, too */
    begin(op);
    PLAY(RUN("set 1fffc000"), RUN("dnload 2 16"));
    wrote(16);
    assert_false(script.op.gone);
}

/* A board that leaves after the first of two blocks has not written both. */
static void test_reset_before_the_end(void **state)
{
    (void)state;
    begin((struct dfu_op){ .kind = DFU_WRITE,
                           .address = 0x1FFFC000,
                           .length = 2048 + 16,
                           .data = script.image,
                           .may_reset = true });
    PLAY(RUN("set 1fffc000"), "dnload 2 2048", "getstatus -> dfuDNBUSY 104", "wait 104",
         "getstatus -> gone", "fail gone");
    assert_int_equal(script.op.done, 0);
    assert_true(script.op.in_doubt);
    assert_true(script.op.gone);
}

static void test_gone_while_setting_the_address(void **state)
{
    (void)state;
    begin((struct dfu_op){ .kind = DFU_WRITE,
                           .address = 0x1FFFC000,
                           .length = 5, /* as long as the command is */
                           .data = script.image,
                           .may_reset = true });
    PLAY("set 1fffc000", "getstatus -> dfuDNBUSY 104", "wait 104", "getstatus -> gone",
         "fail gone");
    assert_int_equal(script.op.done, 0);
}

static void test_download_block(void **state)
{
    struct dfu_op op = { .kind = DFU_DOWNLOAD_BLOCK, .any_alt = true, .data = script.image };
    (void)state;
    op.block = 5;
    op.length = 2048;
    begin(op);
    PLAY(RUN("dnload 5 2048"));
    wrote(2048);
    op.length = 3; /* the user may move the pointer */
    op.block = 0;
    begin(op);
    PLAY(RUN("dnload 0 3"));
    wrote(3);
    op.length = 0;
    begin(op);
    PLAY("dnload 0 0", "getstatus -> dfuMANIFEST 1", "done");
    assert_true(script.op.gone);
}

static void test_single_requests(void **state)
{
    (void)state;
    found_in(DFU_UNKNOWN);
    begin_simple(DFU_GET_STATE);
    PLAY("getstate -> dfuDNLOAD-SYNC", "done");
    assert_int_equal(script.op.state, DFU_DNLOAD_SYNC);
    begin_simple(DFU_GET_STATUS);
    PLAY("getstatus -> dfuERROR errFIRMWARE 515", "done");
    assert_int_equal(script.op.state, DFU_ERROR);
    assert_int_equal(script.op.status, 10);
    assert_true(fabs(script.op.poll - 0.515) < 1e-9);
    begin_simple(DFU_GET_STATUS);
    PLAY("getstatus -> dfuERROR 16777215", "done");
    assert_true(fabs(script.op.poll - 16777.215) < 1e-6);
    begin_simple(DFU_CLEAR_STATUS);
    PLAY("clrstatus", "getstatus -> dfuIDLE", "done");
    begin_simple(DFU_CLEAR_STATUS); /* there is nothing to clear */
    PLAY("done");
    script.board.state = DFU_DNLOAD_IDLE;
    begin_simple(DFU_ABORT);
    PLAY("abort", "done");
    assert_int_equal(script.board.state, DFU_IDLE);
    begin_simple(DFU_ABORT);
    PLAY("abort -> stall", "fail stall");
    assert_int_equal(script.board.state, DFU_UNKNOWN);
}

static void test_detach(void **state)
{
    static const char *const good[] = { "detach 1000", "detach 1000 -> gone",
                                        "detach 1000 -> stall" };
    static const char *const bad[][2] = { { "detach 1000 -> timeout", "fail timeout" },
                                          { "detach 1000 -> io", "fail io" } };
    struct dfu_op op = { .kind = DFU_DETACH, .any_alt = true, .block = 1000 };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        begin(op);
        PLAY(good[i], "done");
        assert_int_equal(script.board.state, DFU_UNKNOWN);
    }
    for (size_t i = 0; i < 2; i++) {
        begin(op);
        PLAY(bad[i][0], bad[i][1]);
    }
}

/* ---- alternate settings ---- */

static void test_select(void **state)
{
    struct dfu_op op = { .kind = DFU_ERASE, .address = FLASH, .alt = 2 };
    (void)state;
    begin(op);
    PLAY("select 2", RUN("erase 08000000"), "done");
    begin(op); /* it is in force */
    PLAY(RUN("erase 08000000"), "done");
    op.alt = 1;
    begin(op); /* and another one only from dfuIDLE */
    PLAY("abort", "select 1", RUN("erase 08000000"), "done");
    op.alt = 3;
    op.any_alt = true;
    begin(op);
    PLAY(RUN("erase 08000000"), "done");
    op.any_alt = false;
    begin(op);
    PLAY("abort", "select 3 -> stall", "fail stall");
    assert_int_equal(script.board.alt, 1);
    script.board.several_alts = false;
    found_in(DFU_IDLE);
    begin(op);
    PLAY(RUN("erase 08000000"), "done");
}

static void test_select_forgets_the_address(void **state)
{
    struct dfu_op op = {
        .kind = DFU_WRITE, .address = FLASH, .length = 2048, .data = script.image
    };
    (void)state;
    begin(op);
    PLAY(RUN("set 08000000"), RUN("dnload 2 2048"), "done");
    op.alt = 1;
    op.address += 2048;
    begin(op);
    PLAY("abort", "select 1", RUN("set 08000800"), RUN("dnload 2 2048"), "done");
}

/* ---- leaving ---- */

static void begin_leave(bool has_address)
{
    begin((struct dfu_op){
        .kind = DFU_LEAVE, .any_alt = true, .has_address = has_address, .address = FLASH });
}

static void left(bool assumed)
{
    PLAY("done");
    assert_true(script.op.gone);
    assert_int_equal(script.op.assumed, assumed);
    assert_int_equal(script.board.state, DFU_UNKNOWN);
    found_in(DFU_IDLE);
}

static void test_leave_confirmed(void **state)
{
    (void)state;
    begin_leave(true);
    PLAY(RUN("set 08000000"), "dnload 2 0", "getstatus -> dfuMANIFEST 1");
    left(false);
    begin_leave(false);
    PLAY("dnload 2 0", "getstatus -> dfuMANIFEST 1");
    left(false);
    begin_leave(false);
    PLAY("dnload 2 0", "getstatus -> gone");
    left(false);
    begin_leave(false); /* it needs some time first */
    PLAY("dnload 2 0", "getstatus -> dfuMANIFEST-SYNC 30", "wait 30", "getstatus -> dfuMANIFEST 1");
    left(false);
}

static void test_leave_assumed(void **state)
{
    static const char *const lost[] = { "getstatus -> stall", "getstatus -> io",
                                        "getstatus -> timeout", "getstatus -> short 3" };
    (void)state;
    begin_leave(false);
    PLAY("dnload 2 0 -> gone");
    left(true);
    for (size_t i = 0; i < 4; i++) { /* one lost answer does not mean that the board has left */
        begin_leave(false);
        PLAY("dnload 2 0", lost[i], "getstatus -> dfuMANIFEST 1");
        left(false);
        begin_leave(false);
        PLAY("dnload 2 0", lost[i], lost[3 - i]);
        left(true);
        begin_leave(false);
        PLAY("dnload 2 0", lost[i], "getstatus -> gone");
        left(true);
    }
}

/* A request that was sent again does not use up the repetition of its GETSTATUS. */
static void test_leave_after_a_stall(void **state)
{
    (void)state;
    begin_leave(false);
    PLAY("dnload 2 0 -> stall", "getstatus -> dfuIDLE", "dnload 2 0", "getstatus -> io",
         "getstatus -> dfuMANIFEST 1");
    left(false);
}

static void test_leave_refused(void **state)
{
    (void)state;
    begin_leave(false);
    PLAY("dnload 2 0", "getstatus -> dfuERROR errTARGET", "fail status");
    assert_false(script.op.gone);
    found_in(DFU_IDLE);
    begin_leave(false);
    PLAY("dnload 2 0", "getstatus -> dfuIDLE", "fail state");
    begin_leave(false);
    PLAY("dnload 2 0", "getstatus -> dfuDNLOAD-IDLE", "fail state");
    found_in(DFU_IDLE);
    begin_leave(false);
    PLAY("dnload 2 0 -> timeout", "fail timeout");
    found_in(DFU_IDLE);
    begin_leave(true);
    PLAY("set 08000000", "getstatus -> dfuDNBUSY 104", "wait 104",
         "getstatus -> dfuERROR errTARGET", "fail status");
    found_in(DFU_IDLE);
    begin_leave(false); /* stalled, but executed */
    PLAY("dnload 2 0 -> stall", "getstatus -> dfuDNBUSY 104", "wait 104",
         "getstatus -> dfuERROR errTARGET", "fail status");
    found_in(DFU_IDLE);
    begin_leave(false);
    PLAY("dnload 2 0 -> stall", "getstatus -> dfuMANIFEST", "done");
    assert_true(script.op.gone);
}

/* ---- plain DFU ---- */

static void open_plain(bool tolerant)
{
    script.board.dfuse = script.board.several_alts = false;
    script.board.tolerant = tolerant;
    script.board.transfer_size = 1024;
    found_in(DFU_IDLE);
}

static void test_plain_write_tolerant(void **state)
{
    (void)state;
    open_plain(true);
    begin_write(0, 2500);
    PLAY(RUN("dnload 0 1024"), RUN("dnload 1 1024"), RUN("dnload 2 452"), "dnload 3 0",
         "getstatus -> dfuMANIFEST 50", "wait 50", "getstatus -> dfuMANIFEST-SYNC 20", "wait 20",
         "getstatus -> dfuIDLE");
    wrote(2500);
    assert_false(script.op.gone);
    assert_false(script.op.wants_reset);
    assert_int_equal(script.board.state, DFU_IDLE);
}

static void test_plain_write_intolerant(void **state)
{
    (void)state;
    open_plain(false);
    begin_write(0, 1024);
    PLAY(RUN("dnload 0 1024"), "dnload 1 0", "getstatus -> dfuMANIFEST-SYNC 10", "wait 10",
         "getstatus -> dfuMANIFEST 50", "wait 50");
    wrote(1024);
    assert_true(script.op.gone && script.op.wants_reset);
    found_in(DFU_IDLE);
    begin_write(0, 1024);
    PLAY(RUN("dnload 0 1024"), "dnload 1 0", "getstatus -> dfuMANIFEST-WAIT-RESET");
    wrote(1024);
    assert_true(script.op.gone && script.op.wants_reset);
    found_in(DFU_IDLE);
    begin_write(0, 1024); /* it resets itself */
    PLAY(RUN("dnload 0 1024"), "dnload 1 0", "getstatus -> gone");
    wrote(1024);
    assert_true(script.op.gone);
    assert_false(script.op.wants_reset);
    found_in(DFU_IDLE);
    begin_write(0, 1024);
    PLAY(RUN("dnload 0 1024"), "dnload 1 0", "getstatus -> dfuERROR errVERIFY", "fail status");
    assert_int_equal(script.op.status, 7);
    found_in(DFU_IDLE);
    begin((struct dfu_op){ .kind = DFU_WRITE, .length = 4, .data = script.image, .limit = 1 });
    PLAY(RUN("dnload 0 4"), "dnload 1 0", "getstatus -> dfuMANIFEST-SYNC 700", "wait 700",
         "getstatus -> dfuMANIFEST-SYNC 700", "wait 300", "getstatus -> dfuMANIFEST-SYNC 700",
         "fail timeout");
}

static void test_plain_read(void **state)
{
    (void)state;
    open_plain(true);
    begin_read(0, 2048);
    PLAY("upload 0 1024", "upload 1 1024");
    did_read(2048);
    begin_read(0, 4096); /* a new one begins in dfuIDLE, and may end early */
    PLAY("abort", "upload 0 1024", "upload 1 1024", "upload 2 1024 -> short 7");
    did_read(2055);
    assert_true(script.op.upload_ended);
    begin_read(0, 2048);
    PLAY("getstate -> dfuIDLE", "upload 0 1024", "upload 1 1024 -> short 0");
    did_read(1024);
    assert_true(script.op.upload_ended);
}

/* Devices that count blocks themselves would continue the last upload. */
static void test_plain_starts_from_idle(void **state)
{
    (void)state;
    open_plain(true);
    found_in(DFU_DNLOAD_IDLE);
    begin_write(0, 1024);
    PLAY("abort", RUN("dnload 0 1024"), "dnload 1 0", "getstatus -> dfuIDLE");
    wrote(1024);
    found_in(DFU_UPLOAD_IDLE);
    begin_write(0, 1024);
    PLAY("abort", RUN("dnload 0 1024"), "dnload 1 0", "getstatus -> dfuIDLE");
    wrote(1024);
    found_in(DFU_DNLOAD_IDLE);
    begin_read(0, 10);
    PLAY("abort", "upload 0 1024"); /* whole blocks, of which a part is wanted */
    did_read(10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        SCRIPT_TEST(test_write),
        SCRIPT_TEST(test_write_goes_on),
        SCRIPT_TEST(test_short_block_ends_the_counting),
        SCRIPT_TEST(test_block_numbers_run_out),
        SCRIPT_TEST(test_write_at_the_end_of_addresses),
        SCRIPT_TEST(test_write_of_nothing),
        SCRIPT_TEST(test_transfers_of_a_block),
        SCRIPT_TEST(test_read),
        SCRIPT_TEST(test_read_and_write_in_turn),
        SCRIPT_TEST(test_short_read_fails),
        SCRIPT_TEST(test_commands),
        SCRIPT_TEST(test_upload_block),
        SCRIPT_TEST(test_set_address),
        SCRIPT_TEST(test_erase),
        SCRIPT_TEST(test_mass_erase),
        SCRIPT_TEST(test_read_unprotect),
        SCRIPT_TEST(test_option_bytes),
        SCRIPT_TEST(test_reset_before_the_end),
        SCRIPT_TEST(test_gone_while_setting_the_address),
        SCRIPT_TEST(test_download_block),
        SCRIPT_TEST(test_single_requests),
        SCRIPT_TEST(test_detach),
        SCRIPT_TEST(test_select),
        SCRIPT_TEST(test_select_forgets_the_address),
        SCRIPT_TEST(test_leave_confirmed),
        SCRIPT_TEST(test_leave_assumed),
        SCRIPT_TEST(test_leave_after_a_stall),
        SCRIPT_TEST(test_leave_refused),
        SCRIPT_TEST(test_plain_write_tolerant),
        SCRIPT_TEST(test_plain_write_intolerant),
        SCRIPT_TEST(test_plain_read),
        SCRIPT_TEST(test_plain_starts_from_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
