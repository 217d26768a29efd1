#include "compat.h"
#include "threads.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/define.h"
#include "encode.h"

#define CHUNK 64u
#define CHUNKS 4096u

enum { FREE, LIVE, DEAD, LEFT }; /* LEFT: found dead, waits for the writer */

__thread pmt_thread *pmt_thread_here __attribute__((tls_model("initial-exec")));

static pthread_key_t at_thread_end;
static pmt_thread *chunks[CHUNKS];
static uint32_t used, cursor; /* slots ever given; where the search for a free one begins */
static uint32_t given;        /* how often one was looked for */

static void thread_ended(void *p)
{
    pmt_thread *t = p;
    pmt_thread_here = NULL; /* a later destructor may run Python: as a thread not seen before */
    atomic_store(&t->state, DEAD); /* nothing of the slot is touched by this thread after this */
}

static int new_chunk(uint32_t chunk, pmt_arena *a) /* kept for the process's life */
{
    chunks[chunk] = pmt_arena_map(a, CHUNK * sizeof *chunks[chunk]);
    return chunks[chunk] == NULL ? -errno : 0;
}

int pmt_threads_init(void)
{
    pmt_arena none = {0}; /* before any recording: nobody's growth */
    int rc = new_chunk(0, &none);
    return rc < 0 ? rc : -pthread_key_create(&at_thread_end, thread_ended);
}

static pmt_thread *slot_at(uint32_t slot)
{
    return &chunks[slot / CHUNK][slot % CHUNK];
}

const pmt_thread_name *pmt_thread_name_at(void *none, uint32_t slot)
{
    (void)none;
    return slot / CHUNK < CHUNKS && chunks[slot / CHUNK] != NULL ? &slot_at(slot)->name : NULL;
}

void pmt_threads_forked(void)
{
    for (uint32_t i = 0; i < used; i++) {
        if (slot_at(i) != pmt_thread_here) {
            atomic_store(&slot_at(i)->state, FREE);
        }
    }
}

bool pmt_thread_known(const pmt_recorder *r, uint64_t state_id)
{
    for (uint32_t i = 0; i < used; i++) {
        pmt_thread *t = slot_at(i);
        if (t->state_id == state_id && t->generation == r->generation && atomic_load(&t->state) == LIVE) {
            return true;
        }
    }
    return false;
}

static bool reusable(pmt_recorder *r, pmt_thread *t)
{
    uint32_t state = atomic_load(&t->state);
    if (state == DEAD) {
        t->left_at = t->generation == r->generation ? atomic_load_explicit(&r->ring.s->head, memory_order_relaxed) : 0;
        atomic_store(&t->state, LEFT);
        state = LEFT;
    }
    for (const pmt_recorder *each = r; each != NULL; each = each->outer) {
        if (each->filter.have_last && each->filter.last.slot == t->slot) {
            return false; /* `previous` may still send that event */
        }
    }
    if (state != LEFT) {
        return state == FREE;
    }
    /* acquire, pairs with the release in pop: the writer is done reading the name. */
    return t->generation != r->generation || atomic_load_explicit(&r->ring.s->tail, memory_order_acquire) >= t->left_at;
}

static pmt_thread *find_slot(pmt_recorder *r)
{
    if (++given % (CHUNK / 2) == 0) {
        pmt_ring_wake(&r->ring); /* slots of threads that ended wait for the writer: not for as long as it may sleep */
    }
    for (uint32_t i = 0; i < used; i++) {
        cursor = cursor + 1 < used ? cursor + 1 : 0;
        if (reusable(r, slot_at(cursor))) {
            return slot_at(cursor);
        }
    }
    if (used / CHUNK >= CHUNKS) {
        return NULL;
    }
    if (chunks[used / CHUNK] == NULL && new_chunk(used / CHUNK, &r->arena) < 0) {
        return NULL;
    }
    pmt_thread *t = slot_at(used);
    t->slot = used++;
    return t;
}

/* What follows asks threading by plain look-ups in dictionaries: no attribute of the program's runs. */

static PyObject *of_threading(const char *name) /* borrowed, NULL: unknown */
{
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *threading = modules == NULL ? NULL : PyDict_GetItemString(modules, "threading");
    return threading == NULL || !PyModule_Check(threading) ? NULL
                                                           : PyDict_GetItemString(PyModule_GetDict(threading), name);
}

