/* DESIGN: two reads a block (header, payload) into one buffer that grows to the largest payload, and only after the file
 * was seen to hold it. A mistake sets `why`, after which nothing more is read. pmt_reader_item decodes everything;
 * tree.c has a faster way for what most items are, with the same state. */
#include "core/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/segments.h"

#define MAX_TEXT (1u << 28) /* bytes */
#define MOST_SEGMENTS 256u

typedef struct pmt_segments { /* all open, so that none goes while it is read */
    uint64_t *numbers;  /* ascending; owned */
    int *fds;           /* owned */
    size_t count, next; /* next: the one after the one at hand */
    bool begun;         /* there is one at hand: fds[next - 1] */
    int64_t size, at;   /* of it */
    uint64_t number;
} pmt_segments;

typedef enum found { FOUND_BLOCK, FOUND_END, FOUND_CUT, FOUND_BAD, FOUND_ERROR } found;

static void say(pmt_reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(pmt_reader *r, const char *format, ...) /* the first mistake counts */
{
    if (r->why[0] == '\0') {
        va_list args;
        va_start(args, format);
        vsnprintf(r->why, sizeof r->why, format, args);
        va_end(args);
    }
}

/* "block at offset 10 of segment 3 WHAT: the capture is cut there" */
static void say_at(pmt_reader *r, const char *thing, int64_t offset, uint64_t segment, const char *what)
{
    char of[40] = "";
    if (segment != 0) {
        snprintf(of, sizeof of, " of segment %" PRIu64, segment);
    }
    say(r, "%s at offset %" PRId64 "%s %s: the capture is cut there", thing, offset, of, what);
}

void pmt_reader_fail(pmt_reader *r, const uint8_t *at, const char *what)
{
    say_at(r, "item", r->block.offset + PMT_BLOCK_HEADER + (at - r->block.payload), r->block.segment, what);
    r->items.at = r->items.end;
}

static int read_failed(pmt_reader *r, int64_t offset, int error)
{
    say(r, "reading failed at offset %" PRId64 ": %s", offset, strerror(error));
    errno = error;
    return -error;
}

/* Bytes read, less than n at the end of the file; -errno. */
static int64_t read_at(int fd, void *to, size_t n, int64_t at)
{
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, (char *)to + done, n - done, at + (int64_t)done);
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        done += got > 0 ? (size_t)got : 0;
    }
    return (int64_t)done;
}

/* The file header: 0, or -errno with `why`. */
static int read_file_header(pmt_reader *r, int fd, uint32_t *page)
{
    uint8_t h[PMT_FILE_HEADER];
    int64_t n = read_at(fd, h, sizeof h, 0);
    if (n < 0) {
        return read_failed(r, 0, (int)-n);
    }
    if (n == 0) {
        say(r, "is no capture: it is empty");
        return -EBADMSG;
    }
    if (memcmp(h, PMT_CAPTURE_MAGIC, n < 8 ? (size_t)n : 8) != 0) {
        say(r, "is no capture: it does not begin with 89 50 4D 54 0D 0A 1A 0A");
        return -EBADMSG;
    }
    if (n < (int64_t)sizeof h) {
        say(r, "is cut at offset %" PRId64 ", within the %u bytes that a capture begins with", n, PMT_FILE_HEADER);
        return -EBADMSG;
    }
    uint32_t version = pmt_load_u32(h + 8) & 0xFFFF, order = pmt_load_u32(h + 8) >> 16;
    if (order != PMT_CAPTURE_ORDER) {
        say(r, "is no capture for this machine: the byte order at offset 10 is 0x%04X instead of 0x%04X", order,
            PMT_CAPTURE_ORDER);
        return -EBADMSG;
    }
    if (version > PMT_CAPTURE_VERSION) {
        say(r, "is of version %u; this program reads version %u", version, PMT_CAPTURE_VERSION);
        return -ENOTSUP;
    }
    *page = pmt_load_u32(h + 12);
    if (version == 0 || *page < 1024 || *page > 1u << 30 || (*page & (*page - 1)) != 0) {
        say(r, "is no capture: version %u or page size %u, at offsets 8 and 12, cannot be", version, *page);
        return -EBADMSG;
    }
    return 0;
}

