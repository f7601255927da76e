"""`python -m convlet`: the command line."""

import sys

from convlet.cli import main

sys.exit(main())
