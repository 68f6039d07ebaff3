"""Which picture format arrives first, by measured costs: for a likeness, a line and what the viewer can show.

The table, ``format_costs.py``, is written by ``benchmarks/bytes.py``; the front end has the same table and
the same rule.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

from sivr.model.format_costs import COSTS
from sivr.model.parameters import FRAME_MEDIA_TYPES, choose_media_type, media_ranges
from sivr.model.rendering import MediaType

Kind = Literal["grey", "color"]
Likeness = Literal["0.85", "0.90", "0.95", "0.98", "lossless"]
"""Structural similarity (SSIM) that three of four measured pictures reach, or none lost at all."""

LINE_BYTES_S = 500_000.0
"""Taken where the line is not known: 4 Mbit/s."""
DRAFT: Likeness = "0.95"
"""While something moves and the caller names no quality."""
REST: Likeness = "0.98"
"""A lossy picture that stays."""

_LOSSY_UNASKED: tuple[MediaType, ...] = ("image/jpeg", "image/avif")
"""What cannot be without loss; WebP is, where no quality is asked for."""


class Choice(msgspec.Struct, frozen=True):
    """A format, the quality to ask of it (None: lossless), and what the picture will weigh."""

    media_type: MediaType
    quality: int | None
    bytes_per_pixel: float


def choose(kind: Kind, likeness: Likeness, bytes_per_s: float, accepted: Collection[str]) -> Choice | None:
    """The format among ``accepted`` whose picture is made, carried and unpacked soonest, if one will do.

    Independent of the picture's size: every part of the time grows with its pixels alike.
    """
    best, best_s = None, float("inf")
    for media_type, (quality, bytes_per_pixel, ns_per_pixel) in COSTS[kind][likeness].items():
        spent_s = bytes_per_pixel / bytes_per_s + ns_per_pixel * 1e-9
        if media_type in accepted and spent_s < best_s:
            best, best_s = Choice(media_type, quality, bytes_per_pixel), spent_s
    return best


def choose_format(
    accept: tuple[str, ...], header: str, *, kind: Kind, draft: bool, bytes_per_s: float
) -> tuple[str, int | None]:
    """Media type and quality for a caller that names no quality; raises NotAcceptable.

    Where it names one type, or lists types by weight, that type is taken with its encoder's default. Types it
    likes equally well (named, or by ``image/*``) are equal to it: the table decides between those that lose
    nothing, or those that lose a little, as the first of them does. ``*/*`` is a caller that does not say.
    """
    chosen = choose_media_type(accept, header, FRAME_MEDIA_TYPES)
    ranges = media_ranges(",".join(accept)) if accept else media_ranges(header)
    weights: dict[str, float] = {}
    for media_type in FRAME_MEDIA_TYPES:
        closest = max(((one.matches(media_type), one.weight) for one in ranges), default=(0, 0.0))
        if closest[0] > 1:
            weights[media_type] = closest[1]
    tied = [media_type for media_type, weight in weights.items() if weight == weights.get(chosen)]
    if len(tied) < 2:
        return chosen, None
    lossy: Likeness = DRAFT if draft else REST
    found = choose(kind, lossy if chosen in _LOSSY_UNASKED else "lossless", bytes_per_s, tied)
    return (found.media_type, found.quality) if found is not None else (chosen, None)
