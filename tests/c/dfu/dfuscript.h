/* SPDX-License-Identifier: MIT */
/* The step machine of dfu.h against a script: its actions, line by line, and their outcomes.
 *
 * A line is a request as describe() writes it, then "->" and the answer:
 *
 *     "getstate -> dfuIDLE"              a state by its name, "#200" by its number
 *     "getstatus -> dfuDNBUSY 104"       bwPollTimeout in milliseconds
 *     "getstatus -> dfuERROR errTARGET"
 *     "set 08000000"                     no answer: all bytes were moved, the wait is over
 *     "dnload 2 2048 -> stall"           or gone, timeout, io, cancelled
 *     "upload 2 2048 -> short 17"        so many bytes
 *     "getstatus -> dfuDNBUSY 104 +1.5"  it took so many seconds
 *
 * Requests of DfuSe in block 0 are called set, erase, mass-erase and unprotect.  "done" and
 * "fail NAME" end a script.
 */
#ifndef DFUSCRIPT_H
#define DFUSCRIPT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dfu/dfu.h"

#define FLASH     0x08000000u
#define SIZE_MOST 0x20000u /* most bytes that one operation of a script moves */

struct script {
    struct dfu_board board;
    struct dfu_op op;
    struct dfu_act act;
    int told;             /* the state that the board last showed, -1: none */
    bool stored;          /* the machine has sent a command that GETSTATUS will execute */
    uint8_t *sent;        /* the bytes of all blocks of the operation under way */
    size_t sent_length;   /* so many bytes */
    size_t uploaded;      /* bytes that the board gave */
    uint8_t *image, *out; /* the bytes to write, or to give; the bytes that were read */
};

static struct script script;

static inline int script_open(void **state)
{
    (void)state;
    memset(&script, 0, sizeof script);
    script.board = (struct dfu_board){ .dfuse = true,
                                       .several_alts = true,
                                       .transfer_size = 2048,
                                       .timeout = 5,
                                       .state = DFU_IDLE,
                                       .status = DFU_UNKNOWN,
                                       .buffer = malloc(DFU_BUFFER) };
    script.told = -1;
    script.sent = malloc(SIZE_MOST);
    script.image = malloc(SIZE_MOST);
    script.out = malloc(SIZE_MOST);
    for (size_t i = 0; i < SIZE_MOST; i++)
        script.image[i] = (uint8_t)(i * 7 + (i >> 8) * 3 + 1);
    return 0;
}

static inline int script_close(void **state)
{
    (void)state;
    free(script.board.buffer);
    free(script.sent);
    free(script.image);
    free(script.out);
    return 0;
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, script_open, script_close)

/* ---- what it asks for ---- */

static inline const char *failure_text(enum dfu_failure failure)
{
    static const char *const names[] = {
        "none",  "status", "state",   "stall", "gone",      "timeout",
        "short", "io",     "runtime", "reset", "cancelled",
    };
    return names[failure];
}

/* Describes a DfuSe command in block 0.  False: it is no command. */
static inline bool describe_command(char *text, size_t size, const struct dfu_act *act)
{
    const uint8_t *b = act->data;
    uint16_t length = act->setup.length;
    if (!script.board.dfuse || act->setup.value != 0 || length == 0)
        return false;
    if (length == 5 && (b[0] == 0x21 || b[0] == 0x41))
        snprintf(text, size, "%s %02x%02x%02x%02x", b[0] == 0x21 ? "set" : "erase", b[4], b[3],
                 b[2], b[1]);
    else if (length == 1 && b[0] == 0x41)
        snprintf(text, size, "mass-erase");
    else if (length == 1 && b[0] == 0x92)
        snprintf(text, size, "unprotect");
    else
        return false;
    return true;
}

