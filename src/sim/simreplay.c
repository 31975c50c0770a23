/* SPDX-License-Identifier: MIT */
#include "sim/simreplay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct simreplay {
    bool strict;
    bool in_step; /* the host's last request that changed something was recorded */
    unsigned device;
    size_t cursor;  /* the next transfer of the device */
    double host_at; /* end of the host's last request that was matched, ... */
    double own_at;  /* ... and of that transfer in the capture */
    char difference[SIM_DIFFERENCE_MAX];
    uint8_t *bytes; /* of all transfers */
    size_t count;
    struct sim_recorded transfers[];
};

struct simreplay *simreplay_new(const struct sim_recorded *transfers, size_t count, bool strict)
{
    struct simreplay *replay;
    size_t total = 0;

    if (count == 0 || count > SIM_REPLAY_MOST)
        return NULL;
    for (size_t i = 0; i < count; i++)
        total += transfers[i].length;
    replay = calloc(1, sizeof *replay + count * sizeof transfers[0]);
    if (!replay)
        return NULL;
    replay->bytes = malloc(total + 1);
    if (!replay->bytes) {
        free(replay);
        return NULL;
    }
    replay->strict = strict;
    replay->in_step = true;
    replay->count = count;
    total = 0;
    for (size_t i = 0; i < count; i++) {
        replay->transfers[i] = transfers[i];
        replay->transfers[i].data = replay->bytes + total;
        if (transfers[i].length > 0)
            memcpy(replay->bytes + total, transfers[i].data, transfers[i].length);
        total += transfers[i].length;
    }
    return replay;
}

void simreplay_free(struct simreplay *replay)
{
    if (replay) {
        free(replay->bytes);
        free(replay);
    }
}

void simreplay_next_device(struct simreplay *replay)
{
    unsigned next = replay->device + 1;

    for (size_t i = 0; i < replay->count; i++) {
        if (replay->transfers[i].device == next) {
            replay->device = next;
            replay->cursor = i;
            return;
        }
    }
    replay->cursor = replay->count; /* nothing is known of this device */
}

const char *simreplay_difference(const struct simreplay *replay)
{
    return replay->difference;
}

static bool is_class(const struct usb_setup *setup)
{
    return (setup->type & USB_TYPE_MASK) == USB_TYPE_CLASS;
}

