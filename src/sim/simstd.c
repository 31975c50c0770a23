/* SPDX-License-Identifier: MIT */
#include "sim/sim_private.h"

#include <string.h>

/* bmRequestType of the standard requests. */
enum {
    OUT_DEVICE = 0x00,
    OUT_INTERFACE = 0x01,
    IN_DEVICE = 0x80,
    IN_INTERFACE = 0x81,
    IN_ENDPOINT = 0x82,
};

const struct sim_face *simstd_face(const struct sim *sim)
{
    return sim->life == SIM_RUNTIME ? &sim->kind->runtime : &sim->kind->dfu;
}

static int answer(const struct usb_setup *setup, uint8_t *data, const void *bytes, size_t length)
{
    if (length > setup->length)
        length = setup->length;
    if (length > 0)
        memcpy(data, bytes, length);
    return (int)length;
}

/* Decodes the character at `text` and returns its number of bytes.  Bytes that are not UTF-8 are
 * taken for Latin-1. */
static size_t character(const char *text, uint32_t *code)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t length = p[0] >= 0xF0 && p[0] < 0xF8 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC2 ? 2 : 1;

    *code = length == 1 ? p[0] : p[0] & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            *code = p[0];
            return 1;
        }
        *code = *code << 6 | (p[i] & 0x3F);
    }
    return length;
}

/* Converts `text` to UTF-16, little endian, as much as fits.  Returns the number of bytes. */
static size_t to_utf16(const char *text, uint8_t bytes[2 * SIM_TEXT_MAX])
{
    size_t units = 0;
    uint32_t code;

    while (*text != '\0') {
        text += character(text, &code);
        if (units + (code > 0xFFFF) >= SIM_TEXT_MAX)
            break;
        if (code > 0xFFFF) {
            uint32_t high = 0xD800 + ((code - 0x10000) >> 10 & 0x3FF);

            bytes[2 * units] = (uint8_t)high;
            bytes[2 * units++ + 1] = (uint8_t)(high >> 8);
            code = 0xDC00 + (code & 0x3FF);
        }
        bytes[2 * units] = (uint8_t)code;
        bytes[2 * units++ + 1] = (uint8_t)(code >> 8);
    }
    return 2 * units;
}

static int string(const struct sim *sim, const struct usb_setup *setup, uint8_t *data)
{
    static const uint8_t languages[] = { 4, USB_STRING_DESCRIPTOR, 0x09, 0x04 }; /* English, US */
    size_t index = setup->value & 0xFF;
    uint8_t bytes[2 + 2 * SIM_TEXT_MAX] = { 0 };
    const char *text;

    if (index == 0)
        return answer(setup, data, languages, sizeof languages);
    if (index >= SIM_STRINGS_MAX || !sim->kind->strings[index])
        return SIM_STALL;
    text = index == SIM_SERIAL_STRING ? sim->serial : sim->kind->strings[index];
    bytes[0] = (uint8_t)(2 + to_utf16(text, bytes + 2));
    bytes[1] = USB_STRING_DESCRIPTOR;
    return answer(setup, data, bytes, bytes[0]);
}

static int descriptor(const struct sim *sim, const struct usb_setup *setup, uint8_t *data)
{
    const struct sim_face *face = simstd_face(sim);

    switch (setup->value >> 8) {
    case USB_DEVICE_DESCRIPTOR:
        return answer(setup, data, face->device, SIM_DEVICE_DESCRIPTOR);
    case USB_CONFIG_DESCRIPTOR:
        return (setup->value & 0xFF) == 0 ? answer(setup, data, face->config, face->config_length)
                                          : SIM_STALL;
    case USB_STRING_DESCRIPTOR:
        return string(sim, setup, data);
    default:
        return SIM_STALL;
    }
}

/* The address pointer stays where it is: to these ROMs the address alone names a memory. */
static int set_interface(struct sim *sim, const struct usb_setup *setup)
{
    if (setup->index != 0 || setup->value >= simstd_face(sim)->alts)
        return SIM_STALL;
    sim->mem.alt = (uint8_t)setup->value;
    return 0;
}

static int set_configuration(struct sim *sim, const struct usb_setup *setup)
{
    if (setup->value > 1)
        return SIM_STALL;
    sim->configuration = (uint8_t)setup->value;
    sim->mem.alt = 0;
    return 0;
}

int simstd_request(struct sim *sim, const struct usb_setup *setup, uint8_t *data)
{
    static const uint8_t powered_by_itself[] = { 1, 0 };
    static const uint8_t nothing[] = { 0, 0 };

    switch (setup->type << 8 | setup->request) {
    case IN_DEVICE << 8 | USB_GET_STATUS:
        return answer(setup, data, powered_by_itself, 2);
    case IN_INTERFACE << 8 | USB_GET_STATUS:
    case IN_ENDPOINT << 8 | USB_GET_STATUS:
        return setup->index == 0 ? answer(setup, data, nothing, 2) : SIM_STALL;
    case IN_DEVICE << 8 | USB_GET_DESCRIPTOR:
        return descriptor(sim, setup, data);
    case IN_DEVICE << 8 | USB_GET_CONFIGURATION:
        return answer(setup, data, &sim->configuration, 1);
    case OUT_DEVICE << 8 | USB_SET_CONFIGURATION:
        return set_configuration(sim, setup);
    case IN_INTERFACE << 8 | USB_GET_INTERFACE:
        return setup->index == 0 ? answer(setup, data, &sim->mem.alt, 1) : SIM_STALL;
    case OUT_INTERFACE << 8 | USB_SET_INTERFACE:
        return set_interface(sim, setup);
    default:
        return SIM_STALL;
    }
}

/* The bare wire of a full-speed bus: USB 2.0 tables 5-2 and 5-9, 1500 bytes to the frame. */
static double wire_ms(size_t length)
{
    size_t packets = length <= 64 ? 1 : (length + 63) / 64;

    return (double)(45 + length + 13 * (packets - 1)) / 1500;
}

/* What hosts of the field measured: 5 ms for DNLOAD 2048 and GETSTATUS (fwupd #2696), 3.0 to
 * 3.7 ms for UPLOAD 2048 (fwupd #2057, CubeProgrammer), 0.3 to 0.5 ms for a small transfer. */
static double field_ms(bool in, size_t length)
{
    const double small = 0.4;
    const double large = in ? 3.4 : 4.5;

    if (length <= 64)
        return small;
    return small + (large - small) * (double)(length - 64) / (2048 - 64);
}

double simstd_wire_seconds(const struct sim *sim, size_t length)
{
    return sim->usb == SIM_USB_NONE ? 0 : wire_ms(length) / 1e3;
}

double simstd_seconds(const struct sim *sim, bool in, size_t length)
{
    switch (sim->usb) {
    case SIM_USB_REAL:
        return field_ms(in, length) / 1e3;
    case SIM_USB_IDEAL:
        return wire_ms(length) / 1e3;
    case SIM_USB_NONE:
        break;
    }
    return 0;
}
