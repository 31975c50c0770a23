/* SPDX-License-Identifier: MIT */
/* Serial ports: raw bytes, 8N1, no flow control, locked against other programs. */
#ifndef SERIAL_H
#define SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct serial {
    int fd;                /* nonblocking */
    struct termios before; /* settings, to be restored */
};

/* Opens the port.  False and errno; EBUSY: another program has it open. */
bool serial_open(struct serial *serial, const char *path, unsigned baud);

/* The number of bytes that were written and are not on the wire yet. */
size_t serial_unsent(const struct serial *serial);

/* Discards the unsent bytes. */
void serial_drop_unsent(const struct serial *serial);

/* Closes the port and restores its settings, unless bytes are unsent, which that would garble. */
void serial_close(struct serial *serial);

/* Opens the port at 1200 baud and closes it with DTR low: boards with Arduino's USB core enter
 * their boot loader then.  False and errno. */
bool serial_touch(const char *path);

/* Whether a serial port can have this baud rate. */
bool serial_has_rate(unsigned baud);

#endif
