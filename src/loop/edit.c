/* SPDX-License-Identifier: MIT */
#include "loop/edit.h"

#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

#include "loop/search.h"

#define HISTORY_SIZE 1000
#define TAB          8
#define ESC          0x1B
#define CTRL_D       0x04
#define CTRL_R       0x12
#define CTRL_V       0x16
#define CTRL_X       0x18

struct edit {
    EditLine *el;
    History *history;
    struct edit_completion completion;
    struct search search; /* Ctrl-R */
    char prompt[16];
    char shown[96]; /* the prompt, or the search in its place */
    bool editing;
    bool dumb; /* the terminal can't move the cursor up */
    mbstate_t decoding;
    /* One key, as the terminal sends it.  libedit gets it when it is complete, so that libedit
     * never waits for more. */
    unsigned char key[16];
    size_t length, used;
};

/* What edit_restore() uses in signal context. */
static struct {
    volatile sig_atomic_t raw;
    struct termios before;
} terminal;

void edit_restore(void)
{
    if (terminal.raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
}

static struct edit *edit_of(EditLine *el)
{
    void *edit = NULL;
    el_get(el, EL_CLIENTDATA, &edit);
    return edit;
}

static char *prompt_of(EditLine *el)
{
    return edit_of(el)->shown;
}

/* ---- positions on the screen ---- */

static int columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Cells of the text before the line. */
static int prompt_width(const struct edit *edit)
{
    wchar_t wide[sizeof edit->shown];
    size_t n = mbstowcs(wide, edit->shown, sizeof wide / sizeof *wide);
    int width = n == (size_t)-1 ? -1 : wcswidth(wide, n);
    return width >= 0 ? width : (int)strlen(edit->shown);
}

struct place {
    int row, column;
};

/* The position of the line's character at `upto`; the prompt's row is 0. */
static struct place place_of(struct edit *edit, const wchar_t *upto)
{
    const LineInfoW *line = el_wline(edit->el);
    int width = columns(), row = 0, column = prompt_width(edit);
    for (const wchar_t *c = line->buffer; c < upto; c++) {
        int cells = *c == L'\t' ? TAB - column % TAB : wcwidth(*c);
        if (cells < 0)
            cells = 2; /* ^X */
        if (*c == L'\n' || column + cells > width) {
            row++;
            column = 0;
        }
        column += *c == L'\n' ? 0 : cells;
    }
    return (struct place){ row + column / width, column % width };
}

/* Clears the line and its prompt, and puts the cursor where the prompt began. */
static void hide(struct edit *edit)
{
    if (edit->dumb) {
        putchar('\n');
        return;
    }
    int row = place_of(edit, el_wline(edit->el)->cursor).row;
    if (row > 0)
        printf("\033[%dA", row);
    fputs("\r\033[J", stdout);
}

static void leave_line(struct edit *edit, const char *note)
{
    const LineInfoW *line = el_wline(edit->el);
    struct place end = place_of(edit, line->lastchar);
    int below = end.row - place_of(edit, line->cursor).row;
    if (below > 0 && !edit->dumb)
        printf("\033[%dB", below);
    if (!edit->dumb)
        printf("\033[%dG", end.column + 1);
    printf("%s\n", note);
    fflush(stdout);
}

/* Draws the prompt and the line, at the cursor. */
static void show(struct edit *edit)
{
    el_set(edit->el, EL_REFRESH);
}

/* ---- keys ---- */

/* Called by libedit for each character. */
static int take_character(EditLine *el, wchar_t *character)
{
    struct edit *edit = edit_of(el);
    while (edit->used < edit->length) {
        char byte = (char)edit->key[edit->used++];
        size_t n = mbrtowc(character, &byte, 1, &edit->decoding);
        if (n == (size_t)-1)
            memset(&edit->decoding, 0, sizeof edit->decoding);
        else if (n != (size_t)-2)
            return 1;
    }
    return -1;
}

static bool is_complete(const struct edit *edit)
{
    const unsigned char *key = edit->key;
    size_t n = edit->length;
    if (n == sizeof edit->key)
        return true;
    if (key[0] == CTRL_V || key[0] == CTRL_X)
        return n >= 2;
    if (key[0] == ESC) {
        if (n < 2 || (n == 2 && (key[1] == '[' || key[1] == 'O')))
            return false;
        if (n == 3 && key[1] == '[' && key[2] == '[') /* F1 to F5 of Linux's console */
            return false;
        return key[1] != '[' || (key[n - 1] >= 0x40 && key[n - 1] <= 0x7E);
    }
    mbstate_t state = { 0 };
    return mbrtowc(NULL, (const char *)key, n, &state) != (size_t)-2;
}

/* Reads byte by byte: what is typed after the end of a line is left to the next reader. */
static enum edit_key read_key(struct edit *edit)
{
    while (edit->length == 0 || !is_complete(edit)) {
        struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
        if (poll(&input, 1, 0) <= 0)
            return EDIT_NO_KEY;
        if (read(STDIN_FILENO, &edit->key[edit->length], 1) != 1)
            return EDIT_END;
        edit->length++;
    }
    return EDIT_KEY;
}

/* Handles Tab. */
static void complete(struct edit *edit)
{
    const LineInfo *line = el_line(edit->el);
    char *before = strndup(line->buffer, (size_t)(line->cursor - line->buffer));
    const char *insert = NULL, *shown = NULL;
    if (before)
        edit->completion.complete(edit->completion.arg, before, &insert, &shown);
    free(before);
    if (shown) {
        leave_line(edit, "");
        printf("%s\n", shown);
    } else {
        hide(edit);
    }
    if (insert)
        el_insertstr(edit->el, insert);
    show(edit);
}

static bool is_empty(struct edit *edit)
{
    const LineInfoW *line = el_wline(edit->el);
    return line->lastchar == line->buffer;
}

/* Escape sequences of keys, and the editor command of those that libedit does not bind. */
static const char *const sequences[][2] = {
    { "\033[A", NULL },
    { "\033[B", NULL },
    { "\033[C", NULL },
    { "\033[D", NULL },
    { "\033OA", NULL },
    { "\033OB", NULL },
    { "\033OC", NULL },
    { "\033OD", NULL },
    { "\033OH", "ed-move-to-beg" },
    { "\033OF", "ed-move-to-end" },
    { "\033[H", "ed-move-to-beg" },
    { "\033[F", "ed-move-to-end" },
    { "\033[1~", "ed-move-to-beg" },
    { "\033[3~", "ed-delete-next-char" },
    { "\033[4~", "ed-move-to-end" },
    { "\033[1;5C", "em-next-word" },
    { "\033[1;5D", "ed-prev-word" },
};
#define SEQUENCES (sizeof sequences / sizeof *sequences)

/* Whether the key is ignored, because libedit would only insert its last character: other sequences
 * (F5, PgUp), and NUL, which Ctrl-Space sends, and a Ctrl-D pressed before edit_begin(). */
static bool means_nothing(const struct edit *edit)
{
    const unsigned char *key = edit->key;
    size_t n = edit->length;
    if (key[0] != ESC || n < 3 || (key[1] != '[' && key[1] != 'O'))
        return key[0] == '\0';
    for (size_t i = 0; i < SEQUENCES; i++)
        if (strlen(sequences[i][0]) == n && memcmp(sequences[i][0], key, n) == 0)
            return false;
    return true;
}

/* Whether the key is Tab or Ctrl-D, which are handled here: libedit leaks memory for functions that
 * are bound to keys.  Makes Ctrl-D in a line that is not empty a Delete. */
static bool is_ours(struct edit *edit)
{
    static const char delete[] = "\033[3~";
    if (edit->length != 1)
        return false;
    if (edit->key[0] == CTRL_D && !is_empty(edit)) {
        memcpy(edit->key, delete, edit->length = sizeof delete - 1);
        return false;
    }
    return edit->key[0] == '\t' || edit->key[0] == CTRL_D;
}

/* ---- Ctrl-R ---- */

static void replace_line(struct edit *edit, const char *text)
{
    const LineInfoW *line = el_wline(edit->el);
    int length = (int)(line->lastchar - line->buffer);
    el_cursor(edit->el, length);
    el_deletestr(edit->el, length);
    if (*text)
        el_insertstr(edit->el, text);
}

static void end_search(struct edit *edit)
{
    search_end(&edit->search);
    snprintf(edit->shown, sizeof edit->shown, "%s", edit->prompt);
}

/* Handles a key while statements are looked for, or Ctrl-R, which begins that.  Returns whether the
 * key is done. */
static bool search(struct edit *edit)
{
    enum search_end end = SEARCH_GOES_ON;
    if (!edit->search.on) {
        if (edit->key[0] != CTRL_R)
            return false;
        const LineInfo *line = el_line(edit->el);
        search_begin(&edit->search, line->buffer, (size_t)(line->lastchar - line->buffer));
    } else {
        end = search_key(&edit->search, edit->key, edit->length);
    }
    hide(edit);
    replace_line(edit, search_line(&edit->search));
    search_prompt(&edit->search, edit->shown, sizeof edit->shown);
    if (end != SEARCH_GOES_ON)
        end_search(edit);
    show(edit);
    return end != SEARCH_TAKEN;
}

enum edit_key edit_next_key(struct edit *edit)
{
    enum edit_key key = read_key(edit);
    if (key != EDIT_KEY)
        return key;
    edit->used = 0;
    if (means_nothing(edit)) {
        edit->length = 0;
        return EDIT_KEY;
    }
    if (search(edit)) {
        edit->length = 0;
        return EDIT_KEY;
    }
    if (is_ours(edit)) {
        edit->length = 0;
        if (edit->key[0] == CTRL_D)
            return EDIT_END;
        complete(edit);
        return EDIT_KEY;
    }
    int n;
    el_gets(edit->el, &n);
    edit->length = edit->used = 0;
    const LineInfoW *line = el_wline(edit->el);
    return line->lastchar > line->buffer && line->lastchar[-1] == L'\n' ? EDIT_ENTER : EDIT_KEY;
}

const char *edit_text(struct edit *edit, size_t *length)
{
    const LineInfo *line = el_line(edit->el);
    *length = (size_t)(line->lastchar - line->buffer);
    while (*length > 0 && line->buffer[*length - 1] == '\n')
        --*length;
    return line->buffer;
}

/* ---- the editor ---- */

static void bind_keys(EditLine *el)
{
    static const char *const waiting[] = { "\033x", "\033X" }; /* they would wait for keys */
    for (size_t i = 0; i < sizeof waiting / sizeof *waiting; i++)
        el_set(el, EL_BIND, "-r", waiting[i], NULL);
    for (size_t i = 0; i < SEQUENCES; i++)
        if (sequences[i][1])
            el_set(el, EL_BIND, sequences[i][0], sequences[i][1], NULL);
}

static bool is_dumb(void)
{
    const char *term = getenv("TERM");
    return !term || !*term || strcmp(term, "dumb") == 0;
}

struct edit *edit_new(const struct edit_completion *completion)
{
    /* the terminal's characters; C.UTF-8 exists even where no locale is set up */
    setlocale(LC_CTYPE, "");
    if (MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8");
    struct edit *edit = calloc(1, sizeof *edit);
    if (!edit)
        return NULL;
    HistEvent event;
    edit->completion = *completion;
    edit->dumb = is_dumb();
    edit->history = edit->search.history = history_init();
    edit->el = el_init_fd("moonflash", stdin, stdout, stderr, STDIN_FILENO, STDOUT_FILENO,
                          STDERR_FILENO); /* output.c's streams have no file descriptors */
    if (!edit->history || !edit->el) {
        edit_free(edit);
        return NULL;
    }
    history(edit->history, &event, H_SETSIZE, HISTORY_SIZE);
    el_set(edit->el, EL_CLIENTDATA, edit);
    el_set(edit->el, EL_HIST, history, edit->history);
    el_set(edit->el, EL_PROMPT, prompt_of);
    el_set(edit->el, EL_EDITOR, "emacs");
    el_set(edit->el, EL_GETCFN, take_character);
    bind_keys(edit->el);
    return edit;
}

void edit_free(struct edit *edit)
{
    if (!edit)
        return;
    if (edit->editing)
        edit_end(edit, "");
    search_end(&edit->search);
    if (edit->el)
        el_end(edit->el);
    if (edit->history)
        history_end(edit->history);
    free(edit);
}

void edit_begin(struct edit *edit, const char *prompt)
{
    snprintf(edit->prompt, sizeof edit->prompt, "%s", prompt);
    end_search(edit);
    edit->length = edit->used = 0;
    tcgetattr(STDIN_FILENO, &terminal.before);
    terminal.raw = 1;
    edit->editing = true;
    el_set(edit->el, EL_UNBUFFERED, 1);
}

void edit_end(struct edit *edit, const char *note)
{
    if (note)
        leave_line(edit, note);
    el_set(edit->el, EL_UNBUFFERED, 0);
    edit->editing = false;
    terminal.raw = 0;
}

void edit_write_above(struct edit *edit, FILE *file, const char *text, size_t length)
{
    if (edit->editing) {
        hide(edit);
        fflush(stdout);
    }
    fwrite(text, 1, length, file);
    fflush(file);
    if (edit->editing)
        show(edit);
}

void edit_remember(struct edit *edit, const char *text)
{
    HistEvent event;
    history(edit->history, &event, H_ENTER, text);
}

void edit_resized(struct edit *edit)
{
    hide(edit);
    el_resize(edit->el);
    show(edit);
}

void edit_stop(struct edit *edit)
{
    leave_line(edit, "");
    el_set(edit->el, EL_PREP_TERM, 0);
}

void edit_go_on(struct edit *edit)
{
    el_set(edit->el, EL_PREP_TERM, 0);
    el_set(edit->el, EL_PREP_TERM, 1);
    show(edit);
}
