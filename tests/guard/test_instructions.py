"""What an event costs, in instructions: not more than the ceilings allow (tests/guard/__init__.py says how)."""

from __future__ import annotations

import json
import platform
import re
import shutil

import pytest

from guard import measure
from guard.program import MODES

# Each engine once in a run of all versions: where `make test` has no Python that monitors, the newest one of nox does.
NEWEST = "3.13"
ONCE = {
    "profile": [pytest.mark.slow_once],
    "monitoring": [] if measure.PYTHON == NEWEST else [pytest.mark.slow_once],
}

DUMP = """\
version: 1
positions: line
events: Ir

ob=/usr/bin/python3
fl=???
fn=call_profile
0 7
cob=/x/cPyMemTrace.cpython-311-x86_64-linux-gnu.so
cfi=src/callbacks.c
cfn=all_all
calls=3 0
0 120
cfn=other
calls=1 0
0 5

ob=/x/cPyMemTrace.cpython-311-x86_64-linux-gnu.so
fl=src/callbacks.c
fn=all_all
0 100
cob=/usr/bin/python3
cfn=PyFrame_GetCode
calls=3 0
0 20
cfn=pmt_site_search
calls=1 0
0 9

ob=/usr/bin/python3
fn=another
cob=/x/cPyMemTrace.cpython-311-x86_64-linux-gnu.so
cfn=all_all
calls=1 0
0 40
"""


def test_costs_are_those_of_calls_from_outside():
    assert measure.costs(DUMP) == {"all_all": 160}


def test_every_way_to_record_is_measured():
    header = (measure.ROOT / "src" / "event.h").read_text(encoding="utf-8")
    ways = re.findall(r"\bX\((\w+), PMT_COMPUTE", header)
    assert ways and set(ways) == {way for _, way in MODES.values()}


@pytest.mark.parametrize("engine", [pytest.param(engine, marks=ONCE[engine]) for engine in measure.ENGINES])
def test_no_more_instructions_than_allowed(engine):
    # GIVEN
    ceilings = json.loads(measure.CEILINGS.read_text(encoding="utf-8"))
    if shutil.which("valgrind") is None:
        pytest.skip("counting instructions needs valgrind: apt-get install valgrind")
    if platform.machine() != ceilings["machine"]:
        pytest.skip(f"the ceilings are for {ceilings['machine']}, this is {platform.machine()}")
    allowed, origin = measure.allowed(ceilings, engine)
    # WHEN
    figures = measure.measure(engine)
    print("\n" + measure.table(engine, figures, allowed, origin))
    # THEN
    assert set(figures) == set(allowed), "record ceilings anew: make guard RECORD=1"
    above = [
        f"{engine}, {mode}: {figure:.1f} instructions per event, the ceiling is {allowed[mode]:.1f} ({origin})"
        for mode, figure in figures.items()
        if figure > allowed[mode]
    ]
    assert not above, "\n".join(
        [*above, "If it is worth that: `make guard RECORD=1`, and the reason for the higher ceiling in CHANGELOG.md."]
    )
