/* The calling-context tree: the charging rule by hand, and against a slow model on random captures. */
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture_builder.h"
#include "check.h"
#include "core/tree.h"

#define P 4096 /* a page */
#define MOMENTS 64

static builder b;
static pmt_reader r;
static pmt_tree t;
static pmt_history history;

/* Functions f, g, h (codes 1 to 3) in a.py, C functions len (called by f), sorted (by f), len (by g: another file). */
enum { F = 16, F_END, G, G_END, H, H_END, LEN, LEN_END, LEN_RAISES, SORTED, SORTED_END, G_LEN, G_LEN_END, CHARGED };

static void start(void)
{
    b_start(&b, P, 1000, 100 * P);
    b_begin(&b, B_DEFINITIONS);
    b_thread(&b, 0, 1, "one");
    b_thread(&b, 1, 2, "two");
    b_code(&b, 1, 10, "a.py", "f");
    b_code(&b, 2, 20, "b.py", "g");
    b_code(&b, 3, 30, "a.py", "h");
    b_site(&b, F, 1, B_CALL, 10, "");
    b_site(&b, F_END, 1, B_RETURN, 11, "");
    b_site(&b, G, 2, B_CALL, 20, "");
    b_site(&b, G_END, 2, B_RETURN, 21, "");
    b_site(&b, H, 3, B_CALL, 30, "");
    b_site(&b, H_END, 3, B_RETURN, 31, "");
    b_site(&b, LEN, 1, B_C_CALL, 12, "len");
    b_site(&b, LEN_END, 1, B_C_RETURN, 12, "len");
    b_site(&b, LEN_RAISES, 1, B_C_EXCEPT, 12, "len");
    b_site(&b, SORTED, 1, B_C_CALL, 13, "sorted");
    b_site(&b, SORTED_END, 1, B_C_RETURN, 13, "sorted");
    b_site(&b, G_LEN, 2, B_C_CALL, 22, "len");
    b_site(&b, G_LEN_END, 2, B_C_RETURN, 22, "len");
    b_site(&b, CHARGED, 1, B_CHARGED, 10, "");
    b_finish(&b);
    b_begin(&b, B_EVENTS);
}

static void cut(void) /* another block: the same stream */
{
    b_finish(&b);
    b_begin(&b, B_EVENTS);
}

