"""C functions that raise, and Python callbacks that raise through C functions."""

import os


def raiser(value):
    raise ValueError(value)


def sorted_by_raiser():
    return sorted([3, 1, 2], key=raiser)


def missing_file():
    os.stat("/nonexistent/file/of/the/tests")


def bad_index():
    return [].pop()


def bad_key():
    return {}.pop("missing")


def bad_encoding():
    return b"\xff".decode("ascii")


def bad_arguments():
    return len(1, 2)


def bad_type():
    return len(3)


def through_map():
    return list(map(raiser, [1]))


def next_of_empty():
    return next(iter([]))


def main():
    out = []
    for function in (
        sorted_by_raiser,
        missing_file,
        bad_index,
        bad_key,
        bad_encoding,
        bad_arguments,
        bad_type,
        through_map,
        next_of_empty,
    ):
        try:
            function()
        except Exception as error:
            out.append((function.__name__, type(error).__name__))
    out.append(next(iter([]), "default"))
    out.append(getattr(out, "missing", "default"))
    out.append(hasattr(out, "missing"))
    return out
