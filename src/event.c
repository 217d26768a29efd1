#include "event.h"

#include <stdlib.h>
#include <unistd.h>

#include "finish.h"
#include "member.h"
#include "samplers.h"

#define PARKED_AGAIN 100000000u /* ticks after a fork (40 ms) at which the writer comes back even without its return */

/* The process may be gone after this: all is to be in the file. */
static void leave(pmt_recorder *r, pmt_mark mark)
{
    const char *reason = mark == PMT_MARK_EXIT ? "the process left by os._exit or os.abort" : "the process called exec";
    size_t n;
    pmt_samplers_pause(true);
    for (pmt_recorder *each = r; each != NULL; each = each->outer) {
        each->last_pair = pmt_clock_pair(&each->clock);
        char *text = pmt_footer_text(each, reason, NULL, &n);
        pmt_recorder_leave(each, text, text == NULL ? 0 : n);
        free(text);
        pmt_member_ended(each);
    }
    if (mark == PMT_MARK_EXIT && pmt_family_root(&pmt_our_family)) {
        unlink(pmt_our_family.path);
    }
}

static void special(pmt_recorder *r, pmt_mark mark, pmt_kind kind) /* of a marked function, after it was recorded */
{
    if (mark == PMT_MARK_SPAWN) {
        pmt_spawning = kind == PMT_C_CALL ? r->generation : 0;
    }
    else if (kind == PMT_C_CALL && mark == PMT_MARK_THREAD && pmt_engine_installed != NULL) {
        pmt_engine_installed->before_thread();
    }
    else if (kind == PMT_C_CALL && mark == PMT_MARK_ALONE) {
        pmt_recorder_park(r);
        pmt_samplers_pause(false);
    }
    else if (kind == PMT_C_CALL && (mark == PMT_MARK_EXIT || mark == PMT_MARK_EXEC)) {
        leave(r, mark);
    }
}

/* An event while not plainly running. false: it is not recorded. */
static bool attend(pmt_recorder *r, pmt_mark mark, pmt_kind kind, uint64_t now)
{
    if (r->state == PMT_FAILED && kind == PMT_C_CALL && (mark == PMT_MARK_EXIT || mark == PMT_MARK_EXEC)) {
        leave(r, mark); /* what was recorded before is to be in the file */
    }
    if (r->state != PMT_PARKED) {
        return false;
    }
    bool back = (kind == PMT_C_RETURN || kind == PMT_C_EXCEPT) && mark >= PMT_MARK_EXEC && mark <= PMT_MARK_ALONE;
    if (back || (r->parked_at != 0 && now - r->parked_at > PARKED_AGAIN)) {
        for (pmt_recorder *each = r; each != NULL; each = each->outer) {
            pmt_recorder_unpark(each);
            if (mark == PMT_MARK_EXEC) {
                pmt_member_began(each);
            }
        }
    }
    return r->state == PMT_RUNNING || r->state == PMT_PARKED;
}

void pmt_event_charge(pmt_recorder *r, pmt_thread *t, const pmt_place *place, pmt_kind kind, const PyMethodDef *def,
                      const pmt_change *change)
{
    int gc = pmt_gc_hold();
    PyFrameObject *frame = place->frame != NULL ? place->frame : PyEval_GetFrame(), *caller = NULL;
    uint32_t site = 0;
    if (kind == PMT_C_RETURN || kind == PMT_C_EXCEPT) {
        site = pmt_site_of(r, *place, kind, def);
    }
    else if (kind != PMT_CALL) {
        site = pmt_site_charged(r, *place);
    }
    else if (frame != NULL && (caller = PyFrame_GetBack(frame)) != NULL) { /* else the interpreter, before a first frame */
        site = pmt_site_charged(r, pmt_place_of(caller));
    }
    if (change->program != 0) {
        if (site == 0) {
            pmt_growth_add(&r->growth, PMT_NAME_NONE, PMT_NAME_NONE, 0, change->program);
        }
        else {
            const pmt_site *s = pmt_sites_at(&r->sites, site);
            const pmt_code *code = pmt_sites_code(&r->sites, (uint32_t)(s->key >> 32));
            bool python = s->name == PMT_NAME_NONE;
            pmt_growth_add(&r->growth, code->file, python ? code->name : s->name,
                           python ? (int32_t)code->first_line : s->line, change->program);
        }
        if (t->slot != r->last_slot) {
            r->foreign += change->program < 0 ? -change->program : change->program;
        }
        pmt_recorder_mapped(r);
    }
    if (change->peak != 0) {
        pmt_recorder_send_peak(r, site, change->peak, r->events - 1);
    }
    Py_XDECREF(caller);
    pmt_gc_release(gc);
}

void pmt_event_odd(pmt_recorder *r, const pmt_place *place, pmt_kind kind, const PyMethodDef *def, uint64_t now)
{
    if (place->frame == NULL && (!PyCode_Check(place->code) || !PyLong_CheckExact(place->offset))) {
        return;
    }
    pmt_mark mark = kind >= PMT_C_CALL ? pmt_mark_of(def) : PMT_MARK_NONE;
    if ((r->state != PMT_RUNNING && !attend(r, mark, kind, now)) || mark == PMT_MARK_OWN || pmt_is_hidden(place->code)) {
        return;
    }
    if (r->options.compute == PMT_COMPUTE_NOTHING) {
        r->events++;
    }
    else {
        pmt_event_record(r, *place, kind, def, now, 0, r->options.compute, r->options.log);
    }
    if (mark != PMT_MARK_NONE) {
        special(r, mark, kind);
    }
}
