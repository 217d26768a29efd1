"""`plot`: RSS and CPU over time, as a picture."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import IO

from ..errors import CommandError
from ..reader import Capture, read, read_samples
from ..reporters import curves, plot, printable
from . import files

FORMS = ("svg", "png")
STEPS = 2000  # of a capture, a change of RSS is drawn when it is at least this part of the peak: less is no pixel
MAX_LINE = 1 << 20

HELP = """\
usage: python -m pymemtrace plot FILE... [options]

Draw RSS (left axis, binary units) and CPU (right axis, 100 % is one core) against time, as an SVG or PNG picture. FILE
is a file of samples, which `sample` and `run --sample` write, a capture (*.pmt) or a text log. Several files are drawn
over each other, each from the start of its process on. A recording beside the samples of the same process, or of its
tree, is drawn on the same clock: RSS as it was recorded at the events.

  -o, --output PATH  the picture; its name ends in .svg or .png (the default: the first FILE's name, ending in .svg)
  -f, --force        replace an existing file
  -h, --help         this text

what is in it:
  lines       RSS; of a tree (`sample --tree`) the sum of all processes, the largest processes, and dashed PSS: the sum
              with memory that they share counted once
  area, thin  CPU %, the mean of 1/150 of the time
  dotted      markers (`write_marker`), with their names
  triangle    the largest RSS; a hollow one is the kernel's peak, which was between two samples
  dots        of a recording, the functions at which most growth was seen: all of it, at the place of the largest step

examples:
  python -m pymemtrace plot job.rss
  python -m pymemtrace plot job.rss job.log -o job.png      the functions that grew, on the samples of the same run
  python -m pymemtrace plot before.rss after.rss -o both.svg

It needs matplotlib, the extra `plot`.

exit status: 0; 2 when a FILE cannot be read (the others are drawn), or PATH cannot be written.
Read more: docs/samples.md.
"""

FLAGS = {"-f": "force", "--force": "force"}
VALUED = {"-o": "output", "--output": "output"}


def main(argv: list[str]) -> int:
    """Write the picture; its path on stderr. Returns the exit status. Raises: CommandError."""
    asked = files.asked(argv, HELP, "a file of samples, a capture or a text log", FLAGS, VALUED)
    if asked is None:
        return 0
    values, paths = asked
    output = values.get("output")
    if output is None:
        output = f"{os.path.splitext(paths[0])[0]}.svg"
    form = os.path.splitext(output)[1][1:].lower()
    if form not in FORMS:
        raise CommandError(f"-o {output!r}: the picture's name must end in .svg or .png")
    plot.matplotlib_parts()  # without it there is no need to read anything
    found: list[curves.Curve] = []
    status = files.each("plot", dict.fromkeys(paths), lambda path: found.append(_curve(path)))
    if not found:
        return status
    curves.lay_over(found)
    picture = plot.draw(found, form)
    with files.sentences(), files.output(output, "force" in values) as file:
        file.write(picture)
    sys.stderr.write(f"pymemtrace plot: {printable(output)}\n")
    return status


def _curve(path: str) -> curves.Curve:
    """Raises: OSError, ValueError."""
    if _is_object(path):
        samples = read_samples(path)
        curve = curves.of_samples(samples)
        if samples.note is not None:
            sys.stderr.write(f"pymemtrace plot: {printable(samples.note)}\n")
        return curve
    try:
        recording = read(path)
    except ValueError as error:
        text = f"{error}".replace("neither a capture nor a text log", "no file of samples, no capture and no text log")
        raise ValueError(text) from None
    with tempfile.NamedTemporaryFile(prefix="pymemtrace-", suffix=".log") as file:
        _write_changes(recording, file)
        curve = curves.of_recording(read(file.name))
    curve.path = path
    return curve


def _is_object(path: str) -> bool:
    """Does it begin as a file of samples? An empty one does, too."""
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    with open(path, "rb") as file:
        return file.read(1) in (b"", b"{")


def _write_changes(recording: Capture, file: IO[bytes]) -> None:
    """As a text log, only what can be seen: a recording may have a billion events. Raises: OSError, ValueError."""
    if recording.binary:
        threshold = max(1, int(recording.figures()["rss_peak"]) // STEPS)
        recording.write_log(file.fileno(), "threshold", threshold)
        return
    same = b""  # the last row at which RSS was that of the row before
    with open(recording.path, "rb") as log:
        while line := log.readline(MAX_LINE):
            if line.endswith(b" 0\n") and not line.startswith(b"# "):
                same = line
            else:
                file.write(same + line)
                same = b""
    file.write(same)
    file.flush()
