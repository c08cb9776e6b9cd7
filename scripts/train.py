"""Train a model: python scripts/train.py model=complex_unet."""

import sys

from audiocx.apps.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
