/* SPDX-License-Identifier: MIT */
#include "sim/simmem.h"

#include <stdlib.h>
#include <string.h>

enum {
    RDP_LEVEL_1 = 0x00, /* every value but that of level 0 and 2 */
    RDP_LEVEL_2 = 0xCC,
};

/* The first memory with this role: its bytes, or NULL. */
static uint8_t *bytes_of(const struct simmem *mem, enum sim_role role)
{
    for (size_t i = 0; i < mem->kind->memory_count; i++)
        if (mem->kind->memories[i].role == role)
            return mem->bytes[i];
    return NULL;
}

/* The bits of nWRP that stand for sectors of the main flash. */
static uint32_t sector_bits(const struct sim_kind *kind)
{
    const struct sim_memory *flash = &kind->memories[0];
    uint32_t count = 0;

    for (size_t i = 0; i < flash->run_count; i++)
        count += flash->runs[i].count;
    return count >= 32 ? UINT32_MAX : (UINT32_C(1) << count) - 1;
}

/* Those that nWRP of the first option bytes has: 12 bits (RM0090). */
static uint32_t nwrp_bits(const struct sim_kind *kind)
{
    return sector_bits(kind) & 0xFFF;
}

static uint8_t erased_byte(const struct simmem *mem)
{
    return simkind_has(mem->kind, SIM_ERASES_TO_ZERO) ? 0 : 0xFF;
}

static void init_protection(struct simmem *mem, const struct sim_options *options)
{
    const struct sim_kind *kind = mem->kind;
    const uint8_t level[] = { kind->rdp_open, RDP_LEVEL_1, RDP_LEVEL_2 };
    uint8_t *bytes = bytes_of(mem, SIM_ROLE_OPTIONS);

    mem->wrp = options->wrp & sector_bits(kind);
    if (!bytes) { /* no option bytes: a ROM still keeps protection, a plain boot loader has none */
        mem->rdp = kind->plain ? 0 : options->rdp;
        return;
    }
    bytes[kind->rdp_at] = level[options->rdp];
    if (kind->nwrp_at != 0) {
        bytes[kind->nwrp_at] &= (uint8_t)~mem->wrp;
        bytes[kind->nwrp_at + 1] &= (uint8_t) ~(mem->wrp >> 8);
    }
}

bool simmem_init(struct simmem *mem, const struct sim_kind *kind, const struct sim_options *options)
{
    size_t total = 0;
    uint8_t *next;

    *mem = (struct simmem){ .kind = kind, .times = options->times };
    for (size_t i = 1; i < kind->memory_count; i++)
        total += kind->memories[i].size;
    mem->bytes[0] = malloc(kind->memories[0].size);
    mem->small = calloc(total, 1);
    if (!mem->bytes[0] || !mem->small) {
        simmem_free(mem);
        return false;
    }
    memset(mem->bytes[0], erased_byte(mem), kind->memories[0].size);
    next = mem->small;
    for (size_t i = 1; i < kind->memory_count; i++) {
        const struct sim_memory *memory = &kind->memories[i];

        mem->bytes[i] = next;
        next += memory->size;
        if (memory->role != SIM_ROLE_RAM && memory->role != SIM_ROLE_FEATURE &&
            memory->role != SIM_ROLE_DATA) {
            memset(mem->bytes[i], memory->role == SIM_ROLE_FLASH ? erased_byte(mem) : 0xFF,
                   memory->size);
        }
        if (memory->initial)
            memcpy(mem->bytes[i], memory->initial, memory->initial_length);
    }
    init_protection(mem, options);
    return true;
}

void simmem_free(struct simmem *mem)
{
    free(mem->bytes[0]);
    free(mem->small);
    mem->bytes[0] = NULL;
    mem->small = NULL;
}

void simmem_start(struct simmem *mem)
{
    const struct sim_kind *kind = mem->kind;
    const uint8_t *options = bytes_of(mem, SIM_ROLE_OPTIONS);
    uint8_t *feature = bytes_of(mem, SIM_ROLE_FEATURE);

    if (feature)
        memset(feature, 0, 4);
    if (!options)
        return;
    mem->rdp = options[kind->rdp_at] == kind->rdp_open ? 0
               : options[kind->rdp_at] == RDP_LEVEL_2  ? 2
                                                       : 1;
    if (kind->nwrp_at != 0) {
        uint32_t nwrp = options[kind->nwrp_at] | (uint32_t)options[kind->nwrp_at + 1] << 8;

        mem->wrp = ~nwrp & nwrp_bits(kind);
    }
}

/* Whether the host can reach this memory: SIM_BY_SETTING, only in its own alternate setting. */
static bool is_meant(const struct simmem *mem, const struct sim_memory *memory)
{
    return !simkind_has(mem->kind, SIM_BY_SETTING) || memory->role == SIM_ROLE_RAM ||
           memory->alt == mem->alt;
}

