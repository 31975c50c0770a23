/* SPDX-License-Identifier: MIT */
/* The simulated STM32F407: what a host sees, how its ROM answers, leaving it, losing power. */
#include "sim/simrig.h"

enum { FLASH = 0x08000000, OTP = 0x1FFF7800, RAM = 0x20000000 };

/* ---- what a host sees first ---- */

static void test_device_descriptor(void **state)
{
    static const uint8_t wanted[18] = { 0x12, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x40, 0x83,
                                        0x04, 0x11, 0xDF, 0x00, 0x21, 0x01, 0x02, 0x03, 0x01 };
    const uint8_t *direct;
    size_t length;

    (void)state;
    rig_open("f407");
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 64), 18);
    assert_memory_equal(rig.data, wanted, 18);
    direct = sim_device_descriptor(rig.sim, &length);
    assert_int_equal(length, 18);
    assert_memory_equal(direct, wanted, 18);
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 8), 8);
}

static void test_config_descriptor(void **state)
{
    static const uint8_t wanted[54] = {
        0x09, 0x02, 0x36, 0x00, 0x01, 0x01, 0x00, 0xC0, 0x32, /* configuration */
        0x09, 0x04, 0x00, 0x00, 0x00, 0xFE, 0x01, 0x02, 0x04, /* setting 0 */
        0x09, 0x04, 0x00, 0x01, 0x00, 0xFE, 0x01, 0x02, 0x05, /* setting 1 */
        0x09, 0x04, 0x00, 0x02, 0x00, 0xFE, 0x01, 0x02, 0x06, /* setting 2 */
        0x09, 0x04, 0x00, 0x03, 0x00, 0xFE, 0x01, 0x02, 0x07, /* setting 3 */
        0x09, 0x21, 0x0B, 0xFF, 0x00, 0x00, 0x08, 0x1A, 0x01, /* functional */
    };
    const uint8_t *direct;
    size_t length;

    (void)state;
    rig_open("f407");
    assert_int_equal(rig_control(0x80, 6, 0x0200, 0, 255), 54);
    assert_memory_equal(rig.data, wanted, 54);
    direct = sim_config_descriptor(rig.sim, &length);
    assert_int_equal(length, 54);
    assert_memory_equal(direct, wanted, 54);
    assert_int_equal(rig_control(0x80, 6, 0x0200, 0, 9), 9);
    assert_int_equal(rig_control(0x80, 6, 0x0201, 0, 9), SIM_STALL);
}

static void check_string(unsigned index, const char *wanted)
{
    int length = rig_control(0x80, 6, 0x0300 | index, 0x0409, 255);

    assert_int_equal(length, 2 + 2 * strlen(wanted));
    assert_int_equal(rig.data[0], length);
    assert_int_equal(rig.data[1], 3);
    for (size_t i = 0; i < strlen(wanted); i++) {
        assert_int_equal(rig.data[2 + 2 * i], wanted[i]);
        assert_int_equal(rig.data[3 + 2 * i], 0);
    }
}

static void test_strings(void **state)
{
    static const uint8_t languages[] = { 4, 3, 9, 4 };
    char text[300];

    (void)state;
    rig_open("f407");
    assert_int_equal(rig_control(0x80, 6, 0x0300, 0, 255), 4);
    assert_memory_equal(rig.data, languages, 4);
    check_string(1, "STMicroelectronics");
    check_string(2, "STM32  BOOTLOADER");
    check_string(3, "315A28A0B956");
    check_string(4, "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg");
    check_string(5, "@Option Bytes  /0x1FFFC000/01*016 g");
    check_string(6, "@OTP Memory /0x1FFF7800/01*512 g,01*016 g");
    check_string(7, "@Device Feature/0xFFFF0000/01*004 g");
    assert_int_equal(rig_control(0x80, 6, 0x0308, 0x0409, 255), SIM_STALL);
    assert_int_equal(rig_control(0x80, 6, 0x03FF, 0x0409, 255), SIM_STALL);
    rig_close(NULL);

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    rig_open_with((struct sim_options){ .kind = "f407", .serial = text, .state = -1 });
    text[126] = '\0'; /* as many as a descriptor holds */
    check_string(3, text);
}

