"""Python programs that a recorded one starts: each joins the run, with a file of its own; nobody else is touched."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support import log, pythons
from support.child import Child, run

import pymemtrace

LAUNCH = (sys.executable, "-X", "faulthandler", "-m", "pymemtrace", "run")
HOOK = Path(pymemtrace.__file__).resolve().parent / "hook"
FAMILIES = Path("/dev/shm")
# A child that can be told from all others by its rows.
WORK = "def in_child(): pass\n[in_child() for _ in range(7)]\n"

Run = Callable[..., Child]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "programs"
    made.mkdir()
    return made


def write(folder: Path, source: str, name: str = "program.py") -> str:
    (folder / name).write_text(textwrap.dedent(source))
    return name


def recorded(folder: Path, source: str, *options: str, env: dict[str, str | None] | None = None, **more) -> Child:  # type: ignore[no-untyped-def]
    """Run `source` under the launcher, everything logged, job.log and what is beside it in `folder`."""
    write(folder, source)
    return run([*LAUNCH, "--log", "all", "-o", "job.log", *options, "program.py"], folder, env=env, **more)


def files(folder: Path) -> dict[int, log.Log]:
    """All logs by process, each whole and right."""
    found = {}
    for path in folder.glob("*.log"):
        text = log.read(path, "all")
        found[int(head(text, "pid"))] = text
    return found


def head(text: log.Log, key: str) -> str:
    return dict(comment.pair for comment in text.head if comment.pair)[key]


def children_of(folder: Path, function: str = "in_child", times: int = 7) -> list[log.Log]:
    """The logs in which the function was called so often; in all others it was not at all."""
    found = [text for text in files(folder).values() if text.calls(function)]
    assert {text.calls(function) for text in found} <= {times}
    return found


SPAWN = f"""
    import subprocess, sys
    child = subprocess.Popen([sys.executable, *OPTIONS, "-c", {WORK!r}])
    child.wait()
    print(child.pid, child.returncode)
