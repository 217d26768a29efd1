#include "core/define.h"

#include "core/bytes.h"
#include "core/capture.h"

static uint8_t *put_string(uint8_t *p, const char *bytes, size_t n)
{
    p = pmt_put_varint(p, n);
    memcpy(p, bytes, n);
    return p + n;
}

static uint8_t *put_name(uint8_t *p, const pmt_sites *s, uint32_t id)
{
    const pmt_name *name = pmt_names_at(&s->names, id);
    return name == NULL ? put_string(p, "<?>", 3) : put_string(p, name->bytes, name->len);
}

size_t pmt_define_code(uint8_t *to, const pmt_sites *s, uint32_t code)
{
    const pmt_code *c = pmt_sites_code(s, code);
    uint8_t *p = to;
    *p++ = PMT_DEFINE_CODE;
    p = pmt_put_varint(p, code);
    p = pmt_put_varint(p, c->first_line);
    p = put_name(p, s, c->file);
    p = put_name(p, s, c->name);
    return (size_t)(p - to);
}

size_t pmt_define_site(uint8_t *to, const pmt_sites *s, uint32_t id)
{
    const pmt_site *site = pmt_sites_at(s, id);
    pmt_kind kind = pmt_site_kind(site);
    uint8_t *p = to;
    *p++ = PMT_DEFINE_SITE;
    p = pmt_put_varint(p, id);
    p = pmt_put_varint(p, site->key >> 32);
    *p++ = (uint8_t)kind;
    p = pmt_put_varint(p, pmt_zigzag(site->line));
    bool c = kind == PMT_C_CALL || kind == PMT_C_RETURN || kind == PMT_C_EXCEPT;
    p = c ? put_name(p, s, site->name) : put_string(p, "", 0);
    return (size_t)(p - to);
}

size_t pmt_define_thread(uint8_t *to, uint32_t slot, const pmt_thread_name *name)
{
    uint8_t *p = to;
    *p++ = PMT_DEFINE_THREAD;
    p = pmt_put_varint(p, slot);
    p = pmt_put_varint(p, name->tid);
    p = put_string(p, name->bytes, name->len);
    return (size_t)(p - to);
}
