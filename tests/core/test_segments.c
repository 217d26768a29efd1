/* Captures of which only the end is kept: their segments, whole and not. */
#include "capture_dump.h"

/* --keep: blocks of events beside the capture, the oldest removed. */
static void segments(void)
{
    static builder main_file, part[4];
    pmt_reader r;
    uint64_t clock = 1000, event = 0, ring = 0;
    b_start(&main_file, 4096, 1000, 40960);
    definitions(&main_file);
    for (unsigned i = 0; i < 4; i++) {
        memset(&part[i], 0, sizeof part[i]);
        b_file(&part[i], 4096);
        part[i].clock = clock;
        part[i].event = event;
        part[i].ring = ring;
        b_begin(&part[i], 6);
        b_byte(&part[i], 1);
        b_finish(&part[i]);
        b_number(&part[i], 16 + 64, 1000, 8); /* the pair of the recording's begin */
        b_number(&part[i], 16 + 72, 1000 * 25 + 1000, 8);
        b_fix_crc(part[i].bytes, part[i].n, 16);
        for (int k = 0; k < 2; k++) {
            b_begin(&part[i], B_EVENTS);
            b_event(&part[i], 1, 16 + i, 0);
            b_event(&part[i], 1, 21, 0);
            b_finish(&part[i]);
        }
        clock = part[i].clock;
        event = part[i].event;
        ring = part[i].ring;
        main_file.clock = clock;
        main_file.event = event;
        main_file.ring = ring;
        b_begin(&main_file, B_DEFINITIONS); /* site 17 means something new from here on: 3 and 4 see it, not 1 and 2 */
        b_site(&main_file, 17, 1, B_CALL, 100 + i, "");
        b_finish(&main_file);
    }
    size_t without_end = main_file.n;
    b_text(&main_file, B_END, "# end\n");
    const char *names[] = {PATH ".9", PATH ".10", PATH ".11", PATH ".12"};
    for (int i = 1; i < 4; i++) { /* the first is gone */
        b_save(part[i].bytes, part[i].n, names[i]);
    }
    b_save("junk", 4, PATH ".ring");
    b_save("junk", 4, PATH ".07");
    b_save("junk", 4, PATH ".1x");
    b_save("junk", 4, "capture.pm.1");
    b_save(main_file.bytes, main_file.n, PATH);
    CHECK_INT(pmt_reader_open(&r, PATH), 0);
    for (int round = 0; round < 2; round++) {
        CHECK_INT(dump(&r), 12);
        CHECK(r.complete);
        CHECK(strncmp(text, "4 1005 0 @0 0 a.py#100 main -\n5 ", 32) == 0);
        CHECK(strstr(text, "8 1009 0 @0 2 a.py#21 work len\n") != NULL);
        CHECK_INT(pmt_reader_rewind(&r), 0);
    }
    pmt_reader_close(&r);
    /* killed: no end, or within a definition; the newest segment just begun, or cut */
    int rc;
    uint64_t events;
    beside = true;
    CHECK(strstr(verdict(main_file.bytes, without_end, &rc, &events), "has no end") != NULL);
    CHECK_INT(events, 12);
    CHECK(strstr(verdict(main_file.bytes, without_end - 3, &rc, &events), "is cut at offset") != NULL);
    CHECK_INT(events, 12);
    b_save(part[3].bytes, 9, PATH ".13");
    CHECK(strstr(verdict(main_file.bytes, without_end, &rc, &events), "has no end") != NULL);
    CHECK_INT(events, 12);
    unlink(PATH ".13");
    b_save(part[3].bytes, part[3].n - 1, names[3]);
    CHECK(strstr(verdict(main_file.bytes, main_file.n, &rc, &events), "segment 12 is cut at offset") != NULL);
    CHECK_INT(events, 10);
    part[3].bytes[part[3].n - 1] ^= 1;
    b_save(part[3].bytes, part[3].n, names[3]);
    CHECK(strstr(verdict(main_file.bytes, main_file.n, &rc, &events), "of segment 12 has a wrong CRC") != NULL);
    CHECK_INT(events, 10);
    part[2].bytes[13] = 0x20; /* another page size */
    b_save(part[2].bytes, part[2].n, names[2]);
    CHECK(strstr(verdict(main_file.bytes, main_file.n, &rc, &events), "segment 11 does not belong") != NULL);
    CHECK_INT(events, 4);
    /* by a path with a folder */
    char path[4200];
    CHECK(getcwd(path, 4096) != NULL);
    strcat(path, "/" PATH);
    CHECK_INT(pmt_reader_open(&r, path), 0);
    CHECK_INT(dump(&r), 4);
    pmt_reader_close(&r);
    for (int i = 0; i < 4; i++) {
        unlink(names[i]);
        b_free(&part[i]);
    }
    b_free(&main_file);
}

int main(void)
{
    segments();
    return check_done();
}
