/* The family of a run: slots across fork, files that are none or are cut, an end that nobody told. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "core/family.h"

static int wait_for(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

static void members(void)
{
    pmt_family f = {0};
    pmt_member m;
    uint32_t at = 0;
    CHECK_INT(pmt_family_create(&f), 0);
    CHECK(pmt_family_root(&f) && f.seq == 0 && !pmt_family_next(&f, &at, &m));
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) { /* without a descriptor: through the mapping */
            pmt_family_enter(&f);
            pmt_family_enter(&f);
            bool good = f.seq == (uint32_t)i + 1 && !pmt_family_root(&f);
            char path[400];
            memset(path, 'x', sizeof path - 1);
            path[sizeof path - 1] = '\0';
            pmt_family_say(&f, i == 2 ? PMT_MEMBER_ENDED : PMT_MEMBER_RECORDING, i == 0 ? "/a.log" : path, "why");
            _exit(good ? 0 : 1);
        }
        CHECK_INT(wait_for(child), 0);
    }
    at = 0;
    CHECK(pmt_family_next(&f, &at, &m) && m.state == PMT_MEMBER_RECORDING && strcmp(m.path, "/a.log") == 0);
    CHECK(strcmp(m.reason, "why") == 0 && m.parent == (uint32_t)getpid() && !pmt_family_alive(&m));
    CHECK(pmt_family_next(&f, &at, &m) && m.path[0] == '\0'); /* too long for its place */
    CHECK(pmt_family_next(&f, &at, &m) && m.state == PMT_MEMBER_ENDED && !pmt_family_next(&f, &at, &m));
    pmt_family_remove(&f);
    CHECK(f.s == NULL && f.path[0] == '\0');
}

static void more_than_there_is_room(void)
{
    pmt_family f = {0};
    pmt_member m;
    uint32_t at = 0, count = 0;
    CHECK_INT(pmt_family_create(&f), 0);
    pid_t child = fork();
    if (child == 0) {
        for (uint32_t i = 1; i < PMT_FAMILY_SLOTS + 10; i++) { /* as if each were another process */
            f.me_pid = 0;
            pmt_family_enter(&f);
            pmt_family_say(&f, i == 7 ? PMT_MEMBER_ENDED : PMT_MEMBER_REFUSED, NULL, "no");
            if (i == 8) { /* one that is killed, and was recovered; then one that was not */
                f.me->pid_start = 1;
                pmt_family_say(&f, PMT_MEMBER_RECORDING, "/does/not/exist", NULL);
            }
            if (i == 9) {
                f.me->pid_start = 1;
                close(open("left.ring", O_CREAT | O_WRONLY, 0600));
                pmt_family_say(&f, PMT_MEMBER_RECORDING, "left", NULL);
            }
        }
        _exit(f.seq == PMT_FAMILY_SLOTS + 9 ? 0 : 1);
    }
    CHECK_INT(wait_for(child), 0);
    while (pmt_family_next(&f, &at, &m)) {
        count += m.state == PMT_MEMBER_REFUSED;
    }
    CHECK_INT(count, PMT_FAMILY_SLOTS - 2); /* the two of whom nothing was left to say gave up their slots */
    CHECK_INT(pmt_family_unnoted(&f), 8);
    pmt_family_remove(&f);
}

static void joining(void)
{
    pmt_family f = {0}, other = {0};
    CHECK_INT(pmt_family_create(&f), 0);
    CHECK_INT(pmt_family_join(&other, f.path), 0);
    CHECK(pmt_family_root(&other));
    pmt_family_enter(&other);
    CHECK_INT(other.seq, 0); /* the root after an exec */
    /* Appended lines, whole ones and others. */
    int fd = open(f.path, O_WRONLY | O_APPEND);
    static const char text[] = "1\t2\tno extension\nnonsense\n\n3\t4\t\n5\t6\tcut";
    CHECK_INT(write(fd, text, sizeof text - 1), (long long)sizeof text - 1);
    close(fd);
    char *lines = pmt_family_lines(&f), *line = lines, *reason;
    unsigned pid, parent;
    CHECK(pmt_family_next_line(&line, &pid, &parent, &reason) && pid == 1 && parent == 2 && strcmp(reason, "no extension") == 0);
    CHECK(pmt_family_next_line(&line, &pid, &parent, &reason) && pid == 3 && parent == 4 && reason[0] == '\0');
    CHECK(pmt_family_next_line(&line, &pid, &parent, &reason) && pid == 5 && !pmt_family_next_line(&line, &pid, &parent, &reason));
    free(lines);
    char path[PMT_FAMILY_NAME];
    strcpy(path, f.path);
    pmt_family_remove(&f);
    other.path[0] = '\0';
    pmt_family_remove(&other);
    CHECK_INT(pmt_family_join(&other, path), -ENOENT);
    CHECK(other.s == NULL && !pmt_family_root(&other) && pmt_family_lines(&other) == NULL);
    pmt_family_say(&other, PMT_MEMBER_ENDED, "/a", "b"); /* nobody asks any more */
}

