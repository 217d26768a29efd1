"""What the engine on sys.monitoring is known to see beyond the profile function: docs/how-it-works.md lists it."""

from __future__ import annotations

from collections.abc import Sequence

Key = tuple[str, str, int, str]  # what, file, line, function


def with_missing_calls(events: Sequence[Key]) -> list[Key]:
    """Put a C_CALL before each C_RETURN and C_EXCEPT that has none.

    On Python 3.12.1 the profile function is not told of the call of a built-in function's bound method
    (`types.MethodType(len, x)()`), only of its return.
    """
    complete: list[Key] = []
    open_calls: list[str] = []
    for what, file, line, function in events:
        if what in ("CALL", "C_CALL"):
            open_calls.append(function)
        elif open_calls and open_calls[-1] == function:
            open_calls.pop()
        elif what in ("C_RETURN", "C_EXCEPT"):
            complete.append(("C_CALL", file, line, function))
        complete.append((what, file, line, function))
    return complete
