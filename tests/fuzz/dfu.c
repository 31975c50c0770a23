/* SPDX-License-Identifier: MIT */
/* The step machine alone, against any answers.  The claims:
 *
 *   - every data stage lies in the board's buffer, and has the length that its request needs;
 *   - every block carries the bytes of the address that its number stands for, and what is read
 *     comes from there;
 *   - every operation ends within a bounded number of steps, and asks for bounded waits;
 *   - success is never reported after an error status in an exchange of the operation, nor without
 *     the status that confirms the last command.
 *
 * Input: a board; then operations, each with the answers to what it asks for: a byte for each
 * request, selection and wait, 0 being what a board in order does.
 */
#include "fuzz.h"

#include <string.h>

#include "dfu/dfu.h"

enum { OPERATIONS_MOST = 12, BLOCKS_MOST = 6, BUFFER_LEAST = 64 };
enum { DNLOAD = 1, UPLOAD, GETSTATUS, CLRSTATUS, GETSTATE, ABORT };
enum { SET_ADDRESS = 0x21 };

#define TIMEOUT 5.0 /* seconds, of the board */
#define LONGEST 0.2 /* seconds: the longest limit of an operation */
#define PAUSE   0.1 /* seconds: the machine's own longest pause */

static struct dfu_board board;
static struct dfu_op op;

/* What the board is, and what it was sent and has said. */
static struct {
    struct input in, answers;
    size_t buffer_size;
    uint8_t state; /* of a board in order */
    bool told;     /* it has told its state, which is: */
    uint8_t told_state;
    bool state_refused; /* the last GETSTATE was stalled */
    bool based;    /* an address was set, and neither a command nor a short block has come since */
    uint32_t base; /* that address */

    /* in this operation */
    bool stuck;     /* it tells the same state from now on, */
    bool deaf;      /* or stalls everything */
    bool open;      /* an exchange is under way */
    bool refused;   /* a status in it was an error */
    bool confirmed; /* the last status in it was OK, in dfuDNLOAD-IDLE */
    bool sent_again;
    size_t sent; /* bytes that were in blocks, from the first on without a gap */
} seen;

/* ---- what goes over the wire ---- */

/* The byte at an address of the board's memory. */
UNSEEN static uint8_t memory_at(uint32_t address)
{
    return (uint8_t)(address * 167u ^ address >> 8 ^ address >> 16);
}

/* The byte of the image at an offset: another one. */
UNSEEN static uint8_t image_at(size_t offset)
{
    return (uint8_t)~memory_at((uint32_t)offset + 77);
}

/* The address that a block stands for; for what is read raw, a number is as good. */
static uint32_t block_address(const struct usb_setup *setup)
{
    uint32_t size = board.transfer_size;
    if (!board.dfuse || op.kind != DFU_READ)
        return setup->value * size;
    CLAIM(seen.based && setup->value >= 2);
    return seen.base + (setup->value - 2u) * size;
}

/* A block of an image, on its way to the board. */
UNSEEN static void check_block(const struct dfu_act *act)
{
    const struct usb_setup *setup = &act->setup;
    size_t offset = (size_t)setup->value * board.transfer_size;
    if (board.dfuse) {
        CLAIM(seen.based && setup->value >= 2);
        offset = seen.base + (setup->value - 2u) * (uint32_t)board.transfer_size - op.address;
    }
    CLAIM(offset == op.done && offset + setup->length <= op.length);
    for (size_t i = 0; i < setup->length; i++)
        CLAIM(act->data[i] == image_at(offset + i));
    if (offset + setup->length > seen.sent)
        seen.sent = offset + setup->length;
}

/* Notes what a DNLOAD means for the requests after it. */
static void check_download(const struct dfu_act *act)
{
    const struct usb_setup *setup = &act->setup;
    bool command = board.dfuse && setup->value == 0 && op.kind != DFU_DOWNLOAD_BLOCK;
    if (seen.refused) { /* only the first block of plain DFU is sent again after an error */
        CLAIM(!board.dfuse && op.kind == DFU_WRITE && op.done == 0 && !seen.sent_again);
        seen.sent_again = true;
        seen.refused = false;
    }
    seen.open = true;
    seen.confirmed = false;
    if (op.kind == DFU_WRITE && setup->length > 0 && !command)
        check_block(act);
    if (command && setup->length == 5 && act->data[0] == SET_ADDRESS) {
        seen.based = true;
        seen.base = (uint32_t)act->data[1] | (uint32_t)act->data[2] << 8 |
                    (uint32_t)act->data[3] << 16 | (uint32_t)act->data[4] << 24;
    } else if (setup->value < 2) {
        seen.based = false;
    }
}

