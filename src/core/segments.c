#include "core/segments.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The number in `name` if it is "BASE.number"; 0: it is not. */
static uint64_t number_of(const char *name, const char *base)
{
    size_t n = strlen(base);
    if (strncmp(name, base, n) != 0 || name[n] != '.' || name[n + 1] < '1') {
        return 0;
    }
    uint64_t number = 0;
    for (const char *p = name + n + 1; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || number > UINT64_MAX / 10 - 1) {
            return 0;
        }
        number = number * 10 + (uint64_t)(*p - '0');
    }
    return number;
}

int pmt_segments_find(const char *path, uint64_t **numbers, size_t *count)
{
    *numbers = NULL;
    *count = 0;
    const char *slash = strrchr(path, '/'), *base = slash == NULL ? path : slash + 1;
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(base - path));
    if (folder == NULL) {
        return -ENOMEM;
    }
    DIR *dir = opendir(folder);
    free(folder);
    int rc = 0;
    size_t room = 0;
    for (struct dirent *e; rc == 0 && dir != NULL && (e = readdir(dir)) != NULL;) {
        uint64_t number = number_of(e->d_name, base);
        if (number == 0) {
            continue;
        }
        if (*count == room) {
            uint64_t *more = realloc(*numbers, (room = room * 2 + 64) * sizeof *more);
            *numbers = more == NULL ? *numbers : more;
            rc = more == NULL ? -ENOMEM : 0;
        }
        if (rc == 0) {
            (*numbers)[(*count)++] = number;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (*count > 0) {
        qsort(*numbers, *count, sizeof **numbers, by_number);
    }
    return rc;
}

void pmt_segment_name(char *to, const char *path, uint64_t number)
{
    size_t n = strlen(path);
    memcpy(to, path, n);
    snprintf(to + n, PMT_SEGMENT_SUFFIX, ".%" PRIu64, number);
}