const struct sim_memory *simmem_find(const struct simmem *mem, uint64_t address, uint64_t length,
                                     uint8_t **bytes)
{
    for (size_t i = 0; i < mem->kind->memory_count; i++) {
        const struct sim_memory *memory = &mem->kind->memories[i];
        uint64_t offset = address - memory->address;

        if (is_meant(mem, memory) && address >= memory->address && offset < memory->size &&
            length <= memory->size - offset) {
            *bytes = mem->bytes[i] + offset;
            return memory;
        }
    }
    return NULL;
}

const struct sim_memory *simmem_find_user(const struct simmem *mem, uint64_t address,
                                          uint64_t length, uint8_t **bytes)
{
    const struct sim_memory *memory = simmem_find(mem, address, length, bytes);

    if (memory && address - memory->address < memory->reserved)
        return NULL;
    return memory;
}

/* 0, 1, 2: the programming width that the "Device Feature" word stands for.  It is a range of
 * supply voltage; RM0090 gives the widest access that each allows. */
static size_t width(const struct simmem *mem)
{
    static const size_t of_voltage[] = { 0, 1, 1, 2, 2 };
    const uint8_t *feature = bytes_of(mem, SIM_ROLE_FEATURE);

    if (!feature || feature[0] >= sizeof of_voltage / sizeof of_voltage[0])
        return 0;
    return of_voltage[feature[0]];
}

/* How many bytes of a memory are programmed at once. */
static uint32_t unit_of(const struct simmem *mem, const struct sim_memory *memory)
{
    return memory->unit != 0 ? memory->unit : mem->kind->unit[width(mem)];
}

static double seconds_of(const struct simmem *mem, double typ_ms, double max_ms)
{
    switch (mem->times) {
    case SIM_TIMES_TYP:
        return typ_ms / 1e3;
    case SIM_TIMES_MAX:
        return max_ms / 1e3;
    case SIM_TIMES_ZERO:
        break;
    }
    return 0;
}

double simmem_erase_seconds(const struct simmem *mem, const struct sim_ms *ms)
{
    size_t w = width(mem);

    return seconds_of(mem, ms->typ[w], ms->max[w]);
}

double simmem_write_seconds(const struct simmem *mem, uint32_t address, uint32_t length)
{
    const struct sim_kind *kind = mem->kind;
    uint8_t *bytes;
    const struct sim_memory *memory = simmem_find(mem, address, length, &bytes);
    struct sim_sector sector;
    uint32_t unit, units;
    double seconds;

    if (!memory || (memory->role != SIM_ROLE_FLASH && memory->role != SIM_ROLE_OTP &&
                    memory->role != SIM_ROLE_DATA))
        return 0;
    unit = unit_of(mem, memory);
    units = (length + unit - 1) / unit;
    if (memory->unit != 0) {
        return seconds_of(mem, units * memory->unit_us_typ / 1e3,
                          units * memory->unit_us_max / 1e3);
    }
    seconds = seconds_of(mem, units * kind->unit_us_typ / 1e3, units * kind->unit_us_max / 1e3);
    if (kind->plain && simkind_sector(memory, address - memory->address, &sector))
        seconds += simmem_erase_seconds(mem, sector.erase);
    return seconds;
}

void simmem_mark(struct simmem *mem, size_t offset, size_t length)
{
    if (length == 0)
        return;
    if (mem->changed == mem->changed_end) {
        mem->changed = offset;
        mem->changed_end = offset + length;
        return;
    }
    if (offset < mem->changed)
        mem->changed = offset;
    if (offset + length > mem->changed_end)
        mem->changed_end = offset + length;
}

/* first/last cover programmed bytes; erased bytes only if none were programmed. */
void simmem_add_flashed(struct sim_flashed *sum, const struct sim_flashed *more)
{
    bool fresh = sum->written == 0 && (sum->erased == 0 || more->written > 0);

    if (more->written == 0 && more->erased == 0)
        return;
    if (fresh || (more->written > 0) == (sum->written > 0)) {
        sum->first = fresh || more->first < sum->first ? more->first : sum->first;
        sum->last = fresh || more->last > sum->last ? more->last : sum->last;
    }
    sum->written += more->written;
    sum->erased += more->erased;
}

static bool is_main(const struct simmem *mem, const struct sim_memory *memory)
{
    return memory == &mem->kind->memories[0];
}

/* Records a change of a flash.  Only the main flash is reported, and kept in a file. */
static void note_flashed(struct simmem *mem, const struct sim_memory *memory, uint32_t offset,
                         uint32_t written, uint32_t erased)
{
    uint32_t first = memory->address + offset;
    struct sim_flashed more = { written, erased, first, first + written + erased - 1 };

    if (is_main(mem, memory))
        simmem_add_flashed(&mem->flashed, &more);
}

