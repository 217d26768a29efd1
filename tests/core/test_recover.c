/* A recording that is killed with a PREV whose NEXT did not come any more; and a recovery that is killed itself. */
#include <signal.h>
#include <sys/wait.h>

#include "core/define.h"
#include "core/recorder.h"
#include "core/recover.h"
#include "world.h"

#define LOG "out.log"

/* In a child, which kills itself: two pairs of rows, and, with `lonely`, the PREV of a third. */
static void killed(bool lonely)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        pmt_recorder *r;
        const char *path;
        pmt_options o = {.log = PMT_LOG_PREVIOUS, .compute = PMT_COMPUTE_ALL, .threshold = 4096, .comments = true,
                         .has_file = true, .clock = "fake:1", .unshare = true, .path = LOG};
        if (pmt_recorder_new(&r, &o, world_thread, NULL) < 0 || pmt_recorder_create(r, &path) < 0 ||
            pmt_recorder_open(r, HEAD, strlen(HEAD)) < 0) {
            _exit(1);
        }
        pmt_recorder_begin(r, 1);
        uint32_t code = pmt_sites_new_code(&r->sites);
        pmt_sites_code(&r->sites, code)->file = pmt_names_add(&r->sites.names, "f.py", 4);
        pmt_sites_code(&r->sites, code)->name = pmt_names_add(&r->sites.names, "f", 1);
        pmt_recorder_define(r, pmt_define_code(r->scratch, &r->sites, code));
        uint32_t site = pmt_sites_add(&r->sites, pmt_site_key(code, 0, PMT_CALL), 0, PMT_NAME_NONE, 3);
        pmt_recorder_define(r, pmt_define_site(r->scratch, &r->sites, site));
        for (uint64_t event = 0; event < 4; event++) {
            uint64_t clock = pmt_recorder_clock(r, pmt_clock_ticks(&r->clock));
            pmt_recorder_send_row(r, site, 0, event, clock, (event + 1) * 4096 | (event % 2 == 0 ? PMT_ROW_PREV : 0));
        }
        if (lonely) {
            uint64_t clock = pmt_recorder_clock(r, pmt_clock_ticks(&r->clock));
            pmt_recorder_send_row(r, site, 0, 9, clock, 90 * 4096 | PMT_ROW_PREV);
        }
        raise(SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static size_t rows(const char *tag)
{
    text log = text_of_file(LOG);
    size_t n = 0;
    for (const char *p = log.bytes; p != NULL && (p = strstr(p, tag)) != NULL; p++) {
        n++;
    }
    text_free(&log);
    return n;
}

static void recovered(bool lonely)
{
    pmt_recovered out;
    unlink(LOG);
    killed(lonely);
    CHECK_INT(link(LOG ".ring", "ring"), 0); /* the file itself: what is written into it is seen there */
    CHECK_INT(pmt_recover(LOG, &out), 0);
    CHECK_INT(rows("\nPREV: "), 2);
    CHECK_INT(rows("\nNEXT: "), 2);
    CHECK_INT(rows("\n# end recovered\n"), 1);
    CHECK(access(LOG ".ring", F_OK) < 0 && access(LOG ".sites", F_OK) < 0);
    /* killed before the ring was removed: that is all that is left to do */
    text whole = text_of_file(LOG);
    CHECK_INT(rename("ring", LOG ".ring"), 0);
    CHECK_INT(pmt_recover(LOG, &out), 0);
    CHECK_BYTES(out.why, strlen(out.why), "", 0);
    CHECK_FILE(LOG, &whole);
    CHECK(access(LOG ".ring", F_OK) < 0);
    CHECK_INT(pmt_recover(LOG, &out), 1);
    unlink(LOG);
    unlink("ring");
}

int main(void)
{
    recovered(false);
    recovered(true);
    return check_done();
}
