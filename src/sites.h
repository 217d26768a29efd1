/* sites.h - code objects and C functions -> site ids. The only reader of names; forgets dead code objects.
 * Under the GIL. Nothing here runs Python or makes an object that the garbage collector tracks. */
#ifndef PMT_PYSITES_H
#define PMT_PYSITES_H

#include "compat.h"
#include "core/recorder.h"

extern Py_ssize_t pmt_code_index; /* of our extra slot on code objects */

int pmt_pysites_init(void); /* once an interpreter: 0, or -1 with an exception */

/* Where an event is: the profile engine is given a frame, the monitoring engine the code and its offset. */
typedef struct pmt_place {
    PyFrameObject *frame; /* NULL: see offset */
    PyCodeObject *code;
    PyObject *offset; /* int, bytes */
} pmt_place;

PMT_INLINE pmt_place pmt_place_of(PyFrameObject *frame)
{
    if (frame == NULL) {
        __builtin_unreachable(); /* so that nobody asks whether a frame's code is one */
    }
    return (pmt_place){frame, pmt_frame_code(frame), NULL};
}

PMT_INLINE int pmt_place_offset(pmt_place p)
{
    return p.frame != NULL ? pmt_frame_offset(p.frame) : pmt_small_int(p.offset);
}

/* Out of line; 0: no memory, r has failed. */
uint32_t pmt_code_first(pmt_recorder *r, PyCodeObject *code);
/* The site of an event by all that is known of it; a new one is noted. frame: NULL, or that of the event. in_code:
 * pmt_site_place(). def: NULL, or a C event's function. */
uint32_t pmt_site_search(pmt_recorder *r, PyFrameObject *frame, PyCodeObject *code, uint32_t in_code,
                         const PyMethodDef *def);
uint32_t pmt_site_charged(pmt_recorder *r, pmt_place place); /* the Python function itself, where it is */

static inline const PyMethodDef *pmt_c_function(PyObject *arg) /* of a C event: always a builtin's method definition */
{
    return ((PyCFunctionObject *)arg)->m_ml;
}

/* What the slot of a code object holds: the recording's generation and its number there; never an address. */
static inline uint32_t pmt_code_of(pmt_recorder *r, PyCodeObject *code)
{
    void *extra = NULL;
    pmt_code_get_extra((PyObject *)code, pmt_code_index, &extra);
    uint64_t mark = (uint64_t)(uintptr_t)extra;
    return __builtin_expect(mark >> 32 == r->generation, 1) ? (uint32_t)mark : pmt_code_first(r, code);
}

/* The site of an event where it is the one that followed last time, else 0. It vouches for what was looked up when it was
 * noted: the code object is not hidden, the C function is not special, and its definition lies in a library, where
 * the address is its whole identity. */
PMT_INLINE uint32_t pmt_site_expected(pmt_recorder *r, pmt_place place, pmt_kind kind, const PyMethodDef *def)
{
    return pmt_sites_expect(&r->sites, place.code, pmt_site_place(pmt_place_offset(place), kind), (uintptr_t)def);
}

PMT_INLINE uint32_t pmt_site_of(pmt_recorder *r, pmt_place place, pmt_kind kind, const PyMethodDef *def)
{
    return pmt_site_search(r, place.frame, place.code, pmt_site_place(pmt_place_offset(place), kind), def);
}

#endif
