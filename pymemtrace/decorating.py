"""What `trace` and `log_process` share: a file for each call of a decorated function, and its name.

All of it can run while a recording is on, and must be no event of that: see `tracing`.
"""

from __future__ import annotations

import os
import sys

from .cPyMemTrace import hide

TYPE_CHECKING = False  # `typing` is not imported in the traced process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

    class Decorator(Protocol):
        def _begin(self) -> Any: ...  # what was started; None: the call is to pass through
        def _end(self, begun: Any) -> None: ...


# Flags of code objects, as in `inspect`, which takes longer to import than all of ours.
_CO_GENERATOR = 0x20
_CO_COROUTINE = 0x80
_CO_ASYNC_GENERATOR = 0x200

# What functools.wraps copies.
_COPIED = ("__module__", "__name__", "__qualname__", "__doc__", "__type_params__") + (
    ("__annotate__",) if sys.version_info >= (3, 14) else ("__annotations__",)
)

_MISSING = object()


def decorated(self: Decorator, func: F, who: str) -> F:
    """The function or `async def`, with self._begin() before each call and self._end() after it. Raises: TypeError.

    who: the decorator's name.
    """
    if not callable(func):
        raise TypeError(f"{who}() decorates functions, not {type(func).__name__}")
    flags = _flags(func)
    if flags & (_CO_GENERATOR | _CO_ASYNC_GENERATOR):
        raise TypeError(
            f"{who}() cannot decorate the generator {getattr(func, '__qualname__', func)!s}: "
            f"its body runs in pieces; use `with {who}(...)` where it is consumed"
        )
    wrapper = _recorded_async(self, func) if flags & _CO_COROUTINE else _recorded(self, func)
    hide(wrapper.__code__)
    for name in _COPIED:
        value = getattr(func, name, _MISSING)
        if value is not _MISSING:
            setattr(wrapper, name, value)
    wrapper.__dict__.update(getattr(func, "__dict__", {}))
    wrapper.__wrapped__ = func
    return wrapper  # type: ignore[no-any-return]


def _recorded(self: Decorator, func: Callable[..., Any]) -> Any:
    def recorded(*args: Any, **kwargs: Any) -> Any:
        begun = self._begin()
        if begun is None:
            return func(*args, **kwargs)
        try:
            return func(*args, **kwargs)
        finally:
            self._end(begun)

    return recorded


def _recorded_async(self: Decorator, func: Callable[..., Any]) -> Any:
    async def recorded(*args: Any, **kwargs: Any) -> Any:
        begun = self._begin()
        if begun is None:
            return await func(*args, **kwargs)
        try:
            return await func(*args, **kwargs)
        finally:
            self._end(begun)

    return recorded


def _flags(func: Any) -> int:
    """The flags of the code that a call of `func` runs; 0 when it is not Python code."""
    functools = sys.modules.get("functools")  # if nobody imported it, nothing is a partial
    while functools is not None and isinstance(func, functools.partial):
        func = func.func
    if getattr(func, "_is_coroutine_mark", None) is not None:  # inspect.markcoroutinefunction, Python 3.12
        return _CO_COROUTINE
    func = getattr(func, "__func__", func)  # methods, staticmethod
    code = getattr(func, "__code__", None)
    if code is None:
        code = getattr(type(func).__call__, "__code__", None)
    return getattr(code, "co_flags", 0)


def absolute(path: Any, who: str) -> str | None:
    """The path as text. who: the decorator's name. Raises: TypeError, ValueError."""
    if path is None:
        return None
    if callable(path) and not hasattr(path, "__fspath__"):
        raise TypeError(f"path is a function: a decorator is written @{who}(), with parentheses")
    given: str | bytes = os.fspath(path)
    if isinstance(given, bytes):
        name = given.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())
    else:
        name = given
    if not name:
        raise ValueError("path is empty; None makes a name")
    if not name.startswith("/"):
        try:
            name = f"{os.getcwd().replace('{', '{{').replace('}', '}}')}/{name}"
        except OSError:
            pass  # the current directory is gone; opening the file will say so
    return name


def numbered(name: str | None, number: int) -> str | None:
    """The path with _1, _2 ... from the second recording on, where that replaces existing files. number: from 0."""
    if name is None or number == 0:
        return name
    try:
        if os.stat(name).st_mode & 0o170000 != 0o100000:
            return name  # a device or a pipe
    except OSError:
        pass
    folder, slash, last = name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    if not stem:  # no suffix, or a name like `.log`
        stem, dot, suffix = last, "", ""
    return f"{folder}{slash}{stem}_{number}{dot}{suffix}"


def program() -> str:
    """What {name} in a path stands for."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", None)
    if isinstance(name, str):  # -m
        package = f"{name}"[:-9] if name.endswith(".__main__") else f"{name}"
        return package.rpartition(".")[2]
    argv = getattr(sys, "argv", None) or [""]
    return "c" if argv[0] == "-c" else script_name(argv[0])


def script_name(path: str) -> str:
    """The file's name without .py; "python" where there is none."""
    name = path.rstrip("/").rpartition("/")[2]
    if name.endswith(".py"):
        name = name[:-3]
    return name if name not in ("", "-") else "python"


for _function in (
    decorated,
    _recorded,
    _recorded_async,
    _flags,
    absolute,
    numbered,
    program,
    script_name,
):
    hide(_function.__code__)
del _function
