/* SPDX-License-Identifier: MIT */
/* Firmware files of any bytes, through image.load: see image.lua for the claims, luarig.h for what
 * holds besides.  An input is a file.  Most mutations get right checksums, so that what is behind
 * them is reached: the CRC of a DFU suffix, the sums of Intel HEX and S-records.
 */
#include "luarig.h"

#include <ctype.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

enum { SUFFIX = 16, MARK = 8 }; /* bytes of a DFU suffix; "UFD" stands so far from its end */

/* ---- right checksums ---- */

static void mend_suffix(uint8_t *data, size_t size)
{
    if (size < SUFFIX || memcmp(data + size - MARK, "UFD", 3) != 0)
        return;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size - 4; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    }
    for (int i = 0; i < 4; i++)
        data[size - 4 + (size_t)i] = (uint8_t)(crc >> 8 * i);
}

static unsigned digit(uint8_t c)
{
    return c <= '9' ? c - '0' : (c | 0x20u) - 'a' + 10u;
}

static void put_byte(uint8_t *p, unsigned byte)
{
    static const char digits[] = "0123456789ABCDEF";
    p[0] = (uint8_t)digits[byte >> 4 & 15];
    p[1] = (uint8_t)digits[byte & 15];
}

/* A record's count of bytes, and its sum; the digits begin at p. */
static void mend_record(uint8_t *p, size_t digits, bool is_srec, bool also_count)
{
    unsigned sum = 0, bytes = (unsigned)digits / 2;
    if (bytes < (is_srec ? 4 : 5) || bytes > 260)
        return;
    if (also_count)
        put_byte(p, is_srec ? bytes - 1 : bytes - 5);
    for (size_t i = 0; i + 1 < bytes; i++)
        sum += digit(p[2 * i]) << 4 | digit(p[2 * i + 1]);
    put_byte(p + 2 * (bytes - 1), is_srec ? ~sum : -sum);
}

static void mend_records(uint8_t *data, size_t size, bool also_counts)
{
    for (size_t at = 0; at < size; at++) {
        bool is_srec = data[at] == 'S', begins = at == 0 || data[at - 1] == '\n';
        if (!begins || (!is_srec && data[at] != ':'))
            continue;
        size_t first = at + (is_srec ? 2 : 1), end = first;
        while (end < size && isxdigit(data[end]))
            end++;
        if (end > first)
            mend_record(data + first, end - first, is_srec, also_counts);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, most);
    if (seed % 8 == 0)
        return size;
    mend_records(data, size, seed % 8 < 6);
    mend_suffix(data, size);
    return size;
}

/* ---- running ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    luarig_open("image.lua");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    luarig_check(data, size);
    return 0;
}
