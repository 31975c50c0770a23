/* SPDX-License-Identifier: MIT */
/* The simulated board, and what makes boards of a description: any requests in any state, at any
 * time, with faults.  The claims:
 *
 *   - an answer has room in what the request has, and takes a time that is possible;
 *   - states, statuses and descriptors are those of DFU 1.1 and USB 2.0;
 *   - the flash changes only where the board says that it did, and never in a protected sector
 *     unless protection is removed;
 *   - memories are disjoint, and peek and poke keep to them.
 *
 * Input: a description or a kind; then requests and what happens around the board.
 */
#include "fuzz.h"

#include <string.h>

#include "sim/sim_private.h"
#include "sim/simproduct.h"

enum { REQUESTS_MOST = 200, SEGMENTS_MOST = 3, TEXT_MOST = 24, BYTES_MOST = 64 * 1024 };
enum { DNLOAD = 1, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT };
enum { ODD_STATE = 15, STATUSES = 16 };

#define LONGEST 200.0 /* seconds: mass erases of a large chip take half a minute */

static struct input in;
static struct sim *sim;
static double now;
static uint8_t *before; /* the main flash, as it was at the last look */

/* ---- boards ---- */

/* A string of the input, or NULL. */
static const char *choose_text(char text[TEXT_MOST + 1])
{
    unsigned length = take(&in);
    if (length == 0)
        return NULL;
    length %= TEXT_MOST + 1;
    for (unsigned i = 0; i < length; i++)
        text[i] = (char)take(&in);
    text[length] = '\0';
    return text;
}

static int choose_id(void)
{
    return take(&in) & 1 ? take16(&in) : SIM_AS_BASE;
}

/* Small numbers are good ones, most of the time. */
static struct sim_segment choose_segment(uint32_t *next)
{
    static const uint32_t sizes[] = { 1024, 16, 128, 512, 2048, 4096 };
    unsigned how = take(&in);
    struct sim_segment segment = { *next, 1 + how % 4, sizes[(how >> 2) % 6], 0 };
    if (how >= 0xF0)
        segment = (struct sim_segment){ take32(&in), take32(&in), take32(&in), 0 };
    else if (how >= 0xE0)
        segment.address += take16(&in);
    else if (how >= 0xD0)
        segment.address -= take16(&in); /* it may overlap another */
    *next = segment.address + segment.count * segment.size;
    return segment;
}

static struct simproduct *choose_product(const char *base)
{
    static struct sim_segment segments[SIM_SETTINGS_MAX][SEGMENTS_MOST];
    static struct sim_setting settings[SIM_SETTINGS_MAX + 1];
    char text[3][TEXT_MOST + 1], app_text[3][TEXT_MOST + 1], names[SIM_SETTINGS_MAX][TEXT_MOST + 1];
    struct sim_poll poll = { take(&in), take(&in), take(&in), take(&in) };
    struct sim_product said = { .base = base, .poll = &poll, .settings = settings };
    uint32_t next = 0x08000000;

    said.vid = choose_id();
    said.pid = choose_id();
    said.version = choose_id();
    said.manufacturer = choose_text(text[0]);
    said.product = choose_text(text[1]);
    said.serial = choose_text(text[2]);
    said.transfer_size = take(&in) & 1 ? take16(&in) : 128;
    said.starts_idle = take(&in) & 1;
    said.ram = take(&in) & 1 ? take16(&in) : 32 * 1024;
    said.habits = (uint64_t)take32(&in) << 32 | take32(&in);
    said.habits &= said.habits >> 7 & ((UINT64_C(1) << SIM_HABITS) - 1); /* a few of them */
    said.setting_count = choose(&in, SIM_SETTINGS_MAX + 2);
    for (size_t i = 0; i < said.setting_count && i < SIM_SETTINGS_MAX; i++) {
        settings[i] = (struct sim_setting){ .segments = segments[i],
                                            .segment_count = 1 + choose(&in, SEGMENTS_MOST),
                                            .erase = SIM_AS_BASE };
        settings[i].name = choose_text(names[i]);
        if (!settings[i].name)
            settings[i].name = "@Memory";
        settings[i].role = (enum sim_role)(i == 0 ? SIM_ROLE_FLASH : choose(&in, 6));
        settings[i].unit = choose(&in, 9);
        for (size_t j = 0; j < settings[i].segment_count; j++)
            segments[i][j] = choose_segment(&next);
        next += 0x1000;
    }
    said.application = (struct sim_application){ .there = take(&in) & 1,
                                                 .dfu = take(&in) & 1,
                                                 .vid = choose_id(),
                                                 .pid = choose_id(),
                                                 .version = choose_id(),
                                                 .seconds = choose(&in, 70) };
    said.application.manufacturer = choose_text(app_text[0]);
    said.application.product = choose_text(app_text[1]);
    said.application.serial = choose_text(app_text[2]);
    struct simproduct *product = simproduct_new(&said);
    trace("product on %s, %zu settings: %s\n", base, said.setting_count,
          product ? "made" : "refused");
    return product;
}

