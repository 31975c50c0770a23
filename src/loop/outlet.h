/* SPDX-License-Identifier: MIT */
/* A file descriptor that is written to without blocking.  Bytes that its reader does not take are
 * kept, up to a limit, and written when there is room.
 */
#ifndef OUTLET_H
#define OUTLET_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct outlet;

#define OUTLET_LIMIT (16u << 20) /* bytes that are kept */

/* full() is called once, when more than OUTLET_LIMIT bytes would have to be kept.  Returns NULL
 * without memory. */
struct outlet *outlet_new(struct loop *loop, int fd, void (*full)(void *arg), void *arg);
void outlet_free(struct outlet *outlet); /* drops what is kept, leaves `fd` open */

/* False and errno: these bytes are lost. */
bool outlet_write(struct outlet *outlet, const void *bytes, size_t length);

/* Bytes that the reader has not taken. */
size_t outlet_backlog(const struct outlet *outlet);

/* The first error, an errno; 0: none.  ENOBUFS: the limit was passed. */
int outlet_error(const struct outlet *outlet);

/* Waits until the reader has taken everything; for a second at most once a signal has asked the
 * process to end, or the limit was passed. */
void outlet_drain(struct outlet *outlet);

/* A file descriptor of the same file, which a signal handler may write to. */
int outlet_fd(const struct outlet *outlet);

#endif
