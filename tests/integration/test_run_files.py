"""A real run of several recorded processes, read back as one: who started whom, how each ended."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support import child

import pymemtrace

# Each program is given to `run` by the one above it, which waits for it; all files go to the folder `files`.
PARENT = """
import os, signal, subprocess, sys
from support.child import environment, report

def recorded(name, program, *options):
    ours = ["-m", "pymemtrace", "run", "-q", "--no-children", "--sample", "0.01", "-o", f"files/{name}"]
    return [sys.executable, *ours, *options, program]

env = environment()
names = ["regular.log", "os_exit.pmt", "killed.pmt", "becomes.log"]
pids, statuses = {}, {}
for name in names:
    process = subprocess.Popen(recorded(name, f"{name.partition('.')[0]}.py"), env=env)
    pids[name] = process.pid
    statuses[name] = process.wait()
report(pids=pids, statuses=statuses, pid=os.getpid())
"""
PROGRAMS = {
    "parent": PARENT,
    "regular": """
import subprocess, sys
command = ["-m", "pymemtrace", "run", "-q", "-o", "files/below.log", "-c", "kept = bytes(5000000)"]
subprocess.run([sys.executable, *command])
""",
    "os_exit": "import os\nos._exit(3)\n",
    "killed": "import os, signal\nkept = bytes(1000)\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "becomes": """
import os, sys
command = ["-m", "pymemtrace", "run", "-q", "-o", "files/became.log", "-c", "len('')"]
os.execv(sys.executable, [sys.executable, *command])
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    for name, text in PROGRAMS.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def run(folder: Path) -> child.Child:
    command = ["run", "-q", "--no-children", "-o", "files/root.log", "--log", "all", "parent.py"]
    return child.run([sys.executable, "-m", "pymemtrace", *command], folder, timeout=120)


def test_a_run_of_real_processes(folder: Path) -> None:
    # WHEN
    done = run(folder)
    found = pymemtrace.read_run(folder / "files")
    # THEN
    pids = done.result["pids"]
    assert done.result["statuses"] == {"regular.log": 0, "os_exit.pmt": 3, "killed.pmt": -9, "becomes.log": 0}
    (root,) = found.roots
    assert (Path(root.path).name, root.pid) == ("root.log", done.result["pid"])
    assert [(depth, os.path.basename(one.path), one.ended) for depth, one in found.walk()] == [
        (0, "root.log", "regularly"),
        (1, "regular.log", "regularly"),
        (2, "below.log", "regularly"),
        (1, "os_exit.pmt", "by os._exit or os.abort"),
        (1, "killed.pmt", "cut"),
        (1, "becomes.log", "by exec"),
        (2, "became.log", "regularly"),
    ]
    assert {os.path.basename(one.path): one.pid for one in root.children} == pids
    assert [one.path for one in found.processes if one.pid == pids["becomes.log"]] == [
        str(folder / "files" / name) for name in ("becomes.log", "became.log")
    ]
    assert all(one.parent == root.pid for one in root.children)
    assert found.processes[1].command == " ".join(
        [sys.executable, "-m pymemtrace run -q --no-children --sample 0.01 -o files/regular.log regular.py"]
    )
    assert found.skipped == [] and found.problems == []  # what is beside the killed one is its own, and so are samples
    assert {path.stem for path in (folder / "files").glob("*.rss")} == {name.partition(".")[0] for name in pids}
    # WHEN the killed one is completed
    command = [sys.executable, "-m", "pymemtrace", "recover", "files/killed.pmt"]
    assert "events recovered" in child.run(command, folder).stdout
    # THEN
    found = pymemtrace.read_run(folder / "files")
    (killed,) = [one for one in found.processes if one.path.endswith("killed.pmt")]
    assert killed.ended == "recovered" and [event.function for event in killed.recording][-1] == "kill"


def test_the_commands_on_it(folder: Path) -> None:
    # GIVEN
    run(folder)
    # WHEN
    summary = child.run([sys.executable, "-m", "pymemtrace", "summary", "files"], folder)
    events = child.run([sys.executable, "-m", "pymemtrace", "events", "files"], folder)
    # THEN
    assert summary.stdout.startswith("7 processes\n") and summary.stderr == ""
    total = sum(len(list(one.recording)) for one in pymemtrace.read_run(folder / "files").processes)
    lines = events.stdout.splitlines()
    assert sum(line[:1].isdigit() for line in lines) == total
    assert [line for line in lines if line.startswith("# file: ")][0] == "# file: files/root.log"
    assert "'files/killed.pmt'" in events.stderr and "recover files/killed.pmt" in events.stderr


FORKS = """
import os, subprocess, sys
from support.child import report

first = os.fork()
if first == 0:
    second = os.fork()
    if second:
        os.waitpid(second, 0)
    os._exit(0)
os.waitpid(first, 0)
started = subprocess.Popen([sys.executable, "-c", "len('')"])
started.wait()
report(pid=os.getpid(), first=first, started=started.pid)
"""


@pytest.mark.parametrize("suffix", [".log", ".pmt"])
def test_children_that_join(folder: Path, suffix: str) -> None:
    # GIVEN a program whose children record by themselves: forked, forked by a forked one, started
    (folder / "forks.py").write_text(FORKS)
    # WHEN
    command = ["run", "-q", "-o", f"files/job{suffix}", "forks.py"]
    pids = child.run([sys.executable, "-m", "pymemtrace", *command], folder, timeout=120).result
    # THEN
    found = pymemtrace.read_run(folder / "files")
    assert (found.problems, found.skipped) == ([], [])
    (second,) = {one.pid for one in found.processes} - set(pids.values())
    assert [(depth, one.pid, one.ended) for depth, one in found.walk()] == [
        (0, pids["pid"], "regularly"),
        (1, pids["first"], "by os._exit or os.abort"),
        (2, second, "by os._exit or os.abort"),
        (1, pids["started"], "regularly"),
    ]
