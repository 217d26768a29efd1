/* Sites: found, added, dead, used again; against a simple model in random sequences. */
#include <stdlib.h>

#include "check.h"
#include "core/sites.h"

static uint32_t new_code(pmt_sites *s, const char *file, const char *name)
{
    uint32_t id = pmt_sites_new_code(s);
    pmt_sites_code(s, id)->file = pmt_names_add(&s->names, file, strlen(file));
    pmt_sites_code(s, id)->name = pmt_names_add(&s->names, name, strlen(name));
    return id;
}

static void basics(void)
{
    pmt_arena arena = {0};
    pmt_sites s;
    CHECK_INT(pmt_sites_init(&s, &arena), 0);
    uint32_t code = new_code(&s, "f.py", "f");
    uint64_t key = pmt_site_key(code, 12, PMT_C_CALL);
    CHECK_INT(pmt_sites_find(&s, key, 99), 0);
    uint32_t site = pmt_sites_add(&s, key, 99, pmt_names_add(&s.names, "len", 3), 42);
    CHECK(site >= PMT_SITE_FIRST);
    CHECK_INT(pmt_sites_find(&s, key, 99), site);
    CHECK_INT(pmt_sites_find(&s, key, 98), 0);
    CHECK_INT(pmt_sites_find(&s, pmt_site_key(code, 12, PMT_C_RETURN), 99), 0);
    CHECK_INT(pmt_sites_find(&s, pmt_site_key(code, 14, PMT_C_CALL), 99), 0);
    CHECK_INT(pmt_site_kind(pmt_sites_at(&s, site)), PMT_C_CALL);
    CHECK_INT(pmt_sites_at(&s, site)->line, 42);
    CHECK(pmt_site_key(code, -1, PMT_CALL) != pmt_site_key(code, 0, PMT_CALL));
    CHECK(pmt_site_key(code, -1, PMT_CHARGED) != pmt_site_key(code + 1, -1, PMT_CALL));
    pmt_sites_free(&s);
    CHECK_INT(arena.mapped, 0);
}

/* What followed last time is found without a look-up; never what only looks like it. */
static void expected(void)
{
    pmt_arena arena = {0};
    pmt_sites s;
    int f_code, g_code; /* whatever has an address */
    pmt_sites_init(&s, &arena);
    uint32_t f = new_code(&s, "f.py", "f"), g = new_code(&s, "f.py", "g");
    uint32_t call = pmt_sites_add(&s, pmt_site_key(f, -1, PMT_CALL), 0, PMT_NAME_NONE, 1);
    uint32_t len = pmt_sites_add(&s, pmt_site_key(f, 12, PMT_C_CALL), 99, PMT_NAME_NONE, 2);
    uint32_t other = pmt_sites_add(&s, pmt_site_key(g, 12, PMT_C_CALL), 99, PMT_NAME_NONE, 2);
    uint32_t call_place = pmt_site_place(-1, PMT_CALL), len_place = pmt_site_place(12, PMT_C_CALL);
    CHECK_INT(pmt_sites_expect(&s, &f_code, call_place, 0), 0); /* nothing was seen yet */
    for (int round = 0; round < 2; round++) {
        pmt_sites_follow(&s, call, &f_code);
        CHECK_INT(pmt_sites_expect(&s, &f_code, len_place, 99), round == 0 ? 0 : len);
        if (round == 0) {
            pmt_sites_follow(&s, len, &f_code);
        }
    }
    /* now after len; call followed nothing but itself so far */
    pmt_sites_follow(&s, call, &f_code);
    CHECK_INT(pmt_sites_expect(&s, &g_code, len_place, 99), 0); /* another code object */
    CHECK_INT(pmt_sites_expect(&s, &f_code, len_place, 98), 0); /* another C function */
    CHECK_INT(pmt_sites_expect(&s, &f_code, pmt_site_place(12, PMT_C_RETURN), 99), 0);
    CHECK_INT(pmt_sites_expect(&s, &f_code, pmt_site_place(14, PMT_C_CALL), 99), 0);
    CHECK_INT(pmt_sites_expect(&s, &f_code, len_place, 99), len); /* what was refused has moved nothing */
    /* another successor is learned in its place */
    pmt_sites_follow(&s, call, &f_code);
    pmt_sites_follow(&s, other, &g_code);
    pmt_sites_follow(&s, call, &f_code);
    CHECK_INT(pmt_sites_expect(&s, &f_code, len_place, 99), 0);
    CHECK_INT(pmt_sites_expect(&s, &g_code, len_place, 99), other);
    /* g dies, and its address becomes f's: the dead one is not expected */
    pmt_sites_follow(&s, call, &f_code);
    pmt_sites_code_died(&s, g, 10, 10);
    CHECK_INT(pmt_sites_expect(&s, &g_code, len_place, 99), 0);
    /* its number gets another meaning: still no match before that was looked up */
    pmt_sites_reclaim(&s, 10, 100);
    uint32_t h = new_code(&s, "h.py", "h");
    CHECK_INT(h, g);
    uint32_t again = pmt_sites_add(&s, pmt_site_key(h, 12, PMT_C_CALL), 99, PMT_NAME_NONE, 5);
    CHECK_INT(again, other);
    CHECK_INT(pmt_sites_expect(&s, &g_code, len_place, 99), 0);
    pmt_sites_follow(&s, again, &g_code);
    pmt_sites_follow(&s, call, &f_code);
    CHECK_INT(pmt_sites_expect(&s, &g_code, len_place, 99), again);
    /* objects may have died untold, while a nested recording ran */
    pmt_sites_follow(&s, call, &f_code);
    pmt_sites_distrust(&s);
    CHECK_INT(pmt_sites_expect(&s, &g_code, len_place, 99), 0);
    CHECK_INT(pmt_sites_expect(&s, &f_code, call_place, 0), 0);
    pmt_sites_free(&s);
    CHECK_INT(arena.mapped, 0);
}