"""


# --- who joins -------------------------------------------------------------------------------------------------------


def test_subprocess(folder: Path) -> None:
    # WHEN
    done = recorded(folder, SPAWN.replace("*OPTIONS, ", ""))
    # THEN there are two files, the child's with all that it did, named after its parent's
    pid = int(done.stdout.split()[0])
    (child,) = children_of(folder)
    assert sorted(path.name for path in folder.glob("*.log")) == ["job.log", f"job_{pid}.log"]
    (root,) = (number for number in files(folder) if number != pid)
    assert (head(child, "pid"), head(child, "parent")) == (str(pid), str(root))
    assert child.end == "end"
    # and one voice, which tells of both
    assert done.stderr.count("events seen") == 1
    assert f"  children    1 recorded: {folder}/job_{pid}.log\n" in done.stderr
    assert not list(FAMILIES.glob(f"pymemtrace_{root}_*"))
    # and a command for the whole run, which works
    command = done.stderr.splitlines()[-1].partition("whole run")[2]
    shown = run(["sh", "-c", command.replace("python", f"'{sys.executable}'", 1)], folder)
    assert f"job_{pid}.log" in shown.stdout


def test_hook_makes_no_event(folder: Path) -> None:
    recorded(folder, SPAWN.replace("*OPTIONS, ", ""))
    (child,) = children_of(folder)
    ours = {str(HOOK / "sitecustomize.py"), *map(str, HOOK.parent.glob("**/*.py"))}
    assert [row for row in child.rows if row.file in ours] == []


def test_grandchildren(folder: Path) -> None:
    # GIVEN a child that starts a child, which starts a child
    write(folder, WORK, "last.py")
    write(folder, "import subprocess, sys\nsubprocess.run([sys.executable, 'last.py'], check=True)\n", "second.py")
    source = "import subprocess, sys\nsubprocess.run([sys.executable, 'second.py'], check=True)\n"
    # WHEN
    done = recorded(folder, source)
    # THEN all are of one run
    (last,) = children_of(folder)
    logs = files(folder)
    assert len(logs) == 3
    second = int(head(last, "parent"))
    assert head(logs[int(head(logs[second], "parent"))], "command").endswith("program.py")
    assert done.stderr.count("events seen") == 1 and "  children    2 recorded: " in done.stderr


def test_environment_of_a_child(folder: Path) -> None:
    # GIVEN a user's own entries of PYTHONPATH
    show = "import os, sys; print(os.environ['PYTHONPATH'], *sys.path, sep='\\n')"
    source = f"""
        import os, subprocess, sys
        sys.stdout.flush()
        subprocess.run([sys.executable, "-c", {show!r}])
        nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
        subprocess.run([sys.executable, "-c", nested, {show!r}])
        """
    mine = os.environ.get("PYTHONPATH", "")
    # WHEN
    done = recorded(folder, source, "-q")
    native = run([sys.executable, "program.py"], folder)
    # THEN the child's sys.path is as it would be, and the hook stands once in the variable, also in a grandchild
    assert mine == os.environ.get("PYTHONPATH", "")
    got, expected = done.stdout.splitlines(), native.stdout.splitlines()
    assert len(got) == len(expected)
    assert [line.removeprefix(f"{HOOK}:") for line in got] == expected
    assert sum(line.startswith(f"{HOOK}:") for line in got) == 2


def test_environment_is_put_back(folder: Path) -> None:
    source = """
        import os
        import pymemtrace
        from support.child import report

        def now():
            return [os.environ.get("PYMEMTRACE"), os.environ.get("PYTHONPATH")]

        before = now()
        with pymemtrace.trace("job.log"):
            within = now()
        with pymemtrace.trace("other.log", children=False):
            without = now()
        report(before=before, within=within, without=without, after=now())
        """
    done = run([sys.executable, write(folder, source)], folder)
    assert done.result["before"] == done.result["after"] == done.result["without"]
    variable, path = done.result["within"]
    assert variable is not None and "--family /dev/shm/pymemtrace_" in variable
    assert path == f"{HOOK}:{done.result['before'][1]}"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_multiprocessing(folder: Path, method: str) -> None:
    # GIVEN four processes, one after another, that end regularly
    source = f"""
        import multiprocessing, sys

        def in_child():
            pass

        def work():
            for _ in range(7):
                in_child()

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            many = [context.Process(target=work) for _ in range(4)]
            for each in many:
                each.start()
            for each in many:
                each.join()
            print(*[each.pid for each in many], *[each.exitcode for each in many])
        """
    # WHEN
    done = recorded(folder, source)
    # THEN
    said = done.stdout.split()
    assert said[4:] == ["0"] * 4
    found = {head(text, "pid") for text in map(log_of, folder.glob("job_*.log")) if text.calls("in_child") == 7}
    assert found == set(said[:4])
    assert done.stderr.count("events seen") == 1 and "NOT RECORDED" not in done.stderr


def log_of(path: Path) -> log.Log:
    """Also of one that is cut: multiprocessing's own helpers end after the program."""
    return log.parse(path.read_bytes(), complete=False)


def test_concurrent_futures(folder: Path) -> None:
    source = """
        import concurrent.futures, multiprocessing, os

        def in_child(n):
            return n * n

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
                print(sum(pool.map(in_child, range(20))))
        """
    done = recorded(folder, source)
    assert done.stdout == "2470\n"
    counts = [log_of(path).calls("in_child") for path in folder.glob("job_*.log")]
    assert sum(counts) == 20
    assert done.stderr.count("events seen") == 1


@pytest.mark.parametrize("flush", ["", "e"])
def test_exec(folder: Path, flush: str) -> None:
    # GIVEN a forked child that becomes another program
    environment = ", os.environ" if flush else ""
    source = f"""
        import os, sys
        def before(): pass
        pid = os.fork()
        if pid == 0:
            before()
            os.execv{flush}(sys.executable, [sys.executable, "-c", {WORK!r}]{environment})
        print(pid, os.waitpid(pid, 0)[1])
        """
    # WHEN
    done = recorded(folder, source)
    # THEN what it was and what it became have a file each
    pid, status = done.stdout.split()
    assert status == "0"
    assert sorted(path.name for path in folder.glob("*.log")) == ["job.log", f"job_{pid}.log", f"job_{pid}_1.log"]
    first, second = log_of(folder / f"job_{pid}.log"), log.read(folder / f"job_{pid}_1.log", "all")
    assert first.calls("before") == 1 and first.end == "end the process called exec"
    assert second.calls("in_child") == 7 and head(second, "pid") == pid


