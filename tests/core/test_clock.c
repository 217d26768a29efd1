/* Clocks, their pairs, and the way from a clock to seconds: exact between pairs, never backwards. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "core/clock.h"

static void kinds(void)
{
    pmt_clock c;
    pmt_clock_init(&c, "monotonic");
    CHECK_INT(c.kind, PMT_CLOCK_MONOTONIC);
    CHECK(strcmp(pmt_clock_name(&c), "monotonic") == 0);
    uint64_t a = pmt_clock_ticks(&c), b = pmt_clock_ticks(&c);
    CHECK(b >= a && a > 0);
    CHECK(pmt_clock_ticks_per_second(&c) == 1e9);
    pmt_clock_init(&c, "fake:25");
    CHECK_INT(c.kind, PMT_CLOCK_FAKE);
    a = pmt_clock_ticks(&c);
    pmt_pair pair = pmt_clock_pair(&c);
    CHECK_INT(pmt_clock_ticks(&c), a + 25); /* the pair moved nothing */
    CHECK_INT(pair.ns, a);
    CHECK_INT(pair.clock, a >> PMT_CLOCK_SHIFT);
    pmt_clock_init(&c, "");
    CHECK(c.kind == (pmt_tsc_invariant() ? PMT_CLOCK_TSC : PMT_CLOCK_MONOTONIC));
    pmt_pair first = pmt_clock_pair(&c), last = first;
    for (int i = 0; i < 1000; i++) {
        pmt_pair next = pmt_clock_pair(&c);
        if (next.clock < last.clock || next.ns < last.ns) {
            CHECK(!"pairs go forwards");
        }
        last = next;
    }
    CHECK(pmt_clock_ticks_per_second(&c) > 1e6);
}

static void process_start(void)
{
    int64_t start = pmt_clock_process_start_ns(), now = pmt_clock_monotonic_ns(), apart = INT64_MAX;
    CHECK(start <= now && now - start < 60000000000);
    for (int i = 0; i < 5; i++) { /* it asks two clocks, and may be held up between them */
        int64_t again = pmt_clock_process_start_ns() - start;
        again = again < 0 ? -again : again;
        apart = again < apart ? again : apart;
    }
    CHECK(apart < 20000000);
}

static void interpolation(void)
{
    pmt_timeline t;
    pmt_timeline_init(&t, (pmt_pair){1000, 2000000}, 1000000);
    pmt_timeline_block(&t, (pmt_pair){2000, 4000000}); /* 2,000 ns a unit */
    CHECK_INT(pmt_timeline_us(&t, 1000), 1000);
    CHECK_INT(pmt_timeline_us(&t, 1500), 2000);
    CHECK_INT(pmt_timeline_us(&t, 2000), 3000);
    pmt_timeline_done(&t, (pmt_pair){2000, 4000000});
    pmt_timeline_block(&t, (pmt_pair){3000, 5000000}); /* the clock got slower: 1,000 ns a unit */
    CHECK_INT(pmt_timeline_us(&t, 1900), 3000);        /* never backwards */
    CHECK_INT(pmt_timeline_us(&t, 2000), 3000);
    CHECK_INT(pmt_timeline_us(&t, 2500), 3500);
    CHECK_INT(pmt_timeline_us(&t, 2400), 3500);
    CHECK_INT(pmt_timeline_us(&t, 3000), 4000);
    pmt_timeline_done(&t, (pmt_pair){3000, 5000000});
    pmt_timeline_block(&t, (pmt_pair){3000, 5000000}); /* no time has passed: the old rate */
    CHECK_INT(pmt_timeline_us(&t, 3000), 4000);
    pmt_timeline_done(&t, (pmt_pair){2000, 1});        /* a pair that went backwards is not taken */
    CHECK_INT(t.from.clock, 3000);
}

/* Blocks of real time, as the writer makes them: every event within a millisecond of CLOCK_MONOTONIC. */
static void follows_the_clock(unsigned rest_us, int blocks)
{
    enum { N = 50 };
    pmt_clock c;
    pmt_timeline t;
    uint64_t clocks[N];
    int64_t ns[N], worst = 0;
    pmt_clock_init(&c, NULL);
    pmt_timeline_init(&t, pmt_clock_pair(&c), 0);
    for (int block = 0; block < blocks; block++) {
        for (int i = 0; i < N; i++) {
            pmt_pair p = pmt_clock_pair(&c);
            clocks[i] = p.clock;
            ns[i] = p.ns;
            if (rest_us > 0) {
                usleep(rest_us);
            }
        }
        pmt_pair end = pmt_clock_pair(&c);
        pmt_timeline_block(&t, end);
        for (int i = 0; i < N; i++) {
            int64_t off = pmt_timeline_us(&t, clocks[i]) - ns[i] / 1000;
            off = off < 0 ? -off : off;
            worst = off > worst ? off : worst;
        }
        pmt_timeline_done(&t, end);
    }
    CHECK(worst <= 1000);
}

static void spend(int64_t ns)
{
    for (int64_t until = pmt_clock_monotonic_ns() + ns; pmt_clock_monotonic_ns() < until;) {
    }
}

/* A writer that was held up by a slow disk takes what had gathered in several blocks, one right after the other. The
 * events of all but the first are then older than the pair before their block, by as long as the writer was held up. */
static void gathered_while_held_up(void)
{
    enum { N = 16 };
    pmt_clock c;
    pmt_timeline t;
    uint64_t clocks[N];
    int64_t ns[N], worst = 0, best = INT64_MAX; /* of rounds: in one the process may be held up between two clocks */
    pmt_clock_init(&c, NULL);
    for (int round = 0; round < 3; round++) {
        int64_t here = 0;
        pmt_timeline_init(&t, pmt_clock_pair(&c), 0);
        for (int i = 0; i < N; i++) {
            pmt_pair p = pmt_clock_pair(&c);
            clocks[i] = p.clock;
            ns[i] = p.ns;
            usleep(i == N - 1 ? 1000000 : 1000);
        }
        for (int i = 0; i < N; i++) { /* a block each; 100 us: what 2,048 rows take to be formatted */
            pmt_pair end = pmt_clock_pair(&c);
            pmt_timeline_block(&t, end);
            int64_t off = pmt_timeline_us(&t, clocks[i]) - ns[i] / 1000;
            off = off < 0 ? -off : off;
            here = off > here ? off : here;
            pmt_timeline_done(&t, end);
            spend(100000);
        }
        worst = here > worst ? here : worst;
        best = here < best ? here : best;
    }
    if (getenv("PMT_TEST_VERBOSE") != NULL || best > 1000 || worst > 10000) {
        fprintf(stderr, "    held up for a second: off by %lld to %lld microseconds at most\n", (long long)best,
                (long long)worst);
    }
    CHECK(best <= 1000 && worst <= 10000);
}

int main(void)
{
    kinds();
    process_start();
    interpolation();
    follows_the_clock(0, 200);
    follows_the_clock(100, 20);
    gathered_while_held_up();
    return check_done();
}
