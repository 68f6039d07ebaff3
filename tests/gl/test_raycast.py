"""Pictures of volumes against plain numpy and against what must be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from sivr.errors import Canceled, Invalid, TooLarge
from sivr.gl.camera import lps_from_texel, rays
from sivr.model.cameras import viewpoint_for
from sivr.model.pixels import Window
from sivr.model.rendering import Orientation, PlaneView, TransferFunction, Viewpoint, VolumeView
from tests.gl.paths import PATHS, renderer

pytestmark = pytest.mark.usefixtures("current_context")

RAMP = TransferFunction("ramp", ((0, 0, 0, 0, 0), (1000, 1, 1, 1, 0.5)))


@pytest.fixture(params=PATHS)
def draw(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Draws a view of a bench with fresh textures, with OpenGL and on the processor."""
    textures, caster = renderer(request.param)

    def one(bench: Any, view: VolumeView | PlaneView, check: Any = None) -> Any:
        volume = textures.get(bench.source)
        if isinstance(view, VolumeView):
            return caster.volume(volume, view, check)
        return caster.plane(volume, view, check)

    one.full_step = caster.full_step  # type: ignore[attr-defined]
    yield one
    textures.clear()


def aligned(orientation: Orientation, shape: tuple[int, int, int]) -> tuple[Viewpoint, int, int]:
    """A view whose pixels are voxels of 1 mm, seen from one side: viewpoint, width, height."""
    depth, rows, columns = shape
    center = ((columns - 1) / 2, (rows - 1) / 2, (depth - 1) / 2)
    size = {"a": (columns, depth), "l": (rows, depth), "h": (columns, rows)}
    kind = {"a": "a", "p": "a", "l": "l", "r": "l", "h": "h", "f": "h"}[orientation]
    return viewpoint_for(orientation, center, 500.0), *size[kind]


def projected(voxels: np.ndarray[Any, Any], orientation: Orientation, how: Any) -> np.ndarray[Any, Any]:
    """What a projection must show: rows and columns as seen from that side (voxels in LPS, k up)."""
    axis = {"a": 1, "p": 1, "l": 2, "r": 2, "h": 0, "f": 0}[orientation]
    flat = how(voxels, axis=axis)
    match orientation:
        case "a":  # from the front: left of the patient on the right, head up
            return flat[::-1]
        case "p":
            return flat[::-1, ::-1]
        case "l":  # from the left: the face looks to the left
            return flat[::-1]
        case "r":
            return flat[::-1, ::-1]
        case "h":  # from the head, face up: left of the patient on the left
            return flat[:, ::-1]
        case "f":
            return flat
    raise AssertionError(orientation)


def windowed(values: Any, window: Window) -> np.ndarray[Any, Any]:
    """PS3.3 C.11.2.1.2 in numpy, 0..255."""
    x, c, w = np.asarray(values, float), window.center, window.width
    if window.function == "sigmoid":
        y = 1 / (1 + np.exp(-4 * (x - c) / w))
    elif window.function == "linear-exact":
        y = np.clip((x - c) / w + 0.5, 0, 1)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            y = ((x - (c - 0.5)) / (w - 1)) + 0.5
        y = np.where(x <= c - 0.5 - (w - 1) / 2, 0, np.where(x > c - 0.5 + (w - 1) / 2, 1, y))
    return np.rint(y * 255).astype(int)


def noise(shape: tuple[int, int, int], dtype: str = "int16") -> np.ndarray[Any, Any]:
    """Voxels of many different values."""
    rng = np.random.default_rng(5)
    info = np.iinfo(dtype)
    return rng.integers(max(info.min, -1024), min(info.max, 3000), shape).astype(dtype)


METHODS: dict[str, Any] = {"maximum_ip": np.max, "minimum_ip": np.min, "average_ip": np.mean}


