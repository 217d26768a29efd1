/* sites.h - code objects and C functions -> site ids. The only reader of names; forgets dead code objects.
 * Under the GIL. Nothing here runs Python or makes an object that the garbage collector tracks. */
#ifndef PMT_PYSITES_H
#define PMT_PYSITES_H

#include "compat.h"
#include "core/recorder.h"

extern Py_ssize_t pmt_code_index; /* of our extra slot on code objects */

int pmt_pysites_init(void); /* once an interpreter: 0, or -1 with an exception */

/* First sights, out of line; 0: no memory, r has failed. */
uint32_t pmt_code_first(pmt_recorder *r, PyCodeObject *code);
uint32_t pmt_site_first(pmt_recorder *r, PyFrameObject *frame, uint64_t key, uint64_t function, const PyMethodDef *def);
uint32_t pmt_site_charged(pmt_recorder *r, PyFrameObject *frame); /* the Python function of `frame`, where it is */

static inline const PyMethodDef *pmt_c_function(PyObject *arg) /* of a C event: always a builtin's method definition */
{
    return ((PyCFunctionObject *)arg)->m_ml;
}

/* Some binders allocate PyMethodDef on the heap and free it: the name's address is part of the identity. */
static inline uint64_t pmt_function_id(const PyMethodDef *def)
{
    uint64_t name = (uint64_t)(uintptr_t)def->ml_name;
    return (uint64_t)(uintptr_t)def ^ (name << 23 | name >> 41);
}

/* What the slot of a code object holds: the recording's generation and its number there; never an address. */
static inline uint32_t pmt_code_of(pmt_recorder *r, PyCodeObject *code)
{
    void *extra = NULL;
    pmt_code_get_extra((PyObject *)code, pmt_code_index, &extra);
    uint64_t mark = (uint64_t)(uintptr_t)extra;
    return __builtin_expect(mark >> 32 == r->generation, 1) ? (uint32_t)mark : pmt_code_first(r, code);
}

static inline uint32_t pmt_site_of(pmt_recorder *r, PyFrameObject *frame, PyCodeObject *code, pmt_kind kind,
                                   PyObject *arg)
{
    uint64_t key = pmt_site_key(pmt_code_of(r, code), pmt_frame_offset(frame), kind), function = 0;
    const PyMethodDef *def = NULL;
    if (kind >= PMT_C_CALL) {
        def = pmt_c_function(arg);
        function = pmt_function_id(def);
    }
    uint32_t site = pmt_sites_find(&r->sites, key, function);
    return __builtin_expect(site != 0, 1) ? site : pmt_site_first(r, frame, key, function, def);
}

#endif
