/* SPDX-License-Identifier: MIT */
/* The USB/IP server: peers that say anything, in pieces, and go at any moment.  What a peer has
 * said is parsed here a second time, by the protocol of USB/IP.  The claims:
 *
 *   - what comes back is well-formed, and answers a request that was sent, once, with no more bytes
 *     than that asked for; what was unlinked gets no other answer;
 *   - a peer that reads gets an answer to each request, or the end of its connection, unless its
 *     board hangs;
 *   - when all have hung up, nothing is left: no connection, no file descriptor, nothing in the
 *     loop; and the boards can be imported anew.
 *
 * Input: what peers do, one thing after the other.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop.h"
#include "sim/sim_private.h"
#include "sim/simport.h"
#include "sim/simproduct.h"
#include "usbip/usbip.h"
#include "usbip/usbipmsg.h"

enum { PEERS = 3, BOARDS = 3, DEEDS_MOST = 60, SAID_MOST = 1 << 18, ASKED_MOST = 512 };
enum { BUSY = 120, STEP = 1 }; /* seconds: no board takes longer to answer, or it hangs */

/* A request, by the book. */
struct asked {
    uint32_t seqnum, length;
    bool unlinks, in;
    uint32_t victim;
};

static struct peer {
    int fd;     /* -1: not connected */
    bool ended; /* by the server */
    bool quiet; /* has shut its side down */
    uint32_t seqnum;
    size_t board; /* that it has imported, as far as it has heard; or BOARDS */

    uint8_t *said; /* all of it, and how much of it is read */
    size_t said_length, said_read;
    enum { SAYS_OP, SAYS_BUS_ID, SAYS_COMMANDS, SAYS_NOTHING } says;
    struct asked asked[ASKED_MOST]; /* and not answered yet */
    size_t asked_count;

    uint8_t heard[2 * USBIPMSG_DEVICE + 0x10000]; /* and not understood yet */
    size_t heard_length;
} peers[PEERS];

static struct input in;
static struct loop *loop;
static struct port *port;
static struct simboard *boards[BOARDS];
static struct usbip *server;

static const char *const paths[BOARDS] = { "sim:f407", "sim:l452", "sim:dfu11" };

/* ---- time ---- */

static void settle(void)
{
    for (int i = 0; i < 4; i++)
        loop_turn(loop, false);
}

static void pass(double seconds)
{
    loop_skip(loop, seconds);
    settle();
}

/* ---- bytes ---- */

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t n)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(n >> (24 - 8 * i));
}

/* ---- what a peer has said, by the protocol ---- */

static void note_command(struct peer *peer, const uint8_t *p, size_t *data)
{
    struct asked asked = { .seqnum = get32(p + 4),
                           .unlinks = get32(p) == 2,
                           .victim = get32(p + 20),
                           .in = get32(p + 12) == 1,
                           .length = get32(p + 24) };
    bool sound = get32(p) == 1 || asked.unlinks;
    *data = 0;
    if (!asked.unlinks) {
        sound = sound && get32(p + 12) <= 1 && asked.length <= 0xFFFF &&
                (get32(p + 32) == 0 || get32(p + 32) == UINT32_MAX);
        *data = asked.in ? 0 : asked.length;
    }
    if (!sound || get32(p + 8) >> 16 != 1 || peer->asked_count == ASKED_MOST) {
        peer->says = SAYS_NOTHING; /* from here on nothing has a meaning */
        return;
    }
    peer->asked[peer->asked_count++] = asked;
}

/* Reads one message; false: it is not whole, or there is none. */
static bool read_said(struct peer *peer)
{
    const uint8_t *p = peer->said + peer->said_read;
    size_t left = peer->said_length - peer->said_read, data;
    switch (peer->says) {
    case SAYS_OP:
        if (left < USBIPMSG_OP)
            return false;
        peer->says = get32(p) == 0x01118003 ? SAYS_BUS_ID : SAYS_NOTHING;
        peer->said_read += USBIPMSG_OP;
        return true;
    case SAYS_BUS_ID:
        if (left < USBIPMSG_BUS_ID)
            return false;
        peer->says = SAYS_COMMANDS;
        peer->said_read += USBIPMSG_BUS_ID;
        return true;
    case SAYS_COMMANDS:
        if (left < USBIPMSG_HEAD)
            return false;
        size_t count = peer->asked_count;
        note_command(peer, p, &data);
        if (left < USBIPMSG_HEAD + data) {
            peer->asked_count = count;
            return false;
        }
        peer->said_read += USBIPMSG_HEAD + data;
        return true;
    default:
        return false;
    }
}

