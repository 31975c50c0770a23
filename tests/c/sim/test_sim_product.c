/* SPDX-License-Identifier: MIT */
/* Kinds of simulated board that are made at run time: what they are, and how long they live. */
#include "sim/simrig.h"
#include "sim/simproduct.h"
#include "sim/simtorment.h"

enum { FLASH = 0x08000000, QSPI = 0x90000000, RAM = 0x20000000 };

static const struct sim_segment main_segments[] = { { FLASH, 4, 16384, 0 },
                                                    { FLASH + 65536, 1, 65536, 0 } };
static const struct sim_segment qspi_segments[] = { { QSPI, 16, 4096, 0 },
                                                    { QSPI + 0x100000, 2, 4096, 0 } };
static const struct sim_segment ram_segments[] = { { 0x24000000, 1, 4096, 0 } };
static const struct sim_setting settings[] = {
    { .name = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg",
      .segments = main_segments,
      .segment_count = 2,
      .erase = SIM_AS_BASE },
    { .name = "@QSPI /0x90000000/16*4Kg/0x90100000/2*4Kg",
      .segments = qspi_segments,
      .segment_count = 2,
      .erase = 0.05,
      .unit = 256,
      .write = 0.0005 },
    { .name = "@RAM /0x24000000/1*4Ke",
      .role = SIM_ROLE_RAM,
      .segments = ram_segments,
      .segment_count = 1,
      .erase = SIM_AS_BASE },
};

/* The widget: it has two flashes and no option bytes. */
static const struct sim_product widget = {
    .base = "f407",
    .vid = 0x1209,
    .pid = 1,
    .version = SIM_AS_BASE,
    .product = "Widget \xC2\xB5 \xF0\x9F\x94\xA5",
    .serial = "W0001",
    .transfer_size = 4096,
    .ram = 192 * 1024,
    .settings = settings,
    .setting_count = 3,
    .application = { .there = true,
                     .dfu = true,
                     .vid = 0x1209,
                     .pid = 2,
                     .version = 0x0102,
                     .product = "Widget, running",
                     .seconds = 0.5 },
};

static void open_said(const struct sim_product *said, int rdp)
{
    struct simproduct *product = simproduct_new(said);

    assert_non_null(product);
    rig_open_with((struct sim_options){ .product = product, .rdp = rdp, .state = DFU_IDLE });
    simproduct_drop(product); /* the board is its only user */
}

static void check_text(unsigned index, const char *utf16, size_t length)
{
    assert_int_equal(rig_control(0x80, 6, 0x0300 | index, 0x0409, 255), 2 + length);
    assert_memory_equal(rig.data + 2, utf16, length);
}

static void test_face(void **state)
{
    (void)state;
    open_said(&widget, 0);
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 18), 18);
    assert_memory_equal(rig.data + 8, "\x09\x12\x01\x00\x00\x21\x01\x02\x03", 9);
    assert_int_equal(rig_control(0x80, 6, 0x0200, 0, 255), 9 + 3 * 9 + 9);
    assert_memory_equal(rig.data + 2, "\x2D\x00\x01", 3);
    assert_memory_equal(rig.data + 27, "\x09\x04\x00\x02\x00\xFE\x01\x02\x06", 9);
    assert_memory_equal(rig.data + 36, "\x09\x21\x0B\xFF\x00\x00\x10\x1A\x01", 9);
    check_text(2, "W\0i\0d\0g\0e\0t\0 \0\xB5\0 \0\x3D\xD8\x25\xDD", 22);
    check_text(3, "W\0000\0000\0000\0001\0", 10);
    assert_int_equal(rig_control(0x80, 6, 0x0307, 0x0409, 255), 2 + 2 * 15);
    assert_int_equal(rig_control(0x80, 6, 0x030A, 0x0409, 255), SIM_STALL);
    assert_int_equal(rig_control(0x01, 11, 2, 0, 0), 0);
    assert_int_equal(rig_control(0x01, 11, 3, 0, 0), SIM_STALL);
    rig_set_address(FLASH);
    memset(rig.data, 0, 4096);
    assert_int_equal(rig_dnload(2, rig.data, 4096), 4096);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(rig_run(FLASH, 0, 4097), 4096);
}

/* A serial number of the board's own goes before the product's, with a blank descriptor's length.
 */