static size_t most_length(const struct usb_setup *setup)
{
    switch (setup->request) {
    case DNLOAD:
        return op.kind == DFU_DOWNLOAD_BLOCK ? op.length : board.transfer_size;
    case UPLOAD:
        return op.kind == DFU_READ ? board.transfer_size : op.length;
    case GETSTATUS:
        return 6;
    case GETSTATE:
        return 1;
    default:
        return 0;
    }
}

static void check_control(const struct dfu_act *act)
{
    const struct usb_setup *setup = &act->setup;
    bool in = setup->request == UPLOAD || setup->request == GETSTATUS || setup->request == GETSTATE;
    CLAIM(setup->type == (in ? 0xA1 : 0x21) && setup->request <= ABORT && setup->index == 0);
    CLAIM(act->data == board.buffer && setup->length <= seen.buffer_size);
    CLAIM(setup->length <= most_length(setup));
    CLAIM(act->seconds > 0 && act->seconds <= TIMEOUT);
    if (setup->request == GETSTATUS || setup->request == GETSTATE)
        CLAIM(setup->length == most_length(setup));
    if (setup->request == CLRSTATUS) /* elsewhere, it puts ROMs into dfuERROR */
        CLAIM(!seen.told || seen.told_state == DFU_ERROR || seen.told_state >= DFU_STATES ||
              seen.state_refused);
    if (setup->request == DNLOAD)
        check_download(act);
    else if (setup->request == UPLOAD)
        seen.open = true;
    else if (setup->request != GETSTATUS)
        seen.open = false;
}

/* ---- what comes back ---- */

/* The state of a board in order behind a request. */
static uint8_t next_state(const struct usb_setup *setup)
{
    if (seen.stuck && (setup->request == GETSTATUS || setup->request == GETSTATE))
        return seen.state;
    switch (setup->request) {
    case DNLOAD:
        return setup->length ? DFU_DNLOAD_SYNC : DFU_MANIFEST_SYNC;
    case UPLOAD:
        return DFU_UPLOAD_IDLE;
    case CLRSTATUS:
    case ABORT:
        return DFU_IDLE;
    case GETSTATUS:
        switch (seen.state) {
        case DFU_DNLOAD_SYNC:
            return DFU_DNBUSY;
        case DFU_DNBUSY:
            return DFU_DNLOAD_IDLE;
        case DFU_MANIFEST_SYNC:
            return DFU_MANIFEST;
        case DFU_MANIFEST:
            return board.tolerant ? DFU_IDLE : DFU_MANIFEST;
        default:
            return seen.state;
        }
    default:
        return seen.state;
    }
}

/* Takes note of a state or a status, which the machine is about to hear in full. */
static void note_told(const struct usb_setup *setup, const uint8_t *data)
{
    bool status = setup->request == GETSTATUS;
    seen.told = true;
    seen.told_state = data[status ? 4 : 0];
    if (!status || !seen.open)
        return;
    seen.refused = seen.refused || data[0] != DFU_OK || data[4] == DFU_ERROR;
    seen.confirmed = data[0] == DFU_OK && data[4] == DFU_DNLOAD_IDLE;
}

/* The data stage of a request to which all is answered. */
UNSEEN static void fill(const struct dfu_act *act, uint8_t status, unsigned poll)
{
    const struct usb_setup *setup = &act->setup;
    uint8_t bytes[6] = { status, (uint8_t)poll, (uint8_t)(poll >> 8), 0, seen.state, 0 };
    if (setup->request == GETSTATUS)
        memcpy(act->data, bytes, sizeof bytes);
    else if (setup->request == GETSTATE)
        act->data[0] = seen.state;
    for (size_t i = 0; setup->request == UPLOAD && i < setup->length; i++)
        act->data[i] = memory_at(block_address(setup) + (uint32_t)i);
}

