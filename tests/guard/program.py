"""The program that is measured: python -I -S program.py ROOT ENGINE ROUNDS FOLDER, under callgrind.

Each way to record is recorded three times: shortly (what is done once a process is done then), ROUNDS, 2 * ROUNDS. At
the end of each, os.getpgrp() makes callgrind write down what it has counted since the last time, and a line goes to
stdout: mode, events, readings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

# mode: options of the Tracer, and the name in src/event.h of the way to record that they choose
MODES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"log": "none", "compute": "nothing"}, "count_only"),
    "rss": ({"log": "none", "compute": "rss"}, "rss_only"),
    "none": ({"log": "none"}, "all_none"),
    "threshold": ({"path": os.devnull, "log": "threshold"}, "all_threshold"),
    "previous": ({"path": os.devnull, "log": "previous"}, "all_previous"),
    "all": ({"path": os.devnull, "log": "all"}, "all_all"),
    "capture": ({"path": "capture.pmt", "log": "all", "format": "binary"}, "all_all"),
}
SHORT = 2  # rounds

# Many functions, since filters and hash tables go by addresses: what chance makes of one of them is to weigh little.
BUILTINS = """
    abs(1) all(()) any(()) ascii(1) bin(1) callable(1) chr(100) divmod(1,2) format(1) getattr(1,'real') hash(1) hex(1)
    id(1) isinstance(1,int) iter(()) len('') max(1,2) min(1,2) oct(1) ord('x') pow(1,2) repr(1) round(1) sum(())
"""
METHODS = """
    capitalize casefold isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace
    istitle isupper lower lstrip rsplit rstrip split splitlines strip swapcase title upper
"""
CALLS = [call for pair in zip(BUILTINS.split(), METHODS.split()) for call in (pair[0], f"''.{pair[1]}()")]
LEAF = """
def leaf(odd):
    {}
    if odd:
        {}
    else:
        {}
    return None
"""


def make_leaves() -> list[Callable[[int], None]]:
    """96 functions with code of their own, each with two calls of C functions."""
    leaves = []
    for i in range(2 * len(CALLS)):
        names: dict[str, Any] = {}
        exec(LEAF.format(*(CALLS[(i + k) % len(CALLS)] for k in range(3))), names)
        leaves.append(names["leaf"])
    return leaves


def work(leaves: list[Callable[[int], None]], rounds: int) -> None:
    """576 events a round. One in six is not the one that followed last time; in programs it is one in five."""
    for i in range(rounds):
        odd = i & 1
        for leaf in leaves:
            leaf(odd)


def main(root: str, engine: str, rounds: int, folder: str) -> None:
    sys.path.insert(0, root)
    from pymemtrace.cPyMemTrace import Tracer

    os.chdir(folder)
    leaves = make_leaves()
    for mode, (options, _) in MODES.items():
        for n in (SHORT, rounds, 2 * rounds):
            tracer = Tracer(engine=engine, overwrite=True, **options)
            tracer.start()
            work(leaves, n)
            error = tracer.stop()
            if error is not None:
                raise error
            os.getpgrp()
            stats = tracer.stats()
            print(mode, stats["events"], stats["readings"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
