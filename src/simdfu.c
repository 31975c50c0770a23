/* SPDX-License-Identifier: MIT */
/* The class requests.  The ROMs follow AN2662 chapter 4 (its successor is AN3156) and, where
 * that is silent, ST's own DFU library, which agrees with every log of a ROM.  Plain DFU
 * follows the specification of DFU 1.1, appendix A.
 */
#include "simdev.h"

#include <string.h>

enum { DETACH, DNLOAD, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT };
enum { COMMAND_SET_ADDRESS = 0x21, COMMAND_ERASE = 0x41, COMMAND_UNPROTECT = 0x92 };
enum { OUT = 0x21, IN = 0xA1 }; /* bmRequestType: class, interface */

static const double detach_seconds = 0.05; /* appDETACH, before it leaves the bus by itself */

void simdfu_error(struct sim *sim, enum sim_status status)
{
    sim->state = SIM_ERROR;
    sim->status = (uint8_t)status;
    sim->stored = false;
}

bool simdfu_busy(const struct sim *sim)
{
    switch (sim->work.kind) {
    case SIM_WORK_REFUSE:
    case SIM_WORK_NOTHING:
    case SIM_WORK_ADDRESS:
    case SIM_WORK_WRITE:
    case SIM_WORK_ERASE:
        return true;
    default:
        return false;
    }
}

static bool has_habit(const struct sim *sim, enum sim_habit habit)
{
    return (sim->kind->habits & (unsigned)habit) != 0;
}

static uint32_t le32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Where a block lies.  ROMs count in whole transfers from block 2: wTransferSize is the
 * constant of the descriptor, or dfu-util's last short block would not arrive. */
static uint64_t block_address(const struct sim *sim, uint16_t block)
{
    uint64_t size = sim->kind->transfer_size;

    if (sim->kind->habits & SIM_HABIT_HALF_BLOCKS) {
        size /= 2;
    }
    return sim->kind->plain ? block * size : sim->pointer + (block - UINT64_C(2)) * size;
}

/* The flash that has the byte at the address, and its sector; NULL: no flash has. */
static const struct sim_memory *find_sector(const struct sim *sim, uint32_t address,
                                            struct sim_sector *sector)
{
    uint8_t *bytes;
    const struct sim_memory *memory = simmem_find(&sim->mem, address, 1, &bytes);

    return memory != NULL && simkind_sector(memory, address - memory->address, sector) ? memory
                                                                                       : NULL;
}

static struct sim_span command_span(const struct sim *sim, const uint8_t *data, size_t length)
{
    const struct sim_memory *flash = &sim->kind->memories[0];
    struct sim_span span = { .op = SIM_OP_ANY };
    struct sim_sector sector = { .size = 0 };

    if (length == 1 && (data[0] == COMMAND_ERASE || data[0] == COMMAND_UNPROTECT)) {
        span = (struct sim_span){ SIM_OP_ERASE, flash->address, flash->size };
    }
    flash =
        length == 5 && data[0] == COMMAND_ERASE ? find_sector(sim, le32(data + 1), &sector) : NULL;
    if (flash != NULL) {
        span = (struct sim_span){ SIM_OP_ERASE, flash->address + (uint64_t)sector.offset,
                                  sector.size };
    }
    return span;
}

struct sim_span simdfu_span(const struct sim *sim, const struct sim_setup *setup,
                            const uint8_t *data)
{
    bool out = setup->type == OUT && setup->request == DNLOAD;
    bool in = setup->type == IN && setup->request == UPLOAD;
    struct sim_span span = { .op = SIM_OP_ANY };

    if ((!out && !in) || setup->length == 0) {
        return span;
    }
    if (!sim->kind->plain && setup->value < 2) {
        return out && setup->value == 0 ? command_span(sim, data, setup->length) : span;
    }
    span.op = out ? SIM_OP_WRITE : SIM_OP_READ;
    span.address = block_address(sim, setup->value);
    span.length = setup->length;
    return span;
}

/* Work beginning and ending. */

static void refuse(struct sim_work *work, enum sim_status status)
{
    work->kind = SIM_WORK_REFUSE;
    work->status = status;
    work->seconds = 0;
}