static void test_serial(void **state)
{
    struct simproduct *product = simproduct_new(&widget);
    char serial[500];

    (void)state;
    memset(serial, 'x', sizeof serial - 1);
    serial[sizeof serial - 1] = '\0';
    rig_open_with((struct sim_options){ .product = product, .serial = serial, .state = -1 });
    simproduct_drop(product);
    assert_int_equal(rig_control(0x80, 6, 0x0303, 0x0409, 255), 254);
    rig_close(NULL);
    product = simproduct_new(&widget);
    for (size_t i = 0; i + 4 < sizeof serial; i += 4)
        memcpy(serial + i, "\xF0\x9F\x94\xA5", 5);
    rig_open_with((struct sim_options){ .product = product, .serial = serial + 1, .state = -1 });
    simproduct_drop(product);
    /* what is left of the first character is no UTF-8: three bytes, as they are */
    assert_int_equal(rig_control(0x80, 6, 0x0303, 0x0409, 255), 252);
    assert_memory_equal(rig.data + 2, "\x9F\0\x94\0\xA5\0\x3D\xD8", 8);
}

static void test_second_flash(void **state)
{
    uint8_t *flash;
    uint32_t address;
    size_t length, first, last;
    struct sim_flashed flashed = { .written = 0 };

    (void)state;
    open_said(&widget, 0);
    flash = sim_flash(rig.sim, rig.now, &address, &length);
    assert_int_equal(address, FLASH);
    assert_int_equal(length, 128 * 1024);
    flash[0] = 0x12;
    assert_int_equal(rig_run(QSPI, 0xFF, 65536), 65536);
    rig_fill(QSPI, 0x33, 65536);
    rig_command(0x41, QSPI + 0x1005);
    rig_execute();
    rig_near(rig.last.seconds, 0.05, 0.02);
    assert_int_equal(rig_run(QSPI, 0x33, 65536), 0x1000);
    assert_int_equal(rig_run(QSPI + 0x1000, 0xFF, 65536 - 0x1000), 0x1000);
    rig_set_address(QSPI + 0x1000);
    memset(rig.data, 0x55, 600);
    rig_dnload(2, rig.data, 600);
    rig_execute();
    rig_near(rig.last.seconds, 3 * 0.0005, 0.3); /* units begun, and a transfer */
    assert_int_equal(rig_run(QSPI + 0x1000, 0x55, 601), 600);
    rig_refused(0x41, QSPI + 65536, DFU_ERR_TARGET);
    rig_refused(0x41, 0x24000000, DFU_ERR_TARGET);
    rig_command(0x41, QSPI + 0x101000);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    rig_dnload(0, "\x41", 1);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    assert_int_equal(flash[0], 0xFF);
    assert_int_equal(rig_byte(QSPI + 0x1000), 0x55);
    /* only the main flash is kept in a file, and reported */
    assert_true(sim_flash_changed(rig.sim, rig.now, &first, &last));
    assert_int_equal(last, length - 1);
    sim_flashed(rig.sim, rig.now, &flashed);
    assert_int_equal(flashed.erased, length);
    rig_fill(QSPI + 0x2000, 1, 16);
    assert_false(sim_flash_changed(rig.sim, rig.now, &first, &last));
}

static void test_power_goes(void **state)
{
    (void)state;
    open_said(&widget, 0);
    rig_fill(QSPI, 0, 65536);
    rig_command(0x41, QSPI + 0x3000);
    rig_status();
    rig.now += 0.025;
    sim_unplug(rig.sim, rig.now);
    assert_in_range(rig_run(QSPI + 0x3000, 0xFF, 0x1000), 0x700, 0x900);
    assert_int_equal(rig_run(QSPI, 0, 0x3000), 0x3000);
    assert_int_equal(rig_byte(QSPI + 0x4000), 0);
    sim_plug(rig.sim, rig.now);
    rig_ready();
    rig_fill(QSPI, 0xFF, 4096);
    rig_set_address(QSPI);
    memset(rig.data, 0, 4096);
    rig_dnload(2, rig.data, 4096);
    rig_status();
    rig.now += 0.004; /* of eight: whole units */
    sim_unplug(rig.sim, rig.now);
    assert_int_equal(rig_run(QSPI, 0, 4096) % 256, 0);
    assert_in_range(rig_run(QSPI, 0, 4096), 1024, 3072);
}

/* Sectors of the base's sizes have its times; others have times in proportion to its last ones. */
static void test_times(void **state)
{
    struct sim_setting odd = settings[0];
    const struct sim_segment segment = { FLASH, 2, 32768, 0 };
    struct sim_product said = widget;

    (void)state;
    open_said(&widget, 0);
    rig_command(0x41, FLASH);
    rig_execute();
    rig_near(rig.last.seconds, 0.4, 0.01);
    rig_close(NULL);
    odd.segments = &segment;
    odd.segment_count = 1;
    said.settings = &odd;
    said.setting_count = 1;
    open_said(&said, 0);
    rig_command(0x41, FLASH);
    rig_execute();
    rig_near(rig.last.seconds, 0.5, 0.01);
}

