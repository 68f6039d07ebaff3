"""Plots as SVG, without any library: bars in panels, and ratios to their targets.

A plot has a card of its own behind it and colors for light and dark, so that it can be read on any page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import msgspec

_LIGHT = ("#2f6fb5", "#d9822b", "#3a9b6b", "#8a63b8")
_DARK = ("#6aa5e8", "#eda35c", "#63c493", "#b493dc")
_FONT = "-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"
_STYLE = (
    f"text{{font:12px {_FONT};fill:#1f2328}}.t{{font-weight:600;font-size:13px}}"
    ".s{fill:#59636e;font-size:11px}.n{fill:#1f2328;font-size:9.5px}.card{fill:#ffffff;stroke:#d1d9e0}.g{stroke:#e4e8ec}.x{stroke:#8c959f}"
    ".no{fill:#c0392b}.yes{fill:#2f8f5b}.goal{stroke:#1f2328;stroke-width:1.5;stroke-dasharray:4 3}"
    + "".join(f".c{n}{{fill:{color}}}" for n, color in enumerate(_LIGHT))
    + "@media(prefers-color-scheme:dark){text,.n{fill:#e6edf3}.s{fill:#9198a1}"
    ".card{fill:#151b23;stroke:#3d444d}.g{stroke:#2a313a}.x{stroke:#656c76}.no{fill:#ff7b72}.yes{fill:#56d391}.goal{stroke:#e6edf3}"
    + "".join(f".c{n}{{fill:{color}}}" for n, color in enumerate(_DARK))
    + "}"
)

_WIDTH = 880
_MARGIN = 16
_AXIS = 52
"""Room for the numbers at the left of a panel."""
_PANEL_HEIGHT = 190
_DIGIT = 5.6
"""Width of a digit of a bar's number."""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """Bars side by side: one group for each label, in it one bar for each series."""

    title: str
    labels: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    """``values[series][label]``; None where there is none."""
    unit: str
    log: bool = False


class Ratio(msgspec.Struct, frozen=True):
    """How much was reached of what was promised."""

    what: str
    part: float
    """Ratio to the target; 1 is the target itself."""
    note: str


def bars(title: str, series: Sequence[str], panels: Sequence[Panel], columns: int) -> str:
    """Panels of bars with one legend, as an SVG document. Panels of one row share their scale."""
    rows = -(-len(panels) // columns)
    width = (_WIDTH - 2 * _MARGIN) / columns
    height = 66 + rows * (_PANEL_HEIGHT + 58)
    parts = [_text(_MARGIN, 26, title, "t")]
    x = float(_MARGIN)
    for number, name in enumerate(series):
        parts.append(f'<rect class="c{number % 4}" x="{x:.0f}" y="38" width="11" height="11" rx="2"/>')
        parts.append(_text(x + 16, 48, name, "s"))
        x += 16 + 6.4 * len(name) + 18
    for number, panel in enumerate(panels):
        row = number // columns
        peers = panels[row * columns : (row + 1) * columns]
        shared = all(one.log == panel.log and one.unit == panel.unit for one in peers)
        left, top = _MARGIN + (number % columns) * width, 66 + row * (_PANEL_HEIGHT + 58)
        parts += _panel(panel, left, top, width - 14, _scale_of(peers if shared else (panel,)))
    return _document(height, parts)


def ratios(title: str, rows: Sequence[Ratio]) -> str:
    """One bar a row, on a logarithmic scale, with a line at the target."""
    step, left, right = 22, 330, 120
    height = 74 + step * len(rows) + 26
    known = [row.part for row in rows if row.part > 0]
    low = min(0.5, *(one * 0.9 for one in known)) if known else 0.5
    high = max(2.0, *(one * 1.1 for one in known)) if known else 2.0
    span = _WIDTH - left - right - _MARGIN

    def at(value: float) -> float:
        return left + span * (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))

    parts = [_text(_MARGIN, 26, title, "t")]
    parts.append(_text(_MARGIN, 46, "ratio to the target: 1 is what was promised, more is better", "s"))
    bottom = 64 + step * len(rows)
    for mark in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50):
        if low <= mark <= high:
            parts.append(f'<line class="g" x1="{at(mark):.1f}" x2="{at(mark):.1f}" y1="60" y2="{bottom}"/>')
            parts.append(_text(at(mark), bottom + 16, f"{mark:g}", "s", "middle"))
    for number, row in enumerate(rows):
        y = 64 + step * number
        parts.append(_text(left - 8, y + 14, _shortened(row.what, 52), "s", "end"))
        begin, end = at(max(low, min(1.0, row.part))), at(min(high, max(1.0, row.part)))
        kind = "yes" if row.part >= 1 else "no"
        parts.append(
            f'<rect class="{kind}" x="{begin:.1f}" y="{y + 3}" width="{max(2.0, end - begin):.1f}" '
            f'height="{step - 7}" rx="2"/>'
        )
        parts.append(_text(_WIDTH - _MARGIN, y + 14, row.note, "s", "end"))
    parts.append(f'<line class="goal" x1="{at(1):.1f}" x2="{at(1):.1f}" y1="58" y2="{bottom}"/>')
    return _document(height, parts)


