/* DESIGN: RSS is a step function: it stays as it is until the next moment. Least, most and last of each bucket give its line at
 * the bucket's width exactly, as long as only changes are noted; what did not change need not be.
 * What a node held at the peak is its charge less what was charged since. A new peak sets all `since` to 0 by counting up
 * `bests`, so it costs the same however many nodes there are. */
#include "core/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SINCE 1024u
#define FIRST_SHIFT 10u /* 26 us a bucket at 2.5 GHz: no time is lost with doubling in the first second */

int pmt_history_init(pmt_history *h, uint32_t moments)
{
    memset(h, 0, sizeof *h);
    moments = moments < PMT_MIN_MOMENTS ? PMT_MIN_MOMENTS : moments > PMT_MAX_MOMENTS ? PMT_MAX_MOMENTS : moments;
    h->room = (moments - 1) / PMT_MOMENTS_OF_BUCKET & ~1u; /* - 1: the first moment of all */
    h->shift = FIRST_SHIFT;
    h->best = -1;
    h->buckets = calloc(h->room, sizeof *h->buckets);
    return h->buckets == NULL ? -ENOMEM : 0;
}

void pmt_history_free(pmt_history *h)
{
    free(h->buckets);
    free(h->since);
    memset(h, 0, sizeof *h);
}

/* --- RSS over time --------------------------------------------------------------------------------------------------- */

static void merge(pmt_bucket *to, const pmt_bucket *later) /* `later` follows it */
{
    pmt_moment peak = later->peak.rss > to->peak.rss ? later->peak : to->peak;
    if (!to->used) {
        *to = *later;
    }
    else if (later->used) {
        to->least = later->least.rss < to->least.rss ? later->least : to->least;
        to->most = later->most.rss > to->most.rss ? later->most : to->most;
        to->last = later->last;
    }
    to->peak = peak;
}

static void widen(pmt_history *h)
{
    for (uint32_t i = 0; i < h->room / 2; i++) {
        h->buckets[i] = h->buckets[2 * i];
        merge(&h->buckets[i], &h->buckets[2 * i + 1]);
    }
    memset(h->buckets + h->room / 2, 0, h->room / 2 * sizeof *h->buckets);
    h->shift++;
}

static pmt_bucket *bucket_at(pmt_history *h, uint64_t clock)
{
    uint64_t since = clock > h->first ? clock - h->first : 0;
    while (since >> h->shift >= h->room) {
        widen(h);
    }
    return &h->buckets[since >> h->shift];
}

static pmt_moment moment(const pmt_history *h, uint64_t clock, int64_t rss, uint32_t node, uint32_t thread, bool peak)
{
    return (pmt_moment){.ns = pmt_rate_ns(&h->rate, clock), .rss = rss, .node = node, .thread = thread, .peak = peak};
}

void pmt_history_begin(pmt_history *h, uint64_t clock, int64_t rss, uint32_t node, uint32_t thread)
{
    h->begun = true;
    h->first = clock;
    h->start = moment(h, clock, rss, node, thread, false);
    h->temporary = h->best > rss ? h->best - rss : 0; /* a peak was there before */
}

void pmt_history_rss(pmt_history *h, uint64_t clock, int64_t rss, uint32_t node, uint32_t thread)
{
    pmt_moment now = moment(h, clock, rss, node, thread, false);
    pmt_bucket *b = bucket_at(h, clock);
    if (!b->used) {
        b->least = b->most = now;
        b->used = true;
    }
    else if (rss < b->least.rss) {
        b->least = now;
    }
    else if (rss > b->most.rss) {
        b->most = now;
    }
    b->last = now;
    h->rss = rss;
    if (rss > h->best) {
        h->best = rss;
        h->bests++;
        h->temporary = 0;
    }
}

void pmt_history_peak(pmt_history *h, uint64_t clock, int64_t bytes, uint32_t node, uint32_t thread)
{
    if (h->begun) {
        pmt_bucket *b = bucket_at(h, clock);
        b->peak = bytes > b->peak.rss ? moment(h, clock, bytes, node, thread, true) : b->peak;
    }
    if (bytes > h->best) {
        h->best = bytes;
        h->bests++;
        h->temporary = bytes - h->rss;
        h->temporary_of = node;
    }
}

static size_t put(pmt_moment *out, size_t n, pmt_moment m)
{
    bool again = n > 0 && out[n - 1].ns == m.ns && out[n - 1].rss == m.rss && out[n - 1].peak == m.peak;
    if (!again) {
        m.ns = n > 0 && !(m.ns > out[n - 1].ns) ? out[n - 1].ns : m.ns; /* never backwards, whatever a capture claims */
        out[n++] = m;
    }
    return n;
}

size_t pmt_history_moments(const pmt_history *h, pmt_moment *out)
{
    size_t n = h->begun ? put(out, 0, h->start) : 0;
    for (uint32_t i = 0; i < h->room; i++) {
        const pmt_bucket *b = &h->buckets[i];
        bool peak = b->peak.rss > 0;
        if (b->used) {
            bool falls = b->most.ns < b->least.ns;
            const pmt_moment of[] = {falls ? b->most : b->least, falls ? b->least : b->most, b->last};
            for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
                if (peak && b->peak.ns < of[k].ns) {
                    n = put(out, n, b->peak);
                    peak = false;
                }
                n = put(out, n, of[k]);
            }
        }
        if (peak) {
            n = put(out, n, b->peak);
        }
    }
    return n;
}

/* --- at the peak ----------------------------------------------------------------------------------------------------- */

static bool grow_since(pmt_history *h, uint32_t node)
{
    uint32_t room = h->since_room == 0 ? FIRST_SINCE : h->since_room;
    while (room <= node) {
        room *= 2;
    }
    pmt_since *since = realloc(h->since, room * sizeof *since);
    if (since == NULL) {
        h->no_memory = true;
        return false;
    }
    memset(since + h->since_room, 0, (room - h->since_room) * sizeof *since);
    h->since = since;
    h->since_room = room;
    return true;
}

void pmt_history_charge(pmt_history *h, uint32_t node, int64_t bytes)
{
    if (node >= h->since_room && !grow_since(h, node)) {
        return;
    }
    pmt_since *s = &h->since[node];
    s->bytes = (int64_t)((s->best == h->bests ? (uint64_t)s->bytes : 0) + (uint64_t)bytes); /* wraps as the charges do */
    s->best = h->bests;
}

int64_t pmt_history_at_peak(const pmt_history *h, uint32_t node, int64_t net)
{
    bool later = node < h->since_room && h->since[node].best == h->bests;
    uint64_t temporary = h->temporary_of == node ? (uint64_t)h->temporary : 0;
    return (int64_t)((uint64_t)net - (later ? (uint64_t)h->since[node].bytes : 0) + temporary);
}
