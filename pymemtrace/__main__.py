"""`python -m pymemtrace`, and the console script `pymemtrace`."""

import sys

from .commands import main

if __name__ == "__main__":
    sys.exit(main())
