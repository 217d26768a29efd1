"""Builds the extension; everything else about the project is in pyproject.toml.

Environment:
    PYMEMTRACE_WERROR=1           warnings are errors (CI)
    PYMEMTRACE_SANITIZE=A[,B]     build with -fsanitize=A,B (address,undefined or thread)
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import setuptools
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

if int(setuptools.__version__.split(".")[0]) < 77:
    sys.exit(f"pymemtrace: the build needs setuptools 77 or later, here is {setuptools.__version__}; use `make build`.")

ROOT = Path(__file__).resolve().parent
MACHINES = ("x86_64", "aarch64")


def version() -> str:
    """The one place that has the version is pymemtrace/__init__.py; importing it would need the extension."""
    text = (ROOT / "pymemtrace" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__\s*(?::[^=]*)?=\s*"([^"]+)"', text, re.MULTILINE)
    if found is None:
        sys.exit("pymemtrace: no __version__ in pymemtrace/__init__.py.")
    return found[1]


def why_not_here() -> str | None:
    """One sentence if the extension cannot be built on this system, else None."""
    system, machine = platform.system(), platform.machine()
    if sys.implementation.name != "cpython":
        return f"pymemtrace records CPython only; this is {sys.implementation.name}."
    if system != "Linux":
        return f"pymemtrace builds on Linux only, whose /proc it reads; this is {system}."
    if machine not in MACHINES or sys.maxsize < 2**32:
        return f"pymemtrace builds on 64-bit {' and '.join(MACHINES)} only; this is {machine}."
    return None


def compile_args() -> list[str]:
    args = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-fvisibility=hidden", "-ftls-model=initial-exec", "-pthread"]
    if os.environ.get("PYMEMTRACE_WERROR") == "1":
        args += ["-Wall", "-Wextra", "-Werror"]
    return args + sanitize_args()


def sanitize_args() -> list[str]:
    names = os.environ.get("PYMEMTRACE_SANITIZE", "")
    if not names:
        return []
    return [f"-fsanitize={names}", "-fno-omit-frame-pointer", "-g", "-O1"]


def files(pattern: str) -> list[str]:
    """Relative to this folder, sorted: the same order, so the same build, everywhere."""
    return sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))


def compile_side_by_side(compiler: Any) -> None:
    """Of one extension, setuptools compiles one file after another."""

    def compile(
        sources: Any,
        output_dir: Any = None,
        macros: Any = None,
        include_dirs: Any = None,
        debug: Any = False,
        extra_preargs: Any = None,
        extra_postargs: Any = None,
        depends: Any = None,
    ) -> Any:
        _, objects, last, flags, build = compiler._setup_compile(
            output_dir, macros, include_dirs, sources, depends, extra_postargs
        )
        first = compiler._get_cc_args(flags, debug, extra_preargs)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda each: compiler._compile(each, *build[each], first, last, flags), objects))
        return objects

    compiler.compile = compile


class BuildExt(build_ext):
    """Builds again when flags or headers change, and never writes into a library that a process has loaded."""

    def finalize_options(self) -> None:
        """Every build into the package shares its objects, so that `pip install -e` and `make build` build once."""
        super().finalize_options()
        if self.inplace:
            tag = sys.implementation.cache_tag
            self.build_temp, self.build_lib = f"build/temp-{tag}", f"build/lib-{tag}"

    def run(self) -> None:
        reason = why_not_here()
        if reason is not None:
            sys.exit(reason)
        super().run()

    def build_extension(self, ext: Any) -> None:
        stamp = Path(self.build_temp, "flags.txt")
        flags = shlex.join([*ext.extra_compile_args, *ext.extra_link_args, *map(str, ext.define_macros), *ext.sources])
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != flags:
            self.force = True
        compile_side_by_side(self.compiler)
        super().build_extension(ext)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(flags, encoding="utf-8")

    def copy_file(self, infile: Any, outfile: Any, *args: Any, **kwargs: Any) -> Any:
        """The copy into the package (--inplace), by rename: writing over a loaded .so crashes running processes."""
        target = Path(outfile)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            shutil.copy2(infile, fresh)
            os.replace(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
        return str(target), 1


VERSION = version()

setup(
    version=VERSION,
    ext_modules=[
        Extension(
            "pymemtrace.cPyMemTrace",
            sources=files("src/**/*.c"),
            depends=[*files("src/**/*.h"), "setup.py", "pymemtrace/__init__.py"],
            include_dirs=["src"],
            define_macros=[("PMT_VERSION", f'"{VERSION}"')],
            extra_compile_args=compile_args(),
            extra_link_args=["-pthread", *sanitize_args()],
        )
    ],
    cmdclass={"build_ext": BuildExt},
)
