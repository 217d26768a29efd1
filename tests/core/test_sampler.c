/* The sampler's thread: what it reads against the kernel's own words, its lines, its clock, and what is left of its file when
 * writing fails. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "check.h"
#include "core/json.h"
#include "core/sampler.h"

#define FILE_NAME "out.rss"
#define HEADER "{\"format\":\"samples\"}\n"
#define MS 1000000
#define PAGES 256

/* ---- what is in a file ---- */

typedef struct contents {
    char *bytes; /* owned, ended by a zero */
    size_t n;
    int lines, samples, markers;
    long long missed;
    bool whole, ordered; /* it ends with a line end; time never falls */
} contents;

static contents read_file(void)
{
    contents c = {.bytes = calloc(1, 1 << 22), .ordered = true};
    FILE *f = fopen(FILE_NAME, "rb");
    if (f != NULL) {
        c.n = fread(c.bytes, 1, (1 << 22) - 1, f);
        fclose(f);
    }
    double last = 0;
    for (const char *p = c.bytes; *p != '\0'; c.lines++) {
        const char *end = strchr(p, '\n');
        c.whole = end != NULL;
        if (end == NULL) {
            break;
        }
        const char *missed = strstr(p, "\"missed\":");
        c.samples += strncmp(p, "{\"time\":", 8) == 0 && strstr(p, "\"rss\":") != NULL && strstr(p, "\"rss\":") < end;
        c.markers += strstr(p, "\"marker\":") != NULL && strstr(p, "\"marker\":") < end;
        c.missed += missed != NULL && missed < end ? atoll(missed + 9) : 0;
        if (strncmp(p, "{\"time\":", 8) == 0) {
            double time = atof(p + 8);
            c.ordered = c.ordered && time >= last;
            last = time;
        }
        p = end + 1;
    }
    return c;
}

static long long last_number(const contents *c, const char *key) /* of the last line that has it */
{
    const char *found = NULL;
    for (const char *p = c->bytes; (p = strstr(p, key)) != NULL; p++) {
        found = p;
    }
    return found == NULL ? -1 : atoll(found + strlen(key));
}

static int open_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 5000; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static pmt_sampler *make(int64_t interval_ns, unsigned flags)
{
    pmt_sampler *s = NULL;
    CHECK_INT(pmt_sampler_new(&s, FILE_NAME, flags, interval_ns, 0), 0);
    return s;
}

static pmt_sampler *started(int64_t interval_ns)
{
    pmt_sampler *s = make(interval_ns, 0);
    CHECK_INT(pmt_sampler_create(s), 0);
    pmt_sampler_begin(s);
    CHECK_INT(pmt_sampler_start(s, HEADER, sizeof HEADER - 1), 0);
    return s;
}

static uint64_t ticks(const pmt_sampler *s)
{
    return atomic_load(&s->seen.ticks);
}

static void wait_for(const pmt_sampler *s, uint64_t n) /* that many more samples; not for ever */
{
    uint64_t until = ticks(s) + n;
    for (int i = 0; i < 20000 && ticks(s) < until && pmt_sampler_error(s) == 0; i++) {
        usleep(500);
    }
}

static void end(pmt_sampler *s)
{
    pmt_sampler_stop(s);
    pmt_sampler_free(s);
    unlink(FILE_NAME);
}

/* ---- what is read ---- */

static long long status_of(const char *key) /* by stdio: nothing of what is tested */
{
    char line[4096];
    long long value = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            value = atoll(line + strlen(key));
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return value;
}

static void both_ways_say_the_same(void)
{
    pmt_usage_files f;
    pmt_usage whole, cheap;
    CHECK_INT(pmt_usage_open(&f, false), 0);
    for (int i = 0; i < 2; i++) { /* once before it counts: pages of the program's own code come at their first use */
        status_of("VmSize:");
        CHECK_INT(pmt_usage_read(&f, &cheap, false), 0);
        CHECK_INT(pmt_usage_read(&f, &whole, true), 0);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_INT(pmt_usage_read(&f, &cheap, false), 0);
        CHECK_INT(cheap.vms, whole.vms);
        CHECK_INT(cheap.file, whole.file);
        CHECK_INT(cheap.shmem, whole.shmem);
        CHECK_INT(cheap.threads, whole.threads);
        CHECK(cheap.peak_rss >= cheap.rss && whole.peak_rss >= whole.rss);
    }
    CHECK_INT(whole.vms, status_of("VmSize:") * 1024);
    CHECK_INT(whole.file, status_of("RssFile:") * 1024);
    CHECK_INT(whole.threads, status_of("Threads:"));
    CHECK_INT(pmt_usage_threads(), whole.threads);
    CHECK(whole.pss == PMT_USAGE_UNKNOWN && whole.uss == PMT_USAGE_UNKNOWN);
    pmt_usage_shares(&f, &whole);
    CHECK(whole.uss > 0 && whole.pss >= whole.uss);
    pmt_usage_close(&f);
}

