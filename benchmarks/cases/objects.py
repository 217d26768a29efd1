"""Objects that come and go: instances, their dicts and lists, in chains that live for a while and are dropped whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.cases import read_number, write_number

FULL = "400K"
QUICK = "20K"
CHAIN = 1000  # objects that are alive together


class Node:
    """A link of a chain, with something of its own."""

    def __init__(self, number: int, following: Node | None) -> None:
        self.number = number
        self.following = following
        self.items = [number, number + 1]
        self.named = {"number": number}


def total(node: Node | None) -> int:
    found = 0
    while node is not None:
        found += len(node.items) + len(node.named)
        node = node.following
    return found


def unlink(node: Node | None) -> None:
    """Drop a chain link by link: as one it would be freed by recursion."""
    while node is not None:
        node.following, node = None, node.following


def prepare(folder: Path, size: str) -> None:
    """The size is the number of objects."""
    write_number(folder, size)


def program(folder: Path, scratch: Path) -> Callable[[], object]:
    count = read_number(folder)

    def work() -> int:
        found = 0
        for first in range(0, count, CHAIN):
            chain: Node | None = None
            for number in range(first, min(first + CHAIN, count)):
                chain = Node(number, chain)
            found += total(chain)
            unlink(chain)
        return found

    return work
