/* SPDX-License-Identifier: MIT */
/* The only file that includes libusb.h.
 *
 * libusb carries transfers, and nothing else.  Listings are read from sysfs: libusb updates its
 * list by udev's events, which do not come in containers and initramfs, and its parser of
 * descriptors was wrong about hostile devices (CVE-2026-23679, CVE-2026-47104).  A device is opened
 * by its node, which libusb gets by libusb_wrap_sys_device().
 */
#include "usb/usb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libusb.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop/loop.h"
#include "usb/port.h"
#include "usb/usbfs.h"

#define SYSFS            "/sys/bus/usb/devices"
#define MOST_DESCRIPTORS 65553 /* a device descriptor and the longest configuration */
#define DEVICE_LENGTH    18
#define MOST_FDS         64

struct usb_handle {
    struct port_handle head;
    libusb_device_handle *device;
    int node; /* file descriptor of the device's node */
    int interface;
    struct libusb_transfer *usb; /* one, for all requests */
    unsigned char *buffer;       /* setup packet and data */
    struct port_transfer *transfer;
    int result;
    struct loop_job finished;
};

/* One of libusb's file descriptors. */
struct usb_fd {
    struct loop_watch watch;
    bool used;
};

struct usb_port {
    struct port head;
    struct loop *loop;
    libusb_context *context; /* NULL until a device is opened */
    struct usb_fd fds[MOST_FDS];
    unsigned in_flight; /* transfers that libusb has */
    uint8_t *descriptors;
};

/* ---- libusb's file descriptors on our loop ----
 *
 * They are watched only while a transfer is in flight.  Otherwise nothing is awaited from libusb,
 * and the loop must be able to see a deadlock.
 */

static void handle_events(void *arg, short events)
{
    struct usb_port *port = arg;
    struct timeval now = { 0, 0 };
    (void)events;
    libusb_handle_events_timeout_completed(port->context, &now, NULL);
}

static void LIBUSB_CALL fd_added(int fd, short events, void *arg)
{
    struct usb_port *port = arg;
    for (int i = 0; i < MOST_FDS; i++) {
        struct usb_fd *slot = &port->fds[i];
        if (slot->used)
            continue;
        slot->used = true;
        slot->watch =
            (struct loop_watch){ .ready = handle_events, .arg = port, .fd = fd, .events = events };
        if (port->in_flight > 0)
            loop_watch(port->loop, &slot->watch);
        return;
    }
}

static void LIBUSB_CALL fd_removed(int fd, void *arg)
{
    struct usb_port *port = arg;
    for (int i = 0; i < MOST_FDS; i++) {
        struct usb_fd *slot = &port->fds[i];
        if (!slot->used || slot->watch.fd != fd)
            continue;
        loop_unwatch(port->loop, &slot->watch);
        slot->used = false;
    }
}

static void transfer_begins(struct usb_port *port)
{
    if (port->in_flight++ > 0)
        return;
    for (int i = 0; i < MOST_FDS; i++)
        if (port->fds[i].used)
            loop_watch(port->loop, &port->fds[i].watch);
}

static void transfer_ends(struct usb_port *port)
{
    if (--port->in_flight > 0)
        return;
    for (int i = 0; i < MOST_FDS; i++)
        if (port->fds[i].used)
            loop_unwatch(port->loop, &port->fds[i].watch);
}

/* Called when a device is opened: listings and simulated boards need no libusb. */
static bool open_context(struct usb_port *port)
{
    if (port->context)
        return true;
    if (libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY) != LIBUSB_SUCCESS)
        return false;
    if (libusb_init(&port->context) != LIBUSB_SUCCESS) {
        port->context = NULL;
        return false;
    }
    const struct libusb_pollfd **fds = libusb_get_pollfds(port->context);
    for (int i = 0; fds && fds[i]; i++)
        fd_added(fds[i]->fd, fds[i]->events, port);
    libusb_free_pollfds(fds);
    libusb_set_pollfd_notifiers(port->context, fd_added, fd_removed, port);
    return true;
}

/* ---- listing ---- */

/* "1-4.2": a device; not "usb1" (a root hub) and not "1-4.2:1.0" (an interface). */
static bool is_device_name(const char *name)
{
    size_t n = strspn(name, "0123456789");
    return n > 0 && name[n] == '-' && name[n + 1] &&
           strspn(name + n + 1, "0123456789.") == strlen(name + n + 1);
}

