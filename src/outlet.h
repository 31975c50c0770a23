/* SPDX-License-Identifier: MIT */
/* A file descriptor that is written to without blocking.  What its reader does not take is kept, up
 * to a limit, and follows when there is room.
 */
#ifndef OUTLET_H
#define OUTLET_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct outlet;

#define OUTLET_LIMIT (16u << 20) /* bytes that are kept */

/* full() is called once, when more than OUTLET_LIMIT bytes would have to be kept.  NULL: no
 * memory. */
struct outlet *outlet_new(struct loop *loop, int fd, void (*full)(void *arg), void *arg);
void outlet_free(struct outlet *outlet); /* does not write what is left, nor close `fd` */

/* False and errno: these bytes are lost. */
bool outlet_write(struct outlet *outlet, const void *bytes, size_t length);

/* Bytes that the reader has not taken. */
size_t outlet_backlog(const struct outlet *outlet);

/* The first error, an errno; 0: none.  ENOBUFS: the limit was passed. */
int outlet_error(const struct outlet *outlet);

/* Waits until the reader has taken all.  Once a signal has asked the process to end, or the limit
 * was passed, no longer than a second. */
void outlet_drain(struct outlet *outlet);

/* A descriptor of the same file that a signal handler may write to. */
int outlet_fd(const struct outlet *outlet);

#endif
