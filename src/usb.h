/* SPDX-License-Identifier: MIT */
/* The port over real USB: libusb carries the transfers. */
#ifndef USB_H
#define USB_H

#include <stddef.h>

struct loop;
struct port;

/* NULL: libusb can't be had. */
struct port *usb_new(struct loop *loop);

/* The version of the libusb that is linked, which needs not be the one that was built against:
 * "1.0.26". */
void usb_version(char *text, size_t size);

#endif
