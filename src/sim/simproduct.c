/* SPDX-License-Identifier: MIT */
#include "sim/simproduct.h"

#include <stdlib.h>
#include <string.h>

#include "usb/dfu_spec.h"

/* Where the parts of descriptors are (USB 2.0 tables 9-8 and 9-10; DFU 1.1 table 4.2). */
enum {
    DEVICE_USB = 2,
    DEVICE_VID = 8,
    DEVICE_PID = 10,
    DEVICE_VERSION = 12,
    DEVICE_STRINGS = 14, /* manufacturer, product, serial number */
    CONFIG = 9,          /* length of its head, of an interface, of a functional descriptor */
    CONFIG_LENGTH = 2,
    FUNCTIONAL_ATTRIBUTES = 2,
    FUNCTIONAL_TIMEOUT = 3,
    FUNCTIONAL_TRANSFER = 5,
    FUNCTIONAL_VERSION = 7,
};

enum {
    CONFIG_MOST = 512,
    TEXT_MOST = 3 * SIM_TEXT_MAX, /* bytes of UTF-8 in a string */
    OPTIONS_LEAST = 16,           /* bytes: those of the bases that are used */
};

struct simproduct {
    struct sim_kind kind;
    size_t users;
    uint8_t device[SIM_DEVICE_DESCRIPTOR], app_device[SIM_DEVICE_DESCRIPTOR];
    uint8_t config[CONFIG_MOST], app_config[CONFIG_MOST];
    size_t string_count;
    char text[SIM_STRINGS_MAX][TEXT_MOST + 1];
    uint8_t *contents; /* of all memories of a new board, one after the other; NULL: none */
    size_t contents_length;
    size_t run_count;
    struct sim_run runs[]; /* of all flashes, one after the other */
};

/* ---- text ---- */

/* Copies a string to an index.  False: it is too long, or NULL. */
static bool set_string(struct simproduct *product, size_t index, const char *text)
{
    if (!text || index >= SIM_STRINGS_MAX || strlen(text) > TEXT_MOST)
        return false;
    strcpy(product->text[index], text);
    product->kind.strings[index] = product->text[index];
    if (index >= product->string_count)
        product->string_count = index + 1;
    return true;
}

/* Adds a string and sets its index.  NULL: changes nothing. */
static bool add_string(struct simproduct *product, const char *text, uint8_t *index)
{
    if (!text)
        return true;
    *index = (uint8_t)product->string_count;
    return set_string(product, product->string_count, text);
}

static bool set_strings(struct simproduct *product, const struct sim_product *said,
                        const struct sim_kind *base)
{
    const char *first[] = { NULL, said->manufacturer, said->product, said->serial };
    bool good = true;

    for (size_t i = 1; i < SIM_STRINGS_MAX; i++) {
        const char *text = i < 4 && first[i] ? first[i] : base->strings[i];

        product->kind.strings[i] = NULL;
        if (text && (i < 4 || said->setting_count == 0))
            good = good && set_string(product, i, text);
    }
    if (simkind_has(&product->kind, SIM_ADDRESS_ERRORS))
        good = good && set_string(product, SIM_ERROR_STRING, "Address out of range");
    for (size_t i = 0; i < said->setting_count; i++)
        if (!said->settings[i].hidden)
            good = good && set_string(product, 4 + i, said->settings[i].name);
    return good;
}

/* ---- descriptors ---- */

