"""The transfer syntaxes, as one table (PS3.5 Annex A, PS3.6 Annex A)."""

from __future__ import annotations

from typing import Literal

import msgspec

Codec = Literal["native", "rle", "jpeg", "jpeg-ls", "jpeg2000", "htj2k", "jpeg-xl", "deflated-frame"]


class Syntax(msgspec.Struct, frozen=True):
    """How a data set and its pixels are written."""

    name: str
    codec: Codec | None = None
    """None: stored as it is, no picture is made of it."""
    implicit: bool = False
    little_endian: bool = True
    """Of the data set."""
    pixels_little_endian: bool = True
    deflated: bool = False
    encapsulated: bool = True
    lossy: bool = False
    why_not: str = ""
    """Why no picture is made of it."""


_VIDEO = "it is video, which is stored but not shown as pictures"
_REFERENCED = "its pixels are kept on another server"

SYNTAXES: dict[str, Syntax] = {
    "1.2.840.10008.1.2": Syntax("Implicit VR Little Endian", "native", implicit=True, encapsulated=False),
    "1.2.840.10008.1.2.1": Syntax("Explicit VR Little Endian", "native", encapsulated=False),
    "1.2.840.10008.1.2.1.98": Syntax("Encapsulated Uncompressed Explicit VR Little Endian", "native"),
    "1.2.840.10008.1.2.1.99": Syntax(
        "Deflated Explicit VR Little Endian", "native", deflated=True, encapsulated=False
    ),
    "1.2.840.10008.1.2.2": Syntax(
        "Explicit VR Big Endian",
        "native",
        little_endian=False,
        pixels_little_endian=False,
        encapsulated=False,
    ),
    # GE's private syntax: an implicit little endian data set around big endian pixels.
    "1.2.840.113619.5.2": Syntax(
        "GE Private Implicit VR", "native", implicit=True, pixels_little_endian=False, encapsulated=False
    ),
    "1.2.840.10008.1.2.5": Syntax("RLE Lossless", "rle"),
    "1.2.840.10008.1.2.8.1": Syntax("Deflated Image Frame Compression", "deflated-frame"),
    "1.2.840.10008.1.2.4.50": Syntax("JPEG Baseline (Process 1)", "jpeg", lossy=True),
    "1.2.840.10008.1.2.4.51": Syntax("JPEG Extended (Process 2 and 4)", "jpeg", lossy=True),
    "1.2.840.10008.1.2.4.53": Syntax("JPEG Spectral Selection (Process 6 and 8)", "jpeg", lossy=True),
    "1.2.840.10008.1.2.4.55": Syntax("JPEG Full Progression (Process 10 and 12)", "jpeg", lossy=True),
    "1.2.840.10008.1.2.4.57": Syntax("JPEG Lossless (Process 14)", "jpeg"),
    "1.2.840.10008.1.2.4.70": Syntax("JPEG Lossless (Process 14, Selection Value 1)", "jpeg"),
    "1.2.840.10008.1.2.4.80": Syntax("JPEG-LS Lossless", "jpeg-ls"),
    "1.2.840.10008.1.2.4.81": Syntax("JPEG-LS Near-Lossless", "jpeg-ls", lossy=True),
    "1.2.840.10008.1.2.4.90": Syntax("JPEG 2000 (Lossless Only)", "jpeg2000"),
    "1.2.840.10008.1.2.4.91": Syntax("JPEG 2000", "jpeg2000", lossy=True),
    "1.2.840.10008.1.2.4.92": Syntax(
        "JPEG 2000 Part 2 Multi-component (Lossless Only)", why_not="part 2 of JPEG 2000 is not decoded"
    ),
    "1.2.840.10008.1.2.4.93": Syntax(
        "JPEG 2000 Part 2 Multi-component", lossy=True, why_not="part 2 of JPEG 2000 is not decoded"
    ),
    "1.2.840.10008.1.2.4.110": Syntax("JPEG XL Lossless", "jpeg-xl"),
    "1.2.840.10008.1.2.4.111": Syntax("JPEG XL JPEG Recompression", "jpeg-xl", lossy=True),
    "1.2.840.10008.1.2.4.112": Syntax("JPEG XL", "jpeg-xl", lossy=True),
    "1.2.840.10008.1.2.4.201": Syntax("High-Throughput JPEG 2000 (Lossless Only)", "htj2k"),
    "1.2.840.10008.1.2.4.202": Syntax("High-Throughput JPEG 2000 with RPCL (Lossless Only)", "htj2k"),
    "1.2.840.10008.1.2.4.203": Syntax("High-Throughput JPEG 2000", "htj2k", lossy=True),
    "1.2.840.10008.1.2.4.94": Syntax("JPIP Referenced", encapsulated=False, why_not=_REFERENCED),
    "1.2.840.10008.1.2.4.95": Syntax(
        "JPIP Referenced Deflate", encapsulated=False, deflated=True, why_not=_REFERENCED
    ),
    "1.2.840.10008.1.2.4.204": Syntax("JPIP HTJ2K Referenced", encapsulated=False, why_not=_REFERENCED),
    "1.2.840.10008.1.2.4.205": Syntax(
        "JPIP HTJ2K Referenced Deflate", encapsulated=False, deflated=True, why_not=_REFERENCED
    ),
}
for _uid, _name in (
    ("100", "MPEG2 Main Profile / Main Level"),
    ("100.1", "Fragmentable MPEG2 Main Profile / Main Level"),
    ("101", "MPEG2 Main Profile / High Level"),
    ("101.1", "Fragmentable MPEG2 Main Profile / High Level"),
    ("102", "MPEG-4 AVC/H.264 High Profile"),
    ("102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile"),
    ("103", "MPEG-4 AVC/H.264 BD-compatible High Profile"),
    ("103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile"),
    ("104", "MPEG-4 AVC/H.264 High Profile for 2D Video"),
    ("104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile for 2D Video"),
    ("105", "MPEG-4 AVC/H.264 High Profile for 3D Video"),
    ("105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile for 3D Video"),
    ("106", "MPEG-4 AVC/H.264 Stereo High Profile"),
    ("106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile"),
    ("107", "HEVC/H.265 Main Profile"),
    ("108", "HEVC/H.265 Main 10 Profile"),
):
    SYNTAXES[f"1.2.840.10008.1.2.4.{_uid}"] = Syntax(_name, lossy=True, why_not=_VIDEO)


def syntax_of(uid: str) -> Syntax:
    """The syntax of a UID; an unknown one is read as explicit little endian, which PS3.5 A.4 asks of all."""
    return SYNTAXES.get(uid) or Syntax("unknown", why_not=f"the transfer syntax {uid} is not known")
