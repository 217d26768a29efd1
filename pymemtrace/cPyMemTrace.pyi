"""The C extension: the recorder itself. `pymemtrace.trace` and the command line stand on it."""

from collections.abc import Callable, Iterator, Mapping
from types import CodeType, TracebackType
from typing import Any, NoReturn

class Tracer:
    """One recording of this process: RSS at every Python and C call and return, into a file.

    Args:
        path: the output, a template with {pid}, {host}, {seq}, {name}, {time} ({{ and }} for braces); None:
            `{time}_{pid}.log` in the current directory. Made absolute at the start.
        log: "all", "threshold", "previous" or "none": which events become rows (docs/log-format.md).
        threshold: least change of RSS that is logged, bytes; None or -1: one page; 0: every event.
        compute: "nothing", "rss" or "all"; other than "all" only with log="none".
        engine: "auto", "profile" or "monitoring".
        message: the first thing in the file, as given.
        overwrite: replace an existing regular file (by a new inode) instead of FileExistsError.
        comments: write the `# ` lines.
        unique: if the path exists, try NAME_1, NAME_2 ... before the suffix.
        children: this recording's options as a command line of `run`, without -o and -f: forked children record into
            files of their own, and Pythons that the program starts find it in PYMEMTRACE. None: neither.
        family: path of the family file of a run that this process joins.
        beside: the first file of that run.
        program: what {name} stands for in `path`; None: "python".
        sample: seconds between two samples of memory and CPU time, in NAME.rss beside NAME.log; None: none.

    Raises:
        ValueError: an unknown option value, a negative threshold, options that exclude each other.
    """

    def __init__(
        self,
        path: str | bytes | None = None,
        *,
        log: str = "threshold",
        threshold: int | None = None,
        compute: str = "all",
        engine: str = "auto",
        message: str | None = None,
        overwrite: bool = False,
        comments: bool = True,
        unique: bool = False,
        format: str | None = None,
        keep: int | None = None,
        children: str | None = None,
        family: str | None = None,
        beside: str | None = None,
        program: str | None = None,
        sample: float | None = None,
    ) -> None: ...
    def start(self) -> None:
        """Open the output and record from the caller's next event on.

        Raises: FileExistsError, PermissionError, other OSError with the path; RuntimeError when another
        thread is recording (its log is named) or where recording is impossible.
        """

    def stop(self) -> OSError | None:
        """Uninstall, drain, write the end, close. A second call does nothing. Returns `error`; never raises."""

    def __enter__(self) -> Tracer: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """stop(); one RuntimeWarning if the recording had ended by an error."""

    def write_message(self, text: str) -> None:
        """Put a `# text` line into the log, in order. Raises: ValueError when not recording."""

    def growth(self, limit: int = 5) -> list[tuple[str, int, str, int, int]]:
        """Who grew most, charged by the rule: (file, line, function, net bytes, times), largest first; -1: all."""

    def stats(self) -> dict[str, Any]:
        """All counters of the recording so far; bytes, seconds, counts (docs/api.md lists the keys)."""

    @property
    def path(self) -> str | None: ...  # absolute once started
    @property
    def running(self) -> bool: ...
    @property
    def events(self) -> int: ...
    @property
    def events_logged(self) -> int: ...
    @property
    def rss_peak(self) -> int: ...  # largest RSS or `# peak` within the recording, bytes
    @property
    def error(self) -> OSError | None: ...

