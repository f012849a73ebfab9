"""`python -m osnet_edge` is `osnet-edge`."""

from __future__ import annotations

import sys

from osnet_edge.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
