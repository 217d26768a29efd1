/* make_capture PATH [EVENTS]: a capture as of a program that calls much: some hundred functions in four threads that take
 * turns, each function with its own steps, loops and times, calls nested up to 40 deep, RSS changed at one event in about
 * a thousand. Always the same for the same number of events. What a reader must find stands in its last text. */
#include <inttypes.h>

#include "capture_builder.h"

#define FUNCTIONS 400u  /* a tree: each calls up to three others, the last ones the shared ones; some call themselves */
#define SHARED 20u
#define ALL (FUNCTIONS + SHARED)
#define C_FUNCTIONS 60u
#define STEPS 7u        /* of a function, at most */
#define THREADS 4u
#define TURN 9973u      /* events until the next thread's */
#define BLOCK_EVENTS 8192u /* as a recorder makes them */
#define DEEPEST 40u
#define FIRST 16u

/* Sites: of function f the CALL, the RETURN, and of each step's C function C_CALL, C_RETURN. */
#define SITES_OF (2 + 2 * STEPS)
#define CALL_OF(f) (FIRST + (f) * SITES_OF)
#define RETURN_OF(f) (CALL_OF(f) + 1)
#define C_CALL_OF(f, step) (CALL_OF(f) + 2 + (step) * 2)
#define C_FUNCTION_OF(f, step) (mix((f) * STEPS + (step)) % C_FUNCTIONS)
#define MODULE_OF(f) ((f) / 10)

typedef struct frame {
    uint32_t function, step, loops, in_c; /* in_c: 1 + step whose C function runs, 0: none */
} frame;

static uint64_t seed = 88172645463325252u;
static int64_t net[ALL], net_c[MODULE_OF(ALL) + 1][C_FUNCTIONS]; /* bytes */

static inline uint32_t random_below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) * n >> 32);
}

static inline uint32_t mix(uint32_t x) /* what is always so for x, as if by chance */
{
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}

static void file_of(char *file, size_t n, uint32_t module)
{
    snprintf(file, n, "/srv/app/module_%u.py", module);
}

static void definitions(builder *b)
{
    char file[64], name[64];
    b_begin(b, B_DEFINITIONS);
    for (uint32_t i = 0; i < THREADS; i++) {
        snprintf(name, sizeof name, "worker %u", i);
        b_thread(b, i, 1000 + i, i == 0 ? "MainThread" : name);
    }
    for (uint32_t f = 0; f < ALL; f++) {
        file_of(file, sizeof file, MODULE_OF(f));
        snprintf(name, sizeof name, "function_%u", f);
        b_code(b, f + 1, f % 10 * 40 + 1, file, name);
        b_site(b, CALL_OF(f), f + 1, B_CALL, f % 10 * 40 + 1, "");
        b_site(b, RETURN_OF(f), f + 1, B_RETURN, f % 10 * 40 + 9, "");
        for (uint32_t step = 0; step < STEPS; step++) {
            snprintf(name, sizeof name, "c_%u", C_FUNCTION_OF(f, step));
            b_site(b, C_CALL_OF(f, step), f + 1, B_C_CALL, f % 10 * 40 + 2 + step, name);
            b_site(b, C_CALL_OF(f, step) + 1, f + 1, B_C_RETURN, f % 10 * 40 + 2 + step, name);
        }
    }
    b_finish(b);
}

static uint32_t enter(frame *stack, uint32_t *depth, uint32_t f)
{
    uint32_t loops = mix(f + 7) % 5 * 3;
    stack[++*depth] = (frame){.function = f, .loops = random_below(16) == 0 ? random_below(40) : loops};
    return CALL_OF(f);
}

/* What a function does is the same each time, but for the number of its loops now and then, and for some of its steps:
 * programs are like that. */
