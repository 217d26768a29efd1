/* Numbers at all widths against snprintf, and every kind of escape. */
#include <inttypes.h>
#include <stdlib.h>

#include "check.h"
#include "core/format.h"

static void one_number(uint64_t v, unsigned width)
{
    char got[128], want[128];
    memset(got, '~', sizeof got);
    char *end = pmt_put_left(got, v, width);
    int n = snprintf(want, sizeof want, "%-*" PRIu64, (int)width, v);
    if (end != got + n || memcmp(got, want, (size_t)n) != 0 || got[PMT_NUMBER_ROOM] != '~') {
        CHECK_BYTES(got, (size_t)(end - got), want, (size_t)n);
    }
    memset(got, '~', sizeof got);
    end = pmt_put_right(got, (int64_t)v, width);
    n = snprintf(want, sizeof want, "%*" PRId64, (int)width, (int64_t)v);
    if (end != got + n || memcmp(got, want, (size_t)n) != 0 || got[PMT_NUMBER_ROOM] != '~') {
        CHECK_BYTES(got, (size_t)(end - got), want, (size_t)n);
    }
    memset(got, '~', sizeof got);
    end = pmt_put_u64(got, v);
    n = snprintf(want, sizeof want, "%" PRIu64, v);
    if (end != got + n || memcmp(got, want, (size_t)n) != 0 || got[PMT_NUMBER_ROOM] != '~') {
        CHECK_BYTES(got, (size_t)(end - got), want, (size_t)n);
    }
    uint64_t us = v & INT64_MAX;
    if (us / 1000000 < 1000000000) { /* where a double has the six decimals */
        memset(got, '~', sizeof got);
        end = pmt_put_seconds(got, (int64_t)us, width);
        n = snprintf(want, sizeof want, "%-*.6f", (int)width, (double)us / 1e6);
        if (end != got + n || memcmp(got, want, (size_t)n) != 0 || got[PMT_NUMBER_ROOM] != '~') {
            CHECK_BYTES(got, (size_t)(end - got), want, (size_t)n);
        }
    }
}

static void numbers(void)
{
    static const uint64_t around[] = {0, 9, 10, 99, 100, 101, 999, 1000, 999999, 1000000, 1000001, 59999999};
    uint64_t random = 88172645463325252u;
    for (unsigned width = 0; width <= 16; width++) {
        for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
            one_number(around[i], width);
            one_number(0 - around[i], width);
        }
        uint64_t power = 1;
        for (int digits = 0; digits < 20; digits++, power *= 10) {
            one_number(power, width);
            one_number(power - 1, width);
            one_number(0 - power, width);
        }
        one_number(UINT64_MAX, width);
        one_number((uint64_t)INT64_MAX, width);
        one_number((uint64_t)INT64_MIN, width);
        for (int i = 0; i < 2000; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            one_number(random >> (i % 64), width);
        }
    }
    CHECK(true);
}

static size_t whole(char *out, const char *name, size_t n, bool spaces, size_t piece) /* as a sink does it */
{
    size_t total = 0;
    while (n > 0) {
        size_t used = 0, part = n < piece ? n : piece;
        total += pmt_escape(out + total, name, part, spaces, &used);
        if (used == 0 || used > part) {
            CHECK(!"some of the name was taken, and no more than offered");
            return total;
        }
        name += used;
        n -= used;
    }
    return total;
}

static void escape(const char *name, size_t n, bool spaces, const char *want)
{
    char out[2048];
    for (size_t piece = 4; piece <= 80; piece += piece < 12 ? 1 : 17) {
        size_t got = whole(out, name, n, spaces, piece);
        CHECK_BYTES(out, got, want, strlen(want));
    }
}

#define ESCAPE(name, want) escape(name, sizeof(name) - 1, false, want)
#define ESCAPE_FUNCTION(name, want) escape(name, sizeof(name) - 1, true, want)