static void test_standard_requests(void **state)
{
    (void)state;
    rig_open("f407");
    assert_int_equal(rig_control(0x80, 8, 0, 0, 1), 1);
    assert_int_equal(rig.data[0], 0);
    assert_int_equal(rig_control(0x00, 9, 1, 0, 0), 0);
    assert_int_equal(rig_control(0x80, 8, 0, 0, 1), 1);
    assert_int_equal(rig.data[0], 1);
    assert_int_equal(rig_control(0x00, 9, 2, 0, 0), SIM_STALL);
    assert_int_equal(rig_control(0x01, 11, 3, 0, 0), 0);
    assert_int_equal(rig_control(0x81, 10, 0, 0, 1), 1);
    assert_int_equal(rig.data[0], 3);
    assert_int_equal(rig_control(0x01, 11, 4, 0, 0), SIM_STALL);
    assert_int_equal(rig_control(0x01, 11, 0, 1, 0), SIM_STALL);
    assert_int_equal(rig_control(0x80, 0, 0, 0, 2), 2);
    assert_int_equal(rig.data[0], 1); /* powered by itself */
    assert_int_equal(rig_control(0x80, 6, 0x0600, 0, 10), SIM_STALL);
    assert_int_equal(rig_control(0x00, 5, 7, 0, 0), SIM_STALL);
    assert_int_equal(rig_control(0x40, 1, 0, 0, 0), SIM_STALL);
    assert_int_equal(sim_requests(rig.sim), 0);
}

static void test_start_state(void **state)
{
    (void)state;
    rig_open("f407");
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(rig_state(), DFU_ERROR);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_FIRMWARE);
    assert_int_equal(rig.poll, 0);
    assert_int_equal(rig_dnload(2, "abcd", 4), SIM_STALL);
    assert_int_equal(rig_upload(2, 4), SIM_STALL);
    assert_int_equal(rig_abort(), 0); /* no effect */
    assert_int_equal(rig_state(), DFU_ERROR);
    assert_int_equal(rig_clear(), 0);
    assert_int_equal(rig_status(), DFU_IDLE);
    assert_int_equal(rig.status, DFU_OK);
    assert_int_equal(sim_requests(rig.sim), 8);
}

static void test_other_start_states(void **state)
{
    (void)state;
    rig_open_with((struct sim_options){ .kind = "f407", .state = DFU_UPLOAD_IDLE });
    assert_int_equal(rig_state(), DFU_UPLOAD_IDLE);
    rig_close(NULL);
    /* an erase of the first sector is stored: GETSTATUS would execute it, ABORT drops it */
    rig_open_with((struct sim_options){ .kind = "f407", .state = DFU_DNLOAD_SYNC });
    rig_fill(FLASH, 0, 64);
    assert_int_equal(rig_abort(), 0);
    assert_int_equal(rig_status(), DFU_IDLE);
    rig.now += 10;
    assert_int_equal(rig_byte(FLASH), 0);
    rig_close(NULL);
    rig_open_with((struct sim_options){ .kind = "f407", .state = DFU_DNLOAD_SYNC });
    rig_fill(FLASH, 0, 64);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(FLASH), 0xFF);
    rig_close(NULL);
    /* stuck in dfuDNBUSY: two CLRSTATUS are the way out, as an H743 has it */
    rig_open_with((struct sim_options){ .kind = "f407", .state = DFU_DNBUSY });
    assert_int_equal(rig_status(), DFU_DNBUSY);
    rig.now += 100;
    assert_int_equal(rig_abort(), 0);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig_clear(), 0);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_UNKNOWN);
    assert_int_equal(rig_clear(), 0);
    assert_int_equal(rig_status(), DFU_IDLE);
}

/* ---- the state machine ---- */

static void test_poll_table(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_command(0x21, FLASH);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig.poll, 104);
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig.poll, 0);
    rig_command(0x41, FLASH);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig.poll, 100);
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    rig_dnload(0, "\x41", 1);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig.poll, 100);
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    rig_dnload(2, "abcd", 4);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig.poll, 104);
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    rig_dnload(0, NULL, 0);
    assert_int_equal(rig_status(), DFU_MANIFEST);
    assert_int_equal(rig.poll, 1);
}

