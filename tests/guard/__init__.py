"""A guard against a slower hot path that noise cannot move: instructions per event, counted by callgrind.

Times on a shared machine move by more than a change of some instructions does; their number does not. `program.py`
makes the same events in every way to record, under valgrind with a clock that steps by itself, so that the gate skips
what it would skip. `measure.py` runs it and reads callgrind's files; `test_instructions.py` compares with the ceilings
in `ceilings.json`. It needs valgrind, and takes the engines of the Python that runs it.

The figure is (instructions of 2N rounds - instructions of N rounds) / (events of 2N - events of N): start, stop and
first sights cancel out. Instructions are those within our callback and all that it calls, in CPython and libc too: what
the hot path asks of others is part of its cost, and it asks little. What CPython does before it calls us is not in it.
For `monitoring` a call of a Python function comes twice, and the one that is no event costs as well.

RSS is read at one event in a thousand (the gate's audit, at random); that is in the figure, with less than one
instruction per event. The writer thread is counted apart, per event that it was given.

A ceiling is 5 % above what was measured when it was recorded. Headers of CPython are compiled into our callback, so
each version has ceilings of its own. Another compiler, other flags or an unknown version of Python changes the figures:
then 30 % are allowed instead.

    make guard              the table, and whether it is below the ceilings
    make guard RECORD=1     new ceilings for this Python; a higher one needs its reason in CHANGELOG.md
"""