/* Answers a request, as a board in order or as any other; the seconds that it took. */
static int answer(const struct dfu_act *act, double *elapsed)
{
    const struct usb_setup *setup = &act->setup;
    unsigned how = choose(&seen.answers, 16), poll = 1;
    uint8_t status = DFU_OK;
    int result = setup->length;

    *elapsed = 0.0005;
    seen.state_refused = false;
    seen.state = next_state(setup);
    seen.stuck = seen.stuck || how == 6;
    seen.deaf = seen.deaf || how == 7;
    switch (seen.deaf ? 8 : how) {
    case 8:
    case 9:
    case 10:
    case 11: /* STALL, GONE, TIMEOUT, IO */
        result = seen.deaf ? PORT_STALL : -1 - (int)(how - 8);
        *elapsed = result == PORT_TIMEOUT ? act->seconds : 0;
        break;
    case 12: /* too few bytes, or more than there should be */
        result = (int)(take16(&seen.answers) % (setup->length + 2u));
        break;
    case 13: /* any status, any state */
        status = take(&seen.answers);
        seen.state = take(&seen.answers);
        poll = take16(&seen.answers);
        break;
    case 14:
        status = (uint8_t)(1 + choose(&seen.answers, DFU_STATUSES - 1));
        seen.state = DFU_ERROR;
        break;
    case 15:
        *elapsed = take(&seen.answers) / 1e3;
        break;
    default:
        break;
    }
    if (result < 0)
        memset(act->data, 0xEE, setup->type & 0x80 ? setup->length : 0);
    else
        fill(act, status, poll);
    seen.state_refused = setup->request == GETSTATE && result == PORT_STALL;
    if ((setup->request == GETSTATUS || setup->request == GETSTATE) && result == setup->length)
        note_told(setup, act->data);
    trace("  %02x %u value %u length %u -> %d, status %u, state %u\n", setup->type, setup->request,
          setup->value, setup->length, result, status, seen.state);
    return result;
}

/* ---- operations ---- */

/* As board.c opens one: anew, also after an operation behind which it was gone. */
static void open_board(void)
{
    static const uint16_t sizes[] = { 64, 100, 1024, 2048, 65535 };
    unsigned bits = take(&seen.in);
    free(board.buffer);
    memset(&seen.state, 0, sizeof seen - offsetof(__typeof__(seen), state));
    board = (struct dfu_board){
        .dfuse = !(bits & 1),
        .several_alts = bits & 2,
        .tolerant = bits & 4,
        .early_poll = bits & 8,
        .transfer_size_unknown = bits & 16,
        .vendor_protects = bits & 32,
        .transfer_size = sizes[choose(&seen.in, 5)],
        .timeout = TIMEOUT,
        .state = DFU_UNKNOWN,
        .status = DFU_UNKNOWN,
    };
    seen.state = DFU_IDLE;
    seen.buffer_size = board.transfer_size > BUFFER_LEAST ? board.transfer_size : BUFFER_LEAST;
    board.buffer = calloc(1, seen.buffer_size);
}

static void choose_operation(void)
{
    static const double limits[] = { 0.02, LONGEST, 0 };
    struct input *in = &seen.in;
    unsigned bits;

    memset(&seen.stuck, 0, sizeof seen - offsetof(__typeof__(seen), stuck));
    op = (struct dfu_op){ .board = &board, .kind = choose(in, DFU_TO_IDLE + 1) };
    bits = take(in);
    op.any_alt = bits & 1;
    op.alt = bits >> 1 & 1;
    op.may_reset = bits & 4;
    op.has_address = bits & 8;
    op.limit = limits[(bits >> 4) % 3];
    op.address = bits & 128 ? take32(in) : 0x08000000u + take(in) * 512u;
    if (op.kind == DFU_READ || op.kind == DFU_WRITE) {
        uint64_t room = (UINT64_C(1) << 32) - op.address;
        op.length = take16(in) % (BLOCKS_MOST * board.transfer_size);
        op.length = op.length < room ? op.length : (size_t)room;
    } else if (op.kind == DFU_DOWNLOAD_BLOCK || op.kind == DFU_UPLOAD_BLOCK) {
        op.block = take16(in);
        op.length = take16(in) % (board.transfer_size + 1u);
    } else if (op.kind == DFU_COMMANDS) {
        op.length = BUFFER_LEAST;
    }
    seen.answers = take_part(in);
    uint8_t *data = malloc(op.length ? op.length : 1);
    for (size_t i = 0; i < op.length; i++)
        data[i] = image_at(i);
    op.data = data;
    op.out = malloc(op.length ? op.length : 1);
    trace("operation %d at %08x, %zu bytes, limit %g\n", op.kind, op.address, op.length, op.limit);
}

