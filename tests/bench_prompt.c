/* SPDX-License-Identifier: MIT */
/* How long the prompt takes, at a pseudo-terminal: until it is there, and from a keystroke to its
 * echo while sixteen simulated boards are being flashed in the background.
 *   bench_prompt MOONFLASH IMAGE
 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STARTS   20
#define KEYS     400
#define PATIENCE 10000 /* milliseconds */

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Reads until `text` has come; returns when, in milliseconds. */
static double await(int fd, const char *text)
{
    char seen[65536];
    size_t length = 0;
    for (;;) {
        struct pollfd input = { .fd = fd, .events = POLLIN };
        if (poll(&input, 1, PATIENCE) != 1 || length == sizeof seen - 1) {
            fprintf(stderr, "bench_prompt: '%s' did not come\n", text);
            exit(1);
        }
        ssize_t n = read(fd, seen + length, sizeof seen - 1 - length);
        if (n <= 0)
            exit(1);
        length += (size_t)n;
        seen[length] = '\0';
        if (strstr(seen, text))
            return now();
    }
}

static void type(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        exit(1);
}

static pid_t start(int *fd, char *program)
{
    struct winsize size = { .ws_row = 24, .ws_col = 80 };
    pid_t pid = forkpty(fd, NULL, NULL, &size);
    if (pid == 0) {
        setenv("TERM", "xterm", 1);
        setenv("XDG_STATE_HOME", "/nonexistent", 1);
        execl(program, program, "-q", "-d", "sim:f407", "repl", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *what, double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare);
    printf("%s: median %.1f ms, 99 %% within %.1f ms, longest %.1f ms\n", what, values[n / 2],
           values[n * 99 / 100], values[n - 1]);
}

int main(int argc, char **argv)
{
    double values[KEYS];
    char line[512], key[2] = "a";
    int fd;
    if (argc != 3)
        return 64;
    for (int i = 0; i < STARTS; i++) {
        double began = now();
        pid_t pid = start(&fd, argv[1]);
        values[i] = await(fd, "> ") - began;
        type(fd, "\004");
        close(fd);
        waitpid(pid, NULL, 0);
    }
    report("prompt: from the start until it is there", values, STARTS);

    pid_t pid = start(&fd, argv[1]);
    await(fd, "> ");
    snprintf(
        line, sizeof line,
        "for i = 1, 16 do task.spawn(function() local b <close> = dfu.open('sim:f407,bus=' .. i) "
        "while true do flash.write(b, image.load('%s'), { full = true }) end end) end\n",
        argv[2]);
    type(fd, line);
    await(fd, "\n> ");
    usleep(2500000); /* they are past erasing, in the middle of their work */
    for (int i = 0; i < KEYS; i++) {
        key[0] = (char)('a' + i % 26);
        usleep(15000);
        double began = now();
        type(fd, key);
        values[i] = await(fd, key) - began;
        if (i % 26 == 25) {
            type(fd, "\025"); /* Ctrl-U */
            usleep(20000);
            char rest[4096];
            struct pollfd input = { .fd = fd, .events = POLLIN };
            while (poll(&input, 1, 0) == 1 && read(fd, rest, sizeof rest) > 0) {
            }
        }
    }
    report("prompt: from a keystroke to its echo, sixteen boards being flashed", values, KEYS);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return 0;
}
