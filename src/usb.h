/* SPDX-License-Identifier: MIT */
/* The port over real USB: libusb carries the transfers. */
#ifndef USB_H
#define USB_H

struct loop;
struct port;

/* NULL: libusb can't be had. */
struct port *usb_new(struct loop *loop);

#endif