static void test_get_status_executes(void **state)
{
    (void)state;
    rig_open_ready("f407");
    assert_int_equal(rig_dnload(2, "\x12\x34", 2), 2);
    assert_int_equal(rig_state(), DFU_DNLOAD_SYNC);
    assert_int_equal(rig_dnload(2, "\x00\x00", 2), SIM_STALL);
    assert_int_equal(rig_upload(2, 4), SIM_STALL);
    rig.now += 100;
    assert_int_equal(rig_byte(FLASH), 0xFF);
    assert_int_equal(rig_state(), DFU_DNLOAD_SYNC);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig_byte(FLASH), 0xFF);
    rig.now += 1;
    assert_int_equal(rig_byte(FLASH), 0x12);
    assert_int_equal(rig_state(), DFU_DNLOAD_SYNC);
    assert_int_equal(rig_dnload(2, "\x00\x00", 2), SIM_STALL);
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(FLASH + 1), 0x34);
}

static void test_abort_drops(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_dnload(2, "\x12\x34", 2);
    assert_int_equal(rig_abort(), 0);
    assert_int_equal(rig_status(), DFU_IDLE);
    rig.now += 1;
    assert_int_equal(rig_byte(FLASH), 0xFF);
    assert_int_equal(rig_dnload(0, NULL, 0), 0);
    assert_int_equal(rig_state(), DFU_MANIFEST_SYNC);
    assert_int_equal(rig_dnload(2, "\x12\x34", 2), SIM_STALL);
    assert_int_equal(rig_upload(2, 2), SIM_STALL);
    assert_int_equal(rig_abort(), 0);
    assert_int_equal(rig_status(), DFU_IDLE);
    assert_int_equal(rig_life(), SIM_DFU);
}

static void test_early_status_waits(void **state)
{
    double start;

    (void)state;
    rig_open_ready("f407");
    rig_command(0x41, FLASH);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    start = rig.now;
    rig.now += 0.1;
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    rig_near(rig.last.seconds, 0.3 + 0.0004, 1e-6);
    rig_near(rig.last.wire, 0.000034, 1e-6); /* it is held by NAK, and others use the bus */
    rig_near(rig.now - start, 0.4004, 1e-6);
    rig_command(0x41, FLASH);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig_control(0x80, 8, 0, 0, 1), 1); /* so does any request */
    rig_near(rig.last.seconds, 0.4004, 1e-6);
    rig_status();
    rig_command(0x41, FLASH);
    rig_status();
    assert_int_equal(rig_abort(), 0);
    rig_near(rig.last.seconds, 0.4004, 1e-6);
    assert_int_equal(rig_state(), DFU_IDLE);
}

static void test_uploads(void **state)
{
    static const uint8_t commands[] = { 0x00, 0x21, 0x41, 0x92 };

    (void)state;
    rig_open_ready("f407");
    assert_int_equal(rig_upload(0, 64), 4);
    assert_memory_equal(rig.data, commands, 4);
    assert_int_equal(rig_state(), DFU_IDLE);
    assert_int_equal(rig_upload(0, 2), 2);
    assert_int_equal(rig_state(), DFU_UPLOAD_IDLE);
    assert_int_equal(rig_dnload(2, "ab", 2), SIM_STALL);
    assert_int_equal(rig_upload(2, 0), 0);
    assert_int_equal(rig_state(), DFU_IDLE);
    rig_poke(FLASH + 2048, "second", 6);
    assert_int_equal(rig_upload(3, 6), 6);
    assert_memory_equal(rig.data, "second", 6);
    assert_int_equal(rig_status(), DFU_UPLOAD_IDLE);
    assert_int_equal(rig_upload(3, 2048), 2048);
    assert_int_equal(rig_upload(3, 2049), SIM_STALL);
    assert_int_equal(rig_state(), DFU_UPLOAD_IDLE);
    assert_int_equal(rig_abort(), 0);
    rig_set_address(FLASH);
    assert_int_equal(rig_upload(2, 4), SIM_STALL); /* dfuDNLOAD-IDLE: ABORT comes first */
    assert_int_equal(rig_abort(), 0);
    assert_int_equal(rig_upload(1, 4), SIM_STALL);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_STALLEDPKT);
}

