"""`keep`: only the last events, in a given space, readable at any moment, and totals that hold for the whole run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.capture_decoder import read as decode
from support.child import Child

import pymemtrace
from pymemtrace.reader import Capture

RunChild = Callable[..., Child]
LIMIT = 1_200_000  # bytes on disk, of keep=1 MiB
SOAKING = "PYMEMTRACE_SOAK" in os.environ

# Deterministic. With `making` it has new functions all the time, so that numbers of sites get other meanings.
PROGRAM = """
    import sys
    import pymemtrace

    def leaf(n):
        return len("a" * (n % 7))

    def work(n):
        return [leaf(i) for i in range(n)]

    def grow(kept):
        kept.append(bytearray(300_000))
        if len(kept) == 10:
            kept.clear()

    def main(rounds):
        kept = []
        for i in range(rounds):
            work(300)
            grow(kept)
            if not making:
                continue
            space = {}
            exec(compile(f"def f{i}(x):\\n    return abs(x)\\n", f"<made {i}>", "exec"), space)
            space[f"f{i}"](i)

    keep, making = int(sys.argv[3]) or None, "making" in sys.argv
    with pymemtrace.trace(sys.argv[1], format="binary", keep=keep, overwrite="overwrite" in sys.argv):
        main(int(sys.argv[2]))
