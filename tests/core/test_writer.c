/* Ring, writer thread and text sink together: byte for byte what the formats of docs/log-format.md give, and what is left
 * of a log when writing fails. */
#include <pthread.h>
#include <signal.h>

#include "core/record.h"
#include "world.h"

#define FILE_NAME "out.log"

static void remove_files(void)
{
    static const char *const names[] = {FILE_NAME, "out_1.log", "out_2.log", "moved.log", "pipe", "other"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        unlink(names[i]);
    }
}

static int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 5000; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

/* ---- what is written ---- */

typedef struct job {
    world *w;
    void (*push)(world *w);
} job;

static void *pushes(void *arg)
{
    job *j = arg;
    j->push(j->w);
    return NULL;
}

static void from_a_thread(world *w, void (*push)(world *)) /* as the traced thread does, while the writer writes */
{
    pthread_t thread;
    job j = {.w = w, .push = push};
    pthread_create(&thread, NULL, pushes, &j);
    pthread_join(thread, NULL);
}

static uint32_t site_call, site_c, site_long, site_odd;
static char long_name[5001], long_shown[5001];

static void make_sites(world *w)
{
    memset(long_name, 'n', 5000);
    memcpy(long_shown, long_name, sizeof long_name);
    uint32_t long_code = world_code(w, long_name, long_name, 1);
    uint32_t odd = world_code(w, "with space#\n\xed\xa0\x80\xe2\x80\xa8.py", "", 1);
    site_call = world_site(w, w->code, -1, PMT_CALL, NULL, 7);
    site_c = world_site(w, w->code, 4, PMT_C_EXCEPT, "a b#c", 12345);
    site_long = world_site(w, long_code, 4, PMT_RETURN, NULL, 1);
    site_odd = world_site(w, odd, 4, PMT_C_CALL, "\xc3\xa9t\xc3\xa9", -1);
}

static void push_all_kinds(world *w)
{
    world_thread_is(w, 0);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_RSS, 0), 40960, pmt_word(site_call, 100)}, 3);
    world_push(w, (uint64_t[]){pmt_word(site_c, 25)}, 1);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_TRACER, 0), 8192}, 2);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_TRACER, 0), (uint64_t)-4096}, 2);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_RSS, 0), 4096, pmt_word(PMT_ESC_CLOCK, 0), 90000000,
                               pmt_word(site_long, 0)}, 5);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_PEAK, site_c), 99999999, 3}, 3);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_PEAK, 0), 1, 3}, 3);
    world_thread_is(w, 1);
    world_push(w, (uint64_t[]){pmt_word(site_odd, UINT32_MAX / 8)}, 1);
    world_thread_is(w, 2);
    world_thread_is(w, 1); /* no row between: no line */
    world_push(w, (uint64_t[]){pmt_word(site_call, 0)}, 1);
    world_thread_is(w, 2);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_NESTED, 1)}, 1);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_NESTED, 0)}, 1);
    world_push(w, (uint64_t[]){pmt_word(site_call, 1)}, 1);
    world_thread_is(w, 9); /* unknown */
    world_push(w, (uint64_t[]){pmt_word(site_call, 1)}, 1);
    uint64_t words[3] = {pmt_word(PMT_ESC_TEXT, 11), 0, 0};
    memcpy(words + 1, "hello world", 11);
    world_push(w, words, 3);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_TEXT, 0)}, 1);
    world_push(w, (uint64_t[]){pmt_word(PMT_ESC_RSS, 0), INT64_MAX, pmt_word(site_call, 1)}, 3);
    world_push(w, (uint64_t[]){pmt_word(site_call, 1)}, 1);
}

