"""`trace`: one recording of this process, as a context manager or a decorator.

The context manager's enter and exit are the C methods of `Tracer`, so that the first event is the first of the body.
Everything else that runs here can run while an outer recording is on. It must be no event of that: each function is
hidden (its frames, and what it calls directly in C), so none may call a Python function that is not ours. Hence no
functools.wraps and no os.path here, and no comprehensions, which are frames of their own before Python 3.12.

The other names come from the extension; the commands take them from here.
"""

from __future__ import annotations

import atexit
import os

from .cPyMemTrace import (
    Tracer,
    bare_call,
    family,
    family_end,
    family_note,
    hide,
    info,
    profile_wrapper_depth,
    recover,
    rss,
    rss_peak,
    run_main,
)
from .decorating import absolute, decorated, numbered, program, script_name
from .family import recover_left_overs

TYPE_CHECKING = False  # `typing` is not imported in the traced process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    F = TypeVar("F", bound=Callable[..., Any])

__all__ = [
    "Tracer",
    "bare_call",
    "family",
    "family_note",
    "hide",
    "info",
    "recover",
    "rss",
    "rss_peak",
    "run_main",
    "script_name",
    "trace",
]

LOGS = ("all", "threshold", "previous", "none")
COMPUTES = ("nothing", "rss", "all")
FORMATS = ("text", "binary")
ENGINES = ("auto", "profile", "monitoring")
HOOK = f"{__file__.rpartition('/')[0]}/hook"  # the folder that is first on PYTHONPATH
MAX_SIZE = 2**62  # bytes; larger than any RSS


class trace(Tracer):
    """Record this process's RSS at every Python and C call and return.

        with pymemtrace.trace("job.log", log="previous") as t:
            work()

        @pymemtrace.trace("job.log")
        def work(): ...

    Args:
        path: the log; None: `YYMMDD_HHMMSS_PID.log` in the current directory. A device or a pipe is used as it is. The
            fields {pid}, {host}, {seq}, {name} and {time} are filled in, {{ and }} are braces.
        log: which events become rows: "all", "threshold" (the default), "previous" or "none" (docs/log-format.md). A
            capture has all.
        threshold: least change of RSS that is logged, bytes; None: one page; 0: every event.
        compute: "nothing", "rss" or "all"; other than "all" only with log="none", to measure overhead.
        format: "text", or "binary": a capture of every event (docs/capture-format.md); None: by the path, *.pmt is one.
        keep: of a capture, only the last events, in so many bytes of disk: at least 1 MiB. None: all. Totals by site
            hold for the whole recording all the same.
        engine: "auto", "profile" (PyEval_SetProfile, on every Python) or "monitoring" (sys.monitoring, from 3.12 on);
            "auto" takes the cheaper one that gives the same events. The header of the file says which, and why.
        children: record the Python processes that this one starts meanwhile, each in a file of its own: `job_PID.log`
            beside job.log. PYMEMTRACE and PYTHONPATH in os.environ say so to them (docs/children.md).
        message: the first thing in the file, as given.
        overwrite: replace an existing file.
        comments: write the lines that start with `# `.
        sample: seconds between two samples of memory and CPU, in job.rss beside job.log (docs/samples.md); None: none.

    Raises:
        ValueError, TypeError: an argument that cannot be used, by name.
        On entering: ValueError, an engine that cannot be used here; FileExistsError, PermissionError and other OSErrors
        with the path; RuntimeError if another thread is recording. Later errors (a full disk) never raise: see `error`;
        leaving gives one RuntimeWarning.

    As a decorator, each call is a recording, the second in PATH_1.log and so on. A call passes through, unrecorded by
    itself, while a recording begun by this decorator is on (recursion, other threads and tasks), or while another
    thread records. An `async def` is recorded from its first step to its end, with all that runs meanwhile.
    Generators and async generators: TypeError.
    """

    def __init__(
        self,
        path: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
        *,
        log: str | None = None,
        threshold: int | None = None,
        compute: str = "all",
        format: str | None = None,
        keep: int | None = None,
        engine: str = "auto",
        children: bool = True,
        message: str | None = None,
        overwrite: bool = False,
        comments: bool = True,
        sample: float | None = None,
        _name: str | None = None,  # of the program
        _run: tuple[str | None, str | None] = (None, None),  # that this process joins: its family file, its first file
    ) -> None:
        name = absolute(path, "pymemtrace.trace")
        _check("log", log, LOGS, optional=True)
        _check("compute", compute, COMPUTES)
        _check("format", format, FORMATS, optional=True)
        _check("engine", engine, ENGINES)
        if format is None:
            capture = name.endswith(".pmt") if name is not None else keep is not None
            format = "binary" if capture else "text"
        if format == "binary" and log not in (None, "all"):
            raise ValueError(
                f'a capture (format "binary", the default for *.pmt) has every event; log={log!r} is for text, '
                "and for those who print it: `python -m pymemtrace events --log ...`"
            )
        if message is not None and not isinstance(message, str):
            raise TypeError(f"message must be a str, not {type(message).__name__}")
        self._options: dict[str, Any] = {
            "log": log or ("all" if format == "binary" else "threshold"),
            "format": format,
            "keep": _size("keep", keep),
            "threshold": _size("threshold", threshold),
            "compute": compute,
            "engine": engine,
            "message": message,
            "overwrite": bool(overwrite),
            "comments": bool(comments),
            "sample": sample,
        }
        self._options["program"] = program() if _name is None else _name
        self._options["family"], self._options["beside"] = _run
        self._options["children"] = _words(self._options) if children else None
        if children:
            _look_after_children()
        self._name = name
        self._begun = 0  # recordings begun as a decorator
        self._active: Tracer | None = None  # the last one of them
        super().__init__(name, **self._options)

    def __call__(self, func: F) -> F:
        """Decorate a function or an `async def`."""
        return decorated(self, func, "pymemtrace.trace")

    def _begin(self) -> Tracer | None:
        """A started recording; None: the call is to pass through."""
        if self._active is not None and self._active.running:
            return None
        unique = self._name is not None and not self._options["overwrite"]
        name = numbered(self._name, self._begun) if self._options["overwrite"] else self._name
        tracer = Tracer(name, unique=unique, **self._options)
        try:
            tracer.start()
        except RuntimeError:
            if profile_wrapper_depth() == 0:
                raise
            return None  # another thread is recording
        self._active = tracer
        self._begun += 1
        return tracer

    def _end(self, tracer: Tracer) -> None:
        error = tracer.stop()
        if self._active is tracer:
            self._active = None
        if error is not None:
            import warnings

            warnings.warn(f"{tracer.path}: recording stopped: {error}", RuntimeWarning, stacklevel=3)