static void plan_address(const struct sim *sim, uint32_t address, struct sim_work *work)
{
    uint8_t *bytes;

    *work = (struct sim_work){ .kind = SIM_WORK_ADDRESS, .address = address };
    if (simmem_find_user(&sim->mem, address, 1, &bytes) == NULL) {
        refuse(work, SIM_ERR_TARGET);
    }
}

/* Only flash has something to erase: OTP has not, and ST's library refuses the rest. */
static void plan_erase(const struct sim *sim, uint32_t address, struct sim_work *work)
{
    struct sim_sector sector;

    if (find_sector(sim, address, &sector) == NULL) {
        refuse(work, SIM_ERR_TARGET);
        return;
    }
    *work = (struct sim_work){
        .kind = SIM_WORK_ERASE,
        .address = address,
        .length = sector.size,
        .seconds = simmem_erase_seconds(&sim->mem, sector.erase),
    };
}

static void plan_mass_erase(const struct sim *sim, struct sim_work *work)
{
    const struct sim_memory *flash = &sim->kind->memories[0];

    *work = (struct sim_work){
        .kind = SIM_WORK_ERASE,
        .address = flash->address,
        .length = flash->size,
        .seconds = simmem_erase_seconds(&sim->mem, &sim->kind->mass_erase),
    };
}

/* ST's library fills the last word of a block with 0xFF: nothing to flash, but RAM takes it. */
static uint32_t padded(const struct sim_memory *memory, uint32_t address, uint32_t length)
{
    uint32_t room = memory->size - (address - memory->address);
    uint32_t words = (length + 3) & ~UINT32_C(3);

    return words < room ? words : room;
}

static void plan_write(const struct sim *sim, struct sim_work *work)
{
    uint64_t address = block_address(sim, sim->block);
    uint8_t *bytes;
    const struct sim_memory *memory = simmem_find_user(&sim->mem, address, sim->length, &bytes);

    if (memory == NULL) {
        refuse(work, sim->kind->plain ? SIM_ERR_ADDRESS : SIM_ERR_TARGET);
        return;
    }
    *work = (struct sim_work){
        .kind = SIM_WORK_WRITE,
        .address = (uint32_t)address,
        .length = sim->length,
        .seconds = simmem_write_seconds(&sim->mem, (uint32_t)address, sim->length),
    };
    if (!sim->kind->plain) {
        work->length = padded(memory, (uint32_t)address, sim->length);
    }
    if (memory->role != SIM_ROLE_OPTIONS) {
        return;
    }
    if (address != memory->address) {
        refuse(work, SIM_ERR_TARGET); /* only from their start */
        return;
    }
    work->kind = SIM_WORK_OPTIONS;
    work->seconds = SIM_RESET_SECONDS;
}

/* Block 0 of a ROM is a command.  Under read protection it refuses every one but the way out:
 * also to set the address, whatever AN2662 says (betaflight-configurator, usbdfu.js). */
static uint32_t plan_command(const struct sim *sim, struct sim_work *work)
{
    const struct sim_poll *poll = &sim->kind->poll;
    const uint8_t *data = sim->buffer;
    bool erase = data[0] == COMMAND_ERASE && (sim->length == 1 || sim->length == 5);
    bool address = data[0] == COMMAND_SET_ADDRESS && sim->length == 5;

    if (data[0] == COMMAND_UNPROTECT && sim->length == 1) {
        plan_mass_erase(sim, work);
        if (has_habit(sim, SIM_HABIT_IGNORES_UNPROTECT)) {
            *work = (struct sim_work){ .kind = SIM_WORK_NOTHING };
        } else {
            work->kind = SIM_WORK_UNPROTECT;
        }
        return poll->erase;
    }
    if (!erase && !address) {
        refuse(work, SIM_ERR_STALLEDPKT);
    } else if (sim->mem.rdp != 0) {
        refuse(work, SIM_ERR_VENDOR);
    } else if (address) {
        plan_address(sim, le32(data + 1), work);
    } else if (sim->length == 5) {
        plan_erase(sim, le32(data + 1), work);
    } else if (has_habit(sim, SIM_HABIT_IGNORES_MASS_ERASE)) {
        *work = (struct sim_work){ .kind = SIM_WORK_NOTHING };
    } else {
        plan_mass_erase(sim, work);
    }
    return erase ? poll->erase : poll->address;
}

