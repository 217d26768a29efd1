/* sites.h - code objects and C functions -> site ids. The only reader of names; forgets dead code objects.
 * Under the GIL. Nothing here runs Python or makes an object that the garbage collector tracks. */
#ifndef PMT_PYSITES_H
#define PMT_PYSITES_H

#include <string.h>

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
    return (pmt_place){frame, pmt_frame_code(frame), NULL};
}

PMT_INLINE int pmt_place_offset(pmt_place p)
{
    return p.frame != NULL ? pmt_frame_offset(p.frame) : pmt_small_int(p.offset);
}

/* Out of line; 0: no memory, r has failed. */
uint32_t pmt_code_first(pmt_recorder *r, PyCodeObject *code);
/* A site that was not the expected one. def: NULL, or a C event's function, whose identity is `function`. */
uint32_t pmt_site_search(pmt_recorder *r, pmt_place place, uint32_t in_code, uint64_t function, const PyMethodDef *def);
uint32_t pmt_site_charged(pmt_recorder *r, pmt_place place); /* the Python function itself, where it is */

static inline const PyMethodDef *pmt_c_function(PyObject *arg) /* of a C event: always a builtin's method definition */
{
    return ((PyCFunctionObject *)arg)->m_ml;
}

/* A hash of what a name says, eight bytes at a time: names of C functions rarely have sixteen. */
static inline uint64_t pmt_name_hash(const char *name)
{
    uint64_t hash = 0;
    for (;;) {
        uint64_t word = 0, ended;
#ifndef __SANITIZE_ADDRESS__ /* a load within one page is safe whatever lies behind the name, but not in its eyes */
        if (__builtin_expect(((uintptr_t)name & 4095) <= 4088, 1)) {
            memcpy(&word, name, 8);
            ended = (word - 0x0101010101010101u) & ~word & 0x8080808080808080u; /* its lowest bit marks the first zero */
            word = ended == 0 ? word : word & (((ended & (0 - ended)) >> 7) - 1);
        }
        else
#endif
        {
            unsigned i = 0;
            for (; i < 8 && name[i] != '\0'; i++) {
                word |= (uint64_t)(unsigned char)name[i] << 8 * i;
            }
            ended = i < 8;
        }
        hash = (hash ^ word) * 0x9E3779B97F4A7C15u;
        if (ended != 0) {
            return hash;
        }
        name += 8;
    }
}

/* Some binders allocate PyMethodDef on the heap, free it, and get the same place for another function, with the same
 * place for its name: what the name says is part of the identity. */
static inline uint64_t pmt_function_id(const PyMethodDef *def)
{
    return (uint64_t)(uintptr_t)def ^ pmt_name_hash(def->ml_name == NULL ? "" : def->ml_name);
}

/* What the slot of a code object holds: the recording's generation and its number there; never an address. */
static inline uint32_t pmt_code_of(pmt_recorder *r, PyCodeObject *code)
{
    void *extra = NULL;
    pmt_code_get_extra((PyObject *)code, pmt_code_index, &extra);
    uint64_t mark = (uint64_t)(uintptr_t)extra;
    return __builtin_expect(mark >> 32 == r->generation, 1) ? (uint32_t)mark : pmt_code_first(r, code);
}

PMT_INLINE uint32_t pmt_site_of(pmt_recorder *r, pmt_place place, pmt_kind kind, const PyMethodDef *def)
{
    uint32_t in_code = pmt_site_place(pmt_place_offset(place), kind);
    uint64_t function = kind >= PMT_C_CALL ? pmt_function_id(def) : 0;
    uint32_t site = pmt_sites_expect(&r->sites, place.code, in_code, function);
    return __builtin_expect(site != 0, 1) ? site : pmt_site_search(r, place, in_code, function, def);
}

#endif
