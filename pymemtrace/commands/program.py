"""The program under the recorder, set up as `python PROGRAM` sets it up.

It gets a new `__main__`, and sys.argv, sys.orig_argv and sys.path without our part; cPyMemTrace.run_main gives it a
stack without our frames. tests/integration/test_launcher.py compares each of these with the interpreter's own.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys

from ..errors import CommandError
from ..tracing import bare_call

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    Command = Callable[[], "list[str] | None"]  # makes the interpreter's command line as if there were no launcher


def prepare(argv: list[str], given: list[str]) -> tuple[Any, Any] | None:
    """Change `sys` for the program. Returns the first two arguments of run_main.

    argv: all arguments of the command. given: those from the program on: SCRIPT ..., -m MODULE ... or -c CODE ...
    Returns None when the program cannot be compiled, which has been shown then. Raises: CommandError.
    """
    found = _found(given, lambda: command_line(argv, given))
    if sys.version_info >= (3, 10):
        sys.orig_argv = command_line(argv, given) or sys.orig_argv
    return found


def _found(given: list[str], command: Command) -> tuple[Any, Any] | None:
    first = given[0]
    if first.startswith(("-m", "-c")):
        value, args = (first[2:], given[1:]) if len(first) > 2 else ("".join(given[1:2]), given[2:])
        if len(first) == 2 and len(given) == 1:
            raise CommandError(f"option {first} needs a value")
        return _module(value, args) if first[1] == "m" else _code(value, args, command)
    return _script(first, given[1:], command)


def _module(name: str, args: list[str]) -> tuple[Any, Any]:
    import runpy

    try:
        _set_path0(os.getcwd())
    except OSError:
        _set_path0(None)
    _find_module(name)
    sys.argv = ["-m", *args]
    _new_main()
    return runpy._run_module_as_main, (name, True)  # type: ignore[attr-defined]


def _find_module(name: str) -> None:
    """The package of a module must be there; what is missing within it the interpreter says in its own words."""
    top = name.partition(".")[0]
    try:
        found = top != "" and importlib.util.find_spec(top) is not None
    except ValueError:  # a module without a __spec__ is loaded: not missing
        found = True
    except ImportError:
        found = False
    if not found:
        raise CommandError(f"no module named {top or name!r}")


def _code(source: str, args: list[str], command: Command) -> tuple[Any, Any] | None:
    try:
        source.encode()
    except UnicodeEncodeError:
        raise CommandError("the code of -c is not valid text in this locale") from None
    code = _compile(source, "<string>", command)
    if code is None:
        return None
    if sys.version_info >= (3, 13):
        _register(code, source)
    _set_path0("")
    sys.argv = ["-c", *args]
    return code, _new_main()


def _register(code: CodeType, source: str) -> None:
    """Let tracebacks show the source of -c, as from Python 3.13 on."""
    import linecache

    by_code = hasattr(linecache, "_interactive_cache")  # the first 3.13 releases go by the name
    register: Any = vars(linecache)["_register_code"]
    register(code if by_code else "<string>", source + "\n", "<string>")


def _script(script: str, args: list[str], command: Command) -> tuple[Any, Any] | None:
    filename = _absolute(script)
    importer = _importer(filename)
    sys.argv = [script, *args]
    if importer is not None:
        return _folder(script, filename, importer)
    try:
        with open(filename, "rb") as file:
            data = file.read()
    except OSError as error:
        raise CommandError(f"cannot open the script {script!r}: {error.strerror}") from error
    loader: Any
    code: CodeType | None
    if script.endswith(".pyc") or data.startswith(importlib.util.MAGIC_NUMBER):
        loader, code = importlib.machinery.SourcelessFileLoader, _compiled(script, data)
    else:
        if b"\0" in data and sys.version_info < (3, 11, 4):  # these stop reading there
            raise CommandError(f"cannot run the script {script!r}: its source contains null bytes")
        loader, code = importlib.machinery.SourceFileLoader, _compile(data, filename, command)
    if code is None:
        return None
    _set_path0(_folder_of_script(script))
    namespace = _new_main()
    namespace["__file__"] = filename
    if sys.version_info < (3, 15):  # which does without
        namespace["__cached__"] = None
    namespace["__loader__"] = loader("__main__", filename)
    return code, namespace


def _folder(script: str, filename: str, importer: Any) -> tuple[Any, Any]:
    """A directory or a zip file."""
    import runpy

    find = importer.find_spec if hasattr(importer, "find_spec") else importer.find_module  # zip files on 3.9
    if find("__main__") is None:
        raise CommandError(f"cannot run {script!r}: it has no __main__.py")
    _set_path0(None)
    sys.path.insert(0, filename)
    _new_main()
    return runpy._run_module_as_main, ("__main__", False)  # type: ignore[attr-defined]


def _absolute(script: str) -> str:
    """As the interpreter does it: nothing is normalised."""
    if script.startswith("/"):
        return script
    try:
        return f"{os.getcwd()}/{script}"
    except OSError:
        return script


def _importer(path: str) -> Any:
    """What imports from this path: None for an ordinary script."""
    if path not in sys.path_importer_cache:
        importer = None
        for hook in sys.path_hooks:
            try:
                importer = hook(path)
                break
            except ImportError:
                continue
        sys.path_importer_cache[path] = importer
    return sys.path_importer_cache[path]


def _folder_of_script(script: str) -> str:
    """sys.path[0] of a script, with symbolic links resolved, as config and sysmodule.c compute it."""
    try:
        link = os.readlink(script)
        if "/" in link:
            script = os.path.join(os.path.dirname(script), link)
    except OSError:
        pass  # not a link
    real = os.path.realpath(script)
    if os.path.exists(real):  # not so for a pipe in /proc/self/fd
        script = real
    folder, slash, _ = script.rpartition("/")
    return folder or slash


def _set_path0(path: str | None) -> None:
    """Put the program's entry in place of the one that the interpreter made for us; None: just take that away."""
    if getattr(sys.flags, "safe_path", sys.flags.isolated):
        return  # there is none, and the program gets none
    try:
        os.getcwd()
        del sys.path[0]
    except OSError:
        pass  # without a current directory -m got no entry
    if path is not None:
        sys.path.insert(0, path)


