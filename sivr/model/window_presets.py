"""Windows readers know by name, per modality; in modality values (HU for CT)."""

from __future__ import annotations

import msgspec

from sivr.model.pixels import Window


class WindowPreset(msgspec.Struct, frozen=True):
    """A window with a name; ``label`` is what an English page shows."""

    name: str
    label: str
    center: float
    width: float
    function: str = "linear"

    @property
    def window(self) -> Window:
        """The window itself."""
        return Window(center=self.center, width=self.width, explanation=self.label)


WINDOW_PRESETS: dict[str, tuple[WindowPreset, ...]] = {
    "CT": (
        WindowPreset("soft-tissue", "Soft tissue", 40, 400),
        WindowPreset("lung", "Lung", -600, 1500),
        WindowPreset("mediastinum", "Mediastinum", 50, 350),
        WindowPreset("liver", "Liver", 90, 150),
        WindowPreset("bone", "Bone", 480, 2500),
        WindowPreset("brain", "Brain", 40, 80),
        WindowPreset("stroke", "Stroke", 40, 40),
        WindowPreset("subdural", "Subdural", 75, 215),
        WindowPreset("angio", "Angio", 300, 600),
    ),
}
"""Other modalities have no absolute values to name windows for; their windows come with the file."""


def window_presets(modality: str) -> tuple[WindowPreset, ...]:
    """The presets of a modality; none where values mean nothing absolute."""
    return WINDOW_PRESETS.get(modality, ())
