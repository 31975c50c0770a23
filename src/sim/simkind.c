/* SPDX-License-Identifier: MIT */
#include "sim/simkind.h"

#include <string.h>

#include "usb/dfu_spec.h"

#define LE16(n) (n) & 0xFF, (n) >> 8 & 0xFF

/* A whole device descriptor: no class, EP0 of 64 bytes, strings 1 to 3, one configuration. */
#define DEVICE(usb, vid, pid, version)                                                             \
    18, USB_DEVICE_DESCRIPTOR, LE16(usb), 0, 0, 0, 64, LE16(vid), LE16(pid), LE16(version), 1, 2,  \
        3, 1

/* One interface, powered by itself, 100 mA; an alternate setting of it; the functional
 * descriptor, which ends a DFU interface. */
#define CONFIG(length) 9, USB_CONFIG_DESCRIPTOR, LE16(length), 1, 1, 0, 0xC0, 50
#define ALT(number, protocol, string)                                                              \
    9, USB_INTERFACE_DESCRIPTOR, 0, number, 0, DFU_INTERFACE_CLASS, DFU_INTERFACE_SUBCLASS,        \
        protocol, string
#define FUNCTIONAL(timeout, transfer, version)                                                     \
    9, DFU_FUNCTIONAL_DESCRIPTOR, DFU_CAN_DNLOAD | DFU_CAN_UPLOAD | DFU_WILL_DETACH,               \
        LE16(timeout), LE16(transfer), LE16(version)

/* STM32F4 Discovery, ROM of 2011, byte for byte as lsusb showed it (dfu-util,
 * device-logs/stm32f4discovery.lsusb): one functional descriptor, after the last setting. */
static const uint8_t f407_device[] = { DEVICE(0x0100, 0x0483, 0xDF11, 0x2100) };
static const uint8_t f407_config[] = { CONFIG(54),   ALT(0, 2, 4), ALT(1, 2, 5),
                                       ALT(2, 2, 6), ALT(3, 2, 7), FUNCTIONAL(255, 2048, 0x011A) };

/* USER 0xEF, RDP 0xAA; nWRP 0xFFF (RM0090, option byte organization). */
static const uint8_t f407_options[16] = {
    0xEF, 0xAA, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
};

/* STM32L4 ROMs with these strings report ver=2200 (`dfu-util -l` logs); the rest as the F4. */
static const uint8_t l452_device[] = { DEVICE(0x0100, 0x0483, 0xDF11, 0x2200) };

/* FLASH_OPTR after delivery and its complement (RM0394; the G4 has the same); no PCROP area, no
 * write protection, no secure area (the places of these are recalled). */
#define OPTR     0xAA, 0xF8, 0xEF, 0xFF, 0x55, 0x07, 0x10, 0x00
#define NO_PCROP 0xFF, 0x7F, 0xFF, 0xFF, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF
#define NO_WRP   0xFF, 0xFF, 0x00, 0xFF, 0x00, 0x00, 0xFF, 0x00
#define NO_SEC   0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF
static const uint8_t l452_options[40] = { OPTR, NO_PCROP, NO_WRP, NO_WRP };
static const uint8_t g474_options[48] = { OPTR, NO_PCROP, NO_WRP, NO_WRP, NO_SEC };
static const uint8_t g474_options_2[48] = { 0xFF, 0xFF, 0xFF,     0xFF,   0xFF,   0xFF,
                                            0xFF, 0xFF, NO_PCROP, NO_WRP, NO_WRP, NO_SEC };

/* "DFU in FS Mode" ROMs: USB 2.0, ver=0200, wTransferSize 1024, three settings. */
static const uint8_t g474_device[] = { DEVICE(0x0200, 0x0483, 0xDF11, 0x0200) };
static const uint8_t g474_config[] = { CONFIG(45), ALT(0, 2, 4), ALT(1, 2, 5), ALT(2, 2, 6),
                                       FUNCTIONAL(255, 1024, 0x011A) };