/* The header of the block at `at`, as it stands there: not yet checked but for its magic and its length. */
static found look(pmt_reader *r, int fd, int64_t size, int64_t at, uint64_t segment, uint8_t *h, pmt_block *b)
{
    if (at >= size) {
        return FOUND_END;
    }
    int64_t n = read_at(fd, h, PMT_BLOCK_HEADER, at);
    if (n < 0) {
        read_failed(r, at, (int)-n);
        return FOUND_ERROR;
    }
    uint32_t magic = PMT_BLOCK_MAGIC;
    if (n > 0 && memcmp(h, &magic, n < 4 ? (size_t)n : 4) != 0) {
        say_at(r, "what stands", at, segment, "is no block");
        return FOUND_BAD;
    }
    if (n < (int64_t)PMT_BLOCK_HEADER) {
        return FOUND_CUT;
    }
    *b = (pmt_block){.type = pmt_load_u32(h + 4), .bytes = pmt_load_u32(h + 8), .ring_from = pmt_load_u64(h + 16),
                     .ring_to = pmt_load_u64(h + 24), .first_event = pmt_load_u64(h + 32),
                     .events = pmt_load_u32(h + 40), .thread = pmt_load_u32(h + 44), .clock = pmt_load_u64(h + 48),
                     .rss = pmt_load_u64(h + 56), .pair = {pmt_load_u64(h + 64), (int64_t)pmt_load_u64(h + 72)},
                     .offset = at, .segment = segment};
    if (b->bytes > PMT_MAX_PAYLOAD) {
        say_at(r, "block", at, segment, "claims a payload of more than 16 MiB");
        return FOUND_BAD;
    }
    return (int64_t)b->bytes > size - at - (int64_t)PMT_BLOCK_HEADER ? FOUND_CUT : FOUND_BLOCK;
}

/* The payload of b, whose header is h, into the buffer; r->block is it then. */
static found load(pmt_reader *r, int fd, const uint8_t *h, const pmt_block *b)
{
    if (b->bytes > r->room || r->buffer == NULL) { /* an empty payload has an address too */
        size_t room = r->room < 4096 ? 4096 : r->room;
        while (room < b->bytes) {
            room *= 2;
        }
        uint8_t *buffer = realloc(r->buffer, room);
        if (buffer == NULL) {
            read_failed(r, b->offset, ENOMEM);
            return FOUND_ERROR;
        }
        r->buffer = buffer;
        r->room = room;
    }
    int64_t n = read_at(fd, r->buffer, b->bytes, b->offset + PMT_BLOCK_HEADER);
    if (n < 0) {
        read_failed(r, b->offset, (int)-n);
        return FOUND_ERROR;
    }
    if (n < (int64_t)b->bytes) {
        return FOUND_CUT; /* it has become shorter meanwhile */
    }
    uint8_t zeroed[PMT_BLOCK_HEADER];
    memcpy(zeroed, h, sizeof zeroed);
    memset(zeroed + 12, 0, 4);
    if (pmt_crc32(pmt_crc32(0, zeroed, sizeof zeroed), r->buffer, b->bytes) != pmt_load_u32(h + 12)) {
        say_at(r, "block", b->offset, b->segment, "has a wrong CRC");
        return FOUND_BAD;
    }
    r->block = *b;
    r->block.payload = r->buffer;
    return FOUND_BLOCK;
}

/* --- segments -------------------------------------------------------------------------------------------------------- */

static void close_segments(pmt_segments *s)
{
    for (size_t i = 0; i < s->count; i++) {
        close(s->fds[i]);
    }
    free(s->fds);
    free(s->numbers);
    free(s);
}

