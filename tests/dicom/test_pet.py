"""SUV factors, computed a second time by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from sivr.dicom.pet import suv_factor
from sivr.dicom.read import read_header
from sivr.model.suv import mean_count_time_s


def pet(**changes: object) -> Dataset:
    dose = Dataset()
    dose.RadiopharmaceuticalStartTime = "235000"
    dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = "370000000", "6586.2"
    data = Dataset()
    data.Modality, data.Units, data.DecayCorrection = "PT", "BQML", "START"
    data.CorrectedImage, data.PatientWeight = ["DECY", "ATTN"], "70"
    data.SeriesDate = data.AcquisitionDate = "20220102"
    data.SeriesTime, data.AcquisitionTime = "005000", "005500.5"
    data.RadiopharmaceuticalInformationSequence = Sequence([dose])
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    return data


def test_a_real_body(shared_data: Path) -> None:
    paths = sorted((shared_data / "pet-whole-body").glob("*.dcm"))
    factors = [read_header(path).suv for path in (paths[0], paths[-1])]
    # 66.2 kg, 381.47 MBq at 11:39:00, decay corrected to 13:02:44.678, half-life 6586.2 s.
    elapsed = (13 * 3600 + 2 * 60 + 44.678) - (11 * 3600 + 39 * 60)
    by_hand = 66200 / (381470000 * 0.5 ** (elapsed / 6586.2))
    for factor in factors:
        assert factor is not None and factor.bw == pytest.approx(by_hand, rel=1e-9), factor


def test_an_injection_before_midnight_and_other_origins() -> None:
    hour = 70000 / (370e6 * 0.5 ** (3600 / 6586.2))
    assert suv_factor(pet()).bw == pytest.approx(hour)
    assert suv_factor(pet(DecayCorrection="ADMIN")).bw == pytest.approx(70000 / 370e6)
    assert suv_factor(pet(Units="GML")).bw == 1.0
    told = pet()
    told.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime = "20220101225000.000"
    assert suv_factor(told).bw == pytest.approx(70000 / (370e6 * 0.5 ** (7200 / 6586.2)))


def test_a_series_time_of_a_later_processing() -> None:
    late = pet(SeriesTime="090000", FrameReferenceTime="600000", ActualFrameDuration="120000")
    # The frame's average lies 600 s after the start of decay and close to the middle of its 120 s.
    rate = math.log(2) / 6586.2
    average = math.log(rate * 120 / (1 - math.exp(-rate * 120))) / rate
    assert average == pytest.approx(mean_count_time_s(6586.2, 120)) and 59 < average < 60
    begun = (55 * 60 + 0.5) + average - 600
    assert suv_factor(late).bw == pytest.approx(70000 / (370e6 * 0.5 ** ((begun + 600) / 6586.2)))
    del late.FrameReferenceTime
    assert suv_factor(late).bw is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Units": "CNTS"}, "counts"),
        ({"Units": "GML", "SUVType": "LBM"}, "LBM"),
        ({"Units": "PROPCPS"}, "PROPCPS"),
        ({"PatientWeight": None}, "weight"),
        ({"PatientWeight": "0"}, "weight"),
        ({"CorrectedImage": ["ATTN"]}, "not corrected"),
        ({"DecayCorrection": "NONE"}, "start of the scan"),
        ({"RadiopharmaceuticalInformationSequence": Sequence([])}, "dose"),
        ({"SeriesTime": "", "AcquisitionTime": ""}, "when"),
        ({"SeriesDate": "20230102", "AcquisitionDate": "20230102", "SeriesTime": "x"}, "when"),
    ],
)
def test_no_value_is_better_than_a_wrong_one(changes: dict[str, object], reason: str) -> None:
    found = suv_factor(pet(**changes))
    assert found.bw is None and reason in found.why_not, found
