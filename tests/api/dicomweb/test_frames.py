"""Rendered frames over a real socket: pixels, parameters, who may, and what is answered when not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sivr import codec
from sivr.dicom.phantom import phantom_values, write_phantom
from sivr.dicom.pixels import decode_frames
from sivr.dicom.presentation import default_window, render_reference
from sivr.dicom.read import read_header
from sivr.errors import Invalid
from sivr.model.format_choice import LINE_BYTES_S, REST, choose
from sivr.model.importance import Importance
from sivr.model.parameters import LOSSY
from sivr.model.pixels import Window
from tests.api.dicomweb.node import Node, frame_path, instance_path, series_path

pytestmark = pytest.mark.asyncio(loop_scope="module")
PNG = "accept=image/png"
SHAPE = (12, 40, 56)


def readable(folder: Path) -> Iterator[Path]:
    """Files in a folder that are DICOM objects with pixels we can show."""
    for path in sorted(folder.rglob("*.dcm")):
        try:
            if not read_header(path).not_renderable:
                yield path
        except Invalid:
            continue


async def check_pixels(node: Node, path: Path) -> None:
    """The PNG of a file's first and last frame equals the plain numpy way within one grey level."""
    stored = (await node.add([path], apart=True))[0]
    header = stored.header
    ana = node.viewer("ana", header.study_uid)
    try:
        every = list(decode_frames(header, path))
    except Invalid:
        answer = await ana.get(f"{frame_path(stored)}?{PNG}")
        assert answer.status == 400 and answer.json["detail"].endswith("."), path.name
        return
    for number in {0, len(every) - 1}:
        answer = await ana.get(f"{frame_path(stored, number + 1)}?{PNG}&overlay=no&shutter=no")
        display = header.frames[number].display
        window = None
        if every[number].ndim == 2 and not display.windows and not display.voi_luts:
            middle = len(every) // 2
            window = default_window(header, middle, every[middle])
        wanted = render_reference(every[number], display, window)
        difference = np.abs(answer.pixels.astype(int) - wanted.astype(int))
        assert difference.max() <= 1, f"{path.name} frame {number + 1}"
        assert answer.headers["Sivr-Quality"] == "lossless"
        assert answer.headers["Content-Type"] == "image/png"


async def test_every_transfer_syntax_equals_plain_numpy(node: Node, shared_data: Path) -> None:
    paths = list(readable(shared_data / "transfer-syntaxes"))
    assert len(paths) >= 15
    for path in paths:
        await check_pixels(node, path)


async def test_the_files_inside_the_pydicom_wheel_equal_plain_numpy(node: Node) -> None:
    import pydicom

    paths = list(readable(Path(pydicom.__file__).parent / "data" / "test_files"))
    assert len(paths) >= 20
    for path in paths:
        await check_pixels(node, path)