/* Opens them, the newest first: the recorder may be removing the oldest. 0 or -errno. */
static int open_segments(pmt_reader *r)
{
    uint64_t *numbers;
    size_t count, first;
    int rc = pmt_segments_find(r->path, &r->first, &numbers, &count);
    if (rc < 0) {
        return read_failed(r, 0, -rc);
    }
    if (count == 0) {
        free(numbers);
        return 0;
    }
    size_t n = strlen(r->path) + PMT_SEGMENT_SUFFIX;
    int *fds = count > MOST_SEGMENTS ? NULL : malloc(count * sizeof *fds);
    char *name = malloc(n);
    pmt_segments *s = calloc(1, sizeof *s);
    if (fds == NULL || name == NULL || s == NULL) {
        free(fds);
        free(name);
        free(s);
        free(numbers);
        if (count > MOST_SEGMENTS) {
            say(r, "has %zu segments beside it; no recording makes more than %u", count, MOST_SEGMENTS);
            return -EBADMSG;
        }
        return read_failed(r, 0, ENOMEM);
    }
    for (first = count; first > 0; first--) {
        pmt_segment_name(name, r->path, numbers[first - 1]);
        fds[first - 1] = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fds[first - 1] < 0 && errno == ENOENT) {
            break; /* it was removed since we looked, and so were those before it */
        }
        if (fds[first - 1] < 0) {
            rc = -errno;
            say(r, "segment %" PRIu64 " cannot be read: %s", numbers[first - 1], strerror(errno));
            break;
        }
    }
    free(name);
    *s = (pmt_segments){.numbers = numbers, .fds = fds, .count = count - first};
    memmove(numbers, numbers + first, s->count * sizeof *numbers);
    memmove(fds, fds + first, s->count * sizeof *fds);
    r->segments = s;
    return rc;
}

/* The next block of the segments, as look() gives it; FOUND_END: none is left. */
static found look_in_segments(pmt_reader *r, uint8_t *h, pmt_block *b)
{
    pmt_segments *s = r->segments;
    for (;;) {
        while (s->begun) {
            found is = look(r, s->fds[s->next - 1], s->size, s->at, s->number, h, b);
            if (is == FOUND_BLOCK && b->type != PMT_BLOCK_EVENTS && b->type != PMT_BLOCK_SITES) {
                s->at += PMT_BLOCK_HEADER + b->bytes; /* nothing else stands in segments that we know of */
                continue;
            }
            if (is == FOUND_BLOCK && b->type == PMT_BLOCK_SITES &&
                (b->pair.clock != r->first.clock || b->pair.ns != r->first.ns)) {
                say(r, "segment %" PRIu64 " belongs to another recording: the capture is cut there", s->number);
                return FOUND_BAD;
            }
            if (is != FOUND_END) {
                return is;
            }
            s->begun = false;
        }
        if (s->next == s->count) {
            return FOUND_END;
        }
        struct stat st;
        uint32_t page = 0;
        s->number = s->numbers[s->next];
        if (fstat(s->fds[s->next], &st) < 0) {
            read_failed(r, 0, errno);
            return FOUND_ERROR;
        }
        s->size = S_ISREG(st.st_mode) ? st.st_size : 0;
        s->at = PMT_FILE_HEADER;
        if (s->size < (int64_t)PMT_FILE_HEADER && s->next + 1 == s->count) {
            s->next++; /* the newest is just beginning */
            return FOUND_END;
        }
        if (s->size < (int64_t)PMT_FILE_HEADER || read_file_header(r, s->fds[s->next], &page) < 0 || page != r->page) {
            r->why[0] = '\0';
            say(r, "segment %" PRIu64 " does not belong to it: the capture is cut there", s->number);
            return FOUND_BAD; /* asked again, it says so again */
        }
        s->begun = true;
        s->next++;
    }
}

/* --- opening --------------------------------------------------------------------------------------------------------- */

static int add_text(pmt_reader *r, char **text, size_t *len)
{
    if (*len + r->block.bytes > MAX_TEXT) {
        say_at(r, "block", r->block.offset, r->block.segment, "makes a text of more than 256 MiB");
        return -EBADMSG;
    }
    char *longer = realloc(*text, *len + r->block.bytes + 1); /* and a terminator, for those that print it */
    if (longer == NULL) {
        return read_failed(r, r->block.offset, ENOMEM);
    }
    *text = longer;
    memcpy(longer + *len, r->block.payload, r->block.bytes);
    *len += r->block.bytes;
    longer[*len] = '\0';
    return 0;
}

/* The block at r->at, if it is of that type, and whole: 1; else 0, or -errno. */
static int load_further(pmt_reader *r, uint32_t type)
{
    uint8_t h[PMT_BLOCK_HEADER];
    pmt_block b;
    found is = look(r, r->fd, r->size, r->at, 0, h, &b);
    if (is == FOUND_BLOCK && b.type == type) {
        is = load(r, r->fd, h, &b);
        if (is == FOUND_BLOCK) {
            r->at += PMT_BLOCK_HEADER + b.bytes;
            return 1;
        }
    }
    return is == FOUND_ERROR ? -errno : 0;
}