static void all_layout(bool comments)
{
    world w;
    text want = {0};
    uint64_t clock = 1000000 / 64; /* of the first pair */
    size_t event = 0;
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, comments, 1024);
    make_sites(&w);
    CHECK_INT(world_start(&w), 0);
    from_a_thread(&w, push_all_kinds);
    world_stop(&w);
    text_put(&want, HEAD "%s", comments ? "# thread 100 MainThread\n" : "");
    put_all_row(&want, event++, clock += 100, "CALL", "a/file.py", 7, "function", 40960, 40960);
    put_all_row(&want, event++, clock += 25, "C_EXCEPT", "a/file.py", 12345, "a\\x20b\\x23c", 40960, 0);
    if (comments) {
        text_put(&want, "# tracer +8192\n# tracer -4096\n");
    }
    put_all_row(&want, event++, clock = 90000000, "RETURN", long_shown, 1, long_shown, 4096, -36864);
    if (comments) {
        text_put(&want, "# peak 99999999 between events 2 and 3 in a/file.py#12345 a\\x20b\\x23c\n"
                        "# peak 1 between events 2 and 3 in <?>#0 <?>\n# thread 101 -\n");
    }
    put_all_row(&want, event++, clock += UINT32_MAX / 8, "C_CALL", "with space#\\n\\ud800\\u2028.py", -1, "\xc3\xa9t\xc3\xa9",
                4096, 0);
    put_all_row(&want, event++, clock, "CALL", "a/file.py", 7, "function", 4096, 0);
    if (comments) {
        text_put(&want, "# suspended\n# resumed\n# thread 102 two\\nlines\n");
    }
    put_all_row(&want, event++, clock += 1, "CALL", "a/file.py", 7, "function", 4096, 0);
    text_put(&want, "%s", comments ? "# thread 0 -\n" : "");
    put_all_row(&want, event++, clock += 1, "CALL", "a/file.py", 7, "function", 4096, 0);
    text_put(&want, "%s", comments ? "# hello world\n# \n" : "");
    put_all_row(&want, event++, clock += 1, "CALL", "a/file.py", 7, "function", INT64_MAX, INT64_MAX - 4096);
    put_all_row(&want, event++, clock += 1, "CALL", "a/file.py", 7, "function", INT64_MAX, 0);
    text_put(&want, TAIL);
    CHECK_FILE(FILE_NAME, &want);
    CHECK_INT(w.sink->rows, event);
    CHECK_INT(pmt_writer_error(&w.writer), 0);
    world_free(&w);
    remove_files();
}

static void push_previous(world *w)
{
    world_thread_is(w, 0);
    world_row(w, site_call, 0, 70000, 8192);
    world_row(w, site_c, 22, 80000, 8192 | PMT_ROW_PREV);
    world_row(w, site_call, 23, 80001, 16384);
    world_row(w, site_call, 24, 80002, 4096);
    world_thread_is(w, 2);
    world_row(w, site_c, 12345678901234, 79999, 4096 | PMT_ROW_PREV); /* a clock that fell: shown as the row before */
    world_thread_is(w, 0);
    world_row(w, site_long, 12345678901235, 80003, 0);
}

static void previous_layout(void)
{
    world w;
    text want = {0};
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_PREVIOUS, true, 1024);
    make_sites(&w);
    CHECK_INT(world_start(&w), 0);
    from_a_thread(&w, push_previous);
    world_stop(&w);
    text_put(&want, HEAD "# thread 100 MainThread\n");
    put_previous_row(&want, "NEXT", 0, 0, 70000, "CALL", "a/file.py", 7, "function", 8192, 8192);
    put_previous_row(&want, "PREV", 22, 22, 80000, "C_EXCEPT", "a/file.py", 12345, "a\\x20b\\x23c", 8192, 0);
    put_previous_row(&want, "NEXT", 23, 23, 80001, "CALL", "a/file.py", 7, "function", 16384, 8192);
    put_previous_row(&want, "NEXT", 24, 1, 80002, "CALL", "a/file.py", 7, "function", 4096, -12288);
    text_put(&want, "# thread 102 two\\nlines\n");
    put_previous_row(&want, "PREV", 12345678901234, 12345678901234 - 24, 80002, "C_EXCEPT", "a/file.py", 12345,
                     "a\\x20b\\x23c", 4096, 0);
    text_put(&want, "# thread 100 MainThread\n");
    put_previous_row(&want, "NEXT", 12345678901235, 12345678901235 - 24, 80003, "RETURN", long_shown, 1, long_shown, 0, -4096);
    text_put(&want, TAIL);
    CHECK_FILE(FILE_NAME, &want);
    world_free(&w);
    remove_files();
}

#define MANY 40000
#define MANY_SITES 20000u

static uint32_t many_sites[MANY_SITES];

