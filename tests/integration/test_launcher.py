"""`python -m pymemtrace run X` against `python X`: what the program says, its exit status, and what it can see."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.child import environment

TIMEOUT = 60
LAUNCH = ("-m", "pymemtrace", "run")


CHANGING = re.compile(rb"\b0x[0-9a-f]{6,}\b|\b(Thread-|thread )\d{9,}|(?<=test in )[0-9.]+s|started \d{9,}\b")


class Outcome:
    """Status and what was said, byte for byte but for addresses and times."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr
        self.scrubbed = (self.status, CHANGING.sub(b"-", self.stdout), CHANGING.sub(b"-", self.stderr))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and self.scrubbed == other.scrubbed

    def __repr__(self) -> str:
        return f"\nstatus {self.status}\nstdout:\n{self.stdout.decode(errors='replace')}\nstderr:\n" + (
            self.stderr.decode(errors="replace")
        )


def python(
    *args: str, cwd: Path, options: Sequence[str] = (), stdin: bytes = b"", env: Mapping[str, str | None] | None = None
) -> Outcome:
    command = [sys.executable, *options, *args]
    return Outcome(
        subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, timeout=TIMEOUT, env=environment(env))
    )


def traced(*args: str, log: Path, cwd: Path, **more: object) -> Outcome:
    """Quiet, everything logged. The log must be there, with an end where the program had one."""
    log.parent.mkdir(exist_ok=True)
    return python(*LAUNCH, "-qf", "--log", "all", "-o", str(log), *args, cwd=cwd, **more)  # type: ignore[arg-type]


def same(folder: Path, *args: str, **more: object) -> Outcome:
    """Run `python ARGS` and `pymemtrace run ARGS`; everything must be equal. Returns the outcome."""
    log = folder.parent / "logs" / "run.log"
    native = python(*args, cwd=folder, **more)  # type: ignore[arg-type]
    recorded = traced(*args, log=log, cwd=folder, **more)  # type: ignore[arg-type]
    assert recorded == native
    return native


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "programs"
    made.mkdir()
    return made


