/* DESIGN: every pass over the file (header, scan, events, tree, totals) opens it anew: passes are independent, an object
 * that lies about holds no descriptor, and a pmt_reader has one user. Strings of a site are made once and kept in a small
 * direct-mapped cache; definitions come between blocks only, so what was made in another block is checked again, and `names`
 * gives each text one object for a whole pass. A reader's own loops need no GIL; it is taken for what must be remembered. */
#include "capture.h"

#include <stddef.h>
#include <stdlib.h>

#include "capture_tree.h"
#include "core/format.h"
#include "core/history.h"
#include "reading.h"

#define CACHED_SITES 4096u   /* a power of two */
#define CACHED_THREADS 256u  /* likewise */

_Static_assert((CACHED_SITES & (CACHED_SITES - 1)) == 0 && (CACHED_THREADS & (CACHED_THREADS - 1)) == 0, "masks");

typedef struct capture {
    PyObject_HEAD
    PyObject *path;          /* bytes */
    PyObject *header;        /* str */
    uint32_t page;
    uint64_t dropped;
    bool scanned, complete;
    PyObject *end, *why;     /* str or None; */
    PyObject *threads, *peaks; /* dict, list; all four and `complete` of the scan */
} capture;

typedef struct site_strings {
    uint32_t site, block;    /* block: number within the pass in which they were checked; 0: none */
    PyObject *file, *line, *function;
    pmt_kind kind;
} site_strings;

typedef struct events {      /* iterator */
    PyObject_HEAD
    pmt_reader reader;
    pmt_timeline timeline;
    bool open, busy, in_block, done;
    uint32_t block;          /* number of the block at hand, from 1 on */
    uint32_t thread;         /* of `tid` */
    int64_t rss;             /* of the event before */
    PyObject *tid;           /* int; NULL: not known yet in this block */
    PyObject *names;         /* dict: str -> the same str */
    PyObject *whats[5];
    site_strings sites[CACHED_SITES];
} events;

static const char *path_of(const capture *c)
{
    return PyBytes_AS_STRING(c->path);
}

/* ---- events: the iterator ---- */

static void site_clear(site_strings *s)
{
    Py_CLEAR(s->file);
    Py_CLEAR(s->line);
    Py_CLEAR(s->function);
    s->block = 0;
}

static site_strings *site_of(events *it, uint32_t id) /* NULL with an exception */
{
    site_strings *s = &it->sites[id & (CACHED_SITES - 1)];
    if (s->block == it->block && s->site == id) {
        return s;
    }
    const pmt_dictionary *d = &it->reader.dictionary;
    const pmt_site *site = pmt_sites_at(&d->sites, id);
    PyObject *file, *function;
    site_clear(s);
    if (pmt_site_names(d, id, &file, &function) < 0) {
        return NULL;
    }
    s->file = pmt_one_of(it->names, file);
    s->function = pmt_one_of(it->names, function);
    s->line = PyLong_FromLong(site->line);
    s->kind = pmt_site_kind(site);
    if (s->file == NULL || s->function == NULL || s->line == NULL) {
        site_clear(s);
        return NULL;
    }
    s->site = id;
    s->block = it->block;
    return s;
}

static PyObject *event_tuple(events *it)
{
    const pmt_event *e = &it->reader.event;
    site_strings *s = site_of(it, e->site);
    if (s == NULL) {
        return NULL;
    }
    if (it->tid == NULL || it->thread != e->thread) {
        const pmt_thread_name *t = pmt_dictionary_thread(&it->reader.dictionary, e->thread);
        Py_XDECREF(it->tid);
        it->tid = PyLong_FromUnsignedLong(t == NULL ? 0 : t->tid);
        it->thread = e->thread;
        if (it->tid == NULL) {
            return NULL;
        }
    }
    double seconds = (double)pmt_timeline_us(&it->timeline, e->clock) / 1e6;
    int64_t change = (int64_t)((uint64_t)e->rss - (uint64_t)it->rss);
    it->rss = e->rss;
    return Py_BuildValue("(KdOOOOLLO)", (unsigned long long)e->event, seconds, it->whats[s->kind], s->file, s->line,
                         s->function, (long long)e->rss, (long long)change, it->tid);
}

static int next_block(events *it) /* 1, 0 at the end, -1 with an exception */
{
    int rc;
    it->busy = true;
    Py_BEGIN_ALLOW_THREADS
    rc = pmt_reader_block(&it->reader);
    Py_END_ALLOW_THREADS
    it->busy = false;
    if (rc < 0) {
        return pmt_reader_raise(rc, &it->reader, it->reader.path);
    }
    if (rc > 0) {
        it->block++;
        it->in_block = true;
        Py_CLEAR(it->tid);
        pmt_timeline_block(&it->timeline, it->reader.block.pair);
    }
    return rc;
}

