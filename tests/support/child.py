"""Programs of the tests run in processes of their own, with a time limit and all that they said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
RESULT = "PMT_TEST_RESULT"
REST = 20.0  # seconds that processes which outlive the program may take to end
ENGINES = ("profile", "monitoring") if sys.version_info >= (3, 12) else ("profile",)

engine: str | None = None  # what "auto" is in the programs; None: as the recorder has it


@dataclass(frozen=True)
class Child:
    """What became of a program."""

    returncode: int
    stdout: str
    stderr: str
    result: Any  # what it gave to report(), None when nothing


def report(**values: Any) -> None:
    """In the program: hand values back to the test."""
    with open(os.environ[RESULT], "w", encoding="utf-8") as file:
        json.dump(values, file)


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """This process's environment, with the tests' helpers and the package under test importable."""
    import pymemtrace

    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYMEMTRACE", "PYTHONPATH"))}
    package = Path(pymemtrace.__file__).resolve().parent.parent
    env["PYTHONPATH"] = os.pathsep.join([str(TESTS), str(package)])
    env["PYTHONHASHSEED"] = "0"
    if engine is not None:
        env["PYMEMTRACE_ENGINE"] = engine
    for key, value in (changes or {}).items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env


def run(
    command: Sequence[str],
    directory: Path,
    *,
    env: Mapping[str, str | None] | None = None,
    timeout: float = 60,
    expect: int | None = 0,
) -> Child:
    """Run a command in `directory`. Fails with all it said when it takes too long or its status is not `expect`."""
    number = len(list(directory.glob("out.*")))
    out, err, result = (directory / f"{name}.{number}" for name in ("out", "err", "result"))
    changes = dict(env or {})
    changes[RESULT] = str(result)
    with open(out, "wb") as out_file, open(err, "wb") as err_file:
        # Files, not pipes: a grandchild that outlives the program must not keep us waiting.
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment(changes),
            stdin=subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
            start_new_session=True,
        )
        try:
            process.wait(timeout)
            late = False
            wait_for_group(process)
        except subprocess.TimeoutExpired:
            late = True
            process.send_signal(signal.SIGABRT)  # with -X faulthandler: where every thread stands
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                pass
        finally:
            end_group(process)
    child = Child(
        process.returncode,
        out.read_text("utf-8", "replace"),
        err.read_text("utf-8", "replace"),
        json.loads(result.read_text("utf-8")) if result.exists() and result.stat().st_size else None,
    )
    said = f"\nstatus {child.returncode}\nstdout:\n{child.stdout[-4000:]}\nstderr:\n{child.stderr[-8000:]}"
    assert not late, f"not done after {timeout} s{said}"
    assert expect is None or child.returncode == expect, f"expected status {expect}{said}"
    return child


def wait_for_group(process: subprocess.Popen[bytes]) -> None:
    """multiprocessing's resource tracker ends when it sees that nobody is left. What does not end is not waited for."""
    until = time.monotonic() + REST
    while time.monotonic() < until:
        try:
            os.killpg(process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.005)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the session that the program led, and only that."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def session(leader: int) -> list[str]:
    """Processes of the session that this one began, zombies too: number and state."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader:
            found.append(f"{stat.parent.name} {fields[0]}")
    return found


def run_source(
    source: str,
    directory: Path,
    *args: object,
    options: Sequence[str] = ("-X", "faulthandler"),
    env: Mapping[str, str | None] | None = None,
    timeout: float = 60,
    expect: int | None = 0,
) -> Child:
    """Write `source` into `directory` and run it with this Python."""
    path = directory / f"program_{len(list(directory.glob('program_*.py')))}.py"
    path.write_text(textwrap.dedent(source), "utf-8")
    command = [sys.executable, *options, str(path), *map(str, args)]
    return run(command, directory, env=env, timeout=timeout, expect=expect)
