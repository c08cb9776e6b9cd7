"""Score models on a test set: python scripts/evaluate.py checkpoint=RUN data.test=DIR."""

import sys

from audiocx.apps.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
