/* SPDX-License-Identifier: MIT */
/* The simulated STM32F407: its memories, what protects them, and how long it all takes. */
#include "sim/simrig.h"

enum { FLASH = 0x08000000, OPTIONS = 0x1FFFC000, OTP = 0x1FFF7800, RAM = 0x20000000 };

static const uint32_t feature = 0xFFFF0000;

/* ---- memories ---- */

static void test_programming_clears_bits(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_write(FLASH + 1, "\xF0\xAA\x55", 3);
    rig_write(FLASH + 1, "\x3C\xFF\x0F", 3);
    assert_int_equal(rig_byte(FLASH), 0xFF);
    assert_int_equal(rig_byte(FLASH + 1), 0x30);
    assert_int_equal(rig_byte(FLASH + 2), 0xAA);
    assert_int_equal(rig_byte(FLASH + 3), 0x05);
    assert_int_equal(rig_byte(FLASH + 4), 0xFF); /* a block is filled up with 0xFF */
}

static void test_block_numbers(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_set_address(FLASH + 0x4000);
    assert_int_equal(rig_dnload(5, "\x01\x02", 2), 2); /* short, and still 2048 a block */
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(FLASH + 0x4000 + 3 * 2048), 1);
    assert_int_equal(rig_dnload(2, "\x03\x04", 2), 2);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(FLASH + 0x4000), 3);
}

static void test_erase_sector(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_fill(FLASH + 0xC000 - 4, 0x11, 4);
    rig_fill(FLASH + 0xC000, 0x22, 0x4000);
    rig_fill(FLASH + 0x10000, 0x33, 4);
    rig_command(0x41, FLASH + 0xD234); /* within the fourth sector */
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_run(FLASH + 0xC000 - 4, 0x11, 4), 4);
    assert_int_equal(rig_run(FLASH + 0xC000, 0xFF, 0x4000), 0x4000);
    assert_int_equal(rig_run(FLASH + 0x10000, 0x33, 4), 4);
    /* and the pointer stands where the erase was */
    rig_dnload(2, "\x77", 1);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(FLASH + 0xD234), 0x77);
}

static void test_mass_erase(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_fill(FLASH, 0, 4);
    rig_fill(FLASH + 0xFFFFC, 0, 4);
    rig_dnload(0, "\x41", 1);
    rig_status();
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    rig_near(rig.last.seconds, 16, 1e-3);
    assert_int_equal(rig_run(FLASH, 0xFF, 4), 4);
    assert_int_equal(rig_run(FLASH + 0xFFFFC, 0xFF, 4), 4);
}

