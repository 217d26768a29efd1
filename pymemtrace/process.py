"""`log_process`: samples of this process's memory and CPU time, as a context manager or a decorator; `write_marker`.

What runs here must be no event of a recording that is on: see `tracing`.
"""

from __future__ import annotations

from .cPyMemTrace import Sampler, hide, write_marker
from .decorating import absolute, decorated, numbered, program

TYPE_CHECKING = False  # `typing` is not imported in the process that is looked at
if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["log_process", "write_marker"]


class log_process(Sampler):
    """Sample this process's RSS and its parts, faults, CPU time and threads at regular intervals (docs/samples.md).

        with pymemtrace.process.log_process(interval=0.01, path="job.rss") as samples:
            work()

        @pymemtrace.process.log_process(path="job.rss")
        def work(): ...

    A thread in C does it, which never takes the GIL. Forked children are not sampled.

    Args:
        interval: seconds between two samples, 0.001 or more.
        path: the file; None: `YYMMDD_HHMMSS_PID.rss` in the current directory. A device or a pipe is used as it is. The
            fields {pid}, {host}, {seq}, {name} and {time} are filled in, {{ and }} are braces.
        pss_interval: least seconds between two readings of PSS and USS, which take long in a large process: never more
            than a hundredth of the time. 0: none.
        overwrite: replace an existing file.

    Raises:
        ValueError, TypeError: an argument that cannot be used, by name.
        On entering: FileExistsError, PermissionError and other OSErrors with the path. Later errors (a full disk) never
        raise: see `error`; leaving gives one RuntimeWarning.

    As a decorator, each call has a file, the second PATH_1 and so on. A call passes through while the last one begun by
    this decorator is on (recursion, other threads and tasks).
    """

    def __init__(
        self,
        interval: float = 0.25,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
        *,
        pss_interval: float = 1.0,
        overwrite: bool = False,
        _name: str | None = None,  # of the program
    ) -> None:
        if callable(interval):
            raise TypeError(
                "interval is a function: a decorator is written @pymemtrace.process.log_process(), with parentheses"
            )
        self._name = absolute(path, "pymemtrace.process.log_process")
        self._options: dict[str, Any] = {
            "interval": interval,
            "pss_interval": pss_interval,
            "overwrite": bool(overwrite),
            "program": program() if _name is None else _name,
        }
        self._begun = 0  # as a decorator
        self._active: Sampler | None = None  # the last one of them
        super().__init__(self._name, **self._options)

    def __call__(self, func: F) -> F:
        """Decorate a function or an `async def`."""
        return decorated(self, func, "pymemtrace.process.log_process")

    def _begin(self) -> Sampler | None:
        """A started sampler; None: the call is to pass through."""
        if self._active is not None and self._active.running:
            return None
        overwrite = self._options["overwrite"]
        name = numbered(self._name, self._begun) if overwrite else self._name
        sampler = Sampler(name, unique=self._name is not None and not overwrite, **self._options)
        sampler.start()
        self._active = sampler
        self._begun += 1
        return sampler

    def _end(self, sampler: Sampler) -> None:
        error = sampler.stop()
        if self._active is sampler:
            self._active = None
        if error is not None:
            import warnings

            warnings.warn(f"{sampler.path}: sampling stopped: {error}", RuntimeWarning, stacklevel=3)


for _function in (log_process.__init__, log_process.__call__, log_process._begin, log_process._end):
    hide(_function.__code__)
del _function
