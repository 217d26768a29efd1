/* DESIGN: one callback, written once, compiled once for each way to record, so that a mode pays for nothing that it
 * does not need. Order within an event: clock first (what the tracer itself does then counts into the next interval,
 * which opens the gate), special functions, thread, gate, filter, ring. With a filter, the site is only asked for when
 * a row is due or RSS changed.
 *
 * The hook object is what sys.getprofile() shows. A program that saves and restores it makes CPython call it as a
 * Python profile function: it then records that event and puts the C callback back. */
#include "engine.h"
#include "finish.h"
#include "process.h"
#include "sites.h"
#include "threads.h"

#include <stdlib.h>

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))
#define PARKED_AGAIN 100000000u /* ticks after a fork (40 ms) at which the writer comes back even without its return */

static PyObject *hook; /* the profile object of all threads; made once, for the process's life */

static PyObject *threading_before; /* owned; threading's hook before us, NULL: not touched */

/* Where the program imported threading after our start: in the callback, hence by look-ups in dictionaries alone. */
static void hook_threading_late(void)
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *threading = modules == NULL ? NULL : PyDict_GetItemString(modules, "threading");
    if (threading_before == NULL && threading != NULL && PyModule_Check(threading)) {
        PyObject *names = PyModule_GetDict(threading);
        if (PyDict_GetItemString(names, "_profile_hook") == Py_None &&
            PyDict_SetItemString(names, "_profile_hook", hook) == 0) {
            Py_INCREF(Py_None);
            threading_before = Py_None;
        }
        PyErr_Clear();
    }
}

NOINLINE void leave_by(pmt_recorder *r, pmt_mark mark)
{
    if (mark == PMT_MARK_THREAD) {
        hook_threading_late();
    }
    if (mark != PMT_MARK_EXIT && mark != PMT_MARK_EXEC) {
        return;
    }
    const char *reason = mark == PMT_MARK_EXIT ? "the process left by os._exit or os.abort" : "the process called exec";
    size_t n;
    for (pmt_recorder *each = r; each != NULL; each = each->outer) {
        each->last_pair = pmt_clock_pair(&each->clock);
        char *text = pmt_footer_text(each, reason, &n);
        pmt_recorder_leave(each, text, text == NULL ? 0 : n);
        free(text);
    }
}

/* An event while not plainly running. false: it is not recorded. */
NOINLINE bool attend(pmt_recorder *r, uint64_t now, pmt_kind kind, PyObject *arg)
{
    if (r->state == PMT_FAILED && kind == PMT_C_CALL) {
        leave_by(r, pmt_mark_of(pmt_c_function(arg))); /* what was recorded before is to be in the file */
    }
    if (r->state != PMT_PARKED) {
        return false;
    }
    pmt_mark mark = kind >= PMT_C_CALL ? pmt_mark_of(pmt_c_function(arg)) : PMT_MARK_NONE;
    bool back = (kind == PMT_C_RETURN || kind == PMT_C_EXCEPT) && (mark == PMT_MARK_FORK || mark == PMT_MARK_EXEC);
    if (back || (r->parked_at != 0 && now - r->parked_at > PARKED_AGAIN)) {
        for (pmt_recorder *each = r; each != NULL; each = each->outer) {
            pmt_recorder_unpark(each);
        }
    }
    return r->state == PMT_RUNNING || r->state == PMT_PARKED;
}