static void escapes(void)
{
    ESCAPE("", "");
    ESCAPE("plain name.py", "plain name.py");
    ESCAPE_FUNCTION("a b#c", "a\\x20b\\x23c");
    ESCAPE("a b#c", "a b#c");
    ESCAPE("\n\r\t\\", "\\n\\r\\t\\\\");
    ESCAPE("\x01\x1b\x1f\x7f", "\\x01\\x1b\\x1f\\x7f");
    ESCAPE("a\0b", "a\\x00b");
    ESCAPE("\xc2\x80 \xc2\x85 \xc2\x9f \xc2\xa0", "\\x80 \\x85 \\x9f \xc2\xa0"); /* U+0080 to U+009F; U+00A0 is text */
    ESCAPE("\xe2\x80\xa8|\xe2\x80\xa9|\xe2\x80\xa7|\xe2\x80\xaa", "\\u2028|\\u2029|\xe2\x80\xa7|\xe2\x80\xaa");
    ESCAPE("\xed\xa0\x80|\xed\xbf\xbf|\xed\x9f\xbf|\xee\x80\x80", "\\ud800|\\udfff|\xed\x9f\xbf|\xee\x80\x80");
    ESCAPE("\xe2\x82\xac \xf0\x9f\x90\x8d \xc3\xa9", "\xe2\x82\xac \xf0\x9f\x90\x8d \xc3\xa9");
    ESCAPE("\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf");
    /* no UTF-8: each byte by itself */
    ESCAPE("\x80z\xbfz\xffz\xfez", "\\x80z\\xbfz\\xffz\\xfez");
    ESCAPE("\xc0\x80", "\\xc0\\x80");
    ESCAPE("\xc1\xbf", "\\xc1\\xbf");
    ESCAPE("\xe0\x80\x80", "\\xe0\\x80\\x80");
    ESCAPE("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");
    ESCAPE("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf");
    ESCAPE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
    ESCAPE("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80");
    ESCAPE("\xc3(", "\\xc3(");
    ESCAPE("\xe2\x82(", "\\xe2\\x82(");
    ESCAPE("\xf0\x9f\x90(", "\\xf0\\x9f\\x90(");
    /* cut by the end of the name itself */
    ESCAPE("ab\xc3", "ab\\xc3");
    ESCAPE("ab\xe2\x82", "ab\\xe2\\x82");
    ESCAPE("ab\xf0\x9f\x90", "ab\\xf0\\x9f\\x90");
    ESCAPE("\xf0", "\\xf0");
}

static bool valid_line(const char *p, size_t n) /* UTF-8 that stays on one line */
{
    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)p[i];
        size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
        if (c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xC2) || c > 0xF4 || i + len > n) {
            return false;
        }
        uint32_t ch = len == 1 ? c : c & (0x7Fu >> len);
        for (size_t k = 1; k < len; k++) {
            if ((p[i + k] & 0xC0) != 0x80) {
                return false;
            }
            ch = ch << 6 | (p[i + k] & 0x3Fu);
        }
        if ((len == 3 && ch < 0x800) || (len == 4 && (ch < 0x10000 || ch > 0x10FFFF)) || (ch >= 0x80 && ch < 0xA0) ||
            ch == 0x2028 || ch == 0x2029 || (ch >= 0xD800 && ch < 0xE000)) {
            return false;
        }
        i += len;
    }
    return true;
}

static void random_bytes(void)
{
    static const char likely[] = {'a', ' ', '#', '\n', '\\', 0, (char)0x80, (char)0xA8, (char)0xBF, (char)0xC2, (char)0xE2,
                                  (char)0xED, (char)0xA0, (char)0xF0, (char)0x9F, (char)0xF4, (char)0xFF, (char)0x7F};
    unsigned random = 7;
    int bad = 0;
    for (int round = 0; round < 20000; round++) {
        char name[100], once[100 * PMT_ESCAPE_GROWTH + 1], pieces[100 * PMT_ESCAPE_GROWTH + 1];
        random = random * 1664525u + 1013904223u;
        size_t n = (random >> 8) % 100;
        for (size_t i = 0; i < n; i++) {
            random = random * 1664525u + 1013904223u;
            name[i] = round % 2 ? likely[(random >> 16) % sizeof likely] : (char)(random >> 16);
        }
        bool spaces = round % 3 == 0;
        size_t a = whole(once, name, n, spaces, 100), b = whole(pieces, name, n, spaces, 4 + (unsigned)round % 61);
        bad += a != b || memcmp(once, pieces, a) != 0;
        bad += a > n * PMT_ESCAPE_GROWTH || !valid_line(once, a);
        bad += spaces && (memchr(once, ' ', a) != NULL || memchr(once, '#', a) != NULL);
    }
    CHECK_INT(bad, 0);
}

int main(void)
{
    numbers();
    escapes();
    random_bytes();
    CHECK_BYTES(pmt_kind_names[4], 8, "C_EXCEPT", 8);
    return check_done();
}
