/* SPDX-License-Identifier: MIT */
#include "loop/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct {
    unsigned baud;
    speed_t speed;
} rates[] = {
    { 300, B300 },         { 600, B600 },         { 1200, B1200 },       { 2400, B2400 },
    { 4800, B4800 },       { 9600, B9600 },       { 19200, B19200 },     { 38400, B38400 },
    { 57600, B57600 },     { 115200, B115200 },   { 230400, B230400 },   { 460800, B460800 },
    { 500000, B500000 },   { 576000, B576000 },   { 921600, B921600 },   { 1000000, B1000000 },
    { 1152000, B1152000 }, { 1500000, B1500000 }, { 2000000, B2000000 }, { 2500000, B2500000 },
    { 3000000, B3000000 },
};

/* B0 for an unknown rate. */
static speed_t speed_of(unsigned baud)
{
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (rates[i].baud == baud)
            return rates[i].speed;
    return B0;
}

bool serial_has_rate(unsigned baud)
{
    return speed_of(baud) != B0;
}

static bool set_up(struct serial *serial, unsigned baud)
{
    if (tcgetattr(serial->fd, &serial->before) != 0)
        return false;
    /* flock() keeps out programs that ask for a lock, root among them; TIOCEXCL all others */
    if (flock(serial->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            errno = EBUSY;
        return false;
    }
    if (ioctl(serial->fd, TIOCEXCL) != 0)
        return false;
    struct termios raw = serial->before;
    cfmakeraw(&raw);
    raw.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
    raw.c_cflag |= CLOCAL | CREAD;
    raw.c_cc[VMIN] = 1; /* read() gives EAGAIN where there is nothing, and 0 at the end only */
    raw.c_cc[VTIME] = 0;
    if (cfsetspeed(&raw, speed_of(baud)) == 0 && tcsetattr(serial->fd, TCSANOW, &raw) == 0)
        return true;
    int error = errno;
    ioctl(serial->fd, TIOCNXCL);
    errno = error;
    return false;
}

bool serial_open(struct serial *serial, const char *path, unsigned baud)
{
    serial->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (serial->fd < 0)
        return false;
    if (set_up(serial, baud))
        return true;
    int error = errno;
    close(serial->fd);
    errno = error;
    return false;
}

size_t serial_unsent(const struct serial *serial)
{
    int n = 0;
    return ioctl(serial->fd, TIOCOUTQ, &n) == 0 && n > 0 ? (size_t)n : 0;
}

void serial_drop_unsent(const struct serial *serial)
{
    tcflush(serial->fd, TCOFLUSH);
}

void serial_close(struct serial *serial)
{
    if (serial_unsent(serial) == 0)
        tcsetattr(serial->fd, TCSANOW, &serial->before);
    ioctl(serial->fd, TIOCNXCL);
    close(serial->fd);
}

bool serial_touch(const char *path)
{
    struct serial serial;
    int dtr = TIOCM_DTR;
    if (!serial_open(&serial, path, 1200))
        return false;
    /* a pseudo-terminal has no such line; a board may be gone at once */
    (void)ioctl(serial.fd, TIOCMBIC, &dtr);
    ioctl(serial.fd, TIOCNXCL);
    close(serial.fd); /* the rate stays: the board looks at it when DTR falls */
    return true;
}
