/* SPDX-License-Identifier: MIT */
/* Lines that the terminal edits itself: for builds with LIBEDIT=0. */
#include "loop/edit.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 4096 /* bytes: the longest line that a terminal edits */

struct edit {
    char line[MOST];
    size_t length;
};

struct edit *edit_new(const struct edit_completion *completion)
{
    (void)completion;
    return calloc(1, sizeof(struct edit));
}

void edit_free(struct edit *edit)
{
    free(edit);
}

void edit_begin(struct edit *edit, const char *prompt)
{
    edit->length = 0;
    fputs(prompt, stdout);
    fflush(stdout);
}

/* Reads byte by byte: what is typed after the end of a line is left to the next reader. */
enum edit_key edit_next_key(struct edit *edit)
{
    struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
    if (poll(&input, 1, 0) <= 0)
        return EDIT_NO_KEY;
    char byte;
    if (read(STDIN_FILENO, &byte, 1) != 1)
        return EDIT_END;
    if (byte == '\n')
        return EDIT_ENTER;
    if (edit->length < MOST)
        edit->line[edit->length++] = byte;
    return EDIT_KEY;
}

const char *edit_text(struct edit *edit, size_t *length)
{
    *length = edit->length;
    return edit->line;
}

void edit_end(struct edit *edit, const char *note)
{
    (void)edit;
    if (note)
        puts(note[0] == '^' ? "" : note); /* the terminal shows a ^C itself */
    fflush(stdout);
}

void edit_write_above(struct edit *edit, FILE *file, const char *text, size_t length)
{
    (void)edit;
    fwrite(text, 1, length, file);
    fflush(file);
}

void edit_remember(struct edit *edit, const char *text)
{
    (void)edit;
    (void)text;
}

void edit_resized(struct edit *edit)
{
    (void)edit;
}

void edit_stop(struct edit *edit)
{
    (void)edit;
}

void edit_go_on(struct edit *edit)
{
    (void)edit;
}

void edit_restore(void)
{
}