/* More than any operation of this length needs, if each of its exchanges ends in time. */
static size_t most_steps(void)
{
    size_t exchanges = 8 + 2 * (op.length / board.transfer_size + 1);
    size_t polls = (size_t)(op.limit * 1000) + 30; /* a millisecond apart, or more */
    return exchanges * 2 * polls;
}

static struct dfu_act step(const struct dfu_act *act)
{
    double elapsed = act->seconds;
    int result = 0;
    if (act->what == DFU_CONTROL) {
        check_control(act);
        result = answer(act, &elapsed);
    } else if (act->what == DFU_SELECT) {
        CLAIM(board.several_alts && act->alt == op.alt && !op.any_alt);
        result = -(int)(choose(&seen.answers, 16) == 15);
        elapsed = 0;
    } else {
        CLAIM(act->what == DFU_WAIT);
        CLAIM(act->seconds >= 0 && act->seconds <= (op.limit > PAUSE ? op.limit : PAUSE) + 1e-9);
        if (choose(&seen.answers, 64) == 63) {
            dfu_cancel(&op);
            elapsed = 0;
        }
    }
    return dfu_step(&op, result, elapsed);
}

/* What came of what was read. */
UNSEEN static void check_read(void)
{
    uint32_t first = op.kind == DFU_READ ? (board.dfuse ? op.address : 0)
                                         : (uint32_t)op.block * board.transfer_size;
    for (size_t i = 0; i < op.done; i++)
        CLAIM(op.out[i] == memory_at(first + (uint32_t)i));
}

/* Asserts what the board must have reported before an operation ends in success. */
static void check_success(void)
{
    bool may_go = op.may_reset || op.kind == DFU_READ_UNPROTECT || op.kind == DFU_LEAVE;
    bool downloads = op.kind == DFU_SET_ADDRESS || op.kind == DFU_ERASE ||
                     op.kind == DFU_MASS_ERASE || op.kind == DFU_READ_UNPROTECT ||
                     (op.kind == DFU_DOWNLOAD_BLOCK && op.length > 0) ||
                     (op.kind == DFU_WRITE && board.dfuse && op.length > 0);
    CLAIM(!seen.refused);
    CLAIM(op.failure == DFU_NO_FAILURE && !op.in_doubt);
    if (downloads && !(may_go && op.gone))
        CLAIM(seen.confirmed);
    if (op.kind == DFU_WRITE || (op.kind == DFU_READ && board.dfuse))
        CLAIM(op.done == op.length);
    if (op.kind == DFU_LEAVE && board.dfuse)
        CLAIM(op.gone);
}

static void operation(void)
{
    choose_operation();
    size_t steps = 0, most = most_steps();
    struct dfu_act act = dfu_start(&op);
    while (act.what != DFU_DONE && act.what != DFU_FAIL) {
        act = step(&act);
        CLAIM(++steps <= most);
    }
    trace("%s: failure %d, done %zu%s\n", act.what == DFU_DONE ? "done" : "fail", op.failure,
          op.done, op.in_doubt ? ", in doubt" : "");
    CLAIM(op.done <= op.length);
    if (act.what == DFU_DONE)
        check_success();
    else
        CLAIM(op.failure != DFU_NO_FAILURE);
    if (op.kind == DFU_WRITE)
        CLAIM(op.done <= seen.sent);
    bool wrote = op.kind == DFU_WRITE || op.kind == DFU_DOWNLOAD_BLOCK;
    if (wrote &&
        op.length % board.transfer_size != 0) /* boards differ in what comes behind a short block */
        seen.based = false;
    if (op.kind == DFU_READ || op.kind == DFU_UPLOAD_BLOCK || op.kind == DFU_COMMANDS)
        check_read();
    free((void *)(uintptr_t)op.data);
    free(op.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    seen.in = (struct input){ data, data + size };
    op = (struct dfu_op){ .gone = true };
    for (int i = 0; i < OPERATIONS_MOST && (i == 0 || !used_up(&seen.in)); i++) {
        if (op.gone)
            open_board();
        operation();
    }
    free(board.buffer);
    board.buffer = NULL;
    return 0;
}