/* Not a real board: it follows the text of DFU 1.1, with pid.codes' identifiers for tests. */
static const uint8_t dfu11_device[] = { DEVICE(0x0200, 0x1209, 0x0002, 0x0100) };
static const uint8_t dfu11_config[] = { CONFIG(27), ALT(0, 2, 4), FUNCTIONAL(1000, 1024, 0x0110) };
static const uint8_t dfu11_runtime_device[] = { DEVICE(0x0200, 0x1209, 0x0001, 0x0100) };
static const uint8_t dfu11_runtime_config[] = { CONFIG(27), ALT(0, 1, 5),
                                                FUNCTIONAL(1000, 1024, 0x0110) };

#define SAME(typ, max)                                                                             \
    {                                                                                              \
        { (typ), (typ), (typ) },                                                                   \
        {                                                                                          \
            (max), (max), (max)                                                                    \
        }                                                                                          \
    }
#define FACE(name, alts)                                                                           \
    {                                                                                              \
        name##_device, name##_config, sizeof name##_config, (alts), false                          \
    }
#define OPTIONS(where, bytes, first)                                                               \
    {                                                                                              \
        .role = SIM_ROLE_OPTIONS, .address = (where), .size = (bytes), .initial = (first),         \
        .initial_length = sizeof(first)                                                            \
    }
#define MAIN_FLASH(where, bytes, sectors)                                                          \
    {                                                                                              \
        .role = SIM_ROLE_FLASH, .address = (where), .size = (bytes), .runs = (sectors),            \
        .run_count = sizeof(sectors) / sizeof(sectors)[0]                                          \
    }

/* DS8626 table 40 */
static const struct sim_run f407_runs[] = {
    { 4, 16 * 1024, { { 400, 300, 250 }, { 800, 600, 500 } } },
    { 1, 64 * 1024, { { 1200, 700, 550 }, { 2400, 1400, 1100 } } },
    { 7, 128 * 1024, { { 2000, 1300, 1000 }, { 4000, 2600, 2000 } } },
};
/* STM32L433 datasheet: page and bank erase, doubleword */
static const struct sim_run l452_runs[] = { { 256, 2048, SAME(22.02, 24.47) } };
/* measured through the ROM */
static const struct sim_run g474_runs[] = { { 256, 2048, SAME(37, 40) } };
/* as an STM32F103 */
static const struct sim_run dfu11_runs[] = { { 64, 1024, SAME(20, 40) } };

const char *const sim_habit_names[SIM_HABITS] = {
    [SIM_ERASES_TO_END] = "erases-to-end",
    [SIM_ERASES_FOUR_ON] = "erases-four-on",
    [SIM_ERASES_FOURTH] = "erases-fourth",
    [SIM_ERASES_ONE_BANK] = "erases-one-bank",
    [SIM_STAYS_BUSY] = "stays-busy",
    [SIM_ANSWERS_EARLY] = "answers-early",
    [SIM_REFUSES_MASS_ERASE] = "refuses-mass-erase",
    [SIM_REFUSES_UNPROTECT] = "refuses-unprotect",
    [SIM_ERASES_TO_ZERO] = "erases-to-zero",
    [SIM_IGNORES_MASS_ERASE] = "ignores-mass-erase",
    [SIM_IGNORES_UNPROTECT] = "ignores-unprotect",
    [SIM_IGNORES_COMMANDS] = "ignores-commands",
    [SIM_UNPROTECTS_AT_POWER] = "unprotects-at-power",
    [SIM_OPTIONS_STAY] = "options-stay",
    [SIM_KEEPS_POINTER] = "keeps-pointer",
    [SIM_NO_ANSWER_TO_GET] = "no-answer-to-get",
    [SIM_REFUSES_GET] = "refuses-get",
    [SIM_STALE_GET] = "stale-get",
    [SIM_EXECUTES_IN_STATUS] = "executes-in-status",
    [SIM_EXECUTES_IN_DOWNLOAD] = "executes-in-download",
    [SIM_ERROR_WITHOUT_STATE] = "error-without-state",
    [SIM_VENDOR_ERRORS] = "vendor-errors",
    [SIM_ADDRESS_ERRORS] = "address-errors",
    [SIM_DEAF_IN_ERROR] = "deaf-in-error",
    [SIM_ODD_STATE] = "odd-state",
    [SIM_CLEAR_IDLES] = "clear-idles",
    [SIM_CLEAR_STALLS] = "clear-stalls",
    [SIM_REPEATS_POLL] = "repeats-poll",
    [SIM_ABORT_STALLS_IN_SYNC] = "abort-stalls-in-sync",
    [SIM_ABORT_ERRS_IN_SYNC] = "abort-errs-in-sync",
    [SIM_HALF_BLOCKS] = "half-blocks",
    [SIM_BY_SETTING] = "by-setting",
    [SIM_NO_UPLOAD] = "no-upload",
    [SIM_UPLOADS_ANYWHERE] = "uploads-anywhere",
    [SIM_UPLOADS_WHOLE_BLOCKS] = "uploads-whole-blocks",
    [SIM_WAITS_FOR_STATUS] = "waits-for-status",
    [SIM_STAYS] = "stays",
    [SIM_DETACHES] = "detaches",
    [SIM_COMES_BACK] = "comes-back",
    [SIM_TOLERANT] = "tolerant",
    [SIM_CORRUPTS_BLOCKS] = "corrupts-blocks",
    [SIM_DROPS_ODD_BYTE] = "drops-odd-byte",
    [SIM_COUNTS_ITSELF] = "counts-itself",
    [SIM_WANTS_ORDER] = "wants-order",
    [SIM_STATUS_IDLES] = "status-idles",
};

