"""Studies at this institution: what they are and on which node they lie."""

from __future__ import annotations

from sivr.errors import Invalid
from sivr.model.archive import Instances, Study, StudyPage, StudySearch
from sivr.model.people import Actor
from sivr.services.permission import require_role
from sivr.services.text import search_text
from sivr.store.studies import StudyStore


class StudyService:
    """What the institution knows of its studies; every physician may read it."""

    def __init__(self, studies: StudyStore) -> None:
        self._studies = studies

    async def find(self, actor: Actor, search: StudySearch) -> StudyPage:
        """Studies that match, newest first; a study on two nodes is listed with each.

        Raises Forbidden, Invalid when the dates are the wrong way round or the words are too many.
        """
        require_role(actor, "physician")
        if search.date_from and search.date_to and search.date_from > search.date_to:
            raise Invalid("The first date is later than the last.", {"field": "date_from"})
        search_text(search.description, "description")
        items, total = await self._studies.find(search)
        return StudyPage(tuple(items), total)

    async def get(self, actor: Actor, study_uid: str) -> Study:
        """A study, on the node that holds most of it; raises Forbidden, NotFound."""
        require_role(actor, "physician")
        return (await self._studies.get(study_uid))[0]

    async def instances(self, actor: Actor, study_uid: str) -> Instances:
        """The study's instances with their hashes; raises Forbidden, NotFound."""
        require_role(actor, "physician")
        return Instances(tuple(await self._studies.instances(study_uid)))
