/* DESIGN: one loop decodes and charges, its state in locals. The usual item (a known or short site, a short time, a small
 * change of RSS) is decoded here; everything else by pmt_reader_item, to which the state is handed over.
 * A thread's stack is its top node and that one's parents; ROOT is the empty stack, and what is charged to ROOT in the
 * loop becomes BEFORE's at its end.
 * The usual event leads from the node to the node that the one before at its site did: a way. One comparison, of the
 * top and of a stamp, decides that; time and calls are added up beside the way and reach the nodes when it changes and at
 * the end of the block. The stamp is a new one whenever RSS rises: a way that has it leads to a node whose peak is not
 * below RSS, and was met in this block. So the usual event touches no node, and asks neither for its kind nor for RSS. */
#include "core/tree.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_NODES 1024u
#define MAX_NODES (1u << 26)
#define SEARCH_ALLOWED (UINT64_C(1) << 24) /* frames, and 16 for each event ... */
#define SHORT_SEARCH 1024u /* ... then so many at a time: no capture may make this quadratic */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

typedef struct pmt_stack {
    uint32_t top;    /* PMT_NODE_ROOT: empty */
    uint32_t tid;    /* the kernel's number: a thread's number in the capture is another one's when it has ended */
    bool begun;
    uint64_t clock;  /* of its last event */
} pmt_stack;

_Static_assert(sizeof(pmt_node) == 64, "a node is a cache line");

static pmt_node *new_nodes(const pmt_node *old, uint32_t count, uint32_t room) /* aligned, which realloc is not */
{
    pmt_node *nodes = aligned_alloc(sizeof *nodes, room * sizeof *nodes);
    if (nodes != NULL && count > 0) {
        memcpy(nodes, old, count * sizeof *nodes);
    }
    return nodes;
}

int pmt_tree_init(pmt_tree *t)
{
    memset(t, 0, sizeof *t);
    t->nodes = new_nodes(NULL, 0, FIRST_NODES);
    t->slots = calloc(FIRST_NODES * 2, sizeof *t->slots);
    if (t->nodes == NULL || t->slots == NULL) {
        return -ENOMEM;
    }
    t->room = FIRST_NODES;
    t->mask = FIRST_NODES * 2 - 1;
    t->count = PMT_NODE_FIRST;
    t->thread = UINT32_MAX;
    memset(t->nodes, 0, PMT_NODE_FIRST * sizeof *t->nodes);
    for (uint32_t i = PMT_NODE_BEFORE; i < PMT_NODE_FIRST; i++) {
        t->nodes[i].sibling = t->nodes[PMT_NODE_ROOT].child;
        t->nodes[PMT_NODE_ROOT].child = i;
    }
    return 0;
}

void pmt_tree_free(pmt_tree *t)
{
    free(t->used);
    free(t->stacks);
    free(t->nodes);
    free(t->slots);
    memset(t, 0, sizeof *t);
}

/* --- nodes ----------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(uint32_t parent, uint32_t function)
{
    uint64_t h = ((uint64_t)parent << 32 | function) * 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 32) * 0xBF58476D1CE4E5B9u;
    return h ^ h >> 32;
}

static void put_slot(uint64_t *slots, uint32_t mask, uint64_t hash, uint32_t node)
{
    uint32_t i = (uint32_t)hash & mask;
    while (slots[i] != 0) {
        i = (i + 1) & mask;
    }
    slots[i] = hash >> 32 << 32 | node;
}

static bool grow_nodes(pmt_tree *t)
{
    uint32_t room = t->room * 2, mask = t->mask * 2 + 1;
    pmt_node *nodes = t->room >= MAX_NODES ? NULL : new_nodes(t->nodes, t->count, room);
    uint64_t *slots = nodes == NULL ? NULL : calloc((size_t)mask + 1, sizeof *slots);
    if (slots == NULL) {
        free(nodes);
        return false;
    }
    for (uint32_t i = PMT_NODE_FIRST; i < t->count; i++) {
        put_slot(slots, mask, hash_of(nodes[i].parent, nodes[i].function), i);
    }
    free(t->nodes);
    free(t->slots);
    t->nodes = nodes;
    t->slots = slots;
    t->room = room;
    t->mask = mask;
    return true;
}

static uint32_t child_of(pmt_tree *t, uint32_t parent, uint32_t function, bool c) /* 0: no memory */
{
    uint32_t last = t->nodes[parent].last;
    if (t->nodes[last].function == function) {
        return last;
    }
    uint64_t hash = hash_of(parent, function);
    for (uint32_t i = (uint32_t)hash & t->mask; t->slots[i] != 0; i = (i + 1) & t->mask) {
        uint32_t node = (uint32_t)t->slots[i];
        if (t->slots[i] >> 32 == hash >> 32 && t->nodes[node].parent == parent && t->nodes[node].function == function) {
            return node;
        }
    }
    if (t->count == t->room && !grow_nodes(t)) {
        return 0;
    }
    uint32_t node = t->count++;
    t->nodes[node] = (pmt_node){.parent = parent, .function = function, .sibling = t->nodes[parent].child, .c = c};
    t->nodes[parent].child = node;
    put_slot(t->slots, t->mask, hash, node);
    return node;
}