static void put_program(uint32_t sp, uint32_t pc)
{
    uint32_t vectors[2] = { sp, pc };

    rig_poke(FLASH, vectors, sizeof vectors);
}

static void leave(void)
{
    rig_set_address(FLASH);
    assert_int_equal(rig_dnload(2, NULL, 0), 0);
    assert_int_equal(rig_status(), DFU_MANIFEST);
}

static void test_application(void **state)
{
    (void)state;
    open_said(&widget, 0);
    put_program(RAM + 192 * 1024, FLASH + 0x101);
    leave();
    assert_int_equal(rig_life(), SIM_STARTING);
    assert_true(sim_started(rig.sim)->works);
    assert_int_equal(rig_state(), SIM_GONE);
    rig.now += 0.4;
    assert_int_equal(rig_life(), SIM_STARTING);
    rig.now += 0.11;
    assert_int_equal(rig_life(), SIM_RUNTIME);
    assert_int_equal(sim_generation(rig.sim), 2);
    assert_int_equal(rig_control(0x80, 6, 0x0100, 0, 18), 18);
    assert_memory_equal(rig.data + 8, "\x09\x12\x02\x00\x02\x01\x01\x07\x03", 9);
    assert_int_equal(rig_control(0x80, 6, 0x0200, 0, 255), 27);
    assert_memory_equal(rig.data + 9, "\x09\x04\x00\x00\x00\xFE\x01\x01\x08", 9);
    check_text(7, "W\0i\0d\0g\0e\0t\0,\0 \0r\0u\0n\0n\0i\0n\0g\0", 30);
    check_text(3, "W\0000\0000\0000\0001\0", 10);
    assert_int_equal(rig_status(), DFU_APP_IDLE);
    sim_bus_reset(rig.sim, rig.now);
    assert_int_equal(rig_status(), DFU_APP_IDLE);
    assert_int_equal(rig_control(0x21, 0, 1000, 0, 0), 0);
    rig.now += 1;
    assert_int_equal(rig_life(), SIM_DFU);
    assert_int_equal(rig_status(), DFU_ERROR); /* as the ROM comes up */
    rig_ready();
    leave();
    rig.now += 1;
    sim_reset(rig.sim, rig.now); /* BOOT0 is high */
    assert_int_equal(rig_life(), SIM_DFU);
}

static void test_application_that_never_comes(void **state)
{
    (void)state;
    open_said(&widget, 0);
    leave(); /* nothing is there */
    assert_int_equal(rig_life(), SIM_RUNNING);
    rig.now += 10;
    assert_int_equal(rig_life(), SIM_RUNNING);
    sim_reset(rig.sim, rig.now);
    rig_ready();
    put_program(RAM + 192 * 1024 + 4, FLASH + 0x101); /* more RAM than there is */
    leave();
    rig.now += 10;
    assert_int_equal(rig_life(), SIM_RUNNING);
    sim_reset(rig.sim, rig.now);
    rig_ready();
    put_program(RAM + 192 * 1024, FLASH + 0x101);
    leave();
    sim_unplug(rig.sim, rig.now + 0.1);
    rig.now += 10;
    assert_int_equal(rig_life(), SIM_AWAY);
}

static void test_application_without_dfu(void **state)
{
    struct sim_product said = widget;

    (void)state;
    said.application.dfu = false;
    said.application.serial = "OTHER";
    open_said(&said, 0);
    put_program(RAM + 0x1000, FLASH + 0x101);
    leave();
    rig.now += 1;
    assert_int_equal(rig_life(), SIM_RUNTIME);
    assert_int_equal(rig_control(0x80, 6, 0x0200, 0, 255), 18);
    assert_memory_equal(rig.data, "\x09\x02\x12\x00\x01", 5);
    assert_memory_equal(rig.data + 9, "\x09\x04\x00\x00\x00\xFF\x00\x00\x00", 9);
    check_text(8, "O\0T\0H\0E\0R\0", 10);
    assert_int_equal(rig_status(), SIM_STALL);
    assert_int_equal(rig_control(0x21, 0, 1000, 0, 0), SIM_STALL);
    assert_int_equal(rig_life(), SIM_RUNTIME);
}

