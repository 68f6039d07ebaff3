"""Patients' records, for physicians. Names stand in bodies only, never in URLs."""

from __future__ import annotations

from aiohttp import web

from sivr.api.routing import Routes, actor, address
from sivr.api.toplevel import services
from sivr.model.directory import NewPatient, Patient, PatientChange, PatientPage, PatientSearch

routes = Routes()


@routes.post(
    "/patients/search",
    summary="Find patients",
    body=PatientSearch,
    response=PatientPage,
    roles=("physician",),
)
async def find(request: web.Request, body: PatientSearch) -> PatientPage:
    """Records by parts of the name, insurance number and birth date."""
    return await services(request).patients.find(actor(request), body)


@routes.post(
    "/patients",
    summary="Make a patient's record",
    body=NewPatient,
    response=Patient,
    status=201,
    roles=("physician",),
)
async def create(request: web.Request, body: NewPatient) -> Patient:
    """Make a record."""
    return await services(request).patients.create(actor(request), body, address(request))


@routes.get("/patients/{id}", summary="A patient's record", response=Patient, roles=("physician",))
async def get(request: web.Request) -> Patient:
    """One record."""
    return await services(request).patients.get(actor(request), request.match_info["id"])


@routes.patch(
    "/patients/{id}",
    summary="Change a patient's record",
    body=PatientChange,
    response=Patient,
    roles=("physician",),
)
async def change(request: web.Request, body: PatientChange) -> Patient:
    """Change one record."""
    key = request.match_info["id"]
    return await services(request).patients.change(actor(request), key, body, address(request))
