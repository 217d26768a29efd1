#include "core/format.h"

#include <string.h>

const char *const pmt_kind_names[5] = {"CALL", "RETURN", "C_CALL", "C_RETURN", "C_EXCEPT"};

static const char pairs[] = "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
                            "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static unsigned digits_into(char end[PMT_NUMBER_BYTES], uint64_t value) /* right-aligned at the end; how many */
{
    char *p = end + PMT_NUMBER_BYTES;
    while (value >= 100) {
        p -= 2;
        memcpy(p, pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        p -= 2;
        memcpy(p, pairs + value * 2, 2);
    }
    else {
        *--p = (char)('0' + value);
    }
    return (unsigned)(end + PMT_NUMBER_BYTES - p);
}

char *pmt_put_u64(char *p, uint64_t value)
{
    char text[PMT_NUMBER_BYTES];
    unsigned n = digits_into(text, value);
    memcpy(p, text + PMT_NUMBER_BYTES - n, n);
    return p + n;
}

static char *pad(char *p, const char *end)
{
    while (p < end) {
        *p++ = ' ';
    }
    return p;
}

char *pmt_put_left(char *p, uint64_t value, unsigned width)
{
    char *start = p;
    return pad(pmt_put_u64(p, value), start + width);
}

char *pmt_put_right(char *p, int64_t value, unsigned width)
{
    char text[PMT_NUMBER_BYTES];
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    unsigned n = digits_into(text, magnitude);
    if (value < 0) {
        text[PMT_NUMBER_BYTES - ++n] = '-';
    }
    p = pad(p, p + (n < width ? width - n : 0));
    memcpy(p, text + PMT_NUMBER_BYTES - n, n);
    return p + n;
}

char *pmt_put_seconds(char *p, int64_t microseconds, unsigned width)
{
    char *start = p;
    uint64_t fraction = (uint64_t)microseconds % 1000000;
    p = pmt_put_u64(p, (uint64_t)microseconds / 1000000);
    *p++ = '.';
    memcpy(p, pairs + fraction / 10000 * 2, 2);
    memcpy(p + 2, pairs + fraction / 100 % 100 * 2, 2);
    memcpy(p + 4, pairs + fraction % 100 * 2, 2);
    return pad(p + 6, start + width);
}

/* One character of UTF-8, surrogates allowed: its bytes, 0 if it is cut by the end, -1 if it is none. */
static int decode(const unsigned char *p, size_t n, uint32_t *ch)
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
        int len = decode((const unsigned char *)name + i, n - i, &ch);
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
