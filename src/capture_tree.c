#include "capture_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/tree.h"
#include "errors.h"
#include "reading.h"

enum { PARENT, FILE_NAME, LINE, FUNCTION, IS_C, CALLS, UP, DOWN, PEAK, SECONDS, NET_ALL, UP_ALL, DOWN_ALL, PEAK_ALL,
       SECONDS_ALL, AT_PEAK, AT_PEAK_ALL, COLUMNS };
enum { WITHOUT_HISTORY = AT_PEAK }; /* columns */
static const char *const column_names[COLUMNS] = {
    "parent", "file", "line", "function", "is_c", "calls", "up", "down", "peak", "seconds", "net_inclusive",
    "up_inclusive", "down_inclusive", "peak_inclusive", "seconds_inclusive", "at_peak", "at_peak_inclusive"};

typedef struct sums {        /* inclusive, by node; */
    int64_t *net, *up, *down, *peak;
    uint64_t *clock;
    int64_t *at_peak, *at_peak_all; /* and, where there is a history, the node's own as well */
} sums;

static void sum_at_peak(const pmt_tree *t, sums *s)
{
    for (uint32_t i = 0; i < t->count; i++) {
        const pmt_node *n = &t->nodes[i];
        s->at_peak[i] = s->at_peak_all[i] =
            pmt_history_at_peak(t->history, i, (int64_t)((uint64_t)n->up + (uint64_t)n->down));
    }
    for (uint32_t i = t->count; i-- > 1;) { /* children stand behind their parents */
        int64_t *all = &s->at_peak_all[t->nodes[i].parent];
        *all = (int64_t)((uint64_t)*all + (uint64_t)s->at_peak_all[i]);
    }
}

static bool sums_of(const pmt_tree *t, sums *s) /* false: no memory; *s is to be freed in any case */
{
    size_t n = (size_t)t->count + 1;
    *s = (sums){malloc(n * 8), malloc(n * 8), malloc(n * 8), malloc(n * 8), malloc(n * 8), NULL, NULL};
    if (s->net == NULL || s->up == NULL || s->down == NULL || s->peak == NULL || s->clock == NULL) {
        return false;
    }
    pmt_tree_inclusive(t, s->net, s->up, s->down, s->peak, s->clock);
    if (t->history == NULL) {
        return true;
    }
    s->at_peak = malloc(n * 8);
    s->at_peak_all = malloc(n * 8);
    if (s->at_peak == NULL || s->at_peak_all == NULL) {
        return false;
    }
    sum_at_peak(t, s);
    return true;
}

static void sums_free(sums *s)
{
    free(s->net);
    free(s->up);
    free(s->down);
    free(s->peak);
    free(s->clock);
    free(s->at_peak);
    free(s->at_peak_all);
}

static PyObject *function_item(const pmt_dictionary *d, const pmt_node *n, int column)
{
    const pmt_function *f = n->function == 0 ? NULL : pmt_dictionary_function(d, n->function);
    switch (column) {
    case FILE_NAME:
        return f == NULL ? PyUnicode_FromString("") : pmt_name_text(d, f->file, false);
    case LINE:
        return PyLong_FromLong(f == NULL ? 0 : f->line);
    case FUNCTION:
        return f == NULL ? PyUnicode_FromString("") : pmt_name_text(d, f->name, true);
    default:
        return PyBool_FromLong(n->c != 0);
    }
}

typedef struct tree_view {
    const pmt_tree *tree;
    const pmt_dictionary *dictionary;
    sums sums;
    double unit;             /* seconds a clock unit */
    PyObject *names;         /* dict: str -> the same str */
} tree_view;

