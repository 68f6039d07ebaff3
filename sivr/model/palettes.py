"""The well-known color palettes of DICOM (PS3.6 Annex B), for grey levels in false color."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import msgspec

Knots = tuple[tuple[int, int], ...]
"""(index, level): straight lines between them, rounded."""
Color = tuple[int, int, int]

GREY = "grey"
"""The name that means no palette."""


class WellKnown(msgspec.Struct, frozen=True):
    """A palette of PS3.6 Annex B by the knots of its three channels."""

    label: str
    uid: str
    red: Knots
    green: Knots
    blue: Knots


def _steps(levels: Sequence[int]) -> Knots:
    """The steps of PET 20 Step: each level as wide as the others, to the next whole index."""
    begins = (0, 13, 26, 39, 51, 64, 77, 90, 102, 115, 128, 141, 153, 166, 179, 192, 204, 217, 230, 243, 256)
    return tuple(
        knot
        for level, (begin, end) in zip(levels, pairwise(begins), strict=True)
        for knot in ((begin, level), (end - 1, level))
    )


PALETTES: dict[str, WellKnown] = {
    "hot-iron": WellKnown(
        "Hot Iron",
        "1.2.840.10008.1.5.1",
        ((0, 0), (127, 254), (128, 255), (255, 255)),
        ((0, 0), (128, 0), (254, 252), (255, 255)),
        ((0, 0), (191, 0), (254, 252), (255, 255)),
    ),
    "pet": WellKnown(
        "PET",
        "1.2.840.10008.1.5.2",
        ((0, 0), (63, 0), (64, 1), (149, 170), (150, 171), (192, 255), (255, 255)),
        ((0, 0), (62, 125), (63, 128), (127, 1), (128, 0), (254, 252), (255, 255)),
        (
            (0, 0), (1, 1), (128, 255), (130, 248), (192, 0), (233, 165), (235, 174), (254, 250), (255, 255),
        ),
    ),
    "hot-metal-blue": WellKnown(
        "Hot Metal Blue",
        "1.2.840.10008.1.5.3",
        ((0, 0), (85, 0), (102, 50), (119, 90), (153, 190), (170, 255), (255, 255)),
        ((0, 0), (119, 0), (238, 224), (255, 255)),
        (
            (0, 0), (17, 33), (42, 83), (44, 86), (75, 147), (93, 183), (95, 186), (102, 200), (119, 150),
            (136, 50), (153, 0), (170, 0), (238, 200), (255, 255),
        ),
    ),
    "pet-20-step": WellKnown(
        "PET 20 Step",
        "1.2.840.10008.1.5.4",
        _steps(
            (0, 96, 48, 48, 80, 96, 112, 128, 48, 48, 80, 64, 224, 208, 208, 208, 192, 176, 255, 255)
        ),
        _steps(
            (0, 0, 48, 48, 80, 96, 112, 128, 96, 144, 192, 224, 224, 208, 176, 144, 96, 48, 0, 255)
        ),
        _steps(
            (0, 80, 80, 112, 128, 176, 192, 224, 48, 48, 80, 64, 80, 96, 64, 0, 0, 0, 0, 255)
        ),
    ),
    "spring": WellKnown(
        "Spring",
        "1.2.840.10008.1.5.5",
        ((0, 255), (255, 255)),
        ((0, 0), (255, 255)),
        ((0, 255), (255, 0)),
    ),
    "summer": WellKnown(
        "Summer",
        "1.2.840.10008.1.5.6",
        ((0, 0), (255, 0)),
        ((0, 255), (255, 128)),
        ((0, 0), (127, 0), (255, 254)),
    ),
    "fall": WellKnown(
        "Fall",
        "1.2.840.10008.1.5.7",
        ((0, 255), (255, 255)),
        ((0, 255), (255, 0)),
        ((0, 0), (255, 0)),
    ),
    "winter": WellKnown(
        "Winter",
        "1.2.840.10008.1.5.8",
        ((0, 0), (127, 0), (255, 127)),
        ((0, 0), (255, 255)),
        ((0, 255), (255, 128)),
    ),
}  # fmt: skip
"""By the names that requests use."""


@cache
def palette_entries(name: str) -> tuple[Color, ...]:
    """Red, green and blue of the 256 grey levels; raises KeyError for an unknown name."""
    known = PALETTES[name]
    return tuple(zip(*(_levels(knots) for knots in (known.red, known.green, known.blue)), strict=True))


def _levels(knots: Knots) -> list[int]:
    levels = [knots[0][1]]
    for (begin, first), (end, last) in pairwise(knots):
        levels += [round(first + (last - first) * n / (end - begin)) for n in range(1, end - begin + 1)]
    return levels
