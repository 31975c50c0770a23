/* SPDX-License-Identifier: MIT */
/* The step machine on simulated boards: every state they start in, every fault at every request,
 * cancelling at every step; how long it takes; and random answers. */
#include "dfu/bench.h"

static uint8_t image[4096];
static uint8_t out[4096];

static void fill_image(void)
{
    for (size_t i = 0; i < sizeof image; i++)
        image[i] = (uint8_t)(i * 11 + (i >> 8) + 1);
}

/* ---- a short session: erase, write, read back ---- */

enum { SESSION_MAX = 4 };

/* The operations of a session on the board at hand, from its second sector on: two blocks, the
 * second one short.  How many there are. */
static size_t plan_session(struct dfu_op *ops)
{
    const struct sim_kind *kind = bench.sim->kind;
    uint32_t sector = kind->memories[0].runs[0].size;
    uint32_t address = bench.base + (kind->plain ? 0 : sector);
    size_t length = kind->transfer_size + 100u, n = 0;
    struct dfu_op read = { .kind = DFU_READ, .address = address, .length = length, .out = out };
    struct dfu_op write = {
        .kind = DFU_WRITE, .address = address, .length = length, .data = image
    };
    if (kind->plain) { /* after the write it is gone */
        ops[n++] = read;
        ops[n++] = write;
        return n;
    }
    for (uint32_t at = 0; at < length; at += sector)
        ops[n++] = (struct dfu_op){ .kind = DFU_ERASE, .address = address + at };
    ops[n++] = write;
    ops[n++] = read;
    return n;
}

/* Runs a session to its end or its first failure.  check: after each operation, waits and checks
 * its claims. */
static bool run_session(bool check)
{
    struct dfu_op ops[SESSION_MAX];
    size_t n = plan_session(ops);
    for (size_t i = 0; i < n; i++) {
        memset(out, 0, sizeof out);
        bool ok = bench_run(ops[i]);
        if (check)
            check_claims(ok);
        if (!ok)
            return false;
    }
    return true;
}

static struct sim_options options_of(const char *kind, int state)
{
    return (struct sim_options){
        .kind = kind, .usb = SIM_USB_REAL, .times = SIM_TIMES_TYP, .state = state
    };
}

static void open_kind(const char *kind, int state)
{
    struct sim_options options = options_of(kind, state);
    bench_open(&options);
}

/* Whether an undisturbed session works from that state. */
static int good_state(const char *kind)
{
    return strcmp(kind, "dfu11") == 0 ? DFU_IDLE : -1;
}

static void test_undisturbed(void **state)
{
    (void)state;
    for (size_t i = 0; sim_kind_name(i); i++) {
        open_kind(sim_kind_name(i), good_state(sim_kind_name(i)));
        assert_true(run_session(true));
        assert_int_equal(bench.board.retries, 0);
        bench_close();
    }
}

/* ---- start states ---- */

/* How a session fails from a state without a way out; DFU_NO_FAILURE for all other states. */
static enum dfu_failure failure_from(int state)
{
    switch (state) {
    case DFU_APP_IDLE:
    case DFU_APP_DETACH:
        return DFU_FAIL_RUNTIME;
    case DFU_DNBUSY: /* for ever */
    case DFU_MANIFEST:
        return DFU_FAIL_TIMEOUT;
    case DFU_MANIFEST_WAIT_RESET:
        return DFU_FAIL_RESET;
    default:
        return DFU_NO_FAILURE;
    }
}

static void check_start_state(const char *kind, int state)
{
    open_kind(kind, state);
    bool ok = bench_run((struct dfu_op){ .kind = DFU_TO_IDLE, .any_alt = true });
    check_claims(ok); /* the stored command is not executed */
    assert_int_equal(ok, failure_from(state) == DFU_NO_FAILURE);
    assert_int_equal(bench.op.failure, failure_from(state));
    if (ok)
        assert_int_equal(bench.sim->state, DFU_IDLE);
    bench_close();

    open_kind(kind, state);
    assert_int_equal(run_session(true), failure_from(state) == DFU_NO_FAILURE);
    bench_close();
}

static void test_every_start_state(void **state)
{
    (void)state;
    for (size_t i = 0; sim_kind_name(i); i++)
        for (int from = 0; from <= DFU_ERROR; from++)
            check_start_state(sim_kind_name(i), from);
}