@pytest.mark.parametrize("orientation", "aprlhf")
@pytest.mark.parametrize("method", METHODS)
def test_projections_equal_numpy(bench: Any, draw: Any, method: Any, orientation: Orientation) -> None:
    voxels = noise((21, 34, 45))
    viewpoint, width, height = aligned(orientation, voxels.shape)
    window = Window(900, 3800)
    got = draw(bench(voxels), VolumeView(method, viewpoint, width, height, float(height), window))
    want = windowed(projected(voxels, orientation, METHODS[method]), window)
    assert np.abs(got.astype(int) - want).max() <= 1


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32"])
@pytest.mark.parametrize("slope", [1.0, -2.0])
def test_every_type_and_slope(bench: Any, draw: Any, dtype: str, slope: float) -> None:
    voxels = noise((9, 10, 11), "int16" if dtype == "float32" else dtype).astype(dtype)
    viewpoint, width, height = aligned("h", voxels.shape)
    values = voxels.astype(float) * slope + 40
    window = Window(float(values.mean()), float(np.ptp(values)))
    made = bench(voxels, slope=slope, intercept=40.0)
    for method, how in METHODS.items():
        got = draw(made, VolumeView(method, viewpoint, width, height, float(height), window))
        want = windowed(projected(values, "h", how), window)
        assert np.abs(got.astype(int) - want).max() <= 1, method


@pytest.mark.parametrize(
    "window",
    [
        Window(300, 900),
        Window(300, 1),
        Window(300, 900, "linear-exact"),
        Window(300, 0.5, "linear-exact"),
        Window(300, 900, "sigmoid"),
    ],
)
def test_windows_equal_numpy(bench: Any, draw: Any, window: Window) -> None:
    voxels = noise((8, 40, 50))
    viewpoint, width, height = aligned("f", voxels.shape)
    view = VolumeView("maximum_ip", viewpoint, width, height, float(height), window)
    want = windowed(projected(voxels, "f", np.max), window)
    assert np.abs(draw(bench(voxels), view).astype(int) - want).max() <= 1


def test_padding_is_not_image(bench: Any, draw: Any) -> None:
    voxels = noise((12, 13, 14))
    voxels[3:9, 2:8, 5:9] = 3333
    view, width, height = aligned("h", voxels.shape)
    masked = np.ma.masked_equal(voxels, 3333)
    window = Window(900, 3800)
    made = bench(voxels, padding=3333)
    for method, how in {"maximum_ip": np.ma.max, "minimum_ip": np.ma.min, "average_ip": np.ma.mean}.items():
        got = draw(made, VolumeView(method, view, width, height, float(height), window))  # type: ignore[arg-type]
        want = windowed(np.ma.filled(projected(masked, "h", how), 0), window)
        assert np.abs(got.astype(int) - want).max() <= 1, method


def body() -> np.ndarray[Any, Any]:
    """A box of tissue with one bright arm, three marks of different size on three sides: no symmetry."""
    voxels = np.full((40, 44, 48), -1000, np.int16)
    voxels[8:32, 10:34, 12:36] = 100
    voxels[26:30, 18:26, 36:46] = 1200  # an arm to the patient's left, high up
    voxels[10:14, 4:10, 14:20] = 1200  # a nose in front, low and to the right
    voxels[32:38, 28:32, 28:32] = 1200  # a horn on the head, behind and to the left
    return voxels


SIDES: dict[Orientation, dict[str, str]] = {
    "a": {"arm": "right top", "nose": "left bottom", "horn": "right top"},
    "p": {"arm": "left top", "nose": "right bottom", "horn": "left top"},
    "l": {"nose": "left bottom", "horn": "right top"},
    "r": {"nose": "right bottom", "horn": "left top"},
    "h": {"arm": "left", "nose": "right top", "horn": "left bottom"},
    "f": {"arm": "right", "nose": "left top", "horn": "right bottom"},
}
"""Where each part of the body is in the picture, seen from each side."""


@pytest.mark.parametrize("method", ["volume_rendered", "maximum_ip"])
@pytest.mark.parametrize("orientation", SIDES)
def test_the_body_is_seen_from_six_sides(
    bench: Any, draw: Any, orientation: Orientation, method: Any
) -> None:
    full = body()
    viewpoint = viewpoint_for(orientation, (23.5, 21.5, 19.5), 200.0)
    parts = {
        "arm": (slice(26, 30), slice(18, 26), slice(36, 46)),
        "nose": (slice(10, 14), slice(4, 10), slice(14, 20)),
        "horn": (slice(32, 38), slice(28, 32), slice(28, 32)),
    }
    for part, place in SIDES[orientation].items():
        voxels = np.full_like(full, -1000)
        voxels[parts[part]] = full[parts[part]]
        view = VolumeView(
            method, viewpoint, 96, 96, 60.0, Window(100, 2000, "linear-exact"),
            TransferFunction("bone", ((200, 1, 1, 1, 0), (600, 1, 1, 1, 0.9))),
        )  # fmt: skip
        picture = draw(bench(voxels), view)
        grey = picture if picture.ndim == 2 else picture.mean(axis=2)
        row, column = (axis.mean() for axis in np.nonzero(grey > 60))
        for word in place.split():
            assert {"left": column < 47, "right": column > 48, "top": row < 47, "bottom": row > 48}[word], (
                part, word, row, column,
            )  # fmt: skip


