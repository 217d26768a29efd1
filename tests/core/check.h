/* tests/core/check.h - checks that print file:line and are counted; a failed one does not end the program.
 * From one thread only. */
#ifndef PMT_TEST_CHECK_H
#define PMT_TEST_CHECK_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int check_passed, check_failed;

static inline bool check_one(bool good, const char *file, int line, const char *text)
{
    if (good) {
        check_passed++;
    }
    else {
        check_failed++;
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
    }
    return good;
}

static inline bool check_int(long long got, long long want, const char *file, int line, const char *text)
{
    if (!check_one(got == want, file, line, text)) {
        fprintf(stderr, "    got  %lld\n    want %lld\n", got, want);
        return false;
    }
    return true;
}

static inline bool check_bytes(const char *got, size_t n, const char *want, size_t m, const char *file, int line)
{
    if (check_one(n == m && memcmp(got, want, n) == 0, file, line, "the same bytes")) {
        return true;
    }
    size_t i = 0;
    while (i < n && i < m && got[i] == want[i]) {
        i++;
    }
    size_t from = i > 60 ? i - 60 : 0;
    fprintf(stderr, "    %zu and %zu bytes, different at %zu\n    got  ...%.*s\n    want ...%.*s\n", n, m, i,
            (int)(n - from < 300 ? n - from : 300), got + from, (int)(m - from < 300 ? m - from : 300), want + from);
    return false;
}

#define CHECK(good) check_one((good), __FILE__, __LINE__, #good)
#define CHECK_INT(got, want) check_int((long long)(got), (long long)(want), __FILE__, __LINE__, #got " == " #want)
#define CHECK_BYTES(got, n, want, m) check_bytes((got), (n), (want), (m), __FILE__, __LINE__)

static inline int check_done(void)
{
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed != 0;
}

#endif
