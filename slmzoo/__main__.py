"""`python -m slmzoo`."""

import sys

from slmzoo.cli import main

if __name__ == "__main__":
    sys.exit(main())
