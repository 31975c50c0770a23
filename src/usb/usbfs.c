/* SPDX-License-Identifier: MIT */
#include "usb/usbfs.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "loop/loop.h"
#include "usb/port.h"

enum { SETUP_LENGTH = 8, MOST_DATA = 65535 };

_Static_assert(sizeof(struct usb_setup) == SETUP_LENGTH, "a setup packet has no padding");

struct usbfs_handle {
    struct port_handle head;
    struct port port;
    struct loop *loop;
    int node;              /* file descriptor */
    unsigned char *buffer; /* setup packet and data */
    struct port_transfer *transfer;
    struct loop_watch watch;
    struct loop_timer timer;
    struct loop_job finished; /* of a transfer that could not be submitted */
    int result;
    bool timed_out;
    struct usbdevfs_urb urb; /* the last field: it ends in an array of any length */
};

static void end(struct usbfs_handle *handle, int result)
{
    struct port_transfer *transfer = handle->transfer;
    loop_unwatch(handle->loop, &handle->watch);
    loop_timer_cancel(handle->loop, &handle->timer);
    handle->transfer = NULL;
    transfer->done(transfer->arg, result);
}

static int result_of(const struct usbfs_handle *handle)
{
    const struct usb_setup *setup = &handle->transfer->setup;
    switch (handle->urb.status) {
    case 0:
        if (handle->urb.actual_length < 0 || handle->urb.actual_length > setup->length)
            return PORT_IO;
        if (setup->type & USB_IN)
            memcpy(handle->transfer->data, handle->buffer + SETUP_LENGTH,
                   (size_t)handle->urb.actual_length);
        return handle->urb.actual_length;
    case -EPIPE:
        return PORT_STALL;
    case -ENODEV:
    case -ESHUTDOWN:
        return PORT_GONE;
    case -ENOENT: /* discarded */
    case -ECONNRESET:
        return handle->timed_out ? PORT_TIMEOUT : PORT_CANCELLED;
    default:
        return PORT_IO;
    }
}

/* Called when poll(2) reports the node as writable, which means that a transfer has ended. */
static void reap(void *arg, short events)
{
    struct usbfs_handle *handle = arg;
    void *urb;
    (void)events;
    if (ioctl(handle->node, USBDEVFS_REAPURBNDELAY, &urb) == 0)
        end(handle, result_of(handle));
    else if (errno != EAGAIN && errno != EINTR)
        end(handle, errno == ENODEV ? PORT_GONE : PORT_IO);
}

static void usbfs_cancel(struct port_handle *head)
{
    struct usbfs_handle *handle = (struct usbfs_handle *)head;
    if (handle->transfer && !handle->finished.posted)
        ioctl(handle->node, USBDEVFS_DISCARDURB, &handle->urb);
}

static void time_out(void *arg)
{
    struct usbfs_handle *handle = arg;
    handle->timed_out = true;
    usbfs_cancel(&handle->head);
}

static void fail(void *arg)
{
    struct usbfs_handle *handle = arg;
    end(handle, handle->result);
}

static void usbfs_submit(struct port_handle *head, struct port_transfer *transfer)
{
    struct usbfs_handle *handle = (struct usbfs_handle *)head;
    const struct usb_setup *setup = &transfer->setup;
    const struct usb_setup packet = { setup->type, setup->request, htole16(setup->value),
                                      htole16(setup->index), htole16(setup->length) };
    memcpy(handle->buffer, &packet, SETUP_LENGTH);
    if (!(setup->type & USB_IN) && setup->length > 0)
        memcpy(handle->buffer + SETUP_LENGTH, transfer->data, setup->length);
    handle->urb = (struct usbdevfs_urb){
        .type = USBDEVFS_URB_TYPE_CONTROL,
        .buffer = handle->buffer,
        .buffer_length = SETUP_LENGTH + setup->length,
    };
    handle->transfer = transfer;
    handle->timed_out = false;
    if (ioctl(handle->node, USBDEVFS_SUBMITURB, &handle->urb) < 0) {
        handle->result = errno == ENODEV ? PORT_GONE : PORT_IO;
        loop_post(handle->loop, &handle->finished);
        return;
    }
    loop_watch(handle->loop, &handle->watch);
    loop_timer_set(handle->loop, &handle->timer, loop_now(handle->loop) + transfer->timeout);
}

static void usbfs_close(struct port_handle *head)
{
    struct usbfs_handle *handle = (struct usbfs_handle *)head;
    loop_unpost(handle->loop, &handle->finished);
    loop_unwatch(handle->loop, &handle->watch);
    loop_timer_cancel(handle->loop, &handle->timer);
    close(handle->node);
    free(handle->buffer);
    free(handle);
}

int usbfs_open(struct loop *loop, const char *node, struct port_handle **opened)
{
    struct usbfs_handle *handle = calloc(1, sizeof *handle);
    unsigned char *buffer = malloc(SETUP_LENGTH + MOST_DATA);
    int file = handle && buffer ? open(node, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0) {
        int cause = errno;
        free(buffer);
        free(handle);
        errno = cause;
        return -1;
    }
    handle->head.port = &handle->port;
    handle->port.submit = usbfs_submit;
    handle->port.cancel = usbfs_cancel;
    handle->port.close = usbfs_close;
    handle->loop = loop;
    handle->node = file;
    handle->buffer = buffer;
    handle->watch =
        (struct loop_watch){ .ready = reap, .arg = handle, .fd = file, .events = POLLOUT };
    handle->timer.fire = time_out;
    handle->timer.arg = handle;
    handle->finished.run = fail;
    handle->finished.arg = handle;
    *opened = &handle->head;
    return 0;
}

int usbfs_select(int node, unsigned interface, unsigned alt)
{
    struct usbdevfs_setinterface wanted = { .interface = interface, .altsetting = alt };
    if (ioctl(node, USBDEVFS_SETINTERFACE, &wanted) >= 0)
        return 0;
    switch (errno) {
    case EPIPE:
        return PORT_STALL;
    case ENODEV:
    case ESHUTDOWN:
        return PORT_GONE;
    case ETIMEDOUT:
        return PORT_TIMEOUT;
    case EBUSY:
        return PORT_BUSY;
    default:
        return PORT_IO;
    }
}