static ssize_t read_attribute(const char *device, const char *attribute, void *buffer, size_t size)
{
    char path[sizeof SYSFS + 2 * 256];
    int length = snprintf(path, sizeof path, SYSFS "/%.255s/%s", device, attribute);
    if (length < 0 || (size_t)length >= sizeof path)
        return -1;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    size_t got = 0;
    ssize_t n = 0;
    while (got < size && (n = read(file, (char *)buffer + got, size - got)) > 0)
        got += (size_t)n;
    close(file);
    return n < 0 ? -1 : (ssize_t)got;
}

static unsigned read_number(const char *device, const char *attribute)
{
    char text[16] = "";
    ssize_t n = read_attribute(device, attribute, text, sizeof text - 1);
    return n > 0 ? (unsigned)strtoul(text, NULL, 10) : 0;
}

/* The kernel gives each device that comes a new number on its bus. */
static unsigned generation_of(const char *device, unsigned *bus, unsigned *number)
{
    *bus = read_number(device, "busnum");
    *number = read_number(device, "devnum");
    return *bus << 16 | *number;
}

/* `descriptors` in sysfs: the device descriptor, and then all configurations. */
static bool describe(struct usb_port *port, const char *name, struct port_device *device)
{
    unsigned bus, number;
    ssize_t n = read_attribute(name, "descriptors", port->descriptors, MOST_DESCRIPTORS);
    if (n < DEVICE_LENGTH)
        return false;
    *device = (struct port_device){
        .path = name,
        .generation = generation_of(name, &bus, &number),
        .number = number,
        .device = port->descriptors,
        .device_length = DEVICE_LENGTH,
        .config = port->descriptors + DEVICE_LENGTH,
        .config_length = (size_t)n - DEVICE_LENGTH,
        .configuration = read_number(name, "bConfigurationValue"),
    };
    return number > 0;
}

static void usb_list(struct port *head, const char *path,
                     bool (*each)(void *arg, const struct port_device *), void *arg)
{
    struct usb_port *port = (struct usb_port *)head;
    struct port_device one;
    if (path) {
        if (is_device_name(path) && describe(port, path, &one))
            each(arg, &one);
        return;
    }
    DIR *folder = opendir(SYSFS);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct port_device device;
        if (is_device_name(entry->d_name) && describe(port, entry->d_name, &device) &&
            !each(arg, &device))
            break;
    }
    closedir(folder);
}

static ssize_t usb_string(struct port *head, const char *path, unsigned generation,
                          const char *name, char *text, size_t size)
{
    unsigned bus, number;
    (void)head;
    if (!is_device_name(path) || generation_of(path, &bus, &number) != generation)
        return -1;
    return read_attribute(path, name, text, size);
}

/* Copies the first name of a folder's entries that has "tty" at its start, and more.  False: there
 * is none. */
static bool first_tty(const char *folder, char *name, size_t size)
{
    bool found = false;
    char first[NAME_MAX + 1] = "";
    DIR *open_folder = opendir(folder);
    if (!open_folder)
        return false;
    for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;) {
        if (strncmp(entry->d_name, "tty", 3) != 0 || !entry->d_name[3] ||
            (found && strcmp(entry->d_name, first) >= 0))
            continue;
        found = true;
        snprintf(first, sizeof first, "%s", entry->d_name);
    }
    closedir(open_folder);
    return found && (size_t)snprintf(name, size, "%s", first) < size;
}

/* An interface's terminal: INTERFACE/tty/ttyACM0 (class CDC-ACM), INTERFACE/ttyUSB0 (others). */
static bool tty_of_interface(const char *interface, char *name, size_t size)
{
    char folder[sizeof SYSFS + NAME_MAX + sizeof "/tty"];
    snprintf(folder, sizeof folder, SYSFS "/%.255s/tty", interface);
    if (first_tty(folder, name, size))
        return true;
    *strrchr(folder, '/') = '\0';
    return first_tty(folder, name, size);
}

/* Finds the terminal of the first interface that has one: those of 1-4.2 are 1-4.2:1.0, ... */
static ssize_t usb_tty(struct port *head, const char *path, unsigned generation, char *name,
                       size_t size, bool *may_open)
{
    unsigned bus, number;
    (void)head;
    if (!is_device_name(path) || generation_of(path, &bus, &number) != generation)
        return -1;
    size_t length = strlen(path);
    char first[NAME_MAX + 1] = "", tty[NAME_MAX + 1];
    bool found = false;
    DIR *folder = opendir(SYSFS);
    if (!folder)
        return -1;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *interface = entry->d_name;
        if (strncmp(interface, path, length) != 0 || interface[length] != ':' ||
            (found && strcmp(interface, first) >= 0) ||
            !tty_of_interface(interface, tty, sizeof tty))
            continue;
        found = true;
        snprintf(first, sizeof first, "%s", interface);
        snprintf(name, size, "%s", tty);
    }
    closedir(folder);
    if (!found)
        return -1;
    char node[sizeof "/dev/" + NAME_MAX];
    snprintf(node, sizeof node, "/dev/%s", name);
    *may_open = access(node, R_OK | W_OK) == 0;
    return (ssize_t)strlen(name);
}