static void test_refused_downloads(void **state)
{
    (void)state;
    rig_open_ready("f407");
    assert_int_equal(rig_dnload(1, "ab", 2), SIM_STALL);
    assert_int_equal(rig_dnload(2, rig.data, 2049), SIM_STALL);
    assert_int_equal(rig_state(), DFU_IDLE);
    assert_int_equal(rig_dnload(0, "\x77", 1), 1);
    assert_int_equal(rig_execute(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_STALLEDPKT);
    rig_ready();
    assert_int_equal(rig_dnload(0, "\x21\x00\x00\x08", 4), 4);
    assert_int_equal(rig_execute(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_STALLEDPKT);
    rig_ready();
    assert_int_equal(rig_clear(), 0); /* outside dfuERROR that is an error of its own */
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_UNKNOWN);
    rig_ready();
    assert_int_equal(rig_control(0x21, 6, 0, 1, 0), SIM_STALL); /* no such interface */
    assert_int_equal(rig_control(0xA1, 3, 0, 1, 6), SIM_STALL);
    assert_int_equal(rig_control(0x21, 7, 0, 0, 0), SIM_STALL);
    assert_int_equal(rig_control(0x21, 0, 1000, 0, 0), 0); /* DETACH means nothing */
    assert_int_equal(rig_state(), DFU_IDLE);
    assert_int_equal(rig_life(), SIM_DFU);
}

/* ---- leaving ---- */

static void poke_vectors(uint32_t address, uint32_t sp, uint32_t pc)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(sp >> 8 * i);
        bytes[4 + i] = (uint8_t)(pc >> 8 * i);
    }
    rig_poke(address, bytes, 8);
}

/* Whether a program with these vectors at this address starts. */
static bool leaves_well(uint32_t address, uint32_t sp, uint32_t pc)
{
    const struct sim_start *start = sim_started(rig.sim);

    sim_reset(rig.sim, rig.now);
    poke_vectors(address, sp, pc);
    rig_ready();
    rig_set_address(address);
    assert_int_equal(rig_dnload(0, NULL, 0), 0);
    assert_int_equal(rig_state(), DFU_MANIFEST_SYNC);
    assert_int_equal(rig_status(), DFU_MANIFEST);
    assert_int_equal(rig_life(), SIM_RUNNING);
    assert_int_equal(rig_status(), SIM_GONE);
    assert_true(start->happened);
    assert_int_equal(start->address, address);
    assert_int_equal(start->sp, sp);
    assert_int_equal(start->pc, pc);
    return start->works;
}

static void test_leave(void **state)
{
    (void)state;
    rig_open("f407");
    assert_false(sim_started(rig.sim)->happened);
    assert_true(leaves_well(FLASH, 0x20020000, 0x08000189));
    assert_true(leaves_well(FLASH + 0x10000, 0x2001FF00, 0x08010189));
    assert_true(leaves_well(FLASH, 0x10010000, 0x08000189)); /* a stack in CCM */
    assert_true(leaves_well(RAM + 0x4000, 0x20020000, 0x20004101));
    assert_false(leaves_well(FLASH, 0x20020004, 0x08000189));
    assert_false(leaves_well(FLASH, 0x20000000, 0x08000189));
    assert_false(leaves_well(FLASH, 0x20001002, 0x08000189));
    assert_false(leaves_well(FLASH, 0x20020000, 0x08000188)); /* not Thumb */
    assert_false(leaves_well(FLASH, 0x20020000, 0x08100001));
    assert_false(leaves_well(FLASH, 0x20020000, 0x10000001)); /* CCM cannot execute */
    assert_false(leaves_well(FLASH, 0xFFFFFFFF, 0xFFFFFFFF));
    sim_bus_reset(rig.sim, rig.now);
    assert_int_equal(rig_life(), SIM_RUNNING);
    sim_unplug(rig.sim, rig.now);
    assert_int_equal(rig_life(), SIM_AWAY);
    sim_plug(rig.sim, rig.now);
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(rig_status(), DFU_ERROR);
}

static void test_leave_to_nowhere(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_set_address(OTP);
    rig_dnload(0, NULL, 0);
    assert_int_equal(rig_status(), DFU_MANIFEST);
    assert_int_equal(rig_life(), SIM_AWAY);
    rig.now += 0.2;
    assert_int_equal(rig_life(), SIM_DFU); /* a reset, and BOOT0 is high */
    assert_int_equal(sim_generation(rig.sim), 2);
    assert_false(sim_started(rig.sim)->happened);
}

static void test_leave_to_the_last_pointer(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_dnload(0, NULL, 0);
    rig_status();
    assert_int_equal(sim_started(rig.sim)->address, FLASH);
    sim_reset(rig.sim, rig.now);
    rig_ready();
    rig_command(0x41, FLASH + 0x20000);
    rig_execute();
    rig_dnload(0, NULL, 0);
    rig_status();
    assert_int_equal(sim_started(rig.sim)->address, FLASH + 0x20000);
}

/* ---- losing power ---- */

