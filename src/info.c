#include "info.h"

#include <stdlib.h>
#include <string.h>

#include "core/gate.h"
#include "engine.h"
#include "errors.h"
#include "platform/rss.h"

static int64_t rss_now(void)
{
    pmt_rss r;
    int rc = pmt_rss_open(&r);
    if (rc < 0) {
        return rc;
    }
    int64_t bytes = pmt_rss_read(&r);
    pmt_rss_close(&r);
    return bytes;
}

PyObject *pmt_info_rss(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    int64_t bytes = rss_now();
    return bytes < 0 ? pmt_raise((int)bytes, "/proc/self/statm") : PyLong_FromLongLong(bytes);
}

PyObject *pmt_info_rss_peak(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    int64_t now = rss_now(), hwm = pmt_rss_hwm();
    if (now < 0 || hwm < 0) {
        return pmt_raise((int)(now < 0 ? now : hwm), now < 0 ? "/proc/self/statm" : "/proc/self/status");
    }
    return PyLong_FromLongLong(hwm > now ? hwm : now);
}

static PyObject *engines(void) /* {name: None, or why it cannot be used}, the one that `auto` takes first */
{
    const pmt_engine *all[] = {&pmt_monitoring_engine, &pmt_profile_engine};
    PyObject *names = PyDict_New();
    for (size_t i = 0; names != NULL && i < 2; i++) {
        const char *not = all[i] == pmt_engine_installed ? NULL : all[i]->usable();
        PyObject *why = not == NULL ? Py_BuildValue("") : PyUnicode_FromString(not);
        if (why == NULL || PyDict_SetItemString(names, all[i]->name, why) < 0) {
            Py_CLEAR(names);
        }
        Py_XDECREF(why);
    }
    return names;
}

PyObject *pmt_info(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(args))
{
    pmt_rss r;
    pmt_clock c;
    pmt_gate g;
    int rc = pmt_rss_open(&r);
    if (rc < 0) {
        return pmt_raise(rc, "/proc/self/statm");
    }
    pmt_clock_init(&c, getenv("PYMEMTRACE_CLOCK"));
    const char *off = pmt_gate_off_why(&c, getenv("PYMEMTRACE_GATE"));
    pmt_gate_init(&g, &c, &r, off);
    int64_t granularity = pmt_rss_granularity(&r);
    double reading = pmt_gate_reading_us(&c, &r, 1000), hz = pmt_clock_ticks_per_second(&c);
    PyObject *result = Py_BuildValue(
        "{s:s,s:d,s:K,s:K,s:z,s:K,s:L,s:L,s:L,s:d,s:O,s:N,s:s}", "clock", pmt_clock_name(&c), "ticks_per_second", hz,
        "gate", (unsigned long long)g.first, "cheapest_change", (unsigned long long)g.cheapest, "gate_off", off,
        "staleness", (unsigned long long)g.stale, "page", (long long)r.page, "granularity", (long long)granularity,
        "peak_granularity", (long long)pmt_rss_peak_granularity(r.page), "reading_us", reading, "peak_is_hwm",
        r.peak_is_hwm ? Py_True : Py_False, "engines", engines(), "python", Py_GetVersion());
    pmt_rss_close(&r);
    return result;
}