/* The work that the stored command is, and the bwPollTimeout to announce for it. */
static uint32_t plan(const struct sim *sim, struct sim_work *work)
{
    if (!sim->kind->plain && sim->block == 0) {
        return plan_command(sim, work);
    }
    if (sim->mem.rdp != 0) {
        refuse(work, SIM_ERR_VENDOR);
    } else {
        plan_write(sim, work);
    }
    return sim->kind->poll.write;
}

/* What some erase beside the sector that they were told. */
static void erase_too_much(struct sim *sim, const struct sim_memory *flash,
                           const struct sim_sector *told, double fraction)
{
    struct sim_sector sector = *told;
    bool far = has_habit(sim, SIM_HABIT_ERASES_FOUR_ON) && told->offset >= flash->size / 2;

    for (uint32_t n = 1; has_habit(sim, SIM_HABIT_ERASES_TO_END) || (far && n <= 4); n++) {
        if (!simkind_sector(flash, (uint64_t)sector.offset + sector.size, &sector)) {
            return;
        }
        if (!far || n == 4) {
            simmem_erase(&sim->mem, flash, sector.offset, sector.size, fraction);
        }
    }
}

static void land_erase(struct sim *sim, double fraction)
{
    const struct sim_work *work = &sim->work;
    struct sim_sector sector;
    const struct sim_memory *flash = find_sector(sim, work->address, &sector);

    if (flash != NULL) { /* a mass erase begins with the first sector */
        simmem_erase(&sim->mem, flash, sector.offset, work->length, fraction);
        erase_too_much(sim, flash, &sector, fraction);
    }
    if (fraction >= 1) {
        sim->pointer = work->address; /* ST's library keeps both in one variable */
    }
}

/* What becomes of the memories at the end of the work, or where it was cut off; and of the
 * state, if it came to its end. */
void simdfu_land(struct sim *sim, double fraction)
{
    const struct sim_work *work = &sim->work;

    switch (work->kind) {
    case SIM_WORK_ADDRESS:
        sim->pointer = work->address;
        break;
    case SIM_WORK_WRITE:
    case SIM_WORK_OPTIONS:
        simmem_write(&sim->mem, work->address, sim->buffer, work->length, fraction);
        break;
    case SIM_WORK_ERASE:
        land_erase(sim, fraction);
        break;
    case SIM_WORK_UNPROTECT:
        if (has_habit(sim, SIM_HABIT_UNPROTECTS_AT_POWER)) {
            sim->mem.wants_power = fraction >= 1;
        } else {
            simmem_unprotect(&sim->mem, fraction);
        }
        break;
    default:
        break;
    }
    if (fraction < 1) {
        return;
    }
    if (work->kind == SIM_WORK_REFUSE && has_habit(sim, SIM_HABIT_ERROR_WITHOUT_STATE)) {
        sim->status = (uint8_t)work->status;
        sim->state = SIM_DNLOAD_SYNC;
    } else if (work->kind == SIM_WORK_REFUSE) {
        simdfu_error(sim, work->status);
    } else if (work->kind == SIM_WORK_MANIFEST && has_habit(sim, SIM_HABIT_TOLERANT)) {
        sim->state = SIM_IDLE;
    } else if (work->kind == SIM_WORK_MANIFEST) {
        sim->has_program = true;
        sim->state = SIM_MANIFEST_WAIT_RESET;
    } else if (sim->state == SIM_DNBUSY) {
        sim->state = SIM_DNLOAD_SYNC; /* the next GETSTATUS makes dfuDNLOAD-IDLE of it */
    }
}

/* The requests, those that all boards have first. */

static int give(const struct sim_setup *setup, uint8_t *data, const uint8_t *bytes, size_t length)
{
    if (length > setup->length) {
        length = setup->length;
    }
    if (length > 0) {
        memcpy(data, bytes, length);
    }
    return (int)length;
}

/* An error in plain DFU: any request that its state does not know. */
static int stall(struct sim *sim)
{
    if (sim->kind->plain && sim->state != SIM_DNBUSY && sim->state != SIM_MANIFEST &&
        sim->state != SIM_MANIFEST_WAIT_RESET) {
        simdfu_error(sim,
                     sim->state == SIM_ERROR ? (enum sim_status)sim->status : SIM_ERR_STALLEDPKT);
    }
    return SIM_STALL;
}

