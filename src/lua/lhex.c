/* SPDX-License-Identifier: MIT */
#include "lua/lhex.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>

enum { NO_DIGIT = 0xFF };

/* Returns the value of a hex digit, or NO_DIGIT. */
static unsigned value_of(char c)
{
    unsigned digit = (unsigned)(unsigned char)c - '0';
    unsigned letter = ((unsigned)(unsigned char)c | 0x20) - 'a';
    return digit <= 9 ? digit : letter <= 5 ? letter + 10 : NO_DIGIT;
}

/* Returns the byte of two digits, or -1. */
static int byte_at(const char *digits)
{
    unsigned high = value_of(digits[0]), low = value_of(digits[1]);
    return (high | low) > 15 ? -1 : (int)(high << 4 | low);
}

/*** sys.unhex(text, at, most) --> bytes, their sum modulo 256, the position behind: decodes pairs
 * of hex digits, up to the first that is none, and up to `most` bytes (512). */
int lhex_unhex(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    lua_Integer from = luaL_checkinteger(L, 2), most = luaL_checkinteger(L, 3);
    char bytes[512];
    luaL_argcheck(L, from >= 1, 2, "a position");
    luaL_argcheck(L, most >= 0 && most <= (lua_Integer)sizeof bytes, 3, "0 to 512");
    size_t at = (size_t)from - 1, n = 0;
    unsigned sum = 0;
    for (; n < (size_t)most && at < length && length - at >= 2; n++, at += 2) {
        int value = byte_at(text + at);
        if (value < 0)
            break;
        bytes[n] = (char)value;
        sum += (unsigned)value;
    }
    lua_pushlstring(L, bytes, n);
    lua_pushinteger(L, (lua_Integer)(sum & 0xFF));
    lua_pushinteger(L, (lua_Integer)at + 1);
    return 3;
}

/* ---- runs of records ---- */

struct record {
    uint32_t address;
    unsigned length; /* bytes of data */
    uint8_t data[255];
    size_t taken; /* characters of the line, with its end */
};

/* The layout of a format's data records. */
struct format {
    unsigned head;    /* characters in front of the digits: ":", "S3" */
    unsigned width;   /* bytes of address */
    unsigned counted; /* bytes besides the data that the first byte counts */
    unsigned sum;     /* of all bytes, modulo 256 */
    bool typed;       /* Intel HEX: a type byte, 00, behind the address */
};

static bool find_format(const char *text, size_t length, struct format *format)
{
    if (length < 2)
        return false;
    if (text[0] == ':') {
        *format = (struct format){ .head = 1, .width = 2, .counted = 0, .sum = 0, .typed = true };
        return true;
    }
    if (text[0] != 'S' || text[1] < '1' || text[1] > '3')
        return false;
    unsigned width = (unsigned)(text[1] - '0') + 1;
    *format = (struct format){ .head = 2, .width = width, .counted = width + 1, .sum = 0xFF };
    return true;
}

/* Reads a valid data record.  Returns false for any other line: lua/moonflash/image/records.lua
 * reads that one, and reports what is wrong. */
static bool read_record(const struct format *format, const char *text, size_t length,
                        struct record *record)
{
    size_t at = format->head;
    int first = length >= at + 2 ? byte_at(text + at) : -1;
    if (first <= (int)format->counted)
        return false;
    record->length = (unsigned)first - format->counted;
    size_t bytes = 1 + format->width + (format->typed ? 1 : 0) + record->length + 1;
    if (length < at + 2 * bytes + 1)
        return false;
    uint8_t all[1 + 4 + 1 + 255 + 1];
    unsigned sum = 0;
    for (size_t i = 0; i < bytes; i++, at += 2) {
        int value = byte_at(text + at);
        if (value < 0)
            return false;
        all[i] = (uint8_t)value;
        sum += (unsigned)value;
    }
    const uint8_t *data = all + 1 + format->width + (format->typed ? 1 : 0);
    if ((sum & 0xFF) != format->sum || (format->typed && data[-1] != 0))
        return false;
    record->address = 0;
    for (unsigned i = 0; i < format->width; i++)
        record->address = record->address << 8 | all[1 + i];
    for (unsigned i = 0; i < record->length; i++)
        record->data[i] = data[i];
    if (text[at] == '\r' && at + 1 < length)
        at++;
    record->taken = at + 1;
    return text[at] == '\n';
}

/*** sys.unhex_run(text, at) --> bytes, address, number of records, the position behind: decodes
 * data records of Intel HEX or S-records, up to the first that is invalid or not adjacent; or nil,
 * if that is the first of all */
int lhex_unhex_run(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    lua_Integer from = luaL_checkinteger(L, 2);
    luaL_argcheck(L, from >= 1, 2, "a position");
    size_t at = (size_t)from - 1;
    struct format format;
    struct record record;
    if (at >= length || !find_format(text + at, length - at, &format) ||
        !read_record(&format, text + at, length - at, &record))
        return 0;
    uint64_t limit = 1ULL << 8 * format.width, stop = record.address;
    lua_Integer records = 0;
    luaL_Buffer bytes;
    lua_pushinteger(L, (lua_Integer)record.address);
    luaL_buffinit(L, &bytes);
    do {
        if (record.address != stop || stop + record.length > limit)
            break;
        luaL_addlstring(&bytes, (const char *)record.data, record.length);
        stop += record.length;
        at += record.taken;
        records++;
    } while (at < length && text[at] == text[from - 1] &&
             (format.head == 1 || (at + 1 < length && text[at + 1] == text[from])) &&
             read_record(&format, text + at, length - at, &record));
    luaL_pushresult(&bytes);
    if (records == 0)
        return 0;
    lua_insert(L, -2);
    lua_pushinteger(L, records);
    lua_pushinteger(L, (lua_Integer)at + 1);
    return 4;
}