def test_exec_of_the_first_process(folder: Path) -> None:
    # GIVEN a program that becomes another one, which has a child
    then = "import os, subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import os; os._exit(5)'])\n" + WORK
    source = (
        f"import os, sys\nprint(os.getpid(), flush=True)\nos.execv(sys.executable, [sys.executable, '-c', {then!r}])"
    )
    # WHEN
    done = recorded(folder, source)
    # THEN
    pid = done.stdout.strip()
    assert (folder / f"job_{pid}.log").exists() and len(list(folder.glob("*.log"))) == 3
    assert log.read(folder / f"job_{pid}.log", "all").calls("in_child") == 7
    assert not list(FAMILIES.glob(f"pymemtrace_{pid}_*"))


def test_child_of_a_child_of_a_finished_run(folder: Path) -> None:
    # GIVEN a daemon that starts a program when the run's first process is gone
    write(folder, WORK, "last.py")
    daemon = """
        import os, subprocess, sys, time
        while os.path.exists("/proc/" + sys.argv[1]) or os.path.exists(sys.argv[2]):
            time.sleep(0.01)
        subprocess.run([sys.executable, "last.py"], check=True)
        open("done", "w").close()
        """
    write(folder, daemon, "daemon.py")
    source = """
        import os, subprocess, sys
        family = os.environ["PYMEMTRACE"].rpartition(" ")[2]
        subprocess.Popen([sys.executable, "daemon.py", str(os.getpid()), family], start_new_session=True)
        """
    # WHEN
    recorded(folder, source, "-q")
    wait_for(folder / "done")
    # THEN it is recorded all the same
    (last,) = [text for text in map(log_of, folder.glob("job_*.log")) if text.calls("in_child")]
    assert last.calls("in_child") == 7


def wait_for(path: Path, seconds: float = 60) -> None:
    import time

    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not come"
        time.sleep(0.02)


def test_in_the_api(folder: Path) -> None:
    # GIVEN a context manager around the start of one child, none around another's
    source = f"""
        import os, subprocess, sys
        import pymemtrace

        command = [sys.executable, "-c", {WORK!r}]
        with pymemtrace.trace("job.log", log="all"):
            subprocess.run(command)
        subprocess.run(command)
        with pymemtrace.trace("alone.log", log="all", children=False):
            subprocess.run(command)
        print(os.getpid())
        """
    # WHEN
    done = run([sys.executable, write(folder, source)], folder)
    # THEN
    assert done.stderr == ""
    assert len(children_of(folder)) == 1
    assert len(list(folder.glob("*.log"))) == 3
    assert not list(FAMILIES.glob(f"pymemtrace_{done.stdout.strip()}_*"))


def test_nothing_large_is_loaded_into_a_child(folder: Path) -> None:
    source = """
        import subprocess, sys
        show = "import sys; print(*sys.modules)"
        subprocess.run([sys.executable, "-c", show], check=True)
        """
    write(folder, source)
    native = set(run([sys.executable, "program.py"], folder).stdout.split())
    added = set(recorded(folder, source).stdout.split()) - native
    assert {name for name in added if name.partition(".")[0] != "pymemtrace"} <= {
        "__future__",
        "_posixsubprocess",
        "atexit",
    }
    assert "pymemtrace.cPyMemTrace" in added


# --- who does not ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-E", "-I", "-S"])
def test_children_that_are_not_seen(folder: Path, option: str) -> None:
    done = recorded(folder, SPAWN.replace("*OPTIONS", f'"{option}"'))
    assert done.stdout.split()[1] == "0"
    assert [path.name for path in folder.glob("*.log")] == ["job.log"]
    assert "  children  " not in done.stderr and "NOT RECORDED" not in done.stderr


def test_a_cleaned_environment_is_not_seen(folder: Path) -> None:
    source = "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(1)'], env={}).returncode)\n"
    assert recorded(folder, source).stdout == "1\n0\n"
    assert [path.name for path in folder.glob("*.log")] == ["job.log"]


def test_no_children(folder: Path) -> None:
    done = recorded(
        folder, SPAWN.replace("*OPTIONS, ", "") + "    import os; print('PYMEMTRACE' in os.environ)\n", "--no-children"
    )
    assert done.stdout.split()[1:] == ["0", "False"]
    assert [path.name for path in folder.glob("*.log")] == ["job.log"]


def test_no_children_within_a_run_that_has_them(folder: Path) -> None:
    # GIVEN a program under `run` that begins a recording without children of its own, and starts others meanwhile
    source = """
        import os, subprocess, sys
        import pymemtrace

        command = [sys.executable, "-c", "import os; print('PYMEMTRACE' in os.environ)"]
        with pymemtrace.trace("inner.log", children=False):
            subprocess.run(command, check=True)
        subprocess.run(command, check=True)
        """
    # WHEN
    done = recorded(folder, source, "-q")
    # THEN those are not recorded, later ones are
    assert done.stdout.split() == ["False", "True"]
    assert len(list(folder.glob("*.log"))) == 3


