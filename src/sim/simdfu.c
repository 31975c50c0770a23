/* SPDX-License-Identifier: MIT */
/* The class requests.  The ROMs follow AN2662 chapter 4 (its successor is AN3156) and, where
 * that is silent, ST's own DFU library, which agrees with every log of a ROM.  Plain DFU
 * follows the specification of DFU 1.1, appendix A.
 */
#include "sim/sim_private.h"

#include <string.h>

enum { ODD_STATE = 15 }; /* no state of DFU 1.1 */

static const double detach_seconds = 0.05; /* appDETACH, before it leaves the bus by itself */

static bool has_habit(const struct sim *sim, enum sim_habit habit)
{
    return simkind_has(sim->kind, habit);
}

void simdfu_error(struct sim *sim, enum dfu_status status)
{
    sim->state = DFU_ERROR;
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
    case SIM_WORK_NONE:
    case SIM_WORK_OPTIONS:
    case SIM_WORK_UNPROTECT:
    case SIM_WORK_RESET:
    case SIM_WORK_MANIFEST:
    case SIM_WORK_LEAVE:
    case SIM_WORK_START:
    case SIM_WORK_DETACH:
    case SIM_WORK_ATTACH:
        break;
    }
    return false;
}

static uint32_t le32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The address of a block.  ROMs count whole transfers from block 2: wTransferSize of the
 * descriptor, not the length of a short block, or dfu-util's last block would be misplaced. */
static uint64_t block_address(const struct sim *sim, uint16_t block)
{
    uint64_t size = sim->kind->transfer_size;

    if (simkind_has(sim->kind, SIM_HALF_BLOCKS))
        size /= 2;
    if (sim->kind->plain && has_habit(sim, SIM_COUNTS_ITSELF))
        return sim->next_block * size;
    return sim->kind->plain ? block * size : sim->pointer + (block - UINT64_C(2)) * size;
}

/* The flash that holds the address, and the sector; NULL: there is none. */
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

    if (length == 1 && (data[0] == DFUSE_ERASE || data[0] == DFUSE_READ_UNPROTECT))
        span = (struct sim_span){ SIM_OP_ERASE, flash->address, flash->size };
    flash =
        length == 5 && data[0] == DFUSE_ERASE ? find_sector(sim, le32(data + 1), &sector) : NULL;
    if (flash) {
        span = (struct sim_span){ SIM_OP_ERASE, flash->address + (uint64_t)sector.offset,
                                  sector.size };
    }
    return span;
}

struct sim_span simdfu_span(const struct sim *sim, const struct usb_setup *setup,
                            const uint8_t *data)
{
    bool out = setup->type == DFU_OUT && setup->request == DFU_REQ_DNLOAD;
    bool in = setup->type == DFU_IN && setup->request == DFU_REQ_UPLOAD;
    struct sim_span span = { .op = SIM_OP_ANY };

    if ((!out && !in) || setup->length == 0)
        return span;
    if (!sim->kind->plain && setup->value < 2)
        return out && setup->value == 0 ? command_span(sim, data, setup->length) : span;
    span.op = out ? SIM_OP_WRITE : SIM_OP_READ;
    span.address = block_address(sim, setup->value);
    span.length = setup->length;
    return span;
}

/* ---- work beginning and ending ---- */

static void refuse(struct sim_work *work, enum dfu_status status)
{
    work->kind = SIM_WORK_REFUSE;
    work->status = status;
    work->seconds = 0;
}

/* The status of a command with an address outside all memories. */
static enum dfu_status bad_address(const struct sim *sim)
{
    return has_habit(sim, SIM_VENDOR_ERRORS)    ? DFU_ERR_VENDOR
           : has_habit(sim, SIM_ADDRESS_ERRORS) ? DFU_ERR_ADDRESS
                                                : DFU_ERR_TARGET;
}

static void plan_address(const struct sim *sim, uint32_t address, struct sim_work *work)
{
    uint8_t *bytes;

    *work = (struct sim_work){ .kind = SIM_WORK_ADDRESS, .address = address };
    if (!simmem_find_user(&sim->mem, address, 1, &bytes))
        refuse(work, bad_address(sim));
}