class Sampler:
    """This process's memory and CPU time at regular intervals, by a thread that never takes the GIL (docs/samples.md).

    Args:
        path: the file, a template as for Tracer; None: `{time}_{pid}.rss` in the current directory.
        interval: seconds between two samples, 0.001 to 86400.
        pss_interval: least seconds between two readings of PSS and USS; 0: none.
        overwrite, unique, program: as for Tracer.

    Raises:
        ValueError, TypeError: an argument that cannot be used, by name.
    """

    def __init__(
        self,
        path: str | bytes | None = None,
        *,
        interval: float = 0.25,
        pss_interval: float = 1.0,
        overwrite: bool = False,
        unique: bool = False,
        program: str | None = None,
    ) -> None: ...
    def start(self) -> None:
        """Open the file, write header and first sample, start the thread.

        Raises: FileExistsError, PermissionError, other OSError with the path; RuntimeError when started before.
        """

    def stop(self) -> OSError | None:
        """One more sample, then end. A second call does nothing. Returns `error`; never raises."""

    def __enter__(self) -> Sampler: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        """stop(); one RuntimeWarning if sampling had ended by an error."""

    def stats(self) -> dict[str, Any]:
        """What was sampled so far: path, interval and seconds, ticks and missed, rss_first, rss_peak and rss_last in
        bytes, error. Empty before the start."""

    @property
    def path(self) -> str | None: ...  # absolute once started
    @property
    def running(self) -> bool: ...  # in this process
    @property
    def ticks(self) -> int: ...  # samples written
    @property
    def missed(self) -> int: ...  # ticks that were not made
    @property
    def error(self) -> OSError | None: ...

def write_marker(text: str) -> bool:
    """A named mark in the file of every running sampler, now; it is there when this returns.

    Returns whether there is one. Raises: TypeError.
    """

class Profile:
    """The established interface: a context manager that logs RSS changes.

    d_rss_trigger: -1 one page, 0 every event, n at least n bytes. message: first thing in the file.
    filepath: the log, may be an existing empty file; None: the default name.
    """

    def __init__(self, d_rss_trigger: int = -1, message: str | None = None, filepath: str | None = None) -> None: ...
    def __enter__(self) -> Profile: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None
    ) -> None: ...
    def log_file_path(self) -> str | None:
        """Path of the log while it records, None after the end."""

    def write_message_to_log(self, text: str) -> None:
        """Raises: OSError after the end."""

class CaptureReader:
    """A capture, read back. Each pass opens the file anew; nothing stays open but in iterators.

    Raises: OSError with the path; ValueError, one sentence with the path, for what is no capture or of a later version.
    """

    def __init__(self, path: str | bytes) -> None: ...
    def __iter__(self) -> Iterator[tuple[int, float, str, str, int, str, int, int, int]]: ...
    def events(self) -> Iterator[tuple[int, float, str, str, int, str, int, int, int]]:
        """(event, clock in seconds since the process started, what, file, line, function, RSS, dRSS, thread).

        Ends where the capture ends or is cut. One iterator is for one thread at a time.
        """

    def peaks(self) -> list[tuple[int, int, str, int, str]]:
        """Temporaries that lifted the peak: (bytes, event before which it was seen, file, line, function charged)."""

    def tree(self, timeline: int = 0) -> dict[str, Any]:
        """The calling-context tree by the charging rule.

        Columns, lists with an item a node; a parent stands before its children, and the first four nodes are all, what
        ran before the recording, the recorder's own memory, nested recordings: `parent` (index), `file`, `line`,
        `function`, `is_c`, `calls`, `up`, `down`, `peak` (bytes), `seconds`; `net_inclusive`, `up_inclusive`,
        `down_inclusive`, `peak_inclusive`, `seconds_inclusive`.
        Totals: `events`, `unmatched`, `skipped`, `returns_before` (counts), `rss_first`, `rss_last`, `rss_peak`,
        `foreign` (bytes), `total_seconds`. `why` and `end` as below, of the same pass;
        `thread_names` (thread number -> name) of those that were known at its end.

        timeline: 16 to 1,048,576: also RSS over time in at most so many moments, `timeline`: a list of (seconds since
        the first event, RSS or peak in bytes, is it the peak of a temporary, index of the node that had run until then,
        thread); and the columns `at_peak` and `at_peak_inclusive`: net bytes up to the moment when RSS, or a temporary,
        was highest. 0: neither.
        """

    def totals(self) -> list[tuple[str, int, str, int, int]] | None:
        """Of the recorder: (file, line, function, net bytes, times). None: it did not come to write them."""

    def site_totals(self) -> list[tuple[str, str, int, str, int, int]] | None:
        """What every place saw in the whole recording, also in what `keep` has dropped: (what, file, line, function,
        events, bytes by which RSS had changed at them). None: there was no room for them beside the events."""

    @property
    def header(self) -> str: ...  # text before the table
    @property
    def page_size(self) -> int: ...  # bytes
    @property
    def dropped(self) -> int: ...  # events before the first that is there, when it was opened
    # What follows is known when everything was read: the first of them does it.
    @property
    def complete(self) -> bool: ...
    @property
    def why(self) -> str | None: ...  # where it was cut and why, with the path; None: complete
    @property
    def end(self) -> str | None: ...  # text after the table
    @property
    def threads(self) -> dict[int, str]: ...  # thread number -> name, "" where it is unknown

