"""The reference recorder, against sequences written by hand."""

from __future__ import annotations

import sys
import threading

from support import charge, log, reference

FILE = __file__


def leaf(n: int) -> int:
    return abs(n)


def raising() -> None:
    try:
        {}.pop("missing")
    except KeyError:
        pass


def main() -> str:
    leaf(1)
    raising()
    return "result"


def test_sequence_of_a_small_program() -> None:
    # WHEN
    result, (events,) = reference.run(main)
    # THEN
    assert result == "result"
    assert [(what, function) for what, _, _, function in events] == [
        ("CALL", "main"),
        ("CALL", "leaf"),
        ("C_CALL", "abs"),
        ("C_RETURN", "abs"),
        ("RETURN", "leaf"),
        ("CALL", "raising"),
        ("C_CALL", "pop"),
        ("C_EXCEPT", "pop"),
        ("RETURN", "raising"),
        ("RETURN", "main"),
    ]
    assert {file for _, file, _, _ in events} == {FILE}
    first = leaf.__code__.co_firstlineno
    assert [line for _, _, line, _ in events[1:5]] == [first, first + 1, first + 1, first + 1]


def test_threads_from_their_run_on() -> None:
    # GIVEN
    def started() -> None:
        thread = threading.Thread(target=leaf, args=(1,))
        thread.start()
        thread.join()

    # WHEN
    _, (first, second) = reference.run(started)
    # THEN
    assert (first[0][0], first[0][3]) == ("CALL", "started")
    # from 3.14 on, threading calls `run` by Context.run
    assert (second[0][0], second[0][3]) == ("C_CALL" if sys.version_info >= (3, 14) else "CALL", "run")
    assert [what for what, _, _, function in second if function == "leaf"] == ["CALL", "RETURN"]


def test_charges_of_rows() -> None:
    # GIVEN growth seen at each kind of event
    steps = [
        ("CALL", "f", 100),
        ("C_CALL", "len", 1),
        ("C_RETURN", "len", 2),
        ("CALL", "g", 4),
        ("C_CALL", "pop", 8),
        ("C_EXCEPT", "pop", 16),
        ("RETURN", "g", 32),
        ("RETURN", "f", 64),
        ("C_CALL", "len", 128),
    ]
    rows, rss = [], 0
    for number, (what, function, grown) in enumerate(steps):
        rss += grown
        rows.append(log.Row(number, 1.0, what, "x", 1, function, rss, grown, "", 0, 7))
    # WHEN
    got = charge.charges(log.Log(layout="plain", items=list(rows)), ("x", "base"))
    # THEN each is with what ran before it
    assert got == {
        ("x", "f"): (1 + 4 + 64, 3),
        ("x", "len"): (2, 1),
        ("x", "g"): (8 + 32, 2),
        ("x", "pop"): (16, 1),
        ("x", "base"): (128, 1),
    }
