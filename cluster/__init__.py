"""Home of Ray.

Ray reads these two when it is imported, which is why they stand here: no usage reports leave the
machine, and a dead worker is told of once, in our own sentence, not in a paragraph of Ray's.
"""

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "A worker died or was killed while executing")
