"""`python -m audiocx COMMAND ...`."""

import sys

from audiocx.apps.main import main

if __name__ == "__main__":
    sys.exit(main())
