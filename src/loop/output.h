/* SPDX-License-Identifier: MIT */
/* Standard output and standard error: `stdout` and `stderr` become streams over outlets, which
 * never block, for C and for Lua's io library.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

struct loop;

/* full() is called once, when a reader has not taken more than OUTLET_LIMIT bytes.  Returns false
 * if memory is short. */
bool output_begin(struct loop *loop, void (*full)(void *arg), void *arg);

/* Returns the number of bytes that the reader of descriptor 1 or 2 has not taken. */
size_t output_backlog(int fd);

/* Flushes both, waits for their readers, and restores both streams.  If part of what was written to
 * standard output was not taken, writes the complaint to standard error and returns false. */
bool output_end(const char *complaint);

#endif
