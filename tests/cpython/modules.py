"""One module of CPython's tests, run by `python -m test`, with or without the recorder: what became of each case."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MODULES = (
    "test_fork1",
    "test_generators",
    "test_coroutines",
    "test_contextlib",
    "test_exceptions",
    "test_weakref",
    "test_threading",
    "test_subprocess",
    "test_concurrent_futures",
)
SHORT = ("test_fork1", "test_generators", "test_contextlib", "test_weakref")

# Cases that hang now and then without us, on a busy machine in two of five runs of 3.13.0: gh-125451, two locks of
# ProcessPoolExecutor taken in both orders, mended in 3.12.8 and 3.13.1.
HANGING = ("*.test_processes_terminate", "*.test_shutdown_deadlock_pickle")
HANGS = (3, 12) <= sys.version_info < (3, 12, 8) or (3, 13) <= sys.version_info < (3, 13, 1)
LEFT_OUT = {"test_concurrent_futures": HANGING} if HANGS else {}

TIMEOUT = 1500  # seconds; test_concurrent_futures takes minutes
OUTCOMES = ("failure", "error", "skipped")  # elements of a <testcase>, the worst first


@dataclass
class Outcome:
    """What became of a module."""

    status: int | None = None  # exit status; negative: the signal; None: it hung
    cases: dict[str, str] = field(default_factory=dict)  # name -> "passed", "failure", "error" or "skipped"
    why: dict[str, str] = field(default_factory=dict)  # name -> traceback or reason
    said: str = ""  # the end of what it printed
    logs: list[Path] = field(default_factory=list)


def missing(module: str) -> str | None:
    """Why it cannot be run here; None: it can."""
    try:
        found = importlib.util.find_spec(f"test.{module}") is not None
        found = found and importlib.util.find_spec("test.libregrtest") is not None
    except ImportError:
        found = False
    return None if found else f"this Python has no test.{module}: its tests are not installed"


def recorder(folder: Path, options: Sequence[str]) -> list[str]:
    return ["-m", "pymemtrace", "run", "-q", "-o", f"{folder}/", *options]


def run(
    module: str,
    folder: Path,
    *,
    recorded: Sequence[str] | None = None,
    only: Sequence[str] = (),
    timeout: float = TIMEOUT,
) -> Outcome:
    """Run a module in a new folder of that name.

    recorded: options of the recorder, whose files go to folder/logs; None: without it. only: cases; empty: all.
    """
    shutil.rmtree(folder, ignore_errors=True)
    work, logs, results = folder / "work", folder / "logs", folder / "results.xml"
    work.mkdir(parents=True)
    command = [sys.executable]
    if recorded is not None:
        command += recorder(logs, recorded)
    command += ["-m", "test", "--fail-env-changed", "-v", "--junit-xml", str(results), "--tempdir", str(work)]
    for case in only:
        command += ["-m", case]
    for pattern in LEFT_OUT.get(module, ()):
        command += ["-i", pattern]
    with open(folder / "output", "w+b") as output:
        status = _run([*command, module], work, output, timeout)
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    outcome = Outcome(status, said=said)
    if results.exists() and results.stat().st_size:
        _read(results, outcome)
    if logs.exists():
        outcome.logs = sorted(logs.iterdir())
    return outcome


def _run(command: list[str], folder: Path, output: object, timeout: float) -> int | None:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYMEMTRACE", "PYTHON"))}
    # What the recorder takes from the environment when asked to, it takes here as well.
    env.update({key: os.environ[key] for key in ("PYMEMTRACE_ENGINE", "PYMEMTRACE_GATE") if key in os.environ})
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )  # type: ignore[call-overload]
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # what is left of its session, and only that
        except (ProcessLookupError, PermissionError):
            pass
        process.wait()


def _read(results: Path, outcome: Outcome) -> None:
    for case in ET.parse(results).iter("testcase"):
        name = _name(case.get("name", "?"))
        found = next((kind for kind in OUTCOMES if case.find(kind) is not None), "passed")
        before = outcome.cases.get(name, "passed")  # a case whose subtests fail comes once for each
        if found == "passed" or (before in OUTCOMES and OUTCOMES.index(before) <= OUTCOMES.index(found)):
            found = before
        outcome.cases[name] = found
        if found != "passed" and name not in outcome.why:
            element = case.find(found)
            outcome.why[name] = "".join(element.itertext()).strip() if element is not None else ""


def _name(name: str) -> str:
    """Without what depends on the run: addresses, and the values of a subtest."""
    name = re.sub(r" [\[(].*", "", name, flags=re.DOTALL)
    return re.sub(r"0x[0-9a-f]+", "0x", name)
