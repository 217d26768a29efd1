"""Options of a command. Not argparse: its import would take a third of the time that starting a program may cost."""

from __future__ import annotations

from ..errors import CommandError


def parse(argv: list[str], flags: dict[str, str], valued: dict[str, str]) -> tuple[dict[str, str], int]:
    """Read options up to the first argument that is none, or that is -m or -c, or up to `--`.

    flags, valued: option as written -> its name in the result; valued ones take a value (`-o X`, `-oX`, `--log=X`).
    Returns the values by name ("" for a flag), and the index of the first argument that was not read.
    Raises: CommandError.
    """
    values: dict[str, str] = {}
    at = 0
    while at < len(argv):
        arg = argv[at]
        if arg == "--":
            return values, at + 1
        if not arg.startswith("-") or arg == "-" or arg.startswith(("-m", "-c")):
            break
        at += 1
        if arg.startswith("--"):
            option, equals, value = arg.partition("=")
            if option in valued:
                if not equals:
                    value, at = _next(argv, at, option)
                values[valued[option]] = value
            elif option in flags:
                if equals:
                    raise CommandError(f"option {option} takes no value; it was given {value!r}")
                values[flags[option]] = ""
            else:
                raise CommandError(f"unknown option {option!r}; --help lists the options")
            continue
        letters = arg[1:]
        while letters:
            option, letters = f"-{letters[0]}", letters[1:]
            if option in valued:
                value = letters
                if not value:
                    value, at = _next(argv, at, option)
                values[valued[option]], letters = value, ""
            elif option in flags:
                values[flags[option]] = ""
            else:
                raise CommandError(f"unknown option {option!r}; --help lists the options")
    return values, at


def parse_mixed(argv: list[str], flags: dict[str, str], valued: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Options and other arguments in any order; after `--` all are other arguments. Otherwise as `parse`."""
    values: dict[str, str] = {}
    others: list[str] = []
    while argv:
        found, at = parse(argv, flags, valued)
        values.update(found)
        if at and argv[at - 1] == "--":
            return values, others + argv[at:]
        if argv[at:] and argv[at].startswith("-") and argv[at] != "-":
            raise CommandError(f"unknown option {argv[at]!r}; --help lists the options")
        others += argv[at : at + 1]
        argv = argv[at + 1 :]
    return values, others


def _next(argv: list[str], at: int, option: str) -> tuple[str, int]:
    if at == len(argv):
        raise CommandError(f"option {option} needs a value")
    return argv[at], at + 1


def choice(option: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise CommandError(f"{option} must be one of {', '.join(allowed)}; it is {value!r}")
    return value


LEAST, MOST = 0.001, 86400.0  # seconds between two samples


def interval(option: str, text: str, *, zero: bool = False) -> float:
    """Seconds between two samples. zero: 0 is one, too."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (LEAST <= value <= MOST or (zero and value == 0)):  # what is not a number is neither
        raise CommandError(f"{option} must be {LEAST} to {MOST:.0f} seconds{' or 0' if zero else ''}; it is {text!r}")
    return value


def size(option: str, text: str) -> int:
    """A number of bytes; K, M and G are powers of 1024."""
    digits, unit = text, 1
    if text[-1:].upper() in ("K", "M", "G"):
        digits, unit = text[:-1], 1024 ** (1 + "KMG".index(text[-1].upper()))
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise CommandError(f"{option} must be a number of bytes such as 0, 4096, 64K or 1M; it is {text!r}")
    return int(digits) * unit


def count(option: str, text: str) -> int:
    """A number of things: 0 or more."""
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise CommandError(f"{option} must be a number such as 0 or 20; it is {text!r}")
    return int(text)


def seconds(option: str, text: str) -> float:
    """A time: 0 or more."""
    whole, _, part = text.partition(".")
    digits = whole + part
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise CommandError(f"{option} must be a number of seconds such as 0 or 1.5; it is {text!r}")
    return float(text)