/* Without times for USB and flash nothing loops for ever. */
static void test_no_time_at_all(void **state)
{
    (void)state;
    for (size_t i = 0; sim_kind_name(i); i++) {
        for (int from = DFU_IDLE; from <= DFU_ERROR; from++) {
            struct sim_options options = options_of(sim_kind_name(i), from);
            options.usb = SIM_USB_NONE;
            options.times = SIM_TIMES_ZERO;
            bench_open(&options);
            assert_int_equal(run_session(true), failure_from(from) == DFU_NO_FAILURE);
            bench_close();
        }
    }
}

/* ---- one fault at each request ---- */

/* The number of class requests of an undisturbed session. */
static uint64_t requests_of(const char *kind)
{
    open_kind(kind, good_state(kind));
    assert_true(run_session(false));
    uint64_t n = sim_requests(bench.sim);
    bench_close();
    return n;
}

static void open_with_fault(const char *kind, enum sim_fault fault, uint64_t request)
{
    struct sim_when when = { .request = request };
    open_kind(kind, good_state(kind));
    assert_true(sim_add_fault(bench.sim, fault, &when));
}

/* Brings a board that was unplugged, hangs or waits for a reset back, in DFU mode. */
static void revive(void)
{
    sim_plug(bench.sim, bench.now);
    if (bench.sim->hung || sim_life(bench.sim, bench.now) == SIM_RUNNING)
        sim_reset(bench.sim, bench.now);
    if (bench.op.wants_reset)
        sim_bus_reset(bench.sim, bench.now);
    bench.now += 1;
    if (sim_life(bench.sim, bench.now) == SIM_RUNTIME) {
        assert_true(
            bench_run((struct dfu_op){ .kind = DFU_DETACH, .any_alt = true, .block = 999 }));
        bench.now += 1;
    }
    assert_int_equal(sim_life(bench.sim, bench.now), SIM_DFU);
    bench_forget();
}

static void check_fault(const char *kind, enum sim_fault fault, uint64_t request)
{
    open_with_fault(kind, fault, request); /* its claims are true */
    bool ok = run_session(fault != SIM_FAULT_CORRUPT);
    bench_close();

    open_with_fault(kind, fault, request); /* and the board stays flashable, at once */
    assert_int_equal(run_session(false), ok);
    if (bench.op.gone || bench.sim->hung)
        revive();
    if (!run_session(false))
        fail_msg("%s, fault %d at %u: no second session (%d, state %u)", kind, (int)fault,
                 (unsigned)request, (int)bench.op.failure, bench.op.state);
    assert_memory_equal(bench_flash() + (bench.op.address - bench.base), image, bench.op.length);
    bench_close();
}

static void test_every_fault(void **state)
{
    (void)state;
    for (size_t i = 0; sim_kind_name(i); i++) {
        uint64_t n = requests_of(sim_kind_name(i));
        assert_true(n >= 10 && n < 60);
        for (enum sim_fault fault = 0; fault < SIM_FAULTS; fault++)
            for (uint64_t request = 1; request <= n; request++)
                check_fault(sim_kind_name(i), fault, request);
    }
}

/* A STALL of any request costs one operation of a session at most. */
static void test_leave_with_every_fault(void **state)
{
    const struct dfu_op leave = {
        .kind = DFU_LEAVE, .any_alt = true, .has_address = true, .address = 0x08000000
    };
    (void)state;
    for (size_t i = 0; i < 3; i++) { /* all but plain DFU */
        for (enum sim_fault fault = 0; fault < SIM_FAULTS; fault++) {
            for (uint64_t request = 1; request <= 10; request++) {
                open_with_fault(sim_kind_name(i), fault, request);
                bool ok = bench_run(leave);
                check_claims(ok);
                if (ok && fault != SIM_FAULT_HANG) /* a lost answer does not count as success */
                    assert_int_not_equal(sim_life(bench.sim, bench.now), SIM_DFU);
                bench_close();
            }
        }
    }
}

/* ---- giving up at each step ---- */

static bool cancel_in_session(size_t at, bool check)
{
    struct dfu_op ops[SESSION_MAX];
    size_t n = plan_session(ops);
    for (size_t i = 0; i < n; i++) {
        size_t before = bench.steps;
        bool ok = bench_run_until(ops[i], at);
        if (check)
            check_claims(ok);
        if (!ok) {
            assert_int_equal(bench.op.failure, DFU_FAIL_CANCELLED);
            return false;
        }
        at -= bench.steps - before;
    }
    return true;
}

