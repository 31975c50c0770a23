/* SPDX-License-Identifier: MIT */
/* The ioctls of a device node under /dev/bus/usb, as Linux's drivers/usb/core/devio.c has them, as
 * far as libusb uses them.  Requests in flight and claims are each client's own. */
#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "inside.h"

enum { SETUP_LENGTH = 8, SET_INTERFACE = 11, FULL_SPEED = 2 };

static const double idle_pause = 0.0003; /* of a client that asks for what is not there yet */

struct urb {
    UMockdevIoctlData *data, *buffer;
    struct usb_setup setup;
    uint8_t *bytes; /* setup.length of them */
    struct outcome outcome;
    double ready;
    bool discarded;
    struct urb *next;
};

/* An open file. */
struct client {
    struct bed_device *device;
    uint32_t claims; /* a bit for each interface */
    struct urb *urbs;
    bool reaped; /* something, since it was told that there is nothing */
};

/* ---- clients ---- */

static struct client *client_of(UMockdevIoctlClient *end)
{
    return g_object_get_data(G_OBJECT(end), "client");
}

static void free_urb(struct urb *urb)
{
    g_object_unref(urb->buffer);
    g_object_unref(urb->data);
    free(urb->bytes);
    free(urb);
}

/* The file was closed.  umockdev 0.17 reports no close, but releases its object. */
static void forget_client(gpointer arg)
{
    struct client *client = arg;
    struct bed_device *device = client->device;
    g_mutex_lock(&device->bed->lock);
    device->clients--;
    for (int i = 0; i < 32; i++)
        device->claims[i] -= client->claims >> i & 1;
    g_mutex_unlock(&device->bed->lock);
    while (client->urbs) {
        struct urb *urb = client->urbs;
        client->urbs = urb->next;
        free_urb(urb);
    }
    free(client);
}

static void on_connected(UMockdevIoctlBase *handler, UMockdevIoctlClient *end, gpointer arg)
{
    struct bed_device *device = arg;
    struct client *client = calloc(1, sizeof *client);
    (void)handler;
    client->device = device;
    g_mutex_lock(&device->bed->lock);
    device->clients++;
    g_mutex_unlock(&device->bed->lock);
    g_object_set_data_full(G_OBJECT(end), "client", client, forget_client);
}

/* ---- claims ---- */

/* Whether the active configuration has the interface.  A device with one has whatever it says. */
static bool has_interface(const struct bed_device *device, unsigned interface)
{
    enum { CONFIG = 2, INTERFACE = 4, LENGTH = 9 };
    size_t length;
    const uint8_t *bytes = bed_board_config(device->board, &length);
    int value = -1, configs = 0;
    bool found = false;
    for (size_t i = 0; i + LENGTH <= length && bytes[i] >= 2; i += bytes[i]) {
        if (bytes[i + 1] == CONFIG && bytes[i] == LENGTH) {
            value = bytes[i + 5];
            configs++;
        }
        if (bytes[i + 1] == INTERFACE && value == device->configuration)
            found = found || bytes[i + 2] == interface;
    }
    return found || configs < 2;
}

static int set_configuration(struct bed_device *device, int value)
{
    char path[sizeof SYSFS + BED_PATH], text[16];
    for (int i = 0; i < 32; i++)
        if (device->claims[i] > 0)
            return -EBUSY;
    device->configuration = value;
    snprintf(path, sizeof path, "%s/%s", SYSFS, device->board->path);
    snprintf(text, sizeof text, "%d\n", value);
    umockdev_testbed_set_attribute(device->bed->testbed, path, "bConfigurationValue", text);
    return 0;
}

static bool may_claim(const struct client *client, unsigned interface)
{
    const struct bed_device *device = client->device;
    bool own = client->claims >> interface & 1;
    return own || (device->claims[interface] == 0 && !device->board->occupied);
}

static int claim(struct client *client, unsigned interface)
{
    if (interface >= 32)
        return -EINVAL;
    if (!has_interface(client->device, interface))
        return -ENOENT;
    if (!may_claim(client, interface))
        return -EBUSY;
    if (!(client->claims >> interface & 1))
        client->device->claims[interface]++;
    client->claims |= 1u << interface;
    return 0;
}

static int release(struct client *client, unsigned interface)
{
    if (interface >= 32 || !(client->claims >> interface & 1))
        return -EINVAL;
    client->claims &= ~(1u << interface);
    client->device->claims[interface]--;
    return 0;
}

/* ---- requests ---- */

/* The kernel claims an interface for the client that addresses it. */
static int may_address(struct client *client, const struct usb_setup *setup)
{
    bool interface = (setup->type & 0x1F) == 1 && (setup->type & 0x60) != 0x40;
    return interface ? claim(client, setup->index & 0xFF) : 0;
}

static double seconds_now(void)
{
    return (double)g_get_monotonic_time() / 1e6;
}

