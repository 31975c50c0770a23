/* SPDX-License-Identifier: MIT */
/* The seam: how boards are reached.
 *
 * A port lists devices (descriptors at a path) and carries control transfers; it knows nothing of
 * DFU.  There is one over libusb (usb.c) and one over simulated boards (simport.c).  submit and
 * cancel are asynchronous; the others may block for as long as the operating system does
 * (milliseconds).
 */
#ifndef PORT_H
#define PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "usb/dfu_spec.h"

#define PORT_PATH_MAX 512

/* How a transfer or a call can fail. */
enum port_result {
    PORT_STALL = -1,
    PORT_GONE = -2,       /* the device is no longer there */
    PORT_TIMEOUT = -3,    /* no answer in time */
    PORT_IO = -4,         /* any other fault on the wire */
    PORT_CANCELLED = -5,  /* by port->cancel() */
    PORT_BUSY = -6,       /* another program, or this one, has the device open */
    PORT_PERMISSION = -7, /* this user may not open it */
    PORT_MEMORY = -8,
};

/* A device that is on the bus.  The port owns the bytes, which are valid during the callback. */
struct port_device {
    const char *path;               /* "1-4.2", "sim:f407" */
    unsigned generation;            /* another number for each device that comes to this path */
    unsigned number;                /* the operating system's number of the device on its bus */
    const uint8_t *device, *config; /* its descriptors */
    size_t device_length, config_length; /* config: all configurations, one after the other */
    unsigned configuration;              /* bConfigurationValue of the active one; 0: not known */
};

/* One control transfer.  The caller owns it and its data (setup.length bytes), and keeps both until
 * done() is called: from the loop, never from inside submit(), with the number of bytes moved or a
 * port_result. */
struct port_transfer {
    struct usb_setup setup;
    uint8_t *data;
    double timeout; /* seconds */
    void (*done)(void *arg, int result);
    void *arg;
};

struct port;

/* An open device.  It is the first field of the port's own struct. */
struct port_handle {
    struct port *port;
};

struct port {
    /* Calls `each` for each device, or for the one at `path` alone unless that is NULL; stops when
     * `each` returns false. */
    void (*list)(struct port *port, const char *path,
                 bool (*each)(void *arg, const struct port_device *), void *arg);

    /* Copies a string that the operating system read when the device came ("serial", "product",
     * "manufacturer"), as UTF-8.  Returns its bytes, or -1.  NULL: there are none.  Only for boards
     * that can't be asked: Linux may wait here for a device that hangs. */
    ssize_t (*string)(struct port *port, const char *path, unsigned generation, const char *name,
                      char *text, size_t size);

    /* Copies the name of the terminal that the operating system gave the device ("ttyACM0"), and
     * whether this user may open it.  Returns its bytes, or -1: it has none.  NULL: no device has.
     */
    ssize_t (*tty)(struct port *port, const char *path, unsigned generation, char *name,
                   size_t size, bool *may_open);

    /* Opens the device of that generation at the path, and claims the interface.  Sets the
     * configuration if another one is active (0: leaves it).  Interface -1: claims none, to read
     * strings only.  Returns 0, or a port_result: PORT_GONE if another device is there now. */
    int (*open)(struct port *port, const char *path, unsigned generation, unsigned configuration,
                int interface, struct port_handle **handle);

    /* At most one transfer at a time. */
    void (*submit)(struct port_handle *handle, struct port_transfer *transfer);

    /* Cancels the transfer in flight, if there is one: its done() gets PORT_CANCELLED, or its real
     * result, if it completed first. */
    void (*cancel)(struct port_handle *handle);

    int (*select)(struct port_handle *handle, uint8_t interface, uint8_t alt);
    int (*reset)(
        struct port_handle *handle); /* a USB reset; PORT_GONE: it comes back as another device */
    void (*close)(struct port_handle *handle); /* while no transfer is in flight */

    void (*free)(struct port *port);
};

#endif
