/* Which file is opened, created, replaced or refused; devices and pipes; the two kinds of descriptor table. */
#include <pthread.h>
#include <sys/wait.h>
#include <poll.h>

#include "core/record.h"
#include "world.h"

#define FILE_NAME "out.log"

static void put_file(const char *path, const char *bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK_INT(write(fd, bytes, strlen(bytes)), (long long)strlen(bytes));
    close(fd);
}

static void check_text(const char *path, const char *want)
{
    text t = {0};
    text_put(&t, "%s", want);
    CHECK_FILE(path, &t);
}

/* Start and stop at once; what start said. *used: the name, to be freed. */
static int once(const char *path, unsigned flags, char **used)
{
    world w;
    world_make(&w, path, flags, PMT_LAYOUT_ALL, true, 1024);
    int rc = world_start(&w);
    world_stop(&w);
    if (used != NULL) {
        *used = strdup(w.output.path);
    }
    world_free(&w);
    return rc;
}

static void created(void)
{
    struct stat before, after;
    unlink(FILE_NAME);
    CHECK_INT(once(FILE_NAME, 0, NULL), 0);
    check_text(FILE_NAME, HEAD TAIL);
    CHECK_INT(once(FILE_NAME, 0, NULL), -EEXIST); /* not empty any more */
    check_text(FILE_NAME, HEAD TAIL);
    put_file(FILE_NAME, "");
    stat(FILE_NAME, &before);
    CHECK_INT(once(FILE_NAME, 0, NULL), 0); /* an existing empty file is used */
    stat(FILE_NAME, &after);
    CHECK_INT(before.st_ino, after.st_ino);
    check_text(FILE_NAME, HEAD TAIL);
    CHECK_INT(once("no/such/folder.log", 0, NULL), -ENOENT);
    pmt_output o;
    CHECK_INT(pmt_output_init(&o, ".", 0), -EISDIR);
    pmt_output_free(&o);
    unlink(FILE_NAME);
}

static void overwritten(void)
{
    struct stat before, after;
    put_file(FILE_NAME, "what was there before is longer than what we write over it\n");
    link(FILE_NAME, "kept.log");
    stat(FILE_NAME, &before);
    CHECK_INT(once(FILE_NAME, PMT_OPEN_OVERWRITE, NULL), 0);
    stat(FILE_NAME, &after);
    CHECK(before.st_ino != after.st_ino);
    check_text(FILE_NAME, HEAD TAIL);
    check_text("kept.log", "what was there before is longer than what we write over it\n");
    unlink("kept.log");
    unlink(FILE_NAME);
    CHECK_INT(once(FILE_NAME, PMT_OPEN_OVERWRITE, NULL), 0); /* nothing there: created */
    unlink(FILE_NAME);
}

static void unique(const char *name, const char *second, const char *third)
{
    char *used;
    const char *want[] = {name, second, third};
    for (int i = 0; i < 3; i++) {
        CHECK_INT(once(name, PMT_OPEN_UNIQUE, &used), 0);
        if (!CHECK(strcmp(used, want[i]) == 0)) {
            fprintf(stderr, "    %s, not %s\n", used, want[i]);
        }
        check_text(want[i], HEAD TAIL);
        free(used);
    }
    unlink(second);
    put_file(name, "");
    CHECK_INT(once(name, PMT_OPEN_UNIQUE, &used), 0); /* O_EXCL: an empty one is another's too */
    CHECK(strcmp(used, second) == 0);
    free(used);
    for (int i = 0; i < 3; i++) {
        unlink(want[i]);
    }
}

/* ---- devices and pipes ---- */

static void dev_full(void)
{
    world w;
    world_make(&w, "/dev/full", 0, PMT_LAYOUT_ALL, true, 1024);
    CHECK(w.output.special);
    CHECK_INT(world_start(&w), -ENOSPC);
    CHECK(!w.writer.back.running);
    world_free(&w);

    world_make(&w, "/dev/full", 0, PMT_LAYOUT_ALL, true, 1024); /* no header: the first row says it */
    w.writer.text = "";
    CHECK_INT(pmt_writer_start(&w.writer), 0);
    uint32_t site = world_site(&w, w.code, 0, PMT_CALL, NULL, 7);
    for (uint32_t i = 0; i < 1000; i++) {
        world_row(&w, site, i, 70000, 0);
    }
    pmt_writer_drain(&w.writer);
    CHECK_INT(pmt_writer_error(&w.writer), -ENOSPC);
    world_stop(&w);
    world_free(&w);
}

static void dev_null(void)
{
    world w;
    world_make(&w, "/dev/null", 0, PMT_LAYOUT_ALL, true, 1024);
    CHECK_INT(world_start(&w), 0);
    uint32_t site = world_site(&w, w.code, 0, PMT_CALL, NULL, 7);
    for (uint32_t i = 0; i < 2000; i++) {
        world_row(&w, site, i, 70000, 0);
        if (i % 1000 == 0) {
            pmt_writer_park(&w.writer);
            CHECK_INT(world_start(&w), 0);
        }
    }
    world_stop(&w);
    CHECK_INT(pmt_writer_error(&w.writer), 0);
    world_free(&w);
}

