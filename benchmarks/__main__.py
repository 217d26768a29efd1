"""The command line: python -m benchmarks [run | startup | memory]"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import cases, environment, memory, modes, report, rounds, startup

ROOT = Path(__file__).resolve().parents[1]
DESCRIPTION = """\
Measure what recording costs.

  run       the same program in every mode, from untraced to everything logged (default)
  startup   `pymemtrace run -c pass` against `python -c pass`: time and memory before the first event
  memory    the recorder's own memory over many events, and over functions compiled in a loop
"""


def count(text: str) -> int:
    """A number that may end in K or M, powers of 1000."""
    factor = {"K": 1000, "M": 1_000_000}.get(text[-1:].upper(), 1)
    value = int(text[:-1] if factor > 1 else text) * factor
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return value


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--markdown", metavar="FILE", type=Path, help="write the tables there as Markdown, too")
    common.add_argument("--json", metavar="FILE", type=Path, help="write every single run there")
    common.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "benchmarks", help="for input, logs and the floor's extension"
    )
    main_parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = main_parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", parents=[common], help="a program in every mode")
    run.add_argument("--case", choices=cases.NAMES, default=cases.NAMES[0])
    run.add_argument("--size", help="of the case's input (default: the case's full size)")
    run.add_argument("--quick", action="store_true", help="small input, 2 rounds: does it work? The figures are noise")
    run.add_argument("--rounds", type=count, help="default 9")
    run.add_argument("--seed", type=int, default=1, help="of the order of the modes in a round")
    run.add_argument("--modes", metavar="NAME,...", help=f"of {', '.join(modes.BY_NAME)}; default all")

    start = commands.add_parser("startup", parents=[common], help="time and memory before the first event")
    start.add_argument("--rounds", type=count, default=20)

    own = commands.add_parser("memory", parents=[common], help="the recorder's own memory")
    own.add_argument("--events", type=count, default=count("100M"), help="default 100M; K and M are understood")
    own.add_argument("--functions", type=count, default=count("70K"), help="compiled in a loop, default 70K")
    return main_parser


def save(args: argparse.Namespace, markdown: str, data: dict[str, Any]) -> None:
    for path, content in ((args.markdown, markdown), (args.json, json.dumps(data, indent=1) + "\n")):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            print(f"written: {path}", file=sys.stderr)


def run_command(args: argparse.Namespace) -> None:
    case = cases.load(args.case)
    found = rounds.measure(
        case=args.case,
        size=args.size or (case.QUICK if args.quick else case.FULL),
        wanted=modes.choose(args.modes),
        rounds=args.rounds or (2 if args.quick else 9),
        seed=args.seed,
        folder=args.folder.resolve(),
    )
    print(report.text(found))
    save(args, report.markdown(found), found.as_json())


def startup_command(args: argparse.Namespace) -> None:
    found = startup.measure(args.rounds, args.folder.resolve())
    print(found.text())
    save(args, found.markdown(), found.as_json())


def memory_command(args: argparse.Namespace) -> None:
    found = memory.measure(args.events, args.functions, args.folder.resolve())
    print(found.text())
    save(args, found.markdown(), found.as_json())


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 if a measured process failed; 2 for a wrong option or without the extension."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "run")
    args = parser().parse_args(arguments)
    if args.command != "run" and not environment.recorder_available():
        print("The extension is not built: run `make build`.", file=sys.stderr)
        return 2
    try:
        {"run": run_command, "startup": startup_command, "memory": memory_command}[args.command](args)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
