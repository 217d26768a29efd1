"""What recording costs, measured: `python -m benchmarks --help`."""
