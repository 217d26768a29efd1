"""What a measurement was made on. No host name and no path: a report may be published as it is."""

from __future__ import annotations

import importlib.util
import os
import platform
import sysconfig
from pathlib import Path


def cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()
    except OSError:
        pass
    return platform.machine() or "unknown"


def python_build() -> str:
    """How the interpreter was built, as far as it changes ratios."""
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    said = [
        "PGO" if "--enable-optimizations" in arguments else "no PGO",
        "LTO" if "--with-lto" in arguments else "no LTO",
        "shared" if sysconfig.get_config_var("Py_ENABLE_SHARED") else "static",
    ]
    if sysconfig.get_config_var("Py_DEBUG"):
        said.append("debug")
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        said.append("free-threaded")
    return ", ".join(said)


def recorder_available() -> bool:
    try:
        return importlib.util.find_spec("pymemtrace.cPyMemTrace") is not None
    except ImportError:
        return False


def recorder() -> dict[str, str]:
    """What cPyMemTrace.info() says, flat; empty without the extension."""
    if not recorder_available():
        return {}
    from pymemtrace import cPyMemTrace

    found: dict[str, str] = {}

    def add(prefix: str, value: object) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                add(f"{prefix}{name} ", inner)
        else:
            found[prefix.strip()] = f"{value:.6g}" if isinstance(value, float) else str(value)

    add("", cPyMemTrace.info())
    return found


def describe() -> dict[str, str]:
    """Name and value, in the order in which a report shows them."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "CPU": f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores usable",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, {platform.python_compiler()}, {python_build()}",
        "load before": load,
        **recorder(),
    }
