#include "core/segments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/capture.h"

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

static bool is_segment(const char *path, uint64_t number, const pmt_pair *of)
{
    uint8_t h[PMT_FILE_HEADER + PMT_BLOCK_HEADER];
    const uint8_t *b = h + PMT_FILE_HEADER;
    char *name = malloc(strlen(path) + PMT_SEGMENT_SUFFIX);
    if (name == NULL) {
        return false;
    }
    pmt_segment_name(name, path, number);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    free(name);
    ssize_t n = fd < 0 ? -1 : pread(fd, h, sizeof h, 0);
    if (fd >= 0) {
        close(fd);
    }
    if (n < (ssize_t)sizeof h) {
        return n >= 0 && memcmp(h, PMT_CAPTURE_MAGIC, n < 8 ? (size_t)n : 8) == 0;
    }
    return memcmp(h, PMT_CAPTURE_MAGIC, 8) == 0 && pmt_load_u32(b) == PMT_BLOCK_MAGIC &&
           pmt_load_u32(b + 4) == PMT_BLOCK_SITES &&
           (of == NULL || (pmt_load_u64(b + 64) == of->clock && pmt_load_u64(b + 72) == (uint64_t)of->ns));
}

int pmt_segments_find(const char *path, const pmt_pair *of, uint64_t **numbers, size_t *count)
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
        if (number == 0 || !is_segment(path, number, of)) {
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
    if (rc < 0) {
        free(*numbers);
        *numbers = NULL;
        *count = 0;
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
