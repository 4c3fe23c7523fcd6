"""From a study's folder to its results and its report.

cells/*/, elsewhere/ -> gathered.json -> results.json -> report.html, report.md, report.svg
"""

from __future__ import annotations

from pathlib import Path

from tailor_rl.bench.gather import gather
from tailor_rl.bench.plan import PLAN, known_promises, read_plan
from tailor_rl.bench.report import figure_svg, write_report
from tailor_rl.bench.results import make_results, write_results
from tailor_rl.errors import RunFolderError
from tailor_rl.runs.files import explaining_disk_errors, write_atomic

PICTURE = "report.svg"


def write_study_report(study_path: Path, *, mixed_versions: bool) -> list[str]:
    """Everything that is made from finished cells; lines for the terminal. Raises as `gather`."""
    gathered = gather(study_path, mixed_versions=mixed_versions)
    plan = read_plan(study_path)
    known = known_promises(plan)
    if (gathered.study.comparisons or gathered.study.trends) and not (
        known["comparisons"] or known["trends"]
    ):
        raise RunFolderError(
            f"{study_path / PLAN} is missing or damaged: it says what was planned before the runs, "
            "and without it the report would call every comparison unplanned; put it back"
        )
    results = make_results(
        gathered.study,
        gathered.figures,
        plan,
        name=study_path.name,
        planned_cells=gathered.planned,
        failed=dict(gathered.failed),
        differs=gathered.differs,
        mixed=gathered.mixed,
        at_once=gathered.at_once,
        num_places=gathered.num_places,
    )
    write_results(study_path, results)
    page, markdown = write_report(study_path, results, gathered.extras)
    lines = [*results.answers, *results.notes, f"report: {page}", f"tables: {markdown}"]
    if results.curves or any(each.difference for each in results.comparisons):
        with explaining_disk_errors(study_path, PICTURE):
            write_atomic(study_path / PICTURE, figure_svg(results))
        lines.append(f"picture: {study_path / PICTURE}")
    return lines
