"""By benchmarks/bytes.py: (quality, bytes per pixel, ns per pixel to encode and decode)."""

from __future__ import annotations

from sivr.model.rendering import MediaType

MEASURED = "2026-11-21"

COSTS: dict[str, dict[str, dict[MediaType, tuple[int | None, float, float]]]] = {
    "grey": {
        "0.85": {
            "image/jpeg": (10, 0.0272, 5.9),
            "image/webp": (10, 0.0231, 53.8),
            "image/avif": (10, 0.0141, 87.6),
        },
        "0.90": {
            "image/jpeg": (10, 0.0272, 5.0),
            "image/webp": (10, 0.0231, 56.4),
            "image/avif": (10, 0.0141, 97.5),
        },
        "0.95": {
            "image/jpeg": (30, 0.0407, 6.1),
            "image/webp": (20, 0.0283, 52.4),
            "image/avif": (30, 0.0218, 100.8),
        },
        "0.98": {
            "image/jpeg": (80, 0.0788, 6.6),
            "image/webp": (85, 0.0576, 62.4),
            "image/avif": (50, 0.0383, 113.2),
        },
        "lossless": {
            "image/png": (None, 0.1998, 17.0),
            "image/webp": (None, 0.1822, 196.1),
        },
    },
    "color": {
        "0.85": {
            "image/jpeg": (10, 0.0343, 10.8),
            "image/webp": (10, 0.0118, 34.3),
            "image/avif": (10, 0.0058, 82.6),
        },
        "0.90": {
            "image/jpeg": (10, 0.0343, 14.0),
            "image/webp": (10, 0.0118, 37.5),
            "image/avif": (10, 0.0058, 85.7),
        },
        "0.95": {
            "image/jpeg": (20, 0.0391, 13.9),
            "image/webp": (50, 0.0233, 36.4),
            "image/avif": (30, 0.0098, 92.1),
        },
        "0.98": {
            "image/jpeg": (75, 0.0633, 15.2),
            "image/webp": (80, 0.0369, 37.5),
            "image/avif": (60, 0.0262, 90.9),
        },
        "lossless": {
            "image/png": (None, 0.413, 21.7),
            "image/webp": (None, 0.2714, 221.6),
        },
    },
}
