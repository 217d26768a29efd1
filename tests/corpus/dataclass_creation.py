"""Making dataclasses and named tuples: the standard library's own exec of made-up source."""

import collections
import dataclasses
import typing


def main():
    @dataclasses.dataclass(order=True)
    class Point:
        x: int
        y: int = 2
        rest: list = dataclasses.field(default_factory=list)

        def __post_init__(self):
            self.rest.append(self.x)

    @dataclasses.dataclass(frozen=True)
    class Frozen:
        value: str

    pair = collections.namedtuple("pair", "a b")

    class Typed(typing.NamedTuple):
        name: str
        number: int = 3

    point = Point(1)
    frozen = Frozen("f")
    try:
        frozen.value = "g"
    except dataclasses.FrozenInstanceError:
        refused = True
    return (
        point.rest,
        repr(point),
        point < Point(2),
        dataclasses.asdict(point),
        dataclasses.replace(frozen, value="h").value,
        hash(frozen) == hash(Frozen("f")),
        refused,
        pair(1, 2)._replace(a=3),
        Typed("n")._asdict(),
    )