static bool asks_only(const struct usb_setup *setup)
{
    return setup->type == DFU_IN &&
           (setup->request == DFU_REQ_GETSTATUS || setup->request == DFU_REQ_GETSTATE);
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* Whether the host sends what was recorded.  A capture that was made with --pcap-blank has zeros in
 * place of firmware. */
static bool sends_the_same(const struct sim_recorded *own, const struct usb_setup *setup,
                           const uint8_t *data)
{
    bool blank = setup->value != 0 && is_zero(own->data, own->length);

    return own->setup.type == setup->type && own->setup.request == setup->request &&
           own->setup.value == setup->value && own->setup.length == setup->length &&
           ((setup->type & USB_IN) != 0 || own->length != setup->length || blank ||
            memcmp(own->data, data, setup->length) == 0);
}

/* The next class request of the device from the cursor on that changes something; NULL: none. */
static const struct sim_recorded *next_deed(const struct simreplay *replay)
{
    for (size_t i = replay->cursor; i < replay->count; i++) {
        const struct sim_recorded *own = &replay->transfers[i];

        if (own->device == replay->device && is_class(&own->setup) && !asks_only(&own->setup))
            return own;
    }
    return NULL;
}

/* A recorded request like that of the host: the next deed; or, for a DNLOAD and a tolerant replay,
 * any one from the cursor on and then from the start: another tool may erase everything first. */
static const struct sim_recorded *find_deed(const struct simreplay *replay,
                                            const struct usb_setup *setup, const uint8_t *data)
{
    const struct sim_recorded *own = next_deed(replay);

    bool downloads = setup->type == DFU_OUT && setup->request == DFU_REQ_DNLOAD;

    if (!own || replay->strict || !downloads || sends_the_same(own, setup, data))
        return own;
    for (size_t n = 0; n < replay->count; n++) {
        own = &replay->transfers[(replay->cursor + n) % replay->count];
        if (own->device == replay->device && sends_the_same(own, setup, data))
            return own;
    }
    return NULL;
}

/* The next class request of the device, whatever it is. */
static const struct sim_recorded *next_request(const struct simreplay *replay)
{
    for (size_t i = replay->cursor; i < replay->count; i++) {
        const struct sim_recorded *own = &replay->transfers[i];

        if (own->device == replay->device && is_class(&own->setup))
            return own;
    }
    return NULL;
}

static void describe(char *text, size_t size, const struct usb_setup *setup, const uint8_t *data)
{
    static const char *const names[] = { "DETACH",    "DNLOAD",   "UPLOAD", "GETSTATUS",
                                         "CLRSTATUS", "GETSTATE", "ABORT" };
    int n;

    if (setup->request < sizeof names / sizeof names[0])
        n = snprintf(text, size, "%s", names[setup->request]);
    else
        n = snprintf(text, size, "request %02X", setup->request);
    n += snprintf(text + n, size - (size_t)n, ", value %u, %u bytes", setup->value, setup->length);
    for (size_t i = 0; i < 8 && i < setup->length && data && (setup->type & USB_IN) == 0; i++)
        n += snprintf(text + n, size - (size_t)n, " %02x", data[i]);
}

static void note_difference(struct simreplay *replay, const struct sim_recorded *own,
                            const struct usb_setup *setup, const uint8_t *data)
{
    char recorded[96] = "nothing more", sent[96];

    if (own)
        describe(recorded, sizeof recorded, &own->setup, own->data);
    describe(sent, sizeof sent, setup, data);
    if (replay->difference[0] == '\0')
        snprintf(replay->difference, sizeof replay->difference, "recorded: %s; sent: %s", recorded,
                 sent);
}

/* Whether --pcap-blank has left out what was read: it is what the simulated board has. */
static bool is_left_out(const struct sim_recorded *own)
{
    return own->setup.request == DFU_REQ_UPLOAD && own->setup.value != 0 &&
           is_zero(own->data, own->length);
}

static void use(struct simreplay *replay, const struct sim_recorded *own, double now, uint8_t *data,
                const struct usb_setup *setup, struct sim_answer *answer)
{
    if (!is_left_out(own) || own->result < 0)
        answer->result = own->result < 0 ? SIM_STALL : own->result;
    answer->seconds = own->seconds;
    if ((setup->type & USB_IN) != 0 && own->result > 0 && !is_left_out(own)) {
        size_t length = own->length < setup->length ? own->length : setup->length;

        memcpy(data, own->data, length);
        answer->result = (int)length;
    }
    replay->cursor = (size_t)(own - replay->transfers) + 1;
    replay->host_at = now + answer->seconds;
    replay->own_at = own->at + own->seconds;
}

enum { STATUS_LENGTH = 6, STATUS_STATE = 4 };

/* The recorded board was done when it was asked after some time.  A host that asks sooner gets the
 * simulated answer, unless that is the same one. */
static void answer_status(struct simreplay *replay, double now, const struct usb_setup *setup,
                          uint8_t *data, struct sim_answer *answer, uint8_t *state, uint8_t *status)
{
    const struct sim_recorded *own = next_request(replay);
    bool has_state = own && own->length == STATUS_LENGTH;
    bool sooner;

    if (!replay->in_step || !own || own->setup.request != setup->request ||
        !asks_only(&own->setup) || own->result < 0)
        return;
    sooner = now - replay->host_at < own->at - replay->own_at - 1e-4;
    if (sooner && answer->result > 0 && has_state && data[STATUS_STATE] == DFU_DNBUSY &&
        own->data[STATUS_STATE] != DFU_DNBUSY)
        return;
    use(replay, own, now, data, setup, answer);
    if (has_state && own->data[STATUS_STATE] != DFU_DNBUSY &&
        own->data[STATUS_STATE] != DFU_MANIFEST) {
        *status = own->data[0];
        *state = own->data[STATUS_STATE];
    }
}

/* Descriptors are answered by their kind and index, whatever the order. */
static void answer_descriptor(const struct simreplay *replay, const struct usb_setup *setup,
                              uint8_t *data, struct sim_answer *answer)
{
    const struct sim_recorded *best = NULL;

    for (size_t i = 0; i < replay->count; i++) {
        const struct sim_recorded *own = &replay->transfers[i];

        if (own->device == replay->device && own->setup.type == setup->type &&
            own->setup.request == setup->request && own->setup.value == setup->value &&
            own->result > 0 && (!best || own->length > best->length))
            best = own;
    }
    if (best) {
        size_t length = best->length < setup->length ? best->length : setup->length;

        memcpy(data, best->data, length);
        answer->result = (int)length;
        answer->seconds = best->seconds;
    }
}

bool simreplay_answer(struct simreplay *replay, double now, const struct usb_setup *setup,
                      uint8_t *data, struct sim_answer *answer, uint8_t *state, uint8_t *status)
{
    const struct sim_recorded *own;

    if (answer->result == SIM_GONE)
        return true;
    if (setup->type == (USB_IN | 0) && setup->request == USB_GET_DESCRIPTOR) {
        answer_descriptor(replay, setup, data, answer);
        return true;
    }
    if (!is_class(setup))
        return true;
    if (asks_only(setup)) {
        answer_status(replay, now, setup, data, answer, state, status);
        return true;
    }
    own = find_deed(replay, setup, data);
    replay->in_step = own && sends_the_same(own, setup, data);
    if (replay->in_step) {
        use(replay, own, now, data, setup, answer);
        return true;
    }
    note_difference(replay, next_deed(replay), setup, data);
    return !replay->strict;
}