def _new_main() -> dict[str, Any]:
    """A fresh `__main__`, its names in the interpreter's order. Returns its dict."""
    import builtins

    main = type(sys)("__main__")
    namespace = main.__dict__
    namespace["__loader__"] = importlib.machinery.BuiltinImporter
    if sys.version_info < (3, 14):
        namespace["__annotations__"] = {}
    namespace["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return namespace


def _compiled(script: str, data: bytes) -> CodeType:
    """The code of a .pyc file."""
    import marshal

    if not data.startswith(importlib.util.MAGIC_NUMBER):
        raise CommandError(f"cannot run {script!r}: it was not compiled by this Python")
    try:
        code = marshal.loads(memoryview(data)[16:])
    except (EOFError, TypeError, ValueError):
        code = None
    if not isinstance(code, type(_compiled.__code__)):
        raise CommandError(f"cannot run {script!r}: the compiled file is damaged")
    return code


def _compile(source: str | bytes, filename: str, command: Command) -> CodeType | None:
    """Compile as the interpreter would. None when it cannot be compiled, which has been shown then.

    The interpreter reads a script's source by other ways than compile() and words some errors differently. So an
    error is shown by the interpreter itself, in this process: there is nothing to record. The warnings that came
    before the error it shows, too.
    """
    import io

    stderr = sys.stderr
    said = sys.stderr = io.StringIO()
    try:
        code: CodeType = bare_call(compile, (source, filename, "exec", 0, True))
    except Exception as error:
        sys.stderr = stderr
        line = command()
        if line is not None and sys.executable and (filename == "<string>" or os.path.isfile(filename)):
            os.execv(sys.executable, line)
        if stderr is not None:
            stderr.write(said.getvalue())
        sys.excepthook(type(error), error.with_traceback(None), None)
        return None
    sys.stderr = stderr
    if stderr is not None and said.getvalue():
        stderr.write(said.getvalue())
    return code


def command_line(argv: list[str], given: list[str]) -> list[str] | None:
    """The interpreter's command line as if there were no launcher: sys.orig_argv from 3.10 on, put together before.

    argv: our arguments. given: the program and its arguments, the end of argv. None: it cannot be told.
    """
    if sys.version_info < (3, 10):
        import subprocess

        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
        return [sys.executable, *flags, *given]
    before = sys.orig_argv[: -len(argv) - 1]  # without our arguments and the word `run` or `sample`
    if not before or sys.orig_argv[len(before) + 1 :] != argv:
        return None
    launcher = before.pop()
    if launcher.startswith("-"):  # -mpymemtrace, perhaps -Impymemtrace
        before.append(launcher.partition("m")[0])
    elif before and before[-1].startswith("-") and before[-1].partition("m")[1:] == ("m", ""):  # -m, perhaps -Im
        before.append(before.pop()[:-1])
    if before[-1:] == ["-"]:
        before.pop()
    return [*before, *given]