static void test_target_errors(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_refused(0x21, 0, DFU_ERR_TARGET);
    rig_refused(0x21, FLASH - 1, DFU_ERR_TARGET);
    rig_refused(0x21, FLASH + 0x100000, DFU_ERR_TARGET);
    rig_refused(0x21, RAM, DFU_ERR_TARGET); /* the ROM's own part */
    rig_refused(0x21, RAM + 0x20000, DFU_ERR_TARGET);
    rig_refused(0x21, 0xFFFFFFFF, DFU_ERR_TARGET);
    rig_refused(0x41, 0x08100000, DFU_ERR_TARGET);
    rig_refused(0x41, OTP, DFU_ERR_TARGET);
    rig_refused(0x41, OPTIONS, DFU_ERR_TARGET);
    rig_refused(0x41, RAM + 0x2000, DFU_ERR_TARGET);
    rig_set_address(FLASH + 0xFFFF0);
    rig_refused(0x21, 0, DFU_ERR_TARGET); /* leaves the pointer alone */
    rig_dnload(2, "\x01\x02\x03\x04", 4);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(FLASH + 0xFFFF0), 1);
    memset(rig.data, 0, 32);
    assert_int_equal(rig_dnload(2, rig.data, 32), 32); /* past the end */
    assert_int_equal(rig_execute(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_TARGET);
    assert_int_equal(rig_byte(FLASH + 0xFFFFF), 0xFF);
    rig_ready();
    assert_int_equal(rig_dnload(65535, "abcd", 4), 4);
    assert_int_equal(rig_execute(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_TARGET);
}

static void test_ram(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_write(RAM + 0x2000, "\x01\x02\x03\x04\x05", 5);
    rig_write(RAM + 0x2000, "\xF1", 1);
    assert_int_equal(rig_byte(RAM + 0x2000), 0xF1); /* not ANDed, */
    assert_int_equal(rig_byte(RAM + 0x2001), 0xFF); /* and filled up to a word */
    assert_int_equal(rig_byte(RAM + 0x2004), 5);
    rig_write(RAM + 0x1FFFF, "\x42", 1); /* the last byte has no room for that */
    assert_int_equal(rig_byte(RAM + 0x1FFFF), 0x42);
    rig_abort();
    assert_int_equal(rig_upload(2, 1), 1);
    assert_int_equal(rig.data[0], 0x42);
}

static void test_otp(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_write(OTP + 4, "\xF0\xF0\xF0\xF0", 4);
    rig_write(OTP + 4, "\x0F\xFF\x3F\xF0", 4);
    assert_int_equal(rig_byte(OTP + 4), 0);
    assert_int_equal(rig_byte(OTP + 5), 0xF0);
    assert_int_equal(rig_byte(OTP + 6), 0x30);
    rig_write(OTP + 512, "\x00", 1); /* the lock bytes lie behind it */
    assert_int_equal(rig_byte(OTP + 512), 0);
}

static void test_read_past_the_end(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_set_address(FLASH + 0xFF800);
    rig_abort();
    assert_int_equal(rig_upload(2, 2048), 2048);
    assert_int_equal(rig_upload(3, 4), SIM_HANG);
    assert_true(rig.last.seconds == 0);
    assert_int_equal(rig_status(), SIM_HANG);
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 18), SIM_HANG);
    sim_bus_reset(rig.sim, rig.now); /* it hangs: no effect */
    assert_int_equal(rig_status(), SIM_HANG);
    assert_int_equal(rig_life(), SIM_DFU);
    sim_reset(rig.sim, rig.now);
    assert_int_equal(sim_generation(rig.sim), 2);
    rig_ready();
    rig_set_address(FLASH + 0xFFFFE);
    rig_abort();
    assert_int_equal(rig_upload(2, 4), SIM_HANG); /* also when it starts inside */
    sim_unplug(rig.sim, rig.now);
    sim_plug(rig.sim, rig.now);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(sim_generation(rig.sim), 3);
}

/* ---- protection ---- */

static void test_read_protection(void **state)
{
    (void)state;
    rig_open_with((struct sim_options){ .kind = "f407", .rdp = 1, .state = -1 });
    rig_ready();
    assert_int_equal(rig_byte(OPTIONS + 1), 0);
    rig_refused(0x21, FLASH, DFU_ERR_VENDOR);
    rig_refused(0x21, RAM + 0x2000, DFU_ERR_VENDOR);
    rig_refused(0x41, FLASH, DFU_ERR_VENDOR);
    rig_dnload(0, "\x41", 1);
    assert_int_equal(rig_execute(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_VENDOR);
    rig_ready();
    rig_dnload(2, "ab", 2);
    assert_int_equal(rig_execute(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_VENDOR);
    rig_ready();
    assert_int_equal(rig_upload(2, 4), SIM_STALL);
    assert_int_equal(rig_status(), DFU_ERROR);
    assert_int_equal(rig.status, DFU_ERR_VENDOR);
    rig_ready();
    assert_int_equal(rig_upload(0, 4), 4); /* Get Commands is free */
}

static void test_read_unprotect(void **state)
{
    double start;

    (void)state;
    rig_open_with((struct sim_options){ .kind = "f407", .rdp = 1, .wrp = 1, .state = -1 });
    rig_fill(FLASH, 0x55, 4);
    rig_fill(RAM + 0x3000, 0x55, 4);
    rig_ready();
    rig_dnload(0, "\x92", 1);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig.poll, 100);
    start = rig.now;
    assert_int_equal(rig_life(), SIM_AWAY);
    assert_int_equal(rig_status(), SIM_GONE);
    assert_true(rig.last.seconds == 0);
    rig.now = start + 15.9;
    assert_int_equal(rig_life(), SIM_AWAY);
    assert_int_equal(sim_generation(rig.sim), 1);
    rig.now = start + 16.01;
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(sim_generation(rig.sim), 2);
    assert_int_equal(rig_byte(OPTIONS + 1), 0xAA);
    assert_int_equal(rig_run(FLASH, 0xFF, 4), 4);
    assert_int_equal(rig_byte(RAM + 0x3000), 0);
    rig_ready();
    rig_set_address(FLASH);
}

static void test_level_2(void **state)
{
    (void)state;
    rig_open_with((struct sim_options){ .kind = "f407", .rdp = 2, .state = -1 });
    assert_int_equal(rig_life(), SIM_AWAY);
    assert_int_equal(rig_status(), SIM_GONE);
    sim_reset(rig.sim, 1);
    sim_unplug(rig.sim, 2);
    sim_plug(rig.sim, 3);
    rig.now = 100;
    assert_int_equal(rig_life(), SIM_AWAY);
    assert_int_equal(rig_byte(OPTIONS + 1), 0xCC);
}

static void test_write_protection(void **state)
{
    (void)state;
    rig_open_with((struct sim_options){ .kind = "f407", .wrp = 1 << 1 | 1 << 11, .state = -1 });
    assert_int_equal(rig_byte(OPTIONS + 8), 0xFD);
    assert_int_equal(rig_byte(OPTIONS + 9), 0x07);
    rig_fill(FLASH, 0xF0, 0x8000);
    rig_ready();
    rig_command(0x41, FLASH + 0x4000); /* reported as done, without effect */
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_run(FLASH + 0x4000, 0xF0, 0x4000), 0x4000);
    rig_write(FLASH + 0x3FFE, "\x00\x00\x00\x00", 4); /* half of it lies within */
    assert_int_equal(rig_byte(FLASH + 0x3FFE), 0);
    assert_int_equal(rig_byte(FLASH + 0x3FFF), 0);
    assert_int_equal(rig_byte(FLASH + 0x4000), 0xF0);
    rig_dnload(0, "\x41", 1); /* one protected sector stops a mass erase */
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(FLASH), 0xF0);
    rig_command(0x41, FLASH);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_byte(FLASH), 0xFF);
    rig_write(FLASH + 0xFFFFC, "\x00\x00\x00\x00", 4);
    assert_int_equal(rig_byte(FLASH + 0xFFFFC), 0xFF);
}