static bool overlap(const struct sim_memory *a, const struct sim_memory *b)
{
    return a->address < b->address + (uint64_t)b->size &&
           b->address < a->address + (uint64_t)a->size;
}

/* What holds for every board. */
static void check_kind(const struct sim_kind *kind)
{
    bool shared = simkind_has(kind, SIM_BY_SETTING);
    CLAIM(kind->transfer_size >= SIM_TRANSFER_MIN && kind->transfer_size <= SIM_TRANSFER_MAX);
    CLAIM(kind->memory_count > 0 && kind->memory_count <= SIM_MEMORIES_MAX);
    CLAIM(kind->memories[0].role == SIM_ROLE_FLASH);
    for (size_t i = 0; i < kind->memory_count; i++) {
        const struct sim_memory *memory = &kind->memories[i];
        uint64_t sectors = 0;
        for (size_t j = 0; j < memory->run_count; j++)
            sectors += (uint64_t)memory->runs[j].count * memory->runs[j].size;
        CLAIM(memory->size > 0 && memory->address + (uint64_t)memory->size <= UINT64_C(1) << 32);
        CLAIM(memory->role != SIM_ROLE_FLASH || sectors == memory->size);
        for (size_t j = 0; j < i; j++)
            CLAIM(shared || !overlap(memory, &kind->memories[j]));
    }
}

static bool new_sim(void)
{
    unsigned kind = choose(&in, (unsigned)sim_kind_count), bits = take(&in);
    struct sim_options options = {
        .kind = sim_kind_name(kind),
        .serial = bits & 1 ? "serial \xC3\xA4 \xF0\x9F\x98\x80" : NULL,
        .rdp = bits >> 1 & 3,
        .wrp = bits & 8 ? take32(&in) : 0,
        .usb = (bits >> 4) % 3,
        .times = (bits >> 6) % 3,
        .state = (int)choose(&in, 16) - 1,
    };
    struct simproduct *product = NULL;
    if (sim_kinds[kind].memories[0].size > BYTES_MOST || take(&in) & 1) {
        product = choose_product(options.kind);
        if (!product)
            return false;
        options.product = product;
        check_kind(simproduct_kind(product));
    }
    sim = sim_new(&options);
    CLAIM(sim != NULL || options.rdp > 2 || options.state > DFU_ERROR);
    simproduct_drop(product);
    return sim != NULL;
}

/* ---- claims ---- */

/* A walk over the descriptors that a configuration has: their lengths add up. */
static void check_descriptors(void)
{
    size_t length, at = 0;
    const uint8_t *device = sim_device_descriptor(sim, &length);
    if (!device) /* it has no run-time mode, and is in none */
        return;
    CLAIM(length == SIM_DEVICE_DESCRIPTOR && device[0] == length && device[1] == 1);
    const uint8_t *config = sim_config_descriptor(sim, &length);
    CLAIM(length >= 9 && (config[2] | config[3] << 8) == (int)length);
    while (at < length) {
        CLAIM(config[at] >= 2 && config[at] <= length - at);
        at += config[at];
    }
}