static void send(struct client *client, struct urb *urb)
{
    struct bed_board *board = client->device->board;
    urb->outcome = bed_request(board, &urb->setup, urb->bytes);
    urb->ready = seconds_now() + urb->outcome.seconds;
}

static int submit(struct client *client, UMockdevIoctlData *data)
{
    struct usbdevfs_urb *head = (struct usbdevfs_urb *)data->data;
    if (head->type != USBDEVFS_URB_TYPE_CONTROL || head->buffer_length < SETUP_LENGTH)
        return -EINVAL;
    size_t length = (size_t)head->buffer_length;
    UMockdevIoctlData *buffer =
        umockdev_ioctl_data_resolve(data, offsetof(struct usbdevfs_urb, buffer), length, NULL);
    if (!buffer)
        return -EFAULT;
    struct usb_setup setup;
    memcpy(&setup, buffer->data, sizeof setup);
    int error = setup.length > length - SETUP_LENGTH ? -EINVAL : may_address(client, &setup);
    if (error) {
        g_object_unref(buffer);
        return error;
    }
    struct urb *urb = calloc(1, sizeof *urb), **last = &client->urbs;
    urb->data = g_object_ref(data);
    urb->buffer = buffer;
    urb->setup = setup;
    urb->bytes = calloc(1, setup.length + 1u);
    memcpy(urb->bytes, buffer->data + SETUP_LENGTH, setup.length);
    while (*last)
        last = &(*last)->next;
    *last = urb;
    send(client, urb);
    return 0;
}

static int discard(struct client *client, gulong address)
{
    for (struct urb *urb = client->urbs; urb; urb = urb->next) {
        if (urb->data->client_addr != address)
            continue;
        bool pending = urb->outcome.never || urb->outcome.held || urb->ready > seconds_now();
        if (pending)
            urb->discarded = true;
        return pending ? 0 : -EINVAL;
    }
    return -EINVAL;
}

/* A request that waited at the gate is sent when it opens, one of a board that left ends. */
static bool is_finished(struct client *client, struct urb *urb)
{
    struct bed_board *board = client->device->board;
    bool gone = client->device->gone;
    if (urb->outcome.held && !gone && board->gate_open) {
        board->held = false;
        send(client, urb);
    }
    bool pending = urb->outcome.never || urb->outcome.held || urb->ready > seconds_now();
    if (!pending)
        return true;
    if (!urb->discarded && !gone)
        return false;
    if (urb->outcome.held && board)
        board->held = false;
    urb->outcome = (struct outcome){ .status = urb->discarded ? -ENOENT : -ESHUTDOWN };
    return true;
}

/* Writes the result of a request into the client's memory. */
static void give_back(struct urb *urb, UMockdevIoctlData *where)
{
    struct usbdevfs_urb *head = (struct usbdevfs_urb *)urb->data->data;
    int32_t status = urb->outcome.status, count = urb->outcome.count;
    umockdev_ioctl_data_update(urb->data, offsetof(struct usbdevfs_urb, status), (guint8 *)&status,
                               sizeof head->status);
    umockdev_ioctl_data_update(urb->data, offsetof(struct usbdevfs_urb, actual_length),
                               (guint8 *)&count, sizeof head->actual_length);
    if (urb->setup.type & USB_IN && count > 0)
        umockdev_ioctl_data_update(urb->buffer, SETUP_LENGTH, urb->bytes, count);
    umockdev_ioctl_data_set_ptr(where, 0, urb->data);
}

static int reap(struct client *client, UMockdevIoctlData *where)
{
    for (struct urb **p = &client->urbs; *p; p = &(*p)->next) {
        struct urb *urb = *p;
        if (!is_finished(client, urb))
            continue;
        *p = urb->next;
        give_back(urb, where);
        free_urb(urb);
        client->reaped = true;
        return 0;
    }
    return client->device->gone ? -ENODEV : -EAGAIN;
}

/* One that the kernel waits for. */
static int control_now(struct client *client, const struct usb_setup *setup, uint8_t *data)
{
    struct bed_board *board = client->device->board;
    struct outcome outcome = bed_request(board, setup, data);
    if (outcome.never || outcome.held)
        return -ETIMEDOUT;
    if (outcome.status == -ESHUTDOWN)
        return -ENODEV;
    return outcome.status ? outcome.status : outcome.count;
}

static int set_interface(struct client *client, UMockdevIoctlData *data)
{
    const struct usbdevfs_setinterface *wanted = (struct usbdevfs_setinterface *)data->data;
    struct usb_setup setup = { .type = 0x01,
                               .request = SET_INTERFACE,
                               .value = (uint16_t)wanted->altsetting,
                               .index = (uint16_t)wanted->interface };
    int error = may_address(client, &setup);
    return error ? error : control_now(client, &setup, NULL);
}