/* The dead wait for the writer, and for one more event. */
static void death(void)
{
    pmt_arena arena = {0};
    pmt_sites s;
    pmt_sites_init(&s, &arena);
    uint32_t a = new_code(&s, "f.py", "a"), b = new_code(&s, "f.py", "b");
    uint64_t key = pmt_site_key(a, 3, PMT_CALL);
    uint32_t site = pmt_sites_add(&s, key, 0, PMT_NAME_NONE, 1), other = pmt_sites_add(&s, pmt_site_key(b, 3, PMT_CALL), 0, 0, 2);
    uint32_t generation = pmt_sites_at(&s, site)->generation;
    pmt_sites_code_died(&s, a, 100, 50);
    pmt_sites_reclaim(&s, 99, 1000);
    CHECK_INT(pmt_sites_find(&s, key, 0), site); /* the writer is not past it */
    pmt_sites_reclaim(&s, 100, 51);
    CHECK_INT(pmt_sites_find(&s, key, 0), site); /* the event before may still be sent */
    pmt_sites_reclaim(&s, 100, 52);
    CHECK_INT(pmt_sites_find(&s, key, 0), 0);
    CHECK_INT(s.dead_first, 0);
    CHECK_INT(s.dead_last, 0);
    CHECK_INT(s.names.used, 2); /* f.py and b */
    uint32_t c = new_code(&s, "g.py", "c");
    CHECK_INT(c, a);
    uint32_t again = pmt_sites_add(&s, pmt_site_key(c, 8, PMT_RETURN), 0, PMT_NAME_NONE, 9);
    CHECK_INT(again, site);
    CHECK(pmt_sites_at(&s, again)->generation != generation);
    CHECK_INT(pmt_sites_find(&s, pmt_site_key(b, 3, PMT_CALL), 0), other);
    /* the numbers of events wrap at 32 bits */
    pmt_sites_code_died(&s, c, 200, UINT64_C(0xFFFFFFFF));
    pmt_sites_reclaim(&s, 200, UINT64_C(0x100000000));
    CHECK(s.dead_first != 0);
    pmt_sites_reclaim(&s, 200, UINT64_C(0x100000001));
    CHECK_INT(s.dead_first, 0);
    pmt_sites_free(&s);
}

#define CODES 300
#define PER_CODE 12

