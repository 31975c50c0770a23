/* SPDX-License-Identifier: MIT */
#include "loop/output.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "loop/loop.h"
#include "loop/outlet.h"

/* [0]: standard output, [1]: standard error.  If both are the same file, they share an outlet, so
 * that their lines keep their order. */
static struct {
    struct outlet *outlets[2];
    FILE *streams[2], *before[2];
} output;

static ssize_t write_cookie(void *cookie, const char *bytes, size_t length)
{
    return outlet_write(cookie, bytes, length) ? (ssize_t)length : 0; /* 0: an error */
}

static bool is_same_file(int a, int b)
{
    struct stat one, other;
    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static FILE *open_stream(struct outlet *outlet, int mode)
{
    FILE *stream =
        outlet ? fopencookie(outlet, "w", (cookie_io_functions_t){ .write = write_cookie }) : NULL;
    if (stream)
        setvbuf(stream, NULL, mode, BUFSIZ);
    return stream;
}

static void let_go(void)
{
    for (int i = 0; i < 2; i++)
        if (output.streams[i])
            fclose(output.streams[i]);
    if (output.outlets[1] != output.outlets[0])
        outlet_free(output.outlets[1]);
    outlet_free(output.outlets[0]);
    for (int i = 0; i < 2; i++) {
        output.outlets[i] = NULL;
        output.streams[i] = NULL;
    }
}

bool output_begin(struct loop *loop, void (*full)(void *arg), void *arg)
{
    bool same = is_same_file(STDOUT_FILENO, STDERR_FILENO);
    output.outlets[0] = outlet_new(loop, STDOUT_FILENO, full, arg);
    output.outlets[1] = same ? output.outlets[0] : outlet_new(loop, STDERR_FILENO, full, arg);
    output.streams[0] = open_stream(output.outlets[0], isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF);
    output.streams[1] = open_stream(output.outlets[1], _IONBF);
    if (!output.streams[0] || !output.streams[1]) {
        let_go();
        return false;
    }
    fflush(stdout);
    output.before[0] = stdout;
    output.before[1] = stderr;
    stdout = output.streams[0];
    stderr = output.streams[1];
    loop_last_words_to(outlet_fd(output.outlets[1]));
    return true;
}

size_t output_backlog(int fd)
{
    const struct outlet *outlet = output.outlets[fd == STDERR_FILENO];
    return outlet ? outlet_backlog(outlet) : 0;
}

bool output_end(const char *complaint)
{
    if (!output.streams[0])
        return true;
    bool taken = fflush(stdout) == 0;
    outlet_drain(output.outlets[0]);
    outlet_drain(output.outlets[1]);
    taken = taken && !ferror(stdout) && outlet_error(output.outlets[0]) == 0 &&
            outlet_backlog(output.outlets[0]) == 0;
    if (!taken) {
        fputs(complaint, stderr);
        outlet_drain(output.outlets[1]);
    }
    stdout = output.before[0];
    stderr = output.before[1];
    loop_last_words_to(STDERR_FILENO);
    let_go();
    return taken;
}
