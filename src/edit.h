/* SPDX-License-Identifier: MIT */
/* One line on a terminal, key by key: nothing here waits, or knows Lua or the loop.  edit.c edits
 * it with libedit; noedit.c, in a build with LIBEDIT=0, leaves that to the terminal.
 */
#ifndef EDIT_H
#define EDIT_H

#include <stdbool.h>
#include <stdio.h>

struct edit;

/* What Tab asks for.  before: the line up to the cursor.  Both results may be NULL, and belong to
 * the caller until the next call: what to insert, and lines to be shown. */
struct edit_completion {
    void (*complete)(void *arg, const char *before, const char **insert, const char **show);
    void *arg;
};

/* On standard input and output, which are a terminal.  NULL: no memory. */
struct edit *edit_new(const struct edit_completion *completion);
void edit_free(struct edit *edit);

/* Shows the prompt (15 bytes at most) and an empty line; the terminal gives single keys from now
 * on. */
void edit_begin(struct edit *edit, const char *prompt);

enum edit_key {
    EDIT_NO_KEY, /* none was there */
    EDIT_KEY,    /* one was worked on */
    EDIT_ENTER,  /* the line is complete */
    EDIT_END     /* Ctrl-D in an empty line, or the terminal is gone */
};
enum edit_key edit_next_key(struct edit *edit);

/* The line as it stands; without a newline at the end.  Valid until anything else is called. */
const char *edit_text(struct edit *edit, size_t *length);

/* The terminal is as it was before.  note: what stands behind a line that was not entered. */
void edit_end(struct edit *edit, const char *note);

/* Writes whole lines above the one that is being edited. */
void edit_write_above(struct edit *edit, FILE *file, const char *text, size_t length);

/* The next line that the arrow keys bring back. */
void edit_remember(struct edit *edit, const char *text);

/* The terminal has another size. */
void edit_resized(struct edit *edit);

/* The process is about to be stopped; it goes on, perhaps without having been told before. */
void edit_stop(struct edit *edit);
void edit_go_on(struct edit *edit);

/* In signal context: the terminal is as it was before edit_begin. */
void edit_restore(void);

#endif
