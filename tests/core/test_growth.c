/* Growth by function: sums, the table's growth, and the cap beyond which everything is one sum. */
#include "check.h"
#include "core/growth.h"

int main(void)
{
    pmt_arena arena = {0};
    pmt_names names;
    pmt_growth g;
    CHECK_INT(pmt_names_init(&names, &arena), 0);
    CHECK_INT(pmt_growth_init(&g, &arena, &names), 0);
    uint32_t file = pmt_names_add(&names, "f.py", 4), f = pmt_names_add(&names, "f", 1);
    pmt_growth_add(&g, file, f, 10, 4096);
    pmt_growth_add(&g, file, f, 10, -8192);
    pmt_growth_add(&g, file, f, 11, 100); /* another line: another entry */
    pmt_growth_add(&g, PMT_NAME_NONE, PMT_NAME_NONE, 0, 77);
    CHECK_INT(g.used, 3);
    int64_t net = 0, up = 0;
    uint32_t times = 0;
    for (uint32_t i = 0; i <= g.mask; i++) {
        net += g.slots[i].net;
        up += g.slots[i].up;
        times += g.slots[i].times;
    }
    CHECK_INT(net, 4096 - 8192 + 100 + 77);
    CHECK_INT(up, 4096 + 100 + 77);
    CHECK_INT(times, 4);
    pmt_names_drop(&names, file); /* its own reference: the entries keep theirs */
    pmt_names_drop(&names, f);
    CHECK(memcmp(pmt_names_at(&names, file)->bytes, "f.py", 4) == 0);

    uint32_t name = pmt_names_add(&names, "g", 1);
    int64_t sum = net;
    for (int round = 0; round < 2; round++) {
        for (int32_t line = 0; line < 70000; line++) {
            pmt_growth_add(&g, file, name, line, line);
            sum += line;
        }
    }
    CHECK_INT(g.used, PMT_MAX_GROWTH);
    CHECK_INT(g.others.times, 2 * (70000 + 3 - PMT_MAX_GROWTH));
    net = g.others.net;
    times = 0;
    for (uint32_t i = 0; i <= g.mask; i++) {
        net += g.slots[i].net;
        times += g.slots[i].times != 0;
    }
    CHECK_INT(net, sum);
    CHECK_INT(times, PMT_MAX_GROWTH);
    pmt_growth_free(&g);
    pmt_growth_free(&g);
    pmt_names_free(&names);
    CHECK_INT(arena.mapped, 0);
    return check_done();
}
