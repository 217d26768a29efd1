"""Who may know whom, in C and in Python; what the built extension shows; how long a file may be."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PACKAGE = ROOT / "pymemtrace"
MAX_LINES = 800

# --- C ---------------------------------------------------------------------------------------------------------------

# A file includes only what stands as high as itself or lower. A new file is given its place here.
HEIGHT = {
    "module": 6,
    "sampler_type": 5,
    "tracer_type": 5,
    "tracer": 5,
    "paths": 5,  # of the files that a tracer writes
    "profile": 5,
    "capture": 5,
    "recovery": 5,
    "capture_tree": 4,
    "callbacks": 4,
    "monitoring": 4,
    "event": 4,  # what becomes of an event, whichever engine brings it
    "info": 5,
    "children": 5,
    "environment": 5,
    "fork": 5,
    "launcher": 5,
    "engine": 3,  # what an engine offers, for those that must not know which one it is
    "sites": 3,
    "threads": 3,
    "finish": 3,
    "samplers": 3,  # of Sampler objects and of recordings alike
    "arguments": 3,
    "member": 3,  # what this process tells the first of its run
    "reading": 3,
    "process": 3,
    "core": 2,
    "platform": 1,
}
BESIDE = {"compat", "errors", "encode", "version"}  # known to all but core and platform, and know only these
SIBLINGS = [{"callbacks", "monitoring"}, {"core/text_sink", "core/binary_sink", "core/null_sink"}]
OF_PYTHON = re.compile(r"Python\.h|frameobject\.h|structmember\.h|cpython/|internal/|pycore_")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)

C_FILES = sorted(path.relative_to(SRC).as_posix() for path in SRC.glob("**/*.[ch]"))


def stem(name: str) -> str:
    return name.rpartition(".")[0]


def place(name: str) -> str:
    """Key of HEIGHT or BESIDE for a file below src/: its folder, or its own name at the top."""
    return name.partition("/")[0] if "/" in name else stem(name)


def includes(name: str) -> Iterator[tuple[str, bool]]:
    """What a file includes, and whether it is ours."""
    for mark, what in INCLUDE.findall((SRC / name).read_text(encoding="utf-8")):
        yield what, mark == '"'


def test_there_are_c_files():
    assert {"core", "platform"} <= {place(name) for name in C_FILES}


@pytest.mark.parametrize("name", C_FILES)
def test_every_c_file_has_its_place(name):
    assert place(name) in {*HEIGHT, *BESIDE}, "say in HEIGHT or BESIDE above where it stands"


@pytest.mark.parametrize("name", C_FILES)
def test_includes_go_down_only(name):
    here = place(name)
    for what, own in includes(name):
        if not own:
            continue
        assert (SRC / what).is_file(), f"{what} is to be named as it lies below src/"
        there = place(what)
        if there in BESIDE:
            assert here not in ("core", "platform"), f"{name} includes {what}"
        elif here in BESIDE:
            assert there in ("core", "platform"), f"{name} includes {what}"
        else:
            assert HEIGHT[there] <= HEIGHT[here], f"{name} includes {what}, which stands above it"


@pytest.mark.parametrize("name", C_FILES)
def test_core_and_platform_know_no_python(name):
    if place(name) in ("core", "platform"):
        assert [what for what, _ in includes(name) if OF_PYTHON.search(what)] == []


@pytest.mark.parametrize("name", C_FILES)
def test_siblings_do_not_know_each_other(name):
    for family in SIBLINGS:
        if stem(name) in family:
            assert [what for what, own in includes(name) if own and stem(what) in family - {stem(name)}] == []


def test_headers_include_in_no_circle():
    below = {name: [what for what, own in includes(name) if own] for name in C_FILES if name.endswith(".h")}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " includes ".join((*path[path.index(name) :], name))
        if name not in done:
            for what in below.get(name, []):
                walk(what, (*path, name))
            done.add(name)

    for name in below:
        walk(name, ())


@pytest.mark.parametrize("name", C_FILES)
def test_only_compat_knows_python_versions(name):
    text = (SRC / name).read_text(encoding="utf-8")
    assert name == "compat.h" or "PY_VERSION_HEX" not in text


@pytest.mark.parametrize("name", C_FILES)
def test_c_files_are_short(name):
    assert len((SRC / name).read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_the_extension_shows_its_init_function_only():
    spec = importlib.util.find_spec("pymemtrace.cPyMemTrace")
    assert spec is not None and spec.origin is not None, "the extension is not built"
    if shutil.which("nm") is None:
        pytest.skip("no nm on this machine")
    done = subprocess.run(
        ["nm", "-D", "--defined-only", "--extern-only", spec.origin],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    symbols = {line.split()[-1] for line in done.stdout.splitlines()}
    of_the_linker = {"_init", "_fini", "_edata", "_end", "__bss_start"}
    ours = {name for name in symbols - of_the_linker if not name.startswith(("__asan", "__odr_asan", "__ubsan"))}
    assert ours == {"PyInit_cPyMemTrace"}


# --- Python ----------------------------------------------------------------------------------------------------------

# Part of the package: the parts that it may import. "" is pymemtrace/__init__.py.
MAY_IMPORT = {
    "": {"tracing", "process", "reader", "errors"},
    "__main__": {"commands"},
    "commands": {"", "commands", "reporters", "tracing", "process", "watching", "reader", "family", "shell", "errors"},
    "reporters": {"reporters", "reader", "family", "shell", "errors"},
    "tracing": {"cPyMemTrace", "decorating", "family", "errors"},
    "process": {"cPyMemTrace", "decorating", "errors"},
    "decorating": {"cPyMemTrace"},
    "watching": {"procfs", "errors"},  # of other processes: never in the traced one
    "procfs": set(),
    "reader": {"reader", "cPyMemTrace", "errors"},
    "errors": set(),
    "joining": {"commands", "tracing", "shell", "errors"},
    "hook": {"", "joining"},
    "family": set(),
    "shell": set(),
}
NOT_IN_THE_TRACED_PROCESS = {"psutil", "rich", "matplotlib", "plotly", "numpy"}
PY_FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("**/*.py"))


def module_of(path: str) -> tuple[str, ...]:
    """commands/run.py -> ("pymemtrace", "commands", "run")"""
    parts = ("pymemtrace", *stem(path).split("/"))
    return parts[:-1] if parts[-1] == "__init__" else parts


def part(module: tuple[str, ...]) -> str:
    return module[1] if len(module) > 1 else ""


def exists(module: tuple[str, ...]) -> bool:
    below = PACKAGE.joinpath(*module[1:])
    return module == ("pymemtrace", "cPyMemTrace") or below.is_dir() or below.with_suffix(".py").is_file()


def own_imports(path: str) -> Iterator[tuple[str, ...]]:
    """The modules of the package that a file imports, wherever in it."""
    here = module_of(path)
    package = here if path.endswith("__init__.py") else here[:-1]
    for node in ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = tuple(alias.name.split("."))
                if name[0] == "pymemtrace":
                    yield name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple((node.module or "").split(".")) if node.module else ()
            if base[:1] == ("pymemtrace",):
                for alias in node.names:
                    deeper = (*base, alias.name)
                    yield deeper if exists(deeper) else base


def test_imports_are_found():
    """The tests below are worth what own_imports finds."""
    assert ("pymemtrace", "cPyMemTrace") in set(own_imports("tracing.py"))
    assert ("pymemtrace", "tracing") in set(own_imports("__init__.py"))
    assert ("pymemtrace", "commands") in set(own_imports("__main__.py"))


@pytest.mark.parametrize("path", PY_FILES)
def test_imports_go_down_only(path):
    here = part(module_of(path))
    assert here in MAY_IMPORT, "say in MAY_IMPORT above where it stands"
    for module in own_imports(path):
        assert part(module) in MAY_IMPORT[here], f"{path} imports {'.'.join(module)}"


@pytest.mark.parametrize("path", [path for path in PY_FILES if path.startswith("commands/")])
def test_commands_do_not_know_each_other(path):
    from pymemtrace.commands import COMMANDS

    for module in own_imports(path):
        if len(module) > 2 and module[1] == "commands" and module != module_of(path):
            assert module[2] not in COMMANDS, f"{path} imports the command {module[2]}"


@pytest.mark.parametrize("path", PY_FILES)
def test_python_files_are_short(path):
    assert len((PACKAGE / path).read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("arguments", [["-c"], ["-m", "pymemtrace", "run", "-q", "-o", "/dev/null", "-c"]])
def test_nothing_large_is_loaded_into_the_traced_process(arguments):
    program = "import sys, pymemtrace; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, *arguments, program],
        cwd=PACKAGE.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "pymemtrace" in loaded
    assert loaded & NOT_IN_THE_TRACED_PROCESS == set()
