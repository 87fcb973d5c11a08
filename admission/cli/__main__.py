"""`python -m admission.cli` is `admission`."""

import sys

from admission.cli.main import main

sys.exit(main())
