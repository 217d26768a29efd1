"""Weak references with callbacks, weak dictionaries, finalizers."""

import weakref


class Thing:
    def __init__(self, name):
        self.name = name


def main():
    log = []

    def gone(reference):
        log.append("gone" if reference() is None else "alive")

    things = {"a": Thing("a"), "kept": Thing("kept")}
    reference = weakref.ref(things["a"], gone)
    second = weakref.ref(things["a"], lambda _: log.append("second"))
    log.append(reference() is things["a"])
    del things["a"]
    values = weakref.WeakValueDictionary()
    values["kept"] = things["kept"]
    values["lost"] = Thing("lost")
    log.append(sorted(values))
    keys = weakref.WeakKeyDictionary()
    keys[things["kept"]] = 1
    log.append(len(keys))
    finalizer = weakref.finalize(things["kept"], log.append, "finalized")
    log.append(finalizer.alive)
    proxy = weakref.proxy(things["kept"])
    log.append(proxy.name)
    method = weakref.WeakMethod(things["kept"].__init__)
    log.append(method() is not None)
    del things["kept"]
    log.append(len(values))
    log.append(finalizer.alive)
    log.append(second() is None)
    return log
