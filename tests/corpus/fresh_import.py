"""Importing modules that are not loaded: plain, a package with a submodule, one that fails, one that is missing."""

import importlib
import sys

NAMES = ("corpus.imported", "corpus.imported.part", "corpus.imported.failing")


def forget():
    for name in NAMES:
        sys.modules.pop(name, None)
        parent, _, last = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(last, None)


def plain():
    import corpus.imported

    return corpus.imported.VALUE


def part():
    from corpus.imported.part import function

    return function(2)


def failing():
    try:
        import corpus.imported.failing
    except ZeroDivisionError:
        return "failed", "corpus.imported.failing" in sys.modules
    return corpus.imported.failing


def missing():
    try:
        import corpus.imported.no_such_module
    except ImportError as error:
        return type(error).__name__
    return corpus.imported.no_such_module


def again():
    module = importlib.import_module("corpus.imported.part")
    return importlib.reload(module).function(3)


def main():
    forget()
    try:
        return plain(), part(), failing(), missing(), again()
    finally:
        forget()