static PyObject *active_thread(void) /* threading._active[ident]; borrowed, NULL: unknown */
{
    PyObject *active = of_threading("_active"), *thread = NULL;
    PyObject *ident = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
    if (active != NULL && PyDict_CheckExact(active) && ident != NULL) {
        thread = PyDict_GetItem(active, ident);
    }
    Py_XDECREF(ident);
    return thread;
}

static PyCodeObject *first_code(void) /* of Thread._bootstrap; borrowed, NULL: unknown */
{
    PyObject *type = of_threading("Thread"), *dict = NULL, *function = NULL;
    if (type != NULL && PyType_Check(type)) {
        dict = ((PyTypeObject *)type)->tp_dict;
        function = dict == NULL ? NULL : PyDict_GetItemString(dict, "_bootstrap");
    }
    return function != NULL && PyFunction_Check(function) ? (PyCodeObject *)PyFunction_GET_CODE(function) : NULL;
}

bool pmt_thread_begins(const PyCodeObject *code, pmt_kind kind, const PyMethodDef *def)
{
    static __thread bool waits __attribute__((tls_model("initial-exec")));
    /* 3.14 calls the thread's `run` by Context.run. */
    bool runs = kind == PMT_C_CALL && def->ml_name != NULL && strcmp(def->ml_name, "run") == 0;
    if (kind != PMT_CALL && !runs) {
        return !waits;
    }
    pmt_exc saved = pmt_exc_save();
    const PyCodeObject *first = first_code();
    if (code == first && kind == PMT_CALL) {
        waits = true;
    }
    else if (waits) { /* its `run`, or whatever a subclass does in place of threading's own functions */
        waits = active_thread() == NULL && first != NULL && code->co_filename == first->co_filename;
    }
    PyErr_Clear();
    pmt_exc_restore(saved);
    return !waits;
}

static PyObject *python_name(void) /* borrowed, NULL: unknown; no exception left */
{
    PyObject *thread = active_thread(), *name = NULL;
    if (thread != NULL && _PyType_Lookup(Py_TYPE(thread), pmt_str_name) == NULL) { /* no property of a subclass */
        name = PyObject_GenericGetAttr(thread, pmt_str_name);
        Py_XDECREF(name); /* the thread keeps it */
    }
    PyErr_Clear();
    return name != NULL && PyUnicode_Check(name) ? name : NULL;
}

static void set_name(pmt_thread *t)
{
    pmt_exc saved = pmt_exc_save();
    PyObject *name = python_name();
    size_t n = name == NULL ? 0 : pmt_encode(name, t->name.bytes, sizeof t->name.bytes);
    if (n > sizeof t->name.bytes) { /* cut at a character */
        n = sizeof t->name.bytes;
        while (n > 0 && (t->name.bytes[n - 1] & 0xC0) == 0x80) {
            n--;
        }
        n -= n > 0;
    }
    t->name.tid = (uint32_t)syscall(SYS_gettid);
    if (name == NULL && t->name.tid == (uint32_t)getpid()) { /* what threading would call it */
        n = strlen(strcpy(t->name.bytes, "MainThread"));
    }
    t->name.len = (uint32_t)n;
    pmt_exc_restore(saved);
}

static void meet_thread(pmt_recorder *r, pmt_thread *t)
{
    uint64_t id = t->state_id = PyThreadState_GetID(PyThreadState_Get());
    for (; r != NULL; r = r->outer) {
        r->threads_new += id > r->threads_before;
        /* The slot may have been another thread's: the next record says whose it is now. */
        r->slot_sent = r->slot_sent == t->slot ? UINT32_MAX : r->slot_sent;
        r->last_slot = r->last_slot == t->slot ? UINT32_MAX : r->last_slot;
    }
}

pmt_thread *pmt_thread_enter(pmt_recorder *r)
{
    pmt_thread *t = pmt_thread_here;
    if (t == NULL) {
        t = find_slot(r);
        if (t == NULL || pthread_setspecific(at_thread_end, t) != 0) {
            pmt_recorder_fail(r, -ENOMEM, "noting a thread");
            return NULL;
        }
        atomic_store(&t->state, LIVE);
        pmt_thread_here = t;
        meet_thread(r, t);
    }
    set_name(t);
    if (r->scratch != NULL) {
        pmt_recorder_define(r, pmt_define_thread(r->scratch, t->slot, &t->name));
    }
    t->last = 0; /* its first event is read */
    t->generation = r->generation;
    pmt_recorder_mapped(r);
    return t;
}
