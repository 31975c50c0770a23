/* SPDX-License-Identifier: MIT */
/* The step machine of dfu.h on a simulated board, with a clock that transfers and waits move. */
#ifndef BENCH_H
#define BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dfu/dfu.h"
#include "sim/sim_private.h"

struct bench {
    struct sim *sim;
    double now;
    struct dfu_board board;
    struct dfu_op op;
    size_t steps, transfers; /* of all operations */
    uint32_t base;           /* the main flash */
    size_t size;
    uint8_t *before; /* what was in it when the operation under way began */
};

static struct bench bench;

/* Resets what is known of the board, as when it has just been opened. */
static inline void bench_forget(void)
{
    uint8_t *buffer = bench.board.buffer;
    const struct sim_kind *kind = bench.sim->kind;
    bench.board = (struct dfu_board){
        .dfuse = !kind->plain,
        .several_alts = kind->dfu.alts > 1,
        .early_poll = strcmp(kind->name, "f407") == 0,
        .vendor_protects = true,
        .transfer_size = kind->transfer_size,
        .timeout = 5,
        .state = DFU_UNKNOWN,
        .status = DFU_UNKNOWN,
        .buffer = buffer,
    };
}

/* Opens a board whose flash is full of data. */
static inline void bench_open(const struct sim_options *options)
{
    memset(&bench, 0, sizeof bench);
    bench.sim = sim_new(options);
    assert_non_null(bench.sim);
    uint8_t *flash = sim_flash(bench.sim, 0, &bench.base, &bench.size);
    for (size_t i = 0; i < bench.size; i++)
        flash[i] = (uint8_t)(i * 5 + (i >> 10) + 3);
    bench.before = malloc(bench.size);
    bench.board.buffer = malloc(DFU_BUFFER);
    bench_forget();
}

static inline void bench_close(void)
{
    sim_free(bench.sim);
    free(bench.before);
    free(bench.board.buffer);
    bench.sim = NULL;
    bench.before = bench.board.buffer = NULL;
}

static inline uint8_t *bench_flash(void)
{
    uint32_t base;
    size_t size;
    return sim_flash(bench.sim, bench.now, &base, &size);
}

static inline int bench_result(int result)
{
    return result == SIM_STALL ? PORT_STALL : result == SIM_GONE ? PORT_GONE : result;
}

/* Carries a transfer out, as a port does.  A board that does not answer in time still finishes. */
static inline int bench_transfer(const struct dfu_act *act)
{
    struct usb_setup setup = { act->setup.type, act->setup.request, act->setup.value,
                               act->setup.index, act->setup.length };
    if (act->setup.request == DFU_REQ_CLRSTATUS) /* CLRSTATUS in any other state confuses ROMs */
        assert_true(bench.sim->state == DFU_ERROR || bench.sim->life == SIM_AWAY);
    bench.transfers++;
    struct sim_answer answer = sim_control(bench.sim, bench.now, &setup, act->data);
    if (answer.result == SIM_HANG || answer.seconds > act->seconds) {
        bench.now += act->seconds;
        return PORT_TIMEOUT;
    }
    bench.now += answer.seconds;
    return bench_result(answer.result);
}

static inline int bench_select(uint8_t alt)
{
    struct usb_setup setup = { .type = 0x01, .request = 11, .value = alt };
    int result = sim_control(bench.sim, bench.now, &setup, NULL).result;
    return result == SIM_HANG ? PORT_TIMEOUT : bench_result(result);
}

static inline struct dfu_act bench_step(const struct dfu_act *act)
{
    double began = bench.now;
    int result = 0;
    bench.steps++;
    if (act->what == DFU_CONTROL)
        result = bench_transfer(act);
    else if (act->what == DFU_SELECT)
        result = bench_select(act->alt);
    else
        bench.now += act->seconds;
    return dfu_step(&bench.op, result, bench.now - began);
}

