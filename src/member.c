#include "member.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

pmt_family pmt_our_family;

static void say(const pmt_recorder *r, pmt_member_state state, const char *reason)
{
    pmt_family_say(&pmt_our_family, state, r->options.has_file ? r->output.path : NULL, reason);
}

static bool records(void) /* another recording of this process goes on */
{
    return pmt_active != NULL && pmt_active->pid == (long)getpid();
}

void pmt_member_begins(const char *path)
{
    if (!records()) {
        pmt_family_say(&pmt_our_family, PMT_MEMBER_BEGINNING, path, "");
    }
}

void pmt_member_began(const pmt_recorder *r)
{
    if (r->outer == NULL) {
        say(r, PMT_MEMBER_RECORDING, "");
    }
}

void pmt_member_ended(const pmt_recorder *r)
{
    if (r->outer == NULL && r->error == 0) {
        say(r, PMT_MEMBER_ENDED, "");
    }
    else if (r->outer == NULL) {
        char reason[sizeof ((pmt_member *)0)->reason];
        snprintf(reason, sizeof reason, "%s: %s", r->error_where, pmt_error_text(r->error));
        say(r, PMT_MEMBER_FAILED, reason);
    }
}

void pmt_member_refused(const char *path, const char *reason)
{
    if (!records()) {
        pmt_family_enter(&pmt_our_family);
        pmt_family_say(&pmt_our_family, PMT_MEMBER_REFUSED, path, reason);
    }
}
