/* core/filter.h - which events become rows: the same for a recording and for a capture that is printed afterwards. */
#ifndef PMT_FILTER_H
#define PMT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

typedef enum pmt_log { PMT_LOG_NONE, PMT_LOG_ALL, PMT_LOG_THRESHOLD, PMT_LOG_PREVIOUS } pmt_log;

typedef struct pmt_seen { /* an event, all of it */
    uint64_t event, clock;
    int64_t rss;
    uint32_t site, slot;
} pmt_seen;

typedef struct pmt_filter {
    uint64_t threshold;  /* bytes */
    int64_t rss_logged;  /* of the last event that was logged (previous: the last NEXT) */
    uint64_t last_next;  /* number of the last NEXT, UINT64_MAX: none */
    bool have_last;
    pmt_seen last;       /* the event before, kept for threshold + previous */
} pmt_filter;

static inline void pmt_filter_begin(pmt_filter *f, uint64_t threshold)
{
    *f = (pmt_filter){.threshold = threshold, .last_next = UINT64_MAX};
}

/* Is this event, with that RSS, to be logged? What has not changed since an event that was not is not either. */
static inline bool pmt_filter_far(const pmt_filter *f, uint64_t event, int64_t rss)
{
    int64_t d = rss - f->rss_logged;
    return event == 0 || (uint64_t)(d < 0 ? -d : d) >= f->threshold;
}

/* threshold + previous: the event before, if it has to go first; then `now` is the one before. NULL: it has not. */
static inline const pmt_seen *pmt_filter_before(const pmt_filter *f)
{
    return f->have_last && f->last.event != f->last_next ? &f->last : 0;
}

static inline void pmt_filter_logged(pmt_filter *f, uint64_t event, int64_t rss)
{
    f->rss_logged = rss;
    f->last_next = event;
}

static inline void pmt_filter_passed(pmt_filter *f, const pmt_seen *now) /* threshold + previous, after each event */
{
    f->last = *now;
    f->have_last = true;
}

#endif
