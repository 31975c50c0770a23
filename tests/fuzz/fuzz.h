/* SPDX-License-Identifier: MIT */
/* What the fuzz targets share: claims that must hold, and an input that is taken byte by byte.
 *
 * A used-up input gives zeros.  Every target reads a zero as "nothing unusual", so a short input is
 * a short story with a good end.  FUZZ_TRACE=1 in the environment prints what a target does: for
 * reading a reproducer.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process where a claim does not hold; libFuzzer then keeps the input. */
#define CLAIM(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(#condition, __FILE__, __LINE__);                                             \
    } while (0)

static inline void fuzz_fail(const char *claim, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, claim);
    abort();
}

__attribute__((format(printf, 1, 2))) static inline void trace(const char *format, ...)
{
    static int wanted = -1;
    if (wanted < 0)
        wanted = getenv("FUZZ_TRACE") != NULL;
    if (!wanted)
        return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

/* For loops over bytes: libFuzzer has nothing to learn from them, and they would take its time. */
#define UNSEEN __attribute__((no_sanitize("coverage")))

struct input {
    const uint8_t *at, *end;
};

static inline bool used_up(const struct input *in)
{
    return in->at == in->end;
}

static inline uint8_t take(struct input *in)
{
    return used_up(in) ? 0 : *in->at++;
}

static inline uint16_t take16(struct input *in)
{
    unsigned high = take(in);
    return (uint16_t)(high << 8 | take(in));
}

static inline uint32_t take32(struct input *in)
{
    uint32_t high = take16(in);
    return high << 16 | take16(in);
}

/* A part of the input, whose length comes first: what is changed in it moves nothing behind it. */
static inline struct input take_part(struct input *in)
{
    size_t length = take(in), left = (size_t)(in->end - in->at);
    struct input part = { in->at, in->at + (length < left ? length : left) };
    in->at = part.end;
    return part;
}

/* One of `n` choices. */
static inline unsigned choose(struct input *in, unsigned n)
{
    return take(in) % n;
}

#endif
