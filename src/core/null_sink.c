/* core/null_sink.c - for log="none" without a file: what reaches it is gone. */
#include "core/sink.h"

static int take_text(pmt_sink *s, const char *text, size_t n)
{
    (void)s, (void)text, (void)n;
    return 0;
}

static int take_records(pmt_sink *s, const uint64_t *words, uint64_t mask, uint64_t *at, uint64_t to, uint64_t most,
                        pmt_pair now)
{
    (void)s, (void)words, (void)mask, (void)most, (void)now;
    *at = to;
    return 0;
}

static int take_size(pmt_sink *s, int64_t size)
{
    (void)s, (void)size;
    return 0;
}

static void keep_nothing(const pmt_sink *s, pmt_checkpoint *c)
{
    (void)s, (void)c;
}

static void resume_nothing(pmt_sink *s, const pmt_checkpoint *c)
{
    (void)s, (void)c;
}

static void nothing(pmt_sink *s)
{
    (void)s;
}

pmt_sink *pmt_null_sink(void)
{
    static pmt_sink sink = {take_text, take_records, take_text, take_text, take_size,
                            keep_nothing, resume_nothing, nothing, 0}; /* never written to */
    return &sink;
}
