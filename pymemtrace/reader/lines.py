"""The lines of a text log that are no events: what stands before and behind its table."""

from __future__ import annotations

NOT_RECORDED = "# not recorded: "  # a line for each: `pairs`, which has a key once, leaves them out

_FOOT_KEYS = (  # what may stand before `# events: `
    "# threads that could not be seen: ",
    "# threads whose profile function ",
    "# recordings of other threads that passed through: ",
    NOT_RECORDED,
    "# not noted: ",
)
_PLAIN_COLUMNS = ["Event", "Clock", "What", "File", "#line", "Function", "RSS"]
_PREVIOUS_COLUMNS = ["Event", "dEvent", "Clock", "What", "File", "#line", "Function", "RSS", "dRSS"]


def layout(line: str) -> str:
    """plain, previous, or "" when it is not the column header."""
    if not line.startswith(("Event  ", "      Event  ")):
        return ""
    words = line.split()
    return "plain" if words == _PLAIN_COLUMNS else "previous" if words == _PREVIOUS_COLUMNS else ""


def split_head(head: str) -> tuple[str, dict[str, str]]:
    """The text before the table, its last line being the column header: message, `# key: value` lines."""
    lines = head.splitlines(keepends=True)
    if lines and layout(lines[-1]):
        lines.pop()
    first = len(lines)
    for index in range(len(lines) - 1, -1, -1):
        if not lines[index].startswith("# "):
            break
        if lines[index].startswith("# pymemtrace: "):
            first = index
            break
    return "".join(lines[:first]), pairs([line.rstrip("\n") for line in lines[first:]])


def pairs(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        key, colon, value = line[2:].partition(": ")
        if colon:
            if not line.startswith(NOT_RECORDED):
                found[key] = value
        elif line == "# end" or line.startswith("# end "):
            found["end"] = line[6:]
    return found


def end_lines(lines: list[str]) -> list[str]:
    """The end of a recording, out of the comments behind its last row. Empty: it has none, or only a part of it."""
    if not lines or not (lines[-1] == "# end" or lines[-1].startswith("# end ")):
        return []
    first = next((i for i in range(len(lines) - 1, -1, -1) if lines[i].startswith("# events: ")), None)
    if first is None:
        return lines[-2:] if lines[-1] == "# end recovered" else []
    while first and lines[first - 1].startswith(_FOOT_KEYS):
        first -= 1
    return lines[first:]
