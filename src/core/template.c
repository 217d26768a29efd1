#include "core/template.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef enum field { PID, HOST, SEQ, NAME, TIME, FIELDS } field;

static const char *const names[FIELDS] = {"pid", "host", "seq", "name", "time"};

static field field_named(const char *name, size_t n)
{
    field f = PID;
    while (f < FIELDS && (strlen(names[f]) != n || memcmp(names[f], name, n) != 0)) {
        f++;
    }
    return f;
}

int pmt_template_check(const char *text, const char **bad, size_t *n)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((*p == '{' || *p == '}') && p[1] == *p) {
            p++;
        }
        else if (*p == '{' || *p == '}') {
            const char *end = *p == '{' ? strpbrk(p + 1, "{}") : NULL;
            bool closed = end != NULL && *end == '}';
            if (!closed || field_named(p + 1, (size_t)(end - p - 1)) == FIELDS) {
                *bad = closed ? p + 1 : p;
                *n = closed ? (size_t)(end - p - 1) : 1;
                return -EINVAL;
            }
            p = end;
        }
    }
    return 0;
}

static void put_field(FILE *out, field f, const pmt_fields *fields)
{
    char text[256] = "";
    struct tm local;
    time_t now = time(NULL);
    switch (f) {
    case PID:
        fprintf(out, "%ld", fields->pid);
        return;
    case SEQ:
        fprintf(out, "%u", (unsigned)fields->seq);
        return;
    case HOST:
        gethostname(text, sizeof text - 1);
        break;
    case TIME:
        localtime_r(&now, &local);
        strftime(text, sizeof text, "%y%m%d_%H%M%S", &local);
        break;
    default:
        snprintf(text, sizeof text, "%s", fields->program);
    }
    for (char *p = text; *p != '\0'; p++) { /* a name is one component of a path */
        fputc(*p == '/' ? '_' : *p, out);
    }
}

/* Calls for each field in turn; without an output only looks for one of those that vary. */
static bool walk(const char *text, const pmt_fields *fields, FILE *out)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '{' && p[1] != '{') {
            const char *end = strchr(p, '}');
            field f = end == NULL ? FIELDS : field_named(p + 1, (size_t)(end - p - 1));
            if (f == FIELDS) {
                return false;
            }
            if (out == NULL && (f == PID || f == SEQ)) {
                return true;
            }
            if (out != NULL) {
                put_field(out, f, fields);
            }
            p = end;
        }
        else {
            p += (*p == '{' || *p == '}') && p[1] == *p;
            if (out != NULL) {
                fputc(*p, out);
            }
        }
    }
    return false;
}

bool pmt_template_varies(const char *text)
{
    return walk(text, NULL, NULL);
}

char *pmt_template_expand(const char *text, const pmt_fields *fields)
{
    char *path = NULL;
    size_t n;
    FILE *out = open_memstream(&path, &n);
    if (out == NULL) {
        return NULL;
    }
    walk(text, fields, out);
    if (fclose(out) != 0) {
        free(path);
        return NULL;
    }
    return path;
}

char *pmt_template_escape(const char *path)
{
    char *text = malloc(2 * strlen(path) + 1), *to = text;
    for (; text != NULL && *path != '\0'; path++) {
        if (*path == '{' || *path == '}') {
            *to++ = *path;
        }
        *to++ = *path;
    }
    if (text != NULL) {
        *to = '\0';
    }
    return text;
}

char *pmt_template_child(const char *first, long pid)
{
    size_t n = strlen(first), room = n + 24;
    const char *slash = strrchr(first, '/'), *dot = strrchr(first, '.');
    const char *name = slash == NULL ? first : slash + 1; /* a dot at its beginning begins no suffix */
    size_t stem = dot != NULL && dot > name ? (size_t)(dot - first) : n;
    char *path = malloc(room);
    if (path != NULL) {
        snprintf(path, room, "%.*s_%ld%s", (int)stem, first, pid, first + stem);
    }
    return path;
}
