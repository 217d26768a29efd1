/* Names: kept once, counted, given back and used again; the longest; names whose hashes are the same. */
#include <stdlib.h>

#include "check.h"
#include "core/names.h"

static uint32_t add(pmt_names *n, const char *s)
{
    return pmt_names_add(n, s, strlen(s));
}

static bool is(const pmt_names *n, uint32_t id, const char *s)
{
    const pmt_name *name = pmt_names_at(n, id);
    return name != NULL && name->len == strlen(s) && memcmp(name->bytes, s, name->len) == 0;
}

static void basics(void)
{
    pmt_arena arena = {0};
    pmt_names n;
    CHECK_INT(pmt_names_init(&n, &arena), 0);
    CHECK(pmt_names_at(&n, PMT_NAME_NONE) == NULL);
    pmt_names_keep(&n, PMT_NAME_NONE);
    pmt_names_drop(&n, PMT_NAME_NONE);
    uint32_t a = add(&n, "a.py"), b = add(&n, "b.py"), empty = add(&n, "");
    CHECK(a != 0 && b != 0 && empty != 0 && a != b && b != empty);
    CHECK_INT(add(&n, "a.py"), a);
    CHECK(is(&n, a, "a.py") && is(&n, empty, ""));
    CHECK_INT(n.used, 3);
    pmt_names_drop(&n, a);
    CHECK(is(&n, a, "a.py"));
    pmt_names_keep(&n, a);
    pmt_names_drop(&n, a);
    pmt_names_drop(&n, a);
    CHECK_INT(n.used, 2);
    uint32_t c = add(&n, "c.py"); /* the place and the id of a.py */
    CHECK_INT(c, a);
    CHECK(is(&n, c, "c.py") && is(&n, b, "b.py"));
    CHECK(pmt_names_add(&n, "x\0y", 3) != pmt_names_add(&n, "x\0z", 3));
    CHECK(add(&n, "x") != pmt_names_add(&n, "x\0y", 3));
    pmt_names_free(&n);
    CHECK_INT(arena.mapped, 0);
}

static void longest(void)
{
    pmt_arena arena = {0};
    pmt_names n;
    pmt_names_init(&n, &arena);
    char *big = malloc(PMT_MAX_NAME + 1);
    memset(big, 'x', PMT_MAX_NAME + 1);
    uint32_t fits = pmt_names_add(&n, big, PMT_MAX_NAME), beyond = pmt_names_add(&n, big, PMT_MAX_NAME + 1);
    CHECK_INT(pmt_names_at(&n, fits)->len, PMT_MAX_NAME);
    CHECK(memcmp(pmt_names_at(&n, fits)->bytes, big, PMT_MAX_NAME) == 0);
    CHECK(is(&n, beyond, "<name of 65537 bytes>"));
    int64_t mapped = arena.mapped;
    for (int i = 0; i < 100; i++) { /* all sizes, again and again: no growth */
        uint32_t ids[64];
        for (size_t k = 0; k < 64; k++) {
            big[0] = (char)('A' + (i + (int)k) % 26);
            ids[k] = pmt_names_add(&n, big, k * k * 16 + k);
        }
        for (size_t k = 0; k < 64; k++) {
            pmt_names_drop(&n, ids[k]);
        }
        if (i == 3) {
            mapped = arena.mapped;
        }
    }
    CHECK_INT(arena.mapped, mapped);
    CHECK_INT(n.used, 2);
    free(big);
    pmt_names_free(&n);
    CHECK_INT(arena.mapped, 0);
}

#define MODEL 3000

/* Random adds, keeps and drops against a table of counts; growth of the hash on the way. */
static void against_a_model(void)
{
    static uint32_t id[MODEL], refs[MODEL];
    pmt_arena arena = {0};
    pmt_names n;
    pmt_names_init(&n, &arena);
    memset(id, 0, sizeof id);
    memset(refs, 0, sizeof refs);
    unsigned random = 5, used = 0, bad = 0;
    for (int step = 0; step < 300000; step++) {
        random = random * 1664525u + 1013904223u;
        unsigned k = (random >> 8) % (step < 100000 ? MODEL : MODEL / 10);
        char name[40];
        int len = snprintf(name, sizeof name, "/lib/%u/%s%u.py", k % 7, k % 3 ? "a_longer_name" : "m", k);
        if (random >> 31) {
            uint32_t got = pmt_names_add(&n, name, (size_t)len);
            bad += got == 0 || (refs[k] > 0 && got != id[k]);
            used += refs[k] == 0;
            id[k] = got;
            refs[k]++;
        }
        else if (refs[k] > 0) {
            bad += !is(&n, id[k], name);
            pmt_names_drop(&n, id[k]);
            used -= --refs[k] == 0;
        }
    }
    CHECK_INT(n.used, used);
    for (unsigned k = 0; k < MODEL; k++) {
        for (; refs[k] > 0; refs[k]--) {
            pmt_names_drop(&n, id[k]);
        }
    }
    CHECK_INT(bad, 0);
    CHECK_INT(n.used, 0);
    for (uint32_t i = 0; i <= n.mask; i++) {
        bad += n.slots[i] != 0;
    }
    CHECK_INT(bad, 0);
    pmt_names_free(&n);
    CHECK_INT(arena.mapped, 0);
}

static void growth(void)
{
    pmt_arena arena = {0};
    pmt_names n;
    pmt_names_init(&n, &arena);
    uint32_t first = n.mask, bad = 0;
    static uint32_t ids[50000];
    for (int i = 0; i < 50000; i++) {
        char name[32];
        snprintf(name, sizeof name, "function_%d", i);
        ids[i] = add(&n, name);
    }
    CHECK(n.mask > first);
    CHECK_INT(n.used, 50000);
    for (int i = 0; i < 50000; i++) {
        char name[32];
        snprintf(name, sizeof name, "function_%d", i);
        bad += !is(&n, ids[i], name) || add(&n, name) != ids[i];
    }
    CHECK_INT(bad, 0);
    pmt_names_free(&n);
}

/* Names that share a slot of the hash: found, told apart, and the run stays whole when one in it goes. */
static void collisions(void)
{
    pmt_arena arena = {0};
    pmt_names n;
    pmt_names_init(&n, &arena);
    char same[40][16];
    uint32_t ids[40];
    int found = 0;
    for (int i = 0; found < 40 && i < 4000000; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        uint32_t id = add(&n, name);
        if ((pmt_names_at(&n, id)->hash & n.mask) >= n.mask - 1) { /* the last two slots: the run wraps */
            strcpy(same[found], name);
            ids[found++] = id;
        }
        else {
            pmt_names_drop(&n, id);
        }
    }
    CHECK_INT(found, 40);
    int bad = 0;
    for (int gone = 0; gone < 40; gone += 3) {
        pmt_names_drop(&n, ids[gone]);
        for (int i = 0; i < 40; i++) {
            if (i > gone || i % 3 != 0) {
                bad += add(&n, same[i]) != ids[i];
                pmt_names_drop(&n, ids[i]);
            }
        }
    }
    CHECK_INT(bad, 0);
    pmt_names_free(&n);
    CHECK_INT(arena.mapped, 0);
}

int main(void)
{
    basics();
    longest();
    against_a_model();
    growth();
    collisions();
    return check_done();
}