NOINLINE void charge(pmt_recorder *r, pmt_thread *t, PyFrameObject *frame, pmt_kind kind, PyObject *arg,
                     const pmt_change *change)
{
    int gc = pmt_gc_hold();
    PyFrameObject *caller = kind == PMT_CALL ? PyFrame_GetBack(frame) : NULL;
    PyFrameObject *ran = kind == PMT_CALL ? caller : frame; /* NULL: the interpreter itself, before a first frame */
    uint32_t site = 0;
    if (ran != NULL) {
        bool c = kind == PMT_C_RETURN || kind == PMT_C_EXCEPT;
        site = c ? pmt_site_of(r, frame, pmt_frame_code(frame), kind, arg) : pmt_site_charged(r, ran);
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

INLINE void row(pmt_recorder *r, pmt_thread *t, uint32_t site, uint64_t now)
{
    uint64_t clock = pmt_recorder_clock(r, now);
    pmt_recorder_send_row(r, site, t->slot, r->events - 1, clock, (uint64_t)r->rss_now);
    r->clock_sent = clock;
    pmt_filter_logged(&r->filter, r->events - 1, r->rss_now);
}

INLINE void previous(pmt_recorder *r, pmt_thread *t, uint32_t site, uint64_t now, bool far)
{
    pmt_seen seen = {r->events - 1, pmt_recorder_clock(r, now), r->rss_now, site, t->slot};
    if (__builtin_expect(far, 0)) {
        const pmt_seen *p = pmt_filter_before(&r->filter);
        if (p != NULL) {
            pmt_recorder_send_row(r, p->site, p->slot, p->event, p->clock, (uint64_t)p->rss | PMT_ROW_PREV);
        }
        row(r, t, site, now);
    }
    r->clock_sent = seen.clock;
    pmt_filter_passed(&r->filter, &seen);
}

INLINE void record(pmt_recorder *r, PyFrameObject *frame, PyCodeObject *code, pmt_kind kind, PyObject *arg, uint64_t now,
                   const pmt_compute compute, const pmt_log log)
{
    pmt_thread *t = pmt_thread_of(r);
    if (__builtin_expect(t == NULL, 0)) {
        return;
    }
    r->events++;
    uint32_t site = 0;
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
            charge(r, t, frame, kind, arg, &change);
        }
        far = pmt_filter_far(&r->filter, r->events - 1, r->rss_now);
    }
    if (log == PMT_LOG_ALL || log == PMT_LOG_PREVIOUS || (log == PMT_LOG_THRESHOLD && far)) {
        site = pmt_site_of(r, frame, code, kind, arg);
        if (__builtin_expect(site == 0, 0)) {
            return; /* no memory: r has failed */
        }
    }
    if (log == PMT_LOG_ALL) {
        pmt_recorder_send(r, site, t->slot, now);
    }
    else if (log == PMT_LOG_PREVIOUS) {
        previous(r, t, site, now, far);
    }
    else if (log == PMT_LOG_THRESHOLD && far) {
        row(r, t, site, now);
    }
    if (compute == PMT_COMPUTE_ALL) {
        r->last_slot = t->slot;
    }
}

INLINE int on_event(PyFrameObject *frame, int what, PyObject *arg, const pmt_compute compute, const pmt_log log)
{
    static const uint8_t kinds[] = {[PyTrace_CALL] = PMT_CALL, [PyTrace_RETURN] = PMT_RETURN,
                                    [PyTrace_C_CALL] = PMT_C_CALL, [PyTrace_C_RETURN] = PMT_C_RETURN,
                                    [PyTrace_C_EXCEPTION] = PMT_C_EXCEPT};
    pmt_recorder *r = pmt_active;
    if (r == NULL) {
        return 0;
    }
    uint64_t now = compute == PMT_COMPUTE_NOTHING ? 0 : pmt_clock_ticks(&r->clock);
    pmt_kind kind = (pmt_kind)kinds[what];
    if (__builtin_expect(r->state != PMT_RUNNING, 0) && !attend(r, now, kind, arg)) {
        return 0;
    }
    pmt_mark mark = kind >= PMT_C_CALL ? pmt_mark_of(pmt_c_function(arg)) : PMT_MARK_NONE;
    PyCodeObject *code = pmt_frame_code(frame);
    if (__builtin_expect(mark == PMT_MARK_OWN, 0) || pmt_is_hidden(code)) {
        return 0;
    }
    if (compute == PMT_COMPUTE_NOTHING) {
        r->events++;
    }
    else {
        record(r, frame, code, kind, arg, now, compute, log);
    }
    if (__builtin_expect(mark != PMT_MARK_NONE, 0) && kind == PMT_C_CALL) {
        leave_by(r, mark);
    }
    return 0;
}

#define CALLBACK(name, compute, log)                                                                \
    static int name(PyObject *self, PyFrameObject *frame, int what, PyObject *arg)                  \
    {                                                                                               \
        (void)self;                                                                                 \
        return on_event(frame, what, arg, compute, log); /* always 0: else it becomes an exception */ \
    }