/* Sums wrap rather than overflow: a capture may claim anything. */
static void add(int64_t *sum, int64_t bytes)
{
    *sum = (int64_t)((uint64_t)*sum + (uint64_t)bytes);
}

static uint32_t shown(uint32_t top) /* what the empty stack does is BEFORE's */
{
    return top == PMT_NODE_ROOT ? PMT_NODE_BEFORE : top;
}

static void charge(pmt_tree *t, uint32_t node, int64_t bytes)
{
    pmt_node *n = &t->nodes[node];
    add(bytes > 0 ? &n->up : &n->down, bytes);
    if (t->history != NULL && bytes != 0) {
        pmt_history_charge(t->history, shown(node), bytes);
    }
}

static void look_at_peak(pmt_node *n, int64_t bytes)
{
    n->peak = bytes > n->peak ? bytes : n->peak;
}

/* --- stacks ---------------------------------------------------------------------------------------------------------- */

static pmt_stack *stack_of(pmt_tree *t, const pmt_dictionary *d, uint32_t thread) /* NULL: no memory */
{
    const pmt_thread_name *name = pmt_dictionary_thread(d, thread);
    uint32_t tid = name == NULL ? 0 : name->tid;
    if (thread >= t->stack_count) {
        uint32_t count = t->stack_count < 8 ? 8 : t->stack_count * 2;
        while (count <= thread) {
            count *= 2;
        }
        pmt_stack *stacks = realloc(t->stacks, count * sizeof *stacks);
        if (stacks == NULL) {
            return NULL;
        }
        memset(stacks + t->stack_count, 0, (count - t->stack_count) * sizeof *stacks);
        t->stacks = stacks;
        t->stack_count = count;
    }
    pmt_stack *s = &t->stacks[thread];
    if (s->tid != tid) {
        *s = (pmt_stack){.tid = tid};
    }
    return s;
}

/* The top after an event without a way. *from: where such a way would begin; UINT32_MAX: it is to come here again.
 * UINT32_MAX: no memory. */
static uint32_t unusual(pmt_tree *t, uint32_t top, const pmt_place *place, uint32_t *from)
{
    uint32_t what = pmt_place_what(*place), function = place->function;
    pmt_node *n = &t->nodes[top];
    *from = UINT32_MAX;
    if (what == PMT_CALL || what == PMT_C_CALL) {
        if (what == PMT_C_CALL && n->c &&
            (n->parent == PMT_NODE_ROOT || t->nodes[n->parent].function == pmt_place_python(*place))) {
            t->skipped++; /* its return did not come: C functions call C functions through Python only */
            top = n->parent;
        }
        uint32_t node = child_of(t, top, function, what == PMT_C_CALL);
        if (node == 0) {
            return UINT32_MAX;
        }
        t->nodes[top].last = node;
        *from = what == PMT_CALL || !t->nodes[top].c ? top : UINT32_MAX; /* C below C may be a return that did not come */
        t->nodes[node].calls++;
        return node;
    }
    if (n->function == function) {
        *from = top;
        return n->parent;
    }
    if (what == PMT_RETURN && top == PMT_NODE_ROOT) {
        t->returns_before++;
        return top;
    }
    if (what == PMT_RETURN) {
        uint64_t most = t->searched > 16 * t->events + SEARCH_ALLOWED ? SHORT_SEARCH : UINT64_MAX, passed = 0;
        for (uint32_t at = top; at != PMT_NODE_ROOT && passed < most; at = t->nodes[at].parent, passed++) {
            if (t->nodes[at].function == function) {
                t->skipped += passed;
                return t->nodes[at].parent;
            }
        }
        t->searched += passed;
    }
    t->unmatched++;
    return top;
}