@pytest.mark.parametrize("output", [["-o", "/dev/null"], ["--log", "none"]])
def test_no_file_no_children(folder: Path, output: list[str]) -> None:
    write(folder, SPAWN.replace("*OPTIONS, ", ""))
    done = run([*LAUNCH, *output, "program.py"], folder)
    assert done.stdout.split()[1] == "0"
    assert list(folder.glob("*.log")) == [] and "NOT RECORDED" not in done.stderr
    assert not list(Path("/dev").glob("null_*"))


@pytest.mark.parametrize("other", pythons.others(), ids=pythons.version)
def test_another_python(folder: Path, other: str) -> None:
    # GIVEN a package whose extension is not built for it
    if list(HOOK.parent.glob(f"cPyMemTrace.cpython-{''.join(pythons.version(other).split('.')[:2])}-*.so")):
        pytest.skip("the extension is built for this version, too")
    source = (
        f"import subprocess\nchild = subprocess.Popen([{other!r}, '-c', 'print(1)'])\nprint(child.wait(), child.pid)\n"
    )
    # WHEN
    done = recorded(folder, source)
    # THEN the child is as it was, and the run tells of it, in the last word and in the log
    one, status, pid = done.stdout.split()
    assert (one, status) == ("1", "0")
    why = f"pymemtrace is not built for this Python, CPython {pythons.version(other)} at {other}"
    assert re.search(rf"^  NOT RECORDED {pid} \(child of \d+\): {re.escape(why)}$", done.stderr, re.MULTILINE)
    foot = [comment.text for comment in log.read(folder / "job.log", "all").foot]
    assert any(re.fullmatch(rf"not recorded: {pid} \(parent \d+\): {re.escape(why)}", text) for text in foot), foot


def test_a_directory_that_the_child_cannot_write(folder: Path) -> None:
    # GIVEN a file system that takes no new file when the child starts
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere")
    logs = folder / "logs"
    logs.mkdir()
    source = """
        import os, subprocess, sys
        os.rename("logs", "gone")
        print(subprocess.run([sys.executable, "-c", "print(1)"]).returncode)
        """
    write(folder, source)
    # WHEN
    done = run([*LAUNCH, "--log", "all", "-o", "logs/job.log", "program.py"], folder)
    # THEN
    assert done.stdout == "1\n0\n"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("  NOT RECORDED")]
    assert re.search(rf"\(child of \d+\): .*{re.escape(str(logs))}/job_\d+\.log.*No such file or directory", line), line
    assert log.read(folder / "gone" / "job.log", "all").end == "end"


def test_options_that_the_program_has_broken(folder: Path) -> None:
    # GIVEN a program that writes into the variable
    source = """
        import os, subprocess, sys
        os.environ["PYMEMTRACE"] = os.environ["PYMEMTRACE"].replace("--log all", "--log every")
        print(subprocess.run([sys.executable, "-c", "print(1)"]).returncode)
        """
    # WHEN
    done = recorded(folder, source)
    # THEN the child says nothing, the root does
    assert done.stdout == "1\n0\n" and "PYMEMTRACE:" not in done.stderr
    assert re.search(r"^  NOT RECORDED \d+ \(child of \d+\): --log must be one of", done.stderr, re.MULTILINE)
    assert done.stderr.count("NOT RECORDED") == 1


# --- how they end ----------------------------------------------------------------------------------------------------


def test_a_killed_child_is_recovered(folder: Path) -> None:
    # GIVEN a child that is killed with all that it did still in its ring
    child = f"import os, signal\n{WORK}os.kill(os.getpid(), signal.SIGKILL)\n"
    source = f"import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', {child!r}]).returncode)\n"
    # WHEN
    done = recorded(folder, source)
    # THEN the run's first process has completed its file, and says so
    assert done.stdout == f"{-signal.SIGKILL}\n"
    (path,) = folder.glob("job_*.log")
    text = log_of(path)
    assert text.calls("in_child") == 7 and text.end == "end recovered"
    assert list(folder.glob("*.ring")) == []
    assert re.search(
        rf"1 of them cut by a signal or a crash, [\d,]+ events recovered: {re.escape(str(path))}\n", done.stderr
    )