static inline void describe_request(char *text, size_t size, const struct dfu_act *act)
{
    const struct usb_setup *setup = &act->setup;
    switch (setup->type << 8 | setup->request) {
    case 0x2100:
        snprintf(text, size, "detach %u", setup->value);
        break;
    case 0x2101:
        if (!describe_command(text, size, act))
            snprintf(text, size, "dnload %u %u", setup->value, setup->length);
        break;
    case 0xA102:
        snprintf(text, size, "upload %u %u", setup->value, setup->length);
        break;
    case 0xA103:
        snprintf(text, size, "getstatus%s", setup->length == 6 ? "" : " of a wrong length");
        break;
    case 0x2104:
        snprintf(text, size, "clrstatus");
        break;
    case 0xA105:
        snprintf(text, size, "getstate%s", setup->length == 1 ? "" : " of a wrong length");
        break;
    case 0x2106:
        snprintf(text, size, "abort");
        break;
    default:
        snprintf(text, size, "request %02x %02x", setup->type, setup->request);
    }
}

static inline void describe(char *text, size_t size, const struct dfu_act *act)
{
    switch (act->what) {
    case DFU_CONTROL:
        describe_request(text, size, act);
        break;
    case DFU_SELECT:
        snprintf(text, size, "select %u", act->alt);
        break;
    case DFU_WAIT:
        snprintf(text, size, "wait %g", round(act->seconds * 1e6) / 1e3);
        break;
    case DFU_DONE:
        snprintf(text, size, "done");
        break;
    case DFU_FAIL:
        snprintf(text, size, "fail %s", failure_text(script.op.failure));
        break;
    }
}

/* Checks what must hold for every action. */
static inline void check_act(void)
{
    const struct dfu_act *act = &script.act;
    bool forward = script.op.kind == DFU_GET_STATUS;
    if (act->what == DFU_FAIL)
        assert_int_not_equal(script.op.failure, DFU_NO_FAILURE);
    if (act->what == DFU_WAIT)
        assert_true(act->seconds >= 0 && act->seconds <= 1e6);
    if (act->what != DFU_CONTROL)
        return;
    assert_ptr_equal(act->data, script.board.buffer);
    assert_true(act->seconds > 0);
    assert_int_equal(act->setup.index, script.board.interface);
    if (act->setup.request == DFU_REQ_CLRSTATUS) /* CLRSTATUS in any other state confuses ROMs */
        assert_true(script.told == DFU_ERROR || script.told < 0 || script.told >= DFU_STATES);
    if (act->setup.request == 3 && !script.stored && !forward && !script.op.abort_refused)
        assert_int_not_equal(script.told,
                             DFU_DNLOAD_SYNC); /* GETSTATUS would execute a stored block */
}

/* ---- what it is told ---- */

static inline int number_of(const char *word, const char *(*name)(unsigned))
{
    if (word[0] == '#')
        return atoi(word + 1);
    for (unsigned i = 0; i < 16; i++)
        if (strcmp(name(i), word) == 0)
            return (int)i;
    return -1;
}

static inline bool port_answer(const char *word, int *result)
{
    static const struct {
        const char *word;
        int result;
    } answers[] = {
        { "stall", PORT_STALL }, { "gone", PORT_GONE },           { "timeout", PORT_TIMEOUT },
        { "io", PORT_IO },       { "cancelled", PORT_CANCELLED },
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        if (strcmp(answers[i].word, word) == 0) {
            *result = answers[i].result;
            return true;
        }
    }
    return false;
}

/* Parses an answer: the result, the seconds, and a status' bytes, which go into the buffer. */
static inline int read_answer(const char *answer, double *elapsed)
{
    char words[100], *rest = words;
    uint8_t status[6] = { 0 };
    int result = script.act.what == DFU_CONTROL ? script.act.setup.length : 0;
    snprintf(words, sizeof words, "%s", answer);
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        int state = number_of(word, dfu_state_name), why = number_of(word, dfu_status_name);
        if (strcmp(word, "short") == 0) {
            result = atoi(strtok_r(rest, " ", &rest));
        } else if (word[0] == '+') {
            *elapsed = atof(word + 1);
        } else if (word[0] >= '0' && word[0] <= '9') {
            unsigned poll = (unsigned)atoi(word);
            status[1] = (uint8_t)poll;
            status[2] = (uint8_t)(poll >> 8);
            status[3] = (uint8_t)(poll >> 16);
        } else if (why >= 0 && word[0] != '#') {
            status[0] = (uint8_t)why;
        } else if (state >= 0) {
            status[4] = (uint8_t)state;
            script.told = state;
        } else if (!port_answer(word, &result)) {
            fail_msg("what is \"%s\"?", word);
        }
    }
    if (script.act.what == DFU_CONTROL && script.act.setup.request == 3)
        memcpy(script.board.buffer, status, result > 0 ? (size_t)result : 0);
    if (script.act.what == DFU_CONTROL && script.act.setup.request == 5 && result > 0)
        script.board.buffer[0] = status[4];
    return result;
}

