"""The entry point of the `sparkify` script: Ctrl-C is answered while the command is being imported.

Nothing is imported here but what Python has loaded already.
"""

import os
import sys
from typing import NoReturn

INTERRUPTED = 130
INTERRUPTION = "interrupted; nothing half-written. The next run completes what is missing."


def main() -> NoReturn:
    """Run the command."""
    try:
        from sparkify_dagster.cli.main import main as run
    except KeyboardInterrupt:
        sys.stderr.write(f"Error: {INTERRUPTION}\n")
        sys.stderr.flush()
        os._exit(INTERRUPTED)
    run()