/* Pages of both kinds, one after another: each is seen, where it belongs. */
static void pages_are_counted(void)
{
    pmt_usage_files f;
    pmt_usage u;
    pmt_rss rss;
    int64_t page = sysconf(_SC_PAGESIZE);
    if (pmt_rss_open(&rss) < 0 || pmt_rss_granularity(&rss) != page) {
        printf("skipped: this kernel does not count RSS to the page\n");
        return;
    }
    pmt_rss_close(&rss);
    size_t bytes = (size_t)(PAGES * page);
    char *mine = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    madvise(mine, bytes, MADV_NOHUGEPAGE);
    madvise(shared, bytes, MADV_NOHUGEPAGE);
    CHECK_INT(pmt_usage_open(&f, false), 0);
    CHECK_INT(pmt_usage_read(&f, &u, true), 0);
    int64_t anon = u.anon, shmem = u.shmem, file = u.file;
    for (int64_t i = 1; i <= PAGES; i++) {
        mine[(i - 1) * page] = 1;
        if (i % 3 == 0) {
            shared[(i / 3 - 1) * page] = 1;
        }
        CHECK_INT(pmt_usage_read(&f, &u, false), 0);
        CHECK_INT(u.anon, anon + i * page);
        CHECK_INT(u.shmem, shmem + i / 3 * page);
        CHECK_INT(u.file, file);
        CHECK_INT(u.rss, u.anon + u.file + u.shmem);
    }
    munmap(mine, bytes);
    munmap(shared, bytes);
    CHECK_INT(pmt_usage_read(&f, &u, false), 0);
    CHECK_INT(u.shmem, shmem);
    CHECK(u.peak_rss >= u.rss + PAGES * page);
    pmt_usage_close(&f);
}

static void status_is_reopened(void) /* in the program's table, which the program closes */
{
    pmt_usage_files f;
    pmt_usage u;
    CHECK_INT(pmt_usage_open(&f, true), 0);
    int fd = f.status.fd;
    close(fd);
    CHECK_INT(dup2(open("/dev/zero", O_RDONLY), fd), fd); /* and uses its number */
    CHECK_INT(pmt_usage_read(&f, &u, false), 0);
    CHECK(u.rss > 0 && f.status.fd != fd && fcntl(fd, F_GETFD) >= 0);
    pmt_usage_close(&f);
    close(fd);
}

/* ---- lines and clock ---- */

static void a_line_a_tick(void)
{
    long long threads = status_of("Threads:");
    pmt_sampler *s = started(2 * MS);
    wait_for(s, 50);
    pmt_sampler_stop(s);
    contents c = read_file();
    CHECK(c.whole && c.ordered && strncmp(c.bytes, HEADER, sizeof HEADER - 1) == 0);
    CHECK_INT(c.samples, ticks(s));
    CHECK_INT(c.lines, c.samples + 1);
    CHECK_INT(c.missed, atomic_load(&s->seen.missed));
    /* Every moment up to the last is there, as a line or as one that was missed; the end has one more. */
    CHECK(s->last_tick == ticks(s) - 1 + (uint64_t)c.missed || s->last_tick == ticks(s) - 2 + (uint64_t)c.missed);
    CHECK_INT(last_number(&c, "\"pid\":"), getpid());
    CHECK(last_number(&c, "\"threads\":") > threads); /* ThreadSanitizer has one of its own */
    CHECK(atomic_load(&s->seen.rss_first) > 0 && atomic_load(&s->seen.rss_last) > 0);
    free(c.bytes);
    end(s);
}

static void ended_at_once(void)
{
    pmt_sampler *s = started(PMT_MOST_INTERVAL_NS);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    pmt_sampler_stop(s);
    pmt_sampler_stop(s); /* twice is fine */
    clock_gettime(CLOCK_MONOTONIC, &to);
    CHECK(to.tv_sec - from.tv_sec < 60);
    contents c = read_file();
    CHECK_INT(c.samples, 2);
    free(c.bytes);
    end(s);
}

