#include "core/json.h"

#include <string.h>

#include "core/format.h"

static char *put_unit(char *out, unsigned unit) /* \uXXXX */
{
    static const char hex[] = "0123456789abcdef";
    *out++ = '\\';
    *out++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4) {
        *out++ = hex[unit >> shift & 15];
    }
    return out;
}

char *pmt_json_put(char *out, const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + n;
    while (p < end) {
        uint32_t ch;
        int len = pmt_utf8_decode(p, (size_t)(end - p), &ch);
        if (len <= 0) {
            out = put_unit(out, 0xDC00u + *p++);
            continue;
        }
        if (ch == '"' || ch == '\\') {
            *out++ = '\\';
            *out++ = (char)ch;
        }
        else if (ch < 0x20 || (ch >= 0xD800 && ch <= 0xDFFF)) {
            out = put_unit(out, ch);
        }
        else {
            memcpy(out, p, (size_t)len);
            out += len;
        }
        p += len;
    }
    return out;
}
