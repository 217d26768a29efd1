/* RSS from the kernel, and descriptors that the program may close or use for its own files at any moment. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "platform/rss.h"

static void reading(void)
{
    pmt_rss r;
    CHECK_INT(pmt_rss_open(&r), 0);
    CHECK(r.proc.fd > 100 && r.statm.fd > 100); /* out of the program's way */
    CHECK((fcntl(r.proc.fd, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(r.statm.fd, F_GETFD) & FD_CLOEXEC) != 0);
    int next = open("/dev/null", O_RDONLY);
    CHECK(next < 10); /* no number of the program's was used up */
    close(next);
    int64_t granularity = pmt_rss_granularity(&r), before = pmt_rss_read(&r);
    CHECK(granularity >= r.page && before > 0 && before % r.page == 0);
    size_t bytes = 32 << 20;
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    int64_t grown = pmt_rss_read(&r) - before;
    CHECK(llabs((long long)grown - (long long)bytes) <= granularity + 64 * r.page);
    munmap(p, bytes);
    CHECK(llabs((long long)(pmt_rss_read(&r) - before)) <= granularity + 64 * r.page);
    CHECK(pmt_rss_hwm() >= before);
    CHECK(pmt_rss_peak(&r) + pmt_rss_peak_granularity(r.page) >= before + (int64_t)bytes);
    pmt_rss_close(&r);
    pmt_rss_close(&r);
    CHECK_INT(r.statm.fd, -1);
}

static int fill(const char *path, const char *text)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_INT(write(fd, text, strlen(text)), (long long)strlen(text));
    return fd;
}

/* The program closes our number and its own file gets it: never believed, never closed, its position never moved. */
static void number_reused(const char *text)
{
    pmt_rss r;
    CHECK_INT(pmt_rss_open(&r), 0);
    int64_t before = pmt_rss_read(&r);
    int number = r.statm.fd, fd = fill("mine", text);
    CHECK_INT(dup2(fd, number), number);
    lseek(number, 1, SEEK_SET);
    int64_t now = pmt_rss_read(&r);
    CHECK(now > 0 && llabs((long long)(now - before)) < (16 << 20));
    CHECK(r.statm.fd != number);
    CHECK_INT(lseek(number, 0, SEEK_CUR), 1);
    struct stat st;
    CHECK_INT(fstat(number, &st), 0);
    pmt_rss_close(&r);
    CHECK_INT(fstat(number, &st), 0); /* still the program's */
    close(number);
    close(fd);
    unlink("mine");
}

static void numbers_closed(void)
{
    pmt_rss r;
    CHECK_INT(pmt_rss_open(&r), 0);
    close(r.proc.fd);
    close(r.statm.fd);
    CHECK(pmt_rss_read(&r) > 0);
    CHECK(pmt_rss_read(&r) > 0);
    pmt_rss_close(&r);

    CHECK_INT(pmt_rss_open(&r), 0);
    int proc = r.proc.fd, mine = open("/dev/null", O_RDONLY);
    CHECK_INT(dup2(mine, proc), proc); /* the number of /proc is a file of the program's */
    close(r.statm.fd);
    CHECK(pmt_rss_read(&r) > 0);
    pmt_rss_close(&r);
    CHECK(fcntl(proc, F_GETFD) >= 0);
    close(proc);
    close(mine);
}

/* errno is the program's, whatever had to be done for a reading. */
static void errno_is_kept(void)
{
    pmt_rss r;
    CHECK_INT(pmt_rss_open(&r), 0);
    errno = 77;
    CHECK(pmt_rss_read(&r) > 0);
    CHECK_INT(errno, 77);
    close(r.statm.fd);
    errno = 77;
    CHECK(pmt_rss_read(&r) > 0);
    CHECK_INT(errno, 77);
    int fd = fill("mine", "no numbers\n");
    dup2(fd, r.statm.fd);
    errno = 77;
    CHECK(pmt_rss_read(&r) > 0);
    CHECK_INT(errno, 77);
    pmt_rss_close(&r);
    close(fd);
    unlink("mine");
}

static void no_descriptor_left(void)
{
    struct rlimit old, low;
    pmt_rss r;
    CHECK_INT(pmt_rss_open(&r), 0);
    close(r.proc.fd);
    close(r.statm.fd);
    getrlimit(RLIMIT_NOFILE, &old);
    low = (struct rlimit){3, old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    CHECK_INT(pmt_rss_read(&r), -EMFILE);
    setrlimit(RLIMIT_NOFILE, &old);
    CHECK(pmt_rss_read(&r) > 0);
    pmt_rss_close(&r);
}

/* Twenty recordings within each other, where the limit is the usual 1,024. */
static void many_at_once(rlim_t limit)
{
    enum { N = 20 };
    struct rlimit old, low;
    pmt_rss r[N];
    int bad = 0;
    getrlimit(RLIMIT_NOFILE, &old);
    low = (struct rlimit){limit, old.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int i = 0; i < N; i++) {
        bad += pmt_rss_open(&r[i]) < 0;
    }
    CHECK_INT(bad, 0);
    for (int i = 0; i < N; i++) {
        pmt_rss_close(&r[i]);
    }
    setrlimit(RLIMIT_NOFILE, &old);
}

int main(void)
{
    reading();
    number_reused("1 2 3\n");
    number_reused("1 2 3 4 5 6 7 8\n");
    number_reused("1 2 3 4 5 6 7");
    number_reused("1 2 3 4 5 6 7\nmore");
    number_reused("1 2  3 4 5 6 7\n");
    number_reused("-1 2 3 4 5 6 7\n");
    number_reused("1 99999999999999999999999999 3 4 5 6 7\n");
    number_reused("");
    numbers_closed();
    errno_is_kept();
    no_descriptor_left();
    many_at_once(256);
    many_at_once(1024);
    return check_done();
}
