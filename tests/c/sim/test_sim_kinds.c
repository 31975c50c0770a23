/* SPDX-License-Identifier: MIT */
/* The other kinds of simulated board, where they differ from the F407; and what holds for all. */
#include "sim/simrig.h"
#include "sim/simtorment.h"

enum { FLASH = 0x08000000, L4_OPTIONS = 0x1FFF7800 };

static void check_text(unsigned index, const char *wanted)
{
    int length = rig_control(0x80, 6, 0x0300 | index, 0x0409, 255);

    assert_int_equal(length, 2 + 2 * strlen(wanted));
    for (size_t i = 0; i < strlen(wanted); i++)
        assert_int_equal(rig.data[2 + 2 * i], wanted[i]);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(sim_kind_name(0), "f407");
    assert_string_equal(sim_kind_name(1), "l452");
    assert_string_equal(sim_kind_name(2), "g474");
    assert_string_equal(sim_kind_name(3), "dfu11");
    assert_null(sim_kind_name(4));
    assert_null(sim_kind_name(SIZE_MAX));
}

static void test_bad_options(void **state)
{
    const struct sim_options bad[] = {
        { .kind = NULL, .state = -1 },
        { .kind = "", .state = -1 },
        { .kind = "f40", .state = -1 },
        { .kind = "f407", .state = -2 },
        { .kind = "f407", .state = 11 },
        { .kind = "f407", .state = -1, .rdp = 3 },
        { .kind = "f407", .state = -1, .rdp = -1 },
        { .kind = "f407", .state = -1, .usb = (enum sim_usb)7 },
        { .kind = "f407", .state = -1, .times = (enum sim_times)7 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(sim_new(&bad[i]));
    sim_free(NULL);
}

/* ---- STM32L433 ---- */

static void test_l452_face(void **state)
{
    (void)state;
    rig_open("l452");
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 18), 18);
    assert_memory_equal(rig.data + 8, "\x83\x04\x11\xDF\x00\x22", 6);
    assert_int_equal(rig_control(0x80, 6, 0x0200, 0, 255), 54);
    check_text(2, "STM32  BOOTLOADER");
    check_text(4, "@Internal Flash  /0x08000000/0256*0002Kg");
    check_text(5, "@Option Bytes  /0x1FFF7800/01*040 e");
    check_text(6, "@OTP Memory /0x1FFF7000/01*0001Ke");
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_FIRMWARE);
    assert_int_equal(rig_byte(FLASH + 256 * 2048 - 1), 0xFF);
    assert_false(sim_peek(rig.sim, 0, FLASH + 256 * 2048, rig.data, 1));
    assert_int_equal(rig_byte(0x1FFF73FF), 0xFF);
    assert_int_equal(rig_byte(L4_OPTIONS), 0xAA);
}

static void test_l452_stalls_while_busy(void **state)
{
    (void)state;
    rig_open_ready("l452");
    rig_fill(FLASH + 0x800, 0, 0x1000);
    rig_command(0x41, FLASH + 0x900);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig.poll, 21);
    rig.now += rig.poll / 1e3; /* as announced, and too short */
    assert_int_equal(rig_status(), SIM_STALL);
    assert_int_equal(rig_state(), SIM_STALL);
    rig_near(rig.last.seconds, 0.0004, 1e-6);
    rig.now += rig.poll / 1e3;
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_run(FLASH + 0x800, 0xFF, 0x800), 0x800);
    assert_int_equal(rig_byte(FLASH + 0x1000), 0);
    memset(rig.data, 0, 2048);
    rig_dnload(2, rig.data, 2048);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    rig.now += rig.poll / 1e3; /* 256 doublewords of 82 us: long enough */
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    rig_set_address(FLASH);
}

static void test_l452_without_times(void **state)
{
    (void)state;
    rig_open_with((struct sim_options){
        .kind = "l452", .usb = SIM_USB_REAL, .times = SIM_TIMES_ZERO, .state = DFU_IDLE });
    /* nothing takes time, so nothing may be busy, however its front adds up the times */
    for (int i = 0; i < 4; i++) {
        rig_command(0x21, FLASH);
        assert_int_equal(rig_status(), DFU_DNBUSY);
        rig.now -= 1e-12;
        assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    }
}