"""


def on_disk(path: Path) -> int:
    """Bytes of the capture, its segments and its ring."""
    total = 0
    for file in path.parent.glob(path.name + "*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            pass
    return total


def place(event: Any) -> tuple[str, str, int, str]:
    """Of an event or a total; programs of one test have files of different names."""
    return event.what, re.sub(r"program_\d", "program", event.file), event.line, event.function


def counts(capture: Capture) -> Counter[tuple[Any, ...]]:
    return Counter({place(total): total.events for total in capture.site_totals() or ()})


@pytest.mark.slow_once
def test_only_the_end_is_kept_and_totals_hold_for_all(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN the same program with and without a limit
    whole_path, path = tmp_path / "whole.pmt", tmp_path / "kept.pmt"
    run_child(PROGRAM, whole_path, 1000, 0, "making")
    # WHEN
    run_child(PROGRAM, path, 1000, 1 << 20, "making")
    # THEN it takes no more than that, and is complete
    whole, kept = pymemtrace.read(whole_path), pymemtrace.read(path)
    assert whole_path.stat().st_size > 1.1 * LIMIT
    assert on_disk(path) - path.stat().st_size <= 1 << 20  # what things mean comes on top
    assert kept.complete, kept.why
    # THEN the last events are there, with their numbers
    events = list(kept.events())
    assert events[0].event == int(kept.header["dropped"]) > 0
    assert [event.event for event in events] == list(range(events[0].event, int(kept.end["events"])))
    assert [place(event) for event in events] == [place(e) for e in whole.events() if e.event >= events[0].event]
    # THEN every site's events are right for the whole recording, those of code that is gone included
    expected = Counter(map(place, whole.events()))
    assert counts(whole) == expected
    assert counts(kept) == expected
    assert sum(total.bytes for total in kept.site_totals() or ()) == int(kept.end["RSS last"])
    # THEN the log says what is missing, and rows keep their numbers
    done = subprocess.run(
        [sys.executable, "-m", "pymemtrace", "events", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert f"# dropped: {events[0].event}" in lines and f"# keep: {1 << 20}" in lines
    rows = [line for line in lines if line[:1].isdigit()]
    assert [int(row.split(None, 1)[0]) for row in rows] == [event.event for event in events]


@pytest.mark.slow_once
def test_segments_agree_with_the_document(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN
    path = tmp_path / "kept.pmt"
    run_child(PROGRAM, path, 600, 1 << 20, "making")
    # WHEN both readers read it
    kept, expected = pymemtrace.read(path), decode(path)
    # THEN
    assert [tuple(event) for event in kept.events()] == [tuple(event) for event in expected.events]
    assert {total[:4]: total.events for total in kept.site_totals() or ()} == expected.site_events
    assert expected.complete and kept.complete


def start(path: Path, tmp_path: Path, *options: str) -> subprocess.Popen[bytes]:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    return subprocess.Popen([sys.executable, str(program), str(path), str(10**9), str(1 << 20), *options])


@pytest.mark.slow_once
def test_never_too_much_and_readable_at_any_moment(tmp_path: Path) -> None:
    # GIVEN a program that goes on and on
    path = tmp_path / "kept.pmt"
    process = start(path, tmp_path)
    try:
        largest, reads, last = 0, 0, 0
        begin = time.monotonic()
        # WHEN somebody looks: for six seconds, or until more than 100 MB went through it
        while last < 100_000_000 and time.monotonic() < begin + 600 if SOAKING else time.monotonic() < begin + 6:
            largest = max(largest, on_disk(path))
            if path.exists() and path.stat().st_size > 0:
                capture = pymemtrace.read(path)
                events = [event.event for event in capture.events()]
                # THEN it can be read, without a gap
                assert not events or events == list(range(events[0], events[0] + len(events)))
                assert capture.why is not None and "still writing" in capture.why, capture.why
                reads += 1
                last = max(last, events[-1] if events else 0)
        assert largest <= LIMIT
        assert reads > 3 and last > (100_000_000 if SOAKING else 500_000)  # at more than a byte each
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.parametrize(
    "after", [0.4, *(pytest.param(after, marks=pytest.mark.slow_once) for after in (1.1, 1.9, 2.7))]
)
def test_killed(tmp_path: Path, after: float) -> None:
    # GIVEN
    path = tmp_path / "kept.pmt"
    process = start(path, tmp_path, "making")
    # WHEN it is killed in full run, however long it took to begin
    try:
        until = time.monotonic() + 60
        while not path.exists() or path.stat().st_size < 10_000:
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.005)
        time.sleep(after)
    finally:
        process.send_signal(signal.SIGKILL)
        status = process.wait(60)
    assert status == -signal.SIGKILL
    # THEN it can be read as it is ...
    assert on_disk(path) - path.stat().st_size <= 1 << 20
    before = pymemtrace.read(path)
    seen = [event.event for event in before.events()]
    assert seen == list(range(seen[0], seen[0] + len(seen)))
    counted = sum(total.events for total in before.site_totals() or ())
    assert counted == seen[-1] + 1
    # ... and recovered: the rest comes after it, and totals are those of everything
    subprocess.run(
        [sys.executable, "-m", "pymemtrace", "recover", str(path)], check=True, timeout=60, capture_output=True
    )
    capture = pymemtrace.read(path)
    events = [event.event for event in capture.events()]
    assert capture.complete, capture.why
    assert events == list(range(events[0], events[0] + len(events))) and events[-1] >= seen[-1]
    assert sum(total.events for total in capture.site_totals() or ()) == events[-1] + 1
    made = [total for total in capture.site_totals() or () if total.file.startswith("<made ") and total.what == "CALL"]
    assert all(total.events == 1 for total in made) and made
    assert on_disk(path) - path.stat().st_size <= 1 << 20
    assert not Path(f"{path}.ring").exists()
    # THEN the summary says of what it speaks
    said = subprocess.run(
        [sys.executable, "-m", "pymemtrace", "summary", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"{events[-1] + 1:,} seen" in said.stdout
    assert (f"the last {len(events):,} of them;" in said.stdout) == (events[0] > 0)


@pytest.mark.slow_once
def test_segments_of_another_recording_are_in_the_way(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a capture with segments, of which only those are left
    path = tmp_path / "kept.pmt"
    run_child(PROGRAM, path, 1000, 1 << 20)
    path.unlink()
    left = sorted(tmp_path.glob("kept.pmt.*"))
    assert left
    # WHEN
    done = run_child(PROGRAM, path, 10, 1 << 20, expect=1)
    # THEN they are not touched
    assert "FileExistsError" in done.stderr and f"{path.name}." in done.stderr
    assert sorted(tmp_path.glob("kept.pmt.*")) == left and not path.exists()
    # WHEN they may be replaced, also by a capture without a limit
    run_child(PROGRAM, path, 10, 0, "overwrite")
    # THEN
    assert list(tmp_path.glob("kept.pmt*")) == [path]
    assert pymemtrace.read(path).complete


def test_no_other_files(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN WHEN
    folder = tmp_path / "empty"
    folder.mkdir()
    program = PROGRAM.replace("import sys\n", f"import os, sys\n    os.chdir({str(folder)!r})\n", 1)
    run_child(program, folder / "k.pmt", 10, 1 << 20)
    # THEN
    assert sorted(os.listdir(folder)) == ["k.pmt", "k.pmt.1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": "x.pmt", "keep": (1 << 20) - 1}, "at least 1 MiB"),
        ({"path": "x.pmt", "keep": -1}, "keep"),
        ({"path": "x.log", "keep": 1 << 20}, "captures only"),
        ({"path": "x.pmt", "keep": "1M"}, "keep"),
        ({"path": "/dev/null", "format": "binary", "keep": 1 << 20}, "regular file"),
    ],
)
def test_bad_arguments(options: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError), match=words):
        with pymemtrace.trace(**options):
            pass
    assert os.listdir(tmp_path) == []


def test_other_files_of_such_names_are_left_alone(run_child: RunChild, tmp_path: Path) -> None:
    # GIVEN a capture, a copy of it that is named like a segment, and something else
    path, copy, other = (tmp_path / name for name in ("a.pmt", "a.pmt.1", "a.pmt.20"))
    run_child(PROGRAM, path, 20, 0)
    copy.write_bytes(path.read_bytes())
    other.write_bytes(b"a rotated log\n")
    before = list(pymemtrace.read(path).events())
    # WHEN it is read, and replaced
    assert pymemtrace.read(path).complete and len(before) > 1000
    run_child(PROGRAM, path, 10, 0, "overwrite")
    # THEN both are as they were
    assert list(pymemtrace.read(copy).events()) == before
    assert other.read_bytes() == b"a rotated log\n"
