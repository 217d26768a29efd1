"""Weak references with callbacks, weak dictionaries, finalizers."""

import weakref


class Thing:
    def __init__(self, name):
        self.name = name


def main():
    log = []

    def gone(reference):
        log.append("gone" if reference() is None else "alive")

    thing = Thing("a")
    reference = weakref.ref(thing, gone)
    second = weakref.ref(thing, lambda _: log.append("second"))
    log.append(reference() is thing)
    del thing
    values = weakref.WeakValueDictionary()
    kept = Thing("kept")
    values["kept"] = kept
    values["lost"] = Thing("lost")
    log.append(sorted(values))
    keys = weakref.WeakKeyDictionary()
    keys[kept] = 1
    log.append(len(keys))
    finalizer = weakref.finalize(kept, log.append, "finalized")
    log.append(finalizer.alive)
    proxy = weakref.proxy(kept)
    log.append(proxy.name)
    method = weakref.WeakMethod(kept.__init__)
    log.append(method() is not None)
    del kept, proxy
    log.append(len(values))
    log.append(finalizer.alive)
    log.append(second() is None)
    return log
