/* tests/core/capture_dump.h - what a capture holds, as text, and what the reader says of it. Included by one program each. */
#ifndef PMT_TEST_CAPTURE_DUMP_H
#define PMT_TEST_CAPTURE_DUMP_H

#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture_builder.h"
#include "check.h"
#include "core/reader.h"

#define PATH "capture.pmt"

static char text[1 << 20];
static size_t text_len;

static void put(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void put(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_len += (size_t)vsnprintf(text + text_len, sizeof text - text_len, format, args);
    va_end(args);
}

/* Everything that is in a capture, as text: the same text for the same content. Number of events. */
static uint64_t dump(pmt_reader *r)
{
    pmt_item item;
    uint64_t events = 0;
    text_len = 0;
    while (pmt_reader_block(r) > 0) {
        for (pmt_item_kind kind; (kind = pmt_reader_item(r, &item)) != PMT_ITEM_NONE;) {
            const pmt_event *e = &r->event;
            const pmt_dictionary *d = &r->dictionary;
            put("%llu %llu %lld @%u", (unsigned long long)e->event, (unsigned long long)e->clock, (long long)e->rss,
                e->thread);
            if (kind == PMT_ITEM_EVENT) {
                const pmt_site *site = pmt_sites_at(&d->sites, e->site);
                const pmt_code *code = pmt_sites_code(&d->sites, (uint32_t)(site->key >> 32));
                const pmt_name *file = pmt_names_at(&d->sites.names, code->file), *name = pmt_names_at(&d->sites.names, code->name);
                const pmt_name *c = pmt_names_at(&d->sites.names, site->name);
                put(" %d %.*s#%d %.*s %.*s\n", (int)pmt_site_kind(site), (int)file->len, file->bytes, site->line,
                    (int)name->len, name->bytes, c == NULL ? 1 : (int)c->len, c == NULL ? "-" : c->bytes);
                events++;
            }
            else if (kind == PMT_ITEM_TEXT) {
                put(" text %.*s\n", (int)item.text_len, item.text);
            }
            else {
                put(" item %d %u %lld %llu\n", (int)kind, item.site, (long long)item.bytes,
                    (unsigned long long)item.number);
            }
            if (text_len > sizeof text - 4096) {
                return events;
            }
        }
    }
    return events;
}

static void definitions(builder *to)
{
    b_begin(to, B_DEFINITIONS);
    b_thread(to, 0, 4711, "MainThread");
    b_thread(to, 7, 4712, "");
    b_code(to, 1, 10, "a.py", "main");
    b_code(to, 2, 20, "a.py", "work");
    b_site(to, 16, 1, B_CALL, 10, "");
    b_site(to, 17, 2, B_CALL, 20, "");
    b_site(to, 18, 2, B_C_CALL, 21, "len");
    b_site(to, 19, 2, B_C_RETURN, 21, "len");
    b_site(to, 20, 2, B_RETURN, 22, "");
    b_site(to, 21, 1, B_RETURN, 15, "");
    b_site(to, 22, 2, B_CHARGED, 20, "");
    b_site(to, 23, 2, B_C_EXCEPT, -1, "open");
    b_finish(to);
}

static bool beside; /* captures are to be beside their segments */

/* Opens and reads to the end: what it says. Events in *events. */
static const char *verdict(const void *bytes, size_t n, int *rc, uint64_t *events)
{
    static char why[300];
    char path[64];
    pmt_reader r;
    int fd = memfd_create("capture", MFD_CLOEXEC); /* there are many: a disk would be slow */
    if (beside) {
        b_save(bytes, n, PATH);
    }
    else if (n > 0 && write(fd, bytes, n) != (ssize_t)n) {
        abort();
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    *rc = pmt_reader_open(&r, beside ? PATH : path);
    close(fd);
    *events = *rc == 0 ? dump(&r) : 0;
    snprintf(why, sizeof why, "%s%s", r.complete ? "complete" : "", r.why);
    pmt_reader_close(&r);
    return why;
}

#endif