static void test_option_bytes(void **state)
{
    uint8_t bytes[16];

    (void)state;
    rig_open_ready("f407");
    assert_true(sim_peek(rig.sim, rig.now, OPTIONS, bytes, 16));
    assert_int_equal(bytes[1], 0xAA);
    bytes[8] = 0xFE;
    rig_set_address(OPTIONS + 8);
    rig_dnload(2, bytes + 8, 8);
    assert_int_equal(rig_execute(), DFU_ERROR); /* from their start only */
    assert_int_equal(rig.status, DFU_ERR_TARGET);
    rig_ready();
    rig_set_address(OPTIONS);
    rig_dnload(2, bytes, 16);
    assert_int_equal(rig_status(), DFU_DNBUSY);
    assert_int_equal(rig_status(), SIM_GONE);
    assert_int_equal(rig_life(), SIM_AWAY);
    rig.now += 0.2;
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(sim_generation(rig.sim), 2);
    assert_int_equal(rig_byte(OPTIONS + 8), 0xFE);
    rig_ready();
    rig_write(FLASH, "\x00", 1);
    assert_int_equal(rig_byte(FLASH), 0xFF);
    bytes[1] = 0x55;
    rig_set_address(OPTIONS);
    rig_dnload(2, bytes, 16);
    rig_status();
    rig.now += 0.2;
    rig_ready();
    rig_refused(0x21, FLASH, DFU_ERR_VENDOR);
    /* sim_poke() changes them at once, with effect from the next start on */
    rig_poke(OPTIONS + 1, "\xAA", 1);
    rig_refused(0x21, FLASH, DFU_ERR_VENDOR);
    sim_reset(rig.sim, rig.now);
    rig_ready();
    rig_set_address(FLASH);
}

/* ---- sim_peek, sim_poke ---- */

static void test_flash_changed(void **state)
{
    size_t first;
    size_t last;
    uint32_t address;
    size_t length;
    uint8_t *flash;

    (void)state;
    rig_open_ready("f407");
    flash = sim_flash(rig.sim, rig.now, &address, &length);
    assert_int_equal(address, FLASH);
    assert_int_equal(length, 1024 * 1024);
    assert_int_equal(flash[length - 1], 0xFF);
    assert_false(sim_flash_changed(rig.sim, rig.now, &first, &last));
    rig_write(FLASH + 100, "\x01\x02\x03\x04", 4);
    rig_poke(FLASH + 50, "\x00", 1);
    assert_true(sim_flash_changed(rig.sim, rig.now, &first, &last));
    assert_int_equal(first, 50);
    assert_int_equal(last, 103);
    assert_int_equal(flash[103], 4);
    assert_false(sim_flash_changed(rig.sim, rig.now, &first, &last));
    rig_command(0x41, FLASH + 0x4000);
    rig_execute();
    assert_true(sim_flash_changed(rig.sim, rig.now, &first, &last));
    assert_int_equal(first, 0x4000);
    assert_int_equal(last, 0x7FFF);
    rig_write(RAM + 0x2000, "\x01\x02\x03\x04", 4);
    assert_false(sim_flash_changed(rig.sim, rig.now, &first, &last));
}

