#include "core/format.h"

#include <string.h>

const char *const pmt_kind_names[5] = {"CALL", "RETURN", "C_CALL", "C_RETURN", "C_EXCEPT"};

static const char pairs[] = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
                            "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

/* Fixed sizes are copied where a few bytes too many do no harm: the room that every caller leaves (PMT_NUMBER_BYTES). */
static const char spaces16[16] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};

static char *digits(char *end, uint64_t value) /* writes backwards from end; where they begin */
{
    while (value >= 100) {
        end -= 2;
        memcpy(end, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, pairs + value * 2, 2);
    }
    else {
        *--end = (char)('0' + value);
    }
    return end;
}

static char *put_digits(char *p, uint64_t value)
{
    char text[2 * PMT_NUMBER_BYTES] = {0};
    char *begin = digits(text + PMT_NUMBER_BYTES, value);
    memcpy(p, begin, PMT_NUMBER_BYTES - 4); /* 20 digits are the most */
    return p + (text + PMT_NUMBER_BYTES - begin);
}

char *pmt_put_u64(char *p, uint64_t value)
{
    return put_digits(p, value);
}

static char *pad_to(char *p, char *end)
{
    if (p >= end) {
        return p;
    }
    memcpy(p, spaces16, sizeof spaces16); /* no width is above 16 */
    return end;
}

char *pmt_put_left(char *p, uint64_t value, unsigned width)
{
    return pad_to(put_digits(p, value), p + width);
}

char *pmt_put_right(char *p, int64_t value, unsigned width)
{
    char text[2 * PMT_NUMBER_BYTES] = {0};
    char *begin = digits(text + PMT_NUMBER_BYTES, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0) {
        *--begin = '-';
    }
    unsigned n = (unsigned)(text + PMT_NUMBER_BYTES - begin);
    p = n < width ? pad_to(p, p + (width - n)) : p;
    memcpy(p, begin, PMT_NUMBER_BYTES - 4);
    return p + n;
}

char *pmt_put_seconds(char *p, int64_t microseconds, unsigned width)
{
    char *start = p;
    uint64_t seconds = (uint64_t)microseconds / 1000000;
    uint32_t fraction = (uint32_t)((uint64_t)microseconds - seconds * 1000000);
    p = put_digits(p, seconds);
    *p++ = '.';
    memcpy(p, pairs + fraction / 10000 * 2, 2);
    memcpy(p + 2, pairs + fraction / 100 % 100 * 2, 2);
    memcpy(p + 4, pairs + fraction % 100 * 2, 2);
    return pad_to(p + 6, start + width);
}

int pmt_utf8_decode(const unsigned char *p, size_t n, uint32_t *ch)
{
    if (p[0] < 0x80) {
        *ch = p[0];
        return 1;
    }
    int len = p[0] >= 0xC2 && p[0] <= 0xDF ? 2 : (p[0] & 0xF0) == 0xE0 ? 3 : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4 : -1;
    if (len < 0) {
        return -1;
    }
    uint32_t value = p[0] & (0x7Fu >> len);
    for (int i = 1; i < len; i++) {
        if ((size_t)i >= n) {
            return 0;
        }
        if ((p[i] & 0xC0) != 0x80) {
            return -1;
        }
        value = value << 6 | (p[i] & 0x3Fu);
    }
    if ((len == 3 && value < 0x800) || (len == 4 && (value < 0x10000 || value > 0x10FFFF))) {
        return -1;
    }
    *ch = value;
    return len;
}

static char *put_hex(char *p, char letter, uint32_t value, int digits)
{
    *p++ = '\\';
    *p++ = letter;
    for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
        *p++ = "0123456789abcdef"[value >> shift & 15];
    }
    return p;
}

static char *put_char(char *out, const char *bytes, int len, uint32_t ch, bool spaces)
{
    if (ch == '\n' || ch == '\r' || ch == '\t' || ch == '\\') {
        *out++ = '\\';
        *out++ = ch == '\n' ? 'n' : ch == '\r' ? 'r' : ch == '\t' ? 't' : '\\';
        return out;
    }
    if (ch < 0x20 || (ch >= 0x7F && ch < 0xA0) || (spaces && (ch == ' ' || ch == '#'))) {
        return put_hex(out, 'x', ch, 2);
    }
    if (ch == 0x2028 || ch == 0x2029 || (ch >= 0xD800 && ch <= 0xDFFF)) {
        return put_hex(out, 'u', ch, 4);
    }
    memcpy(out, bytes, (size_t)len);
    return out + len;
}

size_t pmt_escape(char *out, const char *name, size_t n, bool spaces, size_t *used)
{
    char *p = out;
    size_t i = 0;
    while (i < n) {
        uint32_t ch = 0;
        int len = pmt_utf8_decode((const unsigned char *)name + i, n - i, &ch);
        if (len == 0 && i > 0) {
            break;
        }
        if (len <= 0) { /* not UTF-8: the byte itself */
            p = put_hex(p, 'x', (unsigned char)name[i], 2);
            len = 1;
        }
        else {
            p = put_char(p, name + i, len, ch, spaces);
        }
        i += (size_t)len;
    }
    *used = i;
    return (size_t)(p - out);
}

void pmt_put_columns(FILE *f, bool previous)
{
    if (previous) {
        fprintf(f, "      %-12s %-6s  %-12s %-8s %-80s#%4s %-32s %12s %12s\n", "Event", "dEvent", "Clock", "What", "File",
                "line", "Function", "RSS", "dRSS");
    }
    else {
        fprintf(f, "%-12s %-12s %-8s %-120s#%4s %-32s %12s\n", "Event", "Clock", "What", "File", "line", "Function", "RSS");
    }
}
