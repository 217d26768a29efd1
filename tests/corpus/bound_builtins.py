"""C functions by every road: modules, bound methods, methods of types, partials, slots, types."""

import functools
import math
import operator
from types import MethodType


def main():
    values = [3, 1, 2]
    append = values.append
    append(4)
    values.sort()
    upper = "abc".upper
    getter = operator.itemgetter(1)
    attribute = operator.attrgetter("real")
    caller = operator.methodcaller("upper")
    return (
        values,
        upper(),
        math.sqrt(4),
        [abs(n) for n in (-1, 2)],
        int("3"),
        float("1.5"),
        str(5),
        list((1, 2)),
        dict(a=1),
        tuple([1]),
        range(3),
        bytes(2),
        bytearray(b"x"),
        "a,b".split(","),
        b"a b".split(),
        dict.fromkeys("ab"),
        int.from_bytes(b"\x01", "big"),
        bytes.fromhex("00ff"),
        getter(values),
        attribute(3),
        caller("x"),
        functools.partial(pow, 2)(3),
        "".join(map(chr, [97, 98])),
        values.__len__(),
        values.__getitem__(0),
        (1).__add__(2),
        "x".__eq__("y"),
        object.__repr__ is not None,
        type(values).__name__,
        type("x")("y"),
        operator.add(1, 2),
        max(1, 2),
        divmod(7, 3),
        MethodType(operator.add, 1)(2),
        sum(values),
        callable(append),
        vars().get("values") is values,
        locals().get("upper") is upper,
        repr(values),
        hash(1),
        id(values) == id(values),
        slice(1).indices(3),
        {1, 2}.union({3}),
        frozenset([1]).issubset({1}),
    )
