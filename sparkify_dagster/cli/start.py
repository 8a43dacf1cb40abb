"""The entry point of the `sparkify` script: Ctrl-C is answered while the command is being imported.

Nothing is imported here that takes time.
"""

import os
import sys
from typing import NoReturn

from sparkify_dagster.errors import INTERRUPTED, INTERRUPTION


def main() -> NoReturn:
    """Run the command."""
    try:
        from sparkify_dagster.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write(f"Error: {INTERRUPTION}\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)
    run()
