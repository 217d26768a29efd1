"""reports.py CAPTURE: each report of a large capture, seconds and MiB at most. The figures are for docs/performance.md.

Exit status 1 when a report fails, or takes more memory than the tree needs: that is to depend on the places in the
program, not on the number of events.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEMORY = 256  # MiB: the interpreter, the tree, plotly
REPORTS = (
    ("summary",),
    ("table",),
    ("tree",),
    ("flamegraph", "-o", "page.html"),
    ("export", "--to", "pstats", "-o", "big.pstats"),
    ("export", "--to", "collapsed", "-o", "big.txt"),
    ("export", "--to", "csv", "-o", "big.csv"),
)


def run(path: Path, report: tuple[str, ...], folder: str) -> bool:
    begin = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "pymemtrace", report[0], str(path), *report[1:]],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds, mib = time.monotonic() - begin, usage.ru_maxrss / 1024
    bad = "; FAILED" if child.returncode else "; FAILED: too much memory" if mib > MEMORY else ""
    print(f"{' '.join(report[:3] if report[0] == 'export' else report[:1])}: {seconds:.1f} s, {mib:.0f} MiB{bad}")
    return not bad


def main() -> int:
    path = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        return 0 if all([run(path, report, folder) for report in REPORTS]) else 1


if __name__ == "__main__":
    sys.exit(main())