static void push_many(world *w)
{
    world_thread_is(w, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t site = many_sites[i * 7919u % MANY_SITES];
        if (i % 5 == 0) {
            world_push(w, (uint64_t[]){pmt_word(PMT_ESC_RSS, 0), i * 4096 + 4096, pmt_word(site, 1)}, 3);
        }
        else {
            world_push(w, (uint64_t[]){pmt_word(site, 1)}, 1);
        }
    }
}

/* More sites than the cache of middles has places, a ring that is much too small, every row looked at. */
static void many_rows(uint32_t words)
{
    world w;
    text want = {0};
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, words);
    for (uint32_t i = 0; i < MANY_SITES; i++) {
        char name[300];
        snprintf(name, sizeof name, "f%0*u", (int)(i % 250) + 1, i);
        many_sites[i] = world_site(&w, world_code(&w, "f.py", name, 1), -1, PMT_CALL, NULL, (int)i);
    }
    CHECK_INT(world_start(&w), 0);
    from_a_thread(&w, push_many);
    world_stop(&w);
    text_put(&want, HEAD "# thread 100 MainThread\n");
    char *big = malloc(MANY * 600);
    size_t n = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t s = i * 7919u % MANY_SITES;
        char name[300];
        snprintf(name, sizeof name, "f%0*u", (int)(s % 250) + 1, s);
        n += (size_t)sprintf(big + n, "%-12zu %-12.6f %-8s %-120s#%4d %-32s %12zu %12ld\n", (size_t)i,
                             world_seconds(1000000 / 64 + i + 1), "CALL", "f.py", (int)s, name, (size_t)(i / 5 * 5) * 4096 + 4096,
                             i == 0 ? 4096L : i % 5 == 0 ? 5 * 4096L : 0L);
    }
    text_add(&want, big, n);
    free(big);
    text_put(&want, TAIL);
    CHECK_FILE(FILE_NAME, &want);
    CHECK(words > 1000 || w.ring.waits > 0);
    CHECK(pmt_ring_drained(&w.ring));
    world_free(&w);
    remove_files();
}

/* A site id that was given a new meaning, however often, is shown with its newest. */
static void new_meanings(uint32_t times)
{
    world w;
    text want = {0};
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, false, 1024);
    CHECK_INT(world_start(&w), 0);
    text_put(&want, HEAD);
    uint32_t first = 0;
    for (int round = 0; round < 2; round++) {
        uint32_t code = 0, site = 0;
        for (uint32_t i = 0; i < (round == 0 ? 1 : times); i++) {
            pmt_sites_reclaim(&w.sites, UINT64_MAX, 100);
            code = world_code(&w, "f.py", round == 0 ? "old" : "new", 1);
            site = world_site(&w, code, -1, PMT_CALL, NULL, 1);
            first = first == 0 ? site : first;
            if (site != first) {
                CHECK_INT(site, first);
            }
            if (round == 0 || i + 1 < times) {
                pmt_writer_drain(&w.writer);
            }
            if (round == 0) {
                world_push(&w, (uint64_t[]){pmt_word(site, 1)}, 1);
                pmt_writer_drain(&w.writer);
            }
            if (round == 0 || i + 1 < times) {
                pmt_sites_code_died(&w.sites, code, 0, 0);
            }
        }
        if (round == 1) {
            world_push(&w, (uint64_t[]){pmt_word(site, 1)}, 1);
        }
        put_all_row(&want, (size_t)round, 1000000 / 64 + (uint64_t)round + 1, "CALL", "f.py", 1, round == 0 ? "old" : "new", 0, 0);
    }
    world_stop(&w);
    text_put(&want, TAIL);
    CHECK_FILE(FILE_NAME, &want);
    world_free(&w);
    remove_files();
}

/* ---- faults ---- */

static _Atomic int64_t budget; /* bytes that the disk has left */
static _Atomic int calls, mood;
enum { CALM, INTERRUPTED, SHORT, NOTHING };

static ssize_t faulty_write(int fd, const void *p, size_t n)
{
    int call = atomic_fetch_add(&calls, 1);
    switch (atomic_load(&mood)) {
    case INTERRUPTED:
        if (call % 2 == 0) {
            errno = EINTR;
            return -1;
        }
        break;
    case SHORT:
        n = n > 1 ? 1 + n / 3 : n;
        break;
    case NOTHING:
        return 0;
    default:
        break;
    }
    int64_t left = atomic_load(&budget);
    if (left == 0) {
        errno = ENOSPC;
        return -1;
    }
    n = (int64_t)n > left ? (size_t)left : n; /* as a disk does: what fits, then ENOSPC */
    ssize_t done = write(fd, p, n);
    atomic_fetch_sub(&budget, done > 0 ? done : 0);
    return done;
}