/* ---- open and close ---- */

static int open_error(int error)
{
    switch (error) {
    case EACCES:
    case EPERM:
        return PORT_PERMISSION;
    case EBUSY:
        return PORT_BUSY;
    case ENOMEM:
        return PORT_MEMORY;
    case ENOENT:
    case ENODEV:
    case ENXIO:
        return PORT_GONE;
    default:
        return PORT_IO;
    }
}

static int usb_error(int error)
{
    switch (error) {
    case LIBUSB_ERROR_ACCESS:
        return PORT_PERMISSION;
    case LIBUSB_ERROR_BUSY:
        return PORT_BUSY;
    case LIBUSB_ERROR_NO_MEM:
        return PORT_MEMORY;
    case LIBUSB_ERROR_NO_DEVICE:
    case LIBUSB_ERROR_NOT_FOUND:
        return PORT_GONE;
    case LIBUSB_ERROR_PIPE:
        return PORT_STALL;
    case LIBUSB_ERROR_TIMEOUT:
        return PORT_TIMEOUT;
    default:
        return PORT_IO;
    }
}

static void usb_close(struct port_handle *head)
{
    struct usb_handle *handle = (struct usb_handle *)head;
    struct usb_port *port = (struct usb_port *)head->port;
    loop_unpost(port->loop, &handle->finished);
    if (handle->device) {
        if (handle->interface >= 0)
            libusb_release_interface(handle->device, handle->interface);
        libusb_close(handle->device);
    }
    if (handle->node >= 0)
        close(handle->node);
    libusb_free_transfer(handle->usb);
    free(handle->buffer);
    free(handle);
}

static void transfer_finished(void *arg)
{
    struct usb_handle *handle = arg;
    struct port_transfer *transfer = handle->transfer;
    handle->transfer = NULL;
    transfer->done(transfer->arg, handle->result);
}

/* Sets the configuration, if another one is active, and claims the interface. */
static int claim(struct usb_handle *handle, const char *path, unsigned configuration, int interface)
{
    int error = LIBUSB_SUCCESS;
    if (configuration > 0 && read_number(path, "bConfigurationValue") != configuration)
        error = libusb_set_configuration(handle->device, (int)configuration);
    if (error == LIBUSB_SUCCESS)
        error = libusb_claim_interface(handle->device, interface);
    if (error != LIBUSB_SUCCESS)
        return usb_error(error);
    handle->interface = interface;
    return 0;
}

static int usb_open(struct port *head, const char *path, unsigned generation,
                    unsigned configuration, int interface, struct port_handle **opened)
{
    struct usb_port *port = (struct usb_port *)head;
    unsigned bus, number;
    if (!is_device_name(path) || generation_of(path, &bus, &number) != generation)
        return PORT_GONE;
    char node[64];
    snprintf(node, sizeof node, "/dev/bus/usb/%03u/%03u", bus, number);
    if (interface < 0)
        return usbfs_open(port->loop, node, opened) < 0 ? open_error(errno) : 0;
    if (!open_context(port))
        return PORT_IO;
    struct usb_handle *handle = calloc(1, sizeof *handle);
    if (!handle)
        return PORT_MEMORY;
    handle->head.port = head;
    handle->interface = -1;
    handle->node = -1;
    handle->finished.run = transfer_finished;
    handle->finished.arg = handle;
    handle->usb = libusb_alloc_transfer(0);
    handle->buffer = malloc(LIBUSB_CONTROL_SETUP_SIZE + 65536);
    int result = PORT_MEMORY;
    if (!handle->usb || !handle->buffer)
        goto failed;

    handle->node = open(node, O_RDWR | O_CLOEXEC);
    if (handle->node < 0) {
        result = open_error(errno);
        goto failed;
    }
    int error = libusb_wrap_sys_device(port->context, handle->node, &handle->device);
    if (error != LIBUSB_SUCCESS) {
        handle->device = NULL;
        result = usb_error(error);
        goto failed;
    }
    result = claim(handle, path, configuration, interface);
    if (result < 0)
        goto failed;
    *opened = &handle->head;
    return 0;

failed:
    usb_close(&handle->head);
    return result;
}

