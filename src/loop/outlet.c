/* SPDX-License-Identifier: MIT */
#include "loop/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/loop.h"

#define PATIENCE 1.0        /* seconds that a reader may take before it counts as stalled */
#define MOMENT   0.03       /* seconds that a writer waits for a reader that takes bytes */
#define HURRY    (1u << 20) /* kept bytes above which a writer waits for the reader */
#define SLICE    100        /* milliseconds between two looks for a signal */

/* How a file descriptor is written to without blocking. */
enum outlet_way {
    OUTLET_FILE,     /* a write to a file does not wait for a reader */
    OUTLET_OWN,      /* opened anew with O_NONBLOCK: other processes share the flags of `fd` */
    OUTLET_SOCKET,   /* MSG_DONTWAIT */
    OUTLET_SPARINGLY /* could not be opened anew: few bytes at a time, when poll(2) allows */
};

struct outlet {
    struct loop *loop;
    int fd; /* written to */
    enum outlet_way way;
    unsigned char *bytes;
    size_t first, length, capacity;
    struct loop_watch watch;
    double taken_at; /* when the reader took bytes last */
    int error;
    bool full;
    void (*on_full)(void *arg);
    void *arg;
};

/* ---- writing ---- */

static bool is_writable(const struct outlet *outlet, int milliseconds)
{
    struct pollfd fd = { .fd = outlet->fd, .events = POLLOUT };
    return poll(&fd, 1, milliseconds) > 0;
}

static ssize_t write_some(const struct outlet *outlet, const void *bytes, size_t length)
{
    if (outlet->way == OUTLET_SOCKET)
        return send(outlet->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (outlet->way == OUTLET_SPARINGLY) {
        if (!is_writable(outlet, 0)) {
            errno = EAGAIN;
            return -1;
        }
        length = length < _POSIX_PIPE_BUF ? length : _POSIX_PIPE_BUF;
    }
    return write(outlet->fd, bytes, length);
}

/* Writes as many bytes as the reader takes, and returns their number.  After an error *failed is
 * true, and all bytes count as written: they are lost. */
static size_t give(struct outlet *outlet, const unsigned char *bytes, size_t length, bool *failed)
{
    size_t given = 0;
    while (given < length) {
        ssize_t n = write_some(outlet, bytes + given, length - given);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0) {
            outlet->error = outlet->error ? outlet->error : errno;
            *failed = true;
            return length;
        }
        given += (size_t)n;
        outlet->taken_at = loop_real_now();
    }
    return given;
}

/* Writes kept bytes. */
static void push(struct outlet *outlet)
{
    bool failed = false;
    size_t given = give(outlet, outlet->bytes + outlet->first, outlet->length, &failed);
    outlet->first += given;
    outlet->length -= given;
    if (outlet->length > 0) {
        loop_watch(outlet->loop, &outlet->watch);
    } else {
        outlet->first = 0;
        loop_unwatch(outlet->loop, &outlet->watch);
    }
}

static void on_room(void *arg, short events)
{
    (void)events;
    push(arg);
}

static bool make_room(struct outlet *outlet, size_t more)
{
    if (outlet->first + outlet->length + more <= outlet->capacity)
        return true;
    if (outlet->first > 0) {
        memmove(outlet->bytes, outlet->bytes + outlet->first, outlet->length);
        outlet->first = 0;
    }
    size_t needed = outlet->length + more, capacity = outlet->capacity ? outlet->capacity : 4096;
    while (capacity < needed)
        capacity *= 2;
    if (capacity == outlet->capacity)
        return true;
    unsigned char *bytes = realloc(outlet->bytes, capacity);
    if (!bytes)
        return false;
    outlet->bytes = bytes;
    outlet->capacity = capacity;
    return true;
}

/* Lets a writer that is faster than its reader wait for MOMENT, in which boards wait, too; but not
 * for a reader that has taken nothing for PATIENCE. */
static void wait_for_reader(struct outlet *outlet)
{
    double now = loop_real_now(), limit = now + MOMENT;
    if (limit > outlet->taken_at + PATIENCE)
        limit = outlet->taken_at + PATIENCE;
    while (outlet->length > HURRY && now < limit && !loop_interrupted(outlet->loop)) {
        if (!is_writable(outlet, (int)((limit - now) * 1000) + 1))
            return;
        push(outlet);
        now = loop_real_now();
    }
}

static bool keep(struct outlet *outlet, const unsigned char *bytes, size_t length)
{
    bool fits = length <= OUTLET_LIMIT - outlet->length;
    if (!fits || !make_room(outlet, length)) {
        outlet->full = true;
        outlet->error = outlet->error ? outlet->error : fits ? ENOMEM : ENOBUFS;
        outlet->on_full(outlet->arg);
        return false;
    }
    memcpy(outlet->bytes + outlet->first + outlet->length, bytes, length);
    outlet->length += length;
    loop_watch(outlet->loop, &outlet->watch);
    return true;
}

bool outlet_write(struct outlet *outlet, const void *bytes, size_t length)
{
    bool failed = outlet->full;
    size_t given = 0;
    if (outlet->length > 0)
        push(outlet);
    wait_for_reader(outlet);
    if (!failed && outlet->length == 0) {
        outlet->taken_at = loop_real_now();
        given = give(outlet, bytes, length, &failed);
    }
    if (!failed && given < length)
        failed = !keep(outlet, (const unsigned char *)bytes + given, length - given);
    if (failed)
        errno = outlet->error;
    return !failed;
}

size_t outlet_backlog(const struct outlet *outlet)
{
    return outlet->length;
}

int outlet_error(const struct outlet *outlet)
{
    return outlet->error;
}

void outlet_drain(struct outlet *outlet)
{
    double limit = 0;
    for (push(outlet); outlet->length > 0; push(outlet)) {
        if (limit == 0 && (outlet->full || loop_interrupted(outlet->loop)))
            limit = loop_real_now() + PATIENCE;
        if (limit > 0 && loop_real_now() >= limit)
            return;
        is_writable(outlet, SLICE);
    }
}

int outlet_fd(const struct outlet *outlet)
{
    return outlet->fd;
}

/* ---- making ---- */

/* Opens the same pipe or terminal again, with an O_NONBLOCK that no other process shares. */
static int open_anew(int fd)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void choose_way(struct outlet *outlet, int fd)
{
    struct stat about;
    outlet->fd = fd;
    outlet->way = OUTLET_FILE;
    if (fstat(fd, &about) != 0)
        return;
    if (S_ISSOCK(about.st_mode)) {
        outlet->way = OUTLET_SOCKET;
    } else if (S_ISFIFO(about.st_mode) || isatty(fd)) {
        int own = open_anew(fd);
        outlet->way = own >= 0 ? OUTLET_OWN : OUTLET_SPARINGLY;
        outlet->fd = own >= 0 ? own : fd;
    }
}

struct outlet *outlet_new(struct loop *loop, int fd, void (*full)(void *arg), void *arg)
{
    struct outlet *outlet = calloc(1, sizeof *outlet);
    if (!outlet)
        return NULL;
    outlet->loop = loop;
    outlet->on_full = full;
    outlet->arg = arg;
    choose_way(outlet, fd);
    outlet->watch = (struct loop_watch){
        .ready = on_room, .arg = outlet, .fd = outlet->fd, .events = POLLOUT, .aside = true
    };
    return outlet;
}

void outlet_free(struct outlet *outlet)
{
    if (!outlet)
        return;
    loop_unwatch(outlet->loop, &outlet->watch);
    if (outlet->way == OUTLET_OWN)
        close(outlet->fd);
    free(outlet->bytes);
    free(outlet);
}
