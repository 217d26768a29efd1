"""CPython's own tests as a measure: run under the recorder they must come out as they do without it.

`python -m cpython.compare` in the folder `tests` runs them both ways for the Python that it is started with, and
compares case by case. Where a difference cannot be avoided, `expected.json` has it, with the reason.
"""
