"""Add up what several pytest runs said: python tools/totals.py LOG...

Prints a line a run, what failed and why, and, last, `N passed, N failed, N skipped`. Exit status: 1 when something
failed or a log has no run with a test that passed.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

CLOSING = re.compile(r"^(?:\x1b\[[0-9;]*m)*=+ (?P<counts>.*\d+ \w+.*) in [\d.]+s.*=+\s*(?:\x1b\[[0-9;]*m)*$")
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|deselected|xfailed|xpassed)")
WHY = re.compile(r"^(FAILED |ERROR |E   )")
MOST_REASONS = 40  # lines
FAILED = ("failed", "error", "errors", "xpassed")


def runs(text: str) -> list[Counter[str]]:
    """What each pytest run in the text counted, from its closing line."""
    found = []
    for line in text.splitlines():
        closing = CLOSING.match(line)
        if closing is not None:
            counts = re.sub(r"\x1b\[[0-9;]*m", "", closing["counts"])
            found.append(Counter({word: int(number) for number, word in COUNT.findall(counts)}))
    return found


def reasons(text: str) -> list[str]:
    """The tests that failed, and what their assertions said."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    return [line for line in plain if WHY.match(line)][-MOST_REASONS:]


def main(paths: list[str]) -> int:
    total: Counter[str] = Counter()
    good = bool(paths)
    for path in map(Path, paths):
        text = path.read_text(encoding="utf-8", errors="replace")
        found = runs(text)
        if not any(run["passed"] for run in found):
            print(f"{path.stem}: no test ran")
            good = False
        for run in found:
            print(f"{path.stem}: {', '.join(f'{number} {word}' for word, number in run.items())}")
            total += run
        for line in reasons(text):
            print(f"  {line}")
    failed = sum(total[word] for word in FAILED)
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    return 0 if good and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