/* Only the main flash has write protection. */
static bool is_protected(const struct simmem *mem, const struct sim_memory *memory, uint32_t offset)
{
    struct sim_sector sector;

    return mem->wrp != 0 && is_main(mem, memory) && simkind_sector(memory, offset, &sector) &&
           sector.index < 32 && (mem->wrp >> sector.index & 1) != 0;
}

/* An interrupted erase leaves erased words, and then one that is neither old nor erased. */
static void erase_raw(struct simmem *mem, const struct sim_memory *memory, uint32_t offset,
                      uint32_t length, double fraction)
{
    uint8_t *flash = mem->bytes[memory - mem->kind->memories];
    uint32_t done = (uint32_t)(length * fraction) & ~UINT32_C(3);

    if (fraction <= 0)
        return;
    memset(flash + offset, erased_byte(mem), done);
    for (uint32_t i = done; i < length && i < done + 4; i++)
        flash[offset + i] |= (uint8_t)(0x5A + 37 * (i & 3));
    if (is_main(mem, memory))
        simmem_mark(mem, offset, done + 4 < length ? done + 4 : length);
    note_flashed(mem, memory, offset, 0, done);
}

/* A mass erase is all or nothing: one protected sector stops it (RM0090). */
void simmem_erase(struct simmem *mem, const struct sim_memory *memory, uint32_t offset,
                  uint32_t length, double fraction)
{
    bool all = is_main(mem, memory) && length == memory->size;

    if (all ? mem->wrp != 0 : is_protected(mem, memory, offset))
        return;
    erase_raw(mem, memory, offset, length, fraction);
}

/* Programming flash only turns ones into zeros (RM0090 allows it without an erase). */
static void program_flash(struct simmem *mem, const struct sim_memory *memory, uint32_t offset,
                          const uint8_t *data, uint32_t length)
{
    uint8_t *flash = mem->bytes[memory - mem->kind->memories];

    for (uint32_t i = 0; i < length; i++) {
        if (!is_protected(mem, memory, offset + i)) {
            /* programming only changes bits that are erased */
            if (erased_byte(mem) == 0xFF)
                flash[offset + i] &= data[i];
            else
                flash[offset + i] |= data[i];
            if (is_main(mem, memory))
                simmem_mark(mem, offset + i, 1);
            note_flashed(mem, memory, offset + i, 1, 0);
        }
    }
}

static void write_flash(struct simmem *mem, const struct sim_memory *memory, uint32_t offset,
                        const uint8_t *data, uint32_t length, double fraction)
{
    uint32_t unit = unit_of(mem, memory);
    struct sim_sector sector;

    /* plain DFU erases the sectors that begin in the block */
    for (uint32_t at = offset; mem->kind->plain && fraction > 0 && at < offset + length &&
                               simkind_sector(memory, at, &sector);
         at = sector.offset + sector.size)
        if (sector.offset >= offset)
            simmem_erase(mem, memory, sector.offset, sector.size, 1);
    if (fraction < 1)
        length = (uint32_t)(length * fraction) / unit * unit;
    program_flash(mem, memory, offset, data, length);
}

void simmem_write(struct simmem *mem, uint32_t address, const uint8_t *data, uint32_t length,
                  double fraction)
{
    uint8_t *bytes;
    const struct sim_memory *memory = simmem_find(mem, address, length, &bytes);

    if (!memory)
        return;
    switch (memory->role) {
    case SIM_ROLE_FLASH:
        write_flash(mem, memory, address - memory->address, data, length, fraction);
        break;
    case SIM_ROLE_OTP:
        for (uint32_t i = 0; i < length && i < length * fraction; i++)
            bytes[i] &= data[i];
        break;
    case SIM_ROLE_OPTIONS:
        /* erased and programmed as a whole: the old ones stay valid until the end */
        if (fraction < 1)
            break;
        memcpy(bytes, data, length);
        break;
    case SIM_ROLE_RAM:
    case SIM_ROLE_FEATURE:
    case SIM_ROLE_DATA:
        memcpy(bytes, data, length);
        break;
    case SIM_ROLE_SYSTEM:
        break;
    }
}

void simmem_power(struct simmem *mem)
{
    if (mem->wants_power) {
        mem->wants_power = false;
        simmem_unprotect(mem, 1);
    }
}

void simmem_unprotect(struct simmem *mem, double fraction)
{
    uint8_t *options = bytes_of(mem, SIM_ROLE_OPTIONS);

    erase_raw(mem, &mem->kind->memories[0], 0, mem->kind->memories[0].size, fraction);
    for (size_t i = 0; fraction > 0 && i < mem->kind->memory_count; i++)
        if (mem->kind->memories[i].role == SIM_ROLE_RAM)
            memset(mem->bytes[i], 0, mem->kind->memories[i].size);
    if (fraction >= 1 && options)
        options[mem->kind->rdp_at] = mem->kind->rdp_open;
    else if (fraction >= 1)
        mem->rdp = 0;
}
