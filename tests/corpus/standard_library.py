"""A little of much: json, re, csv, string formatting, collections, heapq, textwrap, logging to a string."""

import collections
import csv
import fractions
import heapq
import io
import json
import logging
import re
import string
import textwrap

LOGGER = logging.getLogger("corpus")
LOGGER.propagate = False


def encode(value):
    return {"complex": [value.real, value.imag]}


def hook(pairs):
    return collections.OrderedDict(pairs)


def scan():
    scanner = re.Scanner([(r"[0-9]+", lambda s, token: int(token)), (r"\s+", None)])
    return scanner.scan("1 22 333")


def logged():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    LOGGER.addHandler(handler)
    try:
        LOGGER.warning("value %d", 3)
        LOGGER.debug("not shown")
    finally:
        LOGGER.removeHandler(handler)
    return stream.getvalue()


def main():
    counter = collections.Counter("abracadabra")
    default = collections.defaultdict(lambda: len("default"))
    heap = []
    for value in (5, 1, 4):
        heapq.heappush(heap, (value, str(value)))
    rows = list(csv.DictReader(io.StringIO("a,b\n1,2\n3,4\n")))
    return (
        counter.most_common(2),
        default["missing"],
        [heapq.heappop(heap)[1] for _ in range(3)],
        [row["b"] for row in rows],
        json.dumps({"a": [1, None, "x"], "b": 1 + 2j}, default=encode, indent=1),
        json.loads('{"a": {"b": [1, 2.5]}}', object_pairs_hook=hook)["a"]["b"],
        string.Template("$a-${b}").substitute(a=1, b=2),
        textwrap.fill("several words that are to be wrapped", 12),
        str(fractions.Fraction(3, 6) + 1),
        re.findall(r"(\w)(\d)", "a1 b2"),
        re.split(r"[,;]", "a,b;c"),
        scan(),
        logged(),
        "%s %r %5.2f" % ("a", "b", 3.14159),
    )
