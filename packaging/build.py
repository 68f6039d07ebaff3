"""Build dist/sivr (one executable, PyInstaller) and dist/sivr.pyz (zipapp), and try both."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DIST = ROOT / "dist"

# Found by name at run time, so the analysis of imports cannot see them.
SUBMODULES = (
    "sivr",
    "imagecodecs",
    "imageio.plugins",
    "isal",
    "aioquic",
    "h2",
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
    # Migrations are read as files, which counts as data although they are Python.
    migrations = "sivr/store/migrations"
    options += ["--add-data", f"{ROOT / migrations}:{migrations}"]
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


def try_out(command: list[str], port: int) -> None:
    """Install, start and smoke-test what was built, in a folder of its own."""
    password = "only for this try"  # noqa: S105
    with tempfile.TemporaryDirectory() as scratch:
        file = f"{scratch}/site/sivr.yaml"
        run(*command, "init", f"{scratch}/site", "--host", "localhost", "--port", str(port))
        user = ["user", "add", "--config", file, "--login", "try", "--role", "physician"]
        user += ["--institution", "institution", "--password-stdin"]
        subprocess.run([*command, *user], check=True, input=password.encode())
        serving = subprocess.Popen([*command, "run", "--config", file], stderr=subprocess.DEVNULL)
        try:
            smoke = [*command, "smoke", f"https://localhost:{port}", "--login", "try", "--password-stdin"]
            smoke += ["--ca", f"{scratch}/site/ca/ca.pem", "--wait", "120"]
            subprocess.run(smoke, check=True, input=password.encode())
        finally:
            serving.terminate()
            serving.wait(60)


def main() -> None:
    """Build and try."""
    DIST.mkdir(exist_ok=True)
    for port, built in ((18470, executable()), (18471, zipapp())):
        first = [sys.executable] if built.suffix == ".pyz" else []
        run(*first, str(built), "--version")
        try_out([*first, str(built)], port)
        print(f"{built.relative_to(ROOT)}: {built.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
