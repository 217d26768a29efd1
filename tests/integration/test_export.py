"""`export` of real programs: every call is there in any format. That every byte is: test_reports.py."""

from __future__ import annotations

import pkgutil
import sys
from collections import Counter
from pathlib import Path

import corpus
import pytest
from support import child, chrome_trace, reports

import pymemtrace

PROGRAMS = sorted(module.name for module in pkgutil.iter_modules(corpus.__path__) if not module.ispkg)

RECORD = """
import importlib, os, sys
import pymemtrace

for name in sys.argv[2:]:
    main = importlib.import_module(f"corpus.{name}").main
    with pymemtrace.trace(os.path.join(sys.argv[1], f"{name}.pmt")):
        main()
"""


@pytest.fixture(scope="module", params=child.ENGINES)
def recordings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a capture of every program of the corpus."""
    folder = tmp_path_factory.mktemp("recordings")
    command = [sys.executable, "-c", RECORD, str(folder), *PROGRAMS]
    child.run(command, folder, env={"PYMEMTRACE_ENGINE": request.param}, timeout=120)
    return folder


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_call_is_lost(program: str, recordings: Path) -> None:
    # GIVEN what happened
    source = recordings / f"{program}.pmt"
    calls = Counter(event.function for event in pymemtrace.read(source) if event.what in ("CALL", "C_CALL"))
    assert calls
    # WHEN
    rows, stacks = reports.csv_rows(source), reports.growth_of_stacks(source)
    # THEN functions and contexts have every call, and stacks what has grown
    assert {name: one[2] for name, one in reports.functions_of_pstats(source).items() if one[2]} == calls
    contexts: Counter[str] = Counter()
    for row in rows:
        contexts[row["function"]] += int(row["calls"])
    assert +contexts == calls
    assert sum(stacks.values()) == sum(int(row["up"]) for row in rows) == int(rows[0]["up_inclusive"])
    counted = reports.growth_of_stacks(source, "--measure", "calls")
    assert sum(counted.values()) == sum(calls.values())


@pytest.mark.parametrize("program", PROGRAMS)
def test_calls_nest_in_the_trace(program: str, recordings: Path) -> None:
    # GIVEN
    source = recordings / f"{program}.pmt"
    events = list(pymemtrace.read(source))
    # WHEN
    trace = chrome_trace.read(reports.export("perfetto", source).read_bytes())
    # THEN every call is there, on its thread
    called = Counter((event.thread, event.function) for event in events if event.what in ("CALL", "C_CALL"))
    shown = Counter(
        (tid, one.name) for (_, tid), roots in trace.slices.items() for root in roots for one in root.walk()
    )
    assert shown == called
    ((_, counter),) = trace.counters.items()
    assert counter[0][1] == events[0].rss and counter[-1][1] == events[-1].rss
    assert {tid for _, tid in trace.threads} == {event.thread for event in events}
