/* SPDX-License-Identifier: MIT */
/* The faults that a simulated board can be given: when each strikes, and what it does. */
#include "sim/simrig.h"

enum { FLASH = 0x08000000 };

static void fault_at(enum sim_fault fault, uint64_t request)
{
    struct sim_when when = { .request = request };

    assert_true(sim_add_fault(rig.sim, fault, &when));
}

static void fault_on(enum sim_fault fault, enum sim_op op, uint32_t address)
{
    struct sim_when when = { .op = op, .address = address };

    assert_true(sim_add_fault(rig.sim, fault, &when));
}

/* A board whose next class request is number 1. */
static void open_idle(void)
{
    rig_open_with((struct sim_options){ .kind = "f407", .state = DFU_IDLE });
}

static void test_names(void **state)
{
    static const char *const names[] = { "unplug", "stall", "error", "corrupt", "hang", "short" };
    enum sim_fault fault = SIM_FAULTS;

    (void)state;
    for (size_t i = 0; i < SIM_FAULTS; i++) {
        assert_true(sim_fault_by_name(names[i], &fault));
        assert_int_equal(fault, i);
    }
    assert_false(sim_fault_by_name("", &fault));
    assert_false(sim_fault_by_name("unplugged", &fault));
}

static void test_counting(void **state)
{
    struct sim_when when = { .request = 2 };

    (void)state;
    open_idle();
    fault_at(SIM_FAULT_STALL, 2);
    rig_control(0x80, 6, 0x0100, 0, 18); /* standard requests do not count */
    assert_int_equal(rig_state(), DFU_IDLE);
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 18), 18);
    assert_int_equal(rig_state(), SIM_STALL);
    assert_int_equal(rig_state(), DFU_IDLE);
    assert_int_equal(sim_requests(rig.sim), 3);
    assert_false(sim_add_fault(rig.sim, SIM_FAULT_STALL, &when)); /* that request is over */
    assert_false(sim_add_fault(rig.sim, SIM_FAULTS, &(struct sim_when){ .request = 9 }));
    for (uint64_t i = 100; i < 164; i++)
        fault_at(SIM_FAULT_STALL, i);
    assert_false(sim_add_fault(rig.sim, SIM_FAULT_STALL, &(struct sim_when){ .request = 9 }));
}

static void test_stall_is_ignored(void **state)
{
    (void)state;
    open_idle();
    fault_at(SIM_FAULT_STALL, 1);
    assert_int_equal(rig_dnload(2, "\x01\x02", 2), SIM_STALL);
    assert_int_equal(rig_state(), DFU_IDLE);
    assert_int_equal(rig_dnload(2, "\x01\x02", 2), 2);
    fault_at(SIM_FAULT_STALL, 4);
    assert_int_equal(rig_status(), SIM_STALL);
    rig.now += 1;
    assert_int_equal(rig_byte(FLASH), 0xFF); /* nothing executed */
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(FLASH), 1);
}

static void test_error_drops_the_command(void **state)
{
    (void)state;
    open_idle();
    fault_at(SIM_FAULT_ERROR, 2);
    rig_dnload(2, "\x01\x02", 2);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_UNKNOWN);
    rig_ready();
    rig.now += 1;
    assert_int_equal(rig_status(), DFU_IDLE);
    assert_int_equal(rig_byte(FLASH), 0xFF);
    fault_at(SIM_FAULT_ERROR, sim_requests(rig.sim) + 1);
    assert_int_equal(rig_upload(2, 4), SIM_STALL);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_UNKNOWN);
    rig_ready();
    fault_at(SIM_FAULT_ERROR, sim_requests(rig.sim) + 1);
    assert_int_equal(rig_dnload(2, "\x01\x02", 2), SIM_STALL);
    assert_int_equal(rig_state(), DFU_ERROR);
}

static void test_unplug(void **state)
{
    (void)state;
    open_idle();
    fault_at(SIM_FAULT_UNPLUG, 1);
    assert_int_equal(rig_dnload(2, "\x01\x02", 2), SIM_GONE);
    assert_true(rig.last.seconds == 0);
    assert_int_equal(rig_life(), SIM_AWAY);
    assert_int_equal(rig_state(), SIM_GONE);
    assert_int_equal(sim_requests(rig.sim), 1);
    sim_plug(rig.sim, rig.now);
    assert_int_equal(rig_state(), DFU_ERROR);
}

static void test_unplug_while_waiting(void **state)
{
    size_t erased;

    (void)state;
    open_idle();
    rig_fill(FLASH, 0, 0x4000);
    fault_at(SIM_FAULT_UNPLUG, 3);
    rig_command(0x41, FLASH);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig_status(), SIM_GONE); /* held for the erase, and half way through it */
    erased = rig_run(FLASH, 0xFF, 0x4000);
    assert_in_range(erased, 0x1FF0, 0x2010);
    assert_int_equal(rig_byte(FLASH + 0x3FFF), 0);
}

static void test_unplug_by_operation(void **state)
{
    (void)state;
    open_idle();
    fault_on(SIM_FAULT_UNPLUG, SIM_OP_ERASE, FLASH + 0x7FFF);
    rig_command(0x41, FLASH);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    rig_command(0x21, FLASH + 0x4000);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_command(0x41, FLASH + 0x4000), SIM_GONE);
    sim_plug(rig.sim, rig.now);
    rig_ready();
    fault_on(SIM_FAULT_UNPLUG, SIM_OP_ERASE, FLASH + 0xF0000);
    assert_int_equal(rig_dnload(0, "\x41", 1), SIM_GONE); /* a mass erase is all sectors */
    sim_plug(rig.sim, rig.now);
    rig_ready();
    fault_on(SIM_FAULT_UNPLUG, SIM_OP_ANY, FLASH + 2048);
    assert_int_equal(rig_upload(2, 2048), 2048);
    assert_int_equal(rig_upload(3, 1), SIM_GONE);
}

