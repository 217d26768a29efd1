/* core/tree.h - the calling-context tree of a capture by the charging rule. One thread; no Python.
 *
 * A change of RSS between two events of the process is charged to what ran before the second: the top of that thread's
 * stack (RETURN, C_RETURN, C_EXCEPT: the function that ends; C_CALL: the calling Python function; CALL: the caller).
 * Nothing is lost: the sum of all nodes' up + down is rss_last - rss_first. */
#ifndef PMT_TREE_H
#define PMT_TREE_H

#include "core/history.h"
#include "core/reader.h"

enum { PMT_NODE_ROOT, PMT_NODE_BEFORE, PMT_NODE_TRACER, PMT_NODE_SUSPENDED, PMT_NODE_FIRST }; /* the first nodes: */
/* ROOT all; BEFORE what frames did that were open when recording began; TRACER the recorder's own memory; SUSPENDED what
 * happened while a nested recording ran. The last three are children of ROOT and have function 0. */

typedef struct pmt_node {
    uint32_t parent, function;      /* function: id in the dictionary; 0: see above */
    uint32_t child, sibling;        /* first child, next of the same parent; 0: none */
    uint32_t last;                  /* the child met last: looked at first */
    uint32_t c;                     /* 1: a C function */
    uint64_t calls;
    int64_t up, down;               /* bytes, exclusive: sums of the positive and of the negative changes (down <= 0) */
    int64_t peak;                   /* largest RSS or peak seen when it was on top, bytes; 0: none */
    uint64_t clock;                 /* exclusive, clock units */
} pmt_node;

typedef struct pmt_tree {
    pmt_node *nodes;                /* owned; in order of first call: a parent stands before its children */
    uint32_t count, room;
    uint64_t *slots;                /* hash of (parent, function) -> node */
    uint32_t mask;
    struct pmt_stack *stacks;       /* by thread id; owned. Another tid: another thread, its stack empty */
    uint32_t stack_count;
    uint64_t events, unmatched;     /* C_RETURN or RETURN without their call, passed over */
    uint64_t returns_before;        /* RETURNs of frames that were open when recording began */
    uint64_t skipped;               /* calls whose return did not come: ended by a later event */
    int64_t rss_first, rss_last, rss_peak; /* bytes */
    int64_t foreign;                /* bytes, up and down added: seen at the first event after a change of thread, so
                                       charged to one thread though another ran meanwhile */
    uint64_t clock_first, clock_last;
    double seconds;                 /* between first and last event, by the timeline of the blocks' pairs */
    double begun;                   /* the first event's, since the recording's begin */
    uint32_t thread;                /* of the last item; UINT32_MAX: none yet */
    uint32_t stamp, block_stamp;    /* of ways that may be taken without a look; the first one of this block */
    uint32_t *used, used_count, used_room; /* sites with a way of this block; owned */
    int64_t tracer;                 /* growth of the recorder that the next change of RSS contains */
    uint64_t searched;              /* frames looked at in vain for a RETURN */
    pmt_history *history;           /* the caller's, set between init and the first block; NULL: not wanted */
} pmt_tree;

int pmt_tree_init(pmt_tree *t);  /* 0 or -errno */
void pmt_tree_free(pmt_tree *t);
int pmt_tree_add_block(pmt_tree *t, pmt_reader *r); /* all items of the block at hand; 0 or -errno */
int pmt_tree_read(pmt_tree *t, pmt_reader *r);      /* rewinds and adds all blocks; 0 or -errno (a cut is no error) */

/* With what was called by it: arrays of t->count, by node. net = up + down; peak is the largest. NULL: not wanted. */
void pmt_tree_inclusive(const pmt_tree *t, int64_t *net, int64_t *up, int64_t *down, int64_t *peak, uint64_t *clock);

#endif
