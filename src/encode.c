#include "encode.h"

PyObject *pmt_str_name;

size_t pmt_encode(PyObject *str, char *out, size_t room)
{
    size_t n = 0;
    Py_ssize_t len = PyUnicode_GET_LENGTH(str);
    int kind = PyUnicode_KIND(str);
    const void *data = PyUnicode_DATA(str);
    for (Py_ssize_t i = 0; i < len; i++) {
        Py_UCS4 ch = PyUnicode_READ(kind, data, i);
        char bytes[4];
        size_t size = ch < 0x80 ? 1 : ch < 0x800 ? 2 : ch < 0x10000 ? 3 : 4;
        for (size_t k = size; k-- > 1; ch >>= 6) {
            bytes[k] = (char)(0x80 | (ch & 0x3F));
        }
        static const unsigned char lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
        bytes[0] = (char)(lead[size] | ch);
        for (size_t k = 0; k < size; k++, n++) {
            if (n < room) {
                out[n] = bytes[k];
            }
        }
    }
    return n;
}
