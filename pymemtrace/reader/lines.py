"""The lines of a text log that are no events: what stands before and behind its table."""

from __future__ import annotations

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
            found[key] = value
        elif line == "# end" or line.startswith("# end "):
            found["end"] = line[6:]
    return found