/* Moves the data of a successful transfer. */
static inline void carry_out(int result)
{
    const struct dfu_act *act = &script.act;
    char text[60];
    if (act->what != DFU_CONTROL || result < 0)
        return;
    describe_request(text, sizeof text, act);
    if (act->setup.request == DFU_REQ_DNLOAD) {
        script.stored = true;
        script.told = -1;
    } else if (act->setup.request == 6) {
        script.stored = false;
        script.told = DFU_IDLE;
    }
    if (strncmp(text, "dnload", 6) == 0) {
        memcpy(script.sent + script.sent_length, act->data, (size_t)result);
        script.sent_length += (size_t)result;
    } else if (strncmp(text, "upload", 6) == 0) {
        memcpy(script.board.buffer, script.image + script.uploaded, (size_t)result);
        script.uploaded += (size_t)result;
    }
}

static inline void step_script(const char *answer)
{
    double elapsed = script.act.what == DFU_WAIT ? script.act.seconds : 0;
    int result = read_answer(answer, &elapsed);
    carry_out(result);
    script.act = dfu_step(&script.op, result, elapsed);
    check_act();
}

static inline void play_line(const char *line, size_t number)
{
    char wanted[100], got[100];
    const char *arrow = strstr(line, " ->");
    snprintf(wanted, sizeof wanted, "%.*s", arrow ? (int)(arrow - line) : (int)strlen(line), line);
    describe(got, sizeof got, &script.act);
    if (strcmp(got, wanted) != 0)
        fail_msg("line %zu: it asks for \"%s\", not for \"%s\"", number, got, wanted);
    if (script.act.what != DFU_DONE && script.act.what != DFU_FAIL)
        step_script(arrow ? arrow + 3 : "");
}

static inline void play_lines(const char *const *lines)
{
    for (size_t i = 0; lines[i]; i++)
        play_line(lines[i], i + 1);
}

#define PLAY(...) play_lines((const char *const[]){ __VA_ARGS__, NULL })

/* A command or a block, executed without errors. */
#define RUN(request)                                                                               \
    request, "getstatus -> dfuDNBUSY 104", "wait 104", "getstatus -> dfuDNLOAD-IDLE"

/* ---- operations ---- */

/* Starts an operation; the script goes on with its first action. */
static inline void begin(struct dfu_op op)
{
    op.board = &script.board;
    if (op.limit <= 0)
        op.limit = 5;
    script.op = op;
    script.sent_length = script.uploaded = 0;
    script.stored = false;
    script.act = dfu_start(&script.op);
    check_act();
}

static inline void begin_simple(enum dfu_kind kind)
{
    begin((struct dfu_op){ .kind = kind, .any_alt = true });
}

static inline void begin_write(uint32_t address, size_t length)
{
    begin((struct dfu_op){
        .kind = DFU_WRITE, .address = address, .data = script.image, .length = length });
}

static inline void begin_read(uint32_t address, size_t length)
{
    begin((struct dfu_op){
        .kind = DFU_READ, .address = address, .out = script.out, .length = length });
}

/* Checks that the write ended well, and that all its bytes came to the board. */
static inline void wrote(size_t length)
{
    PLAY("done");
    assert_int_equal(script.op.done, length);
    assert_false(script.op.in_doubt);
    assert_int_equal(script.sent_length, length);
    assert_memory_equal(script.sent, script.image, length);
}

static inline void did_read(size_t length)
{
    PLAY("done");
    assert_int_equal(script.op.done, length);
    assert_memory_equal(script.out, script.image, length);
}

/* A new board in the same script, of which only the state is known. */
static inline void found_in(uint8_t state)
{
    script.board.state = state;
    script.board.status = DFU_UNKNOWN;
    script.board.has_base = false;
    script.told = -1;
}

#endif
