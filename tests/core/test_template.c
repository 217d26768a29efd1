/* Names of files: which templates are well formed, what they become, names of a run's further processes. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "core/template.h"

static bool wrong(const char *text, const char *what)
{
    const char *bad = NULL;
    size_t n = 99;
    return pmt_template_check(text, &bad, &n) == -EINVAL && n == strlen(what) && memcmp(bad, what, n) == 0;
}

static bool right(const char *text)
{
    const char *bad;
    size_t n;
    return pmt_template_check(text, &bad, &n) == 0;
}

static bool becomes(const char *text, const char *want)
{
    pmt_fields fields = {.pid = 4711, .seq = 3, .program = "a/b"};
    char *path = pmt_template_expand(text, &fields);
    bool same = path != NULL && strcmp(path, want) == 0;
    if (!same) {
        fprintf(stderr, "    got  %s\n", path == NULL ? "NULL" : path);
    }
    free(path);
    return same;
}

static void forms(void)
{
    CHECK(right("") && right("job.log") && right("/a b/{pid}{seq}.pmt") && right("{{}}") && right("{{{name}}}"));
    CHECK(wrong("{x}", "x") && wrong("{}", "") && wrong("a{pid}{PID}", "PID") && wrong("{pid }", "pid "));
    CHECK(wrong("{", "{") && wrong("a{pid", "{") && wrong("}", "}") && wrong("{pid}}", "}") && wrong("{pi{d}", "{"));
    CHECK(pmt_template_varies("{pid}") && pmt_template_varies("a/{name}{seq}"));
    CHECK(!pmt_template_varies("{name}{time}{host}") && !pmt_template_varies("{{pid}}") && !pmt_template_varies("job"));
}

static void values(void)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    CHECK(becomes("", "") && becomes("/d/{pid}-{seq}.log", "/d/4711-3.log"));
    CHECK(becomes("{name}", "a_b")); /* one component of a path */
    CHECK(becomes("{host}", host));
    CHECK(becomes("{{pid}}{{{pid}}}", "{pid}{4711}"));
    pmt_fields fields = {.program = ""};
    char *path = pmt_template_expand("{time}", &fields);
    CHECK(path != NULL && strlen(path) == strlen("YYMMDD_HHMMSS") && strspn(path, "0123456789_") == strlen(path));
    free(path);
    /* What was never checked, from another's command line: no reading beyond its end. */
    CHECK(becomes("a{", "a") && becomes("a{pid", "a") && becomes("}", "}") && becomes("{x}b", ""));
}

static void escaped(void)
{
    static const char *const paths[] = {"", "/a{b}/{pid}", "}{", "plain"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char *text = pmt_template_escape(paths[i]);
        CHECK(text != NULL && right(text) && becomes(text, paths[i]));
        free(text);
    }
}

static bool child_is(const char *first, const char *want)
{
    char *path = pmt_template_child(first, 12);
    bool same = path != NULL && strcmp(path, want) == 0;
    free(path);
    return same;
}

static void children(void)
{
    CHECK(child_is("/d/job.log", "/d/job_12.log") && child_is("/d/job.tar.pmt", "/d/job.tar_12.pmt"));
    CHECK(child_is("/d.e/job", "/d.e/job_12") && child_is("/d/.hidden", "/d/.hidden_12") && child_is(".log", ".log_12"));
}

int main(void)
{
    forms();
    values();
    escaped();
    children();
    return check_done();
}
