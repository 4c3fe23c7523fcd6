"""`python -m tailor_rl`."""

from __future__ import annotations

import sys

from tailor_rl.cli import main

if __name__ == "__main__":
    sys.exit(main())