static void put16(uint8_t *p, int value)
{
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static bool put_id(uint8_t *p, int value)
{
    if (value != SIM_AS_BASE)
        put16(p, value);
    return value >= SIM_AS_BASE && value <= 0xFFFF;
}

static bool put_ids(uint8_t *device, int vid, int pid, int version)
{
    return put_id(device + DEVICE_VID, vid) && put_id(device + DEVICE_PID, pid) &&
           put_id(device + DEVICE_VERSION, version);
}

/* The configuration descriptor itself, with one interface, as in the bases. */
static size_t put_config(uint8_t *p, const struct sim_face *like)
{
    memcpy(p, like->config, CONFIG);
    return CONFIG;
}

static size_t put_interface(uint8_t *p, size_t alt, uint8_t class, uint8_t protocol, size_t string)
{
    const uint8_t bytes[CONFIG] = {
        CONFIG, USB_INTERFACE_DESCRIPTOR,     0,        (uint8_t)alt,   0,
        class,  class == DFU_INTERFACE_CLASS, protocol, (uint8_t)string
    };

    memcpy(p, bytes, sizeof bytes);
    return sizeof bytes;
}

/* The functional descriptor, which is the last one of a base. */
static size_t put_functional(uint8_t *p, const struct sim_face *like, const struct sim_kind *kind,
                             const struct sim_product *said)
{
    memcpy(p, like->config + like->config_length - CONFIG, CONFIG);
    put16(p + FUNCTIONAL_TRANSFER, kind->transfer_size);
    if (simkind_has(kind, SIM_TOLERANT))
        p[FUNCTIONAL_ATTRIBUTES] |= DFU_MANIFESTATION_TOLERANT;
    if (simkind_has(kind, SIM_NO_UPLOAD))
        p[FUNCTIONAL_ATTRIBUTES] &= (uint8_t)~DFU_CAN_UPLOAD;
    if (said->attributes != 0)
        p[FUNCTIONAL_ATTRIBUTES] = (uint8_t)said->attributes;
    if (said->dfu_version != 0)
        put16(p + FUNCTIONAL_VERSION, said->dfu_version);
    return CONFIG;
}

static bool set_face(struct simproduct *product, const struct sim_product *said,
                     const struct sim_kind *base)
{
    struct sim_face *face = &product->kind.dfu;
    uint8_t *config = product->config;
    size_t length = put_config(config, face);

    if (said->setting_count > 0) {
        face->alts = 0; /* hidden ones are the last */
        for (size_t i = 0; i < said->setting_count; i++)
            face->alts = (uint8_t)(face->alts + !said->settings[i].hidden);
    }
    for (size_t i = 0; i < face->alts; i++)
        length += put_interface(config + length, i, DFU_INTERFACE_CLASS, 2, 4 + i);
    length += put_functional(config + length, &base->dfu, &product->kind, said);
    put16(config + CONFIG_LENGTH, (int)length);
    if (said->config) {
        if (said->config_length < CONFIG || said->config_length > sizeof product->config)
            return false;
        memcpy(config, said->config, said->config_length);
        length = said->config_length;
        face->alts = said->alts;
    }
    memcpy(product->device, face->device, sizeof product->device);
    face->device = product->device;
    face->config = config;
    face->config_length = length;
    return put_ids(product->device, said->vid, said->pid, said->version);
}

/* An application without DFU has an interface of the vendor's class, which no driver claims. */
static bool set_application(struct simproduct *product, const struct sim_product *said)
{
    const struct sim_application *app = &said->application;
    struct sim_kind *kind = &product->kind;
    uint8_t *device = product->app_device, *config = product->app_config;
    uint8_t name = 0;
    size_t length = put_config(config, &kind->dfu);

    if (!app->there)
        return true;
    memcpy(device, product->device, sizeof product->app_device);
    put16(device + DEVICE_USB, 0x0200);
    if (!put_ids(device, app->vid, app->pid, app->version) ||
        !add_string(product, app->manufacturer, device + DEVICE_STRINGS) ||
        !add_string(product, app->product, device + DEVICE_STRINGS + 1) ||
        !add_string(product, app->serial, device + DEVICE_STRINGS + 2) ||
        (app->dfu && !add_string(product, "DFU run-time", &name)) ||
        !(app->seconds >= 0 && app->seconds <= 60) || (kind->plain && !app->dfu))
        return false;
    length +=
        put_interface(config + length, 0, app->dfu ? DFU_INTERFACE_CLASS : 0xFF, app->dfu, name);
    if (app->dfu) {
        put_functional(config + length, &kind->dfu, kind, said);
        put16(config + length + FUNCTIONAL_TIMEOUT, 1000);
        length += CONFIG;
    }
    put16(config + CONFIG_LENGTH, (int)length);
    kind->runtime = (struct sim_face){ device, config, length, 1, !app->dfu };
    kind->start_seconds = app->seconds;
    return true;
}

/* ---- memories ---- */

static uint64_t bytes_in(const struct sim_segment *segment)
{
    return (uint64_t)segment->count * segment->size;
}

/* Typical and longest times of a sector: the described ones, or those of the base's flash for
 * sectors of this size; else in proportion to its last ones. */
static struct sim_ms erase_ms(const struct sim_kind *base, const struct sim_setting *setting,
                              const struct sim_segment *segment)
{
    double seconds = segment->erase > 0 ? segment->erase : setting->erase;
    uint32_t size = segment->size;
    const struct sim_memory *flash = &base->memories[0];
    const struct sim_run *run = &flash->runs[flash->run_count - 1];
    struct sim_ms ms;
    double ratio;

    for (size_t i = 0; i < flash->run_count; i++)
        run = flash->runs[i].size == size ? &flash->runs[i] : run;
    ratio = (double)size / run->size;
    for (size_t i = 0; i < 3; i++) {
        bool said = seconds >= 0;

        ms.typ[i] = said ? seconds * 1e3 : run->erase.typ[i] * ratio;
        ms.max[i] = said ? 2 * ms.typ[i] : run->erase.max[i] * ratio;
    }
    return ms;
}

/* Adds a segment: to the last memory, if that ends where it begins, else as a memory of its own. */
static bool add_segment(struct simproduct *product, const struct sim_kind *base,
                        const struct sim_setting *setting, const struct sim_segment *segment,
                        size_t alt, bool first)
{
    struct sim_kind *kind = &product->kind;
    struct sim_memory *memory = &kind->memories[kind->memory_count];
    uint64_t bytes = bytes_in(segment);

    if (bytes == 0 || bytes > SIM_PRODUCT_MOST || segment->address + bytes > UINT64_C(1) << 32)
        return false;
    if (!first && memory[-1].address + (uint64_t)memory[-1].size == segment->address) {
        memory--;
    } else if (kind->memory_count == SIM_MEMORIES_MAX) {
        return false;
    } else {
        *memory = (struct sim_memory){
            .role = setting->role,
            .alt = (uint8_t)alt,
            .address = segment->address,
            .unit = setting->unit,
            .unit_us_typ = setting->write * 1e6,
            .unit_us_max = setting->write * 2e6,
        };
        kind->memory_count++;
        if (first && setting->initial) {
            memory->initial = memcpy(product->contents + product->contents_length, setting->initial,
                                     setting->initial_length);
            memory->initial_length = setting->initial_length;
            product->contents_length += setting->initial_length;
        }
    }
    memory->size += (uint32_t)bytes;
    if (setting->role == SIM_ROLE_FLASH) {
        struct sim_run *run = &product->runs[product->run_count++];

        *run = (struct sim_run){ segment->count, segment->size, erase_ms(base, setting, segment) };
        memory->runs = memory->run_count == 0 ? run : memory->runs;
        memory->run_count++;
    }
    return memory->size <= SIM_PRODUCT_MOST;
}

static bool is_erase(double seconds)
{
    return seconds >= 0 && seconds <= 60;
}

static bool is_setting(const struct sim_setting *setting)
{
    for (size_t i = 0; i < setting->segment_count; i++)
        if (!is_erase(setting->segments[i].erase))
            return false;
    return setting->role <= SIM_ROLE_SYSTEM &&
           (setting->erase == (double)SIM_AS_BASE || is_erase(setting->erase)) &&
           setting->write >= 0 && setting->write <= 1 && setting->segment_count > 0 &&
           (!setting->initial || setting->initial_length <= bytes_in(&setting->segments[0]));
}

/* The index of the first memory with this role; memory_count if there is none. */
static size_t find_role(const struct sim_kind *kind, enum sim_role role)
{
    size_t i = 0;

    while (i < kind->memory_count && kind->memories[i].role != role)
        i++;
    return i;
}

/* The memories of the settings, and then the RAM, which is in no setting. */
static bool set_memories(struct simproduct *product, const struct sim_product *said,
                         const struct sim_kind *base)
{
    struct sim_kind *kind = &product->kind;

    if (said->setting_count == 0)
        return true;
    kind->memory_count = 0;
    for (size_t i = 0; i < said->setting_count; i++) {
        const struct sim_setting *setting = &said->settings[i];

        if (!is_setting(setting))
            return false;
        for (size_t j = 0; j < setting->segment_count; j++)
            if (!add_segment(product, base, setting, &setting->segments[j], i, j == 0))
                return false;
        if (i == 0 && (kind->memory_count != 1 || setting->role != SIM_ROLE_FLASH))
            return false;
    }
    if (kind->memory_count == SIM_MEMORIES_MAX)
        return false;
    kind->memories[kind->memory_count++] = base->memories[find_role(base, SIM_ROLE_RAM)];
    kind->pointer = kind->memories[0].address;
    return true;
}

/* The option bytes begin as the base's do, unless the product says how. */
static bool set_options(struct sim_kind *kind, const struct sim_product *said,
                        const struct sim_kind *base)
{
    size_t at = find_role(kind, SIM_ROLE_OPTIONS);
    size_t like = find_role(base, SIM_ROLE_OPTIONS);

    if (said->rdp) {
        kind->rdp_at = said->rdp->at;
        kind->rdp_open = said->rdp->open;
        kind->nwrp_at = 0;
    }
    if (at < kind->memory_count && kind->memories[at].size <= kind->rdp_at)
        return false;
    if (at == kind->memory_count || kind->memories[at].initial)
        return true;
    if (like == base->memory_count || kind->memories[at].size < OPTIONS_LEAST)
        return false;
    kind->memories[at].initial = base->memories[like].initial;
    kind->memories[at].initial_length = base->memories[like].initial_length;
    if (kind->memories[at].initial_length > kind->memories[at].size)
        kind->memories[at].initial_length = kind->memories[at].size;
    return true;
}

static bool are_apart(const struct sim_memory *a, const struct sim_memory *b)
{
    return a->address + (uint64_t)a->size <= b->address ||
           b->address + (uint64_t)b->size <= a->address;
}

static bool check_memories(const struct sim_kind *kind)
{
    uint64_t total = 0;

    for (size_t i = 0; i < kind->memory_count; i++) {
        const struct sim_memory *memory = &kind->memories[i];

        total += memory->size;
        if (memory->role == SIM_ROLE_FEATURE && memory->size < 4)
            return false;
        for (size_t j = 0; j < i; j++) {
            bool shared = simkind_has(kind, SIM_BY_SETTING) && memory->role != SIM_ROLE_RAM &&
                          memory->alt != kind->memories[j].alt;

            if (!shared && !are_apart(memory, &kind->memories[j]))
                return false;
        }
    }
    return total <= SIM_PRODUCT_MOST;
}

/* The RAM is the last memory of all bases. */
static bool set_ram(struct sim_kind *kind, uint32_t size)
{
    struct sim_memory *ram = &kind->memories[kind->memory_count - 1];

    if (size != 0)
        ram->size = size;
    return size == 0 || size > ram->reserved;
}

/* ---- the kind ---- */

/* Plain DFU has neither addresses nor sectors, so the memories are its base's. */
static bool fill(struct simproduct *product, const struct sim_product *said,
                 const struct sim_kind *base)
{
    struct sim_kind *kind = &product->kind;

    if (base->plain && said->setting_count > 0)
        return false;
    kind->start_state = said->starts_idle ? 2 : kind->start_state;
    kind->waits = said->starts_idle && base->plain;
    if (said->poll)
        kind->poll = *said->poll;
    kind->habits = said->habits;
    kind->align = said->align;
    if (!is_erase(said->mass_erase))
        return false;
    for (size_t i = 0; i < 3 && said->mass_erase > 0; i++) {
        kind->mass_erase.typ[i] = said->mass_erase * 1e3;
        kind->mass_erase.max[i] = said->mass_erase * 2e3;
    }
    if (said->transfer_size != 0)
        kind->transfer_size = said->transfer_size;
    return kind->transfer_size >= SIM_TRANSFER_MIN && kind->transfer_size <= SIM_TRANSFER_MAX &&
           set_strings(product, said, base) && set_face(product, said, base) &&
           set_application(product, said) && set_memories(product, said, base) &&
           set_options(kind, said, base) && set_ram(kind, said->ram) && check_memories(kind);
}

struct simproduct *simproduct_new(const struct sim_product *said)
{
    const struct sim_kind *base = simkind_find(said->base);
    struct simproduct *product;
    size_t runs = 0, contents = 0;

    if (!base || said->setting_count > SIM_SETTINGS_MAX)
        return NULL;
    for (size_t i = 0; i < said->setting_count; i++) {
        runs += said->settings[i].segment_count;
        contents += said->settings[i].initial_length;
    }
    product = calloc(1, sizeof *product + runs * sizeof product->runs[0]);
    if (!product)
        return NULL;
    product->users = 1;
    product->kind = *base;
    product->contents = contents > 0 ? malloc(contents) : NULL;
    if ((contents > 0 && !product->contents) || !fill(product, said, base)) {
        simproduct_drop(product);
        return NULL;
    }
    return product;
}

const struct sim_kind *simproduct_kind(const struct simproduct *product)
{
    return &product->kind;
}

struct simproduct *simproduct_keep(struct simproduct *product)
{
    if (product)
        product->users++;
    return product;
}

void simproduct_drop(struct simproduct *product)
{
    if (product && --product->users == 0) {
        free(product->contents);
        free(product);
    }
}