/* Sends what there is room for; all else is lost, as if the peer had hung up there. */
static void say(struct peer *peer, const void *bytes, size_t length)
{
    if (peer->fd < 0 || peer->quiet || peer->said_length + length > SAID_MOST)
        return;
    ssize_t n = send(peer->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
        memcpy(peer->said + peer->said_length, bytes, (size_t)n);
        peer->said_length += (size_t)n;
    }
    if (n != (ssize_t)length) {
        shutdown(peer->fd, SHUT_WR);
        peer->quiet = true;
    }
    while (read_said(peer)) {
    }
}

/* ---- what a peer hears ---- */

static struct asked *find_asked(struct peer *peer, uint32_t seqnum, bool unlinks)
{
    for (size_t i = 0; i < peer->asked_count; i++)
        if (peer->asked[i].seqnum == seqnum && peer->asked[i].unlinks == unlinks)
            return &peer->asked[i];
    return NULL;
}

static void forget(struct peer *peer, struct asked *asked)
{
    size_t behind = peer->asked_count - (size_t)(asked - peer->asked) - 1;
    memmove(asked, asked + 1, behind * sizeof *asked);
    peer->asked_count--;
}

/* The answer to a command; how many bytes it has, or 0: it is not whole. */
static size_t hear_answer(struct peer *peer, const uint8_t *p, size_t left)
{
    if (left < USBIPMSG_HEAD)
        return 0;
    uint32_t code = get32(p), length = get32(p + 24);
    int32_t status = (int32_t)get32(p + 20);
    bool unlinks = code == 4;
    trace("peer %zu hears %u of %u: status %d, %u bytes\n", (size_t)(peer - peers), code,
          get32(p + 4), status, length);
    CLAIM(code == 3 || code == 4);
    struct asked *asked = find_asked(peer, get32(p + 4), unlinks);
    CLAIM(asked != NULL);
    if (unlinks) {
        CLAIM(status == 0 || status == USBIPMSG_ECONNRESET);
        struct asked *victim = find_asked(peer, asked->victim, false);
        CLAIM(status == 0 || victim != NULL);
        if (status != 0)
            forget(peer, victim); /* and must not be answered any more */
        forget(peer, find_asked(peer, get32(p + 4), true));
        return USBIPMSG_HEAD;
    }
    CLAIM(status == 0 || status == USBIPMSG_EPIPE || status == USBIPMSG_EPROTO ||
          status == USBIPMSG_ENOMEM);
    CLAIM(length <= asked->length);
    size_t data = asked->in ? length : 0;
    if (left < USBIPMSG_HEAD + data)
        return 0;
    forget(peer, asked);
    return USBIPMSG_HEAD + data;
}

/* The first answer of a connection. */
static size_t hear_reply(struct peer *peer, const uint8_t *p, size_t left)
{
    if (left < USBIPMSG_OP)
        return 0;
    uint32_t op = get32(p), status = get32(p + 4);
    trace("peer %zu hears %08x: status %u\n", (size_t)(peer - peers), op, status);
    CLAIM(op >> 16 == 0x0111 && status <= USBIPMSG_ERROR);
    if ((op & 0xFFFF) == 0x0003 && status == USBIPMSG_OK) {
        if (left < USBIPMSG_OP + USBIPMSG_DEVICE)
            return 0;
        uint32_t number = get32(p + USBIPMSG_OP + 292);
        CLAIM(get32(p + USBIPMSG_OP + 288) == 1 && number >= 1 && number <= BOARDS);
        peer->board = number - 1;
        return USBIPMSG_OP + USBIPMSG_DEVICE;
    }
    if ((op & 0xFFFF) == 0x0005 && status == USBIPMSG_OK) {
        if (left < USBIPMSG_DEVLIST)
            return 0;
        CLAIM(get32(p + USBIPMSG_OP) <= BOARDS);
        size_t whole = USBIPMSG_DEVLIST + get32(p + USBIPMSG_OP) * (USBIPMSG_DEVICE + 4u);
        return left < whole ? 0 : whole;
    }
    return USBIPMSG_OP;
}