static void test_l452_protection(void **state)
{
    (void)state;
    rig_open_with((struct sim_options){
        .kind = "l452", .rdp = 1, .wrp = 2, .times = SIM_TIMES_ZERO, .state = DFU_IDLE });
    assert_int_equal(rig_byte(L4_OPTIONS), 0);
    rig_command(0x21, FLASH);
    assert_int_equal(rig_execute(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_VENDOR);
    rig_ready();
    rig_dnload(0, "\x92", 1);
    rig_status();
    rig_ready();
    rig_write(FLASH, "\x00\x00\x00\x00\x00\x00\x00\x00", 8);
    rig_write(FLASH + 2048, "\x00\x00\x00\x00\x00\x00\x00\x00", 8);
    assert_int_equal(rig_byte(FLASH), 0);
    assert_int_equal(rig_byte(FLASH + 2048), 0xFF);
}

/* ---- STM32G474 ---- */

static void test_g474(void **state)
{
    static const uint8_t functional[] = { 9, 0x21, 0x0B, 0xFF, 0x00, 0x00, 0x04, 0x1A, 0x01 };

    (void)state;
    rig_open("g474");
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 18), 18);
    assert_memory_equal(rig.data, "\x12\x01\x00\x02", 4);
    assert_memory_equal(rig.data + 8, "\x83\x04\x11\xDF\x00\x02", 6);
    assert_int_equal(rig_control(0x80, 6, 0x0200, 0, 255), 45);
    assert_int_equal(rig.data[2], 45);
    assert_memory_equal(rig.data + 36, functional, 9);
    check_text(2, "DFU in FS Mode");
    check_text(4, "@Internal Flash   /0x08000000/256*02Kg");
    check_text(5, "@Option Bytes   /0x1FFF7800/01*048 e/0x1FFFF800/01*048 e");
    check_text(6, "@OTP Memory   /0x1FFF7000/01*1024 e");
    assert_int_equal(rig_control(0x01, 11, 2, 0, 0), 0);
    assert_int_equal(rig_control(0x01, 11, 3, 0, 0), SIM_STALL);
    rig_ready();
    rig_set_address(FLASH);
    memset(rig.data, 0, 2048);
    assert_int_equal(rig_dnload(2, rig.data, 1025), SIM_STALL);
    assert_int_equal(rig_dnload(2, rig.data, 2048), SIM_STALL);
    assert_int_equal(rig_state(), DFU_DNLOAD_IDLE);
    rig.data[0] = 0;
    assert_int_equal(rig_dnload(3, rig.data, 1024), 1024);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_run(FLASH + 1024, 0, 1024), 1024);
    assert_int_equal(rig_byte(FLASH + 2048), 0xFF);
    rig_abort();
    assert_int_equal(rig_upload(2, 1025), SIM_STALL);
    assert_int_equal(rig_upload(2, 1024), 1024);
}

static void test_g474_second_options(void **state)
{
    (void)state;
    rig_open_ready("g474");
    rig_set_address(0x1FFFF800);
    memset(rig.data, 0x77, 48);
    rig_dnload(2, rig.data, 48);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig_life(), SIM_AWAY);
    rig.now += 0.2;
    assert_int_equal(sim_generation(rig.sim), 1);
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(sim_generation(rig.sim), 2);
    assert_int_equal(rig_run(0x1FFFF800, 0x77, 48), 48);
    assert_int_equal(rig_byte(L4_OPTIONS), 0xAA);
}

/* ---- plain DFU 1.1 ---- */

static void test_dfu11_runtime(void **state)
{
    const uint8_t *config;
    size_t length;

    (void)state;
    rig_open("dfu11");
    assert_int_equal(rig_life(), SIM_RUNTIME);
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 18), 18);
    assert_memory_equal(rig.data + 8, "\x09\x12\x01\x00", 4);
    config = sim_config_descriptor(rig.sim, &length);
    assert_int_equal(length, 27);
    assert_memory_equal(config + 9, "\x09\x04\x00\x00\x00\xFE\x01\x01", 8);
    assert_memory_equal(config + 18, "\x09\x21\x0B\xE8\x03\x00\x04\x10\x01", 9);
    assert_int_equal(rig_state(), DFU_APP_IDLE);
    assert_int_equal(rig_status(), DFU_APP_IDLE);
    assert_int_equal(rig.status, DFU_OK);
    assert_int_equal(rig_dnload(0, "ab", 2), SIM_STALL);
    assert_int_equal(rig_upload(0, 2), SIM_STALL);
    assert_int_equal(rig_abort(), SIM_STALL);
    assert_int_equal(rig_clear(), SIM_STALL);
    assert_int_equal(rig_state(), DFU_APP_IDLE);
    sim_bus_reset(rig.sim, rig.now);
    assert_int_equal(rig_life(), SIM_RUNTIME);
    assert_int_equal(sim_generation(rig.sim), 1);
}