/* Another process copies the pipe into a file: one that reads its own pipe is refused. */
static pid_t copies(const char *path, const char *copy)
{
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    char buffer[4096];
    int in = open(path, O_RDONLY), out = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n;
    while ((n = read(in, buffer, sizeof buffer)) > 0) {
        if (write(out, buffer, (size_t)n) != n) {
            _exit(1);
        }
        usleep(100);
    }
    _exit(0);
}

static void own_pipe_refused(void)
{
    world w;
    unlink("pipe");
    CHECK_INT(mkfifo("pipe", 0600), 0);
    int reader = open("pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    world_make(&w, "pipe", PMT_OPEN_OVERWRITE, PMT_LAYOUT_ALL, true, 4096);
    CHECK_INT(world_start(&w), -EDEADLK);
    world_free(&w);
    close(reader);
    unlink("pipe");
}

/* A reader of a pipe sees one stream: parking does not end it, an end that was taken back is followed by a line. */
static void fifo(bool unshare)
{
    world w;
    text want = {0};
    unlink("pipe");
    CHECK_INT(mkfifo("pipe", 0600), 0);
    pid_t reader = copies("pipe", "pipe.copy");
    world_make(&w, "pipe", PMT_OPEN_OVERWRITE, PMT_LAYOUT_ALL, true, 4096);
    CHECK(w.output.special);
    w.writer.unshare = unshare;
    uint32_t site = world_site(&w, w.code, 0, PMT_CALL, NULL, 7);
    CHECK_INT(world_start(&w), 0);
    CHECK(w.output.fd.fd > 100); /* out of the program's way */
    CHECK((fcntl(w.output.fd.fd, F_GETFD) & FD_CLOEXEC) != 0);
    for (uint32_t i = 0; i < 3000; i++) { /* more than a pipe holds */
        world_row(&w, site, i, 70000, 4096);
        if (i % 700 == 0) {
            pmt_writer_park(&w.writer);
            CHECK_INT(waitpid(reader, NULL, WNOHANG), 0);
            CHECK_INT(world_start(&w), 0);
        }
    }
    world_stop(&w);
    CHECK_INT(world_start(&w), 0);
    world_row(&w, site, 3000, 70000, 4096);
    world_stop(&w);
    CHECK_INT(waitpid(reader, NULL, WNOHANG), 0);
    CHECK_INT(pmt_writer_error(&w.writer), 0);
    world_free(&w);
    int status = -1;
    CHECK_INT(waitpid(reader, &status, 0), reader);
    CHECK_INT(status, 0);
    text_put(&want, HEAD "# thread 100 MainThread\n");
    for (uint32_t i = 0; i <= 3000; i++) {
        if (i == 3000) {
            text_put(&want, TAIL "# exec failed, recording goes on\n");
        }
        put_all_row(&want, i, 70000, "CALL", "a/file.py", 7, "function", 4096, i == 0 ? 4096 : 0);
    }
    text_put(&want, TAIL);
    CHECK_FILE("pipe.copy", &want);
    unlink("pipe.copy");
    struct stat st;
    CHECK(stat("pipe", &st) == 0 && S_ISFIFO(st.st_mode)); /* overwriting does not replace it */
    unlink("pipe");
}

static void reader_gone(void) /* EPIPE, and no SIGPIPE that would end the program */
{
    world w;
    unlink("pipe");
    CHECK_INT(mkfifo("pipe", 0600), 0);
    pid_t reader = fork();
    if (reader == 0) { /* goes when the first byte is there */
        char first;
        int fd = open("pipe", O_RDONLY);
        _exit(read(fd, &first, 1) != 1);
    }
    world_make(&w, "pipe", 0, PMT_LAYOUT_ALL, true, 1024);
    uint32_t site = world_site(&w, w.code, 0, PMT_CALL, NULL, 7);
    CHECK_INT(world_start(&w), 0);
    CHECK_INT(waitpid(reader, NULL, 0), reader);
    for (uint32_t i = 0; i < 3000; i++) {
        world_row(&w, site, i, 70000, 4096);
    }
    world_stop(&w);
    CHECK_INT(pmt_writer_error(&w.writer), -EPIPE);
    world_free(&w);
    unlink("pipe");
}

/* ---- whose descriptors ---- */

static bool same_file(int fd, const pmt_output *o)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_dev == o->dev && st.st_ino == o->ino;
}