/* What the answer to a request may be. */
static void check_answer(const struct usb_setup *setup, const struct sim_answer *answer,
                         const uint8_t *data)
{
    CLAIM(answer->result >= SIM_GONE && answer->result <= (int)setup->length);
    CLAIM(answer->wire >= 0 && answer->seconds >= answer->wire && answer->seconds < LONGEST);
    if (setup->type == 0xA1 && setup->request == GETSTATUS && answer->result == 6) {
        CLAIM(data[0] < STATUSES);
        CLAIM(data[4] <= DFU_ERROR || data[4] == ODD_STATE);
    }
    if (setup->type == 0xA1 && setup->request == GETSTATE && answer->result == 1)
        CLAIM(data[0] <= DFU_ERROR || data[0] == ODD_STATE);
}

/* Whether a sector was protected all the time; protection can go at a start. */
static bool is_protected(uint32_t wrp, size_t offset)
{
    struct sim_sector sector;
    return simkind_sector(&sim->kind->memories[0], offset, &sector) && sector.index < 32 &&
           (wrp >> sector.index & 1);
}

/* Looks at what has changed in the main flash since the last look. */
static void check_changes(uint32_t wrp, bool unprotects)
{
    uint32_t address;
    size_t length, first = 0, last = 0;
    const uint8_t *flash = sim_flash(sim, now, &address, &length);
    bool changed = sim_flash_changed(sim, now, &first, &last);
    CLAIM(!changed || (first <= last && last < length));
    if (memcmp(before, flash, length) == 0)
        return;
    CLAIM(changed);
    CLAIM(memcmp(before, flash, first) == 0);
    CLAIM(memcmp(before + last + 1, flash + last + 1, length - last - 1) == 0);
    for (size_t at = first; wrp != 0 && !unprotects && at <= last; at++)
        CLAIM(before[at] == flash[at] || !is_protected(wrp, at));
    memcpy(before + first, flash + first, last - first + 1);
}

/* ---- what happens ---- */

static uint32_t choose_address(void)
{
    const struct sim_kind *kind = sim->kind;
    unsigned which = take(&in);
    if (which >= 0xC0)
        return take32(&in);
    const struct sim_memory *memory = &kind->memories[which % kind->memory_count];
    return memory->address + take16(&in) % memory->size;
}

static void fill_command(uint8_t *data, size_t length)
{
    static const uint8_t commands[] = { 0x21, 0x41, 0x92, 0x00 };
    uint8_t bytes[5] = { commands[choose(&in, 4)] };
    uint32_t address = choose_address();
    for (int i = 0; i < 4; i++)
        bytes[1 + i] = (uint8_t)(address >> 8 * i);
    memcpy(data, bytes, length < 5 ? length : 5);
}

/* The number of a block: low, or at the end of the main flash. */
static uint16_t choose_block(void)
{
    unsigned how = take(&in), blocks = sim->kind->memories[0].size / sim->kind->transfer_size;
    return (uint16_t)(how < 0xC0 ? how % 8 : blocks - 2 + how % 8);
}

static uint16_t choose_length(void)
{
    const uint16_t size = sim->kind->transfer_size;
    const uint16_t lengths[] = {
        size, 0, 1, 2, 63, 64, (uint16_t)(size - 1), (uint16_t)(size + 1)
    };
    unsigned how = take(&in);
    return how < 0xC0 ? lengths[how % 8] : take16(&in);
}

