/* SPDX-License-Identifier: MIT */
/* The step machine against a simulated board, over a transport that loses requests and answers,
 * stalls, cuts short, pulls the plug, and is given up.  A model keeps what the flash must hold,
 * from what the operations claim.  The claims:
 *
 *   - bytes that a write counts as done are in the flash, and those that a read counts as done are
 *     what the flash holds;
 *   - an erase that ended in success left its sector erased;
 *   - what may have been begun lies within the block, or the sector, that is in doubt;
 *   - nothing else has changed, nor changes later.
 *
 * Input: a board, with habits; then operations, each with what the transport does to its requests.
 * Boards that lie about their flash (see `honest`) can't be held to claims, and are left out.
 */
#include "fuzz.h"

#include <string.h>

#include "dfu/dfu.h"
#include "sim/sim_private.h"
#include "sim/simproduct.h"

enum { OPERATIONS_MOST = 16, BLOCKS_MOST = 5, AREAS_MOST = 2 };
enum { MAIN = 0x08000000, EXTERNAL = 0x90000000, OPTIONS = 0x1FFFC000, PLAIN_SIZE = 64 * 1024 };
enum { RAM = 32 * 1024, OPTIONS_SIZE = 16, CLRSTATUS = 4 };

#define TIMEOUT 5.0 /* seconds, of the board */

/* Habits of boards that do what they say, whatever else they do.  Of the others, some change other
 * bytes than they were told, or none; SIM_ERROR_WITHOUT_STATE says an error once, so a lost answer
 * hides it; SIM_BY_SETTING is about addresses that several memories share. */
static const enum sim_habit honest[] = {
    SIM_ERASES_TO_ZERO,
    SIM_KEEPS_POINTER,
    SIM_NO_ANSWER_TO_GET,
    SIM_REFUSES_GET,
    SIM_STALE_GET,
    SIM_EXECUTES_IN_STATUS,
    SIM_EXECUTES_IN_DOWNLOAD,
    SIM_VENDOR_ERRORS,
    SIM_ADDRESS_ERRORS,
    SIM_DEAF_IN_ERROR,
    SIM_ODD_STATE,
    SIM_CLEAR_IDLES,
    SIM_CLEAR_STALLS,
    SIM_ABORT_STALLS_IN_SYNC,
    SIM_ABORT_ERRS_IN_SYNC,
    SIM_HALF_BLOCKS,
    SIM_NO_UPLOAD,
    SIM_UPLOADS_ANYWHERE,
    SIM_UPLOADS_WHOLE_BLOCKS,
    SIM_WAITS_FOR_STATUS,
    SIM_STAYS,
    SIM_DETACHES,
    SIM_TOLERANT,
    SIM_COUNTS_ITSELF,
    SIM_WANTS_ORDER,
    SIM_STATUS_IDLES,
    SIM_IGNORES_COMMANDS,
};

static struct input in, fates; /* what there is; of it, what the transport does */
static struct sim *sim;
static double now;      /* the host's clock */
static double ready_at; /* when the board has answered the last request, heard or not */
static unsigned generation;
static unsigned known; /* of the board to its host: bits */
static struct dfu_board board;
static struct dfu_op op;

/* A flash, as it must be. */
static struct area {
    const struct sim_memory *memory;
    uint8_t *model;
    bool *doubt; /* what the byte holds is not known */
} areas[AREAS_MOST];
static size_t area_count;

/* ---- the model ---- */

static bool has(enum sim_habit habit)
{
    return simkind_has(sim->kind, habit);
}

static uint8_t erased(void)
{
    return has(SIM_ERASES_TO_ZERO) ? 0 : 0xFF;
}

/* What programming makes of a byte: bits only change away from what erasing leaves. */
UNSEEN static uint8_t programmed(uint8_t old, uint8_t byte)
{
    return has(SIM_ERASES_TO_ZERO) ? old | byte : old & byte;
}

static const uint8_t *flash_of(const struct area *area)
{
    return sim->mem.bytes[area->memory - sim->kind->memories];
}

