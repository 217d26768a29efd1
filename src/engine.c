/* DESIGN: `auto` takes sys.monitoring where it is: the same events at half the cost. The header names the engine and the
 * reason. PYMEMTRACE_ENGINE changes what `auto` means, for a whole test suite or for a doubt. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

const pmt_engine *pmt_engine_installed;
const char *const pmt_engine_names[3] = {"auto", "profile", "monitoring"};

static const pmt_engine *asked_for(const char *name, const char *by, char *why, size_t room)
{
    const pmt_engine *e = strcmp(name, "profile") == 0 ? &pmt_profile_engine : &pmt_monitoring_engine;
    const char *not = e == pmt_engine_installed ? NULL : e->usable();
    if (not != NULL) {
        PyErr_Format(PyExc_ValueError, "engine \"%s\" cannot be used: %s", name, not);
        return NULL;
    }
    snprintf(why, room, "%s", by);
    return e;
}

const pmt_engine *pmt_engine_choose(pmt_engine_choice choice, char *why, size_t room)
{
    const char *env = getenv("PYMEMTRACE_ENGINE"), *not;
    if (choice != PMT_ENGINE_AUTO) {
        return asked_for(pmt_engine_names[choice], "asked for", why, room);
    }
    if (env != NULL && (strcmp(env, "profile") == 0 || strcmp(env, "monitoring") == 0)) {
        return asked_for(env, "PYMEMTRACE_ENGINE", why, room);
    }
    if (env != NULL && env[0] != '\0' && strcmp(env, "auto") != 0) {
        PyErr_Format(PyExc_ValueError, "PYMEMTRACE_ENGINE must be auto, profile or monitoring, not \"%s\"", env);
        return NULL;
    }
    if (pmt_engine_installed != NULL) {
        snprintf(why, room, "that of the recording around it");
        return pmt_engine_installed;
    }
    not = pmt_monitoring_engine.usable();
    snprintf(why, room, "%s", not != NULL ? not : "the events of the profile function at less cost");
    return not != NULL ? &pmt_profile_engine : &pmt_monitoring_engine;
}