/* A request that makes sense, or any. */
static struct usb_setup choose_setup(void)
{
    uint16_t block;
    switch (choose(&in, 16)) {
    case 0:
    case 1:
        return (struct usb_setup){ 0xA1, GETSTATUS, 0, 0, 6 };
    case 2:
        return (struct usb_setup){ 0x21, DNLOAD, 0, 0, take(&in) & 1 ? 1 : 5 };
    case 3:
    case 4:
        block = choose_block();
        return (struct usb_setup){ 0x21, DNLOAD, block, 0, choose_length() };
    case 5:
        block = choose_block();
        return (struct usb_setup){ 0xA1, UPLOAD, block, 0, choose_length() };
    case 6:
        return (struct usb_setup){ 0x21, CLRSTATUS, 0, 0, 0 };
    case 7:
        return (struct usb_setup){ 0x21, ABORT, 0, 0, 0 };
    case 8:
        return (struct usb_setup){ 0xA1, GETSTATE, 0, 0, 1 };
    case 9:
        return (struct usb_setup){ 0x80, 6, take16(&in), 0, take16(&in) };
    case 10:
        return (struct usb_setup){ 0x01, 11, take(&in), 0, 0 };
    case 11:
        return (struct usb_setup){ 0x21, 0, 1000, 0, 0 };
    default:
        return (struct usb_setup){ take(&in), take(&in), take16(&in), take16(&in), take16(&in) };
    }
}

/* Each request gets memory of just its size, for the address sanitizer. */
static void request(void)
{
    struct usb_setup setup = choose_setup();
    uint8_t *data = calloc(1, setup.length ? setup.length : 1);
    uint8_t byte = take(&in);
    if (setup.type == 0x21 && setup.request == DNLOAD && setup.value == 0 && setup.length <= 5)
        fill_command(data, setup.length);
    else
        memset(data, byte, setup.length);
    uint32_t wrp = sim->mem.wrp;
    bool unprotects = sim->work.kind == SIM_WORK_UNPROTECT || sim->mem.wants_power;
    struct sim_answer answer = sim_control(sim, now, &setup, data);
    trace("%9.3f %02x %u value %u length %u -> %d, state %u\n", now, setup.type, setup.request,
          setup.value, setup.length, answer.result, sim->state);
    check_answer(&setup, &answer, data);
    free(data);
    now += answer.seconds;
    check_changes(wrp & sim->mem.wrp, unprotects || sim->work.kind == SIM_WORK_UNPROTECT);
}

static void look_from_behind(void)
{
    uint8_t bytes[64];
    uint32_t address = choose_address();
    size_t length = take(&in) % sizeof bytes;
    bool there = sim_peek(sim, now, address, bytes, length);
    CLAIM(sim_poke(sim, now, address, bytes, length) == there);
    CLAIM(!there || address + (uint64_t)length <= UINT64_C(1) << 32);
}

static void surroundings(void)
{
    struct sim_when when;
    uint32_t wrp = sim->mem.wrp;
    bool unprotects = sim->work.kind == SIM_WORK_UNPROTECT || sim->mem.wants_power;
    switch (choose(&in, 8)) {
    case 0:
        now += take(&in) / 1e2;
        break;
    case 1:
        sim_plug(sim, now);
        break;
    case 2:
        sim_unplug(sim, now);
        break;
    case 3:
        sim_reset(sim, now);
        break;
    case 4:
        sim_bus_reset(sim, now);
        break;
    case 5:
        when = (struct sim_when){ .request = choose(&in, 2) ? sim_requests(sim) + take(&in) : 0,
                                  .op = choose(&in, 5),
                                  .address = choose_address() };
        sim_add_fault(sim, choose(&in, SIM_FAULTS + 1), &when);
        break;
    case 6:
        look_from_behind();
        break;
    default:
        now += take(&in);
        break;
    }
    sim_life(sim, now);
    check_changes(wrp & sim->mem.wrp, unprotects);
    check_descriptors();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = (struct input){ data, data + size };
    now = 0;
    if (!new_sim())
        return 0;
    uint32_t address;
    size_t length;
    const uint8_t *flash = sim_flash(sim, now, &address, &length);
    before = malloc(length);
    memcpy(before, flash, length);
    for (int i = 0; i < REQUESTS_MOST && !used_up(&in); i++)
        if (choose(&in, 8) == 7)
            surroundings();
        else
            request();
    now += LONGEST;
    sim_life(sim, now);
    CLAIM(sim->work.kind == SIM_WORK_NONE);
    struct sim_flashed flashed = { 0 };
    sim_flashed(sim, now, &flashed);
    CLAIM((flashed.written == 0 && flashed.erased == 0) || flashed.first <= flashed.last);
    free(before);
    sim_free(sim);
    return 0;
}
