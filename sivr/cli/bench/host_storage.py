"""How fast this host reads what is stored: decoders of transfer syntaxes, sealing, disk, memory."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import imagecodecs
import msgspec
import numpy as np

from sivr.cli.bench.report import cores
from sivr.cli.bench.timing import Row, median_ms
from sivr.dicom.pixels import decode_frame, encoded_frame
from sivr.dicom.read import read_header
from sivr.dicom.syntax import SYNTAXES
from sivr.errors import Exhausted, SivrError
from sivr.store.inbox import disk_error

Array = np.ndarray[Any, np.dtype[Any]]

_JPEG2000: dict[str, Any] = {"codecformat": "J2K", "reversible": True, "level": 0}
ENCODERS: dict[str, Callable[[Array], bytes]] = {
    "1.2.840.10008.1.2.5": lambda values: _run_lengths(values),
    "1.2.840.10008.1.2.8.1": lambda values: _deflated(values.tobytes()),
    "1.2.840.10008.1.2.4.70": lambda values: imagecodecs.ljpeg_encode(values, bitspersample=16),
    "1.2.840.10008.1.2.4.80": lambda values: imagecodecs.jpegls_encode(values),
    "1.2.840.10008.1.2.4.90": lambda values: imagecodecs.jpeg2k_encode(values, **_JPEG2000),
    "1.2.840.10008.1.2.4.201": lambda values: imagecodecs.htj2k_encode(values, reversible=True),
    "1.2.840.10008.1.2.4.110": lambda values: imagecodecs.jpegxl_encode(values, lossless=True, effort=1),
}
"""Transfer syntaxes (lossless ones) that a frame can be written in here, to see how fast it is read."""

_COPIED = 128 << 20
_WRITTEN = 192 << 20
_PIECE = 4 << 20
_SMALL_FILES = 48
_SMALL = 512 * 1024


def decode_rows(file: Path, seconds: float) -> list[Row]:
    """Decoding one slice of each transfer syntax on one core, checked to be the slice that was written."""
    header = read_header(file)
    truth = decode_frame(header, 0, encoded_frame(header, 0, file))
    rows = []
    for uid, encode in ENCODERS.items():
        name = SYNTAXES[uid].name
        written = msgspec.structs.replace(header, transfer_syntax_uid=uid)
        try:
            encoded = bytes(encode(truth))
            if not np.array_equal(decode_frame(written, 0, encoded), truth):
                continue
        except (SivrError, RuntimeError, ValueError, imagecodecs.DelayedImportError):
            # A codec that this build of imagecodecs cannot write.
            continue
        taken = median_ms(partial(decode_frame, written, 0, encoded), seconds)
        mb_s = truth.nbytes / 1e3 / taken
        series_s = 500 * taken / 1000 / cores()
        means = (
            f"{mb_s:,.0f} MB/s a core; a CT of 500 slices in {series_s:.1f} s; {len(encoded) / 1000:.0f} kB"
        )
        rows.append(Row(group="decode", what=name, value=taken, unit="ms", means=means))
    return rows


def _run_lengths(values: Array) -> bytes:
    """PS3.5 G: the high bytes, then the low ones, each row by itself."""
    planes = ((values >> 8).astype(np.uint8), (values & 255).astype(np.uint8))
    segments = [bytes(imagecodecs.packbits_encode(plane, axis=-1)) for plane in planes]
    padded = [one + b"\0" * (len(one) % 2) for one in segments]
    starts = [64, 64 + len(padded[0])]
    return struct.pack("<16L", len(padded), *starts, *([0] * 13)) + b"".join(padded)


def _deflated(plain: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(plain) + packer.flush()


def seal_rows(file: Path, folder: Path, seconds: float) -> list[Row]:
    """Sealing an object as the node stores it, and reading it back; one core."""
    # Imported here: the only part that needs the store.
    from sivr.crypto import CipherName
    from sivr.store import sealing

    plain = file.read_bytes()
    key = sealing.StudyKey(secrets.token_bytes(16), secrets.token_bytes(32))
    name = secrets.token_bytes(32)
    forms: tuple[tuple[str, bool, CipherName | None], ...] = (
        ("zstd", True, None),
        ("AES-256-GCM", False, "aes-256-gcm"),
        ("zstd and AES-256-GCM", True, "aes-256-gcm"),
        ("zstd and XChaCha20-Poly1305", True, "xchacha20-poly1305"),
    )
    rows = []
    target = folder / "sealed"
    for title, compress, cipher in forms:
        form = sealing.Form(compress, cipher)

        def write(form: sealing.Form = form) -> io.BytesIO:
            out = io.BytesIO()
            sealing.seal(io.BytesIO(plain), out, name, size=len(plain), form=form, key=key)
            return out

        written_ms = median_ms(write, seconds)
        target.write_bytes(write().getvalue())
        out = bytearray(len(plain))
        with target.open("rb") as sealed:

            def read(descriptor: int = sealed.fileno(), out: bytearray = out) -> None:
                found = sealing.read_layout(descriptor, name, lambda _: key.key)
                sealing.read_into(descriptor, found, 0, memoryview(out))

            read_ms = median_ms(read, seconds)
        if bytes(out) != plain:
            raise Exhausted("What was sealed came back otherwise: this machine's memory or disk is damaged.")
        size = target.stat().st_size
        means = f"writing {len(plain) / 1e3 / written_ms:,.0f} MB/s; {size / len(plain):.0%} of the size"
        rows.append(
            Row(
                group="store",
                what=f"read {title}",
                value=len(plain) / 1e3 / read_ms,
                unit="MB/s",
                means=means,
            )
        )
    target.unlink()
    return rows


def disk_rows(folder: Path) -> list[Row]:
    """Writing until it is really on disk, and reading; raises Exhausted when the disk is full."""
    try:
        return [*_large(folder), *_small(folder)]
    except OSError as error:
        raise disk_error(error) from error


def _large(folder: Path) -> Iterator[Row]:
    path = folder / "large"
    piece = os.urandom(_PIECE)
    started = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(_WRITTEN // _PIECE):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    yield Row(
        group="disk",
        what="write a large file, with fsync",
        value=_WRITTEN / 1e6 / (time.perf_counter() - started),
        unit="MB/s",
    )
    with path.open("rb", buffering=0) as file:
        with contextlib.suppress(OSError, AttributeError):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        started = time.perf_counter()
        while file.read(_PIECE):
            pass
    taken = time.perf_counter() - started
    yield Row(
        group="disk",
        what="read it again",
        value=_WRITTEN / 1e6 / taken,
        unit="MB/s",
        means="from the disk, where the system gave up its cache as it was asked to",
    )
    path.unlink()


def _small(folder: Path) -> Iterator[Row]:
    body = os.urandom(_SMALL)
    taken = []
    for number in range(_SMALL_FILES):
        started = time.perf_counter()
        with (folder / f"small-{number}").open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        taken.append((time.perf_counter() - started) * 1000)
    for number in range(_SMALL_FILES):
        (folder / f"small-{number}").unlink()
    value = sorted(taken)[len(taken) // 2]
    yield Row(
        group="disk",
        what="write a slice of 512 kB, with fsync",
        value=value,
        unit="ms",
        means=f"a CT of 500 slices is safe on disk after {500 * value / 1000:.1f} s, one after the other",
    )


def memory_rows() -> list[Row]:
    """Copying in memory: with one core, and with all."""
    source = np.ones(_COPIED, np.uint8)
    target = np.empty_like(source)
    one = _COPIED / 1e6 / median_ms(lambda: np.copyto(target, source), 0.2)
    parts = list(zip(np.array_split(target, cores()), np.array_split(source, cores()), strict=True))
    with ThreadPoolExecutor(cores()) as pool:
        every = _COPIED / 1e6 / median_ms(lambda: list(pool.map(lambda pair: np.copyto(*pair), parts)), 0.2)
    means = f"{every:.1f} GB/s on {cores()} cores"
    return [Row(group="memory", what="copy", value=one, unit="GB/s", means=means)]
