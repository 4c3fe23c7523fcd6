"""How much may be bought in the life of a run folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from tailor_rl.errors import ConfigError
from tailor_rl.teachers.faults import BudgetSpent
from tailor_rl.teachers.purchases import Total


class Priced(Protocol):
    """A teacher, as far as a budget asks: money for a million tokens."""

    @property
    def price_prompt(self) -> float: ...

    @property
    def price_completion(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on all purchases of a book, whoever made them; None is no limit.

    What is on its way when the limit is reached is still paid for: at most the requests in flight.
    """

    tokens: int | None = None
    money: float | None = None

    @property
    def limited(self) -> bool:
        return self.tokens is not None or self.money is not None

    def check(self, total: Total) -> None:
        """Raise BudgetSpent where nothing more may be bought."""
        if self.tokens is not None and total.tokens >= self.tokens:
            raise _spent(f"{total.tokens:,} tokens", "tokens", f"{self.tokens:,}")
        if self.money is not None and total.money >= self.money:
            raise _spent(f"{total.money:,.4g} in money", "money", f"{self.money:,.4g}")

    def check_prices(self, endpoints: Iterable[Priced]) -> None:
        """Raise ConfigError for a limit on money that no price can ever reach."""
        priced = any(each.price_prompt or each.price_completion for each in endpoints)
        if self.money is not None and not priced:
            raise ConfigError(
                f"teacher.budget_money is {self.money:g}, but every teacher is free of charge; set"
                " price_prompt and price_completion, or use teacher.budget_tokens."
            )


def _spent(what: str, key: str, limit: str) -> BudgetSpent:
    return BudgetSpent(
        f"The teacher's budget is spent: {what} were bought for this run, and teacher.budget_{key}"
        f" allows {limit}; every answer is kept, and a larger budget buys more."
    )
