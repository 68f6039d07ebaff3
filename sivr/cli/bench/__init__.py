"""``sivr bench``: how fast this host is, an installation for N physicians, and the paper's tables.

``physician`` simulates one reader, ``crowd`` several; ``installation`` and ``where`` measure with them,
``host`` what this machine can do, ``paper`` the tables of the paper on a ``system`` of its own.
"""

from sivr.cli.bench.command import add

__all__ = ["add"]