static bool possible(pmt_pair pair)
{
    return pair.clock <= PMT_CLOCK_LIMIT && pair.ns >= -PMT_NS_LIMIT && pair.ns <= PMT_NS_LIMIT;
}

static int read_header_block(pmt_reader *r)
{
    uint8_t h[PMT_BLOCK_HEADER];
    pmt_block b;
    found is = look(r, r->fd, r->size, PMT_FILE_HEADER, 0, h, &b);
    if (is == FOUND_BLOCK) {
        is = load(r, r->fd, h, &b);
    }
    if (is == FOUND_ERROR) {
        return -errno;
    }
    if (is == FOUND_END || is == FOUND_CUT) {
        say(r, "is cut at offset %" PRId64 ", within its first block", r->size);
    }
    else if (is == FOUND_BLOCK && b.type != PMT_BLOCK_TEXT) {
        say(r, "block at offset %u is not the header of a recording", PMT_FILE_HEADER);
    }
    else if (is == FOUND_BLOCK && (!possible(b.pair) || !possible((pmt_pair){0, (int64_t)b.clock}))) {
        say(r, "block at offset %u has an impossible time", PMT_FILE_HEADER);
    }
    if (r->why[0] != '\0') {
        return -EBADMSG;
    }
    r->first = r->before = b.pair;
    r->process_start_ns = (int64_t)b.clock;
    r->at = (int64_t)PMT_FILE_HEADER + PMT_BLOCK_HEADER + b.bytes;
    int rc;
    do {
        rc = add_text(r, &r->text, &r->text_len);
    } while (rc == 0 && (rc = load_further(r, PMT_BLOCK_TEXT)) == 1);
    r->why[0] = '\0'; /* what is wrong with the block behind is found again, when it is its turn */
    r->after_text = r->at;
    r->block = (pmt_block){0};
    return rc;
}

int pmt_reader_open(pmt_reader *r, const char *path)
{
    struct stat st;
    memset(r, 0, sizeof *r);
    r->fd = -1;
    r->path = strdup(path);
    if (r->path == NULL) {
        return read_failed(r, 0, ENOMEM);
    }
    r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would wait for its other end */
    if (r->fd < 0 || fstat(r->fd, &st) < 0) {
        int error = errno;
        say(r, "cannot be opened: %s", strerror(error));
        return -error;
    }
    if (!S_ISREG(st.st_mode)) {
        say(r, "is no capture: it is no regular file");
        return -EBADMSG;
    }
    r->size = st.st_size;
    int rc = read_file_header(r, r->fd, &r->page);
    if (rc == 0 && (rc = pmt_dictionary_init(&r->dictionary)) < 0) {
        return read_failed(r, 0, -rc);
    }
    if (rc == 0 && (r->successor = calloc(2 * PMT_NEXT_PLACES, sizeof *r->successor)) == NULL) {
        return read_failed(r, 0, ENOMEM);
    }
    if (rc == 0) {
        r->touched = r->successor + PMT_NEXT_PLACES;
        rc = read_header_block(r);
    }
    return rc == 0 ? open_segments(r) : rc;
}

void pmt_reader_close(pmt_reader *r)
{
    if (r->segments != NULL) {
        close_segments(r->segments);
    }
    if (r->fd >= 0) {
        close(r->fd);
    }
    if (r->dictionary.sites.arena != NULL) {
        pmt_dictionary_free(&r->dictionary);
    }
    free(r->path);
    free(r->buffer);
    free(r->text);
    free(r->end_text);
    free(r->successor);
    memset(r, 0, sizeof *r);
    r->fd = -1;
}

static void forget_successors(pmt_reader *r)
{
    for (uint32_t i = 0; i < r->touched_count; i++) { /* all of them would be slow for small blocks */
        r->successor[r->touched[i]] = 0;
    }
    r->touched_count = 0;
}

int pmt_reader_rewind(pmt_reader *r)
{
    if (r->fd < 0 || r->text == NULL) {
        return -EBADF;
    }
    forget_successors(r);
    pmt_dictionary_forget(&r->dictionary);
    r->at = r->after_text;
    if (r->segments != NULL) {
        r->segments->begun = false;
        r->segments->next = 0;
    }
    free(r->end_text);
    r->end_text = NULL;
    r->end_len = 0;
    r->complete = false;
    r->why[0] = '\0';
    r->before = r->first;
    r->block = (pmt_block){0};
    r->event = (pmt_event){0};
    r->items = (pmt_bytes){0};
    r->left = r->previous = 0;
    return 0;
}