static void test_corrupt_write(void **state)
{
    uint8_t block[64];

    (void)state;
    memset(block, 0xC3, sizeof block);
    open_idle();
    rig_set_address(FLASH);
    fault_on(SIM_FAULT_CORRUPT, SIM_OP_WRITE, FLASH + 2048 + 7);
    rig_dnload(2, block, 64);
    rig_execute();
    assert_int_equal(rig_run(FLASH, 0xC3, 64), 64);
    rig_dnload(3, block, 64);
    rig_execute();
    assert_int_equal(rig_run(FLASH + 2048, 0xC3, 64), 7);
    assert_int_equal(rig_run(FLASH + 2048 + 8, 0xC3, 56), 56);
    rig_dnload(4, block, 64); /* once */
    rig_execute();
    assert_int_equal(rig_run(FLASH + 4096, 0xC3, 64), 64);
    fault_at(SIM_FAULT_CORRUPT, sim_requests(rig.sim) + 1);
    rig_dnload(5, block, 64);
    rig_execute();
    assert_int_equal(rig_run(FLASH + 6144, 0xC3, 64), 32);
}

static void test_corrupt_read(void **state)
{
    (void)state;
    open_idle();
    rig_fill(FLASH, 0, 64);
    fault_on(SIM_FAULT_CORRUPT, SIM_OP_READ, FLASH + 9);
    assert_int_equal(rig_upload(2, 64), 64);
    assert_int_equal(rig.data[8], 0);
    assert_int_not_equal(rig.data[9], 0);
    assert_int_equal(rig.data[10], 0);
    assert_int_equal(rig_byte(FLASH + 9), 0); /* only on its way */
    assert_int_equal(rig_upload(2, 64), 64);
    assert_int_equal(rig.data[9], 0);
}

static void test_corrupt_nothing(void **state)
{
    (void)state;
    open_idle();
    fault_at(SIM_FAULT_CORRUPT, 1);
    fault_at(SIM_FAULT_CORRUPT, 2);
    fault_at(SIM_FAULT_CORRUPT, 3);
    rig_command(0x21, FLASH + 0x100); /* block 0 is a command, not data */
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    rig_dnload(2, "\x01\x02", 2);
    rig_execute();
    assert_int_equal(rig_byte(FLASH + 0x100), 1);
    assert_int_equal(rig_byte(FLASH + 0x101), 2);
    /* and in plain DFU block 0 is data */
    rig_close(NULL);
    rig_open_with((struct sim_options){ .kind = "dfu11", .state = DFU_IDLE });
    fault_at(SIM_FAULT_CORRUPT, 1);
    rig_dnload(0, "\x01\x02", 2);
    rig_status();
    rig.now += 1;
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(0), 1);
    assert_int_not_equal(rig_byte(1), 2);
}

static void test_hang(void **state)
{
    (void)state;
    open_idle();
    fault_at(SIM_FAULT_HANG, 1);
    assert_int_equal(rig_state(), SIM_HANG);
    assert_true(rig.last.seconds == 0);
    assert_int_equal(rig_state(), SIM_HANG);
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 18), SIM_HANG);
    assert_int_equal(rig_life(), SIM_DFU);
    sim_reset(rig.sim, rig.now);
    assert_int_equal(rig_state(), DFU_ERROR);
    fault_at(SIM_FAULT_HANG, sim_requests(rig.sim) + 1);
    assert_int_equal(rig_state(), SIM_HANG);
    sim_unplug(rig.sim, rig.now);
    assert_int_equal(rig_state(), SIM_GONE);
    sim_plug(rig.sim, rig.now);
    assert_int_equal(rig_state(), DFU_ERROR);
}

static void test_short(void **state)
{
    (void)state;
    open_idle();
    fault_at(SIM_FAULT_SHORT, 1);
    assert_int_equal(rig_status(), 3); /* not a status at all */
    fault_at(SIM_FAULT_SHORT, 2);
    assert_int_equal(rig_upload(2, 2048), 1024);
    fault_at(SIM_FAULT_SHORT, 3);
    assert_int_equal(rig_abort(), 0);
    fault_at(SIM_FAULT_SHORT, 4); /* what the host sends arrives whole */
    assert_int_equal(rig_dnload(2, "\x01\x02", 2), 2);
    rig_execute();
    assert_int_equal(rig_byte(FLASH + 1), 2);
}

static void test_in_runtime_mode(void **state)
{
    (void)state;
    rig_open("dfu11");
    fault_at(SIM_FAULT_ERROR, 1);
    assert_int_equal(rig_status(), SIM_STALL); /* there is no dfuERROR here */
    assert_int_equal(rig_status(), DFU_APP_IDLE);
    fault_at(SIM_FAULT_UNPLUG, 3);
    assert_int_equal(rig_control(0x21, 0, 1000, 0, 0), SIM_GONE);
    sim_plug(rig.sim, rig.now);
    rig.now += 1;
    assert_int_equal(rig_life(), SIM_RUNTIME);
    assert_int_equal(rig_state(), DFU_APP_IDLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        RIG_TEST(test_counting),
        RIG_TEST(test_stall_is_ignored),
        RIG_TEST(test_error_drops_the_command),
        RIG_TEST(test_unplug),
        RIG_TEST(test_unplug_while_waiting),
        RIG_TEST(test_unplug_by_operation),
        RIG_TEST(test_corrupt_write),
        RIG_TEST(test_corrupt_read),
        RIG_TEST(test_corrupt_nothing),
        RIG_TEST(test_hang),
        RIG_TEST(test_short),
        RIG_TEST(test_in_runtime_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
