"""`read`: what a recording left behind, a capture (*.pmt) or a text log, as one kind of object.

Nothing of this is loaded in the traced process unless it asks for it.
"""

from __future__ import annotations

import os
import stat
from typing import Union

from .. import cPyMemTrace
from .binary import BinaryCapture
from .model import Capture, Event, Node, Peak, SiteTotal
from .text import TextCapture

__all__ = ["Capture", "Event", "Node", "Peak", "SiteTotal", "read", "recover"]

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
    if magic and MAGIC.startswith(magic):
        return BinaryCapture(name)
    return TextCapture(name)


def recover(path: str) -> dict[str, int] | None:
    """Put what a killed recording left beside its file where it belongs: `events` brought back, `bytes` added.

    None: there was nothing to recover. Raises: OSError (EBUSY: the process lives), ValueError, with the path.
    """
    try:
        return cPyMemTrace.recover(path)
    except ValueError as error:
        raise ValueError(f"{error}" if path in f"{error}" else f"{path!r} {error}") from None
