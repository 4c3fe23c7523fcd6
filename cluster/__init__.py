"""Home of Ray, which reads these settings once, when it is imported: that is why they stand here.

Token authentication is on; no usage reports leave the machine; and the death of a process is told
once, in a sentence of our own, not in a paragraph of Ray's across the screen.
"""

import os
import sys

SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed while executing",
}

# Set too late, RAY_AUTH_MODE makes Ray's processes ask for a token that this one does not send.
if "ray" not in sys.modules:
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
