"""Moves tables between databases as Arrow RecordBatches: exact types, bounded memory, proven copies."""

from __future__ import annotations

import logging
__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # silent until the application says otherwise
