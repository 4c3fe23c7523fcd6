"""One self-contained HTML page about a run: no scripts, no requests, light and dark."""

from tailor_rl.report.page import write_report

__all__ = ["write_report"]