static PyObject *tree_item(const tree_view *v, uint32_t i, int column)
{
    const pmt_node *n = &v->tree->nodes[i];
    const sums *s = &v->sums;
    switch (column) {
    case PARENT:
        return PyLong_FromUnsignedLong(n->parent);
    case CALLS:
        return PyLong_FromUnsignedLongLong(n->calls);
    case UP:
        return PyLong_FromLongLong(n->up);
    case DOWN:
        return PyLong_FromLongLong(n->down);
    case PEAK:
        return PyLong_FromLongLong(n->peak);
    case SECONDS:
        return PyFloat_FromDouble((double)n->clock * v->unit);
    case NET_ALL:
        return PyLong_FromLongLong(s->net[i]);
    case UP_ALL:
        return PyLong_FromLongLong(s->up[i]);
    case DOWN_ALL:
        return PyLong_FromLongLong(s->down[i]);
    case PEAK_ALL:
        return PyLong_FromLongLong(s->peak[i]);
    case SECONDS_ALL:
        return PyFloat_FromDouble((double)s->clock[i] * v->unit);
    case AT_PEAK:
        return PyLong_FromLongLong(s->at_peak[i]);
    case AT_PEAK_ALL:
        return PyLong_FromLongLong(s->at_peak_all[i]);
    case FILE_NAME:
    case FUNCTION:
        return pmt_one_of(v->names, function_item(v->dictionary, n, column));
    default:
        return function_item(v->dictionary, n, column);
    }
}

static int put_item(PyObject *dict, const char *key, PyObject *value) /* takes value over */
{
    int rc = value == NULL ? -1 : PyDict_SetItemString(dict, key, value);
    Py_XDECREF(value);
    return rc;
}

static int put_columns(PyObject *dict, const tree_view *v)
{
    int columns = v->tree->history == NULL ? WITHOUT_HISTORY : COLUMNS;
    for (int column = 0; column < columns; column++) {
        PyObject *list = PyList_New((Py_ssize_t)v->tree->count);
        for (uint32_t i = 0; list != NULL && i < v->tree->count; i++) {
            PyObject *item = tree_item(v, i, column);
            if (item == NULL) {
                Py_CLEAR(list);
                break;
            }
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        }
        if (put_item(dict, column_names[column], list) < 0) {
            return -1;
        }
    }
    return 0;
}

static int put_totals(PyObject *dict, const pmt_tree *t)
{
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"events", (int64_t)t->events},       {"unmatched", (int64_t)t->unmatched},
        {"skipped", (int64_t)t->skipped},     {"returns_before", (int64_t)t->returns_before},
        {"rss_first", t->rss_first},          {"rss_last", t->rss_last},
        {"rss_peak", t->rss_peak},            {"foreign", t->foreign},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (put_item(dict, numbers[i].key, PyLong_FromLongLong(numbers[i].value)) < 0) {
            return -1;
        }
    }
    return put_item(dict, "total_seconds", PyFloat_FromDouble(t->seconds));
}

