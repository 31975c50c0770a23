/* SPDX-License-Identifier: MIT */
/* The boards of the umockdev bed, and the bus they are on. */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUS = 1, FIRST_NUMBER = 2, LAST_NUMBER = 127 };

/* ---- the bed ---- */

struct bed *bed_new(char *why, size_t why_size)
{
    struct bed *bed = calloc(1, sizeof *bed);
    g_mutex_init(&bed->lock);
    bed->testbed = umockdev_testbed_new();
    bed->last_number = FIRST_NUMBER - 1;
    if (!bed->testbed) {
        snprintf(why, why_size, "umockdev_testbed_new() fails");
        free(bed);
        return NULL;
    }
    gchar *root = umockdev_testbed_get_root_dir(bed->testbed);
    chmod(root, 0755); /* for clients that may do less than we */
    g_free(root);
    return bed;
}

void bed_free(struct bed *bed)
{
    while (bed->boards)
        bed_board_free(bed->boards);
    bed_turn(bed);
    g_object_unref(bed->testbed);
    while (bed->devices) {
        struct bed_device *device = bed->devices;
        bed->devices = device->next;
        g_object_unref(device->handler);
        free(device);
    }
    free(bed);
}

bool bed_is_idle(struct bed *bed)
{
    bool idle = true;
    g_mutex_lock(&bed->lock);
    for (struct bed_device *device = bed->devices; device; device = device->next)
        idle = idle && device->clients == 0;
    g_mutex_unlock(&bed->lock);
    return idle;
}

void bed_set_client(struct bed *bed, pid_t pid)
{
    g_mutex_lock(&bed->lock);
    bed->client = pid;
    g_mutex_unlock(&bed->lock);
}

/* ---- a board's clock, and where it is ---- */

static double seconds_now(void)
{
    return (double)g_get_monotonic_time() / 1e6;
}

double bed_now(const struct bed_board *board)
{
    return seconds_now() - board->started + board->skipped;
}

bool bed_on_bus(struct bed_board *board)
{
    enum sim_life life = sim_life(board->sim, bed_now(board));
    return life == SIM_DFU || life == SIM_RUNTIME;
}

void bed_lose(struct bed_board *board)
{
    if (board->device)
        board->device->gone = true;
    board->hung = false;
    board->stuck = -1;
    board->yank_left = 0;
    board->poll = board->usual_poll;
}

/* ---- devices in sysfs and in /dev ---- */

static void name_node(const struct bed_device *device, char *node, size_t size)
{
    snprintf(node, size, "/dev/bus/usb/%03u/%03u", BUS, device->number);
}

static void append_hex(GString *text, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        g_string_append_printf(text, "%02X", bytes[i]);
}

/* The device, as umockdev's text format describes one. */
static GString *describe(struct bed_device *device)
{
    struct bed_board *board = device->board;
    size_t length, config_length;
    const uint8_t *bytes = bed_board_device(board, &length);
    const uint8_t *config = bed_board_config(board, &config_length);
    GString *all = g_string_new(NULL), *text = g_string_new(NULL);
    append_hex(all, bytes, length);
    append_hex(all, config, config_length);
    g_string_append_printf(text,
                           "P: %s/%s\nN: bus/usb/%03u/%03u=%s\n"
                           "E: DEVNAME=/dev/bus/usb/%03u/%03u\n"
                           "E: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\n"
                           "A: busnum=%u\\n\nA: devnum=%u\\n\nA: speed=12\\n\n"
                           "A: bConfigurationValue=1\\n\nH: descriptors=%s\n",
                           SYSFS + strlen("/sys"), board->path, BUS, device->number, all->str, BUS,
                           device->number, BUS, device->number, all->str);
    g_string_append(text, board->attributes->str);
    g_string_free(all, TRUE);
    return text;
}

static void set_node_mode(const struct bed_device *device)
{
    char node[BED_PATH];
    gchar *root = umockdev_testbed_get_root_dir(device->bed->testbed);
    name_node(device, node, sizeof node);
    gchar *path = g_strconcat(root, node, NULL);
    chmod(path, device->board->locked ? 0 : 0644);
    g_free(path);
    g_free(root);
}

static void show(struct bed_device *device)
{
    char node[BED_PATH];
    GError *error = NULL;
    UMockdevTestbed *testbed = device->bed->testbed;
    GString *text = describe(device);
    name_node(device, node, sizeof node);
    if (!umockdev_testbed_add_from_string(testbed, text->str, &error) ||
        !umockdev_testbed_attach_ioctl(testbed, node, device->handler, &error)) {
        fprintf(stderr, "bed: %s: %s\n", device->board->path, error->message);
        abort();
    }
    g_string_free(text, TRUE);
    set_node_mode(device);
    device->shown = device->attached = true;
}

