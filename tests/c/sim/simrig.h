/* SPDX-License-Identifier: MIT */
/* A simulated board on the bench: each request is sent at the end of the one before. */
#ifndef SIMRIG_H
#define SIMRIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sim/sim.h"

struct rig {
    struct sim *sim;
    double now;
    struct sim_answer last;
    unsigned poll; /* of the last GETSTATUS, milliseconds */
    uint8_t status;
    uint8_t state;
    uint8_t data[65536];
};

static struct rig rig;

static inline void rig_open_with(struct sim_options options)
{
    memset(&rig, 0, sizeof rig);
    rig.sim = sim_new(&options);
    assert_non_null(rig.sim);
}

static inline void rig_open(const char *kind)
{
    rig_open_with((struct sim_options){ .kind = kind, .state = -1 });
}

static inline int rig_close(void **state)
{
    (void)state;
    sim_free(rig.sim);
    rig.sim = NULL;
    return 0;
}

static inline int rig_control(unsigned type, unsigned request, unsigned value, unsigned index,
                              size_t length)
{
    struct usb_setup setup = {
        .type = (uint8_t)type,
        .request = (uint8_t)request,
        .value = (uint16_t)value,
        .index = (uint16_t)index,
        .length = (uint16_t)length,
    };

    rig.last = sim_control(rig.sim, rig.now, &setup, rig.data);
    rig.now += rig.last.seconds;
    return rig.last.result;
}

static inline int rig_dnload(unsigned block, const void *data, size_t length)
{
    if (length > 0)
        memmove(rig.data, data, length);
    return rig_control(0x21, 1, block, 0, length);
}

static inline int rig_upload(unsigned block, size_t length)
{
    return rig_control(0xA1, 2, block, 0, length);
}

/* bState, or the sim_result. */
static inline int rig_status(void)
{
    int result = rig_control(0xA1, 3, 0, 0, 6);

    if (result != 6)
        return result;
    rig.status = rig.data[0];
    rig.poll = rig.data[1] | (unsigned)rig.data[2] << 8 | (unsigned)rig.data[3] << 16;
    rig.state = rig.data[4];
    return rig.state;
}

static inline int rig_clear(void)
{
    return rig_control(0x21, 4, 0, 0, 0);
}

static inline int rig_state(void)
{
    int result = rig_control(0xA1, 5, 0, 0, 1);

    return result == 1 ? rig.data[0] : result;
}

static inline int rig_abort(void)
{
    return rig_control(0x21, 6, 0, 0, 0);
}

static inline int rig_command(unsigned command, uint32_t address)
{
    uint8_t bytes[5] = { (uint8_t)command, (uint8_t)address, (uint8_t)(address >> 8),
                         (uint8_t)(address >> 16), (uint8_t)(address >> 24) };

    return rig_dnload(0, bytes, sizeof bytes);
}

/* Executes a stored command to its end, without waiting; returns bState. */
static inline int rig_execute(void)
{
    assert_int_equal(rig_status(), DFU_DNBUSY);
    return rig_status();
}

static inline void rig_set_address(uint32_t address)
{
    assert_int_equal(rig_command(0x21, address), 5);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
}

static inline void rig_write(uint32_t address, const void *data, size_t length)
{
    rig_set_address(address);
    assert_int_equal(rig_dnload(2, data, length), length);
    assert_int_equal(rig_execute(), DFU_DNLOAD_IDLE);
}

static inline void rig_ready(void)
{
    if (rig_state() == DFU_ERROR)
        assert_int_equal(rig_clear(), 0);
    else
        assert_int_equal(rig_abort(), 0);
    assert_int_equal(rig_state(), DFU_IDLE);
}

/* Checks that a command ends in dfuERROR with this status. */
static inline void rig_refused(unsigned command, uint32_t address, int status)
{
    rig_command(command, address);
    assert_int_equal(rig_execute(), DFU_ERROR);
    assert_int_equal(rig.status, status);
    rig_ready();
}

/* Opens a board of this kind, in dfuIDLE. */
static inline void rig_open_ready(const char *kind)
{
    rig_open(kind);
    rig_ready();
}

static inline void rig_poke(uint32_t address, const void *data, size_t length)
{
    assert_true(sim_poke(rig.sim, rig.now, address, data, length));
}

static inline void rig_fill(uint32_t address, uint8_t byte, size_t length)
{
    memset(rig.data, byte, length);
    rig_poke(address, rig.data, length);
}

static inline uint8_t rig_byte(uint32_t address)
{
    uint8_t byte = 0;

    assert_true(sim_peek(rig.sim, rig.now, address, &byte, 1));
    return byte;
}

/* The number of bytes from `address` on that are `byte`. */
static inline size_t rig_run(uint32_t address, uint8_t byte, size_t length)
{
    size_t i = 0;

    assert_true(sim_peek(rig.sim, rig.now, address, rig.data, length));
    while (i < length && rig.data[i] == byte)
        i++;
    return i;
}

static inline enum sim_life rig_life(void)
{
    return sim_life(rig.sim, rig.now);
}

static inline void rig_near(double value, double wanted, double relative)
{
    double error = value > wanted ? value - wanted : wanted - value;

    if (error > wanted * relative)
        fail_msg("%.6f is not within %g %% of %.6f", value, 100 * relative, wanted);
}

#define RIG_TEST(f) cmocka_unit_test_teardown(f, rig_close)

#endif