def capture_to_log(
    path: str | bytes, fd: int, log: str = "all", threshold: int | None = None, comments: bool = True
) -> int:
    """Print a capture as a text log into an open descriptor. Returns the number of rows.

    log: "all", "threshold" or "previous". threshold: bytes, None: one page.
    Raises: OSError when reading or writing fails; ValueError for what is no capture.
    """

def recover(path: str | bytes) -> dict[str, int] | None:
    """Put what a killed recording left beside its file where it belongs: `events` brought back, `bytes` added.

    None: there was nothing to recover. Raises: ValueError for damaged left-overs, OSError (EBUSY: the process lives).
    """

def rss() -> int:
    """RSS of this process now, bytes (field 2 of /proc/self/statm times the page size)."""

def rss_peak() -> int:
    """The larger of VmHWM (/proc/self/status) and RSS now, bytes."""

def info() -> dict[str, Any]:
    """What this machine gives: clock, gate, granularity of the RSS counter, cost of a reading, engines.

    engines: name -> None, or why it cannot be used here; the one that "auto" would take first.
    """

def profile_log_path() -> str | None:
    """Path of the innermost running log, None when none runs."""

def profile_wrapper_depth() -> int:
    """How many recordings are nested now; 0 when none runs."""

def profile_write_message_to_log(text: str) -> None:
    """Raises: ValueError when none runs."""

def family() -> list[tuple[int, int, str, str | None, str | None, bool]] | None:
    """The other processes of the run which this one began: (pid, parent, state, path, reason, alive).

    state: "beginning", "recording", "ended" (its file is whole), "failed" or "refused" (reason says why). None:
    this process began no run, or joined one.
    """

def family_note(path: str, reason: str) -> None:
    """Tell the run whose family file this is that this process is not recorded. Without effect when the run is over."""

def family_end() -> None:
    """The run which this process began is over: its file in /dev/shm is removed."""

def hide(code: CodeType) -> None:
    """Frames of this code object, and what they call directly in C, are never events. For our own wrappers."""

def bare_call(target: CodeType | Callable[..., Any], namespace: Mapping[str, Any] | tuple[Any, ...]) -> Any:
    """Run `target` with no Python frame beneath it and the whole recursion limit before it, as `python SCRIPT` does.

    A code object is evaluated in the dict `namespace`; a callable is called with the tuple `namespace`.
    """

def run_main(
    target: CodeType | Callable[..., Any],
    namespace: Mapping[str, Any] | tuple[Any, ...],
    what: Tracer | Sampler,
    at_end: Callable[[], None],
) -> NoReturn:
    """Start a recording or a sampler, run `target` as bare_call() does, end the process as the interpreter would.

    An uncaught exception is shown by sys.excepthook; SystemExit and KeyboardInterrupt end the process as usual.
    It is stopped after the program's last atexit function, then at_end() is called (in this process only,
    never in a forked child).
    """
