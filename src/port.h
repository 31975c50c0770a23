/* SPDX-License-Identifier: MIT */
/* The seam: how boards are reached.
 *
 * A port knows devices (rows of descriptors at a path) and carries control transfers; it knows
 * nothing of DFU.  There is one over simulated boards (simport.c); the one over libusb plugs in
 * here too.  Everything is asynchronous but list, open, select, reset and close, which may block
 * for as long as the operating system does (milliseconds).
 */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dfu_spec.h"

#define PORT_PATH_MAX 512

/* How a transfer, or a call, can end but for a count of bytes. */
enum port_result {
    PORT_STALL = -1,
    PORT_GONE = -2,       /* the device is no longer there */
    PORT_TIMEOUT = -3,    /* no answer in time */
    PORT_IO = -4,         /* any other fault on the wire */
    PORT_CANCELLED = -5,  /* by port_handle_cancel */
    PORT_BUSY = -6,       /* another program, or this one, has it open */
    PORT_PERMISSION = -7, /* this user may not open it */
    PORT_MEMORY = -8,
};

/* A device that is on the bus.  The bytes are the port's, and valid in the callback only. */
struct port_device {
    const char *path;               /* "1-4.2", "sim:f407" */
    unsigned generation;            /* another number for each device that comes to this path */
    const uint8_t *device, *config; /* its descriptors */
    size_t device_length, config_length; /* config: all configurations, one behind the other */
    unsigned configuration;              /* bConfigurationValue of the active one; 0: not known */
};

/* One control transfer.  It belongs to the caller, and so does the data (of setup.length bytes),
 * until done() is called, from the loop and never from inside submit(): with the count of bytes
 * moved, or a port_result. */
struct port_transfer {
    struct usb_setup setup;
    uint8_t *data;
    double timeout; /* seconds */
    void (*done)(void *arg, int result);
    void *arg;
};

struct port;

/* An open device: the head of what the port itself keeps. */
struct port_handle {
    struct port *port;
};

struct port {
    /* Calls `each` for each device, or for the one at `path` alone unless that is NULL; stops when
     * `each` returns false. */
    void (*list)(struct port *port, const char *path,
                 bool (*each)(void *arg, const struct port_device *), void *arg);

    /* What the operating system read of a device's strings when that came, as UTF-8: "serial",
     * "product", "manufacturer".  How many bytes, or -1.  NULL: it reads none.  For boards that
     * can't be asked, and no others: Linux may wait here for a device that hangs. */
    ssize_t (*string)(struct port *port, const char *path, unsigned generation, const char *name,
                      char *text, size_t size);

    /* The name of the terminal that the operating system gave the device, "ttyACM0", and whether we
     * may open it.  How many bytes, or -1: it has none.  NULL: none ever has. */
    ssize_t (*tty)(struct port *port, const char *path, unsigned generation, char *name,
                   size_t size, bool *may_open);

    /* Opens the device of that generation at the path, and claims the interface of that
     * configuration, which is set where another one is active (0: stay as it is).  Interface -1:
     * claims none, to read its strings only.  0, or a port_result: PORT_GONE where another device
     * is there now. */
    int (*open)(struct port *port, const char *path, unsigned generation, unsigned configuration,
                int interface, struct port_handle **handle);

    /* At most one transfer at a time. */
    void (*submit)(struct port_handle *handle, struct port_transfer *transfer);

    /* Ends the transfer in flight, if there is one, soon: its done() gets PORT_CANCELLED, or
     * what it came to all the same. */
    void (*cancel)(struct port_handle *handle);

    int (*select)(struct port_handle *handle, uint8_t interface, uint8_t alt);
    int (*reset)(struct port_handle *handle);  /* a USB reset; 0, or PORT_GONE: it will come anew */
    void (*close)(struct port_handle *handle); /* no transfer is in flight */

    void (*free)(struct port *port);
};

#endif
