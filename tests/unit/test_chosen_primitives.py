"""From attempts to the primitives that are followed, where the teacher's budget ends on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tailor_rl.config.schema import RunConfig
from tailor_rl.primitives.select import NotEnoughPrimitives
from tailor_rl.protocols import TeacherReply, TeacherRequest
from tailor_rl.stages.primitives import chosen_primitives
from tailor_rl.teachers.faults import BudgetSpent
from tailor_rl.types import Primitive
from tests.fake_journal import FakeJournal, Records
from tests.fakes import FakeGrader, FakePool, FakeTask, FakeTeacher, PurchaseBook
from tests.lives import make_config


class Judging(FakeTeacher):
    """A guard too, which says `verdict` of texts about something; buys `budget` answers."""

    def __init__(
        self, book: PurchaseBook, *, budget: int, verdict: str = "safe", about: str = ""
    ) -> None:
        super().__init__(book)
        self._left, self._verdict, self._about = budget, verdict, about

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        if request not in self.book.replies:
            if not self._left:
                raise BudgetSpent("the budget is spent")
            self._left -= 1
        return await super().complete(request)

    def _answer(self, request: TeacherRequest) -> str:
        if request.purpose == "guard":
            return self._verdict if self._about in request.prompt else "safe"
        return super()._answer(request)


def recipe(**changes: str) -> RunConfig:
    cfg = make_config()
    return cfg.model_copy(update={"primitives": cfg.primitives.model_copy(update=changes)})


async def chosen(cfg: RunConfig, records: Records, teacher: FakeTeacher) -> list[Primitive]:
    return await chosen_primitives(
        cfg, task=FakeTask(), teacher=teacher, pool=FakePool(), grader=FakeGrader(),
        journal=FakeJournal(records),
    )  # fmt: skip


@pytest.mark.parametrize(("guard", "budget"), [("", 1), ("teacher", 4)])
async def test_a_budget_that_leaves_too_few_primitives_finishes_no_stage(
    tmp_path: Path, guard: str, budget: int
) -> None:
    """A finished stage is never made again, however much may be spent when the run goes on."""
    cfg, records, book = recipe(guard=guard), Records(tmp_path), PurchaseBook()
    with pytest.raises(BudgetSpent):
        await chosen(cfg, records, Judging(book, budget=budget))
    assert "discover" not in records.finished and book.num_paid == budget
    whole = PurchaseBook()
    expected = await chosen(cfg, Records(tmp_path), Judging(whole, budget=99))
    assert await chosen(cfg, records, Judging(book, budget=99)) == expected
    assert book.num_paid == whole.num_paid


async def test_a_budget_that_leaves_enough_primitives_ends_the_search_alone(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert len(await chosen(recipe(), records, Judging(PurchaseBook(), budget=2))) == 3
    assert any("the budget is spent" in line for line in records.said)


async def test_for_what_the_guard_refuses_the_teacher_is_asked_again(tmp_path: Path) -> None:
    """Also where the budget ended in between, and nothing is bought twice."""
    cfg, book = recipe(guard="teacher"), PurchaseBook()
    wrong = {"verdict": "unsafe\nviolence", "about": "columns"}
    with pytest.raises(BudgetSpent):
        await chosen(cfg, Records(tmp_path), Judging(book, budget=6, **wrong))
    records = Records(tmp_path)
    primitives = await chosen(cfg, records, Judging(book, budget=99, **wrong))
    assert len(primitives) == cfg.primitives.num_primitives
    assert not any("columns" in primitive.name for primitive in primitives)
    accepted = [verdict["accepted"] for verdict in records.files["screening"]]
    assert accepted.count(True) == cfg.primitives.candidates and accepted.count(False) == 1
    whole = PurchaseBook()
    assert await chosen(cfg, Records(tmp_path), Judging(whole, budget=99, **wrong)) == primitives
    assert book.num_paid == whole.num_paid


async def test_what_the_guard_refuses_is_no_matter_of_the_budget(tmp_path: Path) -> None:
    teacher = Judging(PurchaseBook(), budget=99, verdict="unsafe\nviolence")
    with pytest.raises(NotEnoughPrimitives, match="guard:violence"):
        await chosen(recipe(guard="teacher"), Records(tmp_path), teacher)


async def test_a_library_of_too_few_survivors_is_told_to_grow_and_not_to_ask_more(
    tmp_path: Path,
) -> None:
    file = tmp_path / "primitives.jsonl"
    file.write_text('{"instruction": "Count the columns twice."}\n' * 3)
    with pytest.raises(NotEnoughPrimitives) as said:
        await chosen(recipe(library=str(file)), Records(tmp_path), FakeTeacher())
    assert "gave 3 candidates and 1 survived the screen (refused: 2 near-dup" in str(said.value)
    assert "add primitives to it" in str(said.value) and "max_requests" not in str(said.value)