static PyObject *timeline_list(const pmt_tree *t) /* [(seconds, RSS, is it a peak, node, thread), ...] */
{
    const pmt_history *h = t->history;
    pmt_moment *moments = malloc((h->room * PMT_MOMENTS_OF_BUCKET + 1) * sizeof *moments);
    if (moments == NULL) {
        return PyErr_NoMemory();
    }
    size_t n = pmt_history_moments(h, moments);
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list != NULL && i < n; i++) {
        const pmt_moment *m = &moments[i];
        double ns = m->ns - t->begun;
        PyObject *item = Py_BuildValue("(dLOII)", ns > 0 ? ns / 1e9 : 0, (long long)m->rss, m->peak ? Py_True : Py_False,
                                       (unsigned)m->node, (unsigned)m->thread);
        if (item == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    free(moments);
    return list;
}

static PyObject *thread_names(const pmt_dictionary *d) /* number -> name, of those that have one at the end */
{
    PyObject *dict = PyDict_New();
    for (uint32_t id = 0; dict != NULL && id < d->thread_high; id++) {
        const pmt_thread_name *t = pmt_dictionary_thread(d, id);
        if (t == NULL || t->len == 0) {
            continue;
        }
        PyObject *tid = PyLong_FromUnsignedLong(t->tid);
        PyObject *name = tid == NULL ? NULL : pmt_text_of(t->bytes, t->len);
        if (name == NULL || PyDict_SetItem(dict, tid, name) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(tid);
        Py_XDECREF(name);
    }
    return dict;
}

static PyObject *tree_dict(const pmt_tree *t, const pmt_reader *r, const char *path)
{
    uint64_t span = t->clock_last - t->clock_first;
    tree_view view = {.tree = t, .dictionary = &r->dictionary, .unit = span == 0 ? 0 : t->seconds / (double)span};
    PyObject *dict = NULL;
    if (!sums_of(t, &view.sums)) {
        PyErr_NoMemory();
    }
    else if ((view.names = PyDict_New()) != NULL && (dict = PyDict_New()) != NULL &&
             (put_columns(dict, &view) < 0 || put_totals(dict, t) < 0 ||
              put_item(dict, "why", pmt_why_of(r, path)) < 0 || put_item(dict, "end", pmt_end_of(r)) < 0 ||
              put_item(dict, "thread_names", thread_names(&r->dictionary)) < 0 ||
              (t->history != NULL && put_item(dict, "timeline", timeline_list(t)) < 0))) {
        Py_CLEAR(dict);
    }
    sums_free(&view.sums);
    Py_XDECREF(view.names);
    return dict;
}

PyObject *pmt_capture_tree(const char *path, uint32_t moments)
{
    pmt_reader reader;
    pmt_tree tree;
    pmt_history history = {0};
    PyObject *dict = NULL;
    int rc;
    if (pmt_reader_start(&reader, path) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = pmt_tree_init(&tree);
    if (rc == 0 && moments > 0 && (rc = pmt_history_init(&history, moments)) == 0) {
        tree.history = &history;
    }
    rc = rc < 0 ? rc : pmt_tree_read(&tree, &reader);
    Py_END_ALLOW_THREADS
    if (rc < 0) {
        pmt_reader_raise(rc, &reader, path);
    }
    else {
        dict = tree_dict(&tree, &reader, path);
    }
    pmt_history_free(&history);
    pmt_tree_free(&tree);
    pmt_reader_close(&reader);
    return dict;
}

/* ---- totals ---- */

static int put_total(PyObject *list, pmt_bytes *b) /* one of them; 0, or -1 with an exception */
{
    size_t file_len, name_len;
    const char *file = pmt_get_string(b, PMT_MAX_PAYLOAD, &file_len);
    int64_t line = pmt_get_zigzag(b);
    const char *name = pmt_get_string(b, PMT_MAX_PAYLOAD, &name_len);
    int64_t net = pmt_get_zigzag(b);
    uint64_t times = pmt_get_varint(b);
    if (b->bad) {
        return 0;
    }
    bool outside = file_len == 0 && name_len == 0;
    PyObject *file_text = pmt_text_of(file, file_len);
    PyObject *name_object = outside ? PyUnicode_FromString(line < 0 ? "<other functions>" : "<interpreter>")
                                   : pmt_text_of(name, name_len);
    PyObject *item = file_text == NULL || name_object == NULL
                         ? NULL
                         : Py_BuildValue("(OLOLK)", file_text, (long long)line, name_object, (long long)net,
                                         (unsigned long long)times);
    int rc = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(file_text);
    Py_XDECREF(name_object);
    Py_XDECREF(item);
    return rc;
}

static int read_whole(int fd, uint8_t *to, size_t n, int64_t at) /* 1; 0: not so many bytes; -errno */
{
    while (n > 0) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got == 0) {
            return 0;
        }
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got > 0) {
            to += got;
            at += got;
            n -= (size_t)got;
        }
    }
    return 1;
}