/* The area that holds an address, and where; NULL: none does. */
UNSEEN static struct area *area_at(uint64_t address, uint32_t *offset)
{
    for (size_t i = 0; i < area_count; i++) {
        const struct sim_memory *memory = areas[i].memory;
        if (address >= memory->address && address - memory->address < memory->size) {
            *offset = (uint32_t)(address - memory->address);
            return &areas[i];
        }
    }
    return NULL;
}

UNSEEN static bool is_protected(const struct area *area, uint32_t offset)
{
    struct sim_sector sector;
    return sim->mem.wrp != 0 && area == &areas[0] &&
           simkind_sector(area->memory, offset, &sector) && sector.index < 32 &&
           (sim->mem.wrp >> sector.index & 1);
}

UNSEEN static void doubt(struct area *area, uint32_t offset, uint32_t length)
{
    for (uint32_t i = offset; i < offset + length && i < area->memory->size; i++)
        area->doubt[i] = true;
}

static void doubt_all(void)
{
    for (size_t i = 0; i < area_count; i++)
        doubt(&areas[i], 0, areas[i].memory->size);
}

UNSEEN static void erase_model(struct area *area, uint32_t offset, uint32_t length)
{
    for (uint32_t i = offset; i < offset + length; i++) {
        if (is_protected(area, i))
            continue;
        area->model[i] = erased();
        area->doubt[i] = false;
    }
}

/* Plain DFU erases the sectors that begin in a block; calls f for those in [offset, end). */
static void each_begun_sector(struct area *area, uint32_t offset, uint32_t end,
                              void (*f)(struct area *, uint32_t, uint32_t))
{
    struct sim_sector sector;
    for (uint32_t at = offset; at < end && simkind_sector(area->memory, at, &sector);
         at = sector.offset + sector.size)
        if (sector.offset >= offset)
            f(area, sector.offset, sector.size);
}

/* Bytes that a write counts as done. */
UNSEEN static void model_written(uint64_t address, const uint8_t *data, size_t length)
{
    uint32_t offset;
    struct area *area = area_at(address, &offset);
    if (area && sim->kind->plain)
        each_begun_sector(area, offset, offset + (uint32_t)length, erase_model);
    for (size_t i = 0; i < length && (area = area_at(address + i, &offset)) != NULL; i++)
        if (!is_protected(area, offset))
            area->model[offset] = programmed(area->model[offset], data[i]);
}

static void model_block_in_doubt(uint64_t address, size_t length)
{
    uint32_t offset;
    struct area *area = area_at(address, &offset);
    if (!area)
        return;
    doubt(area, offset, (uint32_t)length);
    if (sim->kind->plain)
        each_begun_sector(area, offset, offset + (uint32_t)length, doubt);
}

static void model_erase(bool done)
{
    uint32_t offset;
    struct sim_sector sector;
    struct area *area = area_at(op.address, &offset);
    if (area && simkind_sector(area->memory, offset, &sector))
        (done ? erase_model : doubt)(area, sector.offset, sector.size);
}

/* What the operation claims that it did to the flash. */
static void model_operation(bool done)
{
    uint64_t start = sim->kind->plain ? 0 : op.address;
    switch (op.kind) {
    case DFU_WRITE:
        model_written(start, op.data, op.done);
        if (op.in_doubt)
            model_block_in_doubt(start + op.done, op.block_length);
        break;
    case DFU_ERASE:
        if (done || op.in_doubt)
            model_erase(done && !op.in_doubt);
        break;
    case DFU_MASS_ERASE: /* a protected sector stops it */
        if (done && !op.in_doubt && sim->mem.wrp == 0)
            erase_model(&areas[0], 0, areas[0].memory->size);
        else if (op.in_doubt)
            doubt(&areas[0], 0, areas[0].memory->size);
        break;
    case DFU_READ_UNPROTECT: /* happens behind the end of the operation */
        if (done || op.in_doubt)
            doubt_all();
        break;
    case DFU_DOWNLOAD_BLOCK: /* the caller's own commands */
        doubt_all();
        break;
    default:
        break;
    }
}

