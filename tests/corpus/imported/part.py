"""Imported anew by fresh_import.py."""


def function(x):
    return x * len("ab")


doubled = function(1)