static void parked(bool unshare, bool last)
{
    int before = open_descriptors();
    pmt_sampler *s = make(MS, 0);
    s->unshare = unshare;
    pmt_sampler_begin(s);
    CHECK_INT(pmt_sampler_start(s, HEADER, sizeof HEADER - 1), 0);
    for (int i = 0; i < 10; i++) {
        wait_for(s, 2);
        uint64_t sampled = ticks(s);
        pmt_sampler_park(s, last);
        CHECK(!last || ticks(s) > sampled);
        char task[64];
        snprintf(task, sizeof task, "/proc/self/task/%d", atomic_load(&s->back.tid));
        CHECK(access(task, F_OK) < 0);
        CHECK_INT(open_descriptors(), before);
        pmt_sampler_park(s, last); /* twice is fine */
        usleep(5000);
        CHECK_INT(pmt_sampler_start(s, NULL, 0), 0);
    }
    pmt_sampler_park(s, false);
    pmt_sampler_stop(s); /* comes back for the last sample */
    contents c = read_file();
    CHECK(c.whole && c.ordered);
    CHECK_INT(c.lines, c.samples + 1);
    CHECK_INT(c.samples, ticks(s));
    CHECK(c.missed >= 30); /* what was not made meanwhile is said */
    free(c.bytes);
    end(s);
    CHECK_INT(open_descriptors(), before);
}

static void signals_are_blocked(void)
{
    pmt_sampler *s = started(MS);
    char path[64], line[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", atomic_load(&s->back.tid));
    FILE *f = fopen(path, "r");
    unsigned long long blocked = 0;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        blocked = strncmp(line, "SigBlk:", 7) == 0 ? strtoull(line + 7, NULL, 16) : blocked;
    }
    if (f != NULL) {
        fclose(f);
    }
    unsigned long long asked = (1ULL << (SIGINT - 1)) | (1ULL << (SIGTERM - 1)) | (1ULL << (SIGXFSZ - 1)) |
                               (1ULL << (SIGPIPE - 1)) | (1ULL << (SIGPROF - 1));
    CHECK((blocked & asked) == asked);
    end(s);
}

/* ---- markers ---- */

static void *give_markers(void *arg)
{
    for (int i = 0; i < 50; i++) {
        pmt_marker m;
        if (pmt_marker_make(&m, "a \"marker\"", 10) == 0) {
            pmt_marker_give(&m, arg);
            pmt_marker_wait(&m);
        }
    }
    return NULL;
}

static void markers(void)
{
    pmt_sampler *s = started(MS);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, give_markers, s);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    contents c = read_file();
    CHECK_INT(c.markers, 200); /* they are there before anybody looks */
    CHECK(c.whole && c.ordered && strstr(c.bytes, ",\"marker\":\"a \\\"marker\\\"\"}\n") != NULL);
    free(c.bytes);
    end(s);
}

static void a_marker_given_as_it_ends(void)
{
    for (int i = 0; i < 50; i++) {
        pmt_sampler *s = started(PMT_MOST_INTERVAL_NS);
        pmt_marker m;
        CHECK_INT(pmt_marker_make(&m, "last", 4), 0);
        pmt_marker_give(&m, s);
        if (i % 2) {
            pmt_sampler_park(s, false);
        }
        else {
            pmt_sampler_stop(s);
        }
        pmt_marker_wait(&m);
        contents c = read_file();
        CHECK_INT(c.markers, 1);
        free(c.bytes);
        end(s);
    }
}

static void strings(void)
{
    static const char text[] = "a\"b\\c\n\x01\x7f\xc3\xa9\xed\xa0\x80\xff\xf0\x9f\x98\x80\xc3";
    static const char want[] = "a\\\"b\\\\c\\u000a\\u0001\x7f\xc3\xa9\\ud800\\udcff\xf0\x9f\x98\x80\\udcc3";
    char out[sizeof text * PMT_JSON_GROWTH];
    char *stop = pmt_json_put(out, text, sizeof text - 1);
    CHECK_BYTES(out, (size_t)(stop - out), want, sizeof want - 1);
}

/* ---- what goes wrong ---- */

static _Atomic int64_t budget; /* bytes that the disk takes */

static ssize_t full_disk(int fd, const void *p, size_t n)
{
    int64_t room = atomic_load(&budget);
    if (room <= 0) {
        errno = ENOSPC;
        return -1;
    }
    n = (int64_t)n < room ? n : (size_t)room; /* the last write is cut short */
    atomic_store(&budget, room - (int64_t)n);
    return write(fd, p, n);
}

static void a_full_disk(int64_t room)
{
    atomic_store(&budget, room);
    pmt_sys_write = full_disk;
    pmt_sampler *s = started(MS);
    wait_for(s, UINT32_MAX);
    CHECK_INT(pmt_sampler_error(s), -ENOSPC);
    give_markers(s); /* all are answered */
    pmt_sampler_park(s, true);
    CHECK_INT(pmt_sampler_error(s), -ENOSPC);
    pmt_sampler_stop(s);
    contents c = read_file();
    CHECK(c.whole && c.n > 0 && c.n <= (size_t)room);
    CHECK_INT(c.samples, ticks(s));
    free(c.bytes);
    pmt_sys_write = write;
    end(s);
}

