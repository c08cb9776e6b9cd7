"""Enhance recordings: python scripts/enhance.py INPUT ... -o FOLDER --checkpoint RUN."""

import sys

from audiocx.apps.enhance import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
