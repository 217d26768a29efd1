"""CPython's test modules without and with the recorder, compared case by case: `python -m cpython.compare [MODULE...]`.

A case that differs is run alone, both ways, twice more: what differs then as well is a difference, what does not is
unsteady, and shown. A difference that expected.json does not have fails, and so does one there that is no more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymemtrace

from . import modules
from .modules import MODULES, ROOT, Outcome

EXPECTED = Path(__file__).with_name("expected.json")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
AGAIN = 2  # times that a case that differs is run again
WHOLE = "the whole module"


@dataclass(frozen=True)
class Difference:
    case: str
    plain: str
    recorded: str
    why: str


def differences(plain: Outcome, recorded: Outcome) -> Iterator[Difference]:
    """Cases that came out otherwise; first the module as a whole, where it has ended otherwise."""
    names = [*plain.cases, *(name for name in recorded.cases if name not in plain.cases)]
    found = False
    for name in names:
        was, became = (outcome.cases.get(name, "not run") for outcome in (plain, recorded))
        if was != became or (was == "skipped" and plain.why[name] != recorded.why[name]):
            found = True
            yield Difference(name, was, became, recorded.why.get(name) or plain.why.get(name, ""))
    if plain.status != recorded.status and not found:
        yield Difference(WHOLE, _status(plain), _status(recorded), recorded.said[-2000:])


def _status(outcome: Outcome) -> str:
    return "hung" if outcome.status is None else f"status {outcome.status}"


def torn(outcome: Outcome) -> list[str]:
    """What is wrong with the files of a recorded module, one sentence each."""
    found = []
    logs = [path for path in outcome.logs if path.suffix in (".log", ".pmt")]
    for path in sorted(set(outcome.logs) - set(logs)):
        found.append(f"{path}: left behind")
    for path in logs:
        try:
            why = pymemtrace.read(path).why
        except (OSError, ValueError) as error:
            why = f"{error}"
        if why is not None:
            found.append(f"{path}: {why}")
    return found if logs else [*found, "nothing was recorded"]


def entries() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(EXPECTED.read_text("utf-8"))
    return found


def expected(module: str) -> dict[str, str]:
    """Case -> reason, of this version and module; the case may be that of another module that it runs."""
    return {e["case"]: e["reason"] for e in entries() if VERSION in e["versions"] and e["module"] == module}


def steady(module: str, found: list[Difference], folder: Path, options: Sequence[str]) -> list[Difference]:
    """Those that come out otherwise again."""
    left = found
    for _ in range(AGAIN):
        cases = [d.case for d in left if d.case != WHOLE]
        if len(cases) < len(left):
            cases = []  # all of them
        elif not cases:
            break
        plain = modules.run(module, folder / "again", only=cases)
        recorded = modules.run(module, folder / "again-recorded", recorded=options, only=cases)
        now = {d.case for d in differences(plain, recorded)}
        left = [d for d in left if d.case in now]
    return left


def compare(module: str, folder: Path, options: Sequence[str], known: dict[str, str]) -> list[str]:
    """What is not as it should be, one line each; what is worth knowing is printed."""
    begin = time.monotonic()
    plain = modules.run(module, folder / module / "plain")
    middle = time.monotonic()
    recorded = modules.run(module, folder / module / "recorded", recorded=options)
    seconds = f"{middle - begin:.0f} s, recorded {time.monotonic() - middle:.0f} s"
    print(f"{module}: {len(plain.cases)} cases, {_status(plain)}; {len(recorded.logs)} files; {seconds}", flush=True)
    wrong = [f"{module}: {line}" for line in torn(recorded)]
    if not plain.cases and plain.status != 0:
        wrong.append(f"{module}: no results without the recorder, {_status(plain)}: {plain.said[-2000:]}")
    found = list(differences(plain, recorded))
    new = [d for d in found if d.case not in known]
    still = steady(module, new, folder / module, options)
    for d in new:
        if d not in still:
            print(f"  unsteady: {d.case}: {d.plain}, once {d.recorded} with the recorder")
    for d in found:
        if d.case in known:
            print(f"  expected: {d.case}: {d.plain}, {d.recorded} with the recorder: {known[d.case]}")
    wrong += [f"{module}: {d.case}: {d.plain}, {d.recorded} with the recorder:\n{d.why}" for d in still]
    gone = set(known) - {d.case for d in found}
    wrong += [f"{module}: {case} is in {EXPECTED.name}, and no longer differs" for case in sorted(gone)]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m cpython.compare", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"default: {' '.join(MODULES)}")
    parser.add_argument("--options", default="", help="options of `run`, as in --options='--log all --engine profile'")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "cpython" / VERSION, help="for files and output"
    )
    values = parser.parse_args()
    wrong: list[str] = []
    print(f"Python {sys.version}")
    for module in values.modules or MODULES:
        reason = modules.missing(module)
        if reason is not None:
            print(f"{module}: skipped: {reason}")
            continue
        for pattern in modules.LEFT_OUT.get(module, ()):
            print(f"{module}: {pattern} is left out, it hangs on this version without the recorder: gh-125451")
        wrong += compare(module, values.folder.resolve(), values.options.split(), expected(module))
    print("\n".join(wrong) if wrong else "no difference that is not expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
