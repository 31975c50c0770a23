/* SPDX-License-Identifier: MIT */
/* The life of a simulated board: power, time, faults; and the order in which a request meets them.
 */
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "sim/sim_private.h"
#include "sim/simkind.h"
#include "sim/simmem.h"
#include "sim/simproduct.h"

/* Seconds: more than the rounding error of times, less than the distance of two events. */
static const double instant = 1e-9;

static bool on_bus(const struct sim *sim)
{
    return sim->life == SIM_DFU || sim->life == SIM_RUNTIME;
}

/* ---- starts and ends ---- */

static bool within(uint32_t address, uint64_t start, uint64_t size)
{
    return address >= start && address < start + size;
}

/* A stack grows down: it may begin just past the end of a memory. */
static bool is_stack(const struct sim *sim, uint32_t sp)
{
    const struct sim_kind *kind = sim->kind;
    bool good = within(sp, kind->stack + UINT64_C(1), kind->stack_size);

    for (size_t i = 0; i < kind->memory_count; i++) {
        const struct sim_memory *memory = &kind->memories[i];

        if (memory->role == SIM_ROLE_RAM)
            good = good || within(sp, memory->address + UINT64_C(1), memory->size);
    }
    return good && sp % 4 == 0;
}

static bool is_executable(const struct sim *sim, uint32_t address)
{
    uint8_t *bytes;
    const struct sim_memory *memory = simmem_find(&sim->mem, address, 1, &bytes);

    if (!memory) {
        return sim->kind->alias != 0 &&
               within(address, sim->kind->alias, sim->kind->memories[0].size);
    }
    return memory->role == SIM_ROLE_FLASH || memory->role == SIM_ROLE_RAM;
}