/* Every site that lives is found and has its own meaning, every other is not, after each of many random steps. */
static void against_a_model(void)
{
    static struct {
        uint32_t id, sites[PER_CODE];
    } model[CODES];
    pmt_arena arena = {0};
    pmt_sites s;
    pmt_sites_init(&s, &arena);
    memset(model, 0, sizeof model);
    unsigned random = 3, bad = 0, live = 0;
    uint64_t events = 0;
    int64_t mapped = 0;
    for (int step = 0; step < 200000; step++, events++) {
        random = random * 1664525u + 1013904223u;
        unsigned k = (random >> 8) % CODES, o = (random >> 20) % PER_CODE;
        if (model[k].id == 0) {
            char name[32];
            snprintf(name, sizeof name, "function_%u", k);
            model[k].id = new_code(&s, "f.py", name);
            bad += model[k].id == 0;
        }
        else if (random % 64 == 0) {
            pmt_sites_code_died(&s, model[k].id, events, events);
            for (unsigned i = 0; i < PER_CODE; i++) {
                live -= model[k].sites[i] != 0;
            }
            memset(&model[k], 0, sizeof model[k]);
            pmt_sites_reclaim(&s, events - (random >> 28), events);
        }
        else {
            uint64_t key = pmt_site_key(model[k].id, (int)o, PMT_C_CALL), function = o % 3;
            uint32_t site = pmt_sites_find(&s, key, function);
            bad += site != model[k].sites[o];
            if (site == 0) {
                char name[16];
                snprintf(name, sizeof name, "c_%u", o);
                model[k].sites[o] = pmt_sites_add(&s, key, function, pmt_names_add(&s.names, name, strlen(name)), (int)k);
                live++;
            }
            else {
                bad += pmt_sites_at(&s, site)->line != (int)k || pmt_sites_at(&s, site)->key != key;
            }
        }
        if (step == 20000) {
            mapped = arena.mapped;
        }
    }
    pmt_sites_reclaim(&s, UINT64_MAX, events + 10);
    CHECK_INT(bad, 0);
    CHECK_INT(s.used, live);
    CHECK_INT(arena.mapped, mapped);
    for (unsigned k = 0; k < CODES; k++) { /* no slot without its site, no site without its slot */
        for (unsigned o = 0; o < PER_CODE; o++) {
            bad += model[k].id != 0 &&
                   pmt_sites_find(&s, pmt_site_key(model[k].id, (int)o, PMT_C_CALL), o % 3) != model[k].sites[o];
        }
    }
    CHECK_INT(bad, 0);
    uint32_t filled = 0;
    for (uint64_t i = 0; i <= s.mask; i++) {
        filled += s.slots[i] != 0;
    }
    CHECK_INT(filled, s.used);
    pmt_sites_free(&s);
    CHECK_INT(arena.mapped, 0);
}

/* A program that compiles in a loop does not grow the tracer. */
static void compiled_in_a_loop(void)
{
    pmt_arena arena = {0};
    pmt_sites s;
    pmt_sites_init(&s, &arena);
    int64_t mapped = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        char file[32];
        snprintf(file, sizeof file, "<generated %d>", (int)i);
        pmt_sites_reclaim(&s, i * 10, i * 2);
        uint32_t code = new_code(&s, file, "f");
        for (int k = 0; k < 4; k++) {
            pmt_sites_add(&s, pmt_site_key(code, k, PMT_CALL), 0, PMT_NAME_NONE, k);
        }
        pmt_sites_code_died(&s, code, i * 10 + 4, i * 2 + 1);
        if (i == 1000) {
            mapped = arena.mapped;
        }
    }
    CHECK_INT(arena.mapped, mapped);
    CHECK(s.high_code < 10 && s.high_site < PMT_SITE_FIRST + 20);
    pmt_sites_free(&s);
}

static void many(void)
{
    pmt_arena arena = {0};
    pmt_sites s;
    pmt_sites_init(&s, &arena);
    uint32_t bad = 0;
    int64_t before = arena.mapped;
    for (uint32_t i = 0; i < 70000; i++) {
        uint32_t code = pmt_sites_new_code(&s);
        bad += pmt_sites_add(&s, pmt_site_key(code, -1, PMT_CALL), 0, PMT_NAME_NONE, (int32_t)i) == 0;
        bad += pmt_sites_add(&s, pmt_site_key(code, 2, PMT_RETURN), 0, PMT_NAME_NONE, (int32_t)i) == 0;
    }
    for (uint32_t code = 1; code <= 70000; code++) {
        uint32_t site = pmt_sites_find(&s, pmt_site_key(code, 2, PMT_RETURN), 0);
        bad += site == 0 || pmt_sites_at(&s, site)->line != (int32_t)code - 1;
    }
    CHECK_INT(bad, 0);
    CHECK(arena.mapped - before <= 140000 * 64 + 70000 * 40 + 262144);
    pmt_sites_free(&s);
    CHECK_INT(arena.mapped, 0);
}

int main(void)
{
    basics();
    expected();
    death();
    against_a_model();
    compiled_in_a_loop();
    many();
    return check_done();
}
