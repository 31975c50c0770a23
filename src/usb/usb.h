/* SPDX-License-Identifier: MIT */
/* The port over real USB: libusb carries the transfers. */
#ifndef USB_H
#define USB_H

#include <stddef.h>

struct loop;
struct port;

/* NULL: no memory. */
struct port *usb_new(struct loop *loop);

/* The version of libusb at run time: "1.0.26".  It may differ from the one at build time. */
void usb_version(char *text, size_t size);

#endif
