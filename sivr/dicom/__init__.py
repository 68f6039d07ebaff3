"""DICOM bytes to the model and back; synchronous and thread-safe. The only door to pydicom.

- ``read`` a file to an ``InstanceHeader``; ``pixels`` encoded frames to arrays
- ``presentation`` stored values to grey levels; ``volume`` a series to a stack and its voxels
- ``phantom`` studies with known answers
"""

from __future__ import annotations

import logging
import warnings

import pydicom.config

# pydicom quotes element values in warnings and logs: a patient's name must never get there.
logging.getLogger("pydicom").addHandler(logging.NullHandler())
logging.getLogger("pydicom").propagate = False
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