/* --- ways ------------------------------------------------------------------------------------------------------------ */

static void settle(pmt_tree *t, pmt_place *place) /* what was added up beside a way, to its nodes */
{
    bool call = (place->python_what & 5) == 0; /* CALL or C_CALL */
    t->nodes[(uint32_t)place->way].clock += place->sum % PMT_WAY_TIMES;
    t->nodes[(uint32_t)place->to].calls += call ? place->sum / PMT_WAY_TIMES : 0;
    place->sum = 0;
}

/* An event at a site without a way from `top` that may be taken blindly. The new top; UINT32_MAX: no memory. */
static __attribute__((noinline)) uint32_t turn(pmt_tree *t, pmt_place *places, uint32_t site, uint32_t top, uint64_t time,
                                               int64_t rss)
{
    pmt_place *place = &places[site];
    uint32_t to = (uint32_t)place->to, from = (uint32_t)place->way;
    t->nodes[top].clock += time; /* any time: only short ones are added up beside the way */
    if (from == top) {
        place->sum += PMT_WAY_TIMES;
    }
    else {
        if (place->sum > 0) {
            settle(t, place);
        }
        to = unusual(t, top, place, &from);
        if (to == UINT32_MAX) {
            return to;
        }
    }
    if (from != UINT32_MAX) {
        if (place->way >> 32 < t->block_stamp) {
            t->used[t->used_count++] = site;
        }
        place->way = (uint64_t)t->stamp << 32 | from;
        place->to = (uint64_t)t->stamp << 32 | to;
    }
    look_at_peak(&t->nodes[to], rss);
    return to;
}

/* 0 or -ENOMEM */
static int begin_ways(pmt_tree *t, pmt_dictionary *d)
{
    if (t->used_room < d->by_site_room) {
        uint32_t *used = realloc(t->used, d->by_site_room * sizeof *used);
        if (used == NULL) {
            return -ENOMEM;
        }
        t->used = used;
        t->used_room = d->by_site_room;
    }
    if (t->stamp == 0 || t->stamp > UINT32_MAX - 2 * PMT_MAX_PAYLOAD || d->places_of != t) {
        for (uint32_t i = PMT_SITE_FIRST; i < d->high; i++) {
            d->by_site[i].way = PMT_NO_WAY;
        }
        d->places_of = t;
        t->stamp = 0;
    }
    t->block_stamp = ++t->stamp; /* a block has fewer events than PMT_MAX_PAYLOAD: its stamps do not wrap */
    return 0;
}

static void end_ways(pmt_tree *t, pmt_place *places)
{
    for (uint32_t i = 0; i < t->used_count; i++) {
        settle(t, &places[t->used[i]]);
    }
    t->used_count = 0;
}

/* --- items ----------------------------------------------------------------------------------------------------------- */

/* RSS is now `rss`: what changed since the item before, the recorder's own growth apart. */
static int64_t change_to(pmt_tree *t, int64_t rss)
{
    int64_t change = rss - t->rss_last - t->tracer;
    charge(t, PMT_NODE_TRACER, t->tracer);
    t->tracer = 0;
    t->rss_last = rss;
    t->rss_peak = rss > t->rss_peak ? rss : t->rss_peak;
    return change;
}

static void note(pmt_tree *t, uint32_t top, uint32_t thread, int64_t rss, uint64_t clock)
{
    if (t->history != NULL) {
        pmt_history_rss(t->history, clock, rss, shown(top), t->stacks[thread].tid);
    }
}

