"""What the paper printed of records A to D, and the same measured here; both as rows of tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypedDict

import msgspec

from sivr.cli.bench.line import LINES, Profile

Kind = Literal["2D", "3D"]
Table = Callable[[Sequence[str], Sequence[Sequence[str]]], str]

FORMATS: dict[str, dict[str, str]] = {
    "PNG": {"accept": "image/png"},
    "WebP": {"accept": "image/webp", "quality": "80"},
    "JPEG": {"accept": "image/jpeg", "quality": "90"},
    "WebP lossless": {"accept": "image/webp"},
}
"""What pictures are asked for as. The paper prints no quality for WebP; 80 is the format's own."""


class Printed(TypedDict):
    """A line of the paper's tables."""

    mb: float
    sizes_kb: dict[str, dict[str, float]]
    """``[kind][format]``; the paper prints no unit, kB is what fits."""
    load_s: tuple[float, float, float, float]
    """Raw, compressed, encrypted, both."""


def _printed(mb: float, sizes: tuple[float, ...], load: tuple[float, float, float, float]) -> Printed:
    png2, webp2, png3, webp3 = sizes
    return {
        "mb": mb,
        "sizes_kb": {"2D": {"PNG": png2, "WebP": webp2}, "3D": {"PNG": png3, "WebP": webp3}},
        "load_s": load,
    }


PAPER: dict[str, Printed] = {
    "A": _printed(5, (76.0, 23.4, 95.6, 29.2), (0.09, 0.08, 0.08, 0.09)),
    "B": _printed(27, (158, 68.9, 185, 62.3), (0.43, 0.44, 0.45, 0.43)),
    "C": _printed(277, (95.1, 32.7, 146, 48.6), (3.63, 3.67, 3.57, 3.59)),
    "D": _printed(898, (94.4, 22.5, 88.0, 22.3), (11.27, 11.45, 11.07, 11.26)),
}
"""SoftwareX 18 (2022) 101063, Tables 1 and 2; i7-11700, 64 GB, UHD 750."""


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures of one kind and format over one line."""

    line: str
    kind: Kind
    format: str
    median_ms: float
    """From the asking to the last byte."""
    server_ms: float
    """Mean until the head of the answer, without the line's round trip."""
    size_bytes: float


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of one record."""

    letter: str
    slices: int
    rows: int
    columns: int
    size_bytes: int
    store_s: float
    """Upload over HTTPS until every file is on disk and indexed."""
    first_slice_ms: float
    """From a node that has just been started."""
    load_s: dict[str, float]
    """Until every slice is in memory, from the same moment; by how the record is stored (raw, compressed,
    encrypted, both)."""
    sizes_bytes: dict[Kind, dict[str, float]]
    pictures: list[Picture]


def over_line_ms(size_kb: float, profile: Profile) -> float:
    """What a picture of this size takes on a line at least: a round trip and its bytes."""
    return profile.round_trip_ms + (size_kb * 8e6 / profile.down_bits_s if profile.down_bits_s else 0.0)


def size_rows(records: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """Table 1: kB of a picture, the paper's beside ours."""
    head = ["record", "picture", *(f"{name} kB" for name in FORMATS), "paper PNG", "paper WebP",
            "PNG ours/paper", "WebP ours/paper"]  # fmt: skip
    rows = []
    for one in records:
        for kind, sizes in one.sizes_bytes.items():
            paper = PAPER[one.letter]["sizes_kb"][kind]
            rows.append(
                [
                    one.letter,
                    kind,
                    *(f"{sizes[name] / 1000:.1f}" for name in FORMATS),
                    f"{paper['PNG']:g}",
                    f"{paper['WebP']:g}",
                    f"{sizes['PNG'] / 1000 / paper['PNG']:.2f}",
                    f"{sizes['WebP'] / 1000 / paper['WebP']:.2f}",
                ]
            )
    return head, rows


def load_rows(records: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """Table 2: seconds to load a record, the paper's beside ours."""
    forms = ("raw", "compressed", "encrypted", "both")
    head = ["record", "size", "MB", "stored in s", "first slice ms", *(f"load {form} s" for form in forms),
            "paper raw s", "paper both s", "raw, times faster", "both, times faster"]  # fmt: skip
    rows = []
    for one in records:
        paper = PAPER[one.letter]["load_s"]
        faster = {"raw": paper[0], "both": paper[3]}
        rows.append(
            [
                one.letter,
                f"{one.columns}x{one.rows}x{one.slices}",
                f"{one.size_bytes / 1e6:.0f}",
                f"{one.store_s:.1f}",
                f"{one.first_slice_ms:.0f}",
                *(f"{one.load_s[form]:.2f}" if form in one.load_s else "-" for form in forms),
                f"{paper[0]:g}",
                f"{paper[3]:g}",
                *(f"{theirs / one.load_s[form]:.1f}" if form in one.load_s else "-"
                  for form, theirs in faster.items()),
            ]
        )  # fmt: skip
    return head, rows


def time_rows(records: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """Figure 5: ms a picture over each line; the paper's sizes over the same line, computed."""
    head = ["record", "picture", "line", *(f"{name} ms" for name in FORMATS), "paper PNG (computed)",
            "paper WebP (computed)", "PNG ours/paper", "WebP ours/paper"]  # fmt: skip
    rows = []
    for one in records:
        for kind in one.sizes_bytes:
            for line in LINES:
                times = {
                    shown.format: shown.median_ms
                    for shown in one.pictures
                    if (shown.kind, shown.line) == (kind, line.name)
                }
                paper = PAPER[one.letter]["sizes_kb"][kind]
                least = {name: over_line_ms(paper[name], line) for name in ("PNG", "WebP")}
                known = line.down_bits_s > 0
                rows.append(
                    [
                        one.letter,
                        kind,
                        line.name,
                        *(f"{times[name]:.0f}" for name in FORMATS),
                        *(f"{least[name]:.0f}" if known else "-" for name in least),
                        *(f"{times[name] / least[name]:.2f}" if known else "-" for name in least),
                    ]
                )
    return head, rows


NOTES = (
    "Sizes: means over several slices and views of 512 x 512. WebP at quality 80 (the paper prints none), "
    "JPEG at 90; PNG and WebP lossless keep every pixel.",
    "Loading: the node was started anew; its files are in the system's cache. From the asking for the first "
    "slice until every slice is in memory. First slice: of a record stored compressed and encrypted.",
    "Times: from the asking to the last byte on an open HTTPS connection, login and permission checked. 2G "
    "is 750 kbit/s down, 250 up, 100 ms; 4G is 4 and 3 Mbit/s, 20 ms: shaped by a proxy, not computed.",
    "Paper (computed): the paper shows its times as a plot without figures; what stands here is a round trip "
    "and its printed size over the same line, the least that its pictures can have taken.",
    "Records are generated: A to C a CT head, D a breast tomosynthesis, not the paper's own pictures.",
)


def told(records: Sequence[Record], table: Table) -> str:
    """All tables, one under the other."""
    titles = ("Table 1: size of a picture", "Table 2: loading", "Figure 5: time of a picture")
    return "\n\n".join(
        f"{title}\n{table(*rows(records))}"
        for title, rows in zip(titles, (size_rows, load_rows, time_rows), strict=True)
    )