static void test_without_option_bytes(void **state)
{
    (void)state;
    open_said(&widget, 1);
    rig_fill(FLASH, 0, 16);
    rig_refused(0x21, FLASH, DFU_ERR_VENDOR);
    rig_dnload(0, "\x92", 1);
    rig_status();
    rig.now += 40;
    assert_int_equal(rig_life(), SIM_DFU);
    rig_ready();
    rig_set_address(FLASH);
    assert_int_equal(rig_byte(FLASH), 0xFF);
    rig_close(NULL);
    open_said(&widget, 2);
    assert_int_equal(rig_life(), SIM_AWAY);
}

/* Fields that are not set are the base's; dfu11 keeps its memory. */
static void test_bases(void **state)
{
    (void)state;
    for (size_t i = 0; sim_kind_name(i) != NULL; i++) {
        const struct sim_product said = {
            .base = sim_kind_name(i), .vid = SIM_AS_BASE, .pid = SIM_AS_BASE, .version = SIM_AS_BASE
        };
        const struct sim_options options = { .kind = said.base, .state = -1 };
        struct sim *like = sim_new(&options);
        size_t length, other;
        const uint8_t *bytes;

        open_said(&said, 0);
        sim_reset(rig.sim, rig.now);
        bytes = sim_device_descriptor(like, &length);
        assert_memory_equal(sim_device_descriptor(rig.sim, &other), bytes, length);
        bytes = sim_config_descriptor(like, &length);
        assert_memory_equal(sim_config_descriptor(rig.sim, &other), bytes, length);
        assert_int_equal(other, length);
        for (unsigned index = 0; index < 16; index++) {
            struct usb_setup setup = { 0x80, 6, (uint16_t)(0x0300 | index), 0x0409, 255 };
            uint8_t text[255];
            int result = sim_control(like, 0, &setup, text).result;

            assert_int_equal(rig_control(0x80, 6, 0x0300 | index, 0x0409, 255), result);
            assert_memory_equal(rig.data, text, result > 0 ? (size_t)result : 0);
        }
        sim_free(like);
        rig_close(NULL);
    }
}

/* The last board that uses a product frees it, as the address sanitizer checks. */
static void test_lifetime(void **state)
{
    struct simproduct *product = simproduct_new(&widget);
    struct sim_options options = { .product = product, .state = DFU_IDLE };
    struct sim *one, *two;

    (void)state;
    one = sim_new(&options);
    two = sim_new(&options);
    options.rdp = 3;
    assert_null(sim_new(&options)); /* a board that was not made is no user */
    simproduct_drop(product);
    sim_free(one);
    rig.sim = two;
    rig.now = 0;
    check_text(3, "W\0000\0000\0000\0001\0", 10);
    rig_command(0x41, QSPI);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
    rig_close(NULL);
    product = simproduct_new(&widget);
    assert_ptr_equal(simproduct_keep(product), product);
    simproduct_drop(product);
    assert_string_equal(simproduct_kind(product)->name, "f407");
    simproduct_drop(product);
    assert_null(simproduct_keep(NULL));
    simproduct_drop(NULL);
}

/* The description may change and go afterwards. */
static void test_it_keeps_copies(void **state)
{
    struct sim_segment segment = { FLASH, 1, 16384, 0 };
    char name[] = "@Flash /0x08000000/1*16Kg", text[] = "text";
    struct sim_setting setting = {
        .name = name, .segments = &segment, .segment_count = 1, .erase = 1
    };
    struct sim_product said = { .base = "f407",
                                .product = text,
                                .settings = &setting,
                                .setting_count = 1,
                                .application = { .there = true, .dfu = true, .serial = text } };

    (void)state;
    open_said(&said, 0);
    memset(&segment, 0xFF, sizeof segment);
    memset(&setting, 0xFF, sizeof setting);
    memset(name, 'x', sizeof name);
    memset(text, 'x', sizeof text);
    check_text(2, "t\0e\0x\0t\0", 8);
    check_text(5, "t\0e\0x\0t\0", 8);
    assert_int_equal(rig_control(0x80, 6, 0x0304, 0x0409, 255), 2 + 2 * 25);
    rig_command(0x41, FLASH);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
}

static void refuse(const struct sim_product *said)
{
    struct simproduct *product = simproduct_new(said);

    simproduct_drop(product);
    assert_null(product);
}