/* What changed before an event, to the top of its thread. */
static __attribute__((noinline)) void before_event(pmt_tree *t, uint32_t top, uint32_t thread, int64_t rss, uint64_t clock)
{
    if (t->thread == UINT32_MAX) { /* the first of all */
        t->rss_first = t->rss_last = rss;
        t->rss_peak = rss > t->rss_peak ? rss : t->rss_peak;
        t->clock_first = clock;
        t->tracer = 0;
        if (t->history != NULL) {
            pmt_history_begin(t->history, clock, rss, shown(top), t->stacks[thread].tid);
        }
    }
    else {
        int64_t change = change_to(t, rss);
        charge(t, top, change);
        if (thread != t->thread) {
            add(&t->foreign, change < 0 ? -change : change);
        }
    }
    look_at_peak(&t->nodes[top], rss);
    note(t, top, thread, rss, clock);
    t->thread = thread;
}

static void take_item(pmt_tree *t, const pmt_reader *r, const pmt_item *item, pmt_item_kind kind, uint32_t top)
{
    uint32_t thread = r->event.thread;
    uint64_t clock = r->event.clock;
    if (kind == PMT_ITEM_PEAK) {
        look_at_peak(&t->nodes[top], item->bytes);
        t->rss_peak = item->bytes > t->rss_peak ? item->bytes : t->rss_peak;
        if (t->history != NULL) {
            pmt_history_peak(t->history, clock, item->bytes, shown(top), t->stacks[thread].tid);
        }
    }
    else if (kind == PMT_ITEM_TRACER) {
        add(&t->tracer, item->bytes);
    }
    else if (kind == PMT_ITEM_NESTED && t->thread != UINT32_MAX) {
        int64_t change = change_to(t, r->event.rss);
        uint32_t node = item->bytes == 0 ? PMT_NODE_SUSPENDED : top;
        charge(t, node, change);
        look_at_peak(&t->nodes[node], r->event.rss);
        note(t, node, thread, r->event.rss, clock);
    }
}

static pmt_rate rate_of(const pmt_reader *r) /* of the block at hand */
{
    const pmt_pair *from = &r->before, *to = &r->block.pair;
    double units = (double)(int64_t)(to->clock - from->clock);
    double whole = (double)(int64_t)((uint64_t)to->ns - (uint64_t)from->ns);
    return (pmt_rate){.from = from->clock, .ns = (double)(int64_t)((uint64_t)from->ns - (uint64_t)r->first.ns),
                      .slope = units > 0 ? whole / units : 0};
}

static void move_to_before(pmt_node *nodes) /* what the empty stack was charged with */
{
    pmt_node *root = &nodes[PMT_NODE_ROOT], *to = &nodes[PMT_NODE_BEFORE];
    add(&to->up, root->up);
    add(&to->down, root->down);
    to->clock += root->clock;
    look_at_peak(to, root->peak);
    root->up = root->down = root->peak = 0;
    root->clock = 0;
}

typedef struct run { /* of usual events */
    const uint8_t *p, *counted;
    uint64_t clock, key; /* key: stamp and top */
    uint32_t previous;
} run;

/* Items of one or two bytes: predicted sites, RSS unchanged. Nothing else is in this loop, so that all of it stays in
 * registers. */
static __attribute__((noinline)) void take_usual(run *state, const uint8_t *stop, pmt_place *places,
                                                 const uint32_t *successor, pmt_tree *t, int64_t rss)
{
    run s = *state;
    const uint64_t stamp = s.key >> 32 << 32;
    do {
        uint8_t first = *s.p;
        uint64_t time = (uint8_t)(first >> 2 | first << 6); /* what is announced comes first */
        uint32_t site = successor[pmt_reader_place(s.previous)];
        pmt_place *place = &places[site]; /* site 0, after one that had no successor yet, has no way */
        if (unlikely(time >= PMT_TIME_BYTE)) {
            if (time > PMT_TIME_BYTE || site == 0) {
                break;
            }
            time += *++s.p;
            s.counted++;
        }
        if (likely(place->way == s.key)) {
            place->sum += PMT_WAY_TIMES + time;
            s.key = place->to;
        }
        else if (site == 0) {
            break;
        }
        else {
            s.key = stamp | turn(t, places, site, (uint32_t)s.key, time, rss);
            if (unlikely((uint32_t)s.key == UINT32_MAX)) {
                break;
            }
        }
        s.clock += time;
        s.previous = site;
        s.p++;
    } while (likely(s.p < stop));
    *state = s;
}