static int control(struct client *client, UMockdevIoctlData *data)
{
    struct usbdevfs_ctrltransfer *transfer = (struct usbdevfs_ctrltransfer *)data->data;
    struct usb_setup setup = { transfer->bRequestType, transfer->bRequest, transfer->wValue,
                               transfer->wIndex, transfer->wLength };
    uint8_t bytes[65536];
    UMockdevIoctlData *buffer = NULL;
    if (setup.length > 0) {
        buffer = umockdev_ioctl_data_resolve(data, offsetof(struct usbdevfs_ctrltransfer, data),
                                             setup.length, NULL);
        if (!buffer)
            return -EFAULT;
        memcpy(bytes, buffer->data, setup.length);
    }
    int result = may_address(client, &setup);
    if (result == 0)
        result = control_now(client, &setup, bytes);
    if (result > 0 && setup.type & USB_IN)
        umockdev_ioctl_data_update(buffer, 0, bytes, result);
    if (buffer)
        g_object_unref(buffer);
    return result;
}

static int reset(struct bed_board *board)
{
    sim_bus_reset(board->sim, bed_now(board));
    if (bed_on_bus(board) && sim_generation(board->sim) == board->device->generation)
        return 0;
    bed_lose(board);
    return -ENODEV;
}

/* ---- ioctls ---- */

static int answer_bytes(UMockdevIoctlData *data, const void *bytes, size_t length)
{
    umockdev_ioctl_data_update(data, 0, (guint8 *)(uintptr_t)bytes, (gint)length);
    return 0;
}

static int serve_data(struct client *client, gulong request, UMockdevIoctlData *data)
{
    static const uint32_t able = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                                 USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
    unsigned interface; /* or a configuration */
    struct usbdevfs_connectinfo info = { .devnum = client->device->number };
    memcpy(&interface, data->data, sizeof interface);
    switch (request) {
    case USBDEVFS_GET_CAPABILITIES:
        return answer_bytes(data, &able, sizeof able);
    case USBDEVFS_CONNECTINFO:
        return answer_bytes(data, &info, sizeof info);
    case USBDEVFS_GETDRIVER:
        return -ENODATA;
    case USBDEVFS_CLAIMINTERFACE:
        return claim(client, interface);
    case USBDEVFS_RELEASEINTERFACE:
        return release(client, interface);
    case USBDEVFS_SETCONFIGURATION:
        return set_configuration(client->device, (int)interface);
    case USBDEVFS_SETINTERFACE:
        return set_interface(client, data);
    case USBDEVFS_SUBMITURB:
        return submit(client, data);
    case USBDEVFS_CONTROL:
        return control(client, data);
    case USBDEVFS_REAPURB:
    case USBDEVFS_REAPURBNDELAY:
        return reap(client, data);
    default:
        return -ENOTTY;
    }
}

static int serve(struct client *client, UMockdevIoctlClient *end)
{
    gulong request = umockdev_ioctl_client_get_request(end);
    UMockdevIoctlData *arg = umockdev_ioctl_client_get_arg(end);
    bool reaps = request == USBDEVFS_REAPURBNDELAY || request == USBDEVFS_REAPURB;
    int result;
    if (client->device->gone && !reaps && request != USBDEVFS_DISCARDURB) {
        result = -ENODEV;
    } else if (request == USBDEVFS_DISCARDURB) {
        result = discard(client, *(gulong *)(void *)arg->data);
    } else if (request == USBDEVFS_RESET) {
        result = reset(client->device->board);
    } else if (request == USBDEVFS_GET_SPEED) {
        result = FULL_SPEED;
    } else if (_IOC_SIZE(request) < sizeof(unsigned)) {
        result = -ENOTTY;
    } else {
        UMockdevIoctlData *data = umockdev_ioctl_data_resolve(arg, 0, _IOC_SIZE(request), NULL);
        result = data ? serve_data(client, request, data) : -EFAULT;
        if (data)
            g_object_unref(data);
    }
    return result;
}

/* A node of the testbed is always ready to be read, so that a client that waits asks all the time:
 * it is slowed down. */
static gboolean on_ioctl(UMockdevIoctlBase *handler, UMockdevIoctlClient *end, gpointer arg)
{
    struct bed_device *device = arg;
    struct client *client = client_of(end);
    (void)handler;
    g_mutex_lock(&device->bed->lock);
    int result = serve(client, end);
    bool idle = result == -EAGAIN && !client->reaped;
    if (result == -EAGAIN)
        client->reaped = false;
    g_mutex_unlock(&device->bed->lock);
    if (idle)
        g_usleep((gulong)(idle_pause * 1e6));
    umockdev_ioctl_client_complete(end, result < 0 ? -1 : result, result < 0 ? -result : 0);
    return TRUE;
}

void usbfs_serve(struct bed_device *device)
{
    g_signal_connect(device->handler, "client-connected", G_CALLBACK(on_connected), device);
    g_signal_connect(device->handler, "handle-ioctl", G_CALLBACK(on_ioctl), device);
}
