"""What every OpenAPI document here must satisfy (OpenAPI 3.1)."""

from __future__ import annotations

import re
from typing import Any


def check_openapi(document: dict[str, Any]) -> None:
    """References resolve, path parameters are declared, every operation answers and is secured or public."""
    assert document["openapi"].startswith("3.1")
    text = repr(document)
    for name in re.findall(r"#/components/schemas/(\w+)", text):
        assert name in document["components"]["schemas"], name
    for path, operations in document["paths"].items():
        assert path.startswith("/")
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert "security" in operation, where
            declared = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path)), where
            assert any(code.startswith("2") or code == "206" for code in operation["responses"]), where
