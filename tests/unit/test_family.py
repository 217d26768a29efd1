"""The processes of a run: who is recorded, what is recovered, what is said of it."""

from __future__ import annotations

from pymemtrace import family
from pymemtrace.reporters import last_word

ENDED = (11, 10, "ended", "/x/job_11.log", None, False)
ALIVE = (12, 10, "recording", "/x/job_12.log", None, True)
DEAD = (13, 11, "recording", "/x/job_13.log", None, False)
DEAD_TOO = (14, 11, "recording", "/x/job_14.log", None, False)
FAILED = (15, 10, "failed", "/x/job_15.log", "No space left on device", False)
REFUSED = (16, 11, "refused", None, "pymemtrace is not built for this Python", False)
MEMBERS = [ENDED, ALIVE, DEAD, DEAD_TOO, FAILED, REFUSED]


def test_who_is_what() -> None:
    assert family.recorded(MEMBERS) == [ENDED, ALIVE, DEAD, DEAD_TOO]
    assert family.running(MEMBERS) == [ALIVE]
    assert family.cut(MEMBERS) == [DEAD, DEAD_TOO]
    assert family.not_recorded(MEMBERS) == [FAILED, REFUSED]


def test_only_what_the_dead_leave_is_recovered() -> None:
    # GIVEN one file with something left over, one without, two that cannot be completed
    members = [*MEMBERS, (17, 10, "recording", "/x/job_17.log", None, False), (18, 1, "recording", "/18", None, False)]
    asked = []

    def recover(path: str) -> dict[str, int] | None:
        asked.append(path)
        if path.endswith("17.log"):
            raise PermissionError(13, "Permission denied", path)
        if path == "/18":
            raise ValueError("/18: the ring is damaged")
        return {"events": 5, "bytes": 100} if path.endswith("13.log") else None

    # WHEN
    done = family.recover_left_overs(members, recover)
    # THEN
    assert asked == ["/x/job_13.log", "/x/job_14.log", "/x/job_17.log", "/18"]
    assert done == {"/x/job_13.log": 5, "/x/job_17.log": "Permission denied", "/18": "/18: the ring is damaged"}


def test_last_word() -> None:
    # WHEN
    lines = list(
        last_word.children(MEMBERS, {"/x/job_13.log": 1234, "/x/job_14.log": "Permission denied"}, "/x/job.log")
    )
    # THEN
    assert lines == [
        "  children    4 recorded, 1 still running: /x/job_11.log, /x/job_12.log, /x/job_13.log, /x/job_14.log",
        "              1 of them cut by a signal or a crash, 1,234 events recovered: /x/job_13.log",
        "              /x/job_14.log could not be recovered: Permission denied",
        "  NOT RECORDED 15 (child of 10): /x/job_15.log: No space left on device",
        "  NOT RECORDED 16 (child of 11): pymemtrace is not built for this Python",
        "  whole run   python -m pymemtrace summary /x/job.log /x/job_11.log /x/job_12.log /x/job_13.log /x/job_14.log",
    ]


def test_last_word_of_one_process() -> None:
    assert list(last_word.children([], {}, "/x/job.log")) == []


def test_last_word_of_many_names_a_few() -> None:
    members = [(n, 10, "ended", f"/x/job_{n}.log", None, False) for n in range(1000, 2000)]
    line, whole = last_word.children(members, {}, "/x/job's.log")
    assert whole == "  whole run   python -m pymemtrace summary /x"
    assert line.startswith("  children    1,000 recorded: /x/job_1000.log, ") and line.endswith(" and 995 more")


def test_last_word_of_files_in_two_folders_names_all() -> None:
    members = [(n, 10, "ended", f"/y z/job_{n}.log", None, False) for n in range(11, 17)]
    _, whole = last_word.children(members, {}, "/x/job.log")
    assert whole.count(".log") == 7 and "'/y z/job_16.log'" in whole


def test_last_word_escapes_what_a_terminal_would_obey() -> None:
    members = [(11, 10, "refused", "/x/\x1b[2J.log", "why\n# end", False)]
    (line,) = last_word.children(members, {}, None)
    assert line == "  NOT RECORDED 11 (child of 10): /x/\\x1b[2J.log: why\\n# end"