def test_a_killed_child_is_recovered_in_the_api(folder: Path) -> None:
    child = f"import os, signal\n{WORK}os.kill(os.getpid(), signal.SIGKILL)\n"
    source = f"""
        import subprocess, sys
        import pymemtrace
        with pymemtrace.trace("job.log", log="all"):
            subprocess.run([sys.executable, "-c", {child!r}])
        """
    done = run([sys.executable, write(folder, source)], folder)
    (path,) = folder.glob("job_*.log")
    assert log_of(path).calls("in_child") == 7 and log_of(path).end == "end recovered"
    assert list(folder.glob("*.ring")) == [] and done.stderr == ""


@pytest.mark.parametrize("end, status", [("sys.exit(3)", 3), ("1 / 0", 1), ("os._exit(4)", 4), ("os.abort()", -6)])
def test_status_of_a_child_is_its_own(folder: Path, end: str, status: int) -> None:
    child = f"import os, sys\n{WORK}{end}\n"
    source = f"import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', {child!r}]).returncode)\n"
    done = recorded(folder, source, "-q")
    assert done.stdout == f"{status}\n"
    (path,) = folder.glob("job_*.log")
    assert log_of(path).calls("in_child") == 7 and (log_of(path).end or "").startswith("end")


def test_functions_at_exit_are_in_the_childs_log(folder: Path) -> None:
    child = "import atexit\ndef in_child(): pass\natexit.register(in_child)\n"
    source = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\n"
    recorded(folder, source, "-q")
    (found,) = children_of(folder, times=1)
    assert found.end == "end"


# --- names -----------------------------------------------------------------------------------------------------------


def start_names(folder: Path, output: str, source: str) -> list[str]:
    write(folder, source, "prog.py")
    run([*LAUNCH, "-q", "-o", output, "prog.py"], folder)
    return sorted(str(path.relative_to(folder)) for path in folder.glob("**/*.log"))


def test_names_by_a_template(folder: Path) -> None:
    (folder / "sub").mkdir()
    write(folder / "sub", "", "other.py")
    source = """
        import os, subprocess, sys
        print(os.getpid())
        os.chdir("sub")
        for command in (["other.py"], ["-c", ""], ["-Wd", "-m", "sub.other"], ["-m", "other"]):
            subprocess.run([sys.executable, *command])
        """
    names = start_names(folder, "{name}-{seq}.log", source)
    assert names == ["c-2.log", "other-1.log", "other-3.log", "other-4.log", "prog-0.log"]


def test_names_in_a_directory(folder: Path) -> None:
    names = start_names(folder, "new/a{b}/".replace("{b}", ""), SPAWN.replace("*OPTIONS, ", ""))
    assert len(names) == 2 and all(re.fullmatch(r"new/a/\d{6}_\d{6}_\d+\.log", name) for name in names), names


def test_names_where_braces_are_meant(folder: Path) -> None:
    odd = folder / "{odd}"
    odd.mkdir()
    names = start_names(odd, "job.log", SPAWN.replace("*OPTIONS, ", ""))
    assert names[0] == "job.log" and re.fullmatch(r"job_\d+\.log", names[1])
    (odd / "sub{x").mkdir()
    assert len(start_names(odd, "sub{x", SPAWN.replace("*OPTIONS, ", ""))) == 4


@pytest.mark.parametrize(
    "output, wrong",
    [
        ("{pod}.log", "unknown field {pod} in the path"),
        ("{pid.log", "a single { in the path"),
        ("new{pid}/", "fields in braces are for the name of a file"),
    ],
)
def test_wrong_names(folder: Path, output: str, wrong: str) -> None:
    done = run([*LAUNCH, "-o", output, "-c", "print(1)"], folder, expect=2)
    assert done.stdout == "" and wrong in done.stderr and done.stderr.count("\n") == 1
    assert list(folder.glob("*[gw]")) == []


# --- without the launcher --------------------------------------------------------------------------------------------


def service(folder: Path, options: str, *command: str, path: Sequence[str] = (), **more) -> Child:  # type: ignore[no-untyped-def]
    """Run a program with the two variables that docs/children.md describes."""
    env = {"PYTHONPATH": os.pathsep.join([str(HOOK), *path]), "PYMEMTRACE": options}
    return run([sys.executable, *command], folder, env=env, **more)


