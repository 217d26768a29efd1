"""__del__: by del, by leaving a function, inside C functions, with an exception, with resurrection."""

import sys

LOG = []
KEPT = []


class Loud:
    def __init__(self, name):
        self.name = name

    def __del__(self):
        LOG.append(self.name)


class Resurrecting:
    def __del__(self):
        KEPT.append(self)


class Failing:
    def __del__(self):
        raise ValueError("in a destructor")


class Calling:
    def __del__(self):
        helper(len("destructor"))


def helper(n):
    LOG.append(n)


def leave():
    local = Loud("local")
    other = Loud("other")
    return local.name + other.name


def temporary():
    Loud("temporary").name.upper()
    return Loud("value").name


def raising():
    guard = Loud("guard")
    raise ValueError(guard.name)


def main():
    LOG.clear()
    KEPT.clear()
    box = [Loud("single")]
    del box[0]
    leave()
    temporary()
    many = [Loud(str(n)) for n in range(3)]
    many.clear()
    mapping = {"a": Loud("in a dict")}
    mapping.pop("a")
    mapping["b"] = Loud("replaced")
    mapping["b"] = [Loud("inner"), Loud("last")]
    del mapping["b"]
    try:
        raising()
    except ValueError:
        LOG.append("caught")
    Resurrecting()
    LOG.append(len(KEPT))
    KEPT.clear()
    Calling()
    hook = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: LOG.append(type(unraisable.exc_value).__name__)
    try:
        Failing()
    finally:
        sys.unraisablehook = hook
    return list(LOG)