def write(path: Path, source: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = source if isinstance(source, bytes) else textwrap.dedent(source).lstrip("\n").encode()
    path.write_bytes(data)
    return path.name


DEEP = "def f(n):\n    if n:\n        return f(n - 1)\n    {}\nf(3)\n"

PROGRAMS: dict[str, str] = {
    # how it ends
    "pass": "pass",
    "empty": "",
    "exit_nothing": "import sys; sys.exit()",
    "exit_none": "raise SystemExit(None)",
    "exit_3": "import sys; sys.exit(3)",
    "exit_true": "import sys; sys.exit(True)",
    "exit_256": "import sys; sys.exit(256)",
    "exit_minus_1": "import sys; sys.exit(-1)",
    "exit_huge": "import sys; sys.exit(2**70)",
    "exit_text": "import sys; print('out'); sys.exit('text')",
    "exit_object": """
        class Thing:
            def __str__(self):
                print('asked')
                return 'a thing'
        raise SystemExit(Thing())
        """,
    "exit_tuple": "raise SystemExit(1, 'two')",
    "exit_float": "raise SystemExit(1.5)",
    "exit_deep": DEEP.format("raise SystemExit(7)"),
    "exit_within_exception": """
        import sys
        try:
            1 / 0
        except ZeroDivisionError:
            sys.exit(4)
        """,
    "exit_code_fails": """
        class Odd(SystemExit):
            @property
            def code(self):
                raise ValueError('no code')
        raise Odd()
        """,
    "exit_bad_str": """
        class Thing:
            def __str__(self):
                raise ValueError('cannot be shown')
        raise SystemExit(Thing())
        """,
    "exception": "print('before')\n1 / 0\n",
    "exception_deep": DEEP.format("raise ValueError('deep')"),
    "exception_from": """
        def inner():
            return {}['key']
        def outer():
            try:
                inner()
            except KeyError as error:
                raise RuntimeError('outer') from error
        outer()
        """,
    "exception_while_handling": """
        try:
            1 / 0
        except ZeroDivisionError:
            [].pop()
        """,
    "exception_in_import": "import json.nothing_here",
    "exception_in_class_body": "class A:\n    x = undefined\n",
    "exception_in_callback": "sorted([1, 2], key=lambda x: 1 / 0)",
    "exception_in_generator": "def g():\n    yield 1\n    raise LookupError('g')\nlist(g())\n",
    "exception_in_comprehension": "[1 / x for x in (1, 0)]",
    "exception_own_class": "class Own(Exception):\n    pass\nraise Own('mine', 2)\n",
    "exception_group": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "exception_note": "e = ValueError('v')\ne.add_note('a note')\nraise e\n",
    "exception_bad_repr": """
        class Bad(Exception):
            def __str__(self):
                raise ValueError('str')
        raise Bad()
        """,
    "exception_suggestion": "import sys\nsys.exi\n",
    "recursion_error": "def f():\n    f()\nf()\n",
    "last_exception": """
        import atexit, sys
        def show():
            print(sys.last_type, sys.last_value, sys.last_traceback.tb_frame.f_code.co_name,
                  sys.last_traceback.tb_next, getattr(sys, 'last_exc', None))
        atexit.register(show)
        1 / 0
        """,
    "excepthook": """
        import sys
        def hook(kind, value, traceback):
            depth = 0
            while traceback is not None:
                print(traceback.tb_frame.f_code.co_name, traceback.tb_lineno)
                traceback = traceback.tb_next
            print(kind, value, sys._getframe(1) if sys._getframe().f_back else 'no frame below')
        sys.excepthook = hook
        def f():
            1 / 0
        f()
        """,
    "excepthook_fails": """
        import sys
        def hook(*args):
            raise KeyError('hook')
        sys.excepthook = hook
        1 / 0
        """,
    "excepthook_exits": """
        import sys
        sys.excepthook = lambda *args: sys.exit(9)
        1 / 0
        """,
    "excepthook_deleted": "import sys\ndel sys.excepthook\n1 / 0\n",
    "keyboard_interrupt": "print('x', flush=True)\nraise KeyboardInterrupt\n",
    "keyboard_interrupt_signal": """
        import os, signal, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background has it ignored
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(9)
        """,
    "keyboard_interrupt_caught": """
        import os, signal, time
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(9)
        except KeyboardInterrupt:
            print('caught')
        """,
    "keyboard_interrupt_class": "class Stop(KeyboardInterrupt):\n    pass\nraise Stop('now')\n",
    "keyboard_interrupt_before_exit_functions_of_c": """
        import ctypes
        libc = ctypes.CDLL(None)
        assert libc.__cxa_atexit(libc.abort, None, None) == 0
        raise KeyboardInterrupt
        """,
    "keyboard_interrupt_blocked": """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        raise KeyboardInterrupt
        """,
    "sigterm": "import os, signal\nprint('x', flush=True)\nos.kill(os.getpid(), signal.SIGTERM)\n",
    "sigkill": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "os_exit": "import os\nprint('lost in the buffer')\nos._exit(3)\n",
    "os_exit_deep": "import os\n" + DEEP.format("os._exit(5)"),
    # what it sees of the stack
    "print_stack": "import traceback\ntraceback.print_stack()\n" + DEEP.format("traceback.print_stack()"),
    "frames": """
        import sys
        def depth():
            frame, count = sys._getframe(), 0
            while frame is not None:
                frame, count = frame.f_back, count + 1
            return count
        print(depth(), sys._getframe().f_back, sys._getframe().f_code.co_name, sys._getframe().f_lineno)
        try:
            sys._getframe(1)
        except ValueError as error:
            print(error)
        print(sys._current_frames().keys() == {__import__('threading').get_ident()})
        """,
    "frame_identity": "import sys\nprint(sys._getframe().f_globals is globals(), sys._getframe().f_locals is locals())",
    "inspect_stack": """
        import inspect
        def f():
            print([(i.filename, i.lineno, i.function) for i in inspect.stack()])
        f()
        """,
    "faulthandler": "import faulthandler, sys\ndef f():\n    faulthandler.dump_traceback(sys.stdout)\nf()\n",
    "stacklevel": """
        import warnings
        def f():
            for level in range(1, 6):
                warnings.warn(f'level {level}', UserWarning, stacklevel=level)
        f()
        """,
    "warning_registry": """
        import warnings
        def f():
            warnings.warn('old', DeprecationWarning, stacklevel=2)
        f()
        f()
        print('__warningregistry__' in globals())
        """,
    "recursion_depth": """
        import sys
        deepest = 0
        def f(n):
            global deepest
            deepest = n
            f(n + 1)
        try:
            f(1)
        except RecursionError as error:
            print(deepest, error)
        print(sys.getrecursionlimit())
        """,
    "recursion_depth_raised_limit": """
        import sys
        sys.setrecursionlimit(5000)
        deepest = 0
        def f(n):
            global deepest
            deepest = n
            f(n + 1)
        try:
            f(1)
        except RecursionError as error:
            print(deepest, error)
        """,
    "recursion_in_thread": """
        import threading
        deepest = 0
        def f(n):
            global deepest
            deepest = n
            f(n + 1)
        def run():
            try:
                f(1)
            except RecursionError:
                print(deepest)
        t = threading.Thread(target=run)
        t.start()
        t.join()
        """,
    "low_limit": "import sys\nsys.setrecursionlimit(30)\nprint('ok')\n",
    "c_recursion": """
        def reached(n):
            nested = []
            for _ in range(n):
                nested = [nested]
            try:
                repr(nested)
            except RecursionError:
                return False
            return True
        low, high = 1, 200000
        while high - low > 1:
            middle = (low + high) // 2
            if reached(middle):
                low = middle
            else:
                high = middle
        print(low)
        """,
    "exc_info": "import sys\nprint(sys.exc_info())\n",
    "profile_and_trace": """
        import sys, threading
        print(sys.gettrace(), threading.current_thread(), threading.active_count())
        """,
    # what it sees of itself
    "names": """
        print(list(globals()))
        for name, value in list(globals().items()):
            print(name, type(value), value if name not in ('__loader__', 'name', 'value') else '')
        print(__loader__.name, __loader__.path)
        """,
    "names_at_end": """
        import atexit
        atexit.register(lambda: print(list(globals())))
        """,
    "names_at_end_after_exit": """
        import atexit, sys
        atexit.register(lambda: print(list(globals())))
        sys.exit()
        """,
    "names_at_end_after_exception": """
        import atexit, sys
        atexit.register(lambda: print(list(globals())))
        1 / 0
        """,
    "main_module": """
        import sys, __main__
        print(sys.modules['__main__'] is __main__, vars(__main__) is globals(), repr(__main__), type(__main__))
        print(__spec__, __package__, __doc__, __name__, __file__)
        print(list(sys.modules)[:4])
        """,
    "argv": "import sys\nprint(sys.argv, getattr(sys, 'orig_argv', None), sys.flags, sys.executable, sys.warnoptions)",
    "path": "import sys\nprint(sys.path)\nprint(sys.meta_path)\nprint(len(sys.path_hooks))",
    "annotations": "def f(x: int, y: 'str'): pass\nz: float = 1\nprint(f.__annotations__, __annotations__)\n",
    "docstring": "'''The text.'''\nprint(__doc__)\n",
    "source": "import inspect\ndef f():\n    return 1  # here\nprint(inspect.getsource(f), inspect.getsourcefile(f))",
    "reimport_main": """
        if __name__ == '__main__':
            import program
            print(program.X, program.__spec__.name)
        X = 1
        """,
    "import_neighbour": "import neighbour\nprint(neighbour.WHO, neighbour.__file__)",
    "resources": "import os\nprint(open(os.path.join(os.path.dirname(__file__), 'neighbour.py')).read())",
    "pickle": """
        import pickle
        class Point:
            def __init__(self, x):
                self.x = x
        data = pickle.dumps([Point(1), Point], 4)
        print(data, pickle.loads(data)[0].x, type(pickle.loads(data)[0]) is Point)
        """,
    "pickle_in_child": """
        import pickle, subprocess, sys
        class Point:
            x = 1
        if __name__ == '__main__' and len(sys.argv) == 1:
            again = subprocess.run([sys.executable, *sys.argv, 'child'], input=pickle.dumps(Point()),
                                   stdout=subprocess.PIPE)
            print(again)
        else:
            print(pickle.load(sys.stdin.buffer).x)
        """,
    "spawn": """
        import multiprocessing, os, sys
        class Point:
            def __init__(self, x):
                self.x = x
        def work(point):
            print('child', point.x, sys.argv, __name__, flush=True)
            return Point(point.x + 1)
        if __name__ == '__main__':
            with multiprocessing.get_context('spawn').Pool(1) as pool:
                print([point.x for point in pool.map(work, [Point(1), Point(2)])])
        """,
    "forkserver": """
        import multiprocessing
        def work(x):
            return x * 2, __name__
        if __name__ == '__main__':
            with multiprocessing.get_context('forkserver').Pool(1) as pool:
                print(pool.map(work, [1, 2]))
        """,
    "fork_pool": """
        import multiprocessing
        def work(x):
            return x * 2, __name__
        if __name__ == '__main__':
            with multiprocessing.get_context('fork').Pool(2) as pool:
                print(pool.map(work, range(50)))
        """,
    "descriptors": "import os\nprint([os.open('/dev/null', os.O_RDONLY) for _ in range(3)], os.pipe())",
    "environment": """
        import os
        where = os.environ.get("PYMEMTRACE") and os.environ["PYTHONPATH"].partition(":")[0]  # for children
        for key, value in sorted(os.environ.items()):
            if key not in ("_", "PYMEMTRACE"):
                print(key, value[len(where) + 1 :] if where and key == "PYTHONPATH" else value)
        """,
    "optimised": "assert False\n",
    "dev_null": "import sys\nprint(sys.stdin, sys.stdout, sys.stderr)",
    # fork
    "fork": """
        import os, sys
        print('before', flush=True)
        pid = os.fork()
        if pid == 0:
            print('child', flush=True)
            os._exit(3)
        print('parent', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
    "fork_child_goes_on": """
        import atexit, os, sys, traceback
        atexit.register(lambda: print('atexit', flush=True))
        pid = os.fork()
        if pid == 0:
            def f():
                traceback.print_stack()
                raise ValueError('in the child')
            f()
        print('parent', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
    "fork_child_exits": """
        import os, sys
        pid = os.fork()
        if pid == 0:
            sys.exit('the child')
        print('parent', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
    "fork_parent_first": """
        import os, sys
        r, w = os.pipe()
        if os.fork():
            os.close(w)
            os.read(r, 1)
        else:
            os.write(w, b'x')
            sys.exit(0)
        """,
    "exec": """
        import os, sys
        if len(sys.argv) == 1:
            print('first', flush=True)
            os.execv(sys.executable, [sys.executable, *sys.argv, 'again'])
        print('second', sys.argv)
        """,
    "exec_fails": """
        import os
        try:
            os.execv('/nonexistent', ['x'])
        except OSError as error:
            print(error)
        """,
    "subprocess": """
        import subprocess, sys
        print(subprocess.run([sys.executable, '-c', 'print(1)'], capture_output=True))
        """,
    # threads, the end
    "thread_outlives_main": """
        import threading, time
        def late():
            threading.main_thread().join()
            print('thread ends')
        threading.Thread(target=late).start()
        print('main ends')
        """,
    "daemon_thread": """
        import threading, time
        ready = threading.Event()
        def forever():
            ready.set()
            while True:
                time.sleep(0.01)
        threading.Thread(target=forever, daemon=True).start()
        ready.wait()
        print('main ends')
        """,
    "thread_raises": """
        import threading
        def f():
            1 / 0
        t = threading.Thread(target=f, name='worker')
        t.start()
        t.join()
        """,
    "thread_exits": """
        import threading, sys
        t = threading.Thread(target=sys.exit, args=(3,))
        t.start()
        t.join()
        print(1)
        """,
    "atexit_order": """
        import atexit, threading
        for n in range(3):
            atexit.register(print, 'atexit', n)
        class Dies:
            def __del__(self):
                print('del')
        kept = Dies()
        t = threading.Thread(target=lambda: (threading.main_thread().join(), print('thread')))
        t.start()
        """,
    "atexit_raises": """
        import atexit
        atexit.register(print, 'last')
        @atexit.register
        def f():
            1 / 0
        """,
    "atexit_exits": "import atexit, sys\natexit.register(sys.exit, 5)\natexit.register(print, 'first')\n",
    "atexit_after_exception": "import atexit\natexit.register(print, 'atexit')\n1 / 0\n",
    "atexit_stack": "import atexit, traceback\natexit.register(traceback.print_stack)\n",
    "atexit_frames": "import atexit, sys\n@atexit.register\ndef f():\n    print(sys._getframe().f_back)\n",
    "atexit_registers": "import atexit\natexit.register(lambda: atexit.register(print, 'inner'))\n",
    "del_at_teardown": """
        import sys
        class Dies:
            def __init__(self, name):
                self.name = name
            def __del__(self):
                print('del', self.name, sys is None)
        a, _b, c = Dies('a'), Dies('_b'), Dies('c')
        c.self = c
        """,
    "weakref_finalize": """
        import weakref
        class A: pass
        a = A()
        weakref.finalize(a, print, 'finalized')
        print('end')
        """,
    "unraisable": "class A:\n    def __del__(self):\n        1 / 0\nA()\n",
    "generator_at_end": """
        def g():
            try:
                yield
            finally:
                print('closed')
        x = g()
        next(x)
        """,
    "asyncio": """
        import asyncio
        async def f():
            await asyncio.sleep(0)
            print('f')
            raise ValueError
        asyncio.run(f())
        """,
    "unittest": """
        import unittest
        class T(unittest.TestCase):
            def test(self):
                self.fail('no')
        try:
            unittest.main()
        except SystemExit as error:
            print(error.code)
        """,
    # standard streams
    "stdin_read": "import sys\nprint(sys.stdin.read().upper(), end='')",
    "stdin_input": "print(input())\nprint(input())\nprint(input())\nprint(input())",
    "stdin_closed": "import sys\nsys.stdin.close()\nprint(sys.stdin)\n",
    "stdin_fd_closed": "import os\nos.close(0)\nprint(os.open('/dev/null', os.O_RDONLY))\n",
    "stdout_closed": "import sys\nprint('x')\nsys.stdout.close()\n",
    "stdout_fd_closed": "import os, sys\nprint('never seen')\nos.close(1)\n",
    "stderr_closed": "import sys\nsys.stderr.close()\n1 / 0\n",
    "stderr_none": "import sys\nsys.stderr = None\n1 / 0\n",
    "stdout_replaced": """
        import io, sys
        sys.stdout = io.StringIO()
        print('kept')
        sys.stderr.write(sys.stdout.getvalue())
        """,
    "all_closed": "import os\nprint('x', flush=True)\nos.closerange(0, 1000)\n",
    "all_closed_then_opened": """
        import os
        os.closerange(0, 4096)
        for n in range(8):
            fd = os.open(f'own_{n}', os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.write(fd, b'own')
            assert fd == n, fd
        """,
    "partial_lines": "import sys\nprint('out', end='')\nprint('err', end='', file=sys.stderr)\n",
    "binary": "import sys\nsys.stdout.buffer.write(bytes(range(256)))\n",
    "unencodable": "import sys\nprint('\\udc80', file=sys.stderr)\nprint('\\ud800')\n",
    # signals, profilers
    "alarm": """
        import signal, time
        seen = []
        def handler(number, frame):
            seen.append((number, frame.f_code.co_name, frame.f_back))
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        while not seen:
            time.sleep(0.01)
        print(seen)
        """,
    "signal_mask": """
        import signal
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT))
        """,
    "own_settrace": """
        import sys
        seen = []
        def trace(frame, what, arg):
            seen.append((what, frame.f_code.co_name, frame.f_lineno))
            return trace
        def f():
            return 1
        sys.settrace(trace)
        f()
        sys.settrace(None)
        print(seen)
        """,
}

NEIGHBOUR = "WHO = 'neighbour'\n"


# From 3.12 on the interpreter finalizes itself with that exception still set: what it prints then, a SystemError of
# whatever is called first, depends on which modules are loaded.
NO_EXIT_STATUS = {"exit_bad_str", "exit_huge"} if sys.version_info >= (3, 12) else set()


@pytest.mark.parametrize("name", PROGRAMS)
def test_script(folder: Path, name: str) -> None:
    write(folder / "neighbour.py", NEIGHBOUR)
    write(folder / "program.py", PROGRAMS[name])
    if name in NO_EXIT_STATUS:
        native = python("program.py", cwd=folder)
        assert traced("program.py", log=folder.parent / "logs" / "run.log", cwd=folder).status == native.status
        return
    if name == "c_recursion" and sys.version_info >= (3, 14):  # which measures the C stack, and that holds the launcher
        native = python("program.py", cwd=folder)
        recorded = traced("program.py", log=folder.parent / "logs" / "run.log", cwd=folder)
        assert int(recorded.stdout) == pytest.approx(int(native.stdout), rel=0.01)
        return
    same(folder, "program.py", stdin="one\ntwo\nd\u00e9j\u00e0".encode())


NEED_A_FILE = {"forkserver", "main_module", "names", "reimport_main", "resources", "spawn"}
# Where -c has a way of its own: what is shown of the source, the names of `__main__`, the stack, the end.
OTHERWISE = {"argv", "atexit_order", "del_at_teardown", "exception_deep", "exception_from", "exit_text", "frames"}
OTHERWISE |= {"fork", "import_neighbour", "keyboard_interrupt", "names_at_end", "path", "pickle", "print_stack"}
OTHERWISE |= {"recursion_depth", "sigterm", "source", "stacklevel", "stdin_input", "thread_raises"}
ON_THE_COMMAND_LINE = [
    pytest.param(name, marks=() if name in OTHERWISE else pytest.mark.slow_once)
    for name in PROGRAMS
    if name not in NEED_A_FILE | NO_EXIT_STATUS
]


@pytest.mark.parametrize("name", ON_THE_COMMAND_LINE)
def test_code(folder: Path, name: str) -> None:
    write(folder / "neighbour.py", NEIGHBOUR)
    code = textwrap.dedent(PROGRAMS[name]).lstrip("\n")
    same(folder, "-c", code, *(["x"] if "'again'" in code else []), stdin="one\ntwo\nd\u00e9j\u00e0".encode())


MODULES = ["pass", "exit_text", "exception_deep", "print_stack", "frames", "stacklevel", "recursion_depth", "names"]
MODULES += ["main_module", "argv", "path", "pickle", "atexit_order", "names_at_end", "keyboard_interrupt"]
MODULES += ["del_at_teardown", "generator_at_end"]


@pytest.mark.parametrize("name", MODULES)
def test_module(folder: Path, name: str) -> None:
    write(folder / "program.py", PROGRAMS[name])
    same(folder, "-m", "program", "a", "--", "-b")


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("kind", ["directory", "zip"])
def test_directory_and_zip(folder: Path, name: str, kind: str) -> None:
    write(folder / "app" / "__main__.py", PROGRAMS[name])
    if kind == "directory":
        same(folder, "app", "a")
        same(folder, "./app/", "a")
    else:
        import zipfile

        with zipfile.ZipFile(folder / "app.pyz", "w") as archive:
            archive.write(folder / "app" / "__main__.py", "__main__.py")
        same(folder, "app.pyz", "a")


SHOW = """
import sys
print(sys.argv, getattr(sys, 'orig_argv', None), sys.path, list(globals()))
print(__name__, __package__, __spec__ and __spec__.name, globals().get('__file__'))
"""


@pytest.mark.parametrize(
    "args",
    [
        ["-m", "package"],
        ["-mpackage"],
        ["-m", "package.module", "-q", "--log"],
        ["-m", "package.inner"],
        ["-m", "package.inner.module"],
        ["-m", "package.missing"],
        ["-m", "package.empty"],
        ["-m", "package.module.deeper"],
        ["-m", "package.broken"],
        ["-m", "broken_package.module"],
        ["-m", "json.tool", "--help"],
        ["-m", "timeit", "-n", "1", "-r", "1", "-s", "import sys", "print(sys.argv)", "1 +"],
        ["-m", "this"],
        ["-m", "site", "--user-site"],
        ["-c", "import sys; print(sys.argv, getattr(sys, 'orig_argv', 0), sys.path)", "-m", "-c"],
        ["-cimport sys; print(sys.argv, getattr(sys, 'orig_argv', 0))", "x"],
        ["-c", ""],
        ["-c", "print('d\u00e9j\u00e0 \u4e2d \U0001f600')"],
        ["-c", "def f():\n    1 / 0\nf()"],
        ["-c", "x = ("],
        ["-c", "import __main__; print(list(vars(__main__)), __main__.__loader__)"],
        ["show.py", "-o", "x", "--threshold", "-1", "", "d\u00e9j\u00e0"],
        ["./show.py"],
        ["package/../show.py"],
        ["package//module.py"],
        ["link.py"],
        ["links/absolute.py"],
        ["links/relative.py"],
        ["linked_folder/module.py"],
        ["/dev/stdin"],
        ["d\u00e9j\u00e0 \u4e2d/it's #1.py", "x"],
        ["package"],
        ["package/inner"],
        ["no_suffix"],
        ["-O"],
    ],
    ids=lambda args: " ".join(args)[:40].encode("unicode_escape").decode(),
)
def test_where_the_program_is(folder: Path, args: list[str]) -> None:
    for name in ("show.py", "package/__main__.py", "package/module.py", "package/inner/__main__.py", "no_suffix"):
        write(folder / name, SHOW)
    for name in ("package/__init__.py", "package/inner/__init__.py", "package/inner/module.py"):
        write(folder / name, f"print({name!r}, __name__)\n")
    write(folder / "package" / "empty" / "__init__.py", "")
    write(folder / "package" / "broken.py", "x = (\n")
    write(folder / "broken_package" / "__init__.py", "print('here')\n1 / 0\n")
    write(folder / "broken_package" / "module.py", "")
    write(folder / "d\u00e9j\u00e0 \u4e2d" / "it's #1.py", SHOW + "1 / 0\n")
    (folder / "links").mkdir()
    (folder / "link.py").symlink_to("package/module.py")
    (folder / "links" / "absolute.py").symlink_to(folder / "show.py")
    (folder / "links" / "relative.py").symlink_to("../package/module.py")
    (folder / "linked_folder").symlink_to("package")
    if args == ["-O"]:  # an option of the interpreter: a script of that name
        write(folder / "-O", SHOW)
        args = ["./-O"]
    same(folder, *args, stdin=SHOW.encode())


@pytest.mark.parametrize(
    "options",
    [
        ["-X", "dev"],
        ["-X", "utf8=0"],
        ["-I"],
        ["-E", "-s"],
        ["-O"],
        ["-OO"],
        ["-B"],
        ["-W", "error"],
        ["-Werror::UserWarning"],
        ["-b"],
        ["-u"],
        ["-S"],
        ["-P"],
        ["-X", "faulthandler"],
    ],
    ids=" ".join,
)
def test_options_of_the_interpreter(folder: Path, options: list[str]) -> None:
    # GIVEN a program that asserts, warns and shows its flags
    if options == ["-P"] and sys.version_info < (3, 11):
        pytest.skip("-P came with 3.11")
    write(
        folder / "program.py",
        SHOW + "print(sys.flags, sys.warnoptions, sys._xoptions)\nassert len(sys.argv) > 1\nimport warnings\n"
        "print(b'' == '')\nwarnings.warn('w')\n",
    )
    log = folder.parent / "logs" / "run.log"
    if "-I" in options or "-E" in options:  # PYTHONPATH is not heard: make the package known otherwise
        import pymemtrace

        package = Path(pymemtrace.__file__).resolve().parent.parent
        log.parent.mkdir()
        start = (
            f"import sys; sys.path.insert(0, {str(package)!r}); from pymemtrace.commands import main; "
            f"del sys.path[0]; main(['run', '-q', '-o', {str(log)!r}, 'program.py', 'a'])"
        )
        native = python("program.py", "a", cwd=folder, options=options)
        recorded = python("-c", start, cwd=folder, options=options)
        assert recorded.status == native.status
        mine, its = recorded.stdout.decode().splitlines(), native.stdout.decode().splitlines()
        assert mine[1:] == its[1:] and recorded.stderr == native.stderr
        return
    # WHEN, THEN
    same(folder, "program.py", "a", options=options)
    same(folder, "program.py", options=options)
    if options != ["-P"]:
        same(folder, "-m", "program", "a", options=options)
    same(folder, "-c", SHOW, "a", options=options)


@pytest.mark.parametrize("launch", [("-mpymemtrace", "run"), ("-m", "pymemtrace", "run"), ("-um", "pymemtrace", "run")])
@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.orig_argv came with 3.10")
def test_our_part_of_the_command_line_is_cut_out(folder: Path, launch: tuple[str, ...]) -> None:
    write(folder / "program.py", "import sys\nprint(sys.orig_argv[1:])\n")
    expected = b"['-u', 'program.py', 'run']\n" if launch[0] == "-um" else b"['program.py', 'run']\n"
    assert python(*launch, "-q", "program.py", "run", cwd=folder).stdout == expected


def test_console_script(folder: Path) -> None:
    # GIVEN what pip makes of the entry point
    write(folder / "bin" / "pymemtrace", "import sys\nfrom pymemtrace.__main__ import main\nsys.exit(main())\n")
    write(folder / "program.py", SHOW)
    write(folder / "module" / "__main__.py", SHOW)
    for args in (["program.py", "a"], ["-m", "module", "b"], ["module"], ["-c", SHOW]):
        # WHEN
        native = python(*args, cwd=folder)
        recorded = python("bin/pymemtrace", "run", "-q", "-fo", str(folder.parent / "x.log"), *args, cwd=folder)
        # THEN
        assert recorded == native


SOURCES: dict[str, bytes] = {
    "latin_1": b"# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))\n1 / 0  # \xe9\n",
    "bom": b"\xef\xbb\xbfprint(ascii('\xc3\xa9'))\n",
    "crlf": b"x = '''a\r\nb'''\r\nprint(repr(x))\r\n1 / 0\r\n",
    "no_line_end": b"print(1)",
    "form_feed": b"print(1)\n\x0cprint(2)\n",
    "continued": b"print(1, \\\n 2)\n",
    "syntax_error": b"print('never')\nx = (\n",
    "indentation": b"if 1:\nprint(1)\n",
    "tabs": b"def f():\n        x\n\ty\n",
    "not_utf_8": b"x = 1\n\xe9 = 2\n",
    "unknown_coding": b"# coding: nope\n",
    "bom_and_latin_1": b"\xef\xbb\xbf# coding: latin-1\nprint(1)\n",
    "return_outside": b"print(1)\nreturn 3\n",
    "unterminated": b'print("""abc\n',
    "bad_escape": b'print("\\N{no such}")\n',
    "warning": b"x = 5\nprint(x is 5)\n",
    "warnings_then_error": b"x = 5\nprint(x is 5)\n'\\d'\nx = (\n",
    "warning_in_function": b"def f(x):\n    return x is 'a'\nassert (1, 'x')\nprint(1)\n",
    "too_deep": b"x = " + b"(" * 300 + b")" * 300 + b"\n",
    "deep_compile": b"x = " + b"+".join([b"1"] * 50) + b"\n" + b"x" + b".y" * 3000 + b"\n",
}


@pytest.mark.parametrize("name", SOURCES)
def test_source_text(folder: Path, name: str) -> None:
    write(folder / "program.py", SOURCES[name])
    same(folder, "program.py")
    same(folder, "program.py", options=["-W", "error"])
    if SOURCES[name].isascii() and name != "unknown_coding":  # Python 3.9 minds it even in -c
        same(folder, "-c", SOURCES[name].decode())


def test_syntax_error_makes_no_log(folder: Path) -> None:
    write(folder / "program.py", "x = (\n")
    before = set(folder.iterdir())
    assert python(*LAUNCH, "program.py", cwd=folder).status == 1
    assert set(folder.iterdir()) == before


def test_compiled_file(folder: Path) -> None:
    import py_compile

    write(folder / "program.py", SHOW + "print(__loader__)\ndef f():\n    1 / 0\nf()\n")
    py_compile.compile(str(folder / "program.py"), cfile=str(folder / "compiled.pyc"), doraise=True)
    (folder / "no_suffix").write_bytes((folder / "compiled.pyc").read_bytes())
    for name in ("compiled.pyc", "no_suffix"):
        native = python(name, "a", cwd=folder)
        recorded = traced(name, "a", log=folder.parent / "logs" / "run.log", cwd=folder)
        scrub = re.compile(rb"0x[0-9a-f]+")
        assert native.status == 1 and recorded.stderr == native.stderr
        assert scrub.sub(b"0x", recorded.stdout) == scrub.sub(b"0x", native.stdout)


def test_from_a_pipe(folder: Path) -> None:
    # GIVEN a program in a pipe: `python <(echo ...)`
    (folder / "program").write_text(SHOW)
    shell = f'cd {folder}; "$0" "$@" <(cat program) a'
    outcomes = []
    for launch in ([], [*LAUNCH, "-q", "-o", str(folder.parent / "x.log")]):
        # WHEN
        done = subprocess.run(
            ["bash", "-c", shell, sys.executable, *launch], capture_output=True, timeout=TIMEOUT, env=environment()
        )
        outcomes.append(re.sub(rb"/dev/fd/\d+|/proc/\d+/fd", b"FD", done.stdout) + done.stderr)
    # THEN
    assert outcomes[0] == outcomes[1]


def test_missing_directory(folder: Path) -> None:
    # GIVEN a program that is started where the directory is gone
    write(folder / "program.py", SHOW)
    shell = f'mkdir gone; cd gone; rmdir ../gone; "$0" "$@" {folder}/program.py a'
    outcomes = []
    for launch in ([], [*LAUNCH, "-q", "-o", str(folder.parent / "x.log")]):
        done = subprocess.run(
            ["bash", "-c", shell, sys.executable, *launch],
            capture_output=True,
            timeout=TIMEOUT,
            env=environment(),
            cwd=folder,
        )
        outcomes.append((done.returncode, done.stdout, done.stderr))
    assert outcomes[0] == outcomes[1]


def test_broken_pipe(folder: Path) -> None:
    # GIVEN a reader that goes away
    write(folder / "program.py", "for n in range(100000):\n    print(n)\n")
    outcomes = []
    for launch in ([], [*LAUNCH, "-q", "-o", str(folder.parent / "x.log")]):
        done = subprocess.run(
            ["bash", "-c", '"$0" "$@" program.py | head -1; echo ${PIPESTATUS[0]}', sys.executable, *launch],
            capture_output=True,
            timeout=TIMEOUT,
            env=environment(),
            cwd=folder,
        )
        outcomes.append((done.stdout, done.stderr))
    assert outcomes[0] == outcomes[1]


def test_closed_streams_from_the_start(folder: Path) -> None:
    write(folder / "program.py", "import os, sys\nopen('seen', 'w').write(repr((sys.stdin, sys.stdout, sys.stderr)))\n")
    seen = []
    for launch in ("", f"-m pymemtrace run -o {folder.parent}/x.log"):
        shell = f'"$0" {launch} program.py <&- >&- 2>&-'
        done = subprocess.run(
            ["bash", "-c", shell, sys.executable], cwd=folder, timeout=TIMEOUT, env=environment(), capture_output=True
        )
        assert done.returncode == 0
        seen.append((folder / "seen").read_text())
    assert seen[0] == seen[1]


# The log and the last word.


def test_log_of_a_run(folder: Path) -> None:
    write(folder / "program.py", "def f():\n    return len('x')\nf()\n")
    log = folder.parent / "run.log"
    assert python(*LAUNCH, "-q", "--log", "all", "-o", str(log), "program.py", cwd=folder).status == 0
    rows = [line for line in log.read_text().splitlines() if "program.py" in line and line[0] != "#"]
    assert [(row.split()[2], row.split()[-3]) for row in rows] == [
        ("CALL", "<module>"),
        ("CALL", "f"),
        ("C_CALL", "len"),
        ("C_RETURN", "len"),
        ("RETURN", "f"),
        ("RETURN", "<module>"),
    ]
    assert rows[0].split()[0] == "0", "the first event is the program's first"
    assert "pymemtrace" not in "".join(row for row in log.read_text().splitlines() if row[:1].isdigit())
    assert log.read_text().splitlines()[-1].startswith("# end")


def test_module_is_recorded_from_before_its_package(folder: Path) -> None:
    write(folder / "package" / "__init__.py", "x = bytearray(4 << 20)\n")
    write(folder / "package" / "__main__.py", "print(1)\n")
    log = folder.parent / "run.log"
    assert python(*LAUNCH, "-q", "--log", "all", "-o", str(log), "-m", "package", cwd=folder).status == 0
    text = log.read_text()
    assert "package/__init__.py" in text and "_run_module_as_main" in text


def test_default_name(folder: Path) -> None:
    write(folder / "program.py", "import os\nos.mkdir('sub')\nos.chdir('sub')\nprint(os.getpid())\n")
    done = python(*LAUNCH, "program.py", cwd=folder)
    (log,) = folder.glob("*.log")
    assert re.fullmatch(rf"\d{{6}}_\d{{6}}_{done.stdout.decode().strip()}\.log", log.name)
    assert str(log) in done.stderr.decode()


def test_output_in_a_directory(folder: Path) -> None:
    done = python(*LAUNCH, "-o", "new/logs/", "-c", "pass", cwd=folder)
    assert done.status == 0, done
    assert len(list((folder / "new" / "logs").iterdir())) == 1
    assert python(*LAUNCH, "-o", "new/logs", "-c", "pass", cwd=folder).status == 0
    assert len(list((folder / "new" / "logs").iterdir())) == 2


def test_force_makes_a_new_file(folder: Path) -> None:
    log = folder / "x.log"
    log.write_text("what was there\n")
    os.link(log, folder / "hard")
    assert python(*LAUNCH, "-qf", "-o", "x.log", "-c", "pass", cwd=folder).status == 0
    assert (folder / "hard").read_text() == "what was there\n" and "what was there" not in log.read_text()


def test_existing_empty_file_is_used(folder: Path) -> None:
    (folder / "x.log").touch()
    assert python(*LAUNCH, "-q", "-o", "x.log", "-c", "pass", cwd=folder).status == 0
    assert (folder / "x.log").stat().st_size > 0


def test_no_comments(folder: Path) -> None:
    assert python(*LAUNCH, "-q", "--no-comments", "-o", "x.log", "-c", "pass", cwd=folder).status == 0
    assert (folder / "x.log").read_text().startswith("Event ") and "\n#" not in (folder / "x.log").read_text()


GROWS = """
def grow():
    return bytearray(b'x') * (32 << 20)

kept = grow()
print('done')
"""


def test_last_word(folder: Path) -> None:
    write(folder / "program.py", GROWS)
    done = python(*LAUNCH, "-o", "x.log", "program.py", cwd=folder)
    said = done.stderr.decode()
    assert done.stdout == b"done\n"
    lines = said.splitlines()
    assert re.fullmatch(r"pymemtrace: [\d,]+ events seen, [\d,]+ logged, \d+\.\d{3} s", lines[0])
    assert re.match(r"  RSS +first [\d.]+ MiB, peak [\d.]+ MiB, last [\d.]+ MiB$", lines[1])
    grew = re.search(r"\+([\d,]+) +([\d.]+ MiB) +(\d+)x  grow  (.*)#(\d+)\n", said)
    assert grew is not None, said
    assert 32 << 20 <= int(grew[1].replace(",", "")) < 34 << 20
    assert grew[4] == str(folder / "program.py") and int(grew[5]) in (1, 2)
    assert f"  log         {folder / 'x.log'}" in lines
    assert lines[-1].startswith("  next        ")


def test_command_to_try_next_works(folder: Path) -> None:
    write(folder / "program.py", GROWS)
    said = python(*LAUNCH, "-o", "a log's.log", "program.py", cwd=folder).stderr.decode()
    command = said.splitlines()[-1].partition("next")[2]
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=TIMEOUT, cwd=folder)
    assert done.returncode == 0 and done.stderr == ""
    first = done.stdout.splitlines()[0].split()
    assert int(first[0]) >= 32 << 20 and first[0] == first[-1], done.stdout