int pmt_tree_add_block(pmt_tree *t, pmt_reader *r)
{
    pmt_place *const places = r->dictionary.by_site;
    uint32_t *const successor = r->successor, sites = r->dictionary.high - PMT_SITE_FIRST;
    const int64_t page = r->page;
    const uint8_t *p = r->items.at, *const end = r->items.end;
    const uint8_t *stop = p; /* before it there are as many bytes as may be decoded here, 16 behind, and no event too many */
    const uint8_t *counted = p; /* behind it `p` has moved one byte for each event */
    const uint32_t announced = r->left;
    const bool first_block = t->thread == UINT32_MAX;
    const pmt_rate rate = rate_of(r);
    uint32_t left = r->left, previous = r->previous, thread = r->event.thread, site; /* left: at `counted` */
    uint64_t clock = r->event.clock, time;
    int64_t rss = r->event.rss;
    if (p == NULL || r->why[0] != '\0') {
        return 0;
    }
    pmt_stack *s = stack_of(t, &r->dictionary, thread);
    int rc = s == NULL ? -ENOMEM : begin_ways(t, &r->dictionary);
    if (rc < 0) {
        return rc;
    }
    if (t->history != NULL) {
        t->history->rate = rate;
    }
    uint32_t top = s->top;
    uint64_t stamp = (uint64_t)t->stamp << 32;
    uint64_t last = s->clock; /* of the thread's event before: where it is not `clock` */
    bool same = false;        /* it is `clock` */
    rc = -ENOMEM;
    for (;;) {
        if (likely(p < stop)) {
            run usual = {p, counted, clock, stamp | top, previous};
            take_usual(&usual, stop, places, successor, t, rss);
            p = usual.p;
            counted = usual.counted;
            clock = usual.clock;
            top = (uint32_t)usual.key;
            previous = usual.previous;
            if (unlikely(top == UINT32_MAX)) {
                goto done;
            }
            if (p >= stop) {
                continue;
            }
            const uint8_t *q = p + 1;
            uint32_t first = *p;
            time = (uint8_t)(first >> 2 | first << 6); /* what is announced comes first: one comparison */
            site = successor[pmt_reader_place(previous)];
            if (unlikely(time >= PMT_TIME_BYTE)) {
                time = first >> 2;
                if (time >= PMT_TIME_BYTE) {
                    if (unlikely(time == PMT_TIME_VARINT)) {
                        goto slow;
                    }
                    time += *q++;
                }
                if (first & 1) {
                    uint32_t said = *q++;
                    if (said & 0x80) {
                        said = (said & 0x7F) | (uint32_t)*q++ << 7;
                        if (unlikely(said & 1u << 14)) {
                            said = (said & 0x3FFF) | (uint32_t)*q++ << 14;
                        }
                    }
                    if (unlikely(said < PMT_SITE_FIRST || said >> 21 != 0)) {
                        goto slow; /* no event, or more than three bytes */
                    }
                    site = (uint32_t)pmt_unsaid(said, previous);
                }
                if (unlikely(site - PMT_SITE_FIRST >= sites || pmt_place_what(places[site]) >= PMT_CHARGED)) {
                    goto slow;
                }
                if (first & 2) {
                    uint32_t change = *q++;
                    if (change & 0x80) {
                        change = (change & 0x7F) | (uint32_t)*q++ << 7;
                    }
                    int64_t now = rss + pmt_unzigzag(change) * page;
                    if (change >> 14 != 0 || now < 0 || now > PMT_RSS_LIMIT) {
                        goto slow;
                    }
                    before_event(t, top, thread, now, clock + time);
                    t->stamp += now > rss;
                    stamp = (uint64_t)t->stamp << 32;
                    rss = now;
                }
                if (first & 1) {
                    uint32_t at = pmt_reader_place(previous);
                    if (successor[at] == 0) {
                        r->touched[r->touched_count++] = at;
                    }
                    successor[at] = site;
                }
                counted += q - p - 1;
            }
            pmt_place *place = &places[site]; /* site 0, after one that had no successor yet, has no way */
            if (likely(place->way == (stamp | top))) {
                place->sum += PMT_WAY_TIMES + time;
                top = (uint32_t)place->to;
            }
            else if (unlikely(site == 0)) {
                goto slow;
            }
            else if ((top = turn(t, places, site, top, time, rss)) == UINT32_MAX) {
                goto done;
            }
            clock += time;
            previous = site;
            p = q;
            continue;
        }
    slow:;
        pmt_item item;
        r->items.at = p;
        r->left = left -= (uint32_t)(p - counted);
        r->previous = previous;
        r->event.clock = clock;
        r->event.rss = rss;
        if (same) {
            last = clock;
        }
        pmt_item_kind kind = pmt_reader_item(r, &item);
        counted = p = r->items.at;
        if (kind == PMT_ITEM_NONE) {
            break;
        }
        previous = r->previous;
        clock = r->event.clock;
        t->stamp += r->event.rss > rss;
        stamp = (uint64_t)t->stamp << 32;
        rss = r->event.rss;
        if (unlikely(r->event.thread != thread)) {
            s->top = top;
            s->clock = last;
            thread = r->event.thread;
            s = stack_of(t, &r->dictionary, thread);
            if (s == NULL) {
                goto done;
            }
            top = s->top;
            last = s->clock;
        }
        if (kind != PMT_ITEM_EVENT) {
            take_item(t, r, &item, kind, top);
            same = false;
            stop = p;
            continue;
        }
        before_event(t, top, thread, rss, clock);
        time = s->begun ? clock - last : 0;
        s->begun = same = true;
        top = turn(t, places, r->event.site, top, time, rss);
        if (top == UINT32_MAX) {
            goto done;
        }
        left--;
        size_t safe = end - p > 16 ? (size_t)(end - p) - 16 : 0;
        stop = p + (safe < left ? safe : left);
    }
    rc = 0;
done:
    if (s != NULL && top != UINT32_MAX) {
        s->top = top;
        s->clock = same ? clock : last;
        if (announced != left - (uint32_t)(p - counted)) { /* a moment of each block, whether RSS changes or not */
            note(t, top, thread, rss, clock);
        }
    }
    end_ways(t, places);
    move_to_before(t->nodes);
    left -= (uint32_t)(p - counted);
    t->events += announced - left;
    if (announced != left) {
        t->clock_last = clock;
        t->begun = first_block ? pmt_rate_ns(&rate, t->clock_first) : t->begun;
        double ns = pmt_rate_ns(&rate, clock) - t->begun;
        t->seconds = ns > 0 ? ns / 1e9 : 0;
    }
    return t->history != NULL && t->history->no_memory ? -ENOMEM : rc;
}

