"""`python -m sim` is `tiletick`."""

import sys

from sim.cli import main

sys.exit(main())
