/* SPDX-License-Identifier: MIT */
/* Asks a device that is not claimed, through Linux's usbfs and without libusb.
 *
 * libusb_wrap_sys_device() asks the device for its configuration and waits up to a second for the
 * answer, and the loop waits with it.  Eight hung devices would delay a listing by eight seconds.
 */
#ifndef USBFS_H
#define USBFS_H

struct loop;
struct port_handle;

/* Opens a device's node for control transfers.  The handle is the caller's: handle->port has
 * submit, cancel and close, and no more.  0, or -1 and errno. */
int usbfs_open(struct loop *loop, const char *node, struct port_handle **handle);

#endif
