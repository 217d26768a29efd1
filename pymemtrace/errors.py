"""The errors of this package. What Python has a name for (ValueError, FileExistsError, ...) is raised as that."""

from __future__ import annotations


class PymemtraceError(Exception):
    """The root of the tree."""


class CommandError(PymemtraceError):
    """A command cannot do what it was asked to. Its text is one sentence for the user.

    exit_status: the exit status of the command.
    """

    exit_status = 2


class MissingExtra(CommandError):
    """A package is needed that is not installed. Its text says how to install it."""