static void a_disk_full_from_the_first(void) /* nothing is left behind */
{
    for (int64_t room = 0; room < 100; room += 33) {
        pmt_sampler *s = make(MS, 0);
        atomic_store(&budget, room);
        pmt_sys_write = full_disk;
        CHECK_INT(pmt_sampler_create(s), 0);
        pmt_sampler_begin(s);
        CHECK_INT(pmt_sampler_start(s, HEADER, sizeof HEADER - 1), -ENOSPC);
        pmt_sys_write = write;
        pmt_sampler_stop(s);
        pmt_sampler_free(s);
        CHECK(access(FILE_NAME, F_OK) < 0);
    }
}

static int no_thread; /* what the system says of one more; 0: it is made */

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*f)(void *), void *arg) /* before libc's */
{
    typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    return no_thread != 0 ? no_thread : ((create *)dlsym(RTLD_NEXT, "pthread_create"))(thread, attr, f, arg);
}

static void too_many_threads(void) /* at the start nothing is left behind; after a fork the file stays as it was */
{
    no_thread = EAGAIN;
    pmt_sampler *s = make(MS, 0);
    CHECK_INT(pmt_sampler_create(s), 0);
    pmt_sampler_begin(s);
    CHECK_INT(pmt_sampler_start(s, HEADER, sizeof HEADER - 1), -EAGAIN);
    pmt_sampler_free(s);
    CHECK(access(FILE_NAME, F_OK) < 0);
    no_thread = 0;
    s = started(MS);
    wait_for(s, 3);
    pmt_sampler_park(s, false);
    no_thread = EAGAIN;
    CHECK_INT(pmt_sampler_start(s, NULL, 0), -EAGAIN);
    CHECK_INT(pmt_sampler_error(s), -EAGAIN);
    no_thread = 0;
    pmt_sampler_stop(s);
    contents c = read_file();
    CHECK(c.whole);
    CHECK_INT(c.samples, ticks(s));
    free(c.bytes);
    end(s);
}

static void removed_meanwhile(void)
{
    pmt_sampler *s = started(5 * MS);
    unlink(FILE_NAME);
    wait_for(s, UINT32_MAX); /* it looks once a second */
    CHECK_INT(pmt_sampler_error(s), -ENOENT);
    CHECK(access(FILE_NAME, F_OK) < 0);
    end(s);
}

static void closed_by_the_program(void) /* without a table of its own: nothing is written elsewhere */
{
    pmt_sampler *s = make(MS, 0);
    s->unshare = false;
    pmt_sampler_begin(s);
    CHECK_INT(pmt_sampler_start(s, HEADER, sizeof HEADER - 1), 0);
    wait_for(s, 3);
    int fd = s->output.fd.fd, other = open("other", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd > 2);
    CHECK_INT(dup2(other, fd), fd);
    wait_for(s, UINT32_MAX);
    CHECK_INT(pmt_sampler_error(s), -EBADF);
    struct stat st;
    CHECK(fstat(other, &st) == 0 && st.st_size == 0);
    close(other);
    end(s);
    CHECK(fcntl(fd, F_GETFD) >= 0); /* the program's */
    close(fd);
    unlink("other");
}

static void what_exists_is_refused(void)
{
    int fd = open(FILE_NAME, O_WRONLY | O_CREAT, 0600);
    CHECK_INT(write(fd, "mine", 4), 4);
    close(fd);
    pmt_sampler *s = make(MS, 0);
    CHECK_INT(pmt_sampler_create(s), -EEXIST);
    pmt_sampler_free(s);
    contents c = read_file();
    CHECK_BYTES(c.bytes, c.n, "mine", 4);
    free(c.bytes);
    s = make(MS, PMT_OPEN_OVERWRITE);
    CHECK_INT(pmt_sampler_create(s), 0);
    pmt_sampler_begin(s);
    CHECK_INT(pmt_sampler_start(s, HEADER, sizeof HEADER - 1), 0);
    end(s);
}

static void forgotten(void) /* as in a forked child: memory goes, the file stays */
{
    pmt_sampler *s = make(MS, 0);
    CHECK_INT(pmt_sampler_create(s), 0);
    pmt_sampler_forget(s);
    CHECK(access(FILE_NAME, F_OK) == 0);
    unlink(FILE_NAME);
    pmt_sampler_free(NULL);
}

int main(void)
{
    unlink(FILE_NAME);
    both_ways_say_the_same();
    pages_are_counted();
    status_is_reopened();
    a_line_a_tick();
    ended_at_once();
    parked(true, false);
    parked(true, true);
    parked(false, false);
    signals_are_blocked();
    markers();
    a_marker_given_as_it_ends();
    strings();
    a_full_disk(1000);
    a_full_disk(2345);
    a_disk_full_from_the_first();
    too_many_threads();
    removed_meanwhile();
    closed_by_the_program();
    what_exists_is_refused();
    forgotten();
    return check_done();
}