static void open_capture(void)
{
    char path[64];
    int fd = memfd_create("capture", MFD_CLOEXEC);
    if (write(fd, b.bytes, b.n) != (ssize_t)b.n) {
        abort();
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    CHECK_INT(pmt_reader_open(&r, path), 0);
    close(fd);
    b_free(&b);
}

static int64_t sum(void)
{
    int64_t all = 0;
    for (uint32_t i = 0; i < t.count; i++) {
        all += t.nodes[i].up + t.nodes[i].down;
    }
    return all;
}

static int64_t at_peak(uint32_t i)
{
    return pmt_history_at_peak(&history, i, t.nodes[i].up + t.nodes[i].down);
}

/* What must hold of every history; and the tree is the same with it and without. */
static void check_history(void)
{
    static pmt_moment moments[MOMENTS];
    int64_t held = 0, bad = 0;
    size_t n = pmt_history_moments(&history, moments);
    for (size_t i = 0; i < n; i++) {
        bad += moments[i].node == PMT_NODE_ROOT || moments[i].node >= t.count || (i > 0 && moments[i].ns < moments[i - 1].ns);
    }
    for (uint32_t i = 0; i < t.count; i++) {
        held += at_peak(i);
    }
    CHECK(bad == 0 && (n > 0) == (t.events > 0));
    CHECK(n == 0 || (held == t.rss_peak - t.rss_first && moments[0].rss == t.rss_first && moments[n - 1].rss == t.rss_last));
    pmt_tree without;
    CHECK_INT(pmt_tree_init(&without), 0);
    CHECK_INT(pmt_tree_read(&without, &r), 0);
    CHECK(without.count == t.count && memcmp(without.nodes, t.nodes, t.count * sizeof *t.nodes) == 0);
    pmt_tree_free(&without);
}

static void read_tree(void)
{
    b_finish(&b);
    b_text(&b, B_END, "# end\n");
    open_capture();
    CHECK_INT(pmt_tree_init(&t), 0);
    CHECK_INT(pmt_history_init(&history, MOMENTS), 0);
    t.history = &history;
    CHECK_INT(pmt_tree_read(&t, &r), 0);
    CHECK_BYTES(r.why, strlen(r.why), "", 0);
    CHECK_INT(sum(), t.rss_last - t.rss_first);
    check_history();
}

static void done(void)
{
    pmt_history_free(&history);
    pmt_tree_free(&t);
    pmt_reader_close(&r);
}

/* The node of a path such as "f/g/len", below ROOT; NULL: there is none. */
static const pmt_node *node(const char *path)
{
    uint32_t at = PMT_NODE_ROOT;
    while (*path != '\0') {
        size_t n = strcspn(path, "/");
        uint32_t child = t.nodes[at].child;
        for (; child != 0; child = t.nodes[child].sibling) {
            const pmt_function *f = pmt_dictionary_function(&r.dictionary, t.nodes[child].function);
            const pmt_name *name = t.nodes[child].function == 0 ? NULL : pmt_names_at(&r.dictionary.sites.names, f->name);
            if (name != NULL && name->len == n && memcmp(name->bytes, path, n) == 0) {
                break;
            }
        }
        if (child == 0) {
            return NULL;
        }
        at = child;
        path += n + (path[n] == '/');
    }
    return &t.nodes[at];
}

static void is(const pmt_node *n, uint64_t calls, int64_t up, int64_t down, int64_t peak, uint64_t clock, int line)
{
    if (check_one(n != NULL, __FILE__, line, "there is such a node")) {
        check_int((long long)n->calls, (long long)calls, __FILE__, line, "calls");
        check_int(n->up, up * P, __FILE__, line, "up");
        check_int(n->down, down * P, __FILE__, line, "down");
        check_int(n->peak, peak * P, __FILE__, line, "peak");
        check_int((long long)n->clock, (long long)clock, __FILE__, line, "clock");
    }
}

#define IS(n, ...) is((n), __VA_ARGS__, __LINE__)

static void charging(void)
{
    start();
    b_event(&b, 7, F, 5);         /* the first event: where counting begins */
    b_event(&b, 1, LEN, 1);       /* f, before it calls len */
    b_event(&b, 2, LEN_END, 10);  /* len */
    b_event(&b, 3, G, 20);        /* f, before it calls g */
    b_event(&b, 4, G_LEN, 0);
    b_event(&b, 5, G_LEN_END, -3);
    b_event(&b, 6, G_END, 40);    /* g, before it returns */
    b_event(&b, 7, LEN, 0);
    b_event(&b, 8, LEN_RAISES, -50);
    b_event(&b, 9, F_END, 2);
    b_event(&b, 10, H, 100);      /* outside all */
    b_event(&b, 11, H_END, 0);
    read_tree();
    IS(node("f"), 1, 23, 0, 173, 1 + 3 + 7 + 9);
    IS(node("f/len"), 2, 10, -50, 173, 10);
    IS(node("f/g"), 1, 40, 0, 173, 10);
    IS(node("f/g/len"), 1, 0, -3, 136, 5);
    IS(node("h"), 1, 0, 0, 225, 11);
    IS(&t.nodes[PMT_NODE_BEFORE], 0, 100, 0, 225, 10);
    IS(&t.nodes[PMT_NODE_ROOT], 0, 0, 0, 0, 0);
    CHECK_INT(t.count, PMT_NODE_FIRST + 5);
    CHECK_INT(t.events, 12);
    CHECK_INT(t.unmatched + t.returns_before + t.skipped + (uint64_t)t.foreign, 0);
    CHECK_INT(t.rss_first, 105 * P);
    CHECK_INT(t.rss_last, 225 * P);
    CHECK_INT(t.rss_peak, 225 * P);
    CHECK_INT(t.clock_first, 1007);
    CHECK_INT(t.clock_last, 1073);
    CHECK(fabs(t.seconds - 66 * 25e-9) < 1e-12);
    CHECK(node("f/len")->c && !node("f/g")->c);
    int64_t net[16], up[16], down[16], peak[16];
    uint64_t clock[16];
    pmt_tree_inclusive(&t, net, up, down, peak, clock);
    uint32_t f = (uint32_t)(node("f") - t.nodes), g = (uint32_t)(node("f/g") - t.nodes);
    CHECK_INT(net[PMT_NODE_ROOT], 120 * P);
    CHECK_INT(up[f], 73 * P);
    CHECK_INT(down[f], -53 * P);
    CHECK_INT(net[f], 20 * P);
    CHECK_INT(peak[f], 173 * P);
    CHECK_INT(clock[f], 45);
    CHECK_INT(net[g], 37 * P);
    CHECK_INT(clock[g], 15);
    CHECK_INT(peak[PMT_NODE_ROOT], 225 * P);
    CHECK_INT(clock[PMT_NODE_ROOT], 66);
    pmt_tree_inclusive(&t, NULL, NULL, NULL, NULL, NULL);
    done();
}

static void missed(void)
{
    start();
    b_event(&b, 1, F_END, 0);      /* f was open when recording began */
    b_event(&b, 1, LEN_END, 0);    /* and len in it */
    b_event(&b, 1, F, 0);
    b_event(&b, 1, LEN, 0);
    b_event(&b, 1, G_LEN_END, 0);  /* nobody's */
    b_event(&b, 1, SORTED, 1);     /* len has ended unseen */
    b_event(&b, 1, G, 0);          /* sorted calls back */
    b_event(&b, 1, H_END, 0);      /* nobody's */
    b_event(&b, 1, H, 0);
    b_event(&b, 1, G_LEN, 0);      /* of g, though h is on top: passed on */
    b_event(&b, 1, F_END, 0);      /* ends len, h, g, sorted and f */
    b_event(&b, 1, LEN, 0);        /* of an open frame: below ROOT */
    b_event(&b, 1, LEN, 0);        /* again: the one before has ended */
    b_event(&b, 1, LEN_END, 0);
    b_event(&b, 1, H_END, 0);
    read_tree();
    CHECK_INT(t.returns_before, 2);
    CHECK_INT(t.unmatched, 3);
    CHECK_INT(t.skipped, 1 + 4 + 1);
    IS(node("f/len"), 1, 1, 0, 101, 2);
    IS(node("f/sorted/g/h/len"), 1, 0, 0, 101, 1);
    IS(node("f/sorted"), 1, 0, 0, 101, 1);
    IS(node("len"), 2, 0, 0, 101, 2);
    done();
}

static void recursion(void)
{
    start();
    const uint32_t depth = 300000; /* the nodes and the hash grow several times */
    for (uint32_t i = 0; i < depth; i++) {
        b_event(&b, 1, F, i % 1000 == 0 && i > 0);
        if (i % 50000 == 7) {
            cut();
        }
    }
    for (uint32_t i = 0; i < depth; i++) {
        b_event(&b, 2, F_END, i % 1000 == 999 ? -1 : 0);
    }
    b_event(&b, 1, F, 0);
    b_event(&b, 1, F_END, 0);
    read_tree();
    CHECK_INT(t.count, PMT_NODE_FIRST + depth);
    CHECK_INT(t.unmatched + t.returns_before + t.skipped, 0);
    CHECK_INT(node("f")->calls, 2);
    CHECK_INT(node("f/f")->calls, 1);
    CHECK_INT(node("f/f")->clock, 3);
    done();
    /* all at once: a return of what is far below */
    start();
    b_event(&b, 1, G, 0);
    for (uint32_t i = 0; i < depth; i++) {
        b_event(&b, 1, F, 0);
    }
    b_event(&b, 1, G_END, 0);
    read_tree();
    CHECK_INT(t.skipped, depth);
    done();
    /* returns of what is nowhere, on a deep stack: must not take for ever */
    start();
    for (uint32_t i = 0; i < 100000; i++) {
        b_event(&b, 1, F, 0);
    }
    for (uint32_t i = 0; i < 100000; i++) {
        b_event(&b, 1, G_END, 0);
    }
    b_event(&b, 1, F_END, 1);
    read_tree();
    CHECK_INT(t.unmatched, 100000);
    done();
}

static void threads(void)
{
    start();
    b_event(&b, 1, F, 0);
    b_event(&b, 1, LEN, 0);
    b_switch(&b, 1);
    b_event(&b, 1, G, 3);      /* the second thread's first event: outside all of that thread */
    b_event(&b, 1, G_LEN, 4);
    cut();
    b_switch(&b, 0);
    b_event(&b, 1, LEN_END, -5);
    b_switch(&b, 1);
    b_switch(&b, 0);
    b_event(&b, 1, F_END, 1);  /* no other thread came between */
    b_switch(&b, 1);
    b_event(&b, 1, G_LEN_END, 0);
    b_event(&b, 1, G_END, 6);
    b_switch(&b, 4000);
    b_event(&b, 1, H, 0);
    b_event(&b, 1, H_END, 0);
    read_tree();
    IS(node("f"), 1, 1, 0, 103, 2);
    IS(node("f/len"), 1, 0, -5, 102, 3);
    IS(node("g"), 1, 10, 0, 109, 2);
    IS(node("g/len"), 1, 0, 0, 107, 3);
    IS(node("h"), 1, 0, 0, 109, 1);
    IS(&t.nodes[PMT_NODE_BEFORE], 0, 3, 0, 109, 0);
    CHECK_INT(t.foreign, 8 * P);
    CHECK_INT(t.unmatched + t.returns_before + t.skipped, 0);
    done();
}

/* A thread ends with frames open (nothing says that they end), and its number is given to the next one. */
static void number_given_again(void)
{
    start();
    b_event(&b, 1, F, 0);
    b_switch(&b, 1);
    b_event(&b, 1, G, 0);
    b_event(&b, 5, G_LEN, 0);
    b_finish(&b);
    b_begin(&b, B_DEFINITIONS);
    b_thread(&b, 1, 3, "three");
    b_finish(&b);
    b_begin(&b, B_EVENTS);
    b_switch(&b, 1);
    b_event(&b, 1000, H, 2);
    b_event(&b, 1, H_END, 4);
    b_finish(&b);
    b_begin(&b, B_DEFINITIONS);
    b_thread(&b, 1, 3, "renamed");
    b_finish(&b);
    b_begin(&b, B_EVENTS);
    b_event(&b, 1, G, 0);
    b_finish(&b);
    b_begin(&b, B_DEFINITIONS);
    b_thread(&b, 1, 3, "renamed once more");
    b_finish(&b);
    b_begin(&b, B_EVENTS);
    b_switch(&b, 1);
    b_event(&b, 7, G_END, 8);
    read_tree();
    IS(node("g"), 2, 8, 0, 114, 5 + 7);
    IS(node("g/len"), 1, 0, 0, 100, 0);
    IS(node("h"), 1, 4, 0, 106, 1);
    CHECK(node("g/len/h") == NULL);
    IS(&t.nodes[PMT_NODE_BEFORE], 0, 2, 0, 114, 1);
    done();
}

static void not_the_programs_own(void)
{
    start();
    b_tracer(&b, 99 * P);        /* before the first event: in what is counted from */
    b_peak(&b, 0, 500 * P);
    b_nested(&b, true, 2);
    b_nested(&b, false, 2);
    b_event(&b, 1, F, 0);
    b_tracer(&b, 8 * P);
    b_event(&b, 1, LEN, 10);     /* of it 8 are the recorder's */
    b_tracer(&b, 2 * P);
    cut();
    b_event(&b, 1, LEN_END, 0);  /* the recorder grew by what len gave back */
    b_nested(&b, true, 4);       /* f's */
    b_nested(&b, false, 7);      /* the other recording's */
    b_message(&b, "hello");
    b_event(&b, 1, SORTED, 1);
    b_peak(&b, CHARGED, 900 * P);
    b_event(&b, 1, SORTED_END, 0);
    b_tracer(&b, -2 * P);
    b_event(&b, 1, F_END, -2);
    b_tracer(&b, 5 * P);         /* comes with no change: not counted */
    b_nested(&b, false, 0);
    read_tree();
    IS(node("f"), 1, 7, 0, 126, 3);
    IS(node("f/len"), 1, 0, -2, 114, 1);
    IS(node("f/sorted"), 1, 0, 0, 900, 1);
    CHECK_INT(t.nodes[PMT_NODE_TRACER].up, 15 * P);
    CHECK_INT(t.nodes[PMT_NODE_TRACER].down, -2 * P);
    CHECK_INT(t.nodes[PMT_NODE_SUSPENDED].up, 7 * P);
    CHECK_INT(t.nodes[PMT_NODE_SUSPENDED].down, -5 * P);
    CHECK_INT(t.nodes[PMT_NODE_BEFORE].peak, 500 * P);
    CHECK_INT(t.rss_peak, 900 * P);
    CHECK_INT(t.rss_first, 104 * P);
    CHECK_INT(t.rss_last, 124 * P);
    done();
    /* nothing at all, and no event at all */
    start();
    read_tree();
    CHECK_INT(t.count, PMT_NODE_FIRST);
    CHECK_INT(t.events, 0);
    done();
    start();
    b_tracer(&b, 5);
    b_nested(&b, true, 5);
    read_tree();
    CHECK_INT(sum(), 0);
    done();
}

/* RETURNs alone tell that an exception passes through, or that a generator waits and goes on later. */
static void unwinding_and_generators(void)
{
    start();
    b_event(&b, 1, F, 0);
    b_event(&b, 1, G, 0);
    b_event(&b, 1, H, 0);
    b_event(&b, 1, F, 0);          /* f, g, h, f, len: len raises, and all but the first f let it pass */
    b_event(&b, 1, LEN, 0);
    b_event(&b, 1, LEN_RAISES, 1);
    b_event(&b, 1, F_END, 2);
    b_event(&b, 1, H_END, 4);
    b_event(&b, 1, G_END, 8);
    b_event(&b, 1, LEN, 16);       /* the first f handles it */
    b_event(&b, 1, LEN_END, 0);
    for (int i = 0; i < 3; i++) {  /* g yields: its place in the stack is that of who resumes it */
        b_event(&b, 1, G, 0);
        b_event(&b, 1, G_END, 10);
    }
    b_event(&b, 1, H, 0);
    b_event(&b, 1, G, 0);
    b_event(&b, 1, G_END, 100);
    b_event(&b, 1, H_END, 0);
    b_event(&b, 1, F_END, 0);
    read_tree();
    IS(node("f/g/h/f/len"), 1, 1, 0, 101, 1);
    IS(node("f/g/h/f"), 1, 2, 0, 103, 2);
    IS(node("f/g/h"), 1, 4, 0, 107, 2);
    IS(node("f/g"), 4, 8 + 30, 0, 161, 2 + 3);
    IS(node("f/len"), 1, 0, 0, 131, 1);
    IS(node("f/h/g"), 1, 100, 0, 261, 1);
    IS(node("f"), 1, 16, 0, 261, 1 + 1 + 3 + 1 + 1);
    CHECK_INT(t.unmatched + t.skipped + t.returns_before, 0);
    done();
}

/* The largest RSS counts that was seen while a node was on top: not what others had, not what came back down. */
static void peaks(void)
{
    start();
    b_event(&b, 1, F, 0);
    for (int round = 0; round < 3; round++) { /* the second time all is as usual, the third RSS is less */
        b_event(&b, 1, LEN, 0);
        b_event(&b, 1, LEN_END, round == 2 ? -60 : 0);
        b_event(&b, 1, G, 0);
        b_event(&b, 1, G_LEN, round == 1 ? 50 : 0);
        b_event(&b, 1, G_LEN_END, round == 1 ? -20 : 0);
        b_event(&b, 1, G_END, 0);
    }
    cut();
    b_event(&b, 1, LEN, 0); /* RSS rises between two blocks, by an item that is no event */
    b_nested(&b, true, 100);
    b_nested(&b, false, 0);
    b_event(&b, 1, LEN_END, 0);
    b_event(&b, 1, F_END, 0);
    read_tree();
    CHECK_INT(node("f/g")->peak, 150 * P);
    CHECK_INT(node("f/g/len")->peak, 150 * P);
    CHECK_INT(node("f/len")->peak, 170 * P);
    CHECK_INT(node("f")->peak, 170 * P);
    CHECK_INT(t.rss_peak, 170 * P);
    CHECK_INT(t.rss_last, 170 * P);
    done();
}

static void no_sites(void)
{
    b_start(&b, P, 1000, 100 * P);
    for (int i = 0; i < 2; i++) {
        b_begin(&b, B_EVENTS);
        b_message(&b, "hello");
        b_finish(&b);
    }
    b_begin(&b, B_EVENTS);
    read_tree();
    CHECK_INT(t.count, PMT_NODE_FIRST);
    done();
}

/* More sites than the table of successors has places, and numbers of three bytes. */
static void many_sites(void)
{
    enum { PAIRS = 40000 };
    b_start(&b, P, 1000, 100 * P);
    b_begin(&b, B_DEFINITIONS);
    b_code(&b, 1, 10, "a.py", "f");
    for (uint32_t i = 0; i < PAIRS; i++) {
        b_site(&b, 16 + 2 * i, 1, B_CALL, 10, "");
        b_site(&b, 17 + 2 * i, 1, B_RETURN, 11, "");
    }
    b_finish(&b);
    b_begin(&b, B_EVENTS);
    for (uint32_t i = 0; i < 3 * PAIRS; i++) {
        uint32_t pair = i % 3 == 2 ? i % 7 : i % PAIRS;
        b_event(&b, 1, 16 + 2 * pair, 0);
        b_event(&b, 2, 17 + 2 * pair, i % 5000 == 0);
        if (i % 20000 == 19999) {
            cut();
        }
    }
    read_tree();
    IS(node("f"), 3 * PAIRS, 24, 0, 124, 6 * PAIRS);
    IS(&t.nodes[PMT_NODE_BEFORE], 0, 0, 0, 124, 3 * PAIRS - 1);
    CHECK_INT(t.events, 6 * PAIRS);
    done();
}

/* A site that is defined again leads to what it means now. */
static void defined_again(void)
{
    start();
    for (int i = 0; i < 100; i++) {
        b_event(&b, 1, F, 0);
        b_event(&b, 1, F_END, 0);
    }
    b_finish(&b);
    b_begin(&b, B_DEFINITIONS);
    b_code(&b, 1, 1, "new.py", "new");
    b_site(&b, F, 1, B_CALL, 1, "");
    b_site(&b, F_END, 1, B_RETURN, 1, "");
    b_finish(&b);
    b_begin(&b, B_EVENTS);
    for (int i = 0; i < 100; i++) {
        b_event(&b, 1, F, 0);
        b_event(&b, 1, F_END, 1);
    }
    read_tree();
    IS(node("f"), 100, 0, 0, 100, 100);
    IS(node("new"), 100, 100, 0, 200, 100);
    done();
}

/* --- a model: the rule as it is written, with stacks and without haste ----------------------------------------------- */

typedef struct model_node {
    uint32_t parent, key; /* key: what the functions are told apart by */
    uint64_t calls, clock;
    int64_t up, down, peak, at_peak;
} model_node;

#define NODES 60000
#define DEEP 4000

static model_node nodes[NODES];
static uint32_t node_count, stacks[3][DEEP], depths[3];
static uint64_t unmatched, skipped, before_count;
static int64_t best;

static uint32_t model_child(uint32_t parent, uint32_t key)
{
    static uint32_t first[NODES], next[NODES];
    if (node_count == 1) {
        memset(first, 0, sizeof first);
    }
    for (uint32_t i = first[parent]; i != 0; i = next[i]) {
        if (nodes[i].key == key) {
            return i;
        }
    }
    uint32_t i = node_count++;
    nodes[i] = (model_node){.parent = parent, .key = key};
    next[i] = first[parent];
    first[parent] = i;
    return i;
}

/* what, Python function, key of the site's function */
static void site_of(uint32_t site, unsigned *what, uint32_t *python, uint32_t *key)
{
    static const struct {
        uint8_t what, python, key;
    } of[] = {{0, 1, 1}, {1, 1, 1}, {0, 2, 2}, {1, 2, 2}, {0, 3, 3}, {1, 3, 3}, {2, 1, 11}, {3, 1, 11}, {4, 1, 11},
              {2, 1, 12}, {3, 1, 12}, {2, 2, 13}, {3, 2, 13}};
    *what = of[site - F].what;
    *python = of[site - F].python;
    *key = of[site - F].key;
}

static void model_peak(uint32_t node, uint64_t rss)
{
    nodes[node].peak = (int64_t)rss > nodes[node].peak ? (int64_t)rss : nodes[node].peak;
}

/* RSS, or a peak that is `temporary` bytes above it, seen while `node` was on top: the highest so far? */
static void model_best(uint32_t node, int64_t bytes, int64_t temporary)
{
    if (bytes > best) {
        best = bytes;
        for (uint32_t i = 0; i < node_count; i++) {
            nodes[i].at_peak = nodes[i].up + nodes[i].down;
        }
        nodes[node].at_peak += temporary;
    }
}

static void model_event(uint32_t thread, uint32_t site, int64_t bytes, uint64_t time)
{
    unsigned what;
    uint32_t python, key, *stack = stacks[thread], depth = depths[thread], top = depth > 0 ? stack[depth] : 0;
    site_of(site, &what, &python, &key);
    nodes[top].clock += time;
    *(bytes > 0 ? &nodes[top].up : &nodes[top].down) += bytes;
    bool same = depth > 0 && nodes[top].key == key;
    if (what == B_C_CALL && depth > 0 && nodes[top].key > 10 && (depth == 1 || nodes[stack[depth - 1]].key == python)) {
        skipped++;
        depth--;
    }
    if (what == B_CALL || what == B_C_CALL) {
        uint32_t parent = depth > 0 ? stack[depth] : 0;
        stack[++depth] = model_child(parent, key);
        nodes[stack[depth]].calls++;
    }
    else if (same) {
        depth--;
    }
    else if (what != B_RETURN) {
        unmatched++;
    }
    else if (depth == 0) {
        before_count++;
    }
    else {
        uint32_t i = depth;
        while (i > 0 && nodes[stack[i]].key != key) {
            i--;
        }
        unmatched += i == 0;
        skipped += i == 0 ? 0 : depth - i;
        depth = i == 0 ? depth : i - 1;
    }
    depths[thread] = depth;
}

static unsigned seed = 1;

static unsigned below(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (unsigned)(((uint64_t)seed * n) >> 32);
}

static uint32_t key_of(const char *name, const char *file, bool c)
{
    return !c ? (uint32_t)(name[0] - 'f') + 1 : name[0] == 's' ? 12 : file[0] == 'a' ? 11 : 13;
}

static void against_the_model(unsigned round)
{
    uint64_t clocks[3] = {0}, clock = 1000;
    bool begun[3] = {false};
    int64_t tracer = 0, tracer_all = 0;
    uint32_t thread = 0;
    seed = round * 77 + 5;
    memset(nodes, 0, sizeof nodes);
    memset(depths, 0, sizeof depths);
    node_count = 1;
    unmatched = skipped = before_count = 0;
    best = -1;
    start();
    unsigned n = 3000, wild = 1 + below(40);
    uint64_t rss = b.rss;
    for (unsigned i = 0; i < n; i++) {
        if (below(50) == 0) {
            thread = below(3);
            b_switch(&b, thread);
        }
        if (below(200) == 0) {
            cut();
        }
        if (below(100) == 0 && i > 0) { /* seen between two events: the top's */
            uint32_t top = depths[thread] > 0 ? stacks[thread][depths[thread]] : 0;
            uint64_t peak = rss + below(20) * P;
            b_peak(&b, 0, peak);
            model_peak(top, peak);
            model_best(top, (int64_t)peak, (int64_t)(peak - rss));
        }
        if (below(60) == 0) {
            int64_t grown = (int64_t)below(9) * P - 4 * P;
            b_tracer(&b, grown);
            tracer += i == 0 ? 0 : grown;
        }
        uint32_t depth = depths[thread], site = F + below(13);
        if (below(wild) != 0) { /* as programs do: the end of what runs, or a call by it */
            uint32_t key = depth == 0 ? 0 : nodes[stacks[thread][depth]].key;
            unsigned end = below(2 + (depth > 30));
            site = key == 0 ? F : key == 1 ? end ? F_END : (uint32_t[]){LEN, SORTED, G, F}[below(4)] :
                   key == 2 ? end ? G_END : (uint32_t[]){G_LEN, H, G}[below(3)] : key == 3 ? H_END :
                   key == 11 ? LEN_END + below(2) : key == 12 ? end ? SORTED_END : H : G_LEN_END;
        }
        int64_t pages = below(8) == 0 ? (int64_t)below(200) - 90 : 0;
        pages = (int64_t)rss + pages * P < 0 ? 100 : pages;
        uint64_t time = below(10) == 0 ? below(1000) : below(60);
        clock += time;
        rss = b.rss + (uint64_t)(pages * P);
        int64_t change = i == 0 ? 0 : pages * P - tracer;
        tracer_all += tracer;
        tracer = 0;
        model_peak(depths[thread] > 0 ? stacks[thread][depths[thread]] : 0, rss);
        model_event(thread, site, change, begun[thread] ? clock - clocks[thread] : 0);
        model_best(0, (int64_t)rss, 0);
        model_peak(depths[thread] > 0 ? stacks[thread][depths[thread]] : 0, rss);
        b_event(&b, time, site, pages);
        clocks[thread] = clock;
        begun[thread] = true;
    }
    read_tree();
    int bad = 0;
    static uint32_t to[NODES]; /* node of the model -> node of the tree */
    CHECK_INT(t.count, PMT_NODE_FIRST + node_count - 1);
    for (uint32_t i = PMT_NODE_FIRST; i < t.count; i++) {
        const pmt_node *x = &t.nodes[i];
        const pmt_function *f = pmt_dictionary_function(&r.dictionary, x->function);
        uint32_t m = model_child(x->parent == PMT_NODE_ROOT ? 0 : to[x->parent],
                                 key_of(pmt_names_at(&r.dictionary.sites.names, f->name)->bytes,
                                        pmt_names_at(&r.dictionary.sites.names, f->file)->bytes, f->c));
        to[i] = m;
        bad += x->calls != nodes[m].calls || x->clock != nodes[m].clock || x->up != nodes[m].up || x->down != nodes[m].down;
        bad += x->parent >= i || x->peak != nodes[m].peak || at_peak(i) != nodes[m].at_peak;
    }
    const pmt_node *x = &t.nodes[PMT_NODE_BEFORE];
    bad += x->clock != nodes[0].clock || x->up != nodes[0].up || x->down != nodes[0].down || x->peak != nodes[0].peak;
    bad += at_peak(PMT_NODE_BEFORE) != nodes[0].at_peak;
    CHECK_INT(bad, 0);
    CHECK_INT(t.events, n);
    CHECK_INT(t.unmatched, unmatched);
    CHECK_INT(t.skipped, skipped);
    CHECK_INT(t.returns_before, before_count);
    CHECK_INT(t.nodes[PMT_NODE_TRACER].up + t.nodes[PMT_NODE_TRACER].down, tracer_all);
    done();
}

/* A capture that is cut gives the tree of what is before. */
static void cut_captures(void)
{
    int bad = 0;
    start();
    for (int i = 0; i < 40; i++) {
        b_event(&b, 1, F, 1);
        b_event(&b, 70, LEN, 0);
        b_event(&b, 1, LEN_END, 0);
        b_event(&b, 1, F_END, 0);
        if (i % 10 == 9) {
            cut();
        }
    }
    b_finish(&b);
    size_t n = b.n;
    uint8_t *bytes = b.bytes;
    for (size_t k = n; k > 500 && bad == 0; k--) {
        b.n = k;
        b.bytes = malloc(k);
        memcpy(b.bytes, bytes, k);
        open_capture();
        bad += pmt_tree_init(&t) != 0 || pmt_tree_read(&t, &r) != 0;
        bad += t.events % 40 != 0 || sum() != t.rss_last - t.rss_first || r.why[0] == '\0' || r.complete;
        done();
    }
    CHECK_INT(bad, 0);
    /* a mistake within a block: the events before it count */
    b.bytes = bytes;
    b.n = n;
    b_begin(&b, B_EVENTS);
    for (int i = 0; i < 30; i++) {
        b_event(&b, 1, F, 0);
    }
    b_event(&b, 1, 29, 0);
    b_event(&b, 1, F_END, 0);
    b_finish(&b);
    open_capture();
    CHECK_INT(pmt_tree_init(&t), 0);
    CHECK_INT(pmt_tree_read(&t, &r), 0);
    CHECK_INT(t.events, 160 + 30);
    CHECK(strstr(r.why, "is of a site that is not defined") != NULL);
    CHECK_INT(pmt_reader_block(&r), 0);
    done();
}

int main(void)
{
    charging();
    missed();
    recursion();
    threads();
    number_given_again();
    not_the_programs_own();
    unwinding_and_generators();
    peaks();
    no_sites();
    many_sites();
    defined_again();
    for (unsigned round = 0; round < 150; round++) {
        against_the_model(round);
    }
    cut_captures();
    return check_done();
}