/* Carries an operation out, and cancels it at its step `cancel` (SIZE_MAX: never). */
static inline bool bench_run_until(struct dfu_op op, size_t cancel)
{
    op.board = &bench.board;
    if (op.limit <= 0)
        op.limit = 5;
    bench.op = op;
    memcpy(bench.before, bench_flash(), bench.size);
    struct dfu_act act = dfu_start(&bench.op);
    for (size_t steps = 0; act.what != DFU_DONE && act.what != DFU_FAIL; steps++) {
        assert_true(steps < 20000);
        if (steps == cancel)
            dfu_cancel(&bench.op);
        act = bench_step(&act);
    }
    return act.what == DFU_DONE;
}

static inline bool bench_run(struct dfu_op op)
{
    return bench_run_until(op, SIZE_MAX);
}

/* ---- what came of it ---- */

static inline void same(const uint8_t *got, const uint8_t *wanted, size_t first, size_t end,
                        const char *what)
{
    if (first >= end || memcmp(got + first, wanted + first, end - first) == 0)
        return;
    for (size_t i = first; i < end; i++)
        if (got[i] != wanted[i])
            fail_msg("%s: byte %zx is %02x, not %02x", what, i, got[i], wanted[i]);
}

/* Checks a write: the claimed bytes are written, those in doubt may be, all others are unchanged.
 */
static inline void check_write(bool ok)
{
    const struct dfu_op *op = &bench.op;
    const uint8_t *flash = bench_flash();
    size_t at = op->address - bench.base, done = at + op->done;
    size_t doubt = done + (op->in_doubt ? op->block_length : 0);
    assert_true(op->done <= op->length);
    if (ok)
        assert_int_equal(op->done, op->length);
    if (op->done > 0)
        assert_memory_equal(flash + at, op->data, op->done);
    if (bench.sim->kind->plain) /* it erases whole pages by itself */
        doubt = (doubt + 1023) / 1024 * 1024;
    same(flash, bench.before, 0, at, "before the write");
    same(flash, bench.before, doubt, bench.size, "after the write");
}

static inline void check_erase(bool ok)
{
    const struct dfu_op *op = &bench.op;
    const uint8_t *flash = bench_flash();
    struct sim_sector sector;
    assert_true(simkind_sector(&bench.sim->kind->memories[0], op->address - bench.base, &sector));
    size_t end = sector.offset + sector.size;
    same(flash, bench.before, 0, sector.offset, "before the sector");
    same(flash, bench.before, end, bench.size, "after the sector");
    if (!ok && !op->in_doubt)
        same(flash, bench.before, sector.offset, end, "the sector");
    for (size_t i = sector.offset; ok && i < end; i++)
        assert_int_equal(flash[i], 0xFF);
}

static inline void check_read(bool ok)
{
    const struct dfu_op *op = &bench.op;
    const uint8_t *flash = bench_flash();
    assert_true(op->done <= op->length);
    assert_true(!op->upload_ended || bench.sim->kind->plain); /* a short block ends its memory */
    if (ok && !op->upload_ended)
        assert_int_equal(op->done, op->length);
    if (op->done > 0)
        assert_memory_equal(op->out, flash + (op->address - bench.base), op->done);
    same(flash, bench.before, 0, bench.size, "a read");
}

/* Checks the claims of the operation, after the board has finished its work. */
static inline void check_claims(bool ok)
{
    bench.now += 100;
    switch (bench.op.kind) {
    case DFU_WRITE:
        check_write(ok);
        break;
    case DFU_ERASE:
        check_erase(ok);
        break;
    case DFU_READ:
        check_read(ok);
        break;
    default:
        if (ok && bench.op.kind == DFU_LEAVE && !bench.op.assumed)
            assert_int_not_equal(sim_life(bench.sim, bench.now), SIM_DFU);
        same(bench_flash(), bench.before, 0, bench.size, "neither write nor erase");
        break;
    }
}

#endif
