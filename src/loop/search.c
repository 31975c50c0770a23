/* SPDX-License-Identifier: MIT */
#include "loop/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKSPACE 0x7F
#define CTRL_G    0x07
#define CTRL_H    0x08
#define CTRL_R    0x12
#define CTRL_S    0x13

enum direction { OLDER = 1, NEWER = -1 };

/* The n-th statement, the last one first; NULL if there are fewer. */
static const char *statement(const struct search *search, int n)
{
    HistEvent event;
    int found = history(search->history, &event, H_FIRST);
    while (found >= 0 && n-- > 0)
        found = history(search->history, &event, H_NEXT);
    return found >= 0 ? event.str : NULL;
}

/* Looks from the n-th statement on.  A statement like the one that is shown is passed over. */
static void look(struct search *search, int n, enum direction direction)
{
    const char *text;
    for (; n >= 0 && (text = statement(search, n)) != NULL; n += (int)direction) {
        if (!strstr(text, search->words) || (search->found && strcmp(text, search->found) == 0))
            continue;
        char *copy = strdup(text);
        if (!copy)
            break;
        free(search->found);
        search->found = copy;
        search->at = n;
        search->has_more = true;
        return;
    }
    search->has_more = false;
}

/* The words have changed: what is shown stays if it has them. */
static void look_again(struct search *search, int n)
{
    if (search->found && strstr(search->found, search->words))
        search->has_more = true;
    else if (search->length > 0)
        look(search, n, OLDER);
}

static void remove_character(struct search *search)
{
    while (search->length > 0 && (search->words[search->length - 1] & 0xC0) == 0x80)
        search->length--;
    if (search->length > 0)
        search->length--;
    search->words[search->length] = '\0';
    free(search->found);
    search->found = NULL;
    search->has_more = true;
    look_again(search, 0);
}

static void add_characters(struct search *search, const char *text, size_t length)
{
    if (length == 0 || search->length + length >= sizeof search->words)
        return;
    memcpy(&search->words[search->length], text, length);
    search->length += length;
    search->words[search->length] = '\0';
    look_again(search, search->at);
}

void search_begin(struct search *search, const char *line, size_t length)
{
    search_end(search);
    search->before = strndup(line, length);
    search->on = true;
    search->has_more = true;
    add_characters(search, line, length);
}

enum search_end search_key(struct search *search, const unsigned char *key, size_t length)
{
    switch (key[0]) {
    case CTRL_R:
        if (search->found)
            look(search, search->at + 1, OLDER);
        return SEARCH_GOES_ON;
    case CTRL_S:
        if (search->found)
            look(search, search->at - 1, NEWER);
        return SEARCH_GOES_ON;
    case BACKSPACE:
    case CTRL_H:
        remove_character(search);
        return SEARCH_GOES_ON;
    case CTRL_G:
        free(search->found);
        search->found = NULL;
        return SEARCH_OVER;
    default:
        if (key[0] < ' ')
            return SEARCH_TAKEN;
        add_characters(search, (const char *)key, length);
        return SEARCH_GOES_ON;
    }
}

const char *search_line(const struct search *search)
{
    return search->found ? search->found : search->before ? search->before : "";
}

void search_prompt(const struct search *search, char *prompt, size_t size)
{
    snprintf(prompt, size, "(%s '%s') ", search->has_more ? "search" : "no more", search->words);
}

void search_end(struct search *search)
{
    free(search->before);
    free(search->found);
    *search = (struct search){ .history = search->history };
}