def test_service(folder: Path) -> None:
    # GIVEN
    write(folder, SPAWN.replace("*OPTIONS, ", "").replace("import", "def work(): pass\n    work()\n    import", 1))
    (folder / "var log").mkdir()
    # WHEN
    done = service(folder, f"-o '{folder}/var log/{{name}}_{{pid}}.log' --log all", "program.py")
    # THEN it is the first of a run: its name, its child's, one voice
    pid, status = done.stdout.split()
    logs = files(folder / "var log")
    assert status == "0" and len(logs) == 2
    root = int(head(logs[int(pid)], "parent"))
    assert sorted(path.name for path in (folder / "var log").iterdir()) == [f"c_{pid}.log", f"program_{root}.log"]
    assert (logs[root].calls("work"), logs[int(pid)].calls("in_child")) == (1, 7)
    assert done.stderr.startswith("pymemtrace: ") and done.stderr.count("events seen") == 1
    assert f"  children    1 recorded: {folder}/var log/c_{pid}.log\n" in done.stderr
    assert not list(FAMILIES.glob(f"pymemtrace_{root}_*"))


def test_quiet_service(folder: Path) -> None:
    done = service(folder, "-q --log all -o new/", "-c", "import atexit; atexit.register(print, 'end')")
    assert (done.stdout, done.stderr) == ("end\n", "")
    (path,) = (folder / "new").iterdir()
    assert log.read(path, "all").end == "end"


def test_forked_child_of_a_service_does_not_speak(folder: Path) -> None:
    source = "import os, sys\npid = os.fork()\nif pid == 0:\n    sys.exit(3)\nprint(os.waitpid(pid, 0)[1] >> 8)\n"
    done = service(folder, "--log all -o job.log", write(folder, source))
    assert done.stdout == "3\n" and done.stderr.count("events seen") == 1
    assert len(files(folder)) == 2


@pytest.mark.parametrize(
    "options, wrong",
    [
        ("--nothing", "unknown option '--nothing'"),
        ("--log every", "--log must be one of"),
        ("-o", "option -o needs a value"),
        ("-o 'x", "quotation mark"),
        ("-o x.log job.py", "it has options only; 'job.py' is none"),
        ("-m job", "it has options only; '-m' is none"),
        ("-o {pod}.log", "unknown field {pod}"),
        ("-q -v", "-q and -v exclude each other"),
        ("--help", "unknown option '--help'"),
        ("-o /nowhere/x.log", "cannot write '/nowhere/x.log': No such file or directory"),
        ("-o there.log", "exists already"),
    ],
)
def test_wrong_options_of_a_service(folder: Path, options: str, wrong: str) -> None:
    # GIVEN
    (folder / "there.log").write_text("something")
    # WHEN
    done = service(folder, options, "-c", "import sys; print(1); sys.exit(7)", expect=7)
    # THEN one sentence, and the program runs unrecorded
    assert done.stdout == "1\n"
    assert done.stderr.startswith("pymemtrace: PYMEMTRACE: ") and wrong in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in folder.glob("*.log")) == ["there.log"]
    assert (folder / "there.log").read_text() == "something"


def test_service_without_a_stderr(folder: Path) -> None:
    (folder / "program.py").write_text("open('ran', 'w').close()")
    env = {**os.environ, "PYTHONPATH": str(HOOK), "PYMEMTRACE": "--nothing"}
    done = subprocess.run(["sh", "-c", f'exec "{sys.executable}" program.py 2>&-'], cwd=folder, env=env, timeout=60)
    assert done.returncode == 0 and (folder / "ran").exists()


def test_users_own_sitecustomize(folder: Path) -> None:
    # GIVEN
    own = folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys\nx = 5\nprint('own', 'pymemtrace' in sys.modules)\n")
    # WHEN
    program = "def work(): pass\nwork()\nimport sitecustomize; print(sitecustomize.x, sitecustomize.__file__)\n"
    done = service(folder, "-q -o job.log --log all", write(folder, program), path=[str(own)])
    # THEN
    assert done.stdout == f"own False\n5 {own}/sitecustomize.py\n"
    assert log.read(folder / "job.log", "all").calls("work") == 1


def test_info_names_the_hook(folder: Path) -> None:
    done = run([sys.executable, "-m", "pymemtrace", "info"], folder)
    assert re.search(rf"^hook +{re.escape(str(HOOK))} ", done.stdout, re.MULTILINE)


def test_the_hook_is_alone_in_its_folder() -> None:
    assert [path.name for path in HOOK.iterdir() if path.name != "__pycache__" and path.suffix != ".pyc"] == [
        "sitecustomize.py"
    ]
