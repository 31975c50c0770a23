/* SPDX-License-Identifier: MIT */
/* Serial ports, with a pseudo-terminal in their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "loop/serial.h"

static int far_end, near_end; /* near_end keeps the line open */
static char path[100];

static int open_pair(void **state)
{
    (void)state;
    far_end = posix_openpt(O_RDWR | O_NOCTTY);
    if (far_end < 0 || grantpt(far_end) != 0 || unlockpt(far_end) != 0)
        return -1;
    if (ptsname_r(far_end, path, sizeof path) != 0)
        return -1;
    near_end = open(path, O_RDWR | O_NOCTTY);
    return near_end < 0 ? -1 : 0;
}

static int close_pair(void **state)
{
    (void)state;
    close(near_end);
    return far_end < 0 ? 0 : close(far_end);
}

static void test_bytes_as_they_are(void **state)
{
    static const char hostile[] = "\x03\x04\r\n\x11\x13\x1A\x7F\0\xFF\x1C";
    char bytes[100];
    struct serial serial;
    (void)state;
    assert_true(serial_open(&serial, path, 115200));
    assert_int_equal(write(serial.fd, hostile, sizeof hostile), sizeof hostile);
    assert_int_equal(read(far_end, bytes, sizeof bytes), sizeof hostile);
    assert_memory_equal(bytes, hostile, sizeof hostile);
    assert_int_equal(write(far_end, hostile, sizeof hostile), sizeof hostile);
    assert_int_equal(read(serial.fd, bytes, sizeof bytes), sizeof hostile);
    assert_memory_equal(bytes, hostile, sizeof hostile);
    assert_int_equal(read(serial.fd, bytes, sizeof bytes), -1); /* no data now is not the end */
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(serial_unsent(&serial), 0);
    serial_close(&serial);
}

static void test_settings_come_and_go(void **state)
{
    struct termios before, now;
    struct serial serial;
    (void)state;
    tcgetattr(near_end, &before);
    before.c_cflag |= CSTOPB | CRTSCTS;
    tcsetattr(near_end, TCSANOW, &before);
    tcgetattr(near_end, &before);
    assert_true(serial_open(&serial, path, 921600));
    tcgetattr(near_end, &now);
    assert_int_equal(cfgetispeed(&now), B921600);
    assert_int_equal(cfgetospeed(&now), B921600);
    assert_int_equal(now.c_cflag & (CSIZE | PARENB | CSTOPB | CRTSCTS | CLOCAL), CS8 | CLOCAL);
    assert_int_equal(now.c_lflag & (ICANON | ECHO | ISIG), 0);
    serial_close(&serial);
    tcgetattr(near_end, &now);
    assert_int_equal(now.c_lflag, before.c_lflag);
    assert_int_equal(now.c_cflag, before.c_cflag);
    assert_int_equal(cfgetospeed(&now), cfgetospeed(&before));
}

static void test_one_at_a_time(void **state)
{
    struct serial serial, other;
    (void)state;
    assert_true(serial_open(&serial, path, 9600));
    assert_false(serial_open(&other, path, 9600));
    assert_int_equal(errno, EBUSY);
    serial_close(&serial);
    assert_true(serial_open(&other, path, 9600));
    serial_close(&other);
}

static void test_what_is_no_port(void **state)
{
    struct serial serial;
    (void)state;
    assert_false(serial_open(&serial, "/dev/null", 9600));
    assert_int_equal(errno, ENOTTY);
    assert_false(serial_open(&serial, "/dev/there-is-none", 9600));
    assert_int_equal(errno, ENOENT);
}

/* The rate stays: a board looks at it when the line falls. */
static void test_touch(void **state)
{
    struct termios settings;
    struct serial serial;
    (void)state;
    assert_true(serial_touch(path));
    assert_int_equal(tcgetattr(near_end, &settings), 0);
    assert_int_equal(cfgetospeed(&settings), B1200);
    assert_true(serial_open(&serial, path, 9600)); /* it is not locked */
    assert_false(serial_touch(path));
    assert_int_equal(errno, EBUSY);
    serial_close(&serial);
    assert_false(serial_touch("/dev/there-is-none"));
    assert_int_equal(errno, ENOENT);
}

static void test_unplugged(void **state)
{
    char byte;
    struct serial serial;
    (void)state;
    assert_true(serial_open(&serial, path, 9600));
    close(far_end);
    far_end = -1;
    assert_true(read(serial.fd, &byte, 1) == 0 || errno == EIO);
    assert_int_equal(write(serial.fd, "x", 1), -1);
    assert_int_equal(errno, EIO);
    serial_close(&serial);
}

static void test_rates(void **state)
{
    (void)state;
    assert_true(serial_has_rate(300) && serial_has_rate(115200) && serial_has_rate(3000000));
    assert_false(serial_has_rate(0) || serial_has_rate(1) || serial_has_rate(115201));
}

#define SERIAL_TEST(f) cmocka_unit_test_setup_teardown(f, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERIAL_TEST(test_bytes_as_they_are),
        SERIAL_TEST(test_settings_come_and_go),
        SERIAL_TEST(test_one_at_a_time),
        SERIAL_TEST(test_what_is_no_port),
        SERIAL_TEST(test_touch),
        SERIAL_TEST(test_unplugged),
        cmocka_unit_test(test_rates),
    };

    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