@pytest.mark.parametrize("compute", ["nothing", "rss", "all"])
def test_last_word_without_rows(folder: Path, compute: str) -> None:
    done = python(*LAUNCH, "-v", "--log", "none", "--compute", compute, "-o", "x.log", "-c", "pass", cwd=folder)
    said = done.stderr.decode()
    assert done.status == 0 and "less -S" in said
    assert ("  RSS  " in said) == (compute != "nothing")
    assert ("grew most" in said) == (compute == "all")


def test_verbose(folder: Path) -> None:
    said = python(*LAUNCH, "-v", "-o", "x.log", "-c", "pass", cwd=folder).stderr.decode()
    for word in ("readings", "gate", "audit", "granularity", "waits", "recorder"):
        assert f"\n  {word}" in said


def test_device_has_no_command_to_try_next(folder: Path) -> None:
    said = python(*LAUNCH, "-o", "/dev/null", "-c", "pass", cwd=folder).stderr.decode()
    assert "log         /dev/null" in said and "next" not in said


@pytest.mark.parametrize("quiet", ["-q", "-v"])
def test_failed_recording_is_said_and_does_not_hurt(folder: Path, quiet: str) -> None:
    # GIVEN a log that may not grow beyond 100 KiB
    write(folder / "program.py", "for n in range(50000):\n    len('x')\nprint('done')\nraise SystemExit(3)\n")
    shell = 'ulimit -f 100; "$0" "$@"'
    command = ["bash", "-c", shell, sys.executable, *LAUNCH, quiet, "--log", "all", "-o", "x.log", "program.py"]
    # WHEN
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT, env=environment())
    # THEN
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (3, b"done\n"), said
    assert said.count("INCOMPLETE") == 1 and "File too large" in said