/* Whether an address is in the second half of the main flash, which is a bank of its own. */
static bool is_in_second_half(const struct sim *sim, uint64_t address)
{
    const struct sim_memory *flash = &sim->kind->memories[0];

    return address >= (uint64_t)flash->address + flash->size / 2;
}

/* Only flash can be erased: OTP can't, and ST's library refuses the rest. */
static void plan_erase(const struct sim *sim, uint32_t address, struct sim_work *work)
{
    struct sim_sector sector;

    if (!find_sector(sim, address, &sector)) {
        refuse(work, bad_address(sim));
        return;
    }
    *work = (struct sim_work){
        .kind = SIM_WORK_ERASE,
        .address = address,
        .length = sector.size,
        .seconds = simmem_erase_seconds(&sim->mem, sector.erase),
    };
    if (has_habit(sim, SIM_ANSWERS_EARLY) && is_in_second_half(sim, address))
        work->seconds = 0; /* the flash takes its time: erase_late() */
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

/* ST's library fills the last word of a block with 0xFF, which changes RAM, but not flash. */
static uint32_t padded(const struct sim_memory *memory, uint32_t address, uint32_t length)
{
    uint32_t room = memory->size - (address - memory->address);
    uint32_t words = (length + 3) & ~UINT32_C(3);

    return words < room ? words : room;
}

/* Whether this write, or one before it, is not aligned as the boot loader wants it (AN2606 Rev 70,
 * table 7 and 4.3: that write and all that follow fail). */
static bool is_misaligned(struct sim *sim, uint64_t address)
{
    uint32_t align = sim->kind->align;

    sim->misaligned =
        sim->misaligned || (align != 0 && (address % align != 0 || sim->length % 4 != 0));
    return sim->misaligned;
}

static void plan_write(struct sim *sim, struct sim_work *work)
{
    uint64_t address = block_address(sim, sim->block);
    uint8_t *bytes;
    const struct sim_memory *memory = simmem_find_user(&sim->mem, address, sim->length, &bytes);

    if (memory && memory->role == SIM_ROLE_FLASH && is_misaligned(sim, address)) {
        refuse(work, DFU_ERR_TARGET);
        return;
    }
    if (!memory) {
        refuse(work, sim->kind->plain ? DFU_ERR_ADDRESS : bad_address(sim));
        return;
    }
    *work = (struct sim_work){
        .kind = SIM_WORK_WRITE,
        .address = (uint32_t)address,
        .length = sim->length,
        .seconds = simmem_write_seconds(&sim->mem, (uint32_t)address, sim->length),
    };
    if (!sim->kind->plain)
        work->length = padded(memory, (uint32_t)address, sim->length);
    if (memory->role == SIM_ROLE_SYSTEM)
        refuse(work, bad_address(sim));
    if (memory->role == SIM_ROLE_OPTIONS && address != memory->address)
        refuse(work, DFU_ERR_TARGET); /* only from their start */
    if (memory->role != SIM_ROLE_OPTIONS || work->kind == SIM_WORK_REFUSE ||
        has_habit(sim, SIM_OPTIONS_STAY))
        return;
    work->kind = SIM_WORK_OPTIONS;
    work->seconds = SIM_RESET_SECONDS;
}

/* Block 0 of a ROM is a command.  Under read protection all but Read Unprotect are refused: Set
 * Address, too, whatever AN2662 says (betaflight-configurator, usbdfu.js). */
static uint32_t plan_command(const struct sim *sim, struct sim_work *work)
{
    const struct sim_poll *poll = &sim->kind->poll;
    const uint8_t *data = sim->buffer;
    bool erase = data[0] == DFUSE_ERASE && (sim->length == 1 || sim->length == 5);
    bool address = data[0] == DFUSE_SET_ADDRESS && sim->length == 5;

    if (data[0] == DFUSE_READ_UNPROTECT && sim->length == 1 &&
        !has_habit(sim, SIM_REFUSES_UNPROTECT)) {
        plan_mass_erase(sim, work);
        if (has_habit(sim, SIM_IGNORES_UNPROTECT))
            *work = (struct sim_work){ .kind = SIM_WORK_NOTHING };
        else
            work->kind = SIM_WORK_UNPROTECT;
        return poll->erase;
    }
    if (!erase && !address && has_habit(sim, SIM_IGNORES_COMMANDS))
        *work = (struct sim_work){ .kind = SIM_WORK_NOTHING };
    else if ((!erase && !address) ||
             (erase && sim->length == 1 && has_habit(sim, SIM_REFUSES_MASS_ERASE)))
        refuse(work, DFU_ERR_STALLEDPKT);
    else if (sim->mem.rdp != 0)
        refuse(work, DFU_ERR_VENDOR);
    else if (address)
        plan_address(sim, le32(data + 1), work);
    else if (sim->length == 5)
        plan_erase(sim, le32(data + 1), work);
    else if (has_habit(sim, SIM_IGNORES_MASS_ERASE))
        *work = (struct sim_work){ .kind = SIM_WORK_NOTHING };
    else
        plan_mass_erase(sim, work);
    return erase ? poll->erase : poll->address;
}

/* Sets the work of the stored command or block; returns the bwPollTimeout to announce. */
static uint32_t plan(struct sim *sim, struct sim_work *work)
{
    if (!sim->kind->plain && sim->block == 0)
        return plan_command(sim, work);
    if (sim->mem.rdp != 0)
        refuse(work, DFU_ERR_VENDOR);
    else
        plan_write(sim, work);
    return sim->kind->poll.write;
}

/* SIM_ANSWERS_EARLY: the flash goes on erasing, and a command that comes meanwhile hangs the chip.
 */
static void erase_late(struct sim *sim, const struct sim_sector *sector)
{
    sim->late = sim->work;
    sim->late.seconds = simmem_erase_seconds(&sim->mem, sector->erase);
    sim->late.end = sim->work.end + sim->late.seconds;
}

void simdfu_end_late(struct sim *sim)
{
    struct sim_sector sector;
    const struct sim_memory *flash = find_sector(sim, sim->late.address, &sector);

    if (flash)
        simmem_erase(&sim->mem, flash, sector.offset, sim->late.length, 1);
    sim->late.kind = SIM_WORK_NONE;
}

/* Erases what some boot loaders erase beside the sector they were told. */
static void erase_too_much(struct sim *sim, const struct sim_memory *flash,
                           const struct sim_sector *told, double fraction)
{
    struct sim_sector sector = *told;
    bool far = has_habit(sim, SIM_ERASES_FOUR_ON) && told->offset >= flash->size / 2;

    for (uint32_t n = 1; has_habit(sim, SIM_ERASES_TO_END) || (far && n <= 4); n++) {
        if (!simkind_sector(flash, (uint64_t)sector.offset + sector.size, &sector))
            return;
        if (!far || n == 4)
            simmem_erase(&sim->mem, flash, sector.offset, sector.size, fraction);
    }
}

/* Erases the fourth sector after the one that was told; nothing, if there is none. */
static void erase_fourth(struct sim *sim, const struct sim_memory *flash,
                         const struct sim_sector *told, double fraction)
{
    struct sim_sector sector = *told;

    for (int n = 0; n < 4; n++)
        if (!simkind_sector(flash, (uint64_t)sector.offset + sector.size, &sector))
            return;
    simmem_erase(&sim->mem, flash, sector.offset, sector.size, fraction);
}

static void end_erase(struct sim *sim, double fraction)
{
    const struct sim_work *work = &sim->work;
    struct sim_sector sector;
    const struct sim_memory *flash = find_sector(sim, work->address, &sector);
    bool all = flash && work->length == flash->size;
    bool far = !all && is_in_second_half(sim, work->address);

    if (flash && far && has_habit(sim, SIM_ERASES_FOURTH)) {
        erase_fourth(sim, flash, &sector, fraction);
    } else if (flash && far && has_habit(sim, SIM_ANSWERS_EARLY)) {
        erase_late(sim, &sector);
    } else if (flash && !(far && has_habit(sim, SIM_ERASES_ONE_BANK))) {
        /* a mass erase begins with the first sector */
        simmem_erase(&sim->mem, flash, sector.offset, work->length, fraction);
        erase_too_much(sim, flash, &sector, fraction);
    }
    if (fraction >= 1 && !has_habit(sim, SIM_KEEPS_POINTER))
        sim->pointer = work->address; /* ST's library keeps both in one variable */
}

void simdfu_end_work(struct sim *sim, double fraction)
{
    const struct sim_work *work = &sim->work;

    switch (work->kind) {
    case SIM_WORK_ADDRESS:
        sim->pointer = work->address;
        break;
    case SIM_WORK_WRITE:
    case SIM_WORK_OPTIONS:
        simmem_write(&sim->mem, work->address, sim->buffer, work->length, fraction);
        sim->next_block = (uint16_t)(sim->next_block + (fraction >= 1));
        break;
    case SIM_WORK_ERASE:
        end_erase(sim, fraction);
        break;
    case SIM_WORK_UNPROTECT:
        if (has_habit(sim, SIM_UNPROTECTS_AT_POWER))
            sim->mem.wants_power = fraction >= 1;
        else
            simmem_unprotect(&sim->mem, fraction);
        break;
    case SIM_WORK_NONE:
    case SIM_WORK_REFUSE:
    case SIM_WORK_NOTHING:
    case SIM_WORK_RESET:
    case SIM_WORK_MANIFEST:
    case SIM_WORK_LEAVE:
    case SIM_WORK_START:
    case SIM_WORK_DETACH:
    case SIM_WORK_ATTACH:
        break;
    }
    if (fraction < 1)
        return;
    if (work->kind == SIM_WORK_REFUSE && has_habit(sim, SIM_ERROR_WITHOUT_STATE)) {
        sim->status = (uint8_t)work->status;
        sim->state = DFU_DNLOAD_SYNC;
    } else if (work->kind == SIM_WORK_REFUSE) {
        simdfu_error(sim, work->status);
    } else if (work->kind == SIM_WORK_MANIFEST && has_habit(sim, SIM_TOLERANT)) {
        sim->state = DFU_IDLE;
    } else if (work->kind == SIM_WORK_MANIFEST) {
        sim->has_program = sim->downloaded = true;
        sim->state = DFU_MANIFEST_WAIT_RESET;
    } else if (work->kind == SIM_WORK_ERASE && has_habit(sim, SIM_STAYS_BUSY) &&
               is_in_second_half(sim, work->address)) {
        return; /* in dfuDNBUSY */
    } else if (sim->state == DFU_DNBUSY) {
        sim->state = DFU_DNLOAD_SYNC; /* the next GETSTATUS makes dfuDNLOAD-IDLE of it */
    }
}

/* ---- requests ---- */

static int give(const struct usb_setup *setup, uint8_t *data, const uint8_t *bytes, size_t length)
{
    if (length > setup->length)
        length = setup->length;
    if (length > 0)
        memcpy(data, bytes, length);
    return (int)length;
}

/* Stalls a request that the state does not allow, which is an error in plain DFU. */
static int stall(struct sim *sim)
{
    if (sim->kind->plain && sim->state != DFU_DNBUSY && sim->state != DFU_MANIFEST &&
        sim->state != DFU_MANIFEST_WAIT_RESET) {
        simdfu_error(sim,
                     sim->state == DFU_ERROR ? (enum dfu_status)sim->status : DFU_ERR_STALLEDPKT);
    }
    return SIM_STALL;
}

/* The transition at GETSTATUS, which starts the work (not DNLOAD).  Returns bwPollTimeout. */
static uint32_t advance(struct sim *sim, struct sim_work *work)
{
    uint32_t poll = 0;

    switch (sim->state) {
    case DFU_DNLOAD_SYNC:
        if (!sim->stored) {
            sim->state = DFU_DNLOAD_IDLE;
            poll = has_habit(sim, SIM_REPEATS_POLL) ? sim->poll : 0;
            break;
        }
        poll = sim->poll = plan(sim, work);
        sim->stored = false;
        sim->state = DFU_DNBUSY;
        break;
    case DFU_DNLOAD_IDLE:
        if (has_habit(sim, SIM_STATUS_IDLES)) {
            sim->state = DFU_IDLE;
            sim->next_block = 0;
        }
        break;
    case DFU_DNBUSY:
        poll = sim->kind->poll.write; /* plain DFU; or started so, and stuck for ever */
        break;
    case DFU_MANIFEST_SYNC:
        poll = sim->kind->poll.manifest;
        if (has_habit(sim, SIM_STAYS)) {
            sim->state = DFU_IDLE;
            break;
        }
        if (has_habit(sim, SIM_WAITS_FOR_STATUS)) {
            sim->state = DFU_MANIFEST_WAIT_RESET;
            break;
        }
        *work = (struct sim_work){
            .kind = sim->kind->plain ? SIM_WORK_MANIFEST : SIM_WORK_LEAVE,
            .seconds = sim->mem.times == SIM_TIMES_ZERO ? 0 : sim->kind->manifest_seconds,
        };
        sim->state = DFU_MANIFEST;
        break;
    case DFU_MANIFEST:
        poll = sim->kind->poll.manifest;
        break;
    case DFU_MANIFEST_WAIT_RESET:
        if (has_habit(sim, SIM_WAITS_FOR_STATUS))
            *work = (struct sim_work){ .kind = SIM_WORK_LEAVE };
        break;
    default:
        break;
    }
    return poll;
}

static int get_status(struct sim *sim, const struct usb_setup *setup, uint8_t *data,
                      struct sim_work *work)
{
    if (sim->stored && sim->late.kind != SIM_WORK_NONE) {
        sim->hung = true;
        return SIM_HANG;
    }
    uint32_t poll = advance(sim, work);
    const uint8_t bytes[6] = {
        sim->status,
        (uint8_t)poll,
        (uint8_t)(poll >> 8),
        (uint8_t)(poll >> 16),
        sim->state,
        sim->status == DFU_ERR_ADDRESS && has_habit(sim, SIM_ADDRESS_ERRORS) ? SIM_ERROR_STRING : 0,
    };

    if (sim->state != DFU_ERROR)
        sim->status = DFU_OK; /* SIM_ERROR_WITHOUT_STATE: reported once */
    return give(setup, data, bytes, sizeof bytes);
}

static int clear_status(struct sim *sim)
{
    if (sim->state == DFU_ERROR || sim->state > DFU_ERROR || has_habit(sim, SIM_CLEAR_IDLES)) {
        bool odd = sim->state > DFU_ERROR; /* a second CLRSTATUS is needed */

        sim->state = odd ? DFU_ERROR : DFU_IDLE;
        sim->status = odd ? DFU_ERR_UNKNOWN : DFU_OK;
        return 0;
    }
    if (has_habit(sim, SIM_CLEAR_STALLS))
        return SIM_STALL;
    if (sim->kind->plain)
        return stall(sim);
    simdfu_error(sim, DFU_ERR_UNKNOWN);
    return 0;
}

/* The ROM accepts ABORT in every state, also where it has no effect. */
static int abort_request(struct sim *sim)
{
    if (sim->state == DFU_DNLOAD_SYNC && has_habit(sim, SIM_ABORT_STALLS_IN_SYNC))
        return SIM_STALL;
    if (sim->state == DFU_DNLOAD_SYNC && has_habit(sim, SIM_ABORT_ERRS_IN_SYNC)) {
        simdfu_error(sim, DFU_OK);
        return SIM_STALL;
    }
    switch (sim->state) {
    case DFU_IDLE:
    case DFU_DNLOAD_SYNC:
    case DFU_DNLOAD_IDLE:
    case DFU_MANIFEST_SYNC:
    case DFU_UPLOAD_IDLE:
        sim->state = DFU_IDLE;
        sim->stored = false;
        return 0;
    default:
        return sim->kind->plain ? stall(sim) : 0;
    }
}

/* The damage that some plain boot loaders do to a block before it is stored. */
static void spoil_block(struct sim *sim)
{
    if (has_habit(sim, SIM_CORRUPTS_BLOCKS))
        for (size_t i = 0; i < 6 && i < sim->length; i++)
            sim->buffer[i] = (uint8_t)i;
    if (has_habit(sim, SIM_DROPS_ODD_BYTE) && sim->length % 2 != 0)
        sim->buffer[--sim->length] = 0xFF;
}

/* Counts a block in place of its number.  False: SIM_WANTS_ORDER, and it is out of order. */
static bool count_block(struct sim *sim, uint16_t block)
{
    if (has_habit(sim, SIM_WANTS_ORDER) && block != sim->next_block) {
        sim->next_block = 0;
        simdfu_error(sim, DFU_ERR_UNKNOWN);
        return false;
    }
    if (sim->state == DFU_IDLE && !has_habit(sim, SIM_WANTS_ORDER))
        sim->next_block = 0;
    return true;
}

/* SIM_EXECUTES_IN_DOWNLOAD: executes a block in its DNLOAD. */
static int execute_at_once(struct sim *sim, struct sim_work *work)
{
    plan(sim, work);
    sim->stored = false;
    if (work->kind == SIM_WORK_REFUSE) {
        simdfu_error(sim, work->status);
        work->kind = SIM_WORK_NONE;
        return SIM_STALL;
    }
    return sim->length;
}

static int download(struct sim *sim, const struct usb_setup *setup, const uint8_t *data,
                    struct sim_work *work)
{
    bool plain = sim->kind->plain;

    if ((sim->state != DFU_IDLE && sim->state != DFU_DNLOAD_IDLE) ||
        setup->length > sim->kind->transfer_size)
        return stall(sim);
    if (setup->length == 0) {
        if (plain && sim->state == DFU_IDLE)
            return stall(sim); /* no block came before it */
        sim->state = DFU_MANIFEST_SYNC;
        sim->next_block = 0;
        return 0;
    }
    if (!plain && setup->value == 1)
        return SIM_STALL;
    if (plain && !count_block(sim, setup->value))
        return setup->length; /* GETSTATUS reports the error */
    memset(sim->buffer, 0xFF, sizeof sim->buffer);
    memcpy(sim->buffer, data, setup->length);
    sim->block = setup->value;
    sim->length = setup->length;
    spoil_block(sim);
    sim->stored = true;
    sim->state = DFU_DNLOAD_SYNC;
    if (has_habit(sim, SIM_EXECUTES_IN_DOWNLOAD))
        return execute_at_once(sim, work);
    return setup->length;
}

static int upload_plain(struct sim *sim, const struct usb_setup *setup, uint8_t *data)
{
    uint64_t address = setup->value * (uint64_t)sim->kind->transfer_size;
    uint64_t size = sim->kind->memories[0].size;
    size_t length = setup->length;

    if (has_habit(sim, SIM_UPLOADS_WHOLE_BLOCKS) && length < sim->kind->transfer_size)
        return SIM_STALL; /* too many bytes for wLength: an error on the wire */

    if (address > size)
        address = size;
    if (length > size - address)
        length = (size_t)(size - address);
    if (length > 0)
        memcpy(data, sim->mem.bytes[0] + address, length);
    sim->state = length < setup->length || length == 0 ? DFU_IDLE : DFU_UPLOAD_IDLE;
    return (int)length;
}

/* Reading past a memory is a bus fault, and the ROM has no handler for it: it dies (dfu-util
 * mailing list, November 2020). */
static int upload_memory(struct sim *sim, const struct usb_setup *setup, uint8_t *data)
{
    uint8_t *bytes;

    if (sim->mem.rdp != 0) {
        simdfu_error(sim, DFU_ERR_VENDOR);
        return SIM_STALL;
    }
    if (simmem_find_user(&sim->mem, block_address(sim, setup->value), setup->length, &bytes) ==
        NULL) {
        sim->hung = true;
        return SIM_HANG;
    }
    sim->state = DFU_UPLOAD_IDLE;
    return give(setup, data, bytes, setup->length);
}

/* Stalls an UPLOAD, after which SIM_ODD_STATE has a number that is no state. */
static int refuse_upload(struct sim *sim)
{
    if (has_habit(sim, SIM_ODD_STATE)) {
        sim->state = ODD_STATE;
        return SIM_STALL;
    }
    return stall(sim);
}

/* UPLOAD of block 0: Get Commands. */
static int upload_commands(struct sim *sim, const struct usb_setup *setup, uint8_t *data)
{
    static const uint8_t commands[] = { DFUSE_GET_COMMANDS, DFUSE_SET_ADDRESS, DFUSE_ERASE,
                                        DFUSE_READ_UNPROTECT };

    if (has_habit(sim, SIM_NO_ANSWER_TO_GET))
        return SIM_HANG;
    if (has_habit(sim, SIM_REFUSES_GET))
        return refuse_upload(sim);
    if (has_habit(sim, SIM_STALE_GET)) {
        size_t length = setup->length < sizeof sim->buffer ? setup->length : sizeof sim->buffer;

        memcpy(data, sim->buffer, length);
        return (int)length;
    }
    size_t count = sizeof commands - has_habit(sim, SIM_REFUSES_UNPROTECT);
    sim->state = setup->length >= count ? DFU_IDLE : DFU_UPLOAD_IDLE;
    return give(setup, data, commands, count);
}

static int upload(struct sim *sim, const struct usb_setup *setup, uint8_t *data)
{
    bool anywhere = sim->state == DFU_DNLOAD_IDLE && has_habit(sim, SIM_UPLOADS_ANYWHERE);

    if ((sim->state != DFU_IDLE && sim->state != DFU_UPLOAD_IDLE && !anywhere) ||
        setup->length > sim->kind->transfer_size || has_habit(sim, SIM_NO_UPLOAD))
        return refuse_upload(sim);
    if (sim->kind->plain)
        return upload_plain(sim, setup, data);
    if (setup->length == 0) {
        sim->state = DFU_IDLE;
        return 0;
    }
    if (setup->value == 0)
        return upload_commands(sim, setup, data);
    if (setup->value == 1) {
        simdfu_error(sim, DFU_ERR_STALLEDPKT);
        return refuse_upload(sim);
    }
    return upload_memory(sim, setup, data);
}

static int detach(struct sim *sim, struct sim_work *work)
{
    if (sim->life == SIM_RUNTIME) {
        sim->state = DFU_APP_DETACH;
        *work = (struct sim_work){ .kind = SIM_WORK_DETACH, .seconds = detach_seconds };
        return 0;
    }
    if (has_habit(sim, SIM_DETACHES)) {
        *work = (struct sim_work){ .kind = SIM_WORK_LEAVE };
        return 0;
    }
    return sim->kind->plain ? stall(sim) : 0; /* "not meaningful" in a ROM, AN2662 */
}

static int runtime_request(struct sim *sim, const struct usb_setup *setup, uint8_t *data,
                           struct sim_work *work)
{
    if (sim->kind->runtime.no_dfu)
        return SIM_STALL;
    switch (setup->type << 8 | setup->request) {
    case DFU_OUT << 8 | DFU_REQ_DETACH:
        return sim->state == DFU_APP_IDLE ? detach(sim, work) : SIM_STALL;
    case DFU_IN << 8 | DFU_REQ_GETSTATUS:
        return get_status(sim, setup, data, work);
    case DFU_IN << 8 | DFU_REQ_GETSTATE:
        return give(setup, data, &sim->state, 1);
    default:
        return SIM_STALL;
    }
}

int simdfu_request(struct sim *sim, const struct usb_setup *setup, uint8_t *data,
                   struct sim_work *work)
{
    if (setup->index != 0)
        return SIM_STALL; /* there is one interface */
    if (sim->life == SIM_RUNTIME)
        return runtime_request(sim, setup, data, work);
    if (sim->state == DFU_ERROR && has_habit(sim, SIM_DEAF_IN_ERROR) &&
        setup->request != DFU_REQ_CLRSTATUS)
        return SIM_STALL;
    switch (setup->type << 8 | setup->request) {
    case DFU_OUT << 8 | DFU_REQ_DETACH:
        return detach(sim, work);
    case DFU_OUT << 8 | DFU_REQ_DNLOAD:
        return download(sim, setup, data, work);
    case DFU_IN << 8 | DFU_REQ_UPLOAD:
        return upload(sim, setup, data);
    case DFU_IN << 8 | DFU_REQ_GETSTATUS:
        return get_status(sim, setup, data, work);
    case DFU_OUT << 8 | DFU_REQ_CLRSTATUS:
        return clear_status(sim);
    case DFU_IN << 8 | DFU_REQ_GETSTATE:
        return give(setup, data, &sim->state, 1);
    case DFU_OUT << 8 | DFU_REQ_ABORT:
        return abort_request(sim);
    default:
        return stall(sim);
    }
}
