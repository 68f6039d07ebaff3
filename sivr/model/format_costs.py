"""By benchmarks/bytes.py: (quality, bytes per pixel, ns per pixel to encode and decode)."""

from __future__ import annotations

from sivr.model.rendering import MediaType

MEASURED = "2026-11-21"

COSTS: dict[str, dict[str, dict[MediaType, tuple[int | None, float, float]]]] = {
    "grey": {
        "0.85": {
            "image/jpeg": (10, 0.0272, 6.3),
            "image/webp": (10, 0.0231, 51.6),
            "image/avif": (10, 0.0141, 82.5),
        },
        "0.90": {
            "image/jpeg": (75, 0.0708, 7.2),
            "image/webp": (10, 0.0231, 48.5),
            "image/avif": (10, 0.0141, 95.2),
        },
        "0.95": {
            "image/jpeg": (75, 0.0708, 6.9),
            "image/webp": (20, 0.0283, 48.2),
            "image/avif": (30, 0.0218, 103.2),
        },
        "0.98": {
            "image/jpeg": (80, 0.0788, 7.8),
            "image/webp": (85, 0.0576, 51.7),
            "image/avif": (50, 0.0383, 103.3),
        },
        "lossless": {
            "image/png": (None, 0.1998, 14.1),
            "image/webp": (None, 0.1822, 156.3),
        },
    },
    "color": {
        "0.85": {
            "image/jpeg": (10, 0.0343, 7.5),
            "image/webp": (10, 0.0118, 25.3),
            "image/avif": (10, 0.0058, 95.5),
        },
        "0.90": {
            "image/jpeg": (75, 0.0633, 11.1),
            "image/webp": (10, 0.0118, 25.5),
            "image/avif": (10, 0.0058, 98.9),
        },
        "0.95": {
            "image/jpeg": (75, 0.0633, 9.6),
            "image/webp": (50, 0.0233, 35.5),
            "image/avif": (30, 0.0098, 102.4),
        },
        "0.98": {
            "image/jpeg": (75, 0.0633, 8.6),
            "image/webp": (80, 0.0369, 39.3),
            "image/avif": (60, 0.0262, 96.9),
        },
        "lossless": {
            "image/png": (None, 0.413, 21.3),
            "image/webp": (None, 0.2714, 192.9),
        },
    },
}