static uint32_t word_at(const struct sim *sim, uint32_t address)
{
    uint8_t *bytes;

    if (!simmem_find(&sim->mem, address, 4, &bytes))
        return 0;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void judge_program(struct sim *sim, uint32_t address)
{
    uint32_t sp = word_at(sim, address);
    uint32_t pc = word_at(sim, address + 4);

    sim->start = (struct sim_start){
        .happened = true,
        .works = is_stack(sim, sp) && (pc & 1) != 0 && is_executable(sim, pc - 1),
        .address = address,
        .sp = sp,
        .pc = pc,
    };
}

/* Puts the board on the bus, as a new device. */
static void arrive(struct sim *sim, enum sim_life life, enum dfu_state state)
{
    if (sim->life == SIM_DFU && life == SIM_RUNTIME)
        judge_program(sim, sim->kind->memories[0].address);
    sim->life = life;
    if (sim->replay && sim->generation > 0)
        simreplay_next_device(sim->replay);
    sim->generation++;
    sim->state = (uint8_t)state;
    sim->status = state == DFU_ERROR ? DFU_ERR_FIRMWARE : DFU_OK;
    sim->stored = false;
    sim->next_block = 0;
    sim->mem.alt = 0;
    sim->misaligned = false;
    sim->configuration = 0;
    sim->pointer = sim->kind->pointer;
}

/* Starts the chip, after a reset or power-up.  BOOT0 of boards with a ROM is high. */
static void start(struct sim *sim)
{
    sim->hung = false;
    sim->work.kind = SIM_WORK_NONE;
    simmem_start(&sim->mem);
    if (sim->mem.rdp == 2)
        sim->life = SIM_AWAY;
    else if (!sim->kind->plain || (sim->kind->waits && !sim->downloaded))
        arrive(sim, SIM_DFU, sim->kind->start_state);
    else if (sim->has_program)
        arrive(sim, SIM_RUNTIME, DFU_APP_IDLE);
    else
        arrive(sim, SIM_DFU, DFU_ERROR);
}

static void set_work(struct sim *sim, const struct sim_work *work, double at)
{
    sim->work = *work;
    sim->work.begin = at;
    sim->work.end = at + work->seconds;
}

/* Jumps to the program.  An address from which nothing can run resets the chip (AN2662). */
static void leave(struct sim *sim, double at)
{
    static const struct sim_work reset = { .kind = SIM_WORK_RESET, .seconds = SIM_RESET_SECONDS };

    judge_program(sim, sim->pointer);
    if (!is_executable(sim, sim->pointer) ||
        (!sim->start.works && simkind_has(sim->kind, SIM_COMES_BACK))) {
        sim->life = SIM_AWAY;
        sim->start.happened = false;
        set_work(sim, &reset, at);
        return;
    }
    sim->life = SIM_RUNNING;
    sim->work.kind = SIM_WORK_NONE;
    if (sim->start.works && sim->kind->runtime.device) {
        const struct sim_work start = { .kind = SIM_WORK_START,
                                        .seconds = sim->kind->start_seconds };

        sim->life = SIM_STARTING;
        set_work(sim, &start, at);
    }
}

/* Begins the work of a request, at the end of that request.  With some work the board leaves the
 * bus. */
static void begin_work(struct sim *sim, const struct sim_work *work, double at)
{
    if (work->kind == SIM_WORK_NONE)
        return;
    set_work(sim, work, at);
    switch (work->kind) {
    case SIM_WORK_WRITE:
        sim->has_program = false;
        break;
    case SIM_WORK_OPTIONS:
    case SIM_WORK_UNPROTECT:
        sim->life = SIM_AWAY;
        break;
    case SIM_WORK_LEAVE:
        leave(sim, at);
        break;
    case SIM_WORK_NONE:
    case SIM_WORK_REFUSE:
    case SIM_WORK_NOTHING:
    case SIM_WORK_ADDRESS:
    case SIM_WORK_ERASE:
    case SIM_WORK_RESET:
    case SIM_WORK_MANIFEST:
    case SIM_WORK_START:
    case SIM_WORK_DETACH:
    case SIM_WORK_ATTACH:
        break;
    }
}

static void end_work(struct sim *sim)
{
    static const struct sim_work attach = { .kind = SIM_WORK_ATTACH, .seconds = SIM_RESET_SECONDS };
    struct sim_work work = sim->work;

    simdfu_end_work(sim, 1);
    sim->work.kind = SIM_WORK_NONE;
    switch (work.kind) {
    case SIM_WORK_OPTIONS:
    case SIM_WORK_UNPROTECT:
    case SIM_WORK_RESET:
        start(sim);
        break;
    case SIM_WORK_DETACH:
        sim->life = SIM_AWAY;
        set_work(sim, &attach, work.end);
        break;
    case SIM_WORK_ATTACH:
        arrive(sim, SIM_DFU, sim->kind->start_state);
        break;
    case SIM_WORK_START:
        arrive(sim, SIM_RUNTIME, DFU_APP_IDLE);
        break;
    case SIM_WORK_NONE:
    case SIM_WORK_REFUSE:
    case SIM_WORK_NOTHING:
    case SIM_WORK_ADDRESS:
    case SIM_WORK_WRITE:
    case SIM_WORK_ERASE:
    case SIM_WORK_MANIFEST:
    case SIM_WORK_LEAVE:
        break;
    }
}

/* Ends all work whose end has come by `now`. */
static void catch_up(struct sim *sim, double now)
{
    while (sim->work.kind != SIM_WORK_NONE && now >= sim->work.end - instant)
        end_work(sim);
    if (sim->late.kind != SIM_WORK_NONE && now >= sim->late.end - instant)
        simdfu_end_late(sim);
}

/* Stops the work under way, which stays half done. */
static void interrupt(struct sim *sim, double now)
{
    const struct sim_work *work = &sim->work;

    catch_up(sim, now);
    if (work->kind != SIM_WORK_NONE && now > work->begin)
        simdfu_end_work(sim, (now - work->begin) / (work->end - work->begin));
    sim->work.kind = SIM_WORK_NONE;
    sim->late.kind = SIM_WORK_NONE;
}

/* ---- faults ---- */

static bool strikes(const struct sim_when *when, uint64_t request, const struct sim_span *span)
{
    if (when->request != 0)
        return when->request == request;
    return span->op != SIM_OP_ANY && (when->op == SIM_OP_ANY || when->op == span->op) &&
           when->address >= span->address && when->address - span->address < span->length;
}

/* Takes the first fault that strikes at this request off the list.  False: there is none. */
static bool take_fault(struct sim *sim, const struct sim_span *span,
                       struct sim_pending_fault *taken)
{
    for (size_t i = 0; i < sim->fault_count; i++) {
        if (strikes(&sim->faults[i].when, sim->requests, span)) {
            *taken = sim->faults[i];
            sim->fault_count--;
            memmove(&sim->faults[i], &sim->faults[i + 1],
                    (sim->fault_count - i) * sizeof sim->faults[0]);
            return true;
        }
    }
    return false;
}

/* Flips a bit of a block that was just transferred: in the byte at the fault's address, or in the
 * middle one. */
static void corrupt(struct sim *sim, const struct sim_when *when, const struct sim_span *span,
                    uint8_t *data, int result)
{
    uint8_t *block = span->op == SIM_OP_WRITE ? sim->buffer : data;
    uint64_t at = when->request != 0 ? (uint64_t)result / 2 : when->address - span->address;

    if (span->op != SIM_OP_WRITE && span->op != SIM_OP_READ)
        return;
    if (at < (uint64_t)result)
        block[at] ^= 0x10;
}

/* Applies a fault before the request is carried out.  True: `result` is the answer. */
static bool fault_before(struct sim *sim, enum sim_fault fault, double now, double nak_seconds,
                         int *result)
{
    switch (fault) {
    case SIM_FAULT_UNPLUG:
        sim_unplug(sim, now + nak_seconds / 2); /* the work under way is half done */
        *result = SIM_GONE;
        return true;
    case SIM_FAULT_HANG:
        sim->hung = true;
        *result = SIM_HANG;
        return true;
    case SIM_FAULT_STALL:
        *result = SIM_STALL;
        return true;
    case SIM_FAULT_ERROR:
        if (sim->life == SIM_RUNTIME) {
            *result = SIM_STALL; /* run-time mode has no dfuERROR */
            return true;
        }
        catch_up(sim, now + nak_seconds);
        simdfu_error(sim, DFU_ERR_UNKNOWN);
        break;
    case SIM_FAULT_CORRUPT: /* these change the answer */
    case SIM_FAULT_SHORT:
    case SIM_FAULTS:
        break;
    }
    return false;
}

static int carry_out(struct sim *sim, const struct usb_setup *setup, uint8_t *data, double now,
                     double nak_seconds, struct sim_work *work)
{
    struct sim_pending_fault taken = { .fault = SIM_FAULTS };
    struct sim_span span;
    int result;

    if ((setup->type & USB_TYPE_MASK) != USB_TYPE_CLASS) {
        catch_up(sim, now + nak_seconds);
        return simstd_request(sim, setup, data);
    }
    sim->requests++;
    span = simdfu_span(sim, setup, data);
    if (take_fault(sim, &span, &taken) &&
        fault_before(sim, taken.fault, now, nak_seconds, &result)) {
        catch_up(sim, now + nak_seconds);
        return result;
    }
    catch_up(sim, now + nak_seconds);
    if (simdfu_busy(sim) && sim->kind->busy == SIM_BUSY_STALL)
        return SIM_STALL;
    result = simdfu_request(sim, setup, data, work);
    if (result > 0 && taken.fault == SIM_FAULT_CORRUPT)
        corrupt(sim, &taken.when, &span, data, result);
    if (result > 0 && taken.fault == SIM_FAULT_SHORT && (setup->type & USB_IN) != 0)
        result /= 2;
    return result;
}

struct sim_answer sim_control(struct sim *sim, double now, const struct usb_setup *setup,
                              uint8_t *data)
{
    struct sim_answer answer = { .result = SIM_GONE };
    struct sim_work work = { .kind = SIM_WORK_NONE };
    double nak_seconds = 0; /* until the busy board takes the request */

    catch_up(sim, now);
    if (!on_bus(sim))
        return answer;
    if (sim->hung) {
        answer.result = SIM_HANG;
        return answer;
    }
    if (simdfu_busy(sim) && sim->kind->busy == SIM_BUSY_NAK)
        nak_seconds = sim->work.end - now;
    answer.result = carry_out(sim, setup, data, now, nak_seconds, &work);
    if (answer.result == SIM_GONE || answer.result == SIM_HANG)
        return answer;
    size_t length = answer.result > 0 ? (size_t)answer.result : 0;
    answer.wire = simstd_wire_seconds(sim, length);
    answer.seconds = nak_seconds + simstd_seconds(sim, (setup->type & USB_IN) != 0, length);
    if (sim->replay &&
        !simreplay_answer(sim->replay, now, setup, data, &answer, &sim->state, &sim->status)) {
        sim->hung = true;
        answer.result = SIM_HANG;
        return answer;
    }
    begin_work(sim, &work, now + answer.seconds);
    if (simdfu_busy(sim) && (simkind_has(sim->kind, SIM_EXECUTES_IN_STATUS) ||
                             simkind_has(sim->kind, SIM_EXECUTES_IN_DOWNLOAD)))
        answer.seconds += sim->work.seconds; /* the request is answered only then */
    return answer;
}

/* ---- making a board ---- */

const char *sim_kind_name(size_t i)
{
    return i < sim_kind_count ? sim_kinds[i].name : NULL;
}

/* Stores the command that GETSTATUS would execute in dfuDNLOAD-SYNC: it erases the first sector. */
static void leave_command(struct sim *sim)
{
    uint32_t address = sim->kind->memories[0].address;

    memset(sim->buffer, 0xFF, sizeof sim->buffer);
    sim->stored = true;
    sim->block = 0;
    if (sim->kind->plain) {
        sim->length = sim->kind->transfer_size; /* erases by writing */
        return;
    }
    sim->length = 5;
    sim->buffer[0] = 0x41;
    for (size_t i = 0; i < 4; i++)
        sim->buffer[1 + i] = (uint8_t)(address >> 8 * i);
}

static void set_state(struct sim *sim, int state)
{
    static const struct sim_work detach = { .kind = SIM_WORK_DETACH, .seconds = SIM_RESET_SECONDS };

    if (state < 0 || !on_bus(sim))
        return;
    sim->life = sim->kind->plain && state < DFU_IDLE ? SIM_RUNTIME : SIM_DFU;
    sim->state = (uint8_t)state;
    sim->status = state == DFU_ERROR ? DFU_ERR_FIRMWARE : DFU_OK;
    if (state == DFU_DNLOAD_SYNC)
        leave_command(sim);
    if (state == DFU_APP_DETACH && sim->life == SIM_RUNTIME)
        set_work(sim, &detach, 0);
}

static bool are_valid(const struct sim_options *options)
{
    return options->rdp >= 0 && options->rdp <= 2 && options->usb <= SIM_USB_NONE &&
           options->times <= SIM_TIMES_ZERO && options->state >= -1 && options->state <= DFU_ERROR;
}

struct sim *sim_new(const struct sim_options *options)
{
    const struct sim_kind *kind =
        options->product ? simproduct_kind(options->product) : simkind_find(options->kind);
    const char *serial;
    struct sim *sim = calloc(1, sizeof *sim);

    if (!sim || !kind || !are_valid(options) || !simmem_init(&sim->mem, kind, options)) {
        simreplay_free(options->replay);
        free(sim);
        return NULL;
    }
    serial = options->serial ? options->serial : kind->strings[SIM_SERIAL_STRING];
    for (size_t i = 0; i < SIM_SERIAL_MAX && serial[i] != '\0'; i++)
        sim->serial[i] = serial[i];
    sim->kind = kind;
    sim->product = simproduct_keep(options->product);
    sim->usb = options->usb;
    sim->replay = options->replay;
    sim->plugged = true;
    sim->has_program = true;
    sim->life = SIM_AWAY;
    start(sim);
    set_state(sim, options->state);
    return sim;
}

void sim_free(struct sim *sim)
{
    if (sim) {
        simmem_free(&sim->mem);
        simproduct_drop(sim->product);
        simreplay_free(sim->replay);
        free(sim);
    }
}

/* ---- the outside world ---- */

enum sim_life sim_life(struct sim *sim, double now)
{
    catch_up(sim, now);
    return sim->life;
}

unsigned sim_generation(const struct sim *sim)
{
    return sim->generation;
}

uint64_t sim_requests(const struct sim *sim)
{
    return sim->requests;
}

const char *sim_difference(const struct sim *sim)
{
    return sim->replay ? simreplay_difference(sim->replay) : "";
}

const struct sim_start *sim_started(const struct sim *sim)
{
    return &sim->start;
}

const uint8_t *sim_device_descriptor(struct sim *sim, size_t *length)
{
    *length = SIM_DEVICE_DESCRIPTOR;
    return simstd_face(sim)->device;
}

const uint8_t *sim_config_descriptor(struct sim *sim, size_t *length)
{
    const struct sim_face *face = simstd_face(sim);

    *length = face->config_length;
    return face->config;
}

void sim_unplug(struct sim *sim, double now)
{
    interrupt(sim, now);
    sim->plugged = false;
    sim->hung = false;
    sim->life = SIM_AWAY;
}

void sim_plug(struct sim *sim, double now)
{
    catch_up(sim, now);
    if (!sim->plugged) {
        sim->plugged = true;
        simmem_power(&sim->mem);
        sim->downloaded = false;
        start(sim);
    }
}

void sim_reset(struct sim *sim, double now)
{
    if (sim->plugged) {
        interrupt(sim, now);
        start(sim);
    }
}

/* The same device, in its state after power-up. */
static void start_over(struct sim *sim, enum dfu_state state)
{
    unsigned generation = sim->generation;
    struct simreplay *replay = sim->replay;

    sim->replay = NULL; /* it is the same device of the capture, too */
    arrive(sim, sim->life, state);
    sim->replay = replay;
    sim->generation = generation;
}

/* Plain DFU and applications with DFU change their mode at a bus reset (DFU 1.1, appendix A).  A
 * ROM continues its work on the flash. */
void sim_bus_reset(struct sim *sim, double now)
{
    catch_up(sim, now);
    if (!on_bus(sim) || sim->hung)
        return;
    if (!sim->kind->plain && sim->life == SIM_DFU) {
        if (sim->work.kind == SIM_WORK_REFUSE)
            sim->work.kind = SIM_WORK_NONE;
        start_over(sim, sim->kind->start_state);
        return;
    }
    interrupt(sim, now);
    if (sim->life == SIM_RUNTIME && sim->state == DFU_APP_DETACH)
        arrive(sim, SIM_DFU, sim->kind->start_state);
    else if (sim->life == SIM_RUNTIME)
        start_over(sim, DFU_APP_IDLE);
    else if (sim->has_program)
        arrive(sim, SIM_RUNTIME, DFU_APP_IDLE);
    else
        start_over(sim, DFU_ERROR);
}

static const char *const fault_names[SIM_FAULTS] = {
    [SIM_FAULT_UNPLUG] = "unplug",   [SIM_FAULT_STALL] = "stall", [SIM_FAULT_ERROR] = "error",
    [SIM_FAULT_CORRUPT] = "corrupt", [SIM_FAULT_HANG] = "hang",   [SIM_FAULT_SHORT] = "short",
};

bool sim_fault_by_name(const char *name, enum sim_fault *fault)
{
    for (size_t i = 0; i < SIM_FAULTS; i++) {
        if (strcmp(fault_names[i], name) == 0) {
            *fault = (enum sim_fault)i;
            return true;
        }
    }
    return false;
}

bool sim_add_fault(struct sim *sim, enum sim_fault fault, const struct sim_when *when)
{
    if (fault >= SIM_FAULTS || when->op > SIM_OP_ERASE || sim->fault_count == SIM_FAULTS_MAX)
        return false;
    if (when->request != 0 && when->request <= sim->requests)
        return false; /* that request is over */
    sim->faults[sim->fault_count++] = (struct sim_pending_fault){ fault, *when };
    return true;
}

bool sim_peek(struct sim *sim, double now, uint32_t address, uint8_t *data, size_t length)
{
    uint8_t *bytes;

    catch_up(sim, now);
    if (!simmem_find(&sim->mem, address, length, &bytes))
        return false;
    if (length > 0)
        memcpy(data, bytes, length);
    return true;
}

bool sim_poke(struct sim *sim, double now, uint32_t address, const uint8_t *data, size_t length)
{
    const struct sim_memory *memory;
    uint8_t *bytes;

    catch_up(sim, now);
    memory = simmem_find(&sim->mem, address, length, &bytes);
    if (!memory)
        return false;
    if (length > 0)
        memcpy(bytes, data, length);
    if (memory == &sim->kind->memories[0])
        simmem_mark(&sim->mem, address - memory->address, length);
    return true;
}

uint8_t *sim_flash(struct sim *sim, double now, uint32_t *address, size_t *length)
{
    catch_up(sim, now);
    *address = sim->kind->memories[0].address;
    *length = sim->kind->memories[0].size;
    return sim->mem.bytes[0];
}

bool sim_flash_changed(struct sim *sim, double now, size_t *first, size_t *last)
{
    struct simmem *mem = &sim->mem;

    catch_up(sim, now);
    if (mem->changed == mem->changed_end)
        return false;
    *first = mem->changed;
    *last = mem->changed_end - 1;
    mem->changed = mem->changed_end;
    return true;
}

void sim_flashed(struct sim *sim, double now, struct sim_flashed *sum)
{
    catch_up(sim, now);
    simmem_add_flashed(sum, &sim->mem.flashed);
    sim->mem.flashed = (struct sim_flashed){ .written = 0 };
}
