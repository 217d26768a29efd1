"""Runs the program under callgrind and makes figures of what it counted. `python -m guard.measure` records ceilings."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from guard.program import MODES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CEILINGS = HERE / "ceilings.json"
LIBRARY = "cPyMemTrace"
ENGINES = ("profile", "monitoring") if sys.version_info >= (3, 12) else ("profile",)
PYTHON = "%d.%d" % sys.version_info[:2]
ROUNDS = 50
SECONDS = 120  # for one engine; it takes ten to twenty
WRITER = "run"  # the thread's function, in src/core/writer.c
WRITTEN = ("all", "capture")  # the modes in which the writer has something to do at every event
FEW = 500  # events for one reading, at least
CLOCK_STEP = 1  # nanoseconds an event: the gate's staleness bound, 100 us, comes after 100,000 events
MARGIN = 0.05
WIDE_MARGIN = 0.30  # when the extension was not built as when the ceiling was recorded


def costs(dump: str) -> Counter[str]:
    """Instructions of one file of callgrind, by function of our library that was called from outside it.

    What a function called is included, wherever it is. The file has a line `fn=` for a function, then its calls:
    `cob=` (callee's object, where it is another), `cfn=`, `calls=`, and a line with position and instructions.
    """
    found: Counter[str] = Counter()
    here = there = callee = ""
    lines = iter(dump.splitlines())
    for line in lines:
        key, _, value = line.partition("=")
        if key == "ob":
            here = there = value
        elif key == "fn":
            there = here
        elif key == "cob":
            there = value
        elif key == "cfn":
            callee = value
        elif key == "calls":
            instructions = int(next(lines).split()[1])
            if LIBRARY in there and LIBRARY not in here:
                found[callee] += instructions
            there = here
    return found


def run(engine: str, folder: Path) -> list[tuple[str, int, int, Counter[str]]]:
    """Mode, events, readings and costs() of each recording of the program.

    Raises: RuntimeError with what valgrind said; subprocess.TimeoutExpired.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PYMEMTRACE"))}
    env |= {"PYTHONHASHSEED": "0", "PYMEMTRACE_CLOCK": f"fake:{CLOCK_STEP}", "PYMEMTRACE_UNSHARE": "off"}
    out = folder / "callgrind"
    command = ["valgrind", "--tool=callgrind", "--compress-strings=no", "--dump-before=getpgrp", "--fair-sched=try"]
    command += [f"--callgrind-out-file={out}", sys.executable, "-I", "-S", str(HERE / "program.py")]
    command += [str(ROOT), engine, str(ROUNDS), str(folder)]
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"status {done.returncode} of {' '.join(command)}\n{done.stderr[-4000:]}")
    found = []
    for number, line in enumerate(done.stdout.splitlines(), 1):
        mode, events, readings = line.split()
        dump = Path(f"{out}.{number}").read_text(encoding="utf-8", errors="replace")
        found.append((mode, int(events), int(readings), costs(dump)))
    return found


def measure(engine: str) -> dict[str, float]:
    """Instructions per event by mode; `writer of MODE`: of the writer thread.

    Raises: RuntimeError where the program did not do what is to be measured; subprocess.TimeoutExpired.
    """
    with tempfile.TemporaryDirectory() as folder:
        recordings = run(engine, Path(folder))
    figures = {}
    for mode, (_, way) in MODES.items():
        _, (_, n, _, once), (_, n2, readings, twice) = (each for each in recordings if each[0] == mode)
        if n2 < 1.9 * n or readings * FEW > n2:
            raise RuntimeError(
                f"{engine}, {mode}: {n} and {n2} events, {readings} readings: not what is to be measured"
            )
        ways = [name for name in once if name == way or name.startswith(f"{way}_of_")]
        if not ways or not once[WRITER]:
            raise RuntimeError(f"{engine}, {mode}: no {way} or {WRITER} in {sorted(once)}: is the extension stripped?")
        figures[mode] = sum(twice[name] - once[name] for name in ways) / (n2 - n)
        if mode in WRITTEN:
            figures[f"writer of {mode}"] = (twice[WRITER] - once[WRITER]) / (n2 - n)
    return figures


def build() -> str:
    """Compiler and flags, which the extension itself has: in .comment, and in DW_AT_producer if built with -g."""
    library = ROOT / "pymemtrace" / f"{LIBRARY}.{sysconfig.get_config_var('SOABI')}.so"
    compilers = re.findall(rb"(?:GCC: \(|GNU C\d+ |clang version )[^\0]+", library.read_bytes())
    return "; ".join(sorted({each.decode("ascii", "replace") for each in compilers}))


def allowed(ceilings: Mapping[str, Any], engine: str) -> tuple[dict[str, float], str]:
    """What a mode of that engine may cost here, and a clause that says where the number comes from."""
    known = ceilings["python"]
    version = PYTHON if PYTHON in known else list(known)[-1]
    entry = known[version]
    here = f"recorded on Python {version}"
    if version == PYTHON and entry["build"] == build():
        return entry[engine], here
    wide = (1 + WIDE_MARGIN) / (1 + MARGIN)
    why = f"{here}, {WIDE_MARGIN:.0%} above what was measured: that was built by {entry['build']}, this by {build()}"
    return {mode: round(ceiling * wide, 1) for mode, ceiling in entry[engine].items()}, why


def table(engine: str, figures: Mapping[str, float], ceilings: Mapping[str, float], origin: str) -> str:
    """Lines: mode, instructions per event, ceiling; where the ceilings come from."""
    lines = [f"{f'{engine}, Python {PYTHON}':<28} {'instructions/event':>18} {'ceiling':>9}"]
    lines += [f"  {mode:<26} {figure:>18.1f} {ceilings.get(mode, math.nan):>9.1f}" for mode, figure in figures.items()]
    return "\n".join([*lines, f"  ceilings: {origin}"])


def record() -> None:
    """Put this Python's figures, and the margin, into the file of ceilings."""
    ceilings = json.loads(CEILINGS.read_text(encoding="utf-8")) if CEILINGS.exists() else {"python": {}}
    ceilings["machine"] = platform.machine()
    entry: dict[str, Any] = {"build": build()}
    for engine in ENGINES:
        figures = measure(engine)
        entry[engine] = {mode: math.ceil(figure * (1 + MARGIN) * 10) / 10 for mode, figure in figures.items()}
        print(table(engine, figures, entry[engine], "recorded now"))
    ceilings["python"][PYTHON] = entry
    ceilings["python"] = dict(sorted(ceilings["python"].items(), key=lambda item: int(item[0].partition(".")[2])))
    CEILINGS.write_text(json.dumps(ceilings, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