static void check_cancel(const char *kind, size_t at)
{
    open_kind(kind, good_state(kind));
    cancel_in_session(at, true);
    bench_close();

    open_kind(kind, good_state(kind));
    cancel_in_session(at, false);
    if (bench.op.gone)
        revive();
    bool busy = bench.sim->kind->plain && bench.sim->state >= DFU_MANIFEST_SYNC &&
                bench.sim->state <= DFU_MANIFEST_WAIT_RESET;
    assert_true(bench_run((struct dfu_op){ .kind = DFU_TO_IDLE, .any_alt = true }) || busy);
    bench_close();
}

static void test_cancel_at_every_step(void **state)
{
    (void)state;
    for (size_t i = 0; sim_kind_name(i); i++) {
        open_kind(sim_kind_name(i), good_state(sim_kind_name(i)));
        assert_true(run_session(false));
        size_t steps = bench.steps;
        bench_close();
        for (size_t at = 0; at < steps; at++)
            check_cancel(sim_kind_name(i), at);
    }
}

/* ---- how long it takes ---- */

static void test_one_megabyte(void **state)
{
    static const uint32_t sectors[] = { 0x00000, 0x04000, 0x08000, 0x0C000, 0x10000, 0x20000,
                                        0x40000, 0x60000, 0x80000, 0xA0000, 0xC0000, 0xE0000 };
    uint8_t *data = malloc(1 << 20);
    (void)state;
    memset(data, 0x5A, 1 << 20);
    open_kind("f407", -1);
    for (size_t i = 0; i < sizeof sectors / sizeof *sectors; i++)
        assert_true(
            bench_run((struct dfu_op){ .kind = DFU_ERASE, .address = bench.base + sectors[i] }));
    assert_true(bench_run((struct dfu_op){
        .kind = DFU_WRITE, .address = bench.base, .data = data, .length = 1 << 20 }));
    assert_memory_equal(bench_flash(), data, 1 << 20);
    /* 33.6 s of it is the flash */
    if (bench.now > 37.0 || bench.now < 33.6)
        fail_msg("it takes %.3f s", bench.now);
    assert_int_equal(bench.transfers, 4 + 12 * 3 + 3 + 512 * 3);
    bench_close();
    free(data);
}

/* The slowest flash of a data sheet is within all timeouts. */
static void test_slow_flash(void **state)
{
    (void)state;
    struct sim_options options = options_of("f407", -1);
    options.times = SIM_TIMES_MAX;
    bench_open(&options);
    assert_true(run_session(true));
    struct dfu_op erase = { .kind = DFU_MASS_ERASE, .limit = 45 };
    double before = bench.now;
    assert_true(bench_run(erase));
    assert_true(bench.now - before > 32 && bench.now - before < 32.1);
    for (size_t i = 0; i < bench.size; i++)
        assert_int_equal(bench_flash()[i], 0xFF);
    bench_close();
}

static void test_commands_and_protection(void **state)
{
    static const uint8_t commands[] = { 0x00, 0x21, 0x41, 0x92 };
    (void)state;
    open_kind("f407", -1);
    struct dfu_op ask = { .kind = DFU_COMMANDS, .any_alt = true, .length = 64, .out = out };
    assert_true(bench_run(ask));
    assert_int_equal(bench.op.done, 4);
    assert_memory_equal(out, commands, 4);
    bench_close();

    struct sim_options options = options_of("f407", -1);
    options.rdp = 1;
    bench_open(&options);
    assert_false(run_session(true));
    assert_int_equal(bench.op.status, DFU_ERR_VENDOR);
    assert_false(bench.op.in_doubt);
    struct dfu_op unprotect = { .kind = DFU_READ_UNPROTECT, .any_alt = true, .limit = 45 };
    assert_true(bench_run(unprotect));
    assert_true(bench.op.gone);
    bench.now += 40;
    bench_forget();
    assert_true(run_session(true));
    bench_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_undisturbed),
        cmocka_unit_test(test_every_start_state),
        cmocka_unit_test(test_no_time_at_all),
        cmocka_unit_test(test_every_fault),
        cmocka_unit_test(test_leave_with_every_fault),
        cmocka_unit_test(test_cancel_at_every_step),
        cmocka_unit_test(test_one_megabyte),
        cmocka_unit_test(test_slow_flash),
        cmocka_unit_test(test_commands_and_protection),
    };

    fill_image();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
