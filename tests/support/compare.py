"""Run in a process of its own: a program of the corpus under the reference recorder and under the real one.

Arguments: the program's name, the mode of the log, the threshold, the log's path. The same function is called from the
same depth each time, after it has run often enough to be warm, without garbage collection and without switches of
thread that nothing asks for, so that both must see the same.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from typing import Any

from support import reference
from support.child import report


def record(main: Callable[[], Any], path: str, mode: str, threshold: int) -> tuple[Any, Any]:
    import pymemtrace

    with pymemtrace.trace(path, log=mode, threshold=threshold) as recording:
        result = main()
    return result, recording


def compare(program: str, mode: str, threshold: int, path: str) -> None:
    main = importlib.import_module(f"corpus.{program}").main
    gc.disable()
    sys.setswitchinterval(30)
    for _ in range(3):
        plain = main()
    expected = reference.run(main)
    traced, recording = record(main, path, mode, threshold)
    again = reference.run(main)
    report(
        plain=repr(plain),
        traced=repr(traced),
        steady=again == expected and repr(expected[0]) == repr(plain),
        threads=expected[1],
        events=recording.events,
        logged=recording.events_logged,
        error=recording.error and str(recording.error),
    )


if __name__ == "__main__":
    compare(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