/* Holds the flash to the model.  Once the board is at nothing, what was in doubt is known. */
UNSEEN static void check_flash(void)
{
    bool quiet = sim->work.kind == SIM_WORK_NONE && !sim->stored;
    for (size_t i = 0; i < area_count; i++) {
        const uint8_t *flash = flash_of(&areas[i]);
        uint32_t size = areas[i].memory->size;
        bool same = memcmp(flash, areas[i].model, size) == 0;
        for (uint32_t at = 0; at < size && !same; at++) {
            if (flash[at] != areas[i].model[at] && !areas[i].doubt[at]) {
                trace("at %08x: %02x, not %02x\n", areas[i].memory->address + at, flash[at],
                      areas[i].model[at]);
                CLAIM(flash[at] == areas[i].model[at]);
            }
        }
        if (quiet) {
            memcpy(areas[i].model, flash, size);
            memset(areas[i].doubt, 0, size * sizeof(bool));
        }
    }
}

UNSEEN static void check_read(void)
{
    uint64_t start = sim->kind->plain ? 0 : op.address;
    uint32_t offset;
    struct area *area;
    for (size_t i = 0; i < op.done && (area = area_at(start + i, &offset)) != NULL; i++)
        CLAIM(op.out[i] == flash_of(area)[offset]);
}

/* ---- the transport ---- */

enum fate {
    DELIVERED = 0, /* and up to 7 */
    REQUEST_LOST = 8,
    ANSWER_LOST,
    STALLED, /* before the board hears of it */
    CUT_SHORT,
    UNPLUGGED,
    TROUBLED, /* dfuERROR, or no answer any more */
    DELAYED,
    GIVEN_UP,
};

static void add_fault(enum sim_fault fault)
{
    struct sim_when when = { .request = sim_requests(sim) + 1 };
    sim_add_fault(sim, fault, &when);
}

/* One request at the board. */
static int deliver(const struct usb_setup *setup, uint8_t *data, double timeout)
{
    double start = ready_at > now ? ready_at : now, deadline = now + timeout;
    sim_life(sim, start);
    if (sim_generation(sim) != generation)
        return PORT_GONE; /* another device has come in its place */
    struct sim_answer answer = sim_control(sim, start, setup, data);
    ready_at = start + answer.seconds;
    if (answer.result == SIM_HANG || ready_at > deadline) {
        now = deadline;
        return PORT_TIMEOUT; /* the board finishes all the same */
    }
    now = ready_at;
    return answer.result == SIM_STALL  ? PORT_STALL
           : answer.result == SIM_GONE ? PORT_GONE
                                       : answer.result;
}

static int lose(double timeout)
{
    bool slow = take(&fates) & 1;
    if (slow)
        now += timeout;
    return slow ? PORT_TIMEOUT : PORT_IO;
}

static int carry(const struct usb_setup *setup, uint8_t *data, double timeout, unsigned fate)
{
    switch (fate) {
    case REQUEST_LOST:
        return lose(timeout);
    case STALLED: /* on the way to dfuIDLE: GETSTATUS leads on then, and executes what is stored */
        if (sim->stored && setup->request >= CLRSTATUS)
            doubt_all();
        return PORT_STALL;
    case GIVEN_UP:
        dfu_cancel(&op);
        if (take(&fates) & 1)
            return PORT_CANCELLED;
        break;
    case UNPLUGGED:
        add_fault(SIM_FAULT_UNPLUG);
        break;
    case TROUBLED:
        add_fault(take(&fates) & 1 ? SIM_FAULT_HANG : SIM_FAULT_ERROR);
        break;
    case DELAYED:
        now += take(&fates) * 0.05;
        break;
    default:
        break;
    }
    int result = deliver(setup, data, timeout);
    if (fate == ANSWER_LOST && result >= 0)
        return lose(timeout);
    if (fate == CUT_SHORT && result > 0)
        result /= 2;
    return result;
}

