"""Build dist/sivr (one executable, PyInstaller) and dist/sivr.pyz (zipapp), and try both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DIST = ROOT / "dist"

# Found by name at run time, so the analysis of imports cannot see them.
SUBMODULES = (
    "sivr",
    "imagecodecs",
    "pydicom.pixels",
    "pydicom.encoders",
    "OpenGL.platform",
    "OpenGL.EGL",
    "OpenGL.arrays",
    "alembic",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.postgresql",
)
METADATA = ("imageio", "pydicom")
HIDDEN = ("aiosqlite", "asyncpg", "logging.config")
EXCLUDED = ("tkinter", "matplotlib", "IPython", "pytest", "mypy", "gdcm", "openjpeg", "jpeg_ls", "pylibjpeg")


def run(*command: str) -> None:
    """Run a command and stop the build when it fails."""
    print("+", " ".join(command), flush=True)
    subprocess.run(command, check=True, cwd=ROOT)


def executable() -> Path:
    """One file that needs no Python on the host."""
    options = ["--noconfirm", "--clean", "--onefile", "--name", "sivr", "--log-level", "WARN"]
    options += ["--distpath", str(DIST), "--workpath", str(ROOT / "build"), "--specpath", str(ROOT / "build")]
    options += ["--collect-data", "sivr"]
    for name in SUBMODULES:
        options += ["--collect-submodules", name]
    for name in METADATA:
        options += ["--copy-metadata", name]
    for name in HIDDEN:
        options += ["--hidden-import", name]
    for name in EXCLUDED:
        options += ["--exclude-module", name]
    run(sys.executable, "-m", "PyInstaller", *options, str(HERE / "entry.py"))
    return DIST / "sivr"


def zipapp() -> Path:
    """One file for hosts that have the Python it was built with."""
    target = DIST / "sivr.pyz"
    lock = str(ROOT / "requirements.lock")
    run(sys.executable, "-m", "shiv", "-c", "sivr", "-o", str(target), "--constraint", lock, ".")
    return target


def main() -> None:
    """Build and try."""
    DIST.mkdir(exist_ok=True)
    for built in (executable(), zipapp()):
        first = [sys.executable] if built.suffix == ".pyz" else []
        run(*first, str(built), "--version")
        print(f"{built.relative_to(ROOT)}: {built.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