static uint32_t next_site(frame *stack, uint32_t *depth)
{
    frame *top = &stack[*depth];
    uint32_t f = top->function;
    if (top->in_c != 0) {
        uint32_t step = top->in_c - 1;
        top->in_c = 0;
        return C_CALL_OF(f, step) + 1;
    }
    for (;;) {
        uint32_t step = top->step++, what = mix(f * 31 + step * 7 + 1);
        if (step >= 2 + f % (STEPS - 2)) {
            if (top->loops-- == 0 && *depth > 0) {
                --*depth;
                return RETURN_OF(f);
            }
            top->loops = *depth > 0 ? top->loops : 1;
            top->step = 0;
            continue;
        }
        if (what % 16 == 0 && random_below(16) == 0) {
            continue; /* an if */
        }
        uint32_t g = f * 3 + 1 + what / 16 % 3;
        bool calls_itself = what % 16 == 1 && random_below(16) == 0, calls = what % 16 < 6;
        if (calls_itself && *depth + 1 < DEEPEST) {
            return enter(stack, depth, f);
        }
        if (calls && f < FUNCTIONS && *depth + 1 < DEEPEST) {
            return enter(stack, depth, g < FUNCTIONS ? g : FUNCTIONS + what / 16 % SHARED);
        }
        top->in_c = 1 + step;
        return C_CALL_OF(f, step);
    }
}

/* Most sites always take about the same time; one in four too long for six bits. */
static uint32_t time_at(uint32_t site)
{
    uint32_t kind = mix(site) % 16, chance = random_below(64);
    return kind < 14 ? 4 + kind * 3 + chance / 16 : kind < 15 ? 70 + kind * 8 + chance : 40 + chance;
}

static void expected(builder *b, uint64_t events, uint64_t rss_first)
{
    char line[200], file[64];
    b_begin(b, B_END);
    snprintf(line, sizeof line, "events %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", events, rss_first, b->rss);
    b_bytes(b, line, strlen(line));
    for (uint32_t f = 0; f < ALL; f++) {
        file_of(file, sizeof file, MODULE_OF(f));
        snprintf(line, sizeof line, "net %s function_%u %" PRId64 "\n", file, f, net[f]);
        b_bytes(b, line, strlen(line));
    }
    for (uint32_t module = 0; module <= MODULE_OF(ALL - 1); module++) {
        for (uint32_t k = 0; k < C_FUNCTIONS; k++) {
            file_of(file, sizeof file, module);
            snprintf(line, sizeof line, "net %s c_%u %" PRId64 "\n", file, k, net_c[module][k]);
            b_bytes(b, line, net_c[module][k] != 0 ? strlen(line) : 0);
        }
    }
    b_finish(b);
}

static void charge(const frame *top, int64_t bytes) /* what happened before an event, to what ran then */
{
    *(top->in_c == 0 ? &net[top->function]
                     : &net_c[MODULE_OF(top->function)][C_FUNCTION_OF(top->function, top->in_c - 1)]) += bytes;
}

int main(int argc, char **argv)
{
    static builder b;
    static frame stacks[THREADS][DEEPEST + 1];
    uint32_t depths[THREADS] = {0}, thread = 0;
    bool begun[THREADS] = {false};
    uint64_t events = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000000u;
    FILE *f = argc > 1 ? fopen(argv[1], "wb") : NULL;
    if (f == NULL) {
        fprintf(stderr, "make_capture PATH [EVENTS]\n");
        return 2;
    }
    b_start(&b, 4096, 1u << 30, 50u << 20);
    uint64_t rss_first = b.rss;
    definitions(&b);
    for (uint64_t done = 0; done < events;) {
        b_begin(&b, B_EVENTS);
        for (uint32_t i = 0; i < BLOCK_EVENTS && done < events; i++, done++) {
            if (done % TURN == TURN - 1) {
                thread = (thread + 1) % THREADS;
                b_switch(&b, thread);
            }
            int64_t pages = 0;
            if (begun[thread] && random_below(1000) == 0) {
                pages = (int64_t)random_below(64) - 31;
                pages = (int64_t)(b.rss >> 12) + pages < 1000 ? 64 : pages;
                charge(&stacks[thread][depths[thread]], pages * 4096);
            }
            /* A thread's first frame is its function 0's, and it never ends. */
            uint32_t site = begun[thread] ? next_site(stacks[thread], &depths[thread]) : CALL_OF(0);
            begun[thread] = true;
            b_event(&b, time_at(site), site, pages);
        }
        b_finish(&b);
        if (fwrite(b.bytes, 1, b.n, f) != b.n) {
            perror(argv[1]);
            return 1;
        }
        b.n = 0;
    }
    expected(&b, events, rss_first);
    if (fwrite(b.bytes, 1, b.n, f) != b.n || fclose(f) != 0) {
        perror(argv[1]);
        return 1;
    }
    b_free(&b);
    printf("%" PRIu64 " events made\n", events);
    return 0;
}