/* The step that GETSTATUS makes in the state machine: it, not DNLOAD, starts the work. */
static uint32_t advance(struct sim *sim, struct sim_work *work)
{
    uint32_t poll = 0;

    switch (sim->state) {
    case SIM_DNLOAD_SYNC:
        if (!sim->stored) {
            sim->state = SIM_DNLOAD_IDLE;
            break;
        }
        poll = plan(sim, work);
        sim->stored = false;
        sim->state = SIM_DNBUSY;
        break;
    case SIM_DNBUSY:
        poll = sim->kind->poll.write; /* plain DFU; or started so, and stuck for ever */
        break;
    case SIM_MANIFEST_SYNC:
        poll = sim->kind->poll.manifest;
        *work = (struct sim_work){
            .kind = sim->kind->plain ? SIM_WORK_MANIFEST : SIM_WORK_LEAVE,
            .seconds = sim->mem.times == SIM_TIMES_ZERO ? 0 : sim->kind->manifest_seconds,
        };
        sim->state = SIM_MANIFEST;
        break;
    case SIM_MANIFEST:
        poll = sim->kind->poll.manifest;
        break;
    default:
        break;
    }
    return poll;
}

static int get_status(struct sim *sim, const struct sim_setup *setup, uint8_t *data,
                      struct sim_work *work)
{
    uint32_t poll = advance(sim, work);
    const uint8_t bytes[6] = {
        sim->status, (uint8_t)poll, (uint8_t)(poll >> 8), (uint8_t)(poll >> 16), sim->state, 0,
    };

    if (sim->state != SIM_ERROR) {
        sim->status = SIM_OK; /* an error that left the state alone is said once */
    }
    return give(setup, data, bytes, sizeof bytes);
}

static int clear_status(struct sim *sim)
{
    if (sim->state == SIM_ERROR) {
        sim->state = SIM_IDLE;
        sim->status = SIM_OK;
        return 0;
    }
    if (sim->kind->plain) {
        return stall(sim);
    }
    simdfu_error(sim, SIM_ERR_UNKNOWN);
    return 0;
}

/* The ROM takes ABORT in every state, and where it means nothing it does nothing. */
static int abort_request(struct sim *sim)
{
    switch (sim->state) {
    case SIM_IDLE:
    case SIM_DNLOAD_SYNC:
    case SIM_DNLOAD_IDLE:
    case SIM_MANIFEST_SYNC:
    case SIM_UPLOAD_IDLE:
        sim->state = SIM_IDLE;
        sim->stored = false;
        return 0;
    default:
        return sim->kind->plain ? stall(sim) : 0;
    }
}

/* What plain boot loaders make of a block before it is stored. */
static void spoil_block(struct sim *sim)
{
    if (has_habit(sim, SIM_HABIT_CORRUPTS_BLOCKS)) {
        for (size_t i = 0; i < 6 && i < sim->length; i++) {
            sim->buffer[i] = (uint8_t)i;
        }
    }
    if (has_habit(sim, SIM_HABIT_DROPS_ODD_BYTE) && sim->length % 2 != 0) {
        sim->buffer[--sim->length] = 0xFF;
    }
}

static int download(struct sim *sim, const struct sim_setup *setup, const uint8_t *data)
{
    bool plain = sim->kind->plain;

    if ((sim->state != SIM_IDLE && sim->state != SIM_DNLOAD_IDLE) ||
        setup->length > sim->kind->transfer_size) {
        return stall(sim);
    }
    if (setup->length == 0) {
        if (plain && sim->state == SIM_IDLE) {
            return stall(sim); /* nothing came before it */
        }
        sim->state = SIM_MANIFEST_SYNC;
        return 0;
    }
    if (!plain && setup->value == 1) {
        return SIM_STALL;
    }
    memset(sim->buffer, 0xFF, sizeof sim->buffer);
    memcpy(sim->buffer, data, setup->length);
    sim->block = setup->value;
    sim->length = setup->length;
    spoil_block(sim);
    sim->stored = true;
    sim->state = SIM_DNLOAD_SYNC;
    return setup->length;
}