def test_program_speaks_first(folder: Path) -> None:
    # GIVEN output that is still in the program's buffers when it ends, both streams in one file
    write(folder / "program.py", "import atexit, sys\natexit.register(print, 'atexit')\nprint('out')\n1 / 0\n")
    said = []
    for launch in ((), (*LAUNCH, "-o", "x.log")):
        done = subprocess.run(
            [sys.executable, *launch, "program.py"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
            env=environment(),
        )
        said.append(done.stdout)
    # THEN
    assert b"atexit" in said[0] and said[1].startswith(said[0] + b"pymemtrace: ")


@pytest.mark.parametrize("end", ["pass", "import sys; sys.exit(3)", "1 / 0", "import os; os._exit(0)"])
def test_forked_child_does_not_speak(folder: Path, end: str) -> None:
    program = f"import os\npid = os.fork()\nif pid == 0:\n    {end}\nelse:\n    os.waitpid(pid, 0)\n"
    write(folder / "program.py", program)
    done = python(*LAUNCH, "-o", "x.log", "program.py", cwd=folder)
    assert done.stderr.decode().count("events seen") == 1
    assert (folder / "x.log").read_text().count("\n# end") == 1


def test_last_word_does_not_go_into_a_file_of_the_program(folder: Path) -> None:
    # GIVEN a program that closes descriptor 2 and opens a file, which gets that number
    write(
        folder / "program.py",
        "import os\nos.close(2)\nfd = os.open('own', os.O_CREAT | os.O_WRONLY)\nos.write(fd, b'own')\nprint(fd)\n",
    )
    # WHEN
    done = python(*LAUNCH, "-o", "x.log", "program.py", cwd=folder)
    # THEN
    assert (done.status, done.stdout, done.stderr) == (0, b"2\n", b"")
    assert (folder / "own").read_bytes() == b"own"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_from_outside(folder: Path, number: signal.Signals) -> None:
    write(folder / "program.py", "import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, *LAUNCH, "-q", "-o", "x.log", "program.py"],
        cwd=folder,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        process.send_signal(number)
        assert process.wait(TIMEOUT) == -number
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


# What it says about itself.


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["run", "--help"], ["run", "-h"], ["info", "--help"]])
def test_help(folder: Path, args: list[str]) -> None:
    done = python("-m", "pymemtrace", *args, cwd=folder)
    assert done.status == 0 and done.stderr == b""
    text = done.stdout.decode()
    assert text.startswith("usage: python -m pymemtrace")
    assert max(map(len, text.splitlines())) <= 120
    assert "docs/" in text or "info" in args


