/* SPDX-License-Identifier: MIT */
#include "sim/simport.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/loop.h"

/* A full-speed bus, on which one transfer follows the other. */
struct simbus {
    char *name;
    double free_at;
    struct simbus *next;
};

struct simboard {
    struct simport *port;
    char *path;
    struct sim *sim;
    struct simbus *bus;
    int file; /* -1: the flash is not kept */
    bool file_is_whole, file_failed;
    bool removed;
    double ready_at; /* when it answers the last request, even if the host has given that up */
    unsigned ready_generation;
    struct simhandle *handles;
    struct simboard *next;
};

struct simhandle {
    struct port_handle head;
    struct simboard *board;
    unsigned generation;
    bool claimed;
    struct port_transfer *transfer;
    int result;
    struct loop_timer timer;
    struct simhandle *next;
};

struct simport {
    struct port head;
    struct loop *loop;
    struct simboard *boards;
    struct simbus *buses;
};

/* ---- the file that keeps the flash ---- */

static bool write_all(int file, const uint8_t *bytes, size_t length, size_t offset)
{
    while (length > 0) {
        ssize_t n = pwrite(file, bytes, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        offset += (size_t)n;
        length -= (size_t)n;
    }
    return true;
}

static void keep_flash(struct simboard *board)
{
    size_t first, last, length;
    uint32_t address;
    double now = loop_now(board->port->loop);
    if (board->file < 0 || !sim_flash_changed(board->sim, now, &first, &last))
        return;
    const uint8_t *flash = sim_flash(board->sim, now, &address, &length);
    if (!board->file_is_whole) {
        first = 0;
        last = length - 1;
        board->file_is_whole = true;
    }
    if (!write_all(board->file, flash + first, last - first + 1, first))
        board->file_failed = true;
}

/* Opens the file, and loads the flash from it. */
static bool open_flash(struct simboard *board, const char *name, char *why, size_t why_size)
{
    uint32_t address;
    size_t length;
    uint8_t *flash = sim_flash(board->sim, loop_now(board->port->loop), &address, &length);
    struct stat st;
    board->file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (board->file < 0 || fstat(board->file, &st) != 0) {
        snprintf(why, why_size, "%s: %s", name, strerror(errno));
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        snprintf(why, why_size, "%s is not a file", name);
        return false;
    }
    if ((unsigned long long)st.st_size > length) {
        snprintf(why, why_size, "%s has %lld bytes, the flash %zu", name, (long long)st.st_size,
                 length);
        return false;
    }
    if (flock(board->file, LOCK_EX | LOCK_NB) != 0) {
        snprintf(why, why_size, "%s is the flash of another simulated board", name);
        return false;
    }
    size_t got = 0;
    while (got < (size_t)st.st_size) {
        ssize_t n = pread(board->file, flash + got, (size_t)st.st_size - got, (off_t)got);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    board->file_is_whole = got == length;
    return true;
}

/* ---- transfers ---- */

static void finish_transfer(void *arg)
{
    struct simhandle *handle = arg;
    struct port_transfer *transfer = handle->transfer;
    handle->transfer = NULL;
    transfer->done(transfer->arg, handle->result);
}

static void finish_at(struct simhandle *handle, double at, int result)
{
    handle->result = result;
    loop_timer_set(handle->board->port->loop, &handle->timer, at);
}

static bool is_there(struct simhandle *handle)
{
    struct simboard *board = handle->board;
    enum sim_life life = sim_life(board->sim, loop_now(board->port->loop));
    return (life == SIM_DFU || life == SIM_RUNTIME) &&
           sim_generation(board->sim) == handle->generation;
}

static int port_result(int result)
{
    switch (result) {
    case SIM_STALL:
        return PORT_STALL;
    case SIM_GONE:
        return PORT_GONE;
    case SIM_HANG:
        return PORT_TIMEOUT;
    default:
        return result;
    }
}

static void simport_submit(struct port_handle *head, struct port_transfer *transfer)
{
    struct simhandle *handle = (struct simhandle *)head;
    struct simboard *board = handle->board;
    double now = loop_now(board->port->loop);
    handle->transfer = transfer;
    if (board->file_failed || !is_there(handle)) {
        finish_at(handle, now, board->file_failed ? PORT_IO : PORT_GONE);
        return;
    }
    double bus_at = board->bus && board->bus->free_at > now ? board->bus->free_at : now;
    unsigned generation = sim_generation(board->sim);
    bool held = board->ready_generation == generation && board->ready_at > bus_at;
    double start = held ? board->ready_at : bus_at;
    struct sim_answer answer = sim_control(board->sim, start, &transfer->setup, transfer->data);
    if (board->bus)
        board->bus->free_at = bus_at + answer.wire;
    board->ready_at = start + answer.seconds;
    board->ready_generation = generation;
    keep_flash(board);

    double end = start + answer.seconds;
    double timeout = now + transfer->timeout;
    if (answer.result == SIM_HANG || end > timeout)
        finish_at(handle, timeout, PORT_TIMEOUT); /* the device still completes the request */
    else
        finish_at(handle, end, port_result(answer.result));
}

static void simport_cancel(struct port_handle *head)
{
    struct simhandle *handle = (struct simhandle *)head;
    if (handle->transfer)
        finish_at(handle, loop_now(handle->board->port->loop), PORT_CANCELLED);
}

/* ---- devices ---- */

static void simport_list(struct port *head, const char *path,
                         bool (*each)(void *arg, const struct port_device *), void *arg)
{
    struct simport *port = (struct simport *)head;
    double now = loop_now(port->loop);
    for (struct simboard *board = port->boards; board; board = board->next) {
        enum sim_life life = sim_life(board->sim, now);
        bool meant = !path || strcmp(board->path, path) == 0;
        if (!meant || board->removed || (life != SIM_DFU && life != SIM_RUNTIME))
            continue;
        struct port_device device = { .path = board->path,
                                      .generation = sim_generation(board->sim),
                                      .number = sim_generation(board->sim) };
        device.device = sim_device_descriptor(board->sim, &device.device_length);
        device.config = sim_config_descriptor(board->sim, &device.config_length);
        if (!each(arg, &device))
            return;
    }
}

static int simport_open(struct port *head, const char *path, unsigned generation,
                        unsigned configuration, int interface, struct port_handle **opened)
{
    (void)configuration; /* a simulated board has one */
    struct simboard *board = simport_find(head, path);
    if (!board)
        return PORT_GONE;
    for (struct simhandle *other = board->handles; other; other = other->next)
        if (interface >= 0 && other->claimed)
            return PORT_BUSY;
    struct simhandle *handle = calloc(1, sizeof *handle);
    if (!handle)
        return PORT_MEMORY;
    handle->head.port = head;
    handle->board = board;
    handle->generation = generation;
    handle->claimed = interface >= 0;
    handle->timer.fire = finish_transfer;
    handle->timer.arg = handle;
    if (!is_there(handle)) {
        free(handle);
        return PORT_GONE;
    }
    handle->next = board->handles;
    board->handles = handle;
    *opened = &handle->head;
    return 0;
}

/* Standard requests that the operating system makes for a program, and waits for. */
static int simport_select(struct port_handle *head, uint8_t interface, uint8_t alt)
{
    struct simhandle *handle = (struct simhandle *)head;
    struct simboard *board = handle->board;
    if (!is_there(handle))
        return PORT_GONE;
    struct usb_setup setup = {
        .type = USB_TO_INTERFACE, .request = USB_SET_INTERFACE, .value = alt, .index = interface
    };
    return port_result(sim_control(board->sim, loop_now(board->port->loop), &setup, NULL).result);
}

static int simport_reset(struct port_handle *head)
{
    struct simhandle *handle = (struct simhandle *)head;
    struct simboard *board = handle->board;
    if (!is_there(handle))
        return PORT_GONE;
    sim_bus_reset(board->sim, loop_now(board->port->loop));
    return is_there(handle) ? 0 : PORT_GONE;
}

static void free_board(struct simboard *board)
{
    struct simboard **p = &board->port->boards;
    while (*p != board)
        p = &(*p)->next;
    *p = board->next;
    if (board->sim)
        keep_flash(board);
    if (board->file >= 0)
        close(board->file);
    sim_free(board->sim);
    free(board->path);
    free(board);
}

static void simport_close(struct port_handle *head)
{
    struct simhandle *handle = (struct simhandle *)head;
    struct simboard *board = handle->board;
    loop_timer_cancel(board->port->loop, &handle->timer);
    struct simhandle **p = &board->handles;
    while (*p != handle)
        p = &(*p)->next;
    *p = handle->next;
    free(handle);
    keep_flash(board);
    if (board->removed && !board->handles)
        free_board(board);
}

static void simport_free(struct port *head)
{
    struct simport *port = (struct simport *)head;
    while (port->boards)
        free_board(port->boards);
    while (port->buses) {
        struct simbus *bus = port->buses;
        port->buses = bus->next;
        free(bus->name);
        free(bus);
    }
    free(port);
}

struct port *simport_new(struct loop *loop)
{
    struct simport *port = calloc(1, sizeof *port);
    if (!port)
        return NULL;
    port->head = (struct port){
        .list = simport_list,
        .open = simport_open,
        .submit = simport_submit,
        .cancel = simport_cancel,
        .select = simport_select,
        .reset = simport_reset,
        .close = simport_close,
        .free = simport_free,
    };
    port->loop = loop;
    return &port->head;
}

/* ---- boards, from outside ---- */

struct simboard *simport_find(struct port *head, const char *path)
{
    struct simboard *board = ((struct simport *)head)->boards;
    while (board && (board->removed || strcmp(board->path, path) != 0))
        board = board->next;
    return board;
}

static struct simbus *bus_named(struct simport *port, const char *name)
{
    struct simbus *bus = port->buses;
    while (bus && strcmp(bus->name, name) != 0)
        bus = bus->next;
    if (bus)
        return bus;
    bus = calloc(1, sizeof *bus);
    if (!bus)
        return NULL;
    bus->name = strdup(name);
    if (!bus->name) {
        free(bus);
        return NULL;
    }
    bus->next = port->buses;
    port->buses = bus;
    return bus;
}

struct simboard *simport_add(struct port *head, const char *path, const struct sim_options *options,
                             const char *flash_file, const char *bus, char *why, size_t why_size)
{
    struct simport *port = (struct simport *)head;
    struct simboard *board = calloc(1, sizeof *board);
    errno = 0;
    if (!board) {
        snprintf(why, why_size, "out of memory");
        return NULL;
    }
    board->port = port;
    board->file = -1;
    board->next = port->boards;
    port->boards = board;
    board->path = strdup(path);
    board->sim = sim_new(options);
    board->bus = bus ? bus_named(port, bus) : NULL;
    if (!board->path || !board->sim || (bus && !board->bus)) {
        snprintf(why, why_size, "out of memory");
        goto failed;
    }
    if (flash_file && !open_flash(board, flash_file, why, why_size))
        goto failed;
    return board;

failed:;
    int why_not = errno;
    free_board(board);
    errno = why_not;
    return NULL;
}

void simport_remove(struct simboard *board)
{
    board->removed = true;
    if (!board->handles)
        free_board(board);
}

const char *simboard_path(const struct simboard *board)
{
    return board->path;
}

struct sim *simboard_sim(struct simboard *board)
{
    return board->sim;
}

double simboard_now(const struct simboard *board)
{
    return loop_now(board->port->loop);
}

void simboard_changed(struct simboard *board)
{
    keep_flash(board);
    for (struct simhandle *handle = board->handles; handle; handle = handle->next)
        if (handle->transfer && !is_there(handle))
            finish_at(handle, simboard_now(board), PORT_GONE);
}