static int upload_plain(struct sim *sim, const struct sim_setup *setup, uint8_t *data)
{
    uint64_t address = block_address(sim, setup->value);
    uint64_t size = sim->kind->memories[0].size;
    size_t length = setup->length;

    if (address > size) {
        address = size;
    }
    if (length > size - address) {
        length = (size_t)(size - address);
    }
    if (length > 0) {
        memcpy(data, sim->mem.bytes[0] + address, length);
    }
    sim->state = length < setup->length || length == 0 ? SIM_IDLE : SIM_UPLOAD_IDLE;
    return (int)length;
}

/* Reading past a memory is a bus fault, and the ROM has no handler for it: it dies (dfu-util
 * mailing list, November 2020). */
static int upload_memory(struct sim *sim, const struct sim_setup *setup, uint8_t *data)
{
    uint8_t *bytes;

    if (sim->mem.rdp != 0) {
        simdfu_error(sim, SIM_ERR_VENDOR);
        return SIM_STALL;
    }
    if (simmem_find_user(&sim->mem, block_address(sim, setup->value), setup->length, &bytes) ==
        NULL) {
        sim->hung = true;
        return SIM_HANG;
    }
    sim->state = SIM_UPLOAD_IDLE;
    return give(setup, data, bytes, setup->length);
}

static int upload(struct sim *sim, const struct sim_setup *setup, uint8_t *data)
{
    static const uint8_t commands[] = { 0x00, COMMAND_SET_ADDRESS, COMMAND_ERASE,
                                        COMMAND_UNPROTECT };

    if ((sim->state != SIM_IDLE && sim->state != SIM_UPLOAD_IDLE) ||
        setup->length > sim->kind->transfer_size || has_habit(sim, SIM_HABIT_NO_UPLOAD)) {
        return stall(sim);
    }
    if (sim->kind->plain) {
        return upload_plain(sim, setup, data);
    }
    if (setup->length == 0) {
        sim->state = SIM_IDLE;
        return 0;
    }
    if (setup->value == 0) {
        sim->state = setup->length >= sizeof commands ? SIM_IDLE : SIM_UPLOAD_IDLE;
        return give(setup, data, commands, sizeof commands);
    }
    if (setup->value == 1) {
        simdfu_error(sim, SIM_ERR_STALLEDPKT);
        return SIM_STALL;
    }
    return upload_memory(sim, setup, data);
}

static int detach(struct sim *sim, struct sim_work *work)
{
    if (sim->life == SIM_RUNTIME) {
        sim->state = SIM_APP_DETACH;
        *work = (struct sim_work){ .kind = SIM_WORK_DETACH, .seconds = detach_seconds };
        return 0;
    }
    return sim->kind->plain ? stall(sim) : 0; /* "not meaningful" in a ROM, AN2662 */
}

static int runtime_request(struct sim *sim, const struct sim_setup *setup, uint8_t *data,
                           struct sim_work *work)
{
    if (sim->kind->runtime.no_dfu) {
        return SIM_STALL;
    }
    switch (setup->type << 8 | setup->request) {
    case OUT << 8 | DETACH:
        return sim->state == SIM_APP_IDLE ? detach(sim, work) : SIM_STALL;
    case IN << 8 | GETSTATUS:
        return get_status(sim, setup, data, work);
    case IN << 8 | GETSTATE:
        return give(setup, data, &sim->state, 1);
    default:
        return SIM_STALL;
    }
}

int simdfu_request(struct sim *sim, const struct sim_setup *setup, uint8_t *data,
                   struct sim_work *work)
{
    if (setup->index != 0) {
        return SIM_STALL; /* there is one interface */
    }
    if (sim->life == SIM_RUNTIME) {
        return runtime_request(sim, setup, data, work);
    }
    switch (setup->type << 8 | setup->request) {
    case OUT << 8 | DETACH:
        return detach(sim, work);
    case OUT << 8 | DNLOAD:
        return download(sim, setup, data);
    case IN << 8 | UPLOAD:
        return upload(sim, setup, data);
    case IN << 8 | GETSTATUS:
        return get_status(sim, setup, data, work);
    case OUT << 8 | CLRSTATUS:
        return clear_status(sim);
    case IN << 8 | GETSTATE:
        return give(setup, data, &sim->state, 1);
    case OUT << 8 | ABORT:
        return abort_request(sim);
    default:
        return stall(sim);
    }
}