static void hide(struct bed_device *device)
{
    char node[BED_PATH], sysfs[sizeof SYSFS + BED_PATH];
    UMockdevTestbed *testbed = device->bed->testbed;
    name_node(device, node, sizeof node);
    snprintf(sysfs, sizeof sysfs, "%s/%s", SYSFS, device->board->path);
    umockdev_testbed_remove_device(testbed, sysfs);
    gchar *root = umockdev_testbed_get_root_dir(testbed);
    gchar *path = g_strconcat(root, node, NULL);
    unlink(path);
    g_free(path);
    g_free(root);
    device->shown = false;
}

/* Not as soon as a device is gone: umockdev would abort a client that is about to open it. */
void bed_retire(struct bed *bed)
{
    char node[BED_PATH];
    for (struct bed_device *device = bed->devices; device; device = device->next) {
        if (device->shown || !device->attached)
            continue;
        name_node(device, node, sizeof node);
        umockdev_testbed_detach_ioctl(bed->testbed, node, NULL);
        device->attached = false;
    }
}

static struct bed_device *new_device(struct bed_board *board)
{
    struct bed *bed = board->bed;
    struct bed_device *device = calloc(1, sizeof *device);
    bed->last_number = bed->last_number < LAST_NUMBER ? bed->last_number + 1 : FIRST_NUMBER;
    device->bed = bed;
    device->board = board;
    device->number = bed->last_number;
    device->configuration = 1;
    device->generation = sim_generation(board->sim);
    device->handler = umockdev_ioctl_base_new();
    device->next = bed->devices;
    bed->devices = device;
    usbfs_serve(device);
    return device;
}

/* Whether the board's device should go, and whether a new one should come. */
static void decide(struct bed_board *board, struct bed_device **goes, struct bed_device **comes)
{
    struct bed_device *device = board->device;
    bool there = bed_on_bus(board);
    *goes = *comes = NULL;
    if (board->yank_left > 0)
        return;
    if (device && !device->gone && (!there || sim_generation(board->sim) != device->generation))
        bed_lose(board);
    if (device && device->gone) {
        *goes = device;
        board->device = NULL;
    }
    if (there && !board->device)
        *comes = board->device = new_device(board);
}

/* Outside of the lock: umockdev waits for its thread, which may wait for the lock. */
static void refresh(struct bed_board *board)
{
    struct bed_device *goes, *comes;
    g_mutex_lock(&board->bed->lock);
    decide(board, &goes, &comes);
    g_mutex_unlock(&board->bed->lock);
    if (goes && goes->shown)
        hide(goes);
    if (comes)
        show(comes);
}

void bed_turn(struct bed *bed)
{
    for (struct bed_board *board = bed->boards; board; board = board->next)
        refresh(board);
}

/* ---- boards ---- */

struct bed_board *bed_board_new(struct bed *bed, const char *path,
                                const struct sim_options *options)
{
    struct bed_board *board = calloc(1, sizeof *board);
    board->bed = bed;
    board->sim = sim_new(options);
    if (!board->sim) {
        free(board);
        return NULL;
    }
    snprintf(board->path, sizeof board->path, "%s", path);
    board->started = seconds_now();
    board->plugged = true;
    board->stuck = -1;
    board->poll = board->usual_poll = -1;
    board->attributes = g_string_new(NULL);
    board->log = g_array_new(FALSE, FALSE, sizeof(struct bed_entry));
    board->next = bed->boards;
    bed->boards = board;
    return board;
}

/* Its devices stay in the list, as gone, for clients that have them open. */
void bed_board_free(struct bed_board *board)
{
    struct bed *bed = board->bed;
    bed_board_unplug(board);
    g_mutex_lock(&bed->lock);
    struct bed_board **p = &bed->boards;
    while (*p != board)
        p = &(*p)->next;
    *p = board->next;
    for (struct bed_device *device = bed->devices; device; device = device->next)
        if (device->board == board)
            device->board = NULL;
    g_mutex_unlock(&bed->lock);
    for (int i = 0; i < BED_STRINGS; i++)
        free(board->strings[i].bytes);
    g_string_free(board->attributes, TRUE);
    g_array_free(board->log, TRUE);
    sim_free(board->sim);
    free(board->device_bytes);
    free(board->config_bytes);
    free(board);
}

static void *copy(const void *bytes, size_t length)
{
    void *copied = malloc(length + 1);
    memcpy(copied, bytes, length);
    return copied;
}

void bed_board_describe(struct bed_board *board, const void *device, size_t device_length,
                        const void *config, size_t config_length)
{
    if (device) {
        free(board->device_bytes);
        board->device_bytes = copy(device, device_length);
        board->device_length = device_length;
    }
    if (config) {
        free(board->config_bytes);
        board->config_bytes = copy(config, config_length);
        board->config_length = config_length;
    }
}

void bed_board_set_string(struct bed_board *board, uint8_t index, const void *bytes, size_t length)
{
    struct bed_string *string = &board->strings[index];
    free(string->bytes);
    *string = (struct bed_string){ .set = true,
                                   .bytes = bytes ? copy(bytes, length) : NULL,
                                   .length = length };
}

void bed_board_set_attribute(struct bed_board *board, const char *name, const void *bytes,
                             size_t length)
{
    g_string_append_printf(board->attributes, "H: %s=", name);
    append_hex(board->attributes, bytes, length);
    g_string_append(board->attributes, "0A\n");
}

