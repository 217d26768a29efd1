"""The open calls of a thread, rebuilt from its events, none of which is trusted to have come."""

from __future__ import annotations

from typing import Generic, TypeVar

from .model import Event

T = TypeVar("T")

_Key = tuple[bool, str, str]  # is it a C function; file, function


class OpenCalls(Generic[T]):
    """Calls that have begun and not ended, the innermost last: `items` has what is kept of each.

    An event takes no more time than the calls that it ends, whatever a file claims.
    """

    def __init__(self) -> None:
        self.items: list[T] = []
        self._keys: list[_Key] = []
        self._open: dict[_Key, int] = {}  # how often each of them is there

    def ending(self, event: Event) -> int:
        """How many of the innermost calls are over at this event; they are to be taken out by `pop`.

        Usually the one that it ends, or none. A RETURN ends the calls above its own, too: their returns did not come. A
        C_CALL ends a C function that the same file has called: C functions call C functions by Python functions only. A
        return whose call is not there ends nothing.
        """
        keys = self._keys
        if not keys or event.what == "CALL":
            return 0
        top = keys[-1]
        if event.what == "C_CALL":
            return int(top[0] and (len(keys) == 1 or keys[-2][1] == event.file))
        key = (event.what != "RETURN", event.file, event.function)
        if top == key:
            return 1
        if key[0] or key not in self._open:
            return 0
        return next(number for number, one in enumerate(reversed(keys), 1) if one == key)

    def pop(self) -> T:
        """The innermost call; it is over."""
        key = self._keys.pop()
        left = self._open[key] - 1
        if left:
            self._open[key] = left
        else:
            del self._open[key]
        return self.items.pop()

    def push(self, event: Event, item: T) -> None:
        """The call that began with this CALL or C_CALL."""
        key = (event.what == "C_CALL", event.file, event.function)
        self.items.append(item)
        self._keys.append(key)
        self._open[key] = self._open.get(key, 0) + 1
