"""Plots: well-formed documents that show every figure, whatever the figures are."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from sivr.cli.bench.plot import Panel, Ratio, bars, ratios

SVG = "{http://www.w3.org/2000/svg}"


def texts(document: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(document).iter(f"{SVG}text")]


def drawn(document: str) -> list[ElementTree.Element]:
    found = ElementTree.fromstring(document)
    # The card and the legend are no bars.
    return [
        one for one in found.iter(f"{SVG}rect") if one.get("class") != "card" and one.get("width") != "11"
    ]


@pytest.mark.parametrize("log", [True, False])
def test_every_value_has_its_bar(log: bool) -> None:
    panel = Panel(
        title="A & B", labels=("A", "B"), values=((1.0, 20.0), (None, 300.0)), unit="ms", log=log
    )  # fmt: skip
    document = bars("Times <all>", ("ours", "paper"), [panel, panel], 2)
    assert len(drawn(document)) == 2 * 3
    assert {"Times <all>", "A & B, ms", "ours", "paper", "A", "B", "300"} <= set(texts(document))
    heights = [float(one.get("height", "0")) for one in drawn(document)[:3]]
    assert heights == sorted(heights)


@pytest.mark.parametrize("values", [((), ()), ((0.0,),), ((None,),)])
def test_nothing_to_show_is_an_empty_panel(values: tuple[tuple[float | None, ...], ...]) -> None:
    labels = ("A",) * len(values[0])
    document = bars("None", ("ours",), [Panel(title="x", labels=labels, values=values, unit="kB")], 1)
    assert drawn(document) == []


def test_a_ratio_points_away_from_its_target() -> None:
    document = ratios("Reached", [Ratio("one", 2.0, "8"), Ratio("two", 0.5, "3"), Ratio("three", 0.0, "-")])
    kinds = [one.get("class") for one in drawn(document)]
    assert kinds == ["yes", "no", "no"]
    better, worse, none = (float(one.get("x", "0")) for one in drawn(document))
    assert none <= worse < better
    assert "8" in texts(document)
    assert all(float(one.get("width", "-1")) > 0 for one in drawn(document))