CALLBACK(count_only, PMT_COMPUTE_NOTHING, PMT_LOG_NONE)
CALLBACK(rss_only, PMT_COMPUTE_RSS, PMT_LOG_NONE)
CALLBACK(all_none, PMT_COMPUTE_ALL, PMT_LOG_NONE)
CALLBACK(all_all, PMT_COMPUTE_ALL, PMT_LOG_ALL)
CALLBACK(all_threshold, PMT_COMPUTE_ALL, PMT_LOG_THRESHOLD)
CALLBACK(all_previous, PMT_COMPUTE_ALL, PMT_LOG_PREVIOUS)

static Py_tracefunc callback_of(const pmt_recorder *r)
{
    static const Py_tracefunc by_log[] = {[PMT_LOG_NONE] = all_none, [PMT_LOG_ALL] = all_all,
                                          [PMT_LOG_THRESHOLD] = all_threshold, [PMT_LOG_PREVIOUS] = all_previous};
    return r->options.compute == PMT_COMPUTE_NOTHING ? count_only
           : r->options.compute == PMT_COMPUTE_RSS   ? rss_only
                                                     : by_log[r->options.log];
}

static bool is_ours(const PyThreadState *t)
{
    return t->c_profileobj == hook;
}

/* ---- the hook object ---- */

/* From 3.12 on a new thread's first event is the return of the sys.setprofile() by which threading installed us. */
static bool begins_thread(const pmt_recorder *r, const char *what, PyObject *arg)
{
    return strcmp(what, "c_return") == 0 && PyCFunction_Check(arg) &&
           strcmp(pmt_c_function(arg)->ml_name, "setprofile") == 0 &&
           (pmt_thread_here == NULL || pmt_thread_here->generation != r->generation);
}

static PyObject *hook_call(PyObject *self, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    static const char *const names[] = {[PyTrace_CALL] = "call", [PyTrace_RETURN] = "return",
                                        [PyTrace_C_CALL] = "c_call", [PyTrace_C_RETURN] = "c_return",
                                        [PyTrace_C_EXCEPTION] = "c_exception"};
    PyObject *frame, *arg;
    const char *what;
    if (!PyArg_ParseTuple(args, "O!sO:hook", &PyFrame_Type, &frame, &what, &arg)) {
        return NULL;
    }
    pmt_recorder *r = pmt_active;
    Py_tracefunc callback = r == NULL || r->state == PMT_OFF ? NULL : callback_of(r);
    if (PyThreadState_Get()->c_profileobj == self) {
        PyEval_SetProfile(callback, callback == NULL ? NULL : self);
    }
    if (callback != NULL && begins_thread(r, what, arg)) {
        callback = NULL;
    }
    for (int i = PyTrace_CALL; callback != NULL && i <= PyTrace_C_RETURN; i++) {
        if (names[i] != NULL && strcmp(names[i], what) == 0 && (i < PyTrace_C_CALL || PyCFunction_Check(arg))) {
            callback(self, (PyFrameObject *)frame, i, arg);
        }
    }
    Py_RETURN_NONE;
}

static PyType_Slot hook_slots[] = {
    {Py_tp_call, hook_call},
    {Py_tp_doc, "What sys.getprofile() shows while a recording runs; to be given back to sys.setprofile()."},
    {0, NULL},
};

static PyType_Spec hook_spec = {
    .name = "pymemtrace.cPyMemTrace.ProfileHook",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = hook_slots,
};

int pmt_callbacks_init(PyObject *module)
{
    (void)module;
    if (hook == NULL) {
        PyObject *type = PyType_FromSpec(&hook_spec);
        hook = type == NULL ? NULL : PyObject_CallObject(type, NULL);
        Py_XDECREF(type); /* the object keeps it */
    }
    return hook == NULL ? -1 : 0;
}

/* ---- install and remove ---- */

/* What each thread had before us, to put it back. */
typedef struct before {
    struct before *next;
    uint64_t thread;
    Py_tracefunc function;
    PyObject *object; /* owned */
} before;

static before *befores;

