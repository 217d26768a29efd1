"""The processes of a run, for the one that the user started. A member is a tuple as Tracer's `family()` has it.

(pid, parent, state, path, reason, alive): state "beginning", "recording", "ended", "failed" or "refused"; path and
reason str or None. Nothing but os is imported here: this is in the traced process.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Optional

    Member = tuple[int, int, str, Optional[str], Optional[str], bool]
    Recover = Callable[[str], Optional[dict[str, int]]]


def recorded(members: Iterable[Member]) -> list[Member]:
    """Those that have a file."""
    return [member for member in members if member[2] in ("recording", "ended") and member[3]]


def not_recorded(members: Iterable[Member]) -> list[Member]:
    found: list[Member] = []
    for member in members:
        pid, parent, state, path, _, alive = member
        if state == "beginning" and not alive:
            found.append((pid, parent, state, path, "it ended before its recording began", alive))
        elif state == "recording" and not alive and path is None:
            found.append((pid, parent, state, path, "cut, and its path is too long to be noted: recover it", alive))
        elif state in ("failed", "refused"):
            found.append(member)
    return found


def cut(members: Iterable[Member]) -> list[Member]:
    """Those that died while they recorded: something of theirs may be left over."""
    return [member for member in members if member[2] in ("beginning", "recording") and not member[5] and member[3]]


def running(members: Iterable[Member]) -> list[Member]:
    return [member for member in members if member[2] == "recording" and member[5]]


def recover_left_overs(members: Iterable[Member], recover: Recover) -> dict[str, int | str]:
    """Complete the files of the dead. Returns by path: events brought back, or why that could not be done.

    Files of which nothing was left over are not in it; one that is empty, of a process that died before its recording
    began, goes. Raises nothing.
    """
    done: dict[str, int | str] = {}
    for _, _, state, path, _, _ in cut(members):
        if path is None or path in done:
            continue
        if not _may_be_written(path):
            done[path] = "it or its ring is not what a recorder makes"
            continue
        try:
            found = recover(path)
        except OSError as error:
            done[path] = f"{error.strerror or error}"
        except ValueError as error:
            done[path] = f"{error}"
        else:
            if found is not None and state == "recording":
                done[path] = found["events"]
            elif state == "beginning":
                _remove_empty(path)
    return done


def _may_be_written(path: str) -> bool:
    """A process with fewer rights than this one may have named the path: no links, one owner for both files."""
    try:
        file, ring = os.lstat(path), os.lstat(f"{path}.ring")
    except OSError:
        return True  # there is nothing to recover, or the attempt will say so
    regular = file.st_mode & 0o170000 == ring.st_mode & 0o170000 == 0o100000
    return regular and file.st_uid == ring.st_uid


def _remove_empty(path: str) -> None:
    try:
        if os.path.getsize(path) == 0:
            os.remove(path)
    except OSError:
        pass  # there is none, or its folder is somebody else's