/* --- blocks ---------------------------------------------------------------------------------------------------------- */

static int take_definitions(pmt_reader *r)
{
    pmt_bytes b = {r->block.payload, r->block.payload + r->block.bytes, false};
    int rc = pmt_dictionary_apply(&r->dictionary, &b);
    if (rc == -EBADMSG) {
        say_at(r, "definition", r->block.offset + PMT_BLOCK_HEADER + (b.at - r->block.payload), r->block.segment,
               "is not valid");
        return 0;
    }
    return rc < 0 ? read_failed(r, r->block.offset, -rc) : 0;
}

static int take_totals(pmt_reader *r)
{
    pmt_bytes b = {r->block.payload, r->block.payload + r->block.bytes, false};
    if (pmt_dictionary_totals(&r->dictionary, &b) < 0) {
        say_at(r, "block", r->block.offset, r->block.segment, "has totals of sites that are not valid");
    }
    return 0;
}

static int take_events(pmt_reader *r, const pmt_block *last)
{
    const pmt_block *b = &r->block;
    const char *what = NULL;
    bool first = last->type == 0;
    if (b->rss % r->page != 0 || b->rss > (uint64_t)PMT_RSS_LIMIT) {
        what = "begins with an impossible RSS";
    }
    else if (b->thread >= PMT_MAX_THREADS) {
        what = "begins with an impossible thread";
    }
    else if (b->events > b->bytes || b->first_event > UINT64_MAX - b->events) {
        what = "claims an impossible number of events";
    }
    else if (b->clock > PMT_CLOCK_LIMIT || (!first && b->clock < last->clock)) {
        what = "has an impossible clock";
    }
    else if (!possible(b->pair)) {
        what = "has an impossible time";
    }
    else if (b->ring_to < b->ring_from ||
             (!first && (b->first_event < last->first_event + last->events || b->ring_from < last->ring_to))) {
        what = "is out of order";
    }
    if (what != NULL) {
        say_at(r, "block", b->offset, b->segment, what);
        return 0;
    }
    r->before = first ? r->first : last->pair;
    r->dropped = first ? b->first_event : r->dropped;
    r->event = (pmt_event){.event = b->first_event, .clock = b->clock, .rss = (int64_t)b->rss, .thread = b->thread};
    r->items = (pmt_bytes){b->payload, b->payload + b->bytes, false};
    r->left = b->events;
    r->previous = 0;
    return 1;
}

/* The block that is next in order, from the capture or from a segment. */
static found next_block(pmt_reader *r, uint8_t *h, pmt_block *b)
{
    found is = look(r, r->fd, r->size, r->at, 0, h, b);
    if (r->segments == NULL || is == FOUND_BAD || is == FOUND_ERROR) {
        return is;
    }
    uint8_t other_h[PMT_BLOCK_HEADER];
    pmt_block other;
    found other_is = look_in_segments(r, other_h, &other);
    if (other_is == FOUND_END) {
        return is;
    }
    struct stat st;
    if ((is == FOUND_END || is == FOUND_CUT) && fstat(r->fd, &st) == 0 && st.st_size > r->size) {
        r->size = st.st_size; /* it is being written: what the segment's block needs came before that block */
        is = look(r, r->fd, r->size, r->at, 0, h, b);
    }
    /* A capture that just stops was being written to: what stands in the segments came before that. */
    if (is == FOUND_BLOCK && b->type != PMT_BLOCK_END && b->type != PMT_BLOCK_TOTALS &&
        (other_is != FOUND_BLOCK || b->ring_from < other.ring_from ||
         (b->ring_from == other.ring_from && other.type != PMT_BLOCK_SITES))) {
        r->why[0] = '\0'; /* what is wrong in the segment comes later, and will be found again */
        return is;
    }
    if (other_is == FOUND_BLOCK) {
        memcpy(h, other_h, sizeof other_h);
        *b = other;
    }
    else if (other_is == FOUND_CUT) {
        say(r, "segment %" PRIu64 " is cut at offset %" PRId64 ": the process was killed, or is still writing",
            r->segments->number, r->segments->size);
    }
    return other_is;
}

