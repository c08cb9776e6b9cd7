"""Measure speed and memory: python scripts/benchmark.py what=layers."""

import sys

from audiocx.apps.main import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", *sys.argv[1:]]))