def _words(options: dict[str, Any]) -> str:
    """The options as `run` has them, for children; the extension adds where their files go."""
    words = f"--log {options['log']}"
    for name in ("threshold", "keep", "sample"):
        if options[name] is not None:
            words += f" --{name} {options[name]}"
    words += f" --compute {options['compute']} --format {options['format']} --engine {options['engine']}"
    return words if options["comments"] else words + " --no-comments"


_at_exit_of: int | None = None  # the process that looks after left-overs


def _look_after_children() -> None:
    global _at_exit_of
    if _at_exit_of is None:
        atexit.register(_end_of_run)
    _at_exit_of = os.getpid()


def _end_of_run() -> None:
    """Complete what children that were killed have left behind. `run` does that before, and speaks of it."""
    if _at_exit_of == os.getpid():
        recover_left_overs(family() or [], recover)
        family_end()


def _check(name: str, value: object, allowed: tuple[str, ...], optional: bool = False) -> None:
    if value in allowed or (optional and value is None):
        return
    raise ValueError(f"{name} must be one of {', '.join(allowed)}; it is {value!r}")


def _size(name: str, value: Any) -> int | None:
    """Bytes."""
    if value is None:
        return None
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number of bytes, not {type(value).__name__}")
    size: int = value.__index__()
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"{name} must be 0 to 2**62 bytes; it is {size}")
    return size


for _function in (
    trace.__init__,
    trace.__call__,
    trace._begin,
    trace._end,
    _words,
    _look_after_children,
    _end_of_run,
    _check,
    _size,
):
    hide(_function.__code__)
del _function