static void test_peek_and_poke(void **state)
{
    (void)state;
    rig_open("f407");
    rig_poke(OPTIONS, "\x01", 1);
    rig_poke(OTP, "\x00", 1);
    rig_poke(OTP, "\xF0", 1); /* sim_poke() can set bits */
    assert_int_equal(rig_byte(OTP), 0xF0);
    rig_poke(feature, "\x03\x00\x00\x00", 4);
    rig_poke(RAM, "\x09", 1);
    assert_int_equal(rig_byte(RAM), 9);
    assert_false(sim_poke(rig.sim, 0, FLASH + 0xFFFFE, rig.data, 4));
    assert_false(sim_peek(rig.sim, 0, FLASH + 0xFFFFE, rig.data, 4));
    assert_false(sim_peek(rig.sim, 0, FLASH - 1, rig.data, 4));
    assert_false(sim_peek(rig.sim, 0, feature, rig.data, 5));
    assert_false(sim_peek(rig.sim, 0, FLASH, rig.data, SIZE_MAX));
    assert_int_equal(sim_requests(rig.sim), 0);
}

/* ---- time ---- */

static void test_wire_costs(void **state)
{
    (void)state;
    rig_open_with((struct sim_options){ .kind = "f407", .usb = SIM_USB_IDEAL, .state = DFU_IDLE });
    rig_upload(2, 2048);
    rig_near(rig.last.wire, 0.001664, 1e-6);
    rig_upload(2, 1024);
    rig_near(rig.last.wire, (45 + 1024 + 13 * 15) / 1500e3, 1e-6);
    rig_status();
    rig_near(rig.last.wire, 0.000034, 1e-6);
    rig_abort();
    rig_near(rig.last.wire, 0.00003, 1e-6);
    rig_close(NULL);
    rig_open_with((struct sim_options){ .kind = "f407", .state = DFU_IDLE });
    rig_upload(2, 2048);
    rig_near(rig.last.seconds, 0.0034, 1e-6);
    rig_near(rig.last.wire, 0.001664, 1e-6); /* hosts take longer than the bus */
    rig_upload(2, 64);
    rig_near(rig.last.seconds, 0.0004, 1e-6);
    rig_upload(2, 1056);
    rig_near(rig.last.seconds, 0.0019, 1e-6);
    rig_abort();
    rig_dnload(2, rig.data, 2048);
    rig_near(rig.last.seconds, 0.0045, 1e-6);
    rig_close(NULL);
    rig_open_with((struct sim_options){ .kind = "f407", .usb = SIM_USB_NONE, .state = DFU_IDLE });
    rig_upload(2, 2048);
    assert_true(rig.last.wire == 0 && rig.last.seconds == 0);
}

/* How long the board is busy with a stored command. */
static double busy(void)
{
    assert_int_equal(rig_status(), DFU_DNBUSY);
    double transfer = rig.last.seconds;
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
    return rig.last.seconds - transfer;
}

static double busy_erasing(uint32_t address)
{
    rig_command(0x41, address);
    return busy();
}

static double busy_writing(size_t length)
{
    rig_dnload(2, rig.data, length);
    return busy();
}

static void set_feature(uint8_t value)
{
    uint8_t bytes[4] = { value, 0, 0, 0 };

    rig_write(feature, bytes, 4);
    rig_set_address(FLASH);
}

