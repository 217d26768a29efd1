"""The command line: python -m benchmarks [run | scaling | startup | memory | compare | docs | plot | pictures]"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import (
    cases,
    compare,
    counts,
    documents,
    environment,
    memory,
    modes,
    pictures,
    plot,
    report,
    results,
    rounds,
    scaling,
    startup,
)

ROOT = Path(__file__).resolve().parents[1]
DESCRIPTION = """\
Measure what recording costs.

  run       programs in every mode, from untraced to everything logged (default)
  scaling   nanoseconds an event with more events, more functions, deeper stacks, more threads
  startup   `pymemtrace run -c pass` against `python -c pass`: time and memory before the first event
  memory    the recorder's own memory over many events, and over functions compiled in a loop
  compare   two files of results: which differences exceed the noise
  docs      write the tables of docs/performance.md from benchmarks/results
  plot      one picture of all ratios, as SVG or PNG
  pictures  RSS and CPU of the example against time in six modes, into docs/plots
"""


def count(text: str) -> int:
    """A number that may end in K, M or G, powers of 1000."""
    try:
        return counts.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def case_names(text: str) -> str:
    """The text, if it names cases."""
    for name in [] if text == "all" else text.split(","):
        try:
            cases.load(name.partition(":")[0].strip())
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return text


def common_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--markdown", metavar="FILE", type=Path, help="write the tables there as Markdown, too")
    common.add_argument("--json", metavar="FILE", type=Path, help="write every single run there")
    common.add_argument(
        "--results",
        metavar="LABEL",
        nargs="?",
        const="",
        help="as --json, to benchmarks/results; the file's name says machine, Python and date, and LABEL",
    )
    common.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "benchmarks", help="for input, logs and the floor's extension"
    )
    return common


def measuring_options(rounds_help: str) -> argparse.ArgumentParser:
    """What `run` and `scaling` have in common."""
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--rounds", type=count, help=rounds_help)
    options.add_argument("--seed", type=int, default=1, help="of the order of the modes in a round")
    options.add_argument(
        "--engines", metavar="NAME,...", default=modes.AUTO, help=f"of {', '.join(modes.ENGINES)}; default auto"
    )
    options.add_argument("--cpus", type=count, metavar="N", help="the measured process may use N cores; default all")
    options.add_argument("--compare", metavar="OLD.json", type=Path, help="say what changed by more than noise")
    return options


def parser() -> argparse.ArgumentParser:
    common = common_options()
    main_parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = main_parser.add_subparsers(dest="command", required=True)

    run = commands.add_parser("run", parents=[common, measuring_options("default 9")], help="programs in every mode")
    run.add_argument(
        "--case", type=case_names, default=cases.NAMES[0], metavar="NAME[:SIZE],...", help=f"all, or of {cases.NAMES}"
    )
    run.add_argument("--size", metavar="SIZE,...", help="of the cases' input (default: each case's full size)")
    run.add_argument("--quick", action="store_true", help="small input, 2 rounds: does it work? The figures are noise")
    run.add_argument("--modes", metavar="NAME,...", help=f"of {', '.join(modes.BY_NAME)}; default all")

    grow = commands.add_parser("scaling", parents=[common, measuring_options("default 5")], help="cost as things grow")
    grow.add_argument("--events", type=count, default=count("10M"), help="up to, default 10M; at most 1G")
    grow.add_argument("--modes", metavar="NAME,...", default=scaling.MODES, help=f"default {scaling.MODES}")

    start = commands.add_parser("startup", parents=[common], help="time and memory before the first event")
    start.add_argument("--rounds", type=count, default=20)

    own = commands.add_parser("memory", parents=[common], help="the recorder's own memory")
    own.add_argument("--events", type=count, default=count("100M"), help="default 100M; K, M and G are understood")
    own.add_argument("--functions", type=count, default=count("70K"), help="compiled in a loop, default 70K")

    two = commands.add_parser("compare", help="which differences exceed the noise")
    two.add_argument("old", metavar="OLD.json", type=Path)
    two.add_argument("new", metavar="NEW.json", type=Path)

    docs = commands.add_parser("docs", help="write the tables of docs/performance.md")
    docs.add_argument("--check", action="store_true", help="write nothing, exit status 1 if they are not up to date")

    picture = commands.add_parser("plot", help="one picture of all ratios")
    picture.add_argument("json", metavar="FILE.json", type=Path, nargs="?", help="default: as for docs")
    picture.add_argument("-o", "--output", type=Path, default=documents.PICTURE, help="default docs/performance.svg")

    six = commands.add_parser("pictures", help="the plots of docs/plots.md")
    six.add_argument("--size", default=pictures.SIZE, help=f"of the example's input, default {pictures.SIZE}")
    six.add_argument("--folder", type=Path, default=ROOT / "build" / "plots", help="for input, samples and logs")
    six.add_argument("-o", "--output", type=Path, default=pictures.FOLDER, help="default docs/plots")
    return main_parser


def save(args: argparse.Namespace, markdown: str, data: dict[str, Any], described: dict[str, str], last: bool) -> None:
    """Where the options say. Until the last time it is called again with more."""
    targets = [(args.markdown, markdown), (args.json, results.dump(data))]
    if args.results is not None:
        kind = "-".join(filter(None, (args.command, args.results)))
        targets.append((results.FOLDER / f"{environment.file_stem(kind, described)}.json", results.dump(data)))
    for path, content in targets:
        if path is not None:
            results.write(path, content)
            if last:
                print(f"written: {path}", file=sys.stderr)


def plan(args: argparse.Namespace, default_rounds: int) -> rounds.Plan:
    """Of `run` and `scaling`. Raises: ValueError."""
    usable = len(os.sched_getaffinity(0))
    if args.cpus is not None and args.cpus > usable:
        raise ValueError(f"--cpus {args.cpus}: only {usable} cores can be used here")
    wanted = modes.choose(args.modes, modes.engine_names(args.engines))
    return rounds.Plan(wanted, args.rounds or default_rounds, args.seed, args.folder.resolve(), args.cpus or 0)


def run_command(args: argparse.Namespace) -> int:
    how = plan(args, 2 if args.quick else 9)
    old = results.load(args.compare).measurements if args.compare else None
    jobs = cases.jobs(args.case, args.size, args.quick)
    for case, size in jobs:  # all of them first: a size that is refused should be so before the first hour
        if cases.missing(case) is None:
            rounds.prepare(case, size, how.folder)
    done: list[rounds.Measurement] = []
    for number, job in enumerate(jobs):
        found, whole = rounds.measure([job], how, f"{number + 1}/{len(jobs)} " if len(jobs) > 1 else "")
        done += found
        print(report.text(found[0]), flush=True)
        last = not whole or number == len(jobs) - 1
        save(args, "\n".join(map(report.markdown, done)), results.as_json("run", done), done[0].environment, last)
        if not whole:
            return 130
    if old is not None:
        print(compare.text(old, done))
    return 0


def scaling_command(args: argparse.Namespace) -> int:
    if args.events > scaling.LAST:
        raise ValueError(f"--events {counts.short(args.events)}: at most {counts.short(scaling.LAST)}")
    how = plan(args, 5)
    old = results.load(args.compare).measurements if args.compare else None
    found, whole = rounds.measure(scaling.points(args.events), how)
    print(scaling.text(found))
    save(args, scaling.markdown(found), results.as_json("scaling", found), found[0].environment, last=True)
    if old is not None:
        print(compare.text(old, found))
    return 0 if whole else 130


def startup_command(args: argparse.Namespace) -> int:
    found = startup.measure(args.rounds, args.folder.resolve())
    print(found.text())
    save(args, found.markdown(), found.as_json(), found.environment, last=True)
    return 0


def memory_command(args: argparse.Namespace) -> int:
    found = memory.measure(args.events, args.functions, args.folder.resolve())
    print(found.text())
    save(args, found.markdown(), found.as_json(), found.environment, last=True)
    return 0


def compare_command(args: argparse.Namespace) -> int:
    print(compare.text(results.load(args.old).measurements, results.load(args.new).measurements))
    return 0


def docs_command(args: argparse.Namespace) -> int:
    files, status = results.load_folder(), 0
    for page in documents.PAGES:
        before = page.read_text(encoding="utf-8")
        after = documents.fill(before, files)
        if args.check:
            status |= int(before != after)
        else:
            results.write(page, after)
            print(f"{'written' if before != after else 'up to date'}: {page}", file=sys.stderr)
    return status


def plot_command(args: argparse.Namespace) -> int:
    files = [results.load(args.json)] if args.json else results.load_folder()
    plot.draw(documents.runs_of_cases(files), args.output)
    print(f"written: {args.output}", file=sys.stderr)
    return 0


def pictures_command(args: argparse.Namespace) -> int:
    for path in pictures.draw(args.folder.resolve(), args.output, args.size):
        print(f"written: {path}", file=sys.stderr)
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run_command,
    "scaling": scaling_command,
    "startup": startup_command,
    "memory": memory_command,
    "compare": compare_command,
    "docs": docs_command,
    "plot": plot_command,
    "pictures": pictures_command,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 if a measured process failed; 2 for a wrong option or without the extension."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "run")
    args = parser().parse_args(arguments)
    if args.command in ("startup", "memory", "pictures") and not environment.recorder_available():
        print("The extension is not built: run `make build`.", file=sys.stderr)
        return 2
    try:
        return COMMANDS[args.command](args)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}" if error.filename else error, file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"The floor's extension cannot be built: the compiler ended with {error.returncode}.", file=sys.stderr)
        return 1
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
