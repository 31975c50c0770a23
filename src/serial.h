/* SPDX-License-Identifier: MIT */
/* Serial ports: raw bytes, 8N1, no flow control, and nobody else's meanwhile. */
#ifndef SERIAL_H
#define SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

struct serial {
    int fd; /* nonblocking */
    struct termios before;
};

/* Opens the port.  False, and errno is set; EBUSY: somebody has it open. */
bool serial_open(struct serial *serial, const char *path, unsigned baud);

/* How many bytes were written to it and are not on the wire yet. */
size_t serial_unsent(const struct serial *serial);

/* What is unsent is lost. */
void serial_drop_unsent(const struct serial *serial);

/* Leaves it as it was found; but where something is unsent, which that would spoil, as it is. */
void serial_close(struct serial *serial);

/* Whether that is a rate which a serial port may have. */
bool serial_has_rate(unsigned baud);

#endif