def test_help_names_every_option(folder: Path) -> None:
    from pymemtrace.commands import run

    for option in [*run.FLAGS, *run.VALUED]:
        assert re.search(rf"^  .*{option}\b", run.HELP, re.MULTILINE), option


def test_help_after_the_program_is_the_programs(folder: Path) -> None:
    write(folder / "program.py", "import sys\nprint(sys.argv)\n")
    assert python(*LAUNCH, "-q", "program.py", "--help", cwd=folder).stdout == b"['program.py', '--help']\n"


def test_version(folder: Path) -> None:
    import pymemtrace

    done = python("-m", "pymemtrace", "--version", cwd=folder)
    assert done.stdout.decode().split()[:2] == ["pymemtrace", pymemtrace.__version__]


def test_info(folder: Path) -> None:
    done = python("-m", "pymemtrace", "info", cwd=folder)
    assert done.status == 0 and done.stderr == b""
    assert re.search(r"^engines?\b", done.stdout.decode(), re.MULTILINE)


# What it costs.

HEAVY = {"argparse", "asyncio", "dataclasses", "gettext", "inspect", "logging", "psutil", "re", "rich", "typing"}


def test_imports_are_few(folder: Path) -> None:
    """Added to what `python -m` itself imports."""
    write(folder / "empty_module.py", "")
    shown = "; import sys; print(*sys.modules)"
    before = python("-c", "import runpy, importlib.util" + shown, cwd=folder).stdout.decode().split()
    after = python("-c", "import runpy, importlib.util, pymemtrace.commands.run" + shown, cwd=folder)
    added = set(after.stdout.decode().split()) - set(before)
    assert not added & HEAVY
    others = {name for name in added if not name.startswith("pymemtrace")}
    assert others <= {"__future__", "_posixsubprocess", "atexit"}


def test_imports_add_at_most_4_mib(folder: Path) -> None:
    shown = "; print(int(open('/proc/self/statm').read().split()[1]) * 4096)"

    def least(code: str) -> int:
        return min(int(python("-c", code + shown, cwd=folder).stdout) for _ in range(5))

    added = least("import runpy, pymemtrace.commands.run") - least("pass")
    assert added <= 4 << 20