static int transfer(const struct usb_setup *setup, uint8_t *data, double timeout)
{
    unsigned fate = choose(&fates, 16);
    int result = carry(setup, data, timeout, fate);
    trace("  %7.3f %02x %u value %u length %u -> %d (%u), state %u\n", now, setup->type,
          setup->request, setup->value, setup->length, result, fate, sim->state);
    return result;
}

static struct dfu_act step(const struct dfu_act *act)
{
    double started = now;
    int result = 0;
    if (act->what == DFU_CONTROL) {
        struct usb_setup setup = { act->setup.type, act->setup.request, act->setup.value,
                                   act->setup.index, act->setup.length };
        result = transfer(&setup, act->data, act->seconds);
    } else if (act->what == DFU_SELECT) {
        struct usb_setup setup = { .type = 0x01, .request = 11, .value = act->alt };
        result = transfer(&setup, NULL, TIMEOUT);
    } else {
        CLAIM(act->what == DFU_WAIT);
        now += act->seconds;
    }
    return dfu_step(&op, result, now - started);
}

/* ---- boards ---- */

static struct simproduct *choose_product(bool plain, const char *base)
{
    static const struct sim_segment main_flash[] = { { MAIN, 4, 1024, 0 },
                                                     { MAIN + 0x1000, 1, 4096, 0 },
                                                     { MAIN + 0x2000, 3, 2048, 0 } };
    static const struct sim_segment external[] = { { EXTERNAL, 4, 2048, 0 } };
    static const struct sim_segment options[] = { { OPTIONS, 1, OPTIONS_SIZE, 0 } };
    static const struct sim_setting settings[] = {
        { "@Flash", SIM_ROLE_FLASH, main_flash, 3, SIM_AS_BASE, 0, 0, NULL, 0, false },
        { "@External", SIM_ROLE_FLASH, external, 1, SIM_AS_BASE, 0, 0, NULL, 0, false },
        { "@Options", SIM_ROLE_OPTIONS, options, 1, SIM_AS_BASE, 0, 0, NULL, 0, false },
    };
    static const uint16_t sizes[] = { 256, 64, 100, 1000, 1024, 2048, 4096 };
    struct sim_product said = {
        .base = base,
        .vid = SIM_AS_BASE,
        .pid = SIM_AS_BASE,
        .version = SIM_AS_BASE,
        .transfer_size = sizes[choose(&in, 7)],
        .starts_idle = true,
        .ram = RAM,
        .settings = plain ? NULL : settings,
        .setting_count = plain ? 0 : 3,
    };
    for (unsigned n = choose(&in, 4); n > 0; n--)
        said.habits |= UINT64_C(1) << honest[choose(&in, sizeof honest / sizeof *honest)];
    if (plain) /* without addresses nothing can be done about it */
        said.habits &= ~(UINT64_C(1) << SIM_HALF_BLOCKS);
    return simproduct_new(&said);
}

static void add_area(const struct sim_memory *memory)
{
    struct area *area = &areas[area_count++];
    area->memory = memory;
    area->model = malloc(memory->size);
    area->doubt = calloc(memory->size, sizeof(bool));
    memcpy(area->model, flash_of(area), memory->size);
}

/* Old firmware, here and there. */
UNSEEN static void fill_flash(void)
{
    uint8_t byte = take(&in);
    for (size_t i = 0; i < area_count; i++) {
        const struct sim_memory *memory = areas[i].memory;
        for (uint32_t at = 0; at < memory->size; at += 1 + byte)
            areas[i].model[at] = (uint8_t)(at * 5 + byte);
        CLAIM(sim_poke(sim, 0, memory->address, areas[i].model, memory->size));
    }
}

