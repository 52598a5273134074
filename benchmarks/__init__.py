"""What the system costs: `make bench`, or `python -m benchmarks --help`."""
