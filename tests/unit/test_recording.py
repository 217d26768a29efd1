"""The name of the program, for {name}."""

from __future__ import annotations

import pytest

from pymemtrace.commands.recording import program_name


@pytest.mark.parametrize(
    "command, name",
    [
        ("job.py a b", "job"),
        ("/x/y/job.tar.py -m no", "job.tar"),
        ("-u -W error -X dev=1 /x/job", "job"),
        ("-Werror -Xdev job.py", "job"),
        ("-W m -X c job.py", "job"),
        ("-m package.tool -c", "tool"),
        ("-mtool", "tool"),
        ("-Im package", "package"),
        ("-c pass", "c"),
        ("-Bcpass", "c"),
        ("--check-hash-based-pycs always job.py", "job"),
        ("-", "python"),
        ("-u", "python"),
        ("-m", "python"),
        ("", "python"),
        ("folder/", "folder"),
    ],
)
def test_program_name(command: str, name: str) -> None:
    assert program_name(command.split()) == name
