"""``python -m sivr`` and the ``sivr`` script: argv to command, nothing else."""

from __future__ import annotations

import multiprocessing
import sys

from sivr.cli.main import main as _main


def main() -> None:
    """Run the command that the arguments name and exit with its code."""
    # Render workers are spawned processes; in a frozen executable they begin here.
    multiprocessing.freeze_support()
    sys.exit(_main(sys.argv[1:]))


if __name__ == "__main__":
    main()
