/* make_capture PATH [EVENTS]: a capture as of a program that calls much: two threads that take turns, some hundred sites,
 * calls nested up to 40 deep, RSS changed at one event in about a thousand. The same for the same number of events. */
#include <inttypes.h>

#include "core/capture_builder.h"

#define FUNCTIONS 120u
#define C_FUNCTIONS 60u
#define BLOCK_EVENTS 65536u
#define DEEPEST 40u
#define FIRST 16u

/* Sites: of function f the CALL, the RETURN, and of each of 3 calls of C functions C_CALL, C_RETURN. */
#define SITES_OF 8u
#define CALL_OF(f) (FIRST + (f) * SITES_OF)
#define RETURN_OF(f) (CALL_OF(f) + 1)
#define C_CALL_OF(f, k) (CALL_OF(f) + 2 + (k) * 2)

typedef struct frame {
    uint32_t function, step, in_c; /* in_c: 1 + which C function runs, 0: none */
} frame;

static uint64_t seed = 88172645463325252u;

static uint32_t random_below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) * n >> 32);
}

static void definitions(builder *b)
{
    char file[64], name[64];
    b_begin(b, B_DEFINITIONS);
    b_thread(b, 0, 1000, "MainThread");
    b_thread(b, 1, 1001, "worker");
    for (uint32_t f = 0; f < FUNCTIONS; f++) {
        snprintf(file, sizeof file, "/srv/app/module_%u.py", f / 10);
        snprintf(name, sizeof name, "function_%u", f);
        b_code(b, f + 1, f % 10 * 40 + 1, file, name);
        b_site(b, CALL_OF(f), f + 1, B_CALL, f % 10 * 40 + 1, "");
        b_site(b, RETURN_OF(f), f + 1, B_RETURN, f % 10 * 40 + 9, "");
        for (uint32_t k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "c_%u", (f * 3 + k) % C_FUNCTIONS);
            b_site(b, C_CALL_OF(f, k), f + 1, B_C_CALL, f % 10 * 40 + 2 + k, name);
            b_site(b, C_CALL_OF(f, k) + 1, f + 1, B_C_RETURN, f % 10 * 40 + 2 + k, name);
        }
    }
    b_finish(b);
}

/* What a function does, step by step, is the same each time, but for one choice in eight: programs are like that. */
static uint32_t next_site(frame *stack, uint32_t *depth)
{
    frame *top = &stack[*depth];
    if (top->in_c != 0) {
        uint32_t k = top->in_c - 1;
        top->in_c = 0;
        return C_CALL_OF(top->function, k) + 1;
    }
    uint32_t step = top->step++, choice = (top->function * 7 + step * 13) % 16;
    if (random_below(8) == 0) {
        choice = random_below(16);
    }
    if (*depth > 0 && step >= 2 + top->function % 5) {
        uint32_t f = top->function;
        --*depth;
        return RETURN_OF(f);
    }
    uint32_t f = top->function * 2 + 1 + choice % 2; /* a tree of functions, whose leaves call themselves */
    f = f < FUNCTIONS ? f : top->function;
    if (choice < 8 || *depth + 1 == DEEPEST) {
        top->in_c = 1 + choice % 3;
        return C_CALL_OF(top->function, choice % 3);
    }
    stack[++*depth] = (frame){.function = f};
    return CALL_OF(f);
}

int main(int argc, char **argv)
{
    static builder b;
    static frame stacks[2][DEEPEST];
    uint32_t depths[2] = {0, 0}, thread = 0;
    uint64_t events = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000000u;
    FILE *f = argc > 1 ? fopen(argv[1], "wb") : NULL;
    if (f == NULL) {
        fprintf(stderr, "make_capture PATH [EVENTS]\n");
        return 2;
    }
    b_start(&b, 4096, 1u << 30, 50u << 20);
    definitions(&b);
    for (uint64_t done = 0; done < events;) {
        b_begin(&b, B_EVENTS);
        for (uint32_t i = 0; i < BLOCK_EVENTS && done < events; i++, done++) {
            if (done % 7919 == 7918) {
                thread ^= 1;
                b_switch(&b, thread);
            }
            int64_t pages = 0;
            if (random_below(1000) == 0) {
                pages = (int64_t)random_below(64) - 31;
                pages = (int64_t)(b.rss >> 12) + pages < 1000 ? 64 : pages;
            }
            uint32_t time = random_below(100) == 0 ? 60 + random_below(300) : 1 + random_below(3);
            b_event(&b, time, next_site(stacks[thread], &depths[thread]), pages);
        }
        b_finish(&b);
        if (fwrite(b.bytes, 1, b.n, f) != b.n) {
            perror(argv[1]);
            return 1;
        }
        b.n = 0;
    }
    b_text(&b, B_END, "# end\n");
    if (fwrite(b.bytes, 1, b.n, f) != b.n || fclose(f) != 0) {
        perror(argv[1]);
        return 1;
    }
    b_free(&b);
    printf("%" PRIu64 " events\n", events);
    return 0;
}