static PyObject *events_next(PyObject *self)
{
    events *it = (events *)self;
    if (it->busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is in this iterator; each needs its own");
        return NULL;
    }
    while (!it->done) {
        if (!it->in_block) {
            int rc = next_block(it);
            it->done = rc <= 0;
            if (rc <= 0) {
                break;
            }
        }
        pmt_item item;
        pmt_item_kind kind = pmt_reader_item(&it->reader, &item);
        if (kind == PMT_ITEM_EVENT) {
            return event_tuple(it);
        }
        if (kind == PMT_ITEM_NONE) {
            pmt_timeline_done(&it->timeline, it->reader.block.pair);
            it->in_block = false;
            it->done = it->reader.why[0] != '\0';
        }
    }
    if (it->open) {
        pmt_reader_close(&it->reader);
        it->open = false;
    }
    return NULL; /* the end, or an exception */
}

static void events_dealloc(PyObject *self)
{
    events *it = (events *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (it->open) {
        pmt_reader_close(&it->reader);
    }
    for (size_t i = 0; i < CACHED_SITES; i++) {
        site_clear(&it->sites[i]);
    }
    for (size_t i = 0; i < 5; i++) {
        Py_XDECREF(it->whats[i]);
    }
    Py_XDECREF(it->tid);
    Py_XDECREF(it->names);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *events_new(PyTypeObject *Py_UNUSED(type), PyObject *Py_UNUSED(args), PyObject *Py_UNUSED(kwargs))
{
    PyErr_SetString(PyExc_TypeError, "iterators are made by CaptureReader.events()");
    return NULL;
}

static PyObject *capture_events(PyObject *self, PyObject *Py_UNUSED(args))
{
    PyObject *module = PyType_GetModule(Py_TYPE(self));
    PyObject *type = module == NULL ? NULL : PyObject_GetAttrString(module, "_CaptureEvents");
    events *it = type == NULL ? NULL : (events *)((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);
    Py_XDECREF(type);
    if (it == NULL) {
        return NULL;
    }
    it->names = PyDict_New();
    bool good = it->names != NULL;
    for (size_t i = 0; i < 5 && good; i++) {
        good = (it->whats[i] = PyUnicode_InternFromString(pmt_kind_names[i])) != NULL;
    }
    if (!good || pmt_reader_start(&it->reader, path_of((capture *)self)) < 0) {
        Py_DECREF(it);
        return NULL;
    }
    it->open = true;
    pmt_timeline_init(&it->timeline, it->reader.first, it->reader.process_start_ns);
    return (PyObject *)it;
}

/* ---- scan: what is known only when everything was read ---- */

typedef struct scan {
    pmt_reader reader;
    PyObject *threads, *peaks;
    PyThreadState *state;    /* while the GIL is not held */
    uint32_t block;
    struct {
        uint32_t thread, block;
    } seen[CACHED_THREADS];  /* a thread that was noted, and in which block */
} scan;

static int note_thread(scan *s, uint32_t id) /* with the GIL: thread number -> name */
{
    const pmt_thread_name *t = pmt_dictionary_thread(&s->reader.dictionary, id);
    if (t == NULL) {
        return 0;
    }
    PyObject *tid = PyLong_FromUnsignedLong(t->tid);
    PyObject *name = tid == NULL ? NULL : pmt_text_of(t->bytes, t->len);
    int rc = name == NULL ? -1 : t->len == 0 && PyDict_Contains(s->threads, tid) == 1
                                     ? 0
                                     : PyDict_SetItem(s->threads, tid, name);
    Py_XDECREF(tid);
    Py_XDECREF(name);
    return rc;
}

static int note_peak(scan *s, const pmt_item *item) /* with the GIL */
{
    PyObject *file = NULL, *function = NULL;
    const pmt_dictionary *d = &s->reader.dictionary;
    int line = item->site == 0 ? 0 : pmt_sites_at(&d->sites, item->site)->line;
    if (item->site == 0) {
        file = PyUnicode_FromString("<?>");
        function = PyUnicode_FromString("<?>");
    }
    else if (pmt_site_names(d, item->site, &file, &function) < 0) {
        return -1;
    }
    PyObject *peak = file == NULL || function == NULL
                         ? NULL
                         : Py_BuildValue("(LKOiO)", (long long)item->bytes, (unsigned long long)item->number, file, line,
                                         function);
    int rc = peak == NULL ? -1 : PyList_Append(s->peaks, peak);
    Py_XDECREF(file);
    Py_XDECREF(function);
    Py_XDECREF(peak);
    return rc;
}

static int scan_item(scan *s, pmt_item_kind kind, const pmt_item *item) /* without the GIL; -1: there is an exception */
{
    uint32_t thread = s->reader.event.thread, slot = thread & (CACHED_THREADS - 1);
    if (kind == PMT_ITEM_EVENT) {
        if (s->seen[slot].block == s->block && s->seen[slot].thread == thread) {
            return 0;
        }
        s->seen[slot].block = s->block;
        s->seen[slot].thread = thread;
    }
    else if (kind != PMT_ITEM_PEAK) {
        return 0;
    }
    PyEval_RestoreThread(s->state);
    int rc = kind == PMT_ITEM_EVENT ? note_thread(s, thread) : note_peak(s, item);
    s->state = PyEval_SaveThread();
    return rc;
}

static int scan_blocks(scan *s) /* 0; -errno; 1: there is an exception */
{
    int rc = 0, bad = 0;
    pmt_item item;
    pmt_item_kind kind;
    s->state = PyEval_SaveThread();
    while (bad == 0 && (rc = pmt_reader_block(&s->reader)) > 0) {
        s->block++;
        while (bad == 0 && (kind = pmt_reader_item(&s->reader, &item)) != PMT_ITEM_NONE) {
            bad = scan_item(s, kind, &item);
        }
        if (s->reader.why[0] != '\0') {
            rc = 0;
            break;
        }
    }
    PyEval_RestoreThread(s->state);
    return bad != 0 ? 1 : rc;
}

static int scan_keep(capture *c, scan *s) /* 0, or -1 with an exception */
{
    PyObject *end = pmt_end_of(&s->reader);
    PyObject *reason = pmt_why_of(&s->reader, path_of(c));
    if (end == NULL || reason == NULL || c->scanned) { /* scanned: by another thread meanwhile */
        Py_XDECREF(end);
        Py_XDECREF(reason);
        return c->scanned ? 0 : -1;
    }
    c->end = end;
    c->why = reason;
    c->complete = reason == Py_None;
    c->threads = s->threads;
    c->peaks = s->peaks;
    s->threads = s->peaks = NULL;
    c->scanned = true;
    return 0;
}

static int scan_once(capture *c) /* 0, or -1 with an exception */
{
    if (c->scanned) {
        return 0;
    }
    scan *s = calloc(1, sizeof *s);
    if (s == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    int rc = -1;
    s->threads = PyDict_New();
    s->peaks = PyList_New(0);
    if (s->threads != NULL && s->peaks != NULL && pmt_reader_start(&s->reader, path_of(c)) == 0) {
        int found = scan_blocks(s);
        rc = found < 0 ? pmt_reader_raise(found, &s->reader, path_of(c)) : found > 0 ? -1 : scan_keep(c, s);
        pmt_reader_close(&s->reader);
    }
    Py_XDECREF(s->threads);
    Py_XDECREF(s->peaks);
    free(s);
    return rc;
}

/* ---- the type ---- */

static PyObject *capture_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keys[] = {"path", NULL};
    PyObject *path = NULL;
    pmt_reader reader;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&:CaptureReader", keys, PyUnicode_FSConverter, &path)) {
        return NULL;
    }
    capture *c = (capture *)type->tp_alloc(type, 0);
    if (c == NULL) {
        Py_DECREF(path);
        return NULL;
    }
    c->path = path;
    if (pmt_reader_start(&reader, path_of(c)) < 0) {
        Py_DECREF(c);
        return NULL;
    }
    c->page = reader.page;
    if (pmt_reader_block(&reader) == 1) { /* what is wrong with it is said when all is read */
        c->dropped = reader.dropped;
    }
    c->header = pmt_text_of(reader.text == NULL ? "" : reader.text, reader.text_len);
    pmt_reader_close(&reader);
    if (c->header == NULL) {
        Py_CLEAR(c);
    }
    return (PyObject *)c;
}

static void capture_dealloc(PyObject *self)
{
    capture *c = (capture *)self;
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(c->path);
    Py_XDECREF(c->header);
    Py_XDECREF(c->end);
    Py_XDECREF(c->why);
    Py_XDECREF(c->threads);
    Py_XDECREF(c->peaks);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *get_header(PyObject *self, void *Py_UNUSED(closure))
{
    PyObject *header = ((capture *)self)->header;
    Py_INCREF(header);
    return header;
}

static PyObject *get_page_size(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(((capture *)self)->page);
}

static PyObject *get_dropped(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLongLong(((capture *)self)->dropped);
}

static PyObject *get_complete(PyObject *self, void *Py_UNUSED(closure))
{
    return scan_once((capture *)self) < 0 ? NULL : PyBool_FromLong(((capture *)self)->complete);
}

static PyObject *get_scanned(PyObject *self, void *closure) /* closure: offset of the member */
{
    if (scan_once((capture *)self) < 0) {
        return NULL;
    }
    PyObject *value = *(PyObject **)((char *)self + (uintptr_t)closure);
    if (PyDict_Check(value)) {
        return PyDict_Copy(value);
    }
    if (PyList_Check(value)) {
        return PyList_GetSlice(value, 0, PyList_GET_SIZE(value));
    }
    Py_INCREF(value);
    return value;
}

static PyObject *capture_peaks(PyObject *self, PyObject *Py_UNUSED(args))
{
    return get_scanned(self, (void *)offsetof(capture, peaks));
}

static PyObject *capture_tree(PyObject *self, PyObject *args, PyObject *kwargs)
{
    static char *keys[] = {"timeline", NULL};
    long moments = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|l:tree", keys, &moments)) {
        return NULL;
    }
    if (moments != 0 && (moments < (long)PMT_MIN_MOMENTS || moments > (long)PMT_MAX_MOMENTS)) {
        return PyErr_Format(PyExc_ValueError, "timeline must be 0 or from %u to %u; it is %ld", PMT_MIN_MOMENTS,
                            PMT_MAX_MOMENTS, moments);
    }
    return pmt_capture_tree(path_of((capture *)self), (uint32_t)moments);
}

static PyObject *capture_totals(PyObject *self, PyObject *Py_UNUSED(args))
{
    return pmt_capture_totals(path_of((capture *)self));
}

static PyObject *capture_site_totals(PyObject *self, PyObject *Py_UNUSED(args))
{
    return pmt_capture_site_totals(path_of((capture *)self));
}

static PyObject *capture_iter(PyObject *self)
{
    return capture_events(self, NULL);
}

static PyMethodDef capture_methods[] = {
    {"events", capture_events, METH_NOARGS, "Iterator of (event, clock, what, file, line, function, RSS, dRSS, thread)."},
    {"peaks", capture_peaks, METH_NOARGS, "[(bytes, event at which it was seen, file, line, function), ...]"},
    {"tree", (PyCFunction)(void (*)(void))capture_tree, METH_VARARGS | METH_KEYWORDS,
     "tree(timeline=0)\n\nThe calling-context tree: a dict of columns, a list each, and of totals."},
    {"totals", capture_totals, METH_NOARGS, "[(file, line, function, net bytes, times), ...] of the recorder, or None."},
    {"site_totals", capture_site_totals, METH_NOARGS, "[(what, file, line, function, events, bytes), ...], or None."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef capture_getset[] = {
    {"header", get_header, NULL, "Text before the table.", NULL},
    {"page_size", get_page_size, NULL, "Bytes.", NULL},
    {"dropped", get_dropped, NULL, "Events before the first that is there.", NULL},
    {"complete", get_complete, NULL, "Is it whole, to its end?", NULL},
    {"why", get_scanned, NULL, "Where it was cut and why, or None.", (void *)offsetof(capture, why)},
    {"end", get_scanned, NULL, "Text after the table, or None.", (void *)offsetof(capture, end)},
    {"threads", get_scanned, NULL, "Thread number -> name.", (void *)offsetof(capture, threads)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot capture_slots[] = {
    {Py_tp_new, capture_new},
    {Py_tp_dealloc, capture_dealloc},
    {Py_tp_iter, capture_iter},
    {Py_tp_methods, capture_methods},
    {Py_tp_getset, capture_getset},
    {Py_tp_doc, "CaptureReader(path)\n\nA capture, read back."},
    {0, NULL},
};

static PyType_Spec capture_spec = {
    .name = "pymemtrace.cPyMemTrace.CaptureReader",
    .basicsize = sizeof(capture),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = capture_slots,
};

static PyType_Slot events_slots[] = {
    {Py_tp_new, events_new},
    {Py_tp_dealloc, events_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, events_next},
    {0, NULL},
};

static PyType_Spec events_spec = {
    .name = "pymemtrace.cPyMemTrace._CaptureEvents",
    .basicsize = sizeof(events),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = events_slots,
};

int pmt_capture_types_init(PyObject *module)
{
    PyObject *reader = PyType_FromModuleAndSpec(module, &capture_spec, NULL);
    PyObject *iterator = reader == NULL ? NULL : PyType_FromModuleAndSpec(module, &events_spec, NULL);
    int rc = iterator == NULL || pmt_module_add(module, "CaptureReader", reader) < 0 ||
                     pmt_module_add(module, "_CaptureEvents", iterator) < 0
                 ? -1
                 : 0;
    Py_XDECREF(reader);
    Py_XDECREF(iterator);
    return rc;
}
