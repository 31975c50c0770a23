/* SPDX-License-Identifier: MIT */
/* Edits one line on a terminal, key by key.  Nothing here waits, or knows Lua or the loop.  edit.c
 * uses libedit; noedit.c, in a build with LIBEDIT=0, leaves editing to the terminal.
 */
#ifndef EDIT_H
#define EDIT_H

#include <stdbool.h>
#include <stdio.h>

struct edit;

/* complete() is called for Tab.  before: the line up to the cursor.  It sets what to insert, and
 * lines to show; both may be NULL, and stay valid until the next call. */
struct edit_completion {
    void (*complete)(void *arg, const char *before, const char **insert, const char **show);
    void *arg;
};

/* An editor on standard input and output, which are a terminal.  NULL: no memory. */
struct edit *edit_new(const struct edit_completion *completion);
void edit_free(struct edit *edit);

/* Shows the prompt (15 bytes at most) and an empty line, and sets the terminal to single keys. */
void edit_begin(struct edit *edit, const char *prompt);

enum edit_key {
    EDIT_NO_KEY, /* no key was pressed */
    EDIT_KEY,    /* a key was handled */
    EDIT_ENTER,  /* the line is complete */
    EDIT_END     /* Ctrl-D in an empty line, or the terminal was closed */
};

/* Handles the next key, if one was pressed. */
enum edit_key edit_next_key(struct edit *edit);

/* The line, without a newline at its end.  Valid until another function is called. */
const char *edit_text(struct edit *edit, size_t *length);

/* Restores the terminal.  note: shown after a line that was not entered, or NULL. */
void edit_end(struct edit *edit, const char *note);

/* Writes whole lines above the line that is edited. */
void edit_write_above(struct edit *edit, FILE *file, const char *text, size_t length);

/* Adds a line to the history that the arrow keys show. */
void edit_remember(struct edit *edit, const char *text);

/* To be called when the size of the terminal has changed. */
void edit_resized(struct edit *edit);

/* To be called before the process is stopped, and when it goes on, which may come without a stop.
 */
void edit_stop(struct edit *edit);
void edit_go_on(struct edit *edit);

/* Restores the terminal, in signal context. */
void edit_restore(void);

#endif
