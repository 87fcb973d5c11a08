"""`python -m admission` is `admission`."""

import sys

from admission.cli.main import main

sys.exit(main())