static void cut_by_somebody(void)
{
    pmt_family f = {0};
    pmt_member m;
    uint32_t at = 0;
    CHECK_INT(pmt_family_create(&f), 0);
    if (madvise(f.s, 1, 23) < 0) { /* MADV_POPULATE_WRITE */
        puts("skipped: before Linux 5.14 a file that was cut is a SIGBUS");
        pmt_family_remove(&f);
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        pmt_family_enter(&f);
        pmt_family_say(&f, PMT_MEMBER_RECORDING, "/a", "");
        int rc = truncate(f.path, 4096); /* the header is left */
        pmt_family_say(&f, PMT_MEMBER_ENDED, NULL, "");
        f.me_pid = 0;
        pmt_family_enter(&f);
        bool good = f.seq == 2 && f.me == NULL;
        rc |= truncate(f.path, 0);
        f.me_pid = 0;
        pmt_family_enter(&f);
        pmt_family_say(&f, PMT_MEMBER_ENDED, NULL, "");
        _exit(good && rc == 0 ? 0 : 1);
    }
    CHECK_INT(wait_for(child), 0);
    CHECK(pmt_family_root(&f) && !pmt_family_next(&f, &at, &m));
    CHECK_INT(pmt_family_unnoted(&f), 0);
    CHECK_INT(pmt_family_join(&(pmt_family){0}, f.path), -EINVAL);
    char path[PMT_FAMILY_NAME];
    strcpy(path, f.path);
    pmt_family_remove(&f);
    CHECK(access(path, F_OK) < 0);
}

static void none_of_ours(void)
{
    pmt_family f = {0};
    char large[200];
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    CHECK_INT(pmt_family_join(&f, large), -ENAMETOOLONG);
    CHECK_INT(pmt_family_join(&f, "/dev/null"), -EINVAL);
    CHECK(pmt_family_join(&f, ".") < 0);
    int fd = open("short", O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK_INT(write(fd, "PMTFAM01", 8), 8);
    CHECK_INT(pmt_family_join(&f, "short"), -EINVAL);
    CHECK_INT(ftruncate(fd, 4 << 20), 0);
    CHECK_INT(pmt_family_join(&f, "short"), -EINVAL); /* the magic alone, and no slots */
    CHECK_INT(pwrite(fd, "PMTFAM02", 8, 0), 8);
    CHECK_INT(pmt_family_join(&f, "short"), -EINVAL);
    close(fd);
    CHECK_INT(symlink("short", "link"), 0);
    CHECK_INT(pmt_family_join(&f, "link"), -ELOOP);
    CHECK(f.s == NULL && f.path[0] == '\0');
}

static void left_over(void)
{
    pmt_family f = {0}, g = {0};
    int told[2];
    char path[PMT_FAMILY_NAME];
    CHECK_INT(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) { /* a first process that is killed */
        int rc = pmt_family_create(&f);
        _exit(rc < 0 || write(told[1], f.path, sizeof f.path) != sizeof f.path);
    }
    CHECK_INT(wait_for(child), 0);
    CHECK_INT(read(told[0], path, sizeof path), sizeof path);
    CHECK_INT(access(path, F_OK), 0);
    CHECK_INT(pmt_family_create(&g), 0); /* the next run takes its file away */
    CHECK(access(path, F_OK) < 0 && access(g.path, F_OK) == 0);
    pmt_family_remove(&g);
    close(told[0]);
    close(told[1]);
}

int main(void)
{
    members();
    more_than_there_is_room();
    joining();
    cut_by_somebody();
    none_of_ours();
    left_over();
    return check_done();
}