static uint32_t fault_rows;

static void push_rows(world *w)
{
    for (uint32_t i = 0; i < fault_rows; i++) {
        world_row(w, i % 30 == 0 ? site_long : site_call, i, 70000 + i, 4096 * (uint64_t)i);
    }
}

/* A disk that is full after so many bytes: whole lines only, the program goes on, the error stays. */
static void full_disk(int64_t bytes, text *whole)
{
    world w;
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 2048);
    make_sites(&w);
    atomic_store(&budget, bytes);
    int rc = world_start(&w);
    if (bytes < (int64_t)strlen(HEAD)) {
        CHECK_INT(rc, -ENOSPC);
        struct stat st;
        CHECK(stat(FILE_NAME, &st) == 0 && st.st_size == 0);
    }
    else {
        CHECK_INT(rc, 0);
        fault_rows = 3000; /* six rings full: it is emptied into nothing, or this hangs */
        from_a_thread(&w, push_rows);
        pmt_writer_drain(&w.writer);
        CHECK_INT(pmt_writer_error(&w.writer), -ENOSPC);
        atomic_store(&budget, INT64_MAX); /* somebody made room: it stays ended all the same */
        from_a_thread(&w, push_rows);
        pmt_writer_drain(&w.writer);
        CHECK_INT(pmt_writer_error(&w.writer), -ENOSPC);
        world_stop(&w);
        CHECK_INT(pmt_writer_error(&w.writer), -ENOSPC);
        text got = text_of_file(FILE_NAME);
        size_t want = (size_t)bytes;
        while (want > 0 && whole->bytes[want - 1] != '\n') {
            want--;
        }
        CHECK_BYTES(got.bytes, got.n, whole->bytes, want);
        CHECK_INT(w.output.size, want);
        text_free(&got);
    }
    world_free(&w);
    remove_files();
}

static void full_disks(void)
{
    text whole = {0};
    text_put(&whole, HEAD "# thread 100 MainThread\n");
    for (uint32_t i = 0; i < 3000; i++) {
        put_all_row(&whole, i, 70000 + i, i % 30 == 0 ? "RETURN" : "CALL", i % 30 == 0 ? long_shown : "a/file.py", i % 30 == 0 ? 1 : 7,
                    i % 30 == 0 ? long_shown : "function", (size_t)i * 4096, i == 0 ? 0 : 4096);
    }
    static const int64_t sizes[] = {0, 1, 10, 11, 12, 34, 35, 36, 5000, 10237, 10238, 10239, 131071, 131072, 131073, 262144,
                                    300000, 1000000, 1500000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int m = CALM; m <= (i % 5 == 3 ? SHORT : CALM); m++) {
            atomic_store(&mood, m);
            full_disk(sizes[i], &whole);
        }
    }
    atomic_store(&mood, CALM);
    text_free(&whole);
}

static void nagging(int how) /* EINTR and short writes lose nothing */
{
    world w;
    text want = {0};
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 2048);
    make_sites(&w);
    atomic_store(&budget, INT64_MAX);
    atomic_store(&mood, how);
    CHECK_INT(world_start(&w), 0);
    fault_rows = 100;
    from_a_thread(&w, push_rows);
    world_stop(&w);
    atomic_store(&mood, CALM);
    text_put(&want, HEAD "# thread 100 MainThread\n");
    for (uint32_t i = 0; i < 100; i++) {
        put_all_row(&want, i, 70000 + i, i % 30 == 0 ? "RETURN" : "CALL", i % 30 == 0 ? long_shown : "a/file.py", i % 30 == 0 ? 1 : 7,
                    i % 30 == 0 ? long_shown : "function", (size_t)i * 4096, i == 0 ? 0 : 4096);
    }
    text_put(&want, TAIL);
    CHECK_FILE(FILE_NAME, &want);
    world_free(&w);
    remove_files();
}

