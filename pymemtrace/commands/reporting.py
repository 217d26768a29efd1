"""What the commands share that make reports: their options, and recordings as calling contexts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import CommandError
from ..reader import Capture, read
from ..reporters import captions, columns
from ..reporters.contexts import MEASURES, Contexts, matching
from ..reporters.groups import regrouped
from . import files, options

BY = ("function", "file", "module", "line")
SORTS = ("own", "total", "name", "calls")

OPTIONS = """\
  -o, --output PATH  write to PATH, not to stdout (which is -); PATH is there when all is written, or not at all
  -f, --force        replace an existing file
  -h, --help         this text
"""
USED = {  # option -> its lines of the help
    "by": """\
  --by WHAT          what makes a row: function (the default), file, module, or line: where a Python function begins,
                     with the C functions that it calls
""",
    "measure": """\
  --measure NAME     growth (sum of the rises of RSS), net (rises less falls), peak (largest RSS while it ran), time,
                     calls{measure}
""",
    "sort": """\
  --sort KEY         own (the measure without what was called), total (with it), calls, or name{sort}
""",
    "limit": """\
  --limit N          at most N {limit}, the rest added up in one; 0: all
""",
    "filter": """\
  --filter PATTERN   only functions whose name or file has PATTERN in it; with * ? [ ] PATTERN is one of the shell, for
                     the whole name or the whole path. The rest is added up in one row
""",
}


class Uses(NamedTuple):
    """The common options that a command has, with their defaults; None: it does not have it."""

    by: str | None = None
    measure: str | None = None
    sort: str | None = None
    limit: int | None = None
    filter: bool = False
    rows: str = "rows"  # what `limit` counts


@dataclass(frozen=True)
class Options:
    """What the command line says, or the command's defaults."""

    paths: list[str]
    output: str | None
    force: bool
    by: str
    measure: str
    sort: str
    limit: int  # 0: no limit
    filter: str | None
    more: dict[str, str] = field(default_factory=dict)  # the command's own options


def help_of(uses: Uses) -> str:
    """The lines of a command's help for its common options."""
    text = ""
    for name, lines in USED.items():
        value = getattr(uses, name)
        if value is not None and value is not False:
            default = {name: f" (default: {value})", "limit": f"{uses.rows} (default: {value})"}
            text += lines.format(**{name: default.get(name, "")})
    return text + OPTIONS


def parse(
    argv: list[str], text: str, uses: Uses, flags: dict[str, str] | None = None, valued: dict[str, str] | None = None
) -> Options | None:
    """Read the command line. None: it asked for help, which was printed: `text`.

    flags, valued: of the command itself, as options.parse has them. Raises: CommandError.
    """
    known = {f"--{name}": name for name in USED if getattr(uses, name) not in (None, False)}
    found = files.asked(
        argv,
        text,
        flags={"-f": "force", "--force": "force", **(flags or {})},
        valued={"-o": "output", "--output": "output", **known, **(valued or {})},
    )
    if found is None:
        return None
    values, paths = found
    for name, allowed in (("by", BY), ("measure", MEASURES), ("sort", SORTS)):
        if name in values:
            options.choice(f"--{name}", values[name], allowed)
    if values.get("output") == "":
        raise CommandError("-o needs a path")
    if values.get("filter") == "":
        raise CommandError("--filter needs a pattern")
    limit = options.count("--limit", values["limit"]) if "limit" in values else uses.limit or 0
    return Options(
        paths,
        None if values.get("output") == "-" else values.get("output"),
        "force" in values,
        values.get("by", uses.by or BY[0]),
        values.get("measure", uses.measure or "net"),
        values.get("sort", uses.sort or "own"),
        limit,
        values.get("filter"),
        values,
    )


def load(
    who: str, paths: list[str], also: Callable[[Capture, Contexts, list[int]], None] | None = None
) -> tuple[Contexts, int]:
    """The recordings in these files and directories as one, and the exit status: what cannot be read is said.

    Without any it has no recordings: there is nothing to report. also: called with each recording that was added, and
    what `Contexts.add` returned. Raises: CommandError.
    """
    run, status = files.find(who, paths)
    found = Contexts()

    def add(path: str) -> None:
        capture = read(path)  # it keeps what it has read, so it is not kept
        numbers = found.add(capture)
        if also is not None:
            also(capture, found, numbers)

    status |= files.each(who, [process.path for process in run.processes], add)
    return found, status


def chosen(contexts: Contexts, options: Options) -> Contexts:
    """By --filter: contexts that have a match on their path, the rest added up; then by --by. Raises: CommandError when
    nothing matches.
    """
    if options.filter is not None:
        wanted = matching(options.filter)
        if not any(map(wanted, contexts.frames)):
            raise CommandError(f"no function and no file matches {options.filter!r}")
        contexts = contexts.select(wanted)
    return regrouped(contexts, options.by)


@dataclass(frozen=True)
class Report:
    """What is to be written: rows in columns between captions, for the eye; or lines as they are, for programs."""

    sheet: Callable[[bool], columns.Sheet] | None = None  # argument: exact figures, or short ones
    lines: Iterable[str] = ()


def report(who: str, options: Options, make: Callable[[Contexts], Report]) -> int:
    """Read, make, write: to a terminal in colours and in its width, else as plain text. The exit status.

    Raises: CommandError.
    """
    return files.quietly(lambda: _report(who, options, make))


def _report(who: str, options: Options, make: Callable[[Contexts], Report]) -> int:
    contexts, status = load(who, options.paths)
    if not contexts.recordings:
        return status
    made = make(contexts)
    if options.output is None and made.sheet is not None and sys.stdout.isatty():
        _show(contexts, made.sheet(False))
        return status
    lines = made.lines
    if made.sheet is not None:
        lines = [captions.above(contexts), "", *columns.plain(made.sheet(True)), "", *captions.below(contexts)]
    with files.sentences(), files.output(options.output, options.force) as file:
        encoding = "utf-8" if options.output is not None else sys.stdout.encoding or "utf-8"
        for line in lines:
            file.write(f"{line}\n".encode(encoding, "backslashreplace"))
    return status


def _show(contexts: Contexts, sheet: columns.Sheet) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    table, gone = columns.on_terminal(sheet, console.width, console.encoding.lower().startswith("utf"))
    console.print(Text(captions.above(contexts)), "", table, "", sep="\n")
    for line in captions.below(contexts):
        console.print(Text(line, style="dim"))
    if gone:
        console.print(Text(f"No room here for: {', '.join(gone)}.", style="dim"))