static int remember(PyThreadState *t)
{
    if (t->c_profilefunc != NULL) {
        before *b = malloc(sizeof *b);
        if (b == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        Py_XINCREF(t->c_profileobj);
        *b = (before){befores, PyThreadState_GetID(t), t->c_profilefunc, t->c_profileobj};
        befores = b;
    }
    return 0;
}

static before *remembered(PyThreadState *t) /* taken out of the list, NULL: it had none */
{
    for (before **at = &befores; *at != NULL; at = &(*at)->next) {
        if ((*at)->thread == PyThreadState_GetID(t)) {
            before *b = *at;
            *at = b->next;
            return b;
        }
    }
    return NULL;
}

static void forget(before *b)
{
    if (b != NULL) {
        Py_XDECREF(b->object);
        free(b);
    }
}

static int hook_threading(bool on)
{
    PyObject *name = PyUnicode_FromString("threading"), *threading = name == NULL ? NULL : PyImport_GetModule(name);
    Py_XDECREF(name);
    if (threading == NULL) {
        return PyErr_Occurred() ? -1 : 0; /* not imported: see hook_threading_late */
    }
    int rc = 0;
    PyObject *now = PyObject_GetAttrString(threading, "_profile_hook");
    if (on && now != hook) {
        Py_XSETREF(threading_before, now);
        now = NULL;
        rc = PyObject_SetAttrString(threading, "_profile_hook", hook);
    }
    else if (!on) {
        PyObject *back = threading_before == NULL ? Py_None : threading_before;
        rc = now == hook ? PyObject_SetAttrString(threading, "_profile_hook", back) : 0;
        Py_CLEAR(threading_before);
    }
    Py_XDECREF(now);
    Py_DECREF(threading);
    return rc;
}

static PyThreadState *first_thread(void)
{
    return PyInterpreterState_ThreadHead(PyInterpreterState_Get());
}

static int give_back(PyThreadState *t)
{
    before *b = remembered(t);
    int rc = b == NULL ? pmt_set_profile(t, NULL, NULL) : pmt_set_profile(t, b->function, b->object);
    forget(b);
    return rc;
}

static int profile_remove(const pmt_recorder *r)
{
    int others = 0;
    for (PyThreadState *t = first_thread(); t != NULL; t = PyThreadState_Next(t)) {
        if (is_ours(t)) {
            if (give_back(t) < 0) {
                PyErr_Clear(); /* an audit hook says no: the callback stays and does nothing */
            }
        }
        else {
            others += t->c_profilefunc != NULL || (r != NULL && pmt_thread_known(r, PyThreadState_GetID(t)));
        }
    }
    while (befores != NULL) { /* threads that ended, or were given another function meanwhile */
        before *next = befores->next;
        forget(befores);
        befores = next;
    }
    if (hook_threading(false) < 0) {
        PyErr_Clear();
    }
    return others;
}

static int profile_install(pmt_recorder *r)
{
    Py_tracefunc callback = callback_of(r);
    if (hook_threading(true) < 0) {
        return -1;
    }
    for (PyThreadState *t = first_thread(); t != NULL; t = PyThreadState_Next(t)) {
        if (remember(t) < 0 || pmt_set_profile(t, callback, hook) < 0) {
            pmt_exc saved = pmt_exc_save();
            profile_remove(NULL);
            pmt_exc_restore(saved);
            return -1;
        }
    }
    return 0;
}

static int profile_retarget(pmt_recorder *r)
{
    Py_tracefunc callback = callback_of(r);
    for (PyThreadState *t = first_thread(); t != NULL; t = PyThreadState_Next(t)) {
        if (is_ours(t) && t->c_profilefunc != callback && pmt_set_profile(t, callback, hook) < 0) {
            return -1;
        }
    }
    return 0;
}

void pmt_callbacks_forked(void)
{
    PyThreadState *t = PyThreadState_Get();
    pmt_exc saved = pmt_exc_save();
    if (hook != NULL && is_ours(t)) {
        profile_remove(NULL);
    }
    pmt_exc_restore(saved);
}

static const char *always(void)
{
    return NULL;
}

const pmt_engine pmt_profile_engine = {"profile", always, profile_install, profile_retarget,
                                             profile_remove};
