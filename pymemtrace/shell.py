"""Words as a shell writes them. Not shlex: its import, of re above all, would be in the traced process."""

from __future__ import annotations


def quoted(word: str) -> str:
    """The word for a shell, and for `words`."""
    plain = word != "" and word.isascii() and all(c.isalnum() or c in "/._-+:,@%=" for c in word)
    return word if plain else "'" + word.replace("'", "'\"'\"'") + "'"


def words(text: str) -> list[str]:
    """The words of a command line, without any expansion. Raises: ValueError."""
    found: list[str] = []
    word: str | None = None
    quote = ""
    at = 0
    while at < len(text):
        c = text[at]
        at += 1
        if c == "\\" and quote != "'":
            if at == len(text):
                raise ValueError("nothing follows the last backslash")
            escapes = quote == "" or text[at] in '"\\'
            word = (word or "") + ("" if escapes else c) + text[at]
            at += 1
        elif c == quote:
            quote = ""
        elif quote == "" and c in "'\"":
            quote, word = c, word or ""
        elif quote == "" and c.isspace():
            if word is not None:
                found.append(word)
            word = None
        else:
            word = (word or "") + c
    if quote:
        raise ValueError(f"a quotation mark {quote} is not closed")
    return found if word is None else [*found, word]