/* The payloads of all blocks of totals, one after another, malloc'ed. 1; 0: there are none that are whole; -errno. */
static int find_totals(int fd, int64_t end, uint8_t **payload, size_t *n)
{
    uint8_t header[PMT_BLOCK_HEADER];
    uint32_t bytes = 0;
    int rc = 0;
    for (int64_t at = PMT_FILE_HEADER; at + PMT_BLOCK_HEADER <= end; at += PMT_BLOCK_HEADER + bytes) {
        rc = read_whole(fd, header, sizeof header, at);
        bytes = pmt_load_u32(header + 8);
        if (rc <= 0 || pmt_load_u32(header) != PMT_BLOCK_MAGIC || bytes > PMT_MAX_PAYLOAD ||
            (int64_t)bytes > end - at - (int64_t)PMT_BLOCK_HEADER) {
            break;
        }
        if (pmt_load_u32(header + 4) != PMT_BLOCK_TOTALS) {
            continue;
        }
        uint32_t crc = pmt_load_u32(header + 12);
        pmt_store_u32(header + 12, 0);
        uint8_t *longer = realloc(*payload, *n + bytes + 1);
        if (longer == NULL) {
            return -ENOMEM;
        }
        *payload = longer;
        rc = read_whole(fd, longer + *n, bytes, at + PMT_BLOCK_HEADER);
        if (rc <= 0 || pmt_crc32(pmt_crc32(0, header, sizeof header), longer + *n, bytes) != crc) {
            break;
        }
        *n += bytes;
    }
    return rc < 0 ? rc : *n > 0;
}

PyObject *pmt_capture_totals(const char *path)
{
    uint8_t *payload = NULL;
    size_t n = 0;
    int rc;
    Py_BEGIN_ALLOW_THREADS
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int64_t end = fd < 0 ? 0 : (int64_t)lseek(fd, 0, SEEK_END);
    rc = fd < 0 || end < 0 ? -errno : find_totals(fd, end, &payload, &n);
    if (fd >= 0) {
        close(fd);
    }
    Py_END_ALLOW_THREADS
    if (rc <= 0) {
        free(payload);
    }
    if (rc < 0) {
        return pmt_raise(rc, path);
    }
    if (rc == 0) {
        Py_RETURN_NONE;
    }
    pmt_bytes b = {payload, payload + n, false};
    PyObject *list = PyList_New(0);
    while (list != NULL && b.at < b.end && !b.bad) {
        if (put_total(list, &b) < 0) {
            Py_CLEAR(list);
        }
    }
    free(payload);
    return list;
}

static int put_site(PyObject *list, const pmt_reader *r, uint32_t function, uint32_t what, int32_t line, const pmt_site_total *t)
{
    static const char *const names[] = {"CALL", "RETURN", "C_CALL", "C_RETURN", "C_EXCEPT"};
    const pmt_function *f = pmt_dictionary_function(&r->dictionary, function);
    if (t->events == 0 || what >= 5) {
        return 0;
    }
    PyObject *file = pmt_name_text(&r->dictionary, f->file, false);
    PyObject *name = file == NULL ? NULL : pmt_name_text(&r->dictionary, f->name, true);
    int64_t bytes = (int64_t)((uint64_t)t->pages * r->page);
    PyObject *item = name == NULL ? NULL
                                  : Py_BuildValue("(sOiOKL)", names[what], file, (int)line, name,
                                                  (unsigned long long)t->events, (long long)bytes);
    int rc = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(file);
    Py_XDECREF(name);
    Py_XDECREF(item);
    return rc;
}

PyObject *pmt_capture_site_totals(const char *path)
{
    pmt_reader reader;
    const pmt_dictionary *d = &reader.dictionary;
    int rc;
    if (pmt_reader_start(&reader, path) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    rc = pmt_reader_totals(&reader);
    Py_END_ALLOW_THREADS
    PyObject *list = NULL;
    if (rc < 0) {
        pmt_reader_raise(rc, &reader, path);
    }
    else if (d->totals_missing) {
        list = Py_None;
        Py_INCREF(list);
    }
    else {
        list = PyList_New(0);
        for (uint32_t i = 0; list != NULL && i < d->retired_count; i++) {
            const pmt_retired *old = &d->retired[i];
            if (put_site(list, &reader, old->function, old->what, old->line, &old->total) < 0) {
                Py_CLEAR(list);
            }
        }
        for (uint32_t id = PMT_SITE_FIRST; list != NULL && id < d->high; id++) {
            if (put_site(list, &reader, d->by_site[id].function, pmt_place_what(d->by_site[id]),
                         pmt_sites_at(&d->sites, id)->line, pmt_sites_total(&d->sites, id)) < 0) {
                Py_CLEAR(list);
            }
        }
    }
    pmt_reader_close(&reader);
    return list;
}