int pmt_tree_read(pmt_tree *t, pmt_reader *r)
{
    int rc = pmt_reader_rewind(r);
    while (rc == 0 && (rc = pmt_reader_block(r)) > 0) {
        rc = pmt_tree_add_block(t, r);
    }
    return rc;
}

void pmt_tree_inclusive(const pmt_tree *t, int64_t *net, int64_t *up, int64_t *down, int64_t *peak, uint64_t *clock)
{
    for (uint32_t i = 0; i < t->count; i++) {
        const pmt_node *n = &t->nodes[i];
        if (net != NULL) {
            net[i] = n->up;
            add(&net[i], n->down);
        }
        if (up != NULL) {
            up[i] = n->up;
        }
        if (down != NULL) {
            down[i] = n->down;
        }
        if (peak != NULL) {
            peak[i] = n->peak;
        }
        if (clock != NULL) {
            clock[i] = n->clock;
        }
    }
    for (uint32_t i = t->count; i-- > 1;) { /* children stand behind their parents */
        uint32_t parent = t->nodes[i].parent;
        if (net != NULL) {
            add(&net[parent], net[i]);
        }
        if (up != NULL) {
            add(&up[parent], up[i]);
        }
        if (down != NULL) {
            add(&down[parent], down[i]);
        }
        if (peak != NULL) {
            peak[parent] = peak[i] > peak[parent] ? peak[i] : peak[parent];
        }
        if (clock != NULL) {
            clock[parent] += clock[i];
        }
    }
}
