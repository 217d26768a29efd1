"""C functions that call back into Python."""

import functools
import itertools
import re

WORD = re.compile(r"[a-z]+")


def key(value):
    return -value


def compare(a, b):
    return (a > b) - (a < b)


def replace(match):
    return match.group().upper()


def add(a, b):
    return a + b


def odd(n):
    return n % 2


class Loud:
    def __init__(self, n):
        self.n = n

    def __lt__(self, other):
        return self.n < other.n

    def __eq__(self, other):
        return self.n == other.n

    def __hash__(self):
        return hash(self.n)

    def __len__(self):
        return self.n

    def __repr__(self):
        return "Loud({!r})".format(self.n)

    def __format__(self, spec):
        return spec + str(self.n)


@functools.lru_cache(maxsize=None)
def cached(n):
    return n + 1


@functools.singledispatch
def dispatched(value):
    return "object"


@dispatched.register(int)
def _(value):
    return "int"


def main():
    cached.cache_clear()
    louds = [Loud(n) for n in (3, 1, 2)]
    out = [
        sorted([3, 1, 2], key=key),
        sorted([3, 1, 2], key=functools.cmp_to_key(compare)),
        list(map(add, [1, 2], [3, 4])),
        list(filter(odd, range(5))),
        functools.reduce(add, [1, 2, 3, 4]),
        WORD.sub(replace, "ab cd 12 ef"),
        re.sub("x", lambda match: "y", "axbx"),
        max([1, 5, 2], key=key),
        min(louds).n,
        [each.n for each in sorted(louds)],
        repr(sorted(louds, reverse=True)),
        f"{louds[0]:>} {louds[1]!r}",
        "{:!}".format(louds[2]),
        len(louds[0]),
        len({Loud(1), Loud(1), Loud(2)}),
        {Loud(1): "a"}[Loud(1)],
        Loud(2) in louds,
        louds.index(Loud(2)),
        functools.partial(add, 1)(2),
        [cached(n) for n in (1, 1, 2)],
        dispatched(1),
        dispatched("x"),
        list(itertools.accumulate([1, 2, 3], add)),
        [(k, list(group)) for k, group in itertools.groupby([1, 3, 2, 4], odd)],
        list(iter(functools.partial(next, iter([1, 2, 0, 3])), 0)),
    ]
    return out