int pmt_reader_block(pmt_reader *r)
{
    pmt_block last = r->block; /* of events, or none */
    r->items.at = r->items.end = NULL;
    r->left = 0;
    if (r->why[0] != '\0' || r->complete || r->fd < 0) {
        return 0;
    }
    forget_successors(r);
    for (;;) {
        uint8_t h[PMT_BLOCK_HEADER];
        pmt_block b = {0};
        found is = next_block(r, h, &b);
        if (is == FOUND_BLOCK) {
            is = load(r, b.segment == 0 ? r->fd : r->segments->fds[r->segments->next - 1], h, &b);
        }
        int rc = 0;
        if (is == FOUND_ERROR) {
            return -errno;
        }
        if (is == FOUND_END) {
            say(r, "has no end: the process was killed, or is still writing");
        }
        else if (is == FOUND_CUT) {
            say(r, "is cut at offset %" PRId64 ": the process was killed, or is still writing", r->size);
        }
        if (is != FOUND_BLOCK) {
            return 0;
        }
        if (b.segment == 0) {
            r->at += PMT_BLOCK_HEADER + b.bytes;
        }
        else {
            r->segments->at += PMT_BLOCK_HEADER + b.bytes;
        }
        switch (b.type) {
        case PMT_BLOCK_TEXT:
            say_at(r, "block", b.offset, b.segment, "is a second header");
            return 0;
        case PMT_BLOCK_DEFINITIONS:
            rc = take_definitions(r);
            break;
        case PMT_BLOCK_SITES:
            rc = take_totals(r);
            break;
        case PMT_BLOCK_EVENTS:
            rc = take_events(r, &last);
            if (rc != 0) {
                return rc;
            }
            break;
        case PMT_BLOCK_END:
            do {
                rc = add_text(r, &r->end_text, &r->end_len);
            } while (rc == 0 && (rc = load_further(r, PMT_BLOCK_END)) == 1);
            if (rc == 0 && r->at < r->size) {
                say_at(r, "what stands", r->at, 0, "comes after the end, or is cut");
            }
            r->complete = rc == 0 && r->why[0] == '\0';
            break;
        default:
            break;
        }
        if (rc < 0 || r->complete || r->why[0] != '\0') {
            return rc;
        }
        r->block = last;
    }
}

/* --- items ----------------------------------------------------------------------------------------------------------- */

static bool add_rss(pmt_reader *r, int64_t pages)
{
    int64_t most = PMT_RSS_LIMIT / r->page;
    if (pages > most || pages < -most) {
        return false;
    }
    r->event.rss += pages * r->page;
    return r->event.rss >= 0 && r->event.rss <= PMT_RSS_LIMIT;
}

/* What is no event, after its first byte and its site. NULL, or what is wrong with it. */
static const char *take_control(pmt_reader *r, uint64_t site, pmt_item *item, pmt_item_kind *kind)
{
    pmt_bytes *b = &r->items;
    uint64_t number = site == 3 || site == 5 || site == 7 ? pmt_get_varint(b) : 0;
    *kind = PMT_ITEM_NONE;
    switch (site) {
    case 3:
        if (number >= PMT_MAX_THREADS) {
            return "names an impossible thread";
        }
        r->event.thread = (uint32_t)number;
        return NULL;
    case 5: {
        uint64_t bytes = pmt_get_varint(b);
        if (number != 0 && (number < PMT_SITE_FIRST || number >= r->dictionary.high)) {
            return "charges a peak to a site that is not defined";
        }
        if (bytes > (uint64_t)PMT_RSS_LIMIT) {
            return "is an impossible peak";
        }
        item->site = (uint32_t)number;
        item->bytes = (int64_t)bytes;
        item->number = pmt_get_varint(b);
        *kind = PMT_ITEM_PEAK;
        return item->number > INT64_MAX ? "is a peak of an impossible event" : NULL;
    }
    case 6:
        item->bytes = pmt_get_zigzag(b);
        *kind = PMT_ITEM_TRACER;
        return item->bytes > PMT_RSS_LIMIT || item->bytes < -PMT_RSS_LIMIT ? "is an impossible change of memory" : NULL;
    case 7:
        if (number > 1) {
            return "neither begins nor ends a nested recording";
        }
        item->bytes = (int64_t)number;
        *kind = PMT_ITEM_NESTED;
        return add_rss(r, pmt_get_zigzag(b)) ? NULL : "makes the RSS impossible";
    case 8:
        item->text = pmt_get_string(b, PMT_MAX_PAYLOAD, &item->text_len);
        *kind = PMT_ITEM_TEXT;
        return NULL;
    default:
        return "is of an unknown kind";
    }
}

