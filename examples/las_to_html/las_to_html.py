"""Summarise a folder of LAS files as HTML: python las_to_html.py IN_FOLDER OUT_FOLDER

Exit status: 0; 1 when something was wrong with a file, which its page tells; 2 when nothing could be done.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

try:
    from html_pages import IndexEntry, file_page, index_page, page_name
    from las import read
    from summary import summarise
except ModuleNotFoundError as error:
    if error.name != "numpy":
        raise
    NUMPY_MISSING = True
else:
    NUMPY_MISSING = False


def las_paths(folder: Path) -> list[Path]:
    """The LAS files of a folder, by name. Raises OSError."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".las")


def write_page(path: Path, text: str) -> None:
    """Write a page. Raises OSError."""
    # A file name that is not UTF-8 has surrogates, which the page shows as character references.
    with path.open("w", encoding="utf-8", errors="xmlcharrefreplace", newline="\n") as file:
        file.write(text)


def printable(text: str) -> str:
    """The text with escapes for what stdout cannot encode."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def convert_file(path: Path, out_folder: Path) -> IndexEntry:
    """Read one file and write its page. Raises OSError when the page cannot be written."""
    las_file = read(path)
    write_page(out_folder / page_name(path.name), file_page(las_file, summarise(las_file)))
    return IndexEntry.of(las_file)


def convert_folder(paths: Sequence[Path], out_folder: Path) -> int:
    """Convert all files, print a line for each and a total. Returns how many had problems. Raises OSError."""
    started = time.perf_counter()
    out_folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for path in paths:
        entry = convert_file(path, out_folder)
        remark = f"  {entry.problems:,d} problems" if entry.problems else ""
        print(f"{entry.size:>12,d} bytes {entry.rows:>10,d} depths  {printable(entry.name)}{remark}")
        entries.append(entry)
    write_page(out_folder / "index.html", index_page(entries))
    total = sum(entry.size for entry in entries)
    print(f"{total:>12,d} bytes in {len(entries)} files, {time.perf_counter() - started:.3f} s")
    return sum(entry.problems > 0 for entry in entries)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (default: those of the process). Returns the exit status."""
    parser = argparse.ArgumentParser(description="Summarise a folder of LAS 2.0 files as HTML pages.")
    parser.add_argument("in_folder", metavar="IN_FOLDER", type=Path, help="folder with files *.las")
    parser.add_argument("out_folder", metavar="OUT_FOLDER", type=Path, help="folder for the pages, made if missing")
    args = parser.parse_args(argv)
    if NUMPY_MISSING:
        print("las_to_html needs numpy: run `pip install numpy`.", file=sys.stderr)
        return 2
    try:
        paths = las_paths(args.in_folder)
        if not paths:
            print(f"No LAS files in {args.in_folder}", file=sys.stderr)
            return 2
        return 1 if convert_folder(paths, args.out_folder) else 0
    except OSError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
