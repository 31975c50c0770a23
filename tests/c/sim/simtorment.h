/* SPDX-License-Identifier: MIT */
/* Random setup packets: in no state does an answer exceed wLength. */
#ifndef SIMTORMENT_H
#define SIMTORMENT_H

#include "sim/simrig.h"

static uint32_t seed;

static inline uint32_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static inline void random_setup(struct usb_setup *setup)
{
    static const uint8_t types[] = { 0x21, 0x21, 0xA1, 0xA1, 0x80, 0x00, 0x81, 0x01 };
    static const uint16_t lengths[] = { 0, 1, 5, 6, 1024, 2048, 2049, 65535 };
    uint32_t choice = next_random();

    setup->type = choice & 8 ? types[choice & 7] : (uint8_t)next_random();
    setup->request = choice & 16 ? (uint8_t)(next_random() % 12) : (uint8_t)next_random();
    setup->value = choice & 32 ? (uint16_t)(next_random() % 4) : (uint16_t)next_random();
    setup->index = choice & 0x1C0 ? 0 : (uint16_t)next_random();
    setup->length = choice & 0x200 ? lengths[choice >> 10 & 7] : (uint16_t)next_random();
}

static inline void random_data(uint8_t *data, size_t length)
{
    static const uint8_t commands[] = { 0x21, 0x41, 0x92, 0x00 };

    for (size_t i = 0; i < length && i < 8; i++)
        data[i] = (uint8_t)next_random();
    if (length > 0)
        data[0] = commands[next_random() & 3];
    if (length == 5 && (next_random() & 1) != 0) {
        data[3] = 0;
        data[4] = 8;
    }
}

static inline void disturb(struct sim *sim, double now)
{
    struct sim_when when = { .request = 0,
                             .op = (enum sim_op)(next_random() % 4),
                             .address = 0x08000000 + (next_random() & 0x1FFFFF) };

    switch (next_random() % 64) {
    case 0:
        sim_unplug(sim, now);
        break;
    case 1:
    case 2:
        sim_plug(sim, now);
        break;
    case 3:
    case 4:
    case 5:
        sim_reset(sim, now);
        break;
    case 6:
    case 7:
        sim_bus_reset(sim, now);
        break;
    case 8:
        sim_add_fault(sim, (enum sim_fault)(next_random() % SIM_FAULTS), &when);
        break;
    default:
        break;
    }
}

/* Each request gets memory of exactly its size, for the address sanitizer. */
static inline void torment(const struct sim_options *options)
{
    struct sim *sim = sim_new(options);
    double now = 0;

    assert_non_null(sim);
    for (int i = 0; i < 3000; i++) {
        struct usb_setup setup;
        struct sim_answer answer;
        uint8_t *data;

        random_setup(&setup);
        data = test_malloc(setup.length + 1u);
        random_data(data, setup.length);
        answer = sim_control(sim, now, &setup, data);
        test_free(data);
        assert_in_range(answer.result + 3, 0, setup.length + 3u);
        assert_true(answer.wire >= 0 && answer.seconds >= answer.wire && answer.seconds < 40);
        now += answer.seconds;
        if ((next_random() & 15) == 0)
            now += (next_random() & 0xFFFF) / 1e4;
        disturb(sim, now);
    }
    sim_free(sim);
}

#endif
