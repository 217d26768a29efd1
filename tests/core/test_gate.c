/* The gate by a clock of our own: what it reads, skips and audits. */
#include "check.h"
#include "core/gate.h"
#include "platform/rss.h"

static pmt_gate made(uint64_t threshold, uint64_t stale)
{
    pmt_gate g = {.stale = stale, .random = 12345};
    atomic_store(&g.threshold, threshold);
    g.audit_left = pmt_gate_next_audit(&g);
    return g;
}

static void skips_and_reads(void)
{
    pmt_gate g = made(1000, 100000);
    g.audit_left = UINT32_MAX;
    g.read_at = 5000;
    CHECK_INT(pmt_gate_ask(&g, 5999, 5000), PMT_GATE_SKIP);
    CHECK_INT(pmt_gate_ask(&g, 6000, 5000), PMT_GATE_READ);
    CHECK_INT(pmt_gate_ask(&g, 5000, 5000), PMT_GATE_SKIP);
    CHECK_INT(pmt_gate_ask(&g, 4999, 5000), PMT_GATE_READ); /* backwards: another core's clock */
    CHECK_INT(pmt_gate_ask(&g, 4999, 4998), PMT_GATE_READ); /* before the last reading */
    CHECK_INT(pmt_gate_ask(&g, 5000, 0), PMT_GATE_READ);    /* a thread's first event */
    g.read_at = 5000;
    CHECK_INT(pmt_gate_ask(&g, 104999, 104998), PMT_GATE_SKIP);
    CHECK_INT(pmt_gate_ask(&g, 105000, 104999), PMT_GATE_READ); /* stale */
}

static void off(void)
{
    pmt_gate g = made(0, 100000);
    for (uint64_t now = 1; now < 100; now++) {
        g.read_at = now;
        if (pmt_gate_ask(&g, now, now) != PMT_GATE_READ) {
            CHECK(!"every event is read");
        }
    }
    CHECK(true);
}

/* `before` audits were made: one in `every` from now on. */
static void audit_every(uint64_t before, uint64_t every)
{
    pmt_gate g = made(1000, 100);
    uint64_t checks = 0, gap = 0, longest = 0, n = 4000 * every;
    g.audit_tried = before;
    g.audit_left = pmt_gate_next_audit(&g);
    for (uint64_t i = 0; i < n; i++) {
        g.read_at = 1000;
        gap++;
        pmt_gate_answer a = pmt_gate_ask(&g, 1000, 1000);
        if (a == PMT_GATE_CHECK) {
            checks++;
            longest = gap > longest ? gap : longest;
            gap = 0;
        }
        else if (a != PMT_GATE_SKIP) {
            CHECK(!"nothing but skips and audits");
        }
    }
    CHECK(checks > n / every * 9 / 10 && checks < n / every * 11 / 10);
    CHECK(longest <= 2 * every);
}

static void audit(void)
{
    pmt_gate g = made(1000, 100);
    audit_every(0, 1024);
    audit_every(1023, 1024);
    audit_every(1024, 8192);
    for (int i = 0; i < 1000000; i++) {
        pmt_gate_next_audit(&g);
        if (g.random == 0) {
            CHECK(!"the random state is never 0");
            break;
        }
    }
}

/* A core that runs faster later: the fastest reading says by how much, and the threshold follows it, down only. */
static void faster(void)
{
    pmt_gate g = made(1800, 100000);
    g.reading = 4000;
    g.reading_ratio = 0.5; /* a change took 2,000 when a reading took 4,000 */
    pmt_gate_was_read(&g, 10000, 14000);
    CHECK_INT(atomic_load(&g.threshold), 1800);
    CHECK_INT(g.read_at, 14000);
    CHECK_INT(g.readings, 1);
    pmt_gate_was_read(&g, 20000, 29000); /* a slow one says nothing */
    CHECK_INT(atomic_load(&g.threshold), 1800);
    CHECK_INT(g.reading, 4000);
    pmt_gate_was_read(&g, 30000, 33000);
    CHECK_INT(atomic_load(&g.threshold), 1350);
    CHECK_INT(g.reading, 3000);
    pmt_gate_was_read(&g, 40000, 43500);
    CHECK_INT(atomic_load(&g.threshold), 1350);
    pmt_gate_was_read(&g, 50000, 49000); /* another core's clock is behind: says nothing */
    CHECK_INT(atomic_load(&g.threshold), 1350);
    atomic_store(&g.threshold, 100); /* the writer found less */
    pmt_gate_was_read(&g, 60000, 62000);
    CHECK_INT(atomic_load(&g.threshold), 100);
    pmt_gate_was_read(&g, 70000, 70000); /* no time at all: a clock to doubt, and 0 would mean off */
    CHECK_INT(atomic_load(&g.threshold), 100);
    CHECK_INT(g.readings, 7);

    g = made(0, 100000); /* off stays off */
    g.reading = 4000;
    g.reading_ratio = 0.5;
    pmt_gate_was_read(&g, 0, 1000);
    CHECK_INT(atomic_load(&g.threshold), 0);
    g = made(1800, 100000); /* a made-up machine, whose readings tell nothing of its changes */
    g.reading = 4000;
    pmt_gate_was_read(&g, 0, 1000);
    CHECK_INT(atomic_load(&g.threshold), 1800);
}

static void calibration(void)
{
    pmt_rss rss;
    pmt_clock fake, real;
    pmt_gate g;
    CHECK_INT(pmt_rss_open(&rss), 0);
    pmt_clock_init(&fake, "fake:100");
    pmt_gate_init(&g, &fake, &rss, NULL);
    CHECK_INT(atomic_load(&g.threshold), 1800);
    CHECK_INT(g.first, 1800);
    CHECK_INT(g.peak_after, 32000);
    CHECK(g.stale >= 100000 && g.off_why == NULL && g.random != 0);
    pmt_gate_again(&g, &fake);
    CHECK_INT(atomic_load(&g.threshold), 1800);

    pmt_clock_init(&real, NULL);
    pmt_gate_init(&g, &real, &rss, NULL);
    CHECK(g.first > 0 && g.first < 1000000 && g.zero_ratio > 0);
    CHECK(g.first < g.cheapest && g.reading > 0 && g.reading_ratio > 0.1 && g.reading_ratio < 10);
    uint64_t before = atomic_load(&g.threshold);
    for (int i = 0; i < 5; i++) {
        pmt_gate_again(&g, &real);
        CHECK(atomic_load(&g.threshold) <= before); /* it only ever falls */
        before = atomic_load(&g.threshold);
    }
    CHECK(before > 0);
    CHECK_INT(g.first >= before, 1);

    pmt_gate_init(&g, &real, &rss, "because");
    CHECK_INT(atomic_load(&g.threshold), 0);
    CHECK_INT(g.first, 0);
    CHECK(g.off_why != NULL);
    pmt_gate_again(&g, &real);
    CHECK_INT(atomic_load(&g.threshold), 0);
    pmt_rss_close(&rss);
}

int main(void)
{
    skips_and_reads();
    off();
    audit();
    faster();
    calibration();
    return check_done();
}
