"""Every rule of the picture parameters, PS3.18 8.3.5."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sivr.errors import Invalid, NotAcceptable, SivrError, TooLarge
from sivr.model.parameters import (
    FRAME_MEDIA_TYPES,
    RULES,
    Parameters,
    Resource,
    choose_media_type,
    choose_part_type,
    read,
)
from sivr.model.pixels import Window
from sivr.model.rendering import Band, ClipPlane, Lasso, TransferFunction, Viewpoint, Viewport

GOOD: list[tuple[Resource, str, str, Any]] = [
    ("rendered", "quality", "1", 1),
    ("rendered", "quality", "100", 100),
    ("thumbnail", "quality", "50", 50),
    ("rendered", "viewport", "512,256", Viewport(512, 256)),
    ("rendered", "viewport", "512,512,,,512,512", Viewport(512, 512, 0, 0, 512, 512)),
    ("rendered", "viewport", "512,512,10.5,3", Viewport(512, 512, 10.5, 3)),
    ("rendered", "viewport", "512,512,,,-512,-100.5", Viewport(512, 512, 0, 0, -512, -100.5)),
    ("rendered", "viewport", "512,512,1,2,,-64", Viewport(512, 512, 1, 2, None, -64)),
    ("rendered3d", "viewport", "300,200", Viewport(300, 200)),
    ("rendered", "window", "40,400,linear", Window(40, 400, "linear")),
    ("rendered", "window", "-600.5,1500,linear-exact", Window(-600.5, 1500, "linear-exact")),
    ("rendered", "window", "0.5,0.25,sigmoid", Window(0.5, 0.25, "sigmoid")),
    ("rendered", "window", "4e1,4E2,LINEAR", Window(40, 400, "linear")),
    ("rendered", "iccprofile", "no", "no"),
    ("rendered3d", "renderingmethod", "maximum_ip", "maximum_ip"),
    ("renderedmpr", "renderingmethod", "average_ip", "average_ip"),
    ("rendered3d", "orientation", "A", "a"),
    ("rendered3d", "viewpointposition", "1,-2,3.5", (1.0, -2.0, 3.5)),
    ("rendered3d", "viewpointlookat", "0,0,0", (0.0, 0.0, 0.0)),
    ("rendered3d", "viewpointup", "0,0,1", (0.0, 0.0, 1.0)),
    ("renderedmpr", "mprslab", "2.5", 2.5),
    ("renderedmpr", "renderedvolumetricmetadata", "yes", True),
    ("rendered3d", "preset", "ct-bone", "ct-bone"),
    ("rendered3d", "fov", "250", 250.0),
    ("rendered3d", "pan", "-3,4.5", (-3.0, 4.5)),
    ("rendered3d", "draft", "yes", True),
    ("rendered3d", "refine", "8", 8),
    (
        "rendered3d",
        "transfer",
        "absolute;-500,000000,0;3e3,ff8000,0.5",
        TransferFunction("", ((-500, 0, 0, 0, 0), (3000, 1, 128 / 255, 0, 0.5))),
    ),
    (
        "rendered3d",
        "transfer",
        "relative;0.1,FFFFFF,0;1,ffffff,1",
        TransferFunction("", ((0.1, 1, 1, 1, 0), (1, 1, 1, 1, 1)), relative=True),
    ),
    ("rendered3d", "opacity", "2.5", 2.5),
    ("rendered3d", "light", "1,0,0.25", (1.0, 0.0, 0.25)),
    ("rendered3d", "depthcue", "0.6", 0.6),
    ("rendered3d", "isovalue", "-300", -300.0),
    ("rendered3d", "isocolor", "ff0033", (1.0, 0.0, 0.2)),
    ("rendered3d", "at", "10.5,0", (10.5, 0.0)),
    ("rendered3d", "crop", "-0.5,10,2,20,3,30.5", ((-0.5, 2.0, 3.0), (10.0, 20.0, 30.5))),
    ("rendered3d", "clip", "1,2,3,0,0,-1", (ClipPlane((1, 2, 3), (0, 0, -1)),)),
    (
        "rendered3d",
        "clip",
        "1,2,3,0,0,-1;0,0,0,1,1,0",
        (ClipPlane((1, 2, 3), (0, 0, -1)), ClipPlane((0, 0, 0), (1, 1, 0))),
    ),
    (
        "rendered3d",
        "cut",
        "inside,0,-500,0,0,0,0,0,0,1,200,-0.1,0,0.1,0,0,0.2",
        (Lasso(Viewpoint((0, -500, 0), (0, 0, 0), (0, 0, 1)), 200.0, ((-0.1, 0), (0.1, 0), (0, 0.2))),),
    ),
    ("rendered", "view", "k1:main", "k1:main"),
    ("rendered", "invert", "no", False),
    ("rendered", "palette", "Hot-Iron", "hot-iron"),
    ("rendered", "palette", "grey", ""),
    ("rendered", "threshold", "-100,200.5", Band(-100, 200.5)),
    ("rendered", "threshold", "7,7,00ff80", Band(7, 7, (0, 255, 128))),
    ("rendered", "interpolation", "lanczos", "lanczos"),
    ("rendered", "overlay", "no", False),
    ("rendered", "shutter", "yes", True),
    ("filmstrip", "frames", "3-19", (3, 19)),
    ("filmstrip", "frames", "7", (7, 7)),
    ("cine", "frames", "3-19", (3, 19)),
    ("cine", "fps", "12.5", 12.5),
    ("cine", "viewport", "512,512,,,-512,512", Viewport(512, 512, 0, 0, -512, 512)),
    ("filmstrip", "step", "8", 8),
    ("filmstrip", "tile", "96", 96),
    ("filmstrip", "columns", "4", 4),
    ("filmstrip", "window", "40,400,linear", Window(40, 400, "linear")),
]


@pytest.mark.parametrize(("resource", "name", "text", "value"), GOOD)
def test_a_right_value_is_read(resource: Resource, name: str, text: str, value: Any) -> None:
    assert getattr(read({name: [text]}, resource), name) == value


BAD: list[tuple[Resource, str, str]] = [
    ("filmstrip", "frames", "0-3"),
    ("filmstrip", "frames", "4-3"),
    ("filmstrip", "frames", "1,2"),
    ("filmstrip", "step", "0"),
    ("filmstrip", "tile", "15"),
    ("filmstrip", "tile", "513"),
    ("filmstrip", "columns", "65"),
    ("rendered", "quality", "0"),
    ("rendered", "quality", "101"),
    ("rendered", "quality", "50.5"),
    ("rendered", "quality", ""),
    ("rendered", "viewport", "512"),
    ("rendered", "viewport", "512,"),
    ("rendered", "viewport", ",512"),
    ("rendered", "viewport", "0,512"),
    ("rendered", "viewport", "-512,512"),
    ("rendered", "viewport", "12.5,512"),
    ("rendered", "viewport", "512,512,a"),
    ("rendered", "viewport", "512,512,-1,0"),
    ("rendered", "viewport", "512,512,0,-1"),
    ("rendered", "viewport", "512,512,0,0,0,10"),
    ("rendered", "viewport", "512,512,0,0,10,0"),
    ("rendered", "viewport", "512,512,0,0,10,10,10"),
    ("rendered3d", "viewport", "512,512,0,0,10,10"),
    ("renderedmpr", "viewport", "512,512,1"),
    ("thumbnail", "viewport", "64,64,,,10"),
    ("rendered", "window", "40,400"),
    ("rendered", "window", "40"),
    ("rendered", "window", ",400,linear"),
    ("rendered", "window", "40,,linear"),
    ("rendered", "window", "40,400,"),
    ("rendered", "window", "40,400,cubic"),
    ("rendered", "window", "40,0.5,linear"),
    ("rendered", "window", "40,0,sigmoid"),
    ("rendered", "window", "40,-1,linear-exact"),
    ("rendered", "window", "nan,400,linear"),
    ("rendered", "window", "1e999,400,linear"),
    ("rendered", "window", "inf,400,linear"),
    ("rendered", "iccprofile", "srgb"),
    ("rendered", "iccprofile", "rainbow"),
    ("rendered3d", "renderingmethod", "magic"),
    ("rendered3d", "orientation", "x"),
    ("rendered3d", "viewpointposition", "1,2"),
    ("rendered3d", "viewpointposition", "1,2,x"),
    ("rendered3d", "viewpointlookat", ""),
    ("rendered3d", "viewpointup", "0,0,0"),
    ("renderedmpr", "mprslab", "0"),
    ("renderedmpr", "mprslab", "-1"),
    ("renderedmpr", "mprslab", "thin"),
    ("rendered3d", "renderedvolumetricmetadata", "maybe"),
    ("rendered3d", "swivelrange", "90"),
    ("rendered3d", "animationstepsize", "1"),
    ("rendered3d", "animationrate", "1"),
    ("renderedmpr", "volumetriccurvepoint", "0,0,0"),
    ("rendered3d", "volumeinputreference", "1.2.3"),
    ("rendered3d", "preset", "../etc"),
    ("rendered3d", "fov", "0"),
    ("rendered3d", "fov", "1e9"),
    ("rendered3d", "pan", "1"),
    ("rendered", "draft", "1"),
    ("rendered3d", "refine", "0"),
    ("rendered3d", "refine", "17"),
    ("rendered3d", "refine", "1.5"),
    ("rendered3d", "transfer", ""),
    ("rendered3d", "transfer", "-500,000000,0;300,ffffff,1"),
    ("rendered3d", "transfer", "absolute;300,ffffff,1"),
    ("rendered3d", "transfer", "absolute;300,ffffff,1;200,ffffff,1"),
    ("rendered3d", "transfer", "absolute;300,ffffff,1;300,ffffff,1"),
    ("rendered3d", "transfer", "absolute;300,ffffff,0;400,ffffff,1.1"),
    ("rendered3d", "transfer", "absolute;300,red,0;400,ffffff,1"),
    ("rendered3d", "transfer", "absolute;300,ffffff;400,ffffff,1"),
    ("rendered3d", "transfer", "absolute" + "".join(f";{n},ffffff,1" for n in range(33))),
    ("rendered3d", "opacity", "0"),
    ("rendered3d", "opacity", "11"),
    ("rendered3d", "light", "1,1"),
    ("rendered3d", "light", "1,1,-0.1"),
    ("rendered3d", "depthcue", "1.5"),
    ("rendered3d", "isovalue", "bone"),
    ("rendered3d", "isocolor", "#ff0000"),
    ("rendered3d", "at", "5"),
    ("rendered3d", "crop", "0,10,0,10,0"),
    ("rendered3d", "crop", "0,10,10,10,0,5"),
    ("rendered3d", "clip", "0,0,0,0,0"),
    ("rendered3d", "clip", "0,0,0,0,0,0"),
    ("rendered3d", "clip", ";".join(["0,0,0,0,0,1"] * 5)),
    ("rendered3d", "cut", "around,0,-5,0,0,0,0,0,0,1,200,-1,0,1,0,0,2"),
    ("rendered3d", "cut", "inside,0,-5,0,0,0,0,0,0,1,200,-1,0,1,0"),
    ("rendered3d", "cut", "inside,0,-5,0,0,0,0,0,0,1,200,-1,0,1,0,0,2,3"),
    ("rendered3d", "cut", "inside,0,-5,0,0,0,0,0,1,0,200,-1,0,1,0,0,2"),
    ("rendered3d", "cut", "inside,0,0,0,0,0,0,0,0,1,200,-1,0,1,0,0,2"),
    ("rendered3d", "cut", "inside,0,-5,0,0,0,0,0,0,0,200,-1,0,1,0,0,2"),
    ("rendered3d", "cut", "inside,0,-5,0,0,0,0,0,0,1,0,-1,0,1,0,0,2"),
    ("rendered3d", "cut", "inside,0,-5,0,0,0,0,0,0,1,200,-1,0,1,0,0,2e4"),
    ("rendered3d", "cut", ";".join(["inside,0,-5,0,0,0,0,0,0,1,200,-1,0,1,0,0,2"] * 9)),
    ("rendered", "view", "a b"),
    ("rendered", "view", "x" * 65),
    ("rendered", "invert", "true"),
    ("rendered", "palette", "rainbow"),
    ("cine", "fps", "0"),
    ("cine", "fps", "1000"),
    ("rendered", "threshold", "1"),
    ("rendered", "threshold", "2,1"),
    ("rendered", "threshold", "1,2,red"),
    ("rendered", "threshold", "1,2,ff0000,3"),
    ("rendered", "interpolation", "magic"),
    ("rendered", "overlay", "1"),
    ("rendered", "shutter", ""),
    ("renderedmpr", "curve", "1,2,3"),
    ("renderedmpr", "curve", "0,0,0;0,0"),
    ("renderedmpr", "curveform", "bent"),
    ("renderedmpr", "curveup", "0,0,0"),
    ("renderedmpr", "curveturn", "left"),
    ("renderedmpr", "overlay_series", "../x"),
    ("renderedmpr", "overlay_window", "1,2"),
    ("renderedmpr", "overlay_palette", "plaid"),
    ("renderedmpr", "overlay_opacity", "1.5"),
    ("values", "points", ""),
    ("values", "points", ";".join(["0,0,0"] * 101)),
    ("rendered", "annotation", ""),
    ("rendered", "annotation", "patient,,technique"),
    ("rendered", "annotation", "42"),
    ("rendered", "accept", ""),
]


@pytest.mark.parametrize(("resource", "name", "text"), BAD)
def test_a_wrong_value_is_refused_in_a_sentence(resource: Resource, name: str, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read({name: [text]}, resource)
    assert caught.value.message.endswith(".")


def test_every_rule_has_a_refusal() -> None:
    assert {name for _, name, _ in BAD} >= set(RULES)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_parameter_given_twice_is_refused(name: str) -> None:
    resource = sorted(RULES[name].resources)[0]
    with pytest.raises(Invalid, match="more than once"):
        read({name: ["1", "2"]}, resource)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_parameter_of_another_resource_is_ignored(name: str) -> None:
    for resource in get_args(Resource):
        if resource not in RULES[name].resources:
            assert read({name: ["###"]}, resource) == Parameters()  # type: ignore[arg-type]


def test_unknown_parameters_are_ignored() -> None:
    assert read({"sparkle": ["yes"]}, "rendered") == Parameters()


@pytest.mark.parametrize("text", ["8193,10", "10,8193", "8192,8192", "999999999,1"])
def test_a_picture_over_the_limit_is_too_large(text: str) -> None:
    with pytest.raises(TooLarge):
        read({"viewport": [text]}, "rendered")


def test_orientation_excludes_viewpoint() -> None:
    for name, text in (
        ("viewpointposition", "1,2,3"),
        ("viewpointlookat", "1,2,3"),
        ("viewpointup", "0,0,1"),
    ):
        with pytest.raises(Invalid, match="orientation"):
            read({"orientation": ["a"], name: [text]}, "rendered3d")


def test_a_degenerate_viewpoint_is_refused() -> None:
    with pytest.raises(Invalid, match="different points"):
        read({"viewpointposition": ["1,2,3"], "viewpointlookat": ["1,2,3"]}, "rendered3d")
    with pytest.raises(Invalid, match="parallel"):
        read(
            {"viewpointposition": ["0,0,500"], "viewpointlookat": ["0,0,0"], "viewpointup": ["0,0,-2"]},
            "rendered3d",
        )


def test_unknown_annotation_keywords_are_told_apart() -> None:
    found = read({"annotation": ["patient,sparkle"]}, "rendered")
    assert (found.annotation, found.unknown_annotation) == (("patient",), ("sparkle",))


CHOICES: list[tuple[tuple[str, ...], str, str]] = [
    ((), "", "image/jpeg"),
    ((), "*/*", "image/jpeg"),
    ((), "image/*", "image/jpeg"),
    ((), "image/png", "image/png"),
    ((), "image/jpeg;q=0.5, image/png", "image/png"),
    ((), "image/jpeg;q=0, */*;q=0.1", "image/png"),
    ((), "text/html, image/webp;q=0.3", "image/webp"),
    ((), "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "image/jpeg"),
    (("image/png",), "image/jpeg", "image/png"),
    (("image/webp;q=0.2", "image/png;q=0.9"), "", "image/png"),
    ((), "application/dicom+json", ""),
    ((), "image/jpeg;q=0", ""),
    (("video/mp4",), "image/jpeg", ""),
    (("nonsense",), "image/jpeg", ""),
]


@pytest.mark.parametrize(("accept", "header", "chosen"), CHOICES)
def test_the_media_type_is_chosen(accept: tuple[str, ...], header: str, chosen: str) -> None:
    if chosen:
        assert choose_media_type(accept, header, FRAME_MEDIA_TYPES) == chosen
    else:
        with pytest.raises(NotAcceptable):
            choose_media_type(accept, header, FRAME_MEDIA_TYPES)


def test_multipart_names_the_type_of_its_parts() -> None:
    assert choose_part_type((), 'multipart/related; type="image/png"', FRAME_MEDIA_TYPES) == "image/png"
    assert choose_part_type((), "multipart/related", FRAME_MEDIA_TYPES) == "image/jpeg"
    assert choose_part_type((), "image/png", FRAME_MEDIA_TYPES) is None
    assert choose_part_type((), 'multipart/related; type="image/tiff"', FRAME_MEDIA_TYPES) is None


@given(
    st.dictionaries(
        st.sampled_from([*RULES, "accept", "annotation"]), st.lists(st.text(max_size=40), max_size=2)
    )
)
def test_no_text_at_all_breaks_the_parser(query: dict[str, list[str]]) -> None:
    for resource in get_args(Resource):
        try:
            read(query, resource)  # type: ignore[arg-type]
        except SivrError as error:
            assert error.message


def test_a_draft_is_not_to_be_refined() -> None:
    with pytest.raises(Invalid, match="draft and refine"):
        read({"draft": ["yes"], "refine": ["4"]}, "rendered3d")
    assert read({"draft": ["yes"], "refine": ["1"]}, "rendered3d").draft


def test_two_transfer_functions_are_one_too_many() -> None:
    with pytest.raises(Invalid, match="only one"):
        read({"transfer": ["absolute;0,ffffff,0;1,ffffff,1"], "preset": ["ct-bone"]}, "rendered3d")