static void check_dfu11_arrived(void)
{
    const uint8_t *config;
    size_t length;

    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(sim_generation(rig.sim), 2);
    config = sim_config_descriptor(rig.sim, &length);
    assert_int_equal(length, 27);
    assert_memory_equal(config + 9, "\x09\x04\x00\x00\x00\xFE\x01\x02", 8);
    assert_memory_equal(sim_device_descriptor(rig.sim, &length) + 8, "\x09\x12\x02\x00", 4);
    assert_int_equal(rig_status(), DFU_IDLE);
    assert_int_equal(rig.status, DFU_OK);
}

static void test_dfu11_detach(void **state)
{
    (void)state;
    rig_open("dfu11");
    assert_int_equal(rig_control(0x21, 0, 1000, 0, 0), 0);
    assert_int_equal(rig_status(), DFU_APP_DETACH);
    assert_int_equal(rig_control(0x21, 0, 1000, 0, 0), SIM_STALL);
    rig.now += 0.1; /* bitWillDetach: it goes by itself */
    assert_int_equal(rig_life(), SIM_AWAY);
    assert_int_equal(rig_status(), SIM_GONE);
    rig.now += 0.2;
    check_dfu11_arrived();
    rig_close(NULL);
    rig_open("dfu11");
    rig_control(0x21, 0, 1000, 0, 0);
    sim_bus_reset(rig.sim, rig.now); /* or by a bus reset, earlier */
    check_dfu11_arrived();
    rig.now += 10;
    assert_int_equal(sim_generation(rig.sim), 2);
    assert_int_equal(rig_life(), SIM_DFU);
}

static void open_dfu11(void)
{
    rig_open_with((struct sim_options){ .kind = "dfu11", .state = DFU_IDLE });
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(sim_generation(rig.sim), 1);
}

/* Waits for the announced times, until the board is not busy. */
static int wait_while(int state)
{
    int now = rig_status();

    for (int i = 0; now == state && i < 10; i++) {
        rig.now += rig.poll / 1e3;
        now = rig_status();
    }
    return now;
}

static void download_dfu11(unsigned block, size_t length)
{
    assert_int_equal(rig_dnload(block, rig.data, length), length);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_true(rig.poll > 0);
    assert_int_equal(rig_status(), DFU_DNBUSY); /* reported, not delayed by NAKs */
    rig_near(rig.last.seconds, 0.0004, 1e-6);
    assert_int_equal(rig_dnload(block, rig.data, length), SIM_STALL);
    rig.now += 0.040; /* 20 ms to erase, and 27 to write if it is 1 KB */
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(wait_while(DFU_DNBUSY), DFU_DNLOAD_IDLE);
}

static void test_dfu11_download(void **state)
{
    const struct sim_start *start;

    (void)state;
    open_dfu11();
    start = sim_started(rig.sim);
    rig_fill(0, 0x00, 4096);
    memset(rig.data, 0x5A, 1024);
    memcpy(rig.data, "\x00\x20\x00\x20\x41\x01\x00\x08", 8);
    download_dfu11(0, 1024);
    memset(rig.data, 0xA5, 1024);
    download_dfu11(1, 1000); /* erased before it was written */
    assert_int_equal(rig_run(1024, 0xA5, 1000), 1000);
    assert_int_equal(rig_run(2024, 0xFF, 24), 24);
    assert_int_equal(rig_byte(2048), 0);
    assert_int_equal(rig_dnload(2, NULL, 0), 0);
    assert_int_equal(rig_state(), DFU_MANIFEST_SYNC);
    assert_int_equal(rig_status(), DFU_MANIFEST);
    assert_int_equal(wait_while(DFU_MANIFEST), DFU_MANIFEST_WAIT_RESET);
    assert_int_equal(rig_abort(), SIM_STALL);
    assert_int_equal(rig_status(), DFU_MANIFEST_WAIT_RESET);
    assert_false(start->happened);
    sim_bus_reset(rig.sim, rig.now);
    assert_int_equal(rig_life(), SIM_RUNTIME);
    assert_int_equal(sim_generation(rig.sim), 2);
    assert_int_equal(rig_state(), DFU_APP_IDLE);
    assert_true(start->happened);
    assert_true(start->works);
    assert_int_equal(start->address, 0);
    assert_int_equal(start->sp, 0x20002000);
    assert_int_equal(start->pc, 0x08000141);
    sim_reset(rig.sim, rig.now);
    assert_int_equal(rig_life(), SIM_RUNTIME);
}

