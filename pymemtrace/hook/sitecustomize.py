"""Lets a Python process that starts join the recording that PYMEMTRACE in its environment asks for.

This folder stands first on PYTHONPATH, so that `site` imports this file at the start of any Python, whichever version
and environment it is of: it must parse from Python 2.7 on, never raise and never print. What it leaves behind is what
would be without it: this folder is no more on sys.path, and the user's own sitecustomize is the one that is loaded.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
_PACKAGE = os.path.dirname(_HERE)


def _hook():
    own = sys.modules.pop("sitecustomize", None)  # held by this name: Python 2 would empty the module now
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
    sys.path_importer_cache.pop(_HERE, None)
    try:
        import sitecustomize  # noqa: F401  the user's; the error for want of one is for `site`, which expects it
    finally:
        if os.environ.get("PYMEMTRACE"):
            _join(os.environ["PYMEMTRACE"])
    del own


def _join(value):
    try:
        if _fits():
            codes = (sys._getframe().f_code, _hook.__code__, sys._getframe(2).f_code)
            _joining().join(value, codes, _sub_interpreter)
        else:
            _note(value, "pymemtrace is not built for this Python, " + _python())
    except Exception:
        error = sys.exc_info()[1]
        if not _sub_interpreter():
            _note(value, "pymemtrace cannot join in {}: {}: {}".format(_python(), type(error).__name__, error))


def _fits():
    """Is the extension beside us for this interpreter?"""
    if sys.version_info < (3, 9) or sys.implementation.name != "cpython":
        return False
    import _imp  # importlib.machinery gives the same, and would stay in sys.modules

    names = ["cPyMemTrace" + suffix for suffix in _imp.extension_suffixes()]
    return any(os.path.isfile(os.path.join(_PACKAGE, name)) for name in names)


def _joining():
    """pymemtrace.joining from where we are, wherever that is."""
    folder = os.path.dirname(_PACKAGE)
    cached = folder in sys.path_importer_cache
    sys.path.insert(0, folder)
    try:
        import pymemtrace
    finally:
        sys.path.remove(folder)
        if not cached:
            sys.path_importer_cache.pop(folder, None)
    import pymemtrace.joining

    return pymemtrace.joining


def _python():
    implementation = getattr(sys, "implementation", None)
    name = "CPython" if implementation is None or implementation.name == "cpython" else implementation.name
    return "{} {}.{}.{} at {}".format(name, *(tuple(sys.version_info[:3]) + (sys.executable,)))


def _sub_interpreter():
    """Such a one cannot be recorded; its process is, by the main interpreter."""
    try:
        try:
            import _interpreters as interpreters  # Python 3.13
        except ImportError:
            import _xxsubinterpreters as interpreters
        return interpreters.get_current() != interpreters.get_main()
    except Exception:
        return False


def _note(value, reason):
    """A line in the file of the run, if there is one: the process that the user started tells it."""
    before, option, path = value.rpartition("--family ")
    if not option:
        return
    try:
        line = "\t".join([str(os.getpid()), str(os.getppid()), " ".join(reason.split())]) + "\n"
        data = line if isinstance(line, bytes) else line.encode("utf-8", "replace")
        # Not made, not waited for, never anything but the file that the recorder made.
        file = os.open(path.strip(), os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            os.write(file, data)
        finally:
            os.close(file)
    except Exception:
        pass


_hook()
