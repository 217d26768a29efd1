"""`read`: what a recording left behind, a capture (*.pmt) or a text log, as one kind of object; `read_run`: the
recordings of processes that belong together; `read_samples`: a file of samples.

Nothing of this is loaded in the traced process unless it asks for it.
"""

from __future__ import annotations

import os
import stat
from typing import Union

from .. import cPyMemTrace
from .binary import BinaryCapture
from .model import Capture, Context, Event, Moment, Node, NotRecorded, Peak, SiteTotal
from .run import Problem, Process, Run, find, sentence
from .samples import Began, Ended, Marker, Note, Record, Sample, Samples, Total, read_samples
from .text import TextCapture

__all__ = [
    "Began",
    "Capture",
    "Context",
    "Ended",
    "Event",
    "Marker",
    "Moment",
    "Node",
    "NotRecorded",
    "Note",
    "Peak",
    "Problem",
    "Process",
    "Record",
    "Run",
    "Sample",
    "Samples",
    "SiteTotal",
    "Total",
    "find_run",
    "read",
    "read_run",
    "read_samples",
    "recover",
    "sentence",
]

Path = Union[str, "os.PathLike[str]", bytes, "os.PathLike[bytes]"]

MAGIC = b"\x89PMT\r\n\x1a\n"


def read(path: Path) -> Capture:
    """Open a capture or a text log.

    Raises: FileNotFoundError and other OSErrors with the path; ValueError, one sentence that names the file, when it is
    neither, or a capture of a later version.
    """
    name = os.fsdecode(path)
    mode = os.stat(name).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe would be waited for
        raise ValueError(f"{name!r} is no regular file: it is neither a capture nor a text log")
    with open(name, "rb") as file:
        magic = file.read(len(MAGIC))
    try:
        return BinaryCapture(name) if magic and MAGIC.startswith(magic) else TextCapture(name)
    except ValueError as error:
        if not os.path.exists(f"{name}.ring"):
            raise
        advice = f"the program was killed, or still runs; python -m pymemtrace recover {name!r}"
        raise ValueError(f"{error}; {name + '.ring'!r} is there: {advice}") from None


def read_run(*paths: Path) -> Run:
    """The recordings in these files and directories, as one run. Of a directory: its *.log and *.pmt that are ours, not
    those of directories below it.

    What cannot be read is in `problems`, what is not ours in `skipped`. Raises, when nothing can be read: the OSError
    with the path, or ValueError, one sentence that names it, of the first.
    """
    if not paths:
        raise ValueError("name a directory, or files, of a run")
    run = find_run(*paths)
    if not run.processes:
        raise run.problems[0].error
    return run


def find_run(*paths: Path) -> Run:
    """As `read_run`, but a run without processes is returned, too."""
    return find([os.fsdecode(path) for path in paths], read)


def recover(path: str) -> dict[str, int] | None:
    """Put what a killed recording left beside its file where it belongs: `events` brought back, `bytes` added.

    None: there was nothing to recover. Raises: OSError (EBUSY: the process lives), ValueError, with the path.
    """
    try:
        return cPyMemTrace.recover(path)
    except ValueError as error:
        raise ValueError(f"{error}" if path in f"{error}" else f"{path!r} {error}") from None
