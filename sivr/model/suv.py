"""Standardized uptake values: from activity in the tissue to how many times the average of the body it is."""

from __future__ import annotations

import math

import msgspec


class SuvFactor(msgspec.Struct, frozen=True):
    """From modality values of a PET object to SUV by body weight, g/ml."""

    bw: float | None
    """``SUVbw = modality value * bw``; None where the object does not tell enough."""
    why_not: str = ""
    """One sentence why there is none."""


def suv_bw_factor(dose_bq: float, half_life_s: float, elapsed_s: float, weight_kg: float) -> float:
    """SUVbw of 1 Bq/ml, with a tissue of 1 g/ml (PS3.3 C.8.9.1.1.3; QIBA FDG-PET profile, appendix G).

    ``elapsed_s`` lies between the injection of the dose and the moment to which the activity of the pixels is
    corrected for decay.
    """
    return weight_kg * 1000.0 / (dose_bq * math.pow(2.0, -elapsed_s / half_life_s))


def mean_count_time_s(half_life_s: float, duration_s: float) -> float:
    """When, after the start of a frame of this duration, activity equals its average over the frame."""
    rate = math.log(2.0) / half_life_s
    if rate * duration_s < 1e-9:
        return duration_s / 2
    return math.log(rate * duration_s / -math.expm1(-rate * duration_s)) / rate
