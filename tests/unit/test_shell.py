"""Words as a shell writes them: against shlex, which reads and writes the same."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymemtrace import shell

texts = st.text(st.sampled_from("ab-/{} \t\n'\"\\$*`=é\udce9"), max_size=12)


@given(st.lists(texts, max_size=5))
def test_what_is_quoted_comes_back(given_words: list[str]) -> None:
    # WHEN
    line = " ".join(shell.quoted(word) for word in given_words)
    # THEN for us as for a shell
    assert shell.words(line) == given_words == shlex.split(line)


@given(texts)
def test_lines_are_read_as_shlex_reads_them(line: str) -> None:
    try:
        expected = shlex.split(line)
    except ValueError:
        with pytest.raises(ValueError):
            shell.words(line)
    else:
        assert shell.words(line) == expected


def test_plain_words_stay_as_they_are() -> None:
    assert shell.quoted("/a/b-c_1,2.log") == "/a/b-c_1,2.log"
    assert shell.quoted("") == "''"


@pytest.mark.parametrize("line, wrong", [("a 'b", "quotation mark ' is not closed"), ("a\\", "last backslash")])
def test_what_is_wrong_is_said(line: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        shell.words(line)
