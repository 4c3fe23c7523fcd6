"""Trims a set, so that the SFT of several initialisations costs the same and teaches as much truth.

Queries are kept in an order that the seed and their ids decide, whoever answered them: two sets of
one recipe, trimmed to the same budget, share as many queries as what they answered allows.
Knows nothing about tokenizers: how long a trace is comes as a function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from tailor_rl.errors import TailorError
from tailor_rl.seeds import derive_seed
from tailor_rl.types import Demonstration

Budget = Literal["none", "examples", "tokens"]


class MatchingError(TailorError):
    """A set that cannot be trimmed to what the recipe asks for: says how many traces there are."""


def match(
    demonstrations: Sequence[Demonstration],
    *,
    by: Budget,
    to: int,
    correct_share: float | None,
    num_tokens: Callable[[Demonstration], int],
    seed: int,
) -> list[Demonstration]:
    """The kept demonstrations, in the order in which they came.

    First the larger one of right (reward 1.0) and wrong is trimmed until the share of right traces
    is as near to `correct_share` as can be. Then "examples" keeps exactly `to` of them, "tokens" as
    many as fit into `to` completion tokens of the student, at least one and never more; both keep
    the share. MatchingError where that cannot be.
    """
    if not demonstrations:
        return []
    order = _query_order(demonstrations, seed=seed)
    if correct_share is not None:
        order = _at_share(demonstrations, order, correct_share)
    if by == "examples":
        order = _examples(order, to, available=len(demonstrations), share=correct_share)
    elif by == "tokens":
        order = _tokens(order, to, [num_tokens(demonstrations[i]) for i in order])
    return [demonstrations[i] for i in sorted(order)]


def describe_match(
    before: Sequence[Demonstration],
    after: Sequence[Demonstration],
    *,
    by: Budget,
    to: int,
    num_tokens: Callable[[Demonstration], int],
) -> str:
    """One line about what `match` kept, and how much of the budget that takes.

    Example: "kept 118 of 230 demonstrations (61.0 % right), 11,987 of 12,000 tokens (99.9 %)".
    """
    right = sum(is_right(kept) for kept in after)
    share = f" ({100 * right / len(after):.1f} % right)" if after else ""
    line = f"kept {len(after):,} of {len(before):,} demonstrations{share}"
    if by != "tokens" or not to:
        return line
    tokens = sum(map(num_tokens, after))
    return f"{line}, {tokens:,} of {to:,} tokens ({100 * tokens / to:.1f} %)"


def is_right(demonstration: Demonstration) -> bool:
    return demonstration.reward >= 1.0


def _query_order(demonstrations: Sequence[Demonstration], *, seed: int) -> list[int]:
    """Indices in the order in which they are kept: every query's first trace, then the second ones.

    A query with many traces would else crowd out queries that the other sets have.
    """
    seen: Counter[str] = Counter()
    keys = []
    for i, demonstration in enumerate(demonstrations):
        query = demonstration.problem_id
        keys.append((seen[query], derive_seed(seed, "match", query), query, i))
        seen[query] += 1
    return [key[-1] for key in sorted(keys)]


def _at_share(
    demonstrations: Sequence[Demonstration], order: Sequence[int], share: float
) -> list[int]:
    """The largest part of `order` whose share of right traces is nearest to `share`, dealt evenly:
    each beginning of it has that share too.
    """
    right = [i for i in order if is_right(demonstrations[i])]
    wrong = [i for i in order if not is_right(demonstrations[i])]
    _check_share(len(right), len(wrong), share)
    if len(right) > share * len(order):
        right = right[: _nearest(len(right), len(wrong), share)]
    else:
        wrong = wrong[: _nearest(len(wrong), len(right), 1 - share)]
    # The i-th of n lies at (i + 1/2) / n. So both kinds are within half a trace of their share at
    # any point, and so is the number of right ones among the first n.
    places = [((i + 0.5) / len(kind), kind[i]) for kind in (right, wrong) for i in range(len(kind))]
    return [index for _, index in sorted(places)]


def _check_share(num_right: int, num_wrong: int, share: float) -> None:
    if num_right == 0:
        raise MatchingError(
            f"demonstrations.correct_share = {share:g} needs right traces, and all {num_wrong} are "
            "wrong: leave correct_share out, or let right traces in with demonstrations.keep"
            ' = "all"'
        )
    if num_wrong == 0 and share < 1.0:
        raise MatchingError(
            f"demonstrations.correct_share = {share:g} needs wrong traces beside the right ones, "
            f"and all {num_right} are right: set demonstrations.keep = "
            '"all", which keeps wrong traces too, or leave correct_share out'
        )


def _nearest(num: int, others: int, share: float) -> int:
    """How many of `num` to keep beside `others`, for a share as near to `share` as can be; of two
    equally near ones the larger.
    """

    def distance(kept: int) -> tuple[float, int]:
        total = kept + others
        return (abs(kept / total - share) if total else 1.0, -kept)

    return min(range(num + 1), key=distance)


def _examples(order: list[int], to: int, *, available: int, share: float | None) -> list[int]:
    if to < 1:
        raise MatchingError(
            f'demonstrations.match = "examples" keeps match_to of them, and match_to is {to}: '
            "set demonstrations.match_to to at least 1"
        )
    if to <= len(order):
        return order[:to]
    if share is not None and available >= to:
        raise MatchingError(
            f"demonstrations.match_to = {to} examples cannot be kept: of {available} traces only "
            f"{len(order)} go together at demonstrations.correct_share = {share:g}; lower match_to "
            f"to {len(order)}, change correct_share, or raise demonstrations.num_problems"
        )
    raise MatchingError(
        f"demonstrations.match_to = {to} examples cannot be kept, for there are only {len(order)}: "
        f"lower match_to to {len(order)} for every initialisation that is compared, or raise "
        "demonstrations.num_problems or demonstrations.max_tries"
    )


def _tokens(order: Sequence[int], to: int, lengths: Sequence[int]) -> list[int]:
    """Each in its turn, if it still fits: what a long one leaves over goes to shorter ones."""
    kept, left = [], to
    for index, length in zip(order, lengths, strict=True):
        if length <= left:
            kept.append(index)
            left -= length
    if not kept:
        raise MatchingError(
            f"demonstrations.match_to = {to} tokens hold not one of {len(order)} demonstrations: "
            f"the shortest has {min(lengths)} tokens; raise match_to"
        )
    return kept
