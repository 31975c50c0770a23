/* SPDX-License-Identifier: MIT */
/* Standard output and standard error of the process, over outlets: `stdout` and `stderr` become
 * streams that never block, for C, Lua and its io library alike.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

struct loop;

/* full() is called once, when a reader has left more than OUTLET_LIMIT bytes.  False: no memory. */
bool output_begin(struct loop *loop, void (*full)(void *arg), void *arg);

/* Bytes that the reader of descriptor 1 or 2 has not taken. */
size_t output_backlog(int fd);

/* Flushes both, waits for their readers, and gives both streams back.  Where not all that was
 * written to standard output was taken: false, and the complaint goes to standard error. */
bool output_end(const char *complaint);

#endif