static void test_bad_ones(void **state)
{
    const double nan = 0.0 / 0.0;
    char long_text[400];
    struct sim_product said;

    (void)state;
    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
#define BAD(change)                                                                                \
    do {                                                                                           \
        said = widget;                                                                             \
        change;                                                                                    \
        refuse(&said);                                                                             \
    } while (0)
    BAD(said.base = NULL);
    BAD(said.base = "f408");
    BAD(said.base = "dfu11");
    BAD(said.vid = 65536);
    BAD(said.pid = -2);
    BAD(said.version = 65536);
    BAD(said.product = long_text);
    BAD(said.serial = long_text);
    BAD(said.transfer_size = 63);
    BAD(said.transfer_size = 4097);
    BAD(said.ram = 8192);
    BAD(said.ram = 64 << 20);
    BAD(said.setting_count = 9);
    BAD(said.setting_count = SIZE_MAX);
    BAD(said.application.vid = 65536);
    BAD(said.application.seconds = nan);
    BAD(said.application.seconds = -1);
    BAD(said.application.seconds = 61);
    BAD(said.application.product = long_text);
    BAD((said.base = "dfu11", said.setting_count = 0, said.transfer_size = 0,
         said.application.dfu = false));
}

static void test_bad_memories(void **state)
{
    const double nan = 0.0 / 0.0;
    const struct sim_segment bad[][2] = {
        { { FLASH, 0, 4096, 0 } },        { { FLASH, 1, 0, 0 } },
        { { FLASH, 1, 64 << 20, 0 } },    { { FLASH, UINT32_MAX, UINT32_MAX, 0 } },
        { { FLASH, 65536, 65536, 0 } },   { { 0xFFFFF000, 1, 4097, 0 } },
        { { RAM, 1, 4096, 0 } },          { { 0x1FFFF000, 2, 4096, 0 } },
        { { QSPI + 60000, 1, 4096, 0 } },
    };
    static const struct sim_segment two[] = { { FLASH, 1, 16384, 0 },
                                              { FLASH + 16385, 1, 16384, 0 } };
    struct sim_segment many[32];
    struct sim_setting change[2];
    struct sim_product said = widget;

    (void)state;
    said.settings = change;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        change[0] = settings[1];
        change[1] = settings[0];
        change[1].segments = bad[i];
        change[1].segment_count = 1;
        said.setting_count = 2;
        change[0].segment_count = 1; /* without its gap it can be the first */
        refuse(&said);
    }
    said.setting_count = 1;
#define BAD_SETTING(what)                                                                          \
    do {                                                                                           \
        change[0] = settings[0];                                                                   \
        what;                                                                                      \
        refuse(&said);                                                                             \
    } while (0)
    BAD_SETTING(change[0].name = NULL);
    BAD_SETTING(change[0].role = SIM_ROLE_RAM);
    BAD_SETTING(change[0].role = (enum sim_role)99);
    BAD_SETTING(change[0].segment_count = 0);
    BAD_SETTING(change[0].segments = two);
    BAD_SETTING(change[0].erase = nan);
    BAD_SETTING(change[0].erase = -2);
    BAD_SETTING(change[0].write = nan);
    BAD_SETTING(change[0].write = 2);
    said.setting_count = 2;
    change[0] = settings[0];
    change[1] = settings[2];
    change[1].role = SIM_ROLE_OPTIONS;
    for (size_t i = 0; i < 32; i++)
        many[i] = (struct sim_segment){ (uint32_t)(0x60000000 + 32 * i), 1, 16, 0 };
    change[1].segments = many;
    change[1].segment_count = 14; /* the main flash, and RAM: sixteen in all */
    open_said(&said, 0);
    rig_close(NULL);
    change[1].segment_count = 15;
    refuse(&said);
    change[1].segment_count = 32;
    refuse(&said);
    change[1].segment_count = 1;
    many[0].size = 15;
    refuse(&said);
    change[1].role = SIM_ROLE_FEATURE;
    many[0].size = 3;
    refuse(&said);
}

static void test_hostile_requests(void **state)
{
    (void)state;
    for (int start = -1; start <= 10; start++) {
        struct simproduct *product = simproduct_new(&widget);

        seed = (uint32_t)(1000 + start);
        torment(&(struct sim_options){
            .product = product, .rdp = start == 4, .wrp = 5, .state = start });
        simproduct_drop(product);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_face),
        RIG_TEST(test_serial),
        RIG_TEST(test_second_flash),
        RIG_TEST(test_power_goes),
        RIG_TEST(test_times),
        RIG_TEST(test_application),
        RIG_TEST(test_application_that_never_comes),
        RIG_TEST(test_application_without_dfu),
        RIG_TEST(test_without_option_bytes),
        RIG_TEST(test_bases),
        RIG_TEST(test_lifetime),
        RIG_TEST(test_it_keeps_copies),
        cmocka_unit_test(test_bad_ones),
        cmocka_unit_test(test_bad_memories),
        cmocka_unit_test(test_hostile_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