void bed_board_set_poll(struct bed_board *board, int milliseconds)
{
    g_mutex_lock(&board->bed->lock);
    board->poll = board->usual_poll = milliseconds;
    g_mutex_unlock(&board->bed->lock);
}

void bed_board_plug(struct bed_board *board)
{
    g_mutex_lock(&board->bed->lock);
    if (!board->plugged || !bed_on_bus(board)) {
        sim_unplug(board->sim, bed_now(board));
        sim_plug(board->sim, bed_now(board));
    }
    board->plugged = true;
    g_mutex_unlock(&board->bed->lock);
    refresh(board);
}

void bed_board_unplug(struct bed_board *board)
{
    g_mutex_lock(&board->bed->lock);
    sim_unplug(board->sim, bed_now(board));
    board->plugged = false;
    bed_lose(board);
    g_mutex_unlock(&board->bed->lock);
    refresh(board);
}

void bed_board_begin(struct bed_board *board)
{
    g_mutex_lock(&board->bed->lock);
    board->strike_count = 0;
    board->requests = 0;
    board->hung = board->held = false;
    board->stuck = -1;
    board->yank_left = 0;
    board->poll = board->usual_poll;
    g_array_set_size(board->log, 0);
    g_mutex_unlock(&board->bed->lock);
}

bool bed_board_strike(struct bed_board *board, const struct bed_strike *strike)
{
    g_mutex_lock(&board->bed->lock);
    bool room = board->strike_count < BED_STRIKES && strike->at > 0;
    if (room)
        board->strikes[board->strike_count++] = *strike;
    g_mutex_unlock(&board->bed->lock);
    return room;
}

bool bed_board_is_held(struct bed_board *board)
{
    g_mutex_lock(&board->bed->lock);
    bool held = board->held;
    g_mutex_unlock(&board->bed->lock);
    return held;
}

void bed_board_open_gate(struct bed_board *board)
{
    g_mutex_lock(&board->bed->lock);
    board->gate_open = true;
    g_mutex_unlock(&board->bed->lock);
}

void bed_board_lock_node(struct bed_board *board, bool locked)
{
    board->locked = locked;
    if (board->device && board->device->shown)
        set_node_mode(board->device);
}

void bed_board_occupy(struct bed_board *board, bool occupied)
{
    g_mutex_lock(&board->bed->lock);
    board->occupied = occupied;
    g_mutex_unlock(&board->bed->lock);
}

size_t bed_board_log(struct bed_board *board, const struct bed_entry **entries)
{
    *entries = (const struct bed_entry *)(void *)board->log->data;
    return board->log->len;
}

unsigned bed_board_claims(struct bed_board *board)
{
    g_mutex_lock(&board->bed->lock);
    unsigned claims = board->device ? board->device->claims[0] : 0;
    g_mutex_unlock(&board->bed->lock);
    return claims;
}

int bed_board_state(struct bed_board *board)
{
    static const struct usb_setup get_state = { .type = DFU_IN,
                                                .request = DFU_REQ_GETSTATE,
                                                .length = 1 };
    uint8_t state = 0;
    g_mutex_lock(&board->bed->lock);
    struct sim_answer answer = sim_control(board->sim, bed_now(board), &get_state, &state);
    board->skipped += answer.seconds;
    g_mutex_unlock(&board->bed->lock);
    return answer.result == 1 ? state : answer.result;
}

enum sim_life bed_board_life(struct bed_board *board)
{
    g_mutex_lock(&board->bed->lock);
    enum sim_life life = sim_life(board->sim, bed_now(board));
    g_mutex_unlock(&board->bed->lock);
    return life;
}

struct sim_start bed_board_started(struct bed_board *board)
{
    g_mutex_lock(&board->bed->lock);
    struct sim_start start = *sim_started(board->sim);
    g_mutex_unlock(&board->bed->lock);
    return start;
}

const uint8_t *bed_board_device(struct bed_board *board, size_t *length)
{
    if (!board->device_bytes)
        return sim_device_descriptor(board->sim, length);
    *length = board->device_length;
    return board->device_bytes;
}

const uint8_t *bed_board_config(struct bed_board *board, size_t *length)
{
    if (!board->config_bytes)
        return sim_config_descriptor(board->sim, length);
    *length = board->config_length;
    return board->config_bytes;
}

bool bed_board_peek(struct bed_board *board, uint32_t address, uint8_t *data, size_t length)
{
    g_mutex_lock(&board->bed->lock);
    bool good = sim_peek(board->sim, bed_now(board), address, data, length);
    g_mutex_unlock(&board->bed->lock);
    return good;
}

bool bed_board_poke(struct bed_board *board, uint32_t address, const uint8_t *data, size_t length)
{
    g_mutex_lock(&board->bed->lock);
    bool good = sim_poke(board->sim, bed_now(board), address, data, length);
    g_mutex_unlock(&board->bed->lock);
    return good;
}