static void test_dfu11_half_a_program(void **state)
{
    (void)state;
    open_dfu11();
    memset(rig.data, 0, 1024);
    download_dfu11(0, 1024);
    sim_unplug(rig.sim, rig.now);
    sim_plug(rig.sim, rig.now); /* no BOOT0 pin: the boot loader stays for want of a program */
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_FIRMWARE);
    sim_bus_reset(rig.sim, rig.now);
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(sim_generation(rig.sim), 2);
    rig_ready();
    sim_unplug(rig.sim, rig.now);
    rig_close(NULL);
    open_dfu11();
    sim_reset(rig.sim, rig.now); /* its program is unchanged */
    assert_int_equal(rig_life(), SIM_RUNTIME);
}

static void test_dfu11_upload(void **state)
{
    (void)state;
    open_dfu11();
    rig_poke(65536 - 3, "end", 3);
    assert_int_equal(rig_upload(0, 1024), 1024);
    assert_int_equal(rig_state(), DFU_UPLOAD_IDLE);
    assert_int_equal(rig_upload(63, 1024), 1024);
    assert_memory_equal(rig.data + 1021, "end", 3);
    assert_int_equal(rig_state(), DFU_UPLOAD_IDLE);
    assert_int_equal(rig_upload(64, 1024), 0); /* short: it was all */
    assert_int_equal(rig_state(), DFU_IDLE);
    assert_int_equal(rig_upload(65535, 1024), 0);
    assert_int_equal(rig_state(), DFU_IDLE);
}

static void test_dfu11_errors(void **state)
{
    (void)state;
    open_dfu11();
    memset(rig.data, 0, 1024);
    rig_dnload(64, rig.data, 1024); /* past the end */
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(wait_while(DFU_DNBUSY), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_ADDRESS);
    assert_int_equal(rig_abort(), SIM_STALL);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_ADDRESS);
    rig_ready();
    assert_int_equal(rig_dnload(0, NULL, 0), SIM_STALL);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_STALLEDPKT);
    rig_ready();
    assert_int_equal(rig_clear(), SIM_STALL);
    assert_int_equal(rig_state(), DFU_ERROR);
    rig_ready();
    assert_int_equal(rig_dnload(0, rig.data, 1025), SIM_STALL);
    assert_int_equal(rig_state(), DFU_ERROR);
}

static void test_dfu11_other_start_states(void **state)
{
    (void)state;
    rig_open_with((struct sim_options){ .kind = "dfu11", .state = DFU_APP_DETACH });
    assert_int_equal(rig_life(), SIM_RUNTIME);
    assert_int_equal(rig_status(), DFU_APP_DETACH);
    rig.now += 0.3;
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(sim_generation(rig.sim), 2);
    rig_close(NULL);
    rig_open_with((struct sim_options){ .kind = "dfu11", .state = DFU_DNLOAD_SYNC });
    rig_fill(0, 0, 2048);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(wait_while(DFU_DNBUSY), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_run(0, 0xFF, 1024), 1024);
    assert_int_equal(rig_byte(1024), 0);
}

static void test_dfu11_unplug_mid_write(void **state)
{
    (void)state;
    open_dfu11();
    rig_fill(0, 0x33, 2048);
    memset(rig.data, 0, 1024);
    rig_dnload(0, rig.data, 1024);
    rig_status();
    rig.now += 0.02;
    sim_unplug(rig.sim, rig.now);
    assert_in_range(rig_run(0, 0, 1024), 2, 1022);
    assert_int_equal(rig_byte(1023), 0xFF);
    assert_int_equal(rig_byte(1024), 0x33);
}

/* ---- all kinds ---- */

static void test_hostile_requests(void **state)
{
    (void)state;
    for (size_t i = 0; sim_kind_name(i) != NULL; i++) {
        for (int start = -1; start <= 10; start++) {
            seed = (uint32_t)(1 + 100 * i + (size_t)(start + 1));
            torment(&(struct sim_options){
                .kind = sim_kind_name(i), .rdp = start == 4, .wrp = 5, .state = start });
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_options),
        RIG_TEST(test_l452_face),
        RIG_TEST(test_l452_stalls_while_busy),
        RIG_TEST(test_l452_without_times),
        RIG_TEST(test_l452_protection),
        RIG_TEST(test_g474),
        RIG_TEST(test_g474_second_options),
        RIG_TEST(test_dfu11_runtime),
        RIG_TEST(test_dfu11_detach),
        RIG_TEST(test_dfu11_download),
        RIG_TEST(test_dfu11_half_a_program),
        RIG_TEST(test_dfu11_upload),
        RIG_TEST(test_dfu11_errors),
        RIG_TEST(test_dfu11_other_start_states),
        RIG_TEST(test_dfu11_unplug_mid_write),
        cmocka_unit_test(test_hostile_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