pmt_item_kind pmt_reader_item(pmt_reader *r, pmt_item *item)
{
    pmt_bytes *b = &r->items;
    const char *wrong = NULL;
    *item = (pmt_item){0};
    while (b->at < b->end) {
        const uint8_t *start = b->at;
        uint8_t first = *b->at++;
        uint64_t time = first >> 2;
        if (time == PMT_TIME_BYTE) {
            time += pmt_get_byte(b);
        }
        else if (time == PMT_TIME_VARINT) {
            time = pmt_get_varint(b);
        }
        uint32_t place = pmt_reader_place(r->previous);
        uint64_t said = first & 1 ? pmt_get_varint(b) : 0;
        uint64_t site = said >= PMT_SITE_FIRST ? pmt_unsaid(said, r->previous) : r->successor[place];
        if ((first & 1 ? said < PMT_SITE_FIRST : site == 0) && !b->bad) {
            pmt_item_kind kind = PMT_ITEM_NONE;
            if ((first & 1) == 0) {
                wrong = "expects a successor of a site that had none";
            }
            else {
                wrong = first != 1 ? "has bits that it must not have" : take_control(r, said, item, &kind);
            }
            if (b->bad || wrong != NULL) {
                wrong = b->bad ? "is longer than its block" : wrong;
                pmt_reader_fail(r, start, wrong);
                return PMT_ITEM_NONE;
            }
            if (kind != PMT_ITEM_NONE) {
                r->event.event = r->block.first_event + (r->block.events - r->left);
                return kind;
            }
            continue;
        }
        int64_t pages = first & 2 ? pmt_get_zigzag(b) : 0;
        if (b->bad) {
            wrong = "is longer than its block";
        }
        else if (r->left == 0) {
            wrong = "is one event more than its block announced";
        }
        else if (!pmt_dictionary_has_site(&r->dictionary, site)) {
            wrong = "is of a site that is not defined";
        }
        else if (time > PMT_CLOCK_LIMIT || r->event.clock + time > 2 * PMT_CLOCK_LIMIT) {
            wrong = "makes the clock impossible";
        }
        else if (pages != 0 && !add_rss(r, pages)) {
            wrong = "makes the RSS impossible";
        }
        if (wrong != NULL) {
            pmt_reader_fail(r, start, wrong);
            return PMT_ITEM_NONE;
        }
        if (r->successor[place] == 0) {
            r->touched[r->touched_count++] = place;
        }
        r->successor[place] = (uint32_t)site;
        r->previous = (uint32_t)site;
        r->event.clock += time;
        r->event.event = r->block.first_event + (r->block.events - r->left);
        r->event.site = (uint32_t)site;
        r->left--;
        return PMT_ITEM_EVENT;
    }
    if (r->left != 0) {
        char claim[80];
        snprintf(claim, sizeof claim, "announces %u events more than it holds", r->left);
        say_at(r, "block", r->block.offset, r->block.segment, claim);
        r->left = 0;
    }
    return PMT_ITEM_NONE;
}

int pmt_reader_totals(pmt_reader *r)
{
    pmt_item item;
    int rc = pmt_reader_rewind(r);
    if (rc == 0 && r->dictionary.sites.totals.item == 0) {
        rc = pmt_sites_count(&r->dictionary.sites);
    }
    while (rc == 0 && (rc = pmt_reader_block(r)) == 1) {
        rc = 0;
        int64_t rss = (int64_t)r->block.rss;
        for (pmt_item_kind kind; (kind = pmt_reader_item(r, &item)) != PMT_ITEM_NONE; rss = r->event.rss) {
            if (kind == PMT_ITEM_EVENT) {
                pmt_site_total *t = pmt_sites_total(&r->dictionary.sites, r->event.site);
                t->events++;
                t->pages = (int64_t)((uint64_t)t->pages + (uint64_t)((r->event.rss - rss) / (int64_t)r->page));
            }
        }
    }
    return rc;
}

bool pmt_reader_at_end(const pmt_reader *r)
{
    const pmt_segments *s = r->segments;
    return r->at == r->size && (s == NULL || (s->next == s->count && (!s->begun || s->at >= s->size)));
}
