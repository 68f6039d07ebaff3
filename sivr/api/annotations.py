"""Annotations of studies."""

from __future__ import annotations

import msgspec
from aiohttp import web

from sivr.api.institution import services
from sivr.api.routing import Routes, actor, address, json_response
from sivr.model.annotations import (
    Annotation,
    AnnotationBatch,
    AnnotationChange,
    AnnotationDocument,
    AnnotationPage,
    AnnotationsAsked,
    BatchResult,
    NewAnnotation,
)
from sivr.model.directory import Version

routes = Routes()
_ALL = "/studies/{study}/annotations"
_ONE = _ALL + "/{annotation}"


class OnVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The version that is to be deleted."""

    version: Version


@routes.get(
    _ALL,
    summary="Annotations of a study, or what changed since a cursor",
    query=AnnotationsAsked,
    response=AnnotationPage,
    roles=("physician",),
)
async def of_study(request: web.Request, query: AnnotationsAsked) -> web.Response:
    """In the order of their changes."""
    study = request.match_info["study"]
    response = json_response(await services(request).annotations.of_study(actor(request), study, query))
    response.enable_compression()
    return response


@routes.get(
    "/studies/{study}/annotations.json",
    summary="All annotations of a study as a file",
    response=AnnotationDocument,
    roles=("physician",),
)
async def document(request: web.Request) -> web.Response:
    """What ``POST .../annotation-batches`` takes in again."""
    found = await services(request).annotations.document(actor(request), request.match_info["study"])
    response = json_response(found)
    response.headers["Content-Disposition"] = 'attachment; filename="annotations.json"'
    return response


@routes.post(
    _ALL,
    summary="Write an annotation",
    body=NewAnnotation,
    response=Annotation,
    status=201,
    roles=("physician",),
)
async def add(request: web.Request, body: NewAnnotation) -> Annotation:
    """Write an annotation; sent again with the same id it is answered and not written twice."""
    study = request.match_info["study"]
    return await services(request).annotations.add(actor(request), study, body, address(request))


@routes.post(
    "/studies/{study}/annotation-batches",
    summary="Take over annotations of a file, each by itself",
    body=AnnotationBatch,
    response=BatchResult,
    roles=("physician",),
)
async def take(request: web.Request, body: AnnotationBatch) -> BatchResult:
    """What cannot be taken is told with the reason; the rest is written."""
    study = request.match_info["study"]
    return await services(request).annotations.take(actor(request), study, body, address(request))


@routes.put(
    _ONE,
    summary="Change, delete or bring back one's own annotation",
    body=AnnotationChange,
    response=Annotation,
    roles=("physician",),
)
async def change(request: web.Request, body: AnnotationChange) -> Annotation:
    """Replaces all of it on a version; 409 has what is kept in ``current``."""
    found = request.match_info
    return await services(request).annotations.change(
        actor(request), found["study"], found["annotation"], body, address(request)
    )


@routes.delete(
    _ONE,
    summary="Delete one's own annotation",
    query=OnVersion,
    response=Annotation,
    roles=("physician",),
)
async def delete(request: web.Request, query: OnVersion) -> Annotation:
    """Marks it; a change brings it back."""
    found = request.match_info
    return await services(request).annotations.delete(
        actor(request), found["study"], found["annotation"], query.version, address(request)
    )