static void new_sim(void)
{
    unsigned kind = choose(&in, (unsigned)sim_kind_count);
    const char *name = sim_kind_name(kind);
    bool plain = sim_kinds[kind].plain;
    struct simproduct *product = choose_product(plain, name);
    CLAIM(product != NULL);
    unsigned bits = take(&in), state = choose(&in, 16);
    struct sim_options options = {
        .product = product,
        .rdp = (bits & 7) == 7,
        .wrp = bits & 8 ? take16(&in) : 0,
        .usb = bits & 16 ? SIM_USB_NONE : SIM_USB_REAL,
        .times = (bits >> 5) % 3,
        .state = state >= DFU_IDLE && state <= DFU_ERROR ? (int)state
                 : plain                                 ? DFU_IDLE
                                                         : -1,
    };
    sim = sim_new(&options);
    CLAIM(sim != NULL);
    simproduct_drop(product);
    now = ready_at = 0;
    known = take(&in);
    area_count = 0;
    for (size_t i = 0; i < sim->kind->memory_count; i++)
        if (sim->kind->memories[i].role == SIM_ROLE_FLASH)
            add_area(&sim->kind->memories[i]);
    fill_flash();
    if (sim->stored && has(SIM_ABORT_STALLS_IN_SYNC)) /* nothing but executing it leads on */
        doubt_all();
    trace("%s, transfers of %u, habits %llx, wrp %x, state %d\n", name, sim->kind->transfer_size,
          (unsigned long long)sim->kind->habits, sim->mem.wrp, options.state);
}

/* As board.c does it with a device that came. */
static void open_board(void)
{
    uint8_t *buffer = board.buffer;
    board = (struct dfu_board){
        .dfuse = !sim->kind->plain,
        .several_alts = true,
        .tolerant = has(SIM_TOLERANT),
        .vendor_protects = known & 1,
        .early_poll = known & 2,
        .transfer_size_unknown = has(SIM_HALF_BLOCKS) || (known & 4),
        .transfer_size = sim->kind->transfer_size,
        .timeout = TIMEOUT,
        .state = DFU_UNKNOWN,
        .status = DFU_UNKNOWN,
        .buffer = buffer,
    };
    generation = sim_generation(sim);
}

static double clock_of_board(void)
{
    return ready_at > now ? ready_at : now;
}

/* An event around the board between two operations. */
static void disturb(void)
{
    switch (choose(&in, 16)) {
    case 12:
        sim_reset(sim, clock_of_board());
        break;
    case 13:
        sim_bus_reset(sim, clock_of_board());
        board.state = DFU_UNKNOWN; /* board.c opens it anew */
        generation = 0;
        break;
    case 14:
        sim_unplug(sim, clock_of_board());
        break;
    case 15:
        now += take(&in);
        break;
    default:
        break;
    }
}

/* Brings the board back to DFU mode, with its plug and its reset button; false: it can't be. */
static bool bring_back(void)
{
    if (sim->hung)
        sim_reset(sim, clock_of_board());
    for (int i = 0; i < 5 && sim_life(sim, clock_of_board()) != SIM_DFU; i++) {
        struct usb_setup detach = { .type = 0x21, .request = 0 };
        if (sim->life == SIM_RUNTIME)
            sim_control(sim, clock_of_board(), &detach, NULL);
        else if (sim->life == SIM_RUNNING)
            sim_unplug(sim, clock_of_board());
        sim_plug(sim, clock_of_board());
        now = clock_of_board() + 60;
    }
    check_flash();
    return sim->life == SIM_DFU;
}

/* ---- operations ---- */

static uint32_t choose_address(void)
{
    switch (choose(&in, 8)) {
    case 4:
    case 5:
        return EXTERNAL + take16(&in) % 0x2000;
    case 6:
        return OPTIONS;
    case 7:
        return take32(&in);
    default:
        return MAIN + take16(&in) % 0x3800;
    }
}

/* The bytes that a write is given. */
UNSEEN static const uint8_t *new_image(size_t length, uint8_t salt)
{
    uint8_t *data = malloc(length ? length : 1);
    for (size_t i = 0; i < length; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 8) * 3 + salt);
    return data;
}

