"""A study's report: one HTML page, the same figures as Markdown, and one picture."""

from tailor_rl.bench.report.page import Asked, Extras, Reply, render_page, write_report
from tailor_rl.bench.report.picture import figure_svg

__all__ = ["Asked", "Extras", "Reply", "figure_svg", "render_page", "write_report"]