static void write_of_nothing(void)
{
    world w;
    text want = {0};
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 2048);
    make_sites(&w);
    atomic_store(&budget, INT64_MAX);
    CHECK_INT(world_start(&w), 0);
    atomic_store(&mood, NOTHING);
    fault_rows = 3000;
    from_a_thread(&w, push_rows);
    world_stop(&w);
    CHECK_INT(pmt_writer_error(&w.writer), -EIO);
    atomic_store(&mood, CALM);
    text_put(&want, HEAD);
    CHECK_FILE(FILE_NAME, &want);
    world_free(&w);
    remove_files();
}

static void no_record(void) /* a word that is none: an error, not an endless loop */
{
    world w;
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 1024);
    make_sites(&w);
    CHECK_INT(world_start(&w), 0);
    world_push(&w, (uint64_t[]){0}, 1);
    fault_rows = 1000;
    from_a_thread(&w, push_rows);
    world_stop(&w);
    CHECK_INT(pmt_writer_error(&w.writer), -EIO);
    world_free(&w);
    remove_files();
}

static void removed_meanwhile(void)
{
    world w;
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 1024);
    make_sites(&w);
    CHECK_INT(world_start(&w), 0);
    unlink(FILE_NAME);
    fault_rows = 1000;
    from_a_thread(&w, push_rows);
    world_stop(&w);
    CHECK_INT(pmt_writer_error(&w.writer), -ENOENT);
    CHECK(access(FILE_NAME, F_OK) < 0);
    world_free(&w);
}

/* ---- park, start, stop ---- */

static void parked(bool unshare)
{
    world w;
    text want = {0};
    int before = open_descriptors();
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 4096);
    make_sites(&w);
    w.writer.unshare = unshare;
    CHECK_INT(world_start(&w), 0);
    for (uint32_t i = 0; i < 30; i++) {
        world_row(&w, site_call, i, 70000 + i, 4096);
        if (i % 3 == 0) {
            pmt_writer_park(&w.writer);
            char task[64];
            snprintf(task, sizeof task, "/proc/self/task/%d", atomic_load(&w.writer.back.tid));
            CHECK(access(task, F_OK) < 0);
            CHECK(!w.writer.back.running);
            CHECK(pmt_ring_drained(&w.ring));
            CHECK_INT(open_descriptors(), before);
            pmt_writer_park(&w.writer); /* twice is fine */
            if (i == 3) {               /* moved away and back: it is still the same file */
                CHECK_INT(rename(FILE_NAME, "moved.log"), 0);
                CHECK_INT(world_start(&w), -ENOENT);
                CHECK(!w.writer.back.running);
                CHECK_INT(rename("moved.log", FILE_NAME), 0);
            }
            world_row(&w, site_call, 1000 + i, 70000 + i, 4096); /* waits in the ring */
            CHECK_INT(world_start(&w), 0);
        }
    }
    world_stop(&w);
    text_put(&want, HEAD "# thread 100 MainThread\n");
    for (uint32_t i = 0; i < 30; i++) {
        put_all_row(&want, i, 70000 + i, "CALL", "a/file.py", 7, "function", 4096, i == 0 ? 4096 : 0);
        if (i % 3 == 0) {
            put_all_row(&want, 1000 + i, 70000 + i, "CALL", "a/file.py", 7, "function", 4096, 0);
        }
    }
    text_put(&want, TAIL);
    CHECK_FILE(FILE_NAME, &want);
    world_free(&w);
    CHECK_INT(open_descriptors(), before);
    remove_files();
}

static void name_taken(void) /* the name is another's at the reopening: theirs is not touched */
{
    world w;
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 1024);
    make_sites(&w);
    CHECK_INT(world_start(&w), 0);
    pmt_writer_park(&w.writer);
    rename(FILE_NAME, "moved.log");
    int fd = open(FILE_NAME, O_WRONLY | O_CREAT, 0600);
    CHECK_INT(write(fd, "mine", 4), 4);
    close(fd);
    CHECK_INT(world_start(&w), -ENOENT);
    world_stop(&w);
    text mine = {0};
    text_put(&mine, "mine");
    CHECK_FILE(FILE_NAME, &mine);
    world_free(&w);
    remove_files();
}

