"""Imported anew by fresh_import.py."""

VALUE = len("imported")


class Klass:
    table = [n for n in range(3)]