static void test_unplug_mid_erase(void **state)
{
    uint8_t word[4];
    size_t erased;

    (void)state;
    rig_open_ready("f407");
    rig_fill(FLASH, 0x00, 0x4000);
    rig_command(0x41, FLASH);
    rig_status();
    rig.now += 0.1; /* a quarter of it */
    sim_unplug(rig.sim, rig.now);
    assert_int_equal(rig_status(), SIM_GONE);
    erased = rig_run(FLASH, 0xFF, 0x4000);
    assert_in_range(erased, 0x1000 - 8, 0x1000 + 8);
    memcpy(word, rig.data + erased, 4);
    assert_memory_not_equal(word, "\0\0\0\0", 4); /* neither old nor erased */
    assert_memory_not_equal(word, "\xFF\xFF\xFF\xFF", 4);
    assert_int_equal(rig_run(FLASH + (uint32_t)erased + 4, 0, 0x2000), 0x2000);
    sim_plug(rig.sim, rig.now);
    rig.now += 10;
    assert_int_equal(rig_byte(FLASH + 0x3FFF), 0); /* it does not go on */
    assert_int_equal(rig_status(), DFU_ERROR);
}

static void test_reset_mid_write(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_set_address(FLASH);
    memset(rig.data, 0, 2048);
    rig_dnload(2, rig.data, 2048);
    rig_status();
    rig.now += 0.016 * 512 / 1000 * 1.0001;
    sim_reset(rig.sim, rig.now);
    assert_int_equal(rig_run(FLASH, 0, 2048), 512);
    assert_int_equal(rig_run(FLASH + 512, 0xFF, 1536), 1536);
}

static void test_bus_reset_mid_erase(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_fill(FLASH, 0x00, 0x4000);
    rig_command(0x41, FLASH);
    rig_status();
    sim_bus_reset(rig.sim, rig.now);
    assert_int_equal(sim_generation(rig.sim), 1);
    assert_int_equal(rig_status(), DFU_ERROR); /* as after power-up, when the erase is done */
    rig_near(rig.last.seconds, 0.4004, 1e-6);
    assert_int_equal(rig_run(FLASH, 0xFF, 0x4000), 0x4000);
}

static void test_bus_reset_of_a_refusal(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_control(0x01, 11, 2, 0, 0);
    rig_set_address(FLASH + 0x4000);
    rig_command(0x21, 0);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    sim_bus_reset(rig.sim, rig.now - 1e-6);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_FIRMWARE); /* not the errTARGET of before */
    assert_int_equal(rig_control(0x81, 10, 0, 0, 1), 1);
    assert_int_equal(rig.data[0], 0);
    rig_ready();
    rig_dnload(2, "\x01\x02", 2);
    rig_execute();
    assert_int_equal(rig_byte(FLASH), 1);
}

static void test_unplug_mid_unprotect(void **state)
{
    (void)state;
    rig_open_with((struct sim_options){ .kind = "f407", .rdp = 1, .state = -1 });
    rig_fill(FLASH, 0x00, 4);
    rig_fill(FLASH + 0xFFFF0, 0x00, 4);
    rig_ready();
    rig_dnload(0, "\x92", 1);
    rig_status();
    rig.now += 8;
    sim_unplug(rig.sim, rig.now);
    sim_plug(rig.sim, rig.now);
    assert_int_equal(rig_byte(FLASH), 0xFF);
    assert_int_equal(rig_byte(FLASH + 0xFFFF0), 0);
    rig_ready();
    rig_refused(0x21, FLASH, DFU_ERR_VENDOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_device_descriptor),
        RIG_TEST(test_config_descriptor),
        RIG_TEST(test_strings),
        RIG_TEST(test_standard_requests),
        RIG_TEST(test_start_state),
        RIG_TEST(test_other_start_states),
        RIG_TEST(test_poll_table),
        RIG_TEST(test_get_status_executes),
        RIG_TEST(test_abort_drops),
        RIG_TEST(test_early_status_waits),
        RIG_TEST(test_uploads),
        RIG_TEST(test_refused_downloads),
        RIG_TEST(test_leave),
        RIG_TEST(test_leave_to_nowhere),
        RIG_TEST(test_leave_to_the_last_pointer),
        RIG_TEST(test_unplug_mid_erase),
        RIG_TEST(test_reset_mid_write),
        RIG_TEST(test_bus_reset_mid_erase),
        RIG_TEST(test_bus_reset_of_a_refusal),
        RIG_TEST(test_unplug_mid_unprotect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