def trilinear(voxels: np.ndarray[Any, Any], at: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Values at texel positions (n, 3) in i, j, k, edges repeated."""
    size = np.array(voxels.shape[::-1])
    p = np.clip(at - 0.5, 0, size - 1)
    low = np.minimum(p.astype(int), size - 1)
    high = np.minimum(low + 1, size - 1)
    part = p - low
    total = np.zeros(len(at))
    for corner in range(8):
        pick = [(corner >> axis) & 1 for axis in range(3)]
        index = [np.where(pick[axis], high[:, axis], low[:, axis]) for axis in range(3)]
        weight = np.prod([part[:, a] if pick[a] else 1 - part[:, a] for a in range(3)], axis=0)
        total += weight * voxels[index[2], index[1], index[0]]
    return total


def march(
    voxels: np.ndarray[Any, Any],
    affine: np.ndarray[Any, Any],
    view: VolumeView,
    flat: float,
    step: float,
    keep: Callable[[np.ndarray[Any, Any]], Any] | None = None,
    cue: Callable[[np.ndarray[Any, Any]], Any] | None = None,
) -> np.ndarray[Any, Any]:
    """Composite rendering written down plainly: every step, no leaps, no early end. ``keep`` says which
    points (n, 3) in LPS mm are there, ``cue`` how bright they are."""
    function = view.transfer_function
    assert function is not None
    ray = rays(view.viewpoint, view.width, view.height, view.height_mm, lps_from_texel(affine, (1, 1, 1)))
    y, x = np.mgrid[: view.height, : view.width]
    origin = ray.origin + x.reshape(-1, 1) * ray.right + y.reshape(-1, 1) * ray.down
    size = np.array(voxels.shape[::-1], float)
    points = np.array(function.points)
    high_value = points[-1, 0] - points[0, 0]
    color = np.zeros((len(origin), 3))
    alpha = np.zeros(len(origin))
    reach = np.linalg.norm(affine[:3, :3] @ size)
    for n in range(int(-reach / step), int(reach / step) + 1):
        at = origin + n * step * ray.direction
        inside = ((at >= 0) & (at <= size)).all(axis=1)
        if not inside.any():
            continue
        at = at[inside]
        value = trilinear(voxels, at)
        gradient = np.stack(
            [
                trilinear(voxels, at + axis) - trilinear(voxels, at - axis)
                for axis in np.eye(3)
            ],
            axis=1,
        ) / 2 @ ray.lps_from_gradient.T  # fmt: skip
        steep = np.linalg.norm(gradient, axis=1)
        facing = np.abs(gradient @ ray.toward) / np.maximum(steep, 1e-9)
        surface = steep / (steep + flat * high_value)
        rgb = np.stack([np.interp(value, points[:, 0], points[:, c]) for c in (1, 2, 3)], axis=1)
        opacity = 1 - (1 - np.interp(value, points[:, 0], points[:, 4])) ** (step / function.opacity_unit_mm)
        a, d, s = function.ambient, function.diffuse, function.specular
        lit = (a + 0.75 * d) * (1 - surface) + (a + d * facing) * surface
        shown = np.minimum(rgb * lit[:, None] + (s * surface * facing**24)[:, None], 1)
        lps = (np.c_[at, np.ones(len(at))] @ lps_from_texel(affine, (1, 1, 1)).T)[:, :3]
        if keep is not None:
            opacity = opacity * keep(lps)
        if cue is not None:
            shown = shown * cue(lps)[:, None]
        part = (1 - alpha[inside]) * opacity
        color[inside] += part[:, None] * shown
        alpha[inside] += part
    return (color * 255).reshape(view.height, view.width, 3)


def psnr(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-9)))


def blobs() -> np.ndarray[Any, Any]:
    """Soft spheres in noise: surfaces, haze and empty space."""
    k, j, i = np.mgrid[:28, :36, :40]
    near = np.exp(-((i - 14) ** 2 + (j - 16) ** 2 + (k - 12) ** 2) / 60)
    far = np.exp(-((i - 29) ** 2 + (j - 22) ** 2 + (k - 19) ** 2) / 20)
    rng = np.random.default_rng(2)
    return (1100 * near + 900 * far - 60 + rng.normal(0, 10, near.shape)).astype(np.int16)


OBLIQUE = Viewpoint((130.0, -180.0, 90.0), (22.0, 20.0, 30.0), (0.1, 0.0, 1.0))
SHEARED = np.array([[0.9, 0.05, 0.1, 2.0], [0.0, 1.1, 0.2, 1.0], [0.02, 0.0, 2.0, 3.0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("affine", [np.diag([1.0, 1, 2, 1]), SHEARED], ids=["box", "sheared"])
def test_composite_equals_a_plain_march(bench: Any, draw: Any, affine: Any) -> None:
    from sivr.gl.raycast import FLAT

    voxels = blobs()
    view = VolumeView("volume_rendered", OBLIQUE, 80, 72, 80.0, transfer_function=RAMP)
    step = draw.full_step * float(np.linalg.norm(affine[:3, :3], axis=0).min())
    want = march(voxels, affine, view, FLAT, step)
    got = draw(bench(voxels, affine), view)
    assert want.max() > 120
    assert psnr(got, want) > 45
    finer = march(voxels, affine, view, FLAT, step / 2)
    assert psnr(got, finer) > 36


def test_a_draft_is_like_the_finished_picture(bench: Any, draw: Any) -> None:
    made = bench(blobs(), np.diag([1.0, 1, 2, 1]))
    view = VolumeView("volume_rendered", OBLIQUE, 80, 72, 80.0, transfer_function=RAMP)
    done = draw(made, view)
    draft = draw(made, VolumeView(**{**_fields(view), "draft": True}))
    assert draft.shape == done.shape
    assert psnr(draft, done) > 24


def test_drafts_from_half_resolution_are_like_it_too(bench: Any) -> None:
    from sivr.gl.raycast import Raycaster
    from sivr.gl.textures import TextureCache

    for affine in (np.diag([1.0, 1, 2, 1]), SHEARED):
        textures = TextureCache(64 << 20)
        volume = textures.get(bench(blobs(), affine).source)
        caster = Raycaster(textures)
        view = VolumeView("volume_rendered", OBLIQUE, 80, 72, 80.0, transfer_function=RAMP)
        draft = VolumeView(**{**_fields(view), "draft": True})
        assert volume.half is None
        before = caster.volume(volume, draft)
        while textures.prepare(0.001):
            pass
        assert volume.half is not None
        after = caster.volume(volume, draft)
        assert (before != after).any()
        assert psnr(after, caster.volume(volume, view)) > 24
        textures.clear()


def _fields(view: VolumeView) -> dict[str, Any]:
    return {name: getattr(view, name) for name in view.__struct_fields__}


def test_opacity_does_not_depend_on_the_voxel_size(bench: Any, draw: Any) -> None:
    """The same fog in voxels of half the size is as thick."""
    fog = TransferFunction("fog", ((0, 1, 1, 1, 0.02), (1000, 1, 1, 1, 0.02)))
    pictures = []
    for n, size in ((20, 2.0), (40, 1.0)):
        affine = np.diag([size, size, size, 1])
        affine[:3, 3] = size / 2
        view = VolumeView(
            "volume_rendered", viewpoint_for("a", (20, 20, 20), 90), 32, 32, 30.0, transfer_function=fog
        )
        pictures.append(draw(bench(np.full((n, n, n), 500, np.int16), affine), view).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 2
    assert 100 < pictures[0].mean() < 200


def test_relative_functions_follow_the_volume_or_the_window(bench: Any, draw: Any) -> None:
    function = TransferFunction("mr", ((0.5, 1, 1, 1, 0), (0.8, 1, 1, 1, 0.9)), relative=True)
    voxels = np.zeros((20, 20, 20), np.uint16)
    voxels[5:15, 5:15, 5:15] = 700
    view = VolumeView(
        "volume_rendered", viewpoint_for("a", (10, 10, 10), 50), 32, 32, 24.0, transfer_function=function
    )
    made = bench(voxels)
    assert draw(made, view).max() > 200
    darker = VolumeView(**{**_fields(view), "window": Window(3000, 6000)})
    assert draw(made, darker).max() == 0


def plane(viewpoint: Viewpoint, width: int, height: int, **options: Any) -> PlaneView:
    return PlaneView(viewpoint, width, height, float(height), Window(900, 3800), **options)


def test_a_plane_is_a_slice(bench: Any, draw: Any) -> None:
    voxels = noise((9, 20, 30))
    for k in (0, 4, 8):
        looking = Viewpoint((14.5, 9.5, k - 100.0), (14.5, 9.5, float(k)), (0, -1, 0))
        got = draw(bench(voxels), plane(looking, 30, 20))
        assert np.abs(got.astype(int) - windowed(voxels[k], Window(900, 3800))).max() <= 1


def test_a_plane_between_slices_is_interpolated_and_inverted(bench: Any, draw: Any) -> None:
    voxels = noise((9, 20, 30))
    looking = Viewpoint((14.5, 9.5, -100.0), (14.5, 9.5, 4.25), (0, -1, 0))
    want = windowed(0.75 * voxels[4] + 0.25 * voxels[5], Window(900, 3800))
    got = draw(bench(voxels), plane(looking, 30, 20, invert=True))
    assert np.abs(255 - got.astype(int) - want).max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_a_slab_joins_its_slices(bench: Any, draw: Any, method: Any) -> None:
    voxels = noise((9, 20, 30))
    looking = Viewpoint((14.5, 9.5, -100.0), (14.5, 9.5, 4.0), (0, -1, 0))
    got = draw(bench(voxels), plane(looking, 30, 20, slab_mm=5.0, method=method))
    want = windowed(METHODS[method](voxels[2:7], axis=0), Window(900, 3800))
    assert np.abs(got.astype(int) - want).max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_a_slab_thicker_than_the_volume_is_the_whole_volume(bench: Any, draw: Any, method: Any) -> None:
    made = bench(noise((12, 13, 14)), np.diag([0.5, 0.6, 2.7, 1.0]))
    viewpoint = Viewpoint((60.0, -80.0, 40.0), (1.5, 2.0, 15.0), (0.0, 0.0, 1.0))
    whole = draw(made, PlaneView(viewpoint, 24, 20, 12.0, Window(900, 3800), 80.0, method))
    assert len(np.unique(whole)) > 20
    for thick in (400.0, 5e3, 1e7, 1e30, 1e308):
        got = draw(made, PlaneView(viewpoint, 24, 20, 12.0, Window(900, 3800), thick, method))
        # Where exactly the samples lie moves with the thickness, by less than a voxel.
        assert np.abs(got.astype(int) - whole).mean() < 8, thick
    beside = Viewpoint((0.0, -9e5, 0.0), (0.0, -1e5, 0.0), (0.0, 0.0, 1.0))
    assert not draw(made, PlaneView(beside, 24, 20, 12.0, Window(900, 3800), 50.0, method)).any()
    far = draw(made, PlaneView(beside, 24, 20, 12.0, Window(900, 3800), 3e5, method))
    assert len(np.unique(far)) > 20


def test_an_oblique_plane_equals_numpy(bench: Any, draw: Any) -> None:
    voxels = blobs()
    view = plane(OBLIQUE, 64, 48, invert=False)
    ray = rays(OBLIQUE, 64, 48, 48.0, lps_from_texel(SHEARED, (1, 1, 1)))
    y, x = np.mgrid[:48, :64]
    at = ray.origin + x.reshape(-1, 1) * ray.right + y.reshape(-1, 1) * ray.down
    inside = ((at >= 0) & (at <= np.array(voxels.shape[::-1]))).all(axis=1)
    want = np.where(inside, windowed(trilinear(voxels, at), Window(900, 3800)), 0).reshape(48, 64)
    got = draw(bench(voxels, SHEARED), view).astype(int)
    # Pixels on the very edge may fall on either side of it.
    assert np.mean(np.abs(got - want) > 1) < 0.01


def test_what_lies_outside_is_black(bench: Any, draw: Any) -> None:
    made = bench(np.full((5, 5, 5), 2000, np.int16))
    away = Viewpoint((500.0, -100.0, 0.0), (500.0, 0.0, 0.0), (0, 0, 1))
    for method in ("volume_rendered", "maximum_ip", "minimum_ip", "average_ip"):
        view = VolumeView(method, away, 16, 16, 20.0, Window(0, 10), RAMP)  # type: ignore[arg-type]
        assert draw(made, view).max() == 0
    assert draw(made, plane(away, 16, 16)).max() == 0


def test_nonsense_is_refused(bench: Any, draw: Any) -> None:
    made = bench(noise((5, 5, 5)))
    here = viewpoint_for("a", (2, 2, 2), 50)
    lost = Viewpoint((0, 0, 0), (0, 0, 0), (0, 0, 1))
    parallel = Viewpoint((0, 0, 9), (0, 0, 0), (0, 0, 1))
    good = {"method": "maximum_ip", "viewpoint": here, "width": 8, "height": 8, "height_mm": 8.0}
    for bad in (
        {"viewpoint": lost},
        {"viewpoint": parallel},
        {"height_mm": 0.0},
        {"height_mm": float("nan")},
        {"width": 0},
        {"window": Window(0, 0)},
        {"window": Window(float("inf"), 1)},
        {"method": "volume_rendered", "transfer_function": TransferFunction("x", ((0, 1, 1, 1, 1),))},
        {"method": "volume_rendered", "transfer_function": TransferFunction("x", ((0, 1, 1, 1, 2),) * 2)},
    ):
        with pytest.raises(Invalid):
            draw(made, VolumeView(**{**good, **bad}))  # type: ignore[arg-type]
    with pytest.raises(TooLarge):
        draw(made, VolumeView(**{**good, "width": 10**6}))  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="plane"):
        draw(made, plane(here, 8, 8, method="volume_rendered"))
    flat = np.diag([1.0, 1, 0, 1])
    with pytest.raises(Invalid, match="no extent"):
        draw(bench(noise((5, 5, 5)), flat), VolumeView(**good))  # type: ignore[arg-type]


def test_a_picture_is_abandoned_between_bands(bench: Any, draw: Any) -> None:
    asked = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise Canceled("nobody waits")

    # So large that no thread of two draws all of it before the other asks a second time.
    view = VolumeView("maximum_ip", viewpoint_for("a", (2, 2, 2), 50), 2048, 2048, 8.0, Window(0, 10))
    with pytest.raises(Canceled):
        draw(bench(noise((5, 5, 5))), view, check)
    assert len(asked) == 2


@pytest.mark.parametrize("thick", [0.0, 3.0])
def test_a_band_of_values_is_marked(bench: Any, draw: Any, thick: float) -> None:
    voxels = noise((9, 20, 30))
    looking = Viewpoint((14.5, 9.5, -100.0), (14.5, 9.5, 4.0), (0, -1, 0))
    shown = voxels[4] if not thick else voxels[3:6].max(axis=0)
    low, high = float(np.quantile(shown, 0.4)), float(shown[3, 7])
    low, high = min(low, high), max(low, high)
    made = bench(voxels, slope=2.0, intercept=-100.0)
    band = (low * 2 - 100, high * 2 - 100)
    got = draw(made, plane(looking, 30, 20, slab_mm=thick, method="maximum_ip", marked=True, band=band))
    plain = draw(made, plane(looking, 30, 20, slab_mm=thick, method="maximum_ip"))
    assert got.shape == (20, 30, 3) and np.array_equal(got[..., 0], plain)
    inside = (shown >= low) & (shown <= high)
    assert 0 < inside.sum() < inside.size
    assert np.array_equal(got[..., 1] > 0, inside), "both ends included"
    assert not got[..., 2].any()
    larger = draw(made, plane(looking, 40, 20, marked=True))
    assert (larger[:, :5, 2] == 255).all() and (larger[:, 35:, 2] == 255).all(), "no image beside the volume"
    assert not larger[:, 5:35, 2].any() and not larger[..., 1].any()
