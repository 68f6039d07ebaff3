"""What a PET object says of the dose and the patient's weight, for standardized uptake values (SUV)."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydicom.dataset import Dataset

from sivr.dicom import elements
from sivr.model.suv import SuvFactor, mean_count_time_s, suv_bw_factor

_DAY = timedelta(days=1)


def suv_factor(data: Dataset) -> SuvFactor:
    """The factor to SUV by body weight (PS3.3 C.8.9.1; QIBA's vendor-neutral way).

    Weight, dose, half-life and times are read and not kept.
    """
    units = elements.text(data, 0x00541001).upper()
    if units == "GML":
        kind = elements.text(data, 0x00541006).upper()
        if kind in ("", "BW"):
            return SuvFactor(1.0)
        return SuvFactor(None, f"The pixels are SUV of the type {kind}, not by body weight.")
    if units == "CNTS":
        factor = elements.number(data, 0x70531000)
        if factor and factor > 0:
            return SuvFactor(factor)
        return SuvFactor(None, "The pixels are counts, and no factor to SUV is given.")
    if units != "BQML":
        return SuvFactor(None, f"The pixels are in {units or 'an unnamed unit'}, not in BQML.")
    return _from_activity(data)


def _from_activity(data: Dataset) -> SuvFactor:
    corrected = elements.texts(data, 0x00280051)
    if corrected and not {"ATTN", "DECY"} <= {one.upper() for one in corrected}:
        return SuvFactor(None, "The pixels are not corrected for both attenuation and decay.")
    dose = elements.first_item(data, 0x00540016)
    weight_kg = elements.number(data, 0x00101030)
    if dose is None:
        return SuvFactor(None, "The file does not tell the injected dose.")
    dose_bq, half_life_s = elements.number(dose, 0x00181074), elements.number(dose, 0x00181075)
    missing = [
        name
        for name, found in (("weight", weight_kg), ("dose", dose_bq), ("half-life", half_life_s))
        if not found or found <= 0
    ]
    if missing or weight_kg is None or dose_bq is None or half_life_s is None:
        return SuvFactor(None, f"The file does not tell the {' and the '.join(missing)}.")
    decay = elements.text(data, 0x00541102).upper()
    if decay == "ADMIN":
        return SuvFactor(suv_bw_factor(dose_bq, half_life_s, 0.0, weight_kg))
    if decay != "START":
        return SuvFactor(None, "The pixels are not corrected for decay to the start of the scan.")
    scan = _scan_start(data, half_life_s)
    injection = _injection(dose, scan)
    if scan is None or injection is None:
        return SuvFactor(None, "The file does not tell when the dose was injected or the scan begun.")
    elapsed_s = (scan - injection).total_seconds()
    if not 0 <= elapsed_s < 20 * half_life_s:
        return SuvFactor(None, "The times of the injection and of the scan do not fit each other.")
    return SuvFactor(suv_bw_factor(dose_bq, half_life_s, elapsed_s, weight_kg))


def _scan_start(data: Dataset, half_life_s: float) -> datetime | None:
    """The moment that decay is corrected to: when the series was begun.

    A Series Time after the frame's own Acquisition Time is that of a later processing; then the start follows
    from the Frame Reference Time, or is what GE writes beside it.
    """
    series = _moment(elements.text(data, 0x00080021), elements.text(data, 0x00080031))
    acquired = _moment(elements.text(data, 0x00080022), elements.text(data, 0x00080032))
    if series is not None and (acquired is None or series <= acquired):
        return series
    private = _date_time(elements.text(data, 0x0009100D))
    if private is not None:
        return private
    reference_ms = elements.number(data, 0x00541300)
    if acquired is None or reference_ms is None:
        return None
    duration_s = (elements.number(data, 0x00181242) or 0.0) / 1000.0
    average_s = mean_count_time_s(half_life_s, duration_s) if duration_s > 0 else 0.0
    return acquired + timedelta(seconds=average_s - reference_ms / 1000.0)


def _injection(dose: Dataset, scan: datetime | None) -> datetime | None:
    """When the dose was given: a moment, or a time of the day of the scan or of the day before."""
    told = _date_time(elements.text(dose, 0x00181078))
    if told is not None:
        return told
    if scan is None:
        return None
    found = _moment(f"{scan:%Y%m%d}", elements.text(dose, 0x00181072))
    if found is not None and found > scan:
        found -= _DAY
    return found


def _moment(date: str, time: str) -> datetime | None:
    """A DA and a TM (PS3.5 6.2) as one moment; None when either is missing."""
    date, time = date.replace(".", "")[:8], time.replace(":", "")
    whole, _, fraction = time.partition(".")
    if len(date) != 8 or len(whole) < 2:
        return None
    return _parsed(date + whole.ljust(6, "0")[:6], fraction)


def _date_time(text: str) -> datetime | None:
    """A DT; its offset from UTC is left out, since DA and TM have none to compare with."""
    text = text.partition("+")[0].partition("-")[0]
    whole, _, fraction = text.partition(".")
    return _parsed(whole.ljust(14, "0")[:14], fraction) if len(whole) >= 10 else None


def _parsed(digits: str, fraction: str) -> datetime | None:
    try:
        found = datetime.strptime(digits, "%Y%m%d%H%M%S")
    except ValueError:
        return None
    micro = fraction[:6].ljust(6, "0")
    return found.replace(microsecond=int(micro)) if micro.isdecimal() else found