def _document(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
        f'height="{height:.0f}" role="img"><style>{_STYLE}</style>'
        f'<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1:.0f}" rx="6"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


class _Scale(msgspec.Struct, frozen=True):
    low: float
    high: float
    marks: tuple[float, ...]
    log: bool

    def part(self, value: float) -> float:
        """0..1 of the height."""
        if self.log:
            value = max(value, self.low)
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def _scale_of(panels: Sequence[Panel]) -> _Scale:
    known = [
        value
        for panel in panels
        for line in panel.values
        for value in line
        if value is not None and value > 0
    ]
    if not known:
        return _Scale(0.0, 1.0, (0.0, 1.0), False)
    if panels[0].log:
        low, high = math.floor(math.log10(min(known) * 0.8)), math.ceil(math.log10(max(known) * 1.3))
        return _Scale(10.0**low, 10.0**high, tuple(10.0**n for n in range(low, high + 1)), True)
    most = max(known) * 1.1
    raw = most / 5
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw)
    count = math.ceil(most / step)
    return _Scale(0.0, step * count, tuple(step * n for n in range(count + 1)), False)


def _panel(panel: Panel, left: float, top: float, width: float, scale: _Scale) -> list[str]:
    x0, y1 = left + _AXIS, top + 26 + _PANEL_HEIGHT
    parts = [_text(left + 4, top + 14, f"{panel.title}, {panel.unit}", "t")]
    for mark in scale.marks:
        y = y1 - scale.part(mark) * _PANEL_HEIGHT
        parts.append(f'<line class="g" x1="{x0:.1f}" x2="{left + width:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(x0 - 6, y + 4, f"{mark:,.10g}", "s", "end"))
    group = (left + width - x0) / max(1, len(panel.labels))
    bar = group * 0.84 / max(1, len(panel.values))
    known = [value for line in panel.values for value in line if value is not None and value > 0]
    # All bars carry their numbers or none does.
    numbered = all(len(_number(value)) * _DIGIT <= bar + 1 for value in known)
    for place, label in enumerate(panel.labels):
        parts.append(_text(x0 + (place + 0.5) * group, y1 + 16, label, "s", "middle"))
        for number, line in enumerate(panel.values):
            value = line[place]
            if value is None or value <= 0:
                continue
            x = x0 + place * group + group * 0.08 + number * bar
            y = y1 - max(0.004, scale.part(value)) * _PANEL_HEIGHT
            parts.append(
                f'<rect class="c{number % 4}" x="{x:.1f}" y="{y:.1f}" width="{bar * 0.92:.1f}" '
                f'height="{y1 - y:.1f}" rx="1.5"/>'
            )
            if numbered:
                parts.append(_text(x + bar * 0.46, y - 3, _number(value), "n", "middle"))
    parts.append(f'<line class="x" x1="{x0:.1f}" x2="{left + width:.1f}" y1="{y1:.1f}" y2="{y1:.1f}"/>')
    return parts


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
