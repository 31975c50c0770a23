/* SPDX-License-Identifier: MIT */
/* The numbers of the standards: USB 2.0 chapter 9, DFU 1.1 (with its section and table numbers),
 * and DfuSe (ST's AN3156 and UM0424).  Host and simulated board share these, and nothing else.
 */
#ifndef DFU_SPEC_H
#define DFU_SPEC_H

#include <stdint.h>

/* ---- USB ---- */

/* A setup packet: 8 bytes on the wire, in this order; 16-bit numbers have the low byte first. */
struct usb_setup {
    uint8_t type; /* bmRequestType */
    uint8_t request;
    uint16_t value, index, length;
};

/* bmRequestType: direction, type, recipient. */
enum {
    USB_IN = 0x80, /* device to host */
    USB_TYPE_MASK = 0x60,
    USB_TYPE_CLASS = 0x20,
    USB_TO_DEVICE = 0x00,
    USB_TO_INTERFACE = 0x01,
};

/* bRequest of the standard requests, table 9-4. */
enum {
    USB_GET_STATUS = 0,
    USB_GET_DESCRIPTOR = 6,
    USB_GET_CONFIGURATION = 8,
    USB_SET_CONFIGURATION = 9,
    USB_GET_INTERFACE = 10,
    USB_SET_INTERFACE = 11,
};

/* bDescriptorType, table 9-5. */
enum {
    USB_DEVICE_DESCRIPTOR = 1,
    USB_CONFIG_DESCRIPTOR = 2,
    USB_STRING_DESCRIPTOR = 3,
    USB_INTERFACE_DESCRIPTOR = 4,
};

enum { USB_ENGLISH_US = 0x0409 }; /* wLANGID */

/* ---- DFU 1.1 ---- */

enum { DFU_INTERFACE_CLASS = 0xFE, DFU_INTERFACE_SUBCLASS = 1 };
enum { DFU_FUNCTIONAL_DESCRIPTOR = 0x21 }; /* bDescriptorType, 4.1.3 */

/* bmAttributes of the functional descriptor. */
enum {
    DFU_CAN_DNLOAD = 0x01,
    DFU_CAN_UPLOAD = 0x02,
    DFU_MANIFESTATION_TOLERANT = 0x04,
    DFU_WILL_DETACH = 0x08,
};

/* bmRequestType of the class requests: to the interface, from the interface. */
enum { DFU_OUT = 0x21, DFU_IN = 0xA1 };

/* bRequest, table 3.2. */
enum {
    DFU_REQ_DETACH,
    DFU_REQ_DNLOAD,
    DFU_REQ_UPLOAD,
    DFU_REQ_GETSTATUS,
    DFU_REQ_CLRSTATUS,
    DFU_REQ_GETSTATE,
    DFU_REQ_ABORT,
};

enum { DFU_STATUS_LENGTH = 6 }; /* bytes that GETSTATUS gives, 6.1.2 */

/* bState, 6.1.2. */
enum dfu_state {
    DFU_APP_IDLE,
    DFU_APP_DETACH,
    DFU_IDLE,
    DFU_DNLOAD_SYNC,
    DFU_DNBUSY,
    DFU_DNLOAD_IDLE,
    DFU_MANIFEST_SYNC,
    DFU_MANIFEST,
    DFU_MANIFEST_WAIT_RESET,
    DFU_UPLOAD_IDLE,
    DFU_ERROR,
    DFU_STATES, /* how many there are */
};

/* bStatus, 6.1.2. */
enum dfu_status {
    DFU_OK,
    DFU_ERR_TARGET,
    DFU_ERR_FILE,
    DFU_ERR_WRITE,
    DFU_ERR_ERASE,
    DFU_ERR_CHECK_ERASED,
    DFU_ERR_PROG,
    DFU_ERR_VERIFY,
    DFU_ERR_ADDRESS,
    DFU_ERR_NOTDONE,
    DFU_ERR_FIRMWARE,
    DFU_ERR_VENDOR,
    DFU_ERR_USBR,
    DFU_ERR_POR,
    DFU_ERR_UNKNOWN,
    DFU_ERR_STALLEDPKT,
    DFU_STATUSES, /* how many there are */
};

/* ---- DfuSe ---- */

/* Commands: the first byte of block 0. */
enum {
    DFUSE_GET_COMMANDS = 0x00,
    DFUSE_SET_ADDRESS = 0x21,
    DFUSE_ERASE = 0x41,
    DFUSE_READ_UNPROTECT = 0x92,
};

/* The block whose data belong to the address of Set Address. */
enum { DFUSE_FIRST_BLOCK = 2 };

#endif