/* ---- transfers ---- */

static int transfer_result(const struct libusb_transfer *usb)
{
    switch (usb->status) {
    case LIBUSB_TRANSFER_COMPLETED:
        return usb->actual_length;
    case LIBUSB_TRANSFER_STALL:
        return PORT_STALL;
    case LIBUSB_TRANSFER_NO_DEVICE:
        return PORT_GONE;
    case LIBUSB_TRANSFER_TIMED_OUT:
        return PORT_TIMEOUT;
    case LIBUSB_TRANSFER_CANCELLED:
        return PORT_CANCELLED;
    default:
        return PORT_IO;
    }
}

static void finish(struct usb_handle *handle, int result)
{
    struct usb_port *port = (struct usb_port *)handle->head.port;
    handle->result = result;
    loop_post(port->loop, &handle->finished);
}

/* Called by libusb, from inside its event handling: records the result, and no more. */
static void LIBUSB_CALL on_transfer(struct libusb_transfer *usb)
{
    struct usb_handle *handle = usb->user_data;
    struct port_transfer *transfer = handle->transfer;
    int result = transfer_result(usb);
    transfer_ends((struct usb_port *)handle->head.port);
    if (result > 0 && transfer->setup.type & LIBUSB_ENDPOINT_IN) {
        if (result > transfer->setup.length)
            result = PORT_IO;
        else
            memcpy(transfer->data, libusb_control_transfer_get_data(usb), (size_t)result);
    }
    finish(handle, result);
}

static void usb_submit(struct port_handle *head, struct port_transfer *transfer)
{
    struct usb_handle *handle = (struct usb_handle *)head;
    const struct usb_setup *setup = &transfer->setup;
    handle->transfer = transfer;
    libusb_fill_control_setup(handle->buffer, setup->type, setup->request, setup->value,
                              setup->index, setup->length);
    if (!(setup->type & LIBUSB_ENDPOINT_IN) && setup->length > 0)
        memcpy(handle->buffer + LIBUSB_CONTROL_SETUP_SIZE, transfer->data, setup->length);
    double ms = transfer->timeout * 1000;
    libusb_fill_control_transfer(handle->usb, handle->device, handle->buffer, on_transfer, handle,
                                 ms < 1         ? 1
                                 : ms > 3600000 ? 3600000
                                                : (unsigned)ms);
    int error = libusb_submit_transfer(handle->usb);
    if (error == LIBUSB_SUCCESS)
        transfer_begins((struct usb_port *)head->port);
    else
        finish(handle, usb_error(error));
}

static void usb_cancel(struct port_handle *head)
{
    struct usb_handle *handle = (struct usb_handle *)head;
    if (handle->transfer && !handle->finished.posted)
        libusb_cancel_transfer(handle->usb);
}

static int usb_select(struct port_handle *head, uint8_t interface, uint8_t alt)
{
    struct usb_handle *handle = (struct usb_handle *)head;
    return usbfs_select(handle->node, interface, alt);
}

static int usb_reset(struct port_handle *head)
{
    struct usb_handle *handle = (struct usb_handle *)head;
    int error = libusb_reset_device(handle->device);
    return error == LIBUSB_SUCCESS ? 0 : PORT_GONE;
}

static void usb_free(struct port *head)
{
    struct usb_port *port = (struct usb_port *)head;
    if (port->context) {
        libusb_set_pollfd_notifiers(port->context, NULL, NULL, NULL);
        for (int i = 0; i < MOST_FDS; i++)
            loop_unwatch(port->loop, &port->fds[i].watch);
        libusb_exit(port->context);
    }
    free(port->descriptors);
    free(port);
}

struct port *usb_new(struct loop *loop)
{
    struct usb_port *port = calloc(1, sizeof *port);
    uint8_t *descriptors = malloc(MOST_DESCRIPTORS);
    if (!port || !descriptors) {
        free(port);
        free(descriptors);
        return NULL;
    }
    port->head = (struct port){
        .list = usb_list,
        .string = usb_string,
        .tty = usb_tty,
        .open = usb_open,
        .submit = usb_submit,
        .cancel = usb_cancel,
        .select = usb_select,
        .reset = usb_reset,
        .close = usb_close,
        .free = usb_free,
    };
    port->loop = loop;
    port->descriptors = descriptors;
    return &port->head;
}

void usb_version(char *text, size_t size)
{
    const struct libusb_version *version = libusb_get_version();
    snprintf(text, size, "%u.%u.%u", version->major, version->minor, version->micro);
}
