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
    assert preset.name == preset.function.name == name and preset.label and preset.modalities
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
