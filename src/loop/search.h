/* SPDX-License-Identifier: MIT */
/* Ctrl-R at the prompt: looks for a statement of the history while its words are typed, and shows
 * what it has found.  libedit's own search reads keys itself, so it would stop the loop.
 */
#ifndef SEARCH_H
#define SEARCH_H

#include <stdbool.h>
#include <stddef.h>

#include <histedit.h>

struct search {
    History *history;
    bool on;
    char words[64]; /* that are looked for */
    size_t length;
    char *before;  /* the line as it was before the search */
    char *found;   /* NULL: nothing yet */
    int at;        /* the found statement; 0 is the last one of the history */
    bool has_more; /* false: no statement, or no further one, has the words */
};

enum search_end {
    SEARCH_GOES_ON,
    SEARCH_OVER,
    SEARCH_TAKEN, /* it is over: the line stays, and the key, which is none of the search's, is
                     still to do */
};

/* Begins a search.  line: what has been typed, which is looked for first. */
void search_begin(struct search *search, const char *line, size_t length);

/* Handles a key. */
enum search_end search_key(struct search *search, const unsigned char *key, size_t length);

/* The line to show. */
const char *search_line(const struct search *search);

/* Writes the text to show in the place of the prompt. */
void search_prompt(const struct search *search, char *prompt, size_t size);

/* Ends the search. */
void search_end(struct search *search);

#endif
