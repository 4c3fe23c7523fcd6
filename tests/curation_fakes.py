"""Demonstrations, primitives, a recipe and a lineage for the tests of the SFT set."""

from __future__ import annotations

from typing import Any

from tailor_rl.config.schema import RunConfig
from tailor_rl.curation.lineage import Lineage, describe_lineage
from tailor_rl.types import Demonstration, Primitive, Problem


def problems(num: int) -> list[Problem]:
    return [
        Problem(
            id=f"knights:train:{i}",
            prompt=f"Who is who, in puzzle {i}?",
            answer=str(i),
            split="train",
            difficulty=2,
        )
        for i in range(num)
    ]


def demonstration(i: int, **changes: Any) -> Demonstration:
    fields: dict[str, Any] = {
        "id": f"knights:train:{i}/p{i % 3}",
        "problem_id": f"knights:train:{i}",
        "prompt": f"Who is who, in puzzle {i}?",
        "trace": f"Assume it. {'So it is. ' * (i % 5)}Answer: {i}",
        "reward": 1.0,
        "origin": "teacher",
        "primitive_id": f"p{i % 3}",
        "prompt_tokens": 100 + i,
        "completion_tokens": 40 + i,
        "teacher": "deepseek-reasoner",
        "temperature": 0.4,
        "prompt_version": "demonstrate@1a2b3c4d",
    }
    return Demonstration(**fields | changes)


def demonstrations(num: int, *, wrong: int = 0) -> list[Demonstration]:
    """`num` of them, of which the last `wrong` are not right."""
    return [demonstration(i, reward=float(i < num - wrong)) for i in range(num)]


def primitives(num: int = 3) -> list[Primitive]:
    return [
        Primitive(
            id=f"p{i}",
            name=f"Assume and retract {i}",
            instruction="Assume the first claim; take it back at a conflict.",
            targets="keeps an assumption after a conflict",
            source_attempt_ids=("a0",),
            teacher="deepseek-reasoner",
            temperature=0.8,
            prompt_version="discover@aaaabbbb",
        )
        for i in range(num)
    ]


def recipe(**changes: Any) -> RunConfig:
    fields = {"student": "students/knights-qwen2", "task": {"name": "knights"}}
    return RunConfig.model_validate(fields | changes)


SPENT = {
    "discover": {"teacher_requests": 18, "teacher_tokens": 41_200, "seconds": 3.25},
    "demonstrate": {"problems": 10, "teacher_requests": 12, "teacher_tokens": 2_000},
}


def lineage(made: list[Demonstration], cfg: RunConfig | None = None, **changes: Any) -> Lineage:
    given: dict[str, Any] = {
        "demonstrations": made,
        "queries": problems(10),
        "primitives": primitives(),
        "spent": SPENT,
        "tokens": 321,
    }
    return describe_lineage(cfg or recipe(), **given | changes)
