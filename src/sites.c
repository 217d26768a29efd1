#include "sites.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "core/define.h"
#include "encode.h"
#include "process.h"

Py_ssize_t pmt_code_index = -1;

static char scratch[PMT_MAX_NAME]; /* under the GIL; a name longer than this is shown by its length only */

/* Called by CPython when a code object dies, under the GIL. */
static void code_died(void *extra)
{
    uint64_t mark = (uint64_t)(uintptr_t)extra;
    for (pmt_recorder *r = pmt_active; r != NULL; r = r->outer) {
        if (mark >> 32 == r->generation && r->state != PMT_OFF) {
            pmt_sites_code_died(&r->sites, (uint32_t)mark, atomic_load_explicit(&r->ring.s->head, memory_order_relaxed),
                                r->events);
        }
    }
}

int pmt_pysites_init(void)
{
    if (pmt_code_index < 0) { /* the slots of an interpreter are few and never given back */
        pmt_code_index = pmt_code_extra_index(code_died);
        pmt_str_name = PyUnicode_InternFromString("_name");
        if (pmt_code_index < 0 || pmt_str_name == NULL) {
            PyErr_SetString(PyExc_RuntimeError, "no extra slot left on code objects");
            return -1;
        }
    }
    return 0;
}

static uint32_t add_str(pmt_recorder *r, PyObject *str)
{
    if (str == NULL || !PyUnicode_Check(str)) {
        return pmt_names_add(&r->sites.names, "<?>", 3);
    }
    return pmt_names_add(&r->sites.names, scratch, pmt_encode(str, scratch, sizeof scratch));
}

uint32_t pmt_code_first(pmt_recorder *r, PyCodeObject *code)
{
    /* acquire, pairs with the release in pop: the writer is done with the sites that are used again. */
    pmt_sites_reclaim(&r->sites, atomic_load_explicit(&r->ring.s->tail, memory_order_acquire), r->events);
    uint32_t id = pmt_sites_new_code(&r->sites);
    pmt_exc saved = pmt_exc_save();
    void *mark = (void *)(uintptr_t)((uint64_t)r->generation << 32 | id);
    if (id == 0 || pmt_code_set_extra((PyObject *)code, pmt_code_index, mark) < 0) {
        PyErr_Clear();
        pmt_recorder_fail(r, -ENOMEM, "noting a function");
        id = 0;
    }
    else {
        pmt_code *c = pmt_sites_code(&r->sites, id);
        c->file = add_str(r, code->co_filename);
        c->name = add_str(r, code->co_name);
        c->first_line = (uint32_t)code->co_firstlineno;
        if (r->scratch != NULL) {
            pmt_recorder_define(r, pmt_define_code(r->scratch, &r->sites, id));
        }
    }
    pmt_exc_restore(saved);
    pmt_recorder_mapped(r);
    return id;
}

/* A hash of what a name says, eight bytes at a time: names of C functions rarely have sixteen. */
static uint64_t name_hash(const char *name)
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
 * place for its name: what the name says is part of the identity. The highest bit tells it from every address. */
static uint64_t passing_function(const PyMethodDef *def)
{
    return ((uintptr_t)def ^ name_hash(def->ml_name == NULL ? "" : def->ml_name)) | UINT64_C(1) << 63;
}

/* Is it part of a program or a library, which stays? Asks without a lock; where nobody can be asked, nothing stays. */
static bool stays(const PyMethodDef *def)
{
#ifdef DLFO_STRUCT_HAS_EH_DBASE /* glibc 2.35 */
    struct dl_find_object found;
    return _dl_find_object((void *)def, &found) == 0;
#else
    (void)def;
    return false;
#endif
}

static uint32_t site_first(pmt_recorder *r, PyFrameObject *frame, PyCodeObject *code, uint64_t key, uint64_t function,
                           const PyMethodDef *def)
{
    if (key >> 32 == 0) {
        return 0; /* pmt_code_first failed */
    }
    uint32_t name = PMT_NAME_NONE;
    if (def != NULL) {
        const char *text = def->ml_name == NULL ? "<?>" : def->ml_name;
        name = pmt_names_add(&r->sites.names, text, strlen(text));
    }
    int line = frame != NULL ? PyFrame_GetLineNumber(frame) : PyCode_Addr2Line(code, pmt_site_offset((uint32_t)key));
    uint32_t site = pmt_sites_add(&r->sites, key, function, name, line);
    if (site == 0) {
        pmt_recorder_fail(r, -ENOMEM, "noting a call");
    }
    else if (r->scratch != NULL) {
        pmt_recorder_define(r, pmt_define_site(r->scratch, &r->sites, site));
    }
    pmt_recorder_mapped(r);
    return site;
}

uint32_t pmt_site_search(pmt_recorder *r, PyFrameObject *frame, PyCodeObject *code, uint32_t in_code,
                         const PyMethodDef *def)
{
    uint64_t function = (uintptr_t)def, passing = def == NULL ? 0 : passing_function(def);
    uint32_t site = def == NULL ? 0 : pmt_sites_expect(&r->sites, code, in_code, passing);
    if (site != 0) {
        return site;
    }
    uint64_t key = (uint64_t)pmt_code_of(r, code) << 32 | in_code;
    site = pmt_sites_find(&r->sites, key, function);
    if (__builtin_expect(site == 0, 0) && def != NULL) {
        site = pmt_sites_find(&r->sites, key, passing);
        function = site == 0 && stays(def) ? function : passing;
    }
    if (__builtin_expect(site == 0, 0)) {
        site = site_first(r, frame, code, key, function, def);
    }
    if (site != 0) {
        bool special = def != NULL && pmt_mark_of(def) != PMT_MARK_NONE; /* to be looked at at each event */
        pmt_sites_follow(&r->sites, site, special ? NULL : code);
    }
    return site;
}

uint32_t pmt_site_charged(pmt_recorder *r, pmt_place place)
{
    uint32_t code = pmt_code_of(r, place.code);
    uint64_t key = pmt_site_key(code, pmt_place_offset(place), PMT_CHARGED);
    uint32_t site = pmt_sites_find(&r->sites, key, 0);
    return site != 0 ? site : site_first(r, place.frame, place.code, key, 0, NULL);
}