async def test_two_users_with_different_windows_get_their_own_pictures(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    truth = phantom_values("ramp", SHAPE)
    study = stored[0].header.study_uid
    windows = {
        "ana": Window(0, 400),
        "ivo": Window(500, 3000, "sigmoid"),
        "eva": Window(-600, 1500, "linear-exact"),
    }

    async def read(name: str, window: Window) -> None:
        viewer = node.viewer(name, study)
        for k in (3, 4, 5, 6, 5, 4):
            query = f"window={window.center},{window.width},{window.function}&{PNG}&view=main"
            answer = await viewer.get(f"{frame_path(stored[k])}?{query}")
            display = stored[k].header.frames[0].display
            values = ((truth[k] - display.modality.intercept) / display.modality.slope).astype(np.uint16)
            wanted = render_reference(values, display, window)
            assert np.abs(answer.pixels.astype(int) - wanted.astype(int)).max() <= 1, (name, k)

    await asyncio.gather(*(read(name, window) for name, window in windows.items()))


async def test_the_viewport_crops_flips_and_scales(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "letter", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = f"{frame_path(stored[6])}?window=0,2000,linear&{PNG}"
    whole = (await ana.get(path)).pixels
    assert whole.shape == SHAPE[1:]
    crop = (await ana.get(path + "&viewport=20,10,8,4,20,10")).pixels
    assert (crop == whole[4:14, 8:28]).all()
    flipped = (await ana.get(path + "&viewport=56,40,,,-56,40")).pixels
    assert (flipped == whole[:, ::-1]).all()
    upside_down = (await ana.get(path + "&viewport=56,40,,,56,-40")).pixels
    assert (upside_down == whole[::-1]).all()
    assert (await ana.get(path + "&viewport=112,112")).pixels.shape == (80, 112), "aspect is kept"
    assert (await ana.get(path + "&viewport=1,1")).pixels.shape == (1, 1)
    inverted = (await ana.get(path + "&invert=yes")).pixels
    assert (inverted == 255 - whole).all()


async def test_who_takes_any_picture_gets_what_arrives_first_on_the_line(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = frame_path(stored[0])
    for rate, hint in ((LINE_BYTES_S, {}), (93_750.0, {"Downlink": "0.75"}), (125e6, {"Downlink": "1000"})):
        best = choose("grey", REST, rate, LOSSY)
        assert best is not None
        answer = await ana.get(path + "?accept=image/*", **hint)
        assert answer.headers["Content-Type"] == best.media_type
        assert answer.headers["Sivr-Quality"] == f"lossy q{best.quality}"
        assert answer.pixels.shape[:2] == SHAPE[1:]
        again = await ana.get(path + "?accept=image/*", **hint, **{"If-None-Match": answer.headers["ETag"]})
        assert again.status == 304
        assert again.headers["Vary"] == answer.headers["Vary"] == "Accept, Downlink"
    odd = await ana.get(path + "?accept=image/*", Downlink="nan")
    assert odd.status == 200
    lossless = await ana.get(path, Accept="image/png, image/webp", Downlink="0.75")
    assert lossless.headers["Sivr-Quality"] == "lossless"


async def test_media_types_are_negotiated(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = frame_path(stored[0])
    default = await ana.get(path)
    assert default.headers["Content-Type"] == "image/jpeg"
    assert default.headers["Sivr-Quality"] == f"lossy q{codec.JPEG_QUALITY}"
    assert "Accept" in default.headers["Vary"]
    assert (await ana.get(path, Accept="image/png;q=0.5, text/html")).headers["Content-Type"] == "image/png"
    assert (await ana.get(path + "?accept=image/webp")).headers["Sivr-Quality"] == "lossless"
    assert (await ana.get(path + "?accept=image/webp&quality=40")).headers["Sivr-Quality"] == "lossy q40"
    assert (await ana.get(path + "?accept=image/gif")).pixels.shape == SHAPE[1:]
    refused = await ana.get(path, Accept="application/dicom+json")
    assert refused.status == 406
    assert "image/png" in refused.json["media_types"]
    assert (await ana.get(path + "?accept=video/mp4")).status == 406


WRONG = [
    ("window=40,400", 400),
    ("window=40,400,cubic", 400),
    ("quality=0", 400),
    ("viewport=10", 400),
    ("viewport=10,10,56,0", 400),
    ("annotation=", 400),
    ("iccprofile=srgb", 400),
    ("viewport=8000,8000", 413),
    ("viewport=9000,10", 413),
    ("sparkle=1", 200),
]


async def test_wrong_parameters_are_answered_in_a_sentence(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    for query, status in WRONG:
        answer = await ana.get(f"{frame_path(stored[0])}?{query}")
        assert answer.status == status, (query, answer.body[:300])
        if status != 200:
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert answer.json["detail"].endswith(".")


async def test_what_is_not_there_is_404(node: Node, tmp_path: Path) -> None:
    stored = (await node.phantom(tmp_path / "in", "ramp", SHAPE))[0]
    study = stored.header.study_uid
    ana = node.viewer("ana", study, "1.2.3")
    assert (await ana.get(frame_path(stored, 2))).status == 404
    assert (await ana.get(f"/studies/{study}/series/1.2.3/instances/4.5/frames/1/rendered")).status == 404
    assert (await ana.get(f"{series_path(stored)}/instances/1.2.3/rendered")).status == 404
    assert (await ana.get("/studies/1.2.3/contents")).status == 404
    assert (await ana.get(f"{instance_path(stored)}/frames/0/rendered")).status == 400
    assert (await ana.get(f"{instance_path(stored)}/frames/x/rendered")).status == 400
    assert (await ana.get(f"/studies/{study}/series/..%2F/rendered")).status in (400, 404)


async def test_only_who_has_a_grant_may_look(node: Node, tmp_path: Path) -> None:
    stored = (await node.phantom(tmp_path / "in", "ramp", SHAPE))[0]
    study = stored.header.study_uid
    path = frame_path(stored)
    async with node.http.get(node.url + path) as response:
        assert response.status == 401
    refused = await node.viewer("ana").get(path)
    assert (refused.status, refused.json["reason"]) == (403, "grant_missing")
    assert (await node.viewer("ana", "1.2.3").get(path)).status == 403
    ana = node.viewer("ana")
    for grant in (
        node.grant("ivo", study),
        node.grant("ana", study, node="node-2"),
        node.grant("ana", study, ttl_s=-120),
        node.token("ana"),
        "nonsense",
    ):
        assert (await ana.get(path, **{"Sivr-Grant": grant})).status == 403
    for resource in ("contents", "thumbnail"):
        assert (await ana.get(f"/studies/{study}/{resource}")).status == 403
    for resource in (
        "contents",
        "thumbnail",
        "loading",
        "rendered",
        "rendered3d",
        "renderedmpr",
        "rendered3D",
    ):
        assert (await ana.get(f"{series_path(stored)}/{resource}")).status == 403, resource


async def test_a_picture_is_not_sent_twice(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    path = f"{frame_path(stored[0])}?window=40,400,linear"
    first = await ana.get(path)
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"].startswith("private")
    assert "encode;dur=" in first.headers["Server-Timing"]
    again = await ana.get(path + "&view=other", **{"If-None-Match": f'"x", {tag}'})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == tag
    for other in (path + "&quality=50", path.replace("window=40", "window=41"), frame_path(stored[1])):
        assert (await ana.get(other, **{"If-None-Match": tag})).status == 200


async def test_annotations_that_cannot_be_made_are_told(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    answer = await ana.get(f"{frame_path(stored[0])}?annotation=patient,sparkle")
    assert answer.status == 200
    assert answer.headers["Warning"].startswith("299 ")
    assert "sparkle" in answer.headers["Warning"]
    plain = (await ana.get(f"{frame_path(stored[0])}?{PNG}&viewport=280,200")).pixels
    burned = await ana.get(f"{frame_path(stored[0])}?{PNG}&viewport=280,200&annotation=technique")
    assert "Warning" not in burned.headers
    changed = np.argwhere(burned.pixels != plain)
    assert changed.size and changed[:, 0].min() > 100 and changed[:, 1].max() < 140, "lower left corner"


async def test_several_frames_come_as_parts(node: Node, tmp_path: Path) -> None:
    stored = (await node.phantom(tmp_path / "in", "ramp", SHAPE, multi_frame=True))[0]
    ana = node.viewer("ana", stored.header.study_uid)
    several = f"{instance_path(stored)}/frames/2,5,3/rendered"
    assert (await ana.get(several, Accept="image/png")).status == 406
    answer = await ana.get(several, Accept='multipart/related; type="image/png"')
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith('multipart/related; type="image/png"; boundary=')
    parts = answer.body.split(b"--sivr-picture-part")[1:-1]
    assert len(parts) == 3
    for number, part in zip((2, 5, 3), parts, strict=True):
        head, _, body = part.partition(b"\r\n\r\n")
        assert f"Content-Location: {node.url}{frame_path(stored, number)}".encode() in head
        alone = await ana.get(frame_path(stored, number) + "?" + PNG)
        assert (codec.decode(body.removesuffix(b"\r\n")) == alone.pixels).all()
    assert (await ana.get(f"{instance_path(stored)}/frames/2,99/rendered")).status == 404
    first = await ana.get(f"{instance_path(stored)}/rendered?{PNG}")
    assert (first.pixels == (await ana.get(frame_path(stored, 1) + "?" + PNG)).pixels).all()
    everything = await ana.get(f"{instance_path(stored)}/rendered", Accept="multipart/related")
    assert everything.body.count(b"Content-Location") == SHAPE[0]
    assert (await ana.get(f"{series_path(stored)}/rendered", Accept="image/jpeg")).status == 406
    series = await ana.get(f"{series_path(stored)}/rendered?accept=multipart/related")
    assert series.body.count(b"Content-Location") == SHAPE[0]


async def test_thumbnails_at_every_level(node: Node, tmp_path: Path) -> None:
    stored = (await node.phantom(tmp_path / "in", "letter", SHAPE, multi_frame=True))[0]
    ana = node.viewer("ana", stored.header.study_uid)
    for path in (
        f"/studies/{stored.header.study_uid}/thumbnail",
        f"{series_path(stored)}/thumbnail",
        f"{instance_path(stored)}/thumbnail",
        f"{instance_path(stored)}/frames/7/thumbnail",
    ):
        answer = await ana.get(path)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert max(answer.pixels.shape) == 160
        small = await ana.get(path + "?viewport=28,28&accept=image/png")
        assert small.pixels.shape == (20, 28)
        assert (await ana.get(path + "?viewport=28,28,1,1")).status == 400
        assert (await ana.get(path, **{"If-None-Match": answer.headers["ETag"]})).status == 304
    series = await node.imaging.loader.open(stored.header.study_uid, stored.header.series_uid)
    assert node.imaging.loader.progress(series).state == "idle", "a thumbnail does not load the series"


async def test_a_broken_object_is_told_and_the_rest_of_the_series_is_shown(
    node: Node, tmp_path: Path
) -> None:
    import pydicom
    from pydicom.uid import JPEG2000Lossless

    paths = write_phantom(tmp_path / "in", "ramp", SHAPE)
    data = pydicom.dcmread(paths[5])
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51 this is no code stream"])
    data["PixelData"].VR = "OB"
    data.save_as(paths[5])
    stored = await node.add(paths)
    ana = node.viewer("ana", stored[0].header.study_uid)
    broken = await ana.get(frame_path(stored[5]))
    assert broken.status == 400 and broken.json["detail"].endswith(".")
    assert (await ana.get(frame_path(stored[6]))).status == 200


async def test_the_newest_request_of_a_view_wins(node: Node, tmp_path: Path) -> None:
    stored = await node.phantom(tmp_path / "in", "ramp", SHAPE)
    ana = node.viewer("ana", stored[0].header.study_uid)
    ivo = node.viewer("ivo", stored[0].header.study_uid)
    # The first picture of a series nobody has opened comes from its own object alone, outside of any view.
    await node.imaging.loader.open(stored[0].header.study_uid, stored[0].header.series_uid)
    # With text burned in: those are made by threads, which can be kept busy here.
    own = "annotation=technique"
    gate = threading.Event()
    pictures = node.imaging.pictures
    busy = [asyncio.create_task(pictures.in_thread(gate.wait)) for _ in range(pictures.threads.count)]
    old = asyncio.create_task(ana.get(f"{frame_path(stored[1])}?view=main&{own}"))
    other_view = asyncio.create_task(ana.get(f"{frame_path(stored[2])}?view=left&{own}"))
    other_user = asyncio.create_task(ivo.get(f"{frame_path(stored[3])}?view=main&{own}"))
    while pictures.threads.waiting()[Importance.INTERACTION] < 3:
        await asyncio.sleep(0.01)
    new = asyncio.create_task(ana.get(f"{frame_path(stored[4])}?view=main&{own}"))
    replaced = await old
    assert (replaced.status, replaced.json["title"]) == (409, "Replaced by a newer request")
    gate.set()
    answers = await asyncio.gather(new, other_view, other_user, *busy)
    assert [answer.status for answer in answers[:3]] == [200, 200, 200]