/* A table of its own: the program sees no new number, and closing all of its own does no harm. */
static void own_table(void)
{
    world w;
    text want = {0};
    int gate[2];
    unlink(FILE_NAME);
    CHECK_INT(pipe(gate), 0);
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 1024);
    uint32_t site = world_site(&w, w.code, 0, PMT_CALL, NULL, 7);
    CHECK_INT(world_start(&w), 0);
    int seen = 0;
    for (int fd = 0; fd < 5000; fd++) {
        seen += same_file(fd, &w.output);
    }
    CHECK_INT(seen, 0);
    close(gate[1]); /* a pipe of the program's ends when the program closes it: we hold no copy */
    struct pollfd p = {gate[0], POLLIN, 0};
    CHECK_INT(poll(&p, 1, 2000), 1);
    CHECK((p.revents & POLLHUP) != 0);
    for (int fd = 3; fd < 5000; fd++) {
        close(fd);
    }
    int mine = open("mine", O_RDWR | O_CREAT | O_TRUNC, 0600);
    for (int fd = mine + 1; fd < 40; fd++) {
        dup2(mine, fd);
    }
    world_row(&w, site, 0, 70000, 4096);
    world_stop(&w);
    CHECK_INT(lseek(mine, 0, SEEK_END), 0);
    for (int fd = mine; fd < 40; fd++) {
        CHECK(fcntl(fd, F_GETFD) >= 0);
        close(fd);
    }
    text_put(&want, HEAD "# thread 100 MainThread\n");
    put_all_row(&want, 0, 70000, "CALL", "a/file.py", 7, "function", 4096, 4096);
    text_put(&want, TAIL);
    CHECK_FILE(FILE_NAME, &want);
    world_free(&w);
    unlink(FILE_NAME);
    unlink("mine");
}

/* Where the kernel refuses one: high, close-on-exec, and never written to when it is somebody else's. */
static void shared_table(bool reuse)
{
    world w;
    unlink(FILE_NAME);
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 1024);
    w.writer.unshare = false;
    uint32_t site = world_site(&w, w.code, 0, PMT_CALL, NULL, 7);
    CHECK_INT(world_start(&w), 0);
    int fd = w.output.fd.fd, mine = open("mine", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd > 100 && same_file(fd, &w.output) && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    world_row(&w, site, 0, 70000, 4096);
    pmt_writer_drain(&w.writer);
    CHECK_INT(pmt_writer_error(&w.writer), 0);
    if (reuse) {
        dup2(mine, fd);
    }
    else {
        close(fd);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        world_row(&w, site, i, 70000, 4096);
    }
    pmt_writer_drain(&w.writer);
    CHECK_INT(pmt_writer_error(&w.writer), -EBADF);
    world_stop(&w);
    world_free(&w);
    CHECK_INT(lseek(mine, 0, SEEK_END), 0);
    CHECK_INT(fcntl(fd, F_GETFD) >= 0, reuse); /* not closed by us */
    if (reuse) {
        close(fd);
    }
    close(mine);
    unlink(FILE_NAME);
    unlink("mine");
}

/* A number that is freed between a write and the end is looked at before the end is written, too. */
static void shared_table_taken_before_the_end(void)
{
    world w;
    unlink(FILE_NAME);
    world_make(&w, FILE_NAME, 0, PMT_LAYOUT_ALL, true, 1024);
    w.writer.unshare = false;
    CHECK_INT(world_start(&w), 0);
    int fd = w.output.fd.fd, mine = open("mine", O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(mine, fd);
    world_stop(&w);
    CHECK_INT(lseek(mine, 0, SEEK_END), 0);
    CHECK_INT(pmt_writer_error(&w.writer), -EBADF);
    world_free(&w);
    close(fd);
    close(mine);
    unlink(FILE_NAME);
    unlink("mine");
}

/* A device's number is the program's too: closed or reused while parked, nothing is written to it. */
static void special_taken_while_parked(void)
{
    world w;
    world_make(&w, "/dev/null", 0, PMT_LAYOUT_ALL, true, 1024);
    CHECK_INT(world_start(&w), 0);
    pmt_writer_park(&w.writer);
    int fd = w.output.fd.fd, mine = open("mine", O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(mine, fd);
    CHECK_INT(world_start(&w), -EBADF);
    world_stop(&w);
    CHECK_INT(lseek(mine, 0, SEEK_END), 0);
    world_free(&w);
    CHECK(fcntl(fd, F_GETFD) >= 0);
    close(fd);
    close(mine);
    unlink("mine");
}

int main(void)
{
    created();
    overwritten();
    unique("u.log", "u_1.log", "u_2.log");
    unique("no_suffix", "no_suffix_1", "no_suffix_2");
    unique("./.hidden", "./.hidden_1", "./.hidden_2");
    mkdir("dir.d", 0700);
    unique("dir.d/name", "dir.d/name_1", "dir.d/name_2");
    unique("dir.d/a.b.log", "dir.d/a.b_1.log", "dir.d/a.b_2.log");
    rmdir("dir.d");
    dev_full();
    dev_null();
    own_pipe_refused();
    fifo(true);
    fifo(false);
    reader_gone();
    own_table();
    shared_table(false);
    shared_table(true);
    shared_table_taken_before_the_end();
    special_taken_while_parked();
    return check_done();
}
