"""A recorder in Python on sys.setprofile: what the real one must see, event for event."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

Event = tuple[str, str, int, str]  # what, file, line, function

WHAT = {
    "call": "CALL",
    "return": "RETURN",
    "c_call": "C_CALL",
    "c_return": "C_RETURN",
    "c_exception": "C_EXCEPT",
}


def run(main: Callable[[], Any]) -> tuple[Any, list[list[Event]]]:
    """Call main() and record it: its result, and the events of each thread in the order of their first event.

    `main` is a Python function, so every event in this function's own frame is the recorder's artefact and left out.
    So is what a thread does before its `run`.
    """
    threads: dict[int, list[Event]] = {}
    own = sys._getframe().f_code
    ident = threading.get_native_id
    main_thread = ident()

    def callback(frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if code is own:
            return
        thread = ident()
        events = threads.get(thread)
        if events is None:
            if thread != main_thread and event == "c_return" and arg.__name__ == "setprofile":
                return  # threading installs us just before it calls run()
            events = threads[thread] = []
        name = arg.__name__ if event[0] == "c" and event[1] == "_" else code.co_name
        line = frame.f_lineno
        events.append((WHAT[event], code.co_filename, -1 if line is None else line, name or "<?>"))

    threading.setprofile(callback)
    sys.setprofile(callback)
    try:
        result = main()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return result, list(threads.values())
