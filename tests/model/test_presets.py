"""Presets are complete and sound."""

from __future__ import annotations

import pytest

from sivr.errors import Invalid
from sivr.model.presets import DEFAULT_OF_MODALITY, PRESETS, preset_for


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_transfer_function(name: str) -> None:
    preset = PRESETS[name]
    points = preset.function.points
    values = [point[0] for point in points]
    assert preset.name == name and preset.label and preset.modalities
    assert preset.function.name in PRESETS
    assert values == sorted(set(values)) and len(values) >= 2
    assert all(0 <= part <= 1 for point in points for part in point[1:])
    assert points[0][4] == 0, "what is darkest is air"
    assert max(point[4] for point in points) > 0
    if preset.function.relative:
        assert values[0] >= 0 and values[-1] <= 2


def test_modalities_have_a_preset() -> None:
    assert set(DEFAULT_OF_MODALITY.values()) <= set(PRESETS)
    assert preset_for("", "CT").name == "ct-bone"
    assert preset_for("", "XX").relative, "values of an unknown modality mean nothing"
    assert preset_for("ct-skin", "MR").name == "ct-skin"
    with pytest.raises(Invalid, match="ct-bone"):
        preset_for("nonsense", "CT")


def test_projections_say_what_is_black_and_white() -> None:
    for preset in PRESETS.values():
        shows_values = preset.method != "volume_rendered"
        assert shows_values == (preset.window is not None or preset.span is not None), preset.name
        assert not (preset.window and preset.span) and not (shows_values and preset.surface is not None)


def test_there_is_something_for_everybody() -> None:
    by_modality = {
        modality: [one for one in PRESETS.values() if modality in one.modalities]
        for modality in ("CT", "MR", "PT", "XA")
    }
    assert len(PRESETS) >= 20
    assert {modality: len(some) for modality, some in by_modality.items() if len(some) < 2} == {}
    assert len({preset.label for preset in by_modality["CT"]}) == len(by_modality["CT"])
