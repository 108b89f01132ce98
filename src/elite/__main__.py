"""``python -m elite``."""

import sys

from elite.cli import main

sys.exit(main())