static void end_taken_back(void) /* an exec that failed */
{
    world w;
    text want = {0};
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 1024);
    make_sites(&w);
    CHECK_INT(world_start(&w), 0);
    world_row(&w, site_call, 0, 70000, 4096);
    for (int i = 0; i < 3; i++) {
        pmt_writer_stop(&w.writer, "# end the process called exec\n", 30);
        text ended = text_of_file(FILE_NAME);
        CHECK(ended.n > 30 && memcmp(ended.bytes + ended.n - 30, "# end the process called exec\n", 30) == 0);
        text_free(&ended);
        CHECK_INT(world_start(&w), 0);
    }
    world_row(&w, site_call, 1, 70001, 4096);
    world_stop(&w);
    text_put(&want, HEAD "# thread 100 MainThread\n");
    put_all_row(&want, 0, 70000, "CALL", "a/file.py", 7, "function", 4096, 4096);
    put_all_row(&want, 1, 70001, "CALL", "a/file.py", 7, "function", 4096, 0);
    text_put(&want, TAIL);
    CHECK_FILE(FILE_NAME, &want);
    world_free(&w);
    remove_files();
}

static void drained_and_followed(void) /* after a drain, and soon without one, rows are in the file */
{
    world w;
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, false, 1024);
    make_sites(&w);
    CHECK_INT(world_start(&w), 0);
    for (uint32_t i = 0; i < 20; i++) {
        world_row(&w, site_call, i, 70000 + i, 4096);
        pmt_writer_drain(&w.writer);
        text got = text_of_file(FILE_NAME);
        size_t lines = 0;
        for (size_t k = 0; k < got.n; k++) {
            lines += got.bytes[k] == '\n';
        }
        CHECK_INT(lines, i + 2);
        text_free(&got);
    }
    struct stat before, after;
    stat(FILE_NAME, &before);
    after = before;
    world_row(&w, site_call, 20, 70020, 4096);
    for (int i = 0; i < 15000 && after.st_size == before.st_size; i++) {
        usleep(2000);
        stat(FILE_NAME, &after);
    }
    CHECK(after.st_size > before.st_size);
    world_stop(&w);
    pmt_writer_drain(&w.writer); /* without a writer there is nothing to wait for */
    world_free(&w);
    remove_files();
}

static void signals_are_blocked(void) /* none of the program's signals arrives in our thread */
{
    world w;
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, false, 1024);
    CHECK_INT(world_start(&w), 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", atomic_load(&w.writer.back.tid));
    text status = text_of_file(path);
    unsigned long long blocked = 0;
    const char *line = status.bytes == NULL ? NULL : strstr(status.bytes, "\nSigBlk:");
    if (CHECK(line != NULL)) {
        blocked = strtoull(line + 8, NULL, 16);
        unsigned long long asked = (1ULL << (SIGINT - 1)) | (1ULL << (SIGTERM - 1)) | (1ULL << (SIGPIPE - 1)) |
                                   (1ULL << (SIGXFSZ - 1)) | (1ULL << (SIGCHLD - 1)) | (1ULL << (SIGPROF - 1));
        CHECK((blocked & asked) == asked);
    }
    text_free(&status);
    world_stop(&w);
    world_free(&w);
    remove_files();
}

static void null_sink(void)
{
    world w;
    world_make(&w, NULL, 0, PMT_LAYOUT_ALL, true, 1024);
    CHECK_INT(world_start(&w), 0);
    for (uint32_t i = 0; i < 20000; i++) {
        world_row(&w, 20, i, i, i);
    }
    pmt_writer_park(&w.writer);
    CHECK_INT(world_start(&w), 0);
    world_stop(&w);
    CHECK(pmt_ring_drained(&w.ring));
    CHECK_INT(pmt_writer_error(&w.writer), 0);
    world_free(&w);
}

int main(void)
{
    remove_files();
    all_layout(true);
    all_layout(false);
    previous_layout();
    many_rows(PMT_RING_WORDS);
    many_rows(256);
    new_meanings(100);
    new_meanings(65536); /* the low half of the generation is as it was */
    pmt_sys_write = faulty_write;
    full_disks();
    nagging(INTERRUPTED);
    nagging(SHORT);
    write_of_nothing();
    pmt_sys_write = write;
    no_record();
    removed_meanwhile();
    parked(true);
    parked(false);
    name_taken();
    end_taken_back();
    drained_and_followed();
    signals_are_blocked();
    null_sink();
    return check_done();
}
