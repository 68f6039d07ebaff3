"""Where compiled kernels are kept between runs."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def choose_cache() -> Path:
    """Set numba's cache folder to the first place this process may write to; a value already set stays.

    The package's own folder is tried first, then the user's cache, then a private temporary folder: an
    installation owned by root must not recompile at every start.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    for folder in _candidates():
        if _usable(folder):
            os.environ[VARIABLE] = str(folder)
            return folder
    folder = Path(tempfile.mkdtemp(prefix="sivr-kernels-"))
    os.environ[VARIABLE] = str(folder)
    return folder


def _candidates() -> list[Path]:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - must not raise
    return [
        Path(__file__).parent / "__pycache__" / "numba",
        Path(home) / "sivr" / "kernels",
        Path(tempfile.gettempdir()) / f"sivr-kernels-{os.getuid() if hasattr(os, 'getuid') else 'user'}",
    ]


def _usable(folder: Path) -> bool:
    """Writable by us and by nobody else: what lies in the cache is executed."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        info = folder.stat()
        if hasattr(os, "getuid") and (info.st_uid != os.getuid() or info.st_mode & stat.S_IWOTH):
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
