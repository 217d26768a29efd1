/* event.h - what becomes of an event, whichever engine brings it: written once, compiled by each engine once for each way
 * to record, so that a way pays for nothing that it does not need. Under the GIL.
 *
 * DESIGN: order within an event: clock first (what the tracer itself does then counts into the next interval, which
 * opens the gate), special functions, thread, gate, filter, ring. Where each event has a site, the expected one comes
 * before all that: four in five are it, and it vouches for the rest. With a filter, the site is only asked for when a
 * row is due or RSS changed. */
#ifndef PMT_EVENT_H
#define PMT_EVENT_H

#include "engine.h"
#include "process.h"
#include "sites.h"
#include "threads.h"

/* Every way to record: X(name, what is computed, what is logged). */
#define PMT_EACH_WAY(X)                                  \
    X(count_only, PMT_COMPUTE_NOTHING, PMT_LOG_NONE)     \
    X(rss_only, PMT_COMPUTE_RSS, PMT_LOG_NONE)           \
    X(all_none, PMT_COMPUTE_ALL, PMT_LOG_NONE)           \
    X(all_all, PMT_COMPUTE_ALL, PMT_LOG_ALL)             \
    X(all_threshold, PMT_COMPUTE_ALL, PMT_LOG_THRESHOLD) \
    X(all_previous, PMT_COMPUTE_ALL, PMT_LOG_PREVIOUS)

#define PMT_WAY_NUMBER(name, compute, log) PMT_WAY_##name,
typedef enum pmt_way { PMT_EACH_WAY(PMT_WAY_NUMBER) PMT_WAYS } pmt_way;
#undef PMT_WAY_NUMBER

static inline pmt_way pmt_way_of(const pmt_recorder *r)
{
    static const pmt_way by_log[] = {[PMT_LOG_NONE] = PMT_WAY_all_none, [PMT_LOG_ALL] = PMT_WAY_all_all,
                                     [PMT_LOG_THRESHOLD] = PMT_WAY_all_threshold,
                                     [PMT_LOG_PREVIOUS] = PMT_WAY_all_previous};
    return r->options.compute == PMT_COMPUTE_NOTHING ? PMT_WAY_count_only
           : r->options.compute == PMT_COMPUTE_RSS   ? PMT_WAY_rss_only
                                                     : by_log[r->options.log];
}

#define PMT_SITE_EACH(log) ((log) == PMT_LOG_ALL || (log) == PMT_LOG_PREVIOUS) /* does each event need its site? */

/* Out of line: to whom a change of RSS or the peak goes. */
void pmt_event_charge(pmt_recorder *r, pmt_thread *t, const pmt_place *place, pmt_kind kind, const PyMethodDef *def,
                      const pmt_change *change);

PMT_INLINE void pmt_event_row(pmt_recorder *r, pmt_thread *t, uint32_t site, uint64_t now)
{
    uint64_t clock = pmt_recorder_clock(r, now);
    pmt_recorder_send_row(r, site, t->slot, r->events - 1, clock, (uint64_t)r->rss_now);
    r->clock_sent = clock;
    pmt_filter_logged(&r->filter, r->events - 1, r->rss_now);
}

PMT_INLINE void pmt_event_previous(pmt_recorder *r, pmt_thread *t, uint32_t site, uint64_t now, bool far)
{
    pmt_seen seen = {r->events - 1, pmt_recorder_clock(r, now), r->rss_now, site, t->slot};
    if (__builtin_expect(far, 0)) {
        const pmt_seen *p = pmt_filter_before(&r->filter);
        if (p != NULL) {
            pmt_recorder_send_row(r, p->site, p->slot, p->event, p->clock, (uint64_t)p->rss | PMT_ROW_PREV);
        }
        pmt_event_row(r, t, site, now);
    }
    r->clock_sent = seen.clock;
    pmt_filter_passed(&r->filter, &seen);
}

PMT_INLINE void pmt_event_record(pmt_recorder *r, pmt_place place, pmt_kind kind, const PyMethodDef *def,
                                 uint64_t now, uint32_t site, const pmt_compute compute, const pmt_log log)
{
    pmt_thread *t = pmt_thread_of(r);
    if (__builtin_expect(t == NULL, 0)) {
        return;
    }
    r->events++;
    bool far = log == PMT_LOG_PREVIOUS && r->options.threshold == 0; /* 0 is every event, also where nothing was read */
    pmt_gate_answer answer = pmt_gate_ask(&r->gate, now, t->last);
    if (__builtin_expect(answer == PMT_GATE_SKIP, 1)) {
        t->last = now;
    }
    else {
        pmt_change change;
        if (!pmt_recorder_read(r, now, &t->last, answer == PMT_GATE_CHECK, &change)) {
            return;
        }
        if (compute == PMT_COMPUTE_ALL && (change.program != 0 || change.peak != 0)) {
            pmt_event_charge(r, t, &(pmt_place){place.frame, place.code, place.offset}, kind, def, &change);
        }
        far = pmt_filter_far(&r->filter, r->events - 1, r->rss_now);
    }
    if (site == 0 && (PMT_SITE_EACH(log) || (log == PMT_LOG_THRESHOLD && far))) {
        site = pmt_site_of(r, place, kind, def);
        if (__builtin_expect(site == 0, 0)) {
            return; /* no memory: r has failed */
        }
    }
    if (log == PMT_LOG_ALL) {
        pmt_recorder_send(r, site, t->slot, now);
    }
    else if (log == PMT_LOG_PREVIOUS) {
        pmt_event_previous(r, t, site, now, far);
    }
    else if (log == PMT_LOG_THRESHOLD && far) {
        pmt_event_row(r, t, site, now);
    }
    if (compute == PMT_COMPUTE_ALL) {
        r->last_slot = t->slot;
    }
}

/* Out of line: an event that may be of a hidden or special function, or comes while not plainly running. */
void pmt_event_odd(pmt_recorder *r, const pmt_place *place, pmt_kind kind, const PyMethodDef *def, uint64_t now);

/* def: of the C function, for C events. place.code may be any object: what is no code object makes no event. */
PMT_INLINE void pmt_on_event(pmt_place place, pmt_kind kind, const PyMethodDef *def, const pmt_compute compute,
                             const pmt_log log)
{
    pmt_recorder *r = pmt_active;
    if (r == NULL) {
        return;
    }
    uint64_t now = compute == PMT_COMPUTE_NOTHING ? 0 : pmt_clock_ticks(&r->clock);
    uint32_t site = 0;
    bool plain = __builtin_expect(r->state == PMT_RUNNING, 1);
    if (plain && (!PMT_SITE_EACH(log) || __builtin_expect((site = pmt_site_expected(r, place, kind, def)) == 0, 0))) {
        plain = (place.frame != NULL || PyCode_Check(place.code)) && !pmt_may_be_hidden(place.code) &&
                (kind < PMT_C_CALL || !pmt_may_be_marked(def));
    }
    if (__builtin_expect(!plain, 0)) {
        pmt_event_odd(r, &(pmt_place){place.frame, place.code, place.offset}, kind, def, now);
    }
    else if (compute == PMT_COMPUTE_NOTHING) {
        r->events++;
    }
    else {
        pmt_event_record(r, place, kind, def, now, site, compute, log);
    }
}

#endif