static void test_flash_times(void **state)
{
    (void)state;
    rig_open_ready("f407");
    rig_near(busy_erasing(FLASH), 0.4, 1e-6);
    rig_near(busy_erasing(FLASH + 0x10000), 1.2, 1e-6);
    rig_near(busy_erasing(FLASH + 0xFFFFF), 2, 1e-6);
    rig_set_address(FLASH);
    rig_near(busy_writing(2048), 0.032768, 1e-6);
    rig_near(busy_writing(5), 5 * 16e-6, 1e-6);
    set_feature(1);
    rig_near(busy_erasing(FLASH), 0.3, 1e-6);
    rig_near(busy_writing(2048), 0.016384, 1e-6);
    set_feature(3);
    rig_near(busy_erasing(FLASH), 0.25, 1e-6);
    rig_near(busy_writing(2048), 0.008192, 1e-6);
    rig_near(busy_writing(5), 2 * 16e-6, 1e-6);
    set_feature(2);
    rig_near(busy_writing(2048), 0.016384, 1e-6);
    set_feature(0xEE);
    rig_near(busy_writing(2048), 0.032768, 1e-6);
    set_feature(2);
    sim_reset(rig.sim, rig.now); /* forgets it */
    rig_ready();
    rig_near(busy_erasing(FLASH), 0.4, 1e-6);
    rig_close(NULL);
    rig_open_with(
        (struct sim_options){ .kind = "f407", .times = SIM_TIMES_MAX, .state = DFU_IDLE });
    rig_near(busy_erasing(FLASH + 0x20000), 4, 1e-6);
    rig_near(busy_writing(2048), 0.2048, 1e-6);
    rig_close(NULL);
    rig_open_with(
        (struct sim_options){ .kind = "f407", .times = SIM_TIMES_ZERO, .state = DFU_IDLE });
    assert_true(busy_erasing(FLASH) < 1e-9);
    assert_true(busy_writing(2048) < 1e-9);
}

/* A host: how long it waits after the first GETSTATUS. */
struct host {
    bool honest;       /* bwPollTimeout, else not at all */
    bool each_address; /* sets the address before each block, as dfu-util does */
};

static void finish(const struct host *host)
{
    assert_int_equal(rig_status(), DFU_DNBUSY);
    rig.now += host->honest ? rig.poll / 1e3 : 0;
    assert_int_equal(rig_status(), DFU_DNLOAD_IDLE);
}

/* Seconds to erase, write and start 1 MB. */
static double flash_everything(enum sim_usb usb, const struct host *host)
{
    static const uint32_t size[12] = { 0x4000,  0x4000,  0x4000,  0x4000,  0x10000, 0x20000,
                                       0x20000, 0x20000, 0x20000, 0x20000, 0x20000, 0x20000 };
    uint32_t address = FLASH;

    rig_open_with((struct sim_options){ .kind = "f407", .usb = usb, .state = -1 });
    rig_status();
    rig_clear();
    rig_status();
    for (size_t i = 0; i < 12; i++) {
        rig_command(0x41, address);
        finish(host);
        address += size[i];
    }
    for (uint32_t block = 0; block < 512; block++) {
        if (block == 0 || host->each_address) {
            rig_command(0x21, FLASH + block * 2048);
            finish(host);
        }
        memset(rig.data, (int)block, 2048);
        rig_dnload(host->each_address ? 2 : block + 2, rig.data, 2048);
        finish(host);
    }
    rig_command(0x21, FLASH);
    finish(host);
    rig_dnload(0, NULL, 0);
    assert_int_equal(rig_status(), DFU_MANIFEST);
    rig.now += rig.poll / 1e3;
    assert_int_equal(rig_life(), SIM_RUNNING);
    for (uint32_t block = 0; block < 512; block++)
        assert_int_equal(rig_run(FLASH + block * 2048, (uint8_t)block, 2048), 2048);
    return rig.now;
}

/* The totals of the model in docs/protocol.md; hardware is within 6 % of it. */
static void test_total_times(void **state)
{
    static const struct host waits_on_nak = { false, false };
    static const struct host dfu_util = { true, true };
    double seconds;

    (void)state;
    seconds = flash_everything(SIM_USB_REAL, &waits_on_nak);
    rig_near(seconds, 36.31, 0.005);
    rig_close(NULL);
    seconds = flash_everything(SIM_USB_IDEAL, &waits_on_nak);
    rig_near(seconds, 34.47, 0.005);
    rig_close(NULL);
    seconds = flash_everything(SIM_USB_REAL, &dfu_util);
    rig_near(seconds, 126.75, 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_programming_clears_bits),
        RIG_TEST(test_block_numbers),
        RIG_TEST(test_erase_sector),
        RIG_TEST(test_mass_erase),
        RIG_TEST(test_target_errors),
        RIG_TEST(test_ram),
        RIG_TEST(test_otp),
        RIG_TEST(test_read_past_the_end),
        RIG_TEST(test_read_protection),
        RIG_TEST(test_read_unprotect),
        RIG_TEST(test_level_2),
        RIG_TEST(test_write_protection),
        RIG_TEST(test_option_bytes),
        RIG_TEST(test_flash_changed),
        RIG_TEST(test_peek_and_poke),
        RIG_TEST(test_wire_costs),
        RIG_TEST(test_flash_times),
        RIG_TEST(test_total_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
