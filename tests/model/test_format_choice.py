"""The table of formats drives the choice, in the server and in the page alike."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sivr.errors import NotAcceptable
from sivr.model.format_choice import REST, choose, choose_format
from sivr.model.format_costs import COSTS
from sivr.model.parameters import LOSSY

STATIC = Path(__file__).resolve().parents[2] / "sivr" / "static" / "model"
EVERY = ("image/png", "image/jpeg", "image/webp", "image/avif")
RATES = (20_000.0, 93_750.0, 500_000.0, 4e6, 125e6)
CELLS = [(kind, likeness) for kind, rows in COSTS.items() for likeness in rows]


@pytest.mark.parametrize(("kind", "likeness"), CELLS)
@pytest.mark.parametrize("rate", RATES)
def test_what_arrives_first_is_chosen(kind: str, likeness: str, rate: float) -> None:
    costs = COSTS[kind][likeness]
    found = choose(kind, likeness, rate, EVERY)  # type: ignore[arg-type]
    assert found is not None
    times = {name: size / rate + ns * 1e-9 for name, (_, size, ns) in costs.items()}
    assert times[found.media_type] == min(times.values())
    assert (found.quality, found.bytes_per_pixel) == costs[found.media_type][:2]
    assert (found.quality is None) == (likeness == "lossless")


@pytest.mark.parametrize(("kind", "likeness"), CELLS)
def test_a_slower_line_never_gets_more_bytes(kind: str, likeness: str) -> None:
    sizes = [choose(kind, likeness, rate, EVERY).bytes_per_pixel for rate in RATES]  # type: ignore[arg-type, union-attr]
    assert sizes == sorted(sizes)


def test_likeness_costs_bytes() -> None:
    for rows in COSTS.values():
        for media_type in LOSSY:
            sizes = [
                rows[one][media_type][1]
                for one in ("0.85", "0.90", "0.95", "0.98")
                if media_type in rows[one]
            ]
            assert sizes == sorted(sizes) and sizes


def test_nothing_is_chosen_that_is_not_accepted() -> None:
    assert choose("grey", "0.95", 1e6, ("image/gif", "text/html")) is None
    only = choose("grey", "0.95", 1e3, ("image/jpeg",))
    assert only is not None and only.media_type == "image/jpeg"


def test_the_page_has_the_same_table() -> None:
    text = (STATIC / "format-costs.js").read_text()
    table = json.loads(text.partition("export const COSTS = ")[2].rstrip().rstrip(";"))
    assert table == json.loads(json.dumps(COSTS))


def test_the_page_chooses_the_same() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not on this machine")
    cells = [
        (kind, likeness, rate, accepted)
        for (kind, likeness), rate in itertools.product(CELLS, RATES)
        for accepted in (EVERY, EVERY[:3], ("image/jpeg",), ("image/png",), ())
    ]
    script = (
        f"import {{ choose }} from {json.dumps((STATIC / 'formats.js').as_uri())};"
        f"console.log(JSON.stringify({json.dumps(cells)}.map((one) => choose(...one))));"
    )
    done = subprocess.run(
        [node, "--experimental-default-type=module", "--input-type=module", "-e", script],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    for cell, theirs in zip(cells, json.loads(done.stdout), strict=True):
        ours = choose(*cell)  # type: ignore[arg-type]
        expected = ours and {
            "type": ours.media_type,
            "quality": ours.quality,
            "bytes_per_pixel": ours.bytes_per_pixel,
        }
        assert theirs == expected, cell


BROWSER = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "header", "expected"),
    [
        ((), "", "image/jpeg"),
        ((), "*/*", "image/jpeg"),
        (("image/png",), BROWSER, "image/png"),
        ((), "image/webp", "image/webp"),
        ((), "image/png;q=0.9, image/jpeg;q=0.5", "image/png"),
        ((), "image/jpeg, image/webp;q=0.5", "image/jpeg"),
    ],
)
def test_a_caller_that_names_one_type_gets_it_as_before(
    accept: tuple[str, ...], header: str, expected: str
) -> None:
    for rate in RATES:
        assert choose_format(accept, header, kind="grey", draft=False, bytes_per_s=rate) == (expected, None)


@pytest.mark.parametrize("kind", ["grey", "color"])
@pytest.mark.parametrize("rate", RATES)
def test_a_caller_that_takes_any_picture_gets_what_arrives_first(kind: str, rate: float) -> None:
    for accept, header in (((), BROWSER), (("image/*",), "")):
        best = choose(kind, REST, rate, LOSSY)  # type: ignore[arg-type]
        assert best is not None
        found = choose_format(accept, header, kind=kind, draft=False, bytes_per_s=rate)  # type: ignore[arg-type]
        assert found == (best.media_type, best.quality)


def test_a_draft_may_be_less_like_it() -> None:
    still = choose_format(("image/*",), "", kind="grey", draft=False, bytes_per_s=125e6)
    draft = choose_format(("image/*",), "", kind="grey", draft=True, bytes_per_s=125e6)
    assert COSTS["grey"]["0.95"][draft[0]][1] < COSTS["grey"]["0.98"][still[0]][1]  # type: ignore[index]


def test_who_would_get_a_lossless_picture_still_gets_one() -> None:
    for rate in RATES:
        found, quality = choose_format(
            (), "image/png, image/webp", kind="grey", draft=False, bytes_per_s=rate
        )
        assert found in ("image/png", "image/webp")
        assert quality is None


def test_what_nobody_can_send_is_refused() -> None:
    with pytest.raises(NotAcceptable):
        choose_format((), "image/bmp", kind="grey", draft=False, bytes_per_s=1e6)