const struct sim_kind sim_kinds[] = {
    {
        .name = "f407",
        .dfu = FACE(f407, 4),
        .strings = { NULL, "STMicroelectronics", "STM32  BOOTLOADER", "315A28A0B956",
                     "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg",
                     "@Option Bytes  /0x1FFFC000/01*016 g",
                     "@OTP Memory /0x1FFF7800/01*512 g,01*016 g",
                     "@Device Feature/0xFFFF0000/01*004 g" },
        .transfer_size = 2048,
        .start_state = 10,
        .busy = SIM_BUSY_NAK,
        /* modm's log of an F401 ROM (100, 104); the rest as in ST's library */
        .poll = { .erase = 100, .write = 104, .address = 104, .manifest = 1 },
        .memories = { MAIN_FLASH(0x08000000, 1024 * 1024, f407_runs),
                      OPTIONS(0x1FFFC000, 16, f407_options),
                      { .role = SIM_ROLE_OTP, .address = 0x1FFF7800, .size = 512 + 16 },
                      { .role = SIM_ROLE_FEATURE, .address = 0xFFFF0000, .size = 4 },
                      { .role = SIM_ROLE_RAM,
                        .address = 0x20000000,
                        .size = 128 * 1024,
                        .reserved = 8 * 1024 } }, /* AN2606 */
        .memory_count = 5,
        .mass_erase = { { 16000, 11000, 8000 }, { 32000, 22000, 16000 } },
        .unit = { 1, 2, 4 },
        .unit_us_typ = 16,
        .unit_us_max = 100,
        .rdp_at = 1,
        .nwrp_at = 8,
        .rdp_open = 0xAA,
        .pointer = 0x08000000,
        .stack = 0x10000000, /* CCM */
        .stack_size = 64 * 1024,
    },
    {
        .name = "l452",
        .dfu = { l452_device, f407_config, sizeof f407_config, 4, false },
        .strings = { NULL, "STMicroelectronics", "STM32  BOOTLOADER", "20433A0B1C2D",
                     "@Internal Flash  /0x08000000/0256*0002Kg",
                     "@Option Bytes  /0x1FFF7800/01*040 e", "@OTP Memory /0x1FFF7000/01*0001Ke",
                     "@Device Feature/0xFFFF0000/01*004 e" },
        .transfer_size = 2048,
        .start_state = 10,
        .busy = SIM_BUSY_STALL, /* dfu-util ticket 40: the announced time is too short */
        .poll = { .erase = 21, .write = 21, .address = 21, .manifest = 1 },
        .memories = { MAIN_FLASH(0x08000000, 512 * 1024, l452_runs),
                      OPTIONS(0x1FFF7800, 40, l452_options),
                      { .role = SIM_ROLE_OTP, .address = 0x1FFF7000, .size = 1024 },
                      { .role = SIM_ROLE_FEATURE, .address = 0xFFFF0000, .size = 4 },
                      { .role = SIM_ROLE_RAM,
                        .address = 0x20000000,
                        .size = 48 * 1024,
                        .reserved = 12 * 1024 } },
        .memory_count = 5,
        .mass_erase = SAME(22.13, 24.59), /* this and the unit: STM32L433 datasheet */
        .unit = { 8, 8, 8 },
        .unit_us_typ = 81.69,
        .unit_us_max = 90.76,
        .rdp_open = 0xAA,
        .pointer = 0x08000000,
        .stack = 0x10000000, /* SRAM2 */
        .stack_size = 16 * 1024,
    },
    {
        .name = "g474",
        .dfu = FACE(g474, 3),
        .strings = { NULL, "STMicroelectronics", "DFU in FS Mode", "20474A0B1C2D",
                     "@Internal Flash   /0x08000000/256*02Kg",
                     "@Option Bytes   /0x1FFF7800/01*048 e/0x1FFFF800/01*048 e",
                     "@OTP Memory   /0x1FFF7000/01*1024 e" },
        .transfer_size = 1024,
        .start_state = 10,
        .busy = SIM_BUSY_NAK,
        .poll = { .erase = 50, .write = 50, .address = 50, .manifest = 1 }, /* newer library */
        .memories = { MAIN_FLASH(0x08000000, 512 * 1024, g474_runs),
                      OPTIONS(0x1FFF7800, 48, g474_options),
                      OPTIONS(0x1FFFF800, 48, g474_options_2),
                      { .role = SIM_ROLE_OTP, .address = 0x1FFF7000, .size = 1024 },
                      { .role = SIM_ROLE_RAM,
                        .address = 0x20000000,
                        .size = 128 * 1024,
                        .reserved = 16 * 1024 } },
        .memory_count = 5,
        .mass_erase = SAME(37, 40),
        .unit = { 8, 8, 8 },
        .unit_us_typ = 81.7,
        .unit_us_max = 83.35,
        .rdp_open = 0xAA,
        .pointer = 0x08000000,
        .stack = 0x10000000, /* CCM */
        .stack_size = 32 * 1024,
    },
    {
        .name = "dfu11",
        .dfu = FACE(dfu11, 1),
        .runtime = FACE(dfu11_runtime, 1),
        .strings = { NULL, "moonflash", "Simulated DFU 1.1 board", "D110000001", "Program",
                     "DFU run-time" },
        .transfer_size = 1024,
        .plain = true,
        .start_state = 2,
        .busy = SIM_BUSY_SAYS,
        .poll = { .write = 50, .manifest = 50 },
        .memories = { MAIN_FLASH(0, 64 * 1024, dfu11_runs),
                      { .role = SIM_ROLE_RAM, .address = 0x20000000, .size = 20 * 1024 } },
        .memory_count = 2,
        .mass_erase = SAME(20, 40),
        .unit = { 2, 2, 2 },
        .unit_us_typ = 52.5,
        .unit_us_max = 70,
        .alias = 0x08000000,
        .manifest_seconds = 0.02,
    },
};

const size_t sim_kind_count = sizeof sim_kinds / sizeof sim_kinds[0];

bool simkind_has(const struct sim_kind *kind, enum sim_habit habit)
{
    return (kind->habits >> habit & 1) != 0;
}

const struct sim_kind *simkind_find(const char *name)
{
    for (size_t i = 0; name && i < sim_kind_count; i++)
        if (strcmp(sim_kinds[i].name, name) == 0)
            return &sim_kinds[i];
    return NULL;
}

bool simkind_sector(const struct sim_memory *memory, uint64_t offset, struct sim_sector *sector)
{
    uint32_t start = 0;
    uint32_t index = 0;

    for (size_t i = 0; i < memory->run_count; i++) {
        const struct sim_run *run = &memory->runs[i];

        if (offset < (uint64_t)start + (uint64_t)run->count * run->size) {
            uint32_t nth = ((uint32_t)offset - start) / run->size;

            *sector = (struct sim_sector){
                .index = index + nth,
                .offset = start + nth * run->size,
                .size = run->size,
                .erase = &run->erase,
            };
            return true;
        }
        start += run->count * run->size;
        index += run->count;
    }
    return false;
}
