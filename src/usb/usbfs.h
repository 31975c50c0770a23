/* SPDX-License-Identifier: MIT */
/* Linux's usbfs without libusb: control transfers to a device that is not claimed, and the choice
 * of an alternate setting, whose errors libusb does not tell apart.
 *
 * libusb_wrap_sys_device() asks the device for its configuration and blocks the loop for up to a
 * second.  Eight hung devices would delay a listing by eight seconds.
 */
#ifndef USBFS_H
#define USBFS_H

struct loop;
struct port_handle;

/* Opens a device's node for control transfers.  The caller owns the handle; handle->port has
 * submit, cancel and close only.  Returns 0, or -1 and errno. */
int usbfs_open(struct loop *loop, const char *node, struct port_handle **handle);

/* Selects an alternate setting of a claimed interface.  The kernel sends the request and waits for
 * its answer, for 5 seconds at most.  Returns 0, or a port_result. */
int usbfs_select(int node, unsigned interface, unsigned alt);

#endif