static void choose_operation(void)
{
    static const enum dfu_kind kinds[] = { DFU_WRITE, DFU_READ, DFU_ERASE };
    static const enum dfu_kind plain_kinds[] = { DFU_WRITE, DFU_READ, DFU_LEAVE };
    bool plain = sim->kind->plain;
    unsigned kind = take(&in);
    op = (struct dfu_op){ .board = &board, .has_address = !plain };
    op.kind = plain        ? plain_kinds[kind % 3]
              : kind < 192 ? kinds[kind % 3]
                           : (enum dfu_kind)(kind % (DFU_TO_IDLE + 1));
    op.limit = take(&in) & 1 ? 0.5 : 5;
    op.alt = (uint8_t)choose(&in, sim->kind->dfu.alts);
    op.address = choose_address();
    if (op.kind == DFU_MASS_ERASE)
        op.limit = 40;
    size_t most = BLOCKS_MOST * sim->kind->transfer_size;
    if (op.kind == DFU_READ || op.kind == DFU_WRITE)
        op.length = take16(&in) % most;
    else if (op.kind == DFU_DOWNLOAD_BLOCK || op.kind == DFU_UPLOAD_BLOCK)
        op.length = take16(&in) % (sim->kind->transfer_size + 1u);
    else if (op.kind == DFU_COMMANDS)
        op.length = 64;
    op.block = take(&in);
    uint64_t room = (UINT64_C(1) << 32) - op.address;
    op.length = op.length < room ? op.length : (size_t)room;
    if (!plain && op.address == OPTIONS && op.kind == DFU_WRITE) {
        op.length = OPTIONS_SIZE;
        op.may_reset = true;
    }
    if (has(SIM_ERASES_TO_ZERO)) /* the board fills words with 0xFF, which is no erased byte there
                                  */
        op.length &= ~(size_t)3;
    fates = take_part(&in);
    op.data = new_image(op.length, take(&in));
    op.out = malloc(op.length ? op.length : 1);
    trace("operation %d at %08x, %zu bytes, limit %g\n", op.kind, op.address, op.length, op.limit);
}

/* More than any operation needs, if each of its exchanges ends in time: polls are a millisecond
 * apart, or more. */
static size_t most_steps(void)
{
    return (2 * BLOCKS_MOST + 8) * (size_t)(op.limit * 2000 + 100);
}

static void operation(void)
{
    size_t steps = 0;
    uint32_t wrp = sim->mem.wrp;
    choose_operation();
    if (op.kind == DFU_GET_STATUS && sim->stored) /* which executes it */
        doubt_all();
    struct dfu_act act = dfu_start(&op);
    while (act.what != DFU_DONE && act.what != DFU_FAIL) {
        act = step(&act);
        CLAIM(++steps < most_steps());
    }
    trace("%s: failure %d, done %zu%s%s\n", act.what == DFU_DONE ? "done" : "fail", op.failure,
          op.done, op.in_doubt ? ", in doubt" : "", op.gone ? ", gone" : "");
    sim_life(sim, now);
    if (sim->mem.wrp != wrp) /* it started anew, with other option bytes */
        doubt_all();
    model_operation(act.what == DFU_DONE);
    check_flash();
    if (op.kind == DFU_READ)
        check_read();
    free((void *)(uintptr_t)op.data);
    free(op.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    in = (struct input){ data, data + size };
    new_sim();
    board.buffer = malloc(SIM_TRANSFER_MAX);
    generation = 0;
    for (int i = 0; i < OPERATIONS_MOST && (i == 0 || !used_up(&in)) && bring_back(); i++) {
        if (sim_generation(sim) != generation || op.gone)
            open_board();
        operation();
        disturb();
    }
    now = clock_of_board() + 60; /* nothing of it happens later */
    sim_life(sim, now);
    check_flash();
    for (size_t i = 0; i < area_count; i++) {
        free(areas[i].model);
        free(areas[i].doubt);
    }
    free(board.buffer);
    sim_free(sim);
    return 0;
}
