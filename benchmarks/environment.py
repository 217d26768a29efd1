"""What a measurement was made on. No host name and no path: a report may be published as it is."""

from __future__ import annotations

import datetime
import importlib.util
import os
import platform
import re
import sysconfig
from collections.abc import Mapping
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


def why_not(engine: str) -> str | None:
    """Why the recorder cannot use that engine here, or None."""
    if engine == "auto":
        return None
    from pymemtrace import cPyMemTrace

    engines = cPyMemTrace.info().get("engines")
    if not isinstance(engines, dict) or engine not in engines:
        return f"the extension as built has no engine {engine!r}"
    reason: str | None = engines[engine]
    return reason


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
    now = datetime.datetime.now(datetime.timezone.utc)
    return {
        "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "CPU": f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores usable",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, {platform.python_compiler()}, {python_build()}",
        "load before": load(),
        **recorder(),
    }


def load() -> str:
    """The machine's, over 1, 5 and 15 minutes."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def python_version(described: Mapping[str, str]) -> str:
    """Such as 3.11, of an environment as described; empty if it does not say."""
    match = re.match(r"\d+\.\d+", described.get("Python", ""))
    return match[0] if match else ""


def file_stem(kind: str, described: Mapping[str, str]) -> str:
    """For a file of results: what, machine, Python and day, such as run_intel-xeon-2.5ghz-2-cores_py3.11_2026-11-21."""
    machine = re.sub(r"\([rtmc]{1,2}\)|\bcpu\b|@|processor|\busable\b", " ", described.get("CPU", "unknown").lower())
    machine = re.sub(r"[^a-z0-9.]+", "-", machine).strip("-.")
    kind = re.sub(r"[^A-Za-z0-9.]+", "-", kind)
    return f"{kind}_{machine}_py{python_version(described)}_{described.get('date', '')[:10]}"