/* Reads what has come, and understands as much of it as is whole. */
static void hear(struct peer *peer)
{
    while (peer->fd >= 0 && !peer->ended) {
        ssize_t n = recv(peer->fd, peer->heard + peer->heard_length,
                         sizeof peer->heard - peer->heard_length, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            peer->ended = true;
        if (n > 0)
            peer->heard_length += (size_t)n;
        size_t at = 0, part;
        do {
            const uint8_t *p = peer->heard + at;
            size_t left = peer->heard_length - at;
            part = peer->board < BOARDS ? hear_answer(peer, p, left) : hear_reply(peer, p, left);
            at += part;
        } while (part > 0);
        memmove(peer->heard, peer->heard + at, peer->heard_length - at);
        peer->heard_length -= at;
        CLAIM(!peer->ended || peer->heard_length == 0); /* nothing is cut in the middle */
        if (n <= 0)
            break;
        settle();
    }
}

/* ---- what a peer does ---- */

static void hang_up(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    settle();
}

static void join(struct peer *peer)
{
    int pair[2];
    uint8_t *said = peer->said;
    hang_up(peer);
    CLAIM(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    CLAIM(usbip_adopt(server, pair[0]));
    *peer = (struct peer){ .fd = pair[1], .board = BOARDS, .said = said };
}

static void say_op(struct peer *peer, unsigned code)
{
    uint8_t op[USBIPMSG_OP] = { 1, 0x11, (uint8_t)(code >> 8), (uint8_t)code };
    say(peer, op, sizeof op);
}

static void import(struct peer *peer, unsigned number)
{
    uint8_t id[USBIPMSG_BUS_ID] = { '1', '-', (uint8_t)('1' + number) };
    say_op(peer, USBIPMSG_REQ_IMPORT);
    say(peer, id, sizeof id);
}

struct request {
    uint8_t type, code;
    uint16_t value, length;
};

/* What clients ask for, one thing after another. */
static struct request choose_request(void)
{
    static const struct request usual[] = {
        { 0xA1, 3, 0, 6 },       { 0x21, 4, 0, 0 },  { 0xA1, 5, 0, 1 },    { 0x21, 6, 0, 0 },
        { 0x21, 1, 0, 5 },       { 0x21, 1, 2, 64 }, { 0xA1, 2, 2, 2048 }, { 0x21, 1, 0, 0 },
        { 0x80, 6, 0x0100, 64 }, { 0x00, 9, 1, 0 },  { 0x23, 3, 4, 0 },    { 0x01, 11, 0, 0 },
    };
    unsigned which = choose(&in, 14);
    if (which < 12)
        return usual[which];
    return (struct request){ take(&in), take(&in), take16(&in), take16(&in) };
}

static void submit(struct peer *peer)
{
    static uint8_t message[USBIPMSG_HEAD + 0xFFFF];
    struct request request = choose_request();
    bool is_in = (request.type & 0x80) && request.length > 0;
    size_t board = peer->board < BOARDS ? peer->board : 0;
    memset(message, 0, sizeof message);
    put32(message, 1);
    put32(message + 4, ++peer->seqnum);
    put32(message + 8, usbipmsg_device_id(board));
    put32(message + 12, is_in);
    put32(message + 24, request.length);
    put32(message + 32, UINT32_MAX);
    message[40] = request.type;
    message[41] = request.code;
    message[42] = (uint8_t)request.value;
    message[43] = (uint8_t)(request.value >> 8);
    message[46] = (uint8_t)request.length;
    message[47] = (uint8_t)(request.length >> 8);
    message[USBIPMSG_HEAD] = 0x21;     /* DfuSe: set the address, */
    message[USBIPMSG_HEAD + 4] = 0x08; /* to the flash */
    unsigned change = take(&in);
    if (change >= 0xF0) { /* one field lies */
        unsigned at = 4 * choose(&in, 12);
        put32(message + at, take32(&in));
    }
    size_t length = USBIPMSG_HEAD + (is_in ? 0 : request.length);
    if (change >= 0xE0 && change < 0xF0) { /* in pieces, with time between */
        size_t first = take(&in) % (length + 1);
        say(peer, message, first);
        settle();
        say(peer, message + first, length - first);
        return;
    }
    say(peer, message, length);
}

static void unlink_one(struct peer *peer)
{
    uint8_t message[USBIPMSG_HEAD] = { 0 };
    put32(message, 2);
    put32(message + 4, ++peer->seqnum);
    put32(message + 8, usbipmsg_device_id(peer->board < BOARDS ? peer->board : 0));
    put32(message + 20, peer->seqnum - choose(&in, 20));
    say(peer, message, sizeof message);
}

static void say_anything(struct peer *peer)
{
    uint8_t bytes[USBIPMSG_HEAD];
    size_t length = take(&in) % (sizeof bytes + 1);
    for (size_t i = 0; i < length; i++)
        bytes[i] = take(&in);
    say(peer, bytes, length);
}

/* An event outside of a board: a plug, a reset. */
static void disturb_board(void)
{
    struct simboard *board = boards[choose(&in, BOARDS)];
    struct sim *sim = simboard_sim(board);
    struct sim_when when = { .request = sim_requests(sim) + 1 + choose(&in, 4) };
    switch (choose(&in, 5)) {
    case 0:
        sim_unplug(sim, loop_now(loop));
        break;
    case 1:
        sim_plug(sim, loop_now(loop));
        break;
    case 2:
        sim_reset(sim, loop_now(loop));
        break;
    default:
        sim_add_fault(sim, choose(&in, SIM_FAULTS), &when);
        break;
    }
    simboard_changed(board);
}

static void deed(void)
{
    static const double seconds[] = { 0.01, 0.03, 0.11, 1.1, 2.1, 5, 10.1, 121 };
    struct peer *peer = &peers[choose(&in, PEERS)];
    unsigned what = choose(&in, 16);
    trace("peer %zu does %u\n", (size_t)(peer - peers), what);
    switch (what) {
    case 0:
        join(peer);
        import(peer, choose(&in, BOARDS));
        settle();
        hear(peer); /* so that it knows which board it has */
        break;
    case 1:
        join(peer);
        break;
    case 2:
        import(peer, choose(&in, BOARDS + 1));
        break;
    case 3:
        say_op(peer, USBIPMSG_REQ_DEVLIST);
        break;
    case 4:
        say_anything(peer);
        break;
    case 5:
        unlink_one(peer);
        break;
    case 6:
        hear(peer);
        break;
    case 7:
        hang_up(peer);
        break;
    case 8:
        if (peer->fd >= 0)
            shutdown(peer->fd, SHUT_WR);
        peer->quiet = true;
        break;
    case 9:
        pass(seconds[choose(&in, 8)]);
        break;
    case 10:
        disturb_board();
        break;
    default:
        submit(peer);
        break;
    }
    unsigned pause = take(&in); /* or more follows at once */
    if (pause < 0x80)
        pass(0.01);
    else if (pause < 0xC0)
        settle();
}

/* ---- the end ---- */

/* No two have one board. */
static void check_apart(void)
{
    for (size_t i = 0; i < PEERS; i++) {
        hear(&peers[i]);
        for (size_t j = 0; j < i; j++)
            CLAIM(peers[i].board == BOARDS || peers[i].board != peers[j].board || peers[i].fd < 0 ||
                  peers[i].ended || peers[j].fd < 0 || peers[j].ended);
    }
}

/* All peers read, for as long as a board may take. */
static void hear_all(void)
{
    check_apart();
    for (int i = 0; i < BUSY / STEP + 10; i++) {
        bool waits = false;
        for (size_t j = 0; j < PEERS; j++) {
            hear(&peers[j]);
            waits = waits || (peers[j].fd >= 0 && !peers[j].ended && peers[j].asked_count > 0);
        }
        if (!waits && i > 2)
            break;
        pass(STEP);
    }
    for (size_t i = 0; i < PEERS; i++) {
        const struct peer *peer = &peers[i];
        if (peer->fd < 0 || peer->ended || peer->board == BOARDS)
            continue;
        CLAIM(peer->asked_count == 0 || simboard_sim(boards[peer->board])->hung ||
              peer->says == SAYS_NOTHING);
    }
}

/* No client has a board any more; each board that is not dead can be imported. */
static void check_free(void)
{
    for (int i = 0; i < 10 && usbip_connections(server) > 0; i++)
        pass(STEP);
    CLAIM(usbip_connections(server) == 0);
    pass(60); /* boards that start, or work, come to an end of it */
    for (unsigned i = 0; i < BOARDS; i++) {
        struct peer *peer = &peers[0];
        join(peer);
        import(peer, i);
        settle();
        hear(peer);
        CLAIM(peer->board == i || simboard_sim(boards[i])->mem.rdp == 2);
        hang_up(peer);
    }
    struct usbip_event event;
    size_t events = 0;
    while (usbip_next(server, &event)) {
        CLAIM(event.what <= USBIP_LOST && (event.board < BOARDS || event.board == USBIP_NO_BOARD));
        CLAIM(++events < 1000);
    }
}

/* How many file descriptors are open, of the first ones. */
static int open_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 64; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* A board with a small flash: it is made for each input. */
static struct simproduct *small_product(const char *base)
{
    static const struct sim_segment segment = { 0x08000000, 4, 1024, 0 };
    static const struct sim_setting setting = { "@Flash  /0x08000000/04*001Kg",
                                                SIM_ROLE_FLASH,
                                                &segment,
                                                1,
                                                SIM_AS_BASE,
                                                0,
                                                0,
                                                NULL,
                                                0,
                                                false };
    struct sim_product said = { .base = base,
                                .vid = SIM_AS_BASE,
                                .pid = SIM_AS_BASE,
                                .version = SIM_AS_BASE,
                                .ram = 32 * 1024,
                                .settings = &setting,
                                .setting_count = strcmp(base, "dfu11") != 0 };
    struct simproduct *product = simproduct_new(&said);
    CLAIM(product != NULL);
    return product;
}

static void open_server(void)
{
    struct usbip_options options = { .paths = paths, .count = BOARDS };
    struct sim_options options_of_board = { .usb = SIM_USB_REAL,
                                            .times = SIM_TIMES_TYP,
                                            .state = -1 };
    enum usbip_failure failure;
    char why[200];
    loop = loop_new();
    CLAIM(loop != NULL);
    loop_virtual_time(loop);
    port = simport_new(loop);
    for (size_t i = 0; i < BOARDS; i++) {
        options_of_board.product = small_product(paths[i] + 4);
        boards[i] = simport_add(port, paths[i], &options_of_board, NULL, NULL, why, sizeof why);
        CLAIM(boards[i] != NULL);
        simproduct_drop(options_of_board.product);
    }
    server = usbip_new(loop, port, &options, &failure, why, sizeof why);
    CLAIM(server != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t said[PEERS][SAID_MOST];
    int fds = open_fds();
    in = (struct input){ data, data + size };
    open_server();
    for (size_t i = 0; i < PEERS; i++)
        peers[i] = (struct peer){ .fd = -1, .board = BOARDS, .said = said[i] };
    for (int i = 0; i < DEEDS_MOST && !used_up(&in); i++)
        deed();
    hear_all();
    for (size_t i = 0; i < PEERS; i++)
        hang_up(&peers[i]);
    check_free();
    usbip_free(server);
    CLAIM(!loop_turn(loop, true)); /* nothing is left in it */
    port->free(port);
    loop_free(loop);
    CLAIM(open_fds() == fds);
    return 0;
}
