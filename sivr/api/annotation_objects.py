"""Annotations as DICOM objects and files of other programs, in and out of a study's node."""

from __future__ import annotations

import msgspec
from aiohttp import web

from sivr.api.bodies import whole
from sivr.api.dicomweb.answers import IMAGING, allowed_study, uid
from sivr.api.node_sessions import session_of
from sivr.api.routing import Routes, actor
from sivr.errors import Invalid
from sivr.model.annotation_objects import (
    AnnotationObjects,
    AnnotationReading,
    DocumentRequest,
    ObjectForm,
    PlaneViewerEntry,
)

routes = Routes()
_STUDY = "/studies/{study}"
_FILES: dict[ObjectForm, str] = {
    "structured-report": "measurements-sr.dcm",
    "presentation-state": "measurements-pr.dcm",
    "key-object-selection": "key-images-ko.dcm",
}


class SeriesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which series a file speaks of that names none."""

    series: str = ""


@routes.get(
    _STUDY + "/annotation-objects",
    summary="Reports, presentation states and key objects stored in a study",
    response=AnnotationObjects,
)
async def objects(request: web.Request) -> AnnotationObjects:
    """Needs a view grant."""
    return await request.app[IMAGING].annotation_objects.objects(allowed_study(request))


@routes.get(
    _STUDY + "/annotation-objects/{instance}/annotations",
    summary="The annotations of a stored report, presentation state or key object selection",
    response=AnnotationReading,
)
async def read_stored(request: web.Request) -> AnnotationReading:
    """Needs a view grant."""
    study = allowed_study(request)
    service = request.app[IMAGING].annotation_objects
    return await service.read_stored(study, uid(request, "instance"), user=session_of(request))


@routes.post(
    _STUDY + "/annotation-readings",
    summary="The annotations of a file: DICOM SR, GSPS or KOS, or JSON; nothing is stored",
    query=SeriesQuery,
    response=AnnotationReading,
    raw=True,
)
async def read_sent(request: web.Request, query: SeriesQuery) -> AnnotationReading:
    """Needs a view grant. The body is the file."""
    study = allowed_study(request)
    body = await whole(request)
    if not body:
        raise Invalid("The file is empty.")
    service = request.app[IMAGING].annotation_objects
    return await service.read_sent(study, query.series, body, user=session_of(request))


async def _written(request: web.Request, body: DocumentRequest, form: ObjectForm) -> web.Response:
    study = allowed_study(request)
    service = request.app[IMAGING].annotation_objects
    made = await service.write(study, form, body, actor(request), user=session_of(request))
    return web.Response(
        body=made,
        content_type="application/dicom",
        headers={
            "Content-Disposition": f'attachment; filename="{_FILES[form]}"',
            "Cache-Control": "no-store",
        },
    )


@routes.post(
    _STUDY + "/structured-reports",
    summary="A measurement report (TID 1500) of annotations, as a DICOM file",
    body=DocumentRequest,
    media_types=("application/dicom",),
)
async def structured_report(request: web.Request, body: DocumentRequest) -> web.Response:
    """Needs a view grant. Nothing is stored."""
    return await _written(request, body, "structured-report")


@routes.post(
    _STUDY + "/presentation-states",
    summary="A grayscale presentation state with annotations drawn, as a DICOM file",
    body=DocumentRequest,
    media_types=("application/dicom",),
)
async def presentation_state(request: web.Request, body: DocumentRequest) -> web.Response:
    """Needs a view grant. Nothing is stored."""
    return await _written(request, body, "presentation-state")


@routes.post(
    _STUDY + "/key-object-selections",
    summary="A selection of key images, as a DICOM file",
    body=DocumentRequest,
    media_types=("application/dicom",),
)
async def key_object_selection(request: web.Request, body: DocumentRequest) -> web.Response:
    """Needs a view grant. Nothing is stored."""
    return await _written(request, body, "key-object-selection")


@routes.post(
    _STUDY + "/plane-viewer-documents",
    summary='What is said of slices, as JSON with "Anomaly" and "Slices"',
    body=DocumentRequest,
    response=tuple[PlaneViewerEntry, ...],
)
async def plane_viewer(request: web.Request, body: DocumentRequest) -> tuple[PlaneViewerEntry, ...]:
    """Needs a view grant. Nothing is stored."""
    return await request.app[IMAGING].annotation_objects.plane_viewer(allowed_study(request), body)
