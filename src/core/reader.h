/* core/reader.h - opens a capture, checks everything it reads, gives blocks and events. One thread; no Python.
 *
 * Memory: one block and the definitions, whatever the file's size. The file is untrusted. */
#ifndef PMT_READER_H
#define PMT_READER_H

#include "core/capture.h"
#include "core/clock.h"
#include "core/dictionary.h"

typedef struct pmt_capture_block {   /* the header of a block, as read */
    uint32_t type, bytes, events, thread;
    uint64_t ring_from, ring_to, first_event, clock, rss;
    pmt_pair pair;
    int64_t offset;          /* in its file */
    uint64_t segment;        /* which file: 0 the capture itself, else its segment of that number */
    const uint8_t *payload;
} pmt_block;

#define PMT_RSS_LIMIT (INT64_C(1) << 56)    /* bytes; more is no capture */
#define PMT_CLOCK_LIMIT (UINT64_C(1) << 62)

typedef struct pmt_event {
    uint64_t event, clock;
    int64_t rss;             /* bytes */
    uint32_t site, thread;
} pmt_event;

typedef enum pmt_item_kind { PMT_ITEM_NONE, PMT_ITEM_EVENT, PMT_ITEM_PEAK, PMT_ITEM_TRACER, PMT_ITEM_NESTED,
                             PMT_ITEM_TEXT } pmt_item_kind;

typedef struct pmt_item {    /* what is no event; `event` holds the state at it (event number: the next one) */
    uint32_t site;           /* PEAK: charged, 0: none */
    int64_t bytes;           /* PEAK: bytes; TRACER: growth; NESTED: 1 began, 0 ended */
    uint64_t number;         /* PEAK: event at which it was seen */
    const char *text;        /* TEXT */
    size_t text_len;
} pmt_item;

typedef struct pmt_reader {
    int fd;
    int64_t size, at;        /* of the file when it was opened; offset of the next block in it */
    int64_t after_text;      /* offset of the first block after the header */
    char *path;              /* owned */
    uint32_t page;
    pmt_dictionary dictionary;
    pmt_block block;         /* the one read last */
    uint8_t *buffer;         /* owned: PMT_MAX_PAYLOAD bytes at most, grown as needed */
    size_t room;
    char *text, *end_text;   /* owned; of the blocks TEXT and END (NULL: none yet) */
    size_t text_len, end_len;
    pmt_pair first;          /* pair of the header block */
    pmt_pair before;         /* pair of the block of events before the one at hand, or of the header */
    int64_t process_start_ns;
    bool complete;           /* an END block was read */
    uint64_t dropped;        /* events before the first that is there: known once a block of events was read */
    char why[256];           /* why it could not be opened or where it was cut, one sentence without a full stop; "" */
    /* of the block of events at hand */
    pmt_bytes items;
    pmt_event event;         /* state: the event given last */
    uint32_t left;           /* events that the block still announces */
    uint32_t previous;       /* site of the event before in this block, 0 */
    uint32_t *successor;     /* PMT_NEXT_PLACES, by place; owned */
    uint32_t *touched;       /* places whose successor is not 0; in the same memory */
    uint32_t touched_count;
    /* segments of --keep, merged in order of ring_from; NULL: none. Owned */
    struct pmt_segments *segments;
} pmt_reader;

/* 0 and a reader positioned before the first block after the header; else -errno, and `why` says what in one sentence:
 * -EBADMSG no capture, -ENOTSUP a later version, or the errno of open and read. r is to be closed in any case. */
int pmt_reader_open(pmt_reader *r, const char *path);
void pmt_reader_close(pmt_reader *r);

/* The next block of events, definitions before it taken in, END noted. 1: there is one; 0: the end of the file, or where it
 * is cut (then !complete, and `why` says where); -errno: reading failed. */
int pmt_reader_block(pmt_reader *r);
int pmt_reader_rewind(pmt_reader *r); /* to the first block again; 0 or -errno */

bool pmt_reader_at_end(const pmt_reader *r); /* was all of every file read? */

/* Reads all: r->dictionary.sites.totals and .retired are then what every site has seen over the whole recording, also in
 * what --keep has dropped. 0 or -errno. */
int pmt_reader_totals(pmt_reader *r);

/* What `why` says of a mistake at `at` in the block at hand; the capture ends there. */
void pmt_reader_fail(pmt_reader *r, const uint8_t *at, const char *what);

/* The next item of the block at hand. PMT_ITEM_EVENT: r->event is it. PMT_ITEM_NONE: the block is at its end, or what
 * follows is not valid (then `why` is set and the capture ends here). */
pmt_item_kind pmt_reader_item(pmt_reader *r, pmt_item *item);

static inline uint32_t pmt_reader_place(uint64_t site)
{
    return (uint32_t)site & (PMT_NEXT_PLACES - 1);
}

#endif
