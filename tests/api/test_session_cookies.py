"""Finding a cookie without making a jar of all of them."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from sivr.api.session_cookies import cookie_of

NAME = "__Host-sivr-render-node-1"


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([], ""),
        (["a=b"], ""),
        ([f"{NAME}=secret"], "secret"),
        ([f"a=b; {NAME}=secret; c=d"], "secret"),
        ([f'a=b;\t{NAME}="secret"'], "secret"),
        ([f"{NAME}2=other; x{NAME}=other; {NAME}=secret"], "secret"),
        ([f"{NAME}=first; {NAME}=second"], "first"),
        (["a=b", f"{NAME}=secret"], "secret"),
        ([f"{NAME}"], ""),
        ([f"{NAME}="], ""),
        ([f"a={NAME}=secret"], ""),
        ([f"{NAME}=with=sign"], "with=sign"),
    ],
)
def test_the_first_of_its_name_is_found(headers: list[str], value: str) -> None:
    request = make_mocked_request("GET", "/", CIMultiDict([("Cookie", one) for one in headers]))
    assert cookie_of(request, NAME) == value
