"""Compares measured figures with the budgets; names each broken one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pydantic import BaseModel

from loadtest.budgets import OverloadBudget, UserBudget
from loadtest.ledger import Account

_AT_LEAST = {"goodput_share"}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one kind of user met.

    Attributes:
        p99_ratio: None where no study ended or the unloaded service was not asked.
        unloaded_ms, p50_ms, p99_ms: Milliseconds.
    """

    account: Account
    unloaded_ms: float | None
    p50_ms: float | None
    p99_ms: float | None

    @property
    def error_rate(self) -> float | None:
        """Share of studies without the right answer."""
        failed = self.account.wrong + self.account.reported
        return failed / self.account.begun if self.account.begun else None

    @property
    def shed_share(self) -> float | None:
        """Share of attempts that were refused."""
        return self.account.refused / self.account.attempts if self.account.attempts else None

    @property
    def p99_ratio(self) -> float | None:
        """Of the loaded 99th percentile to the unloaded median."""
        if self.p99_ms is None or not self.unloaded_ms:
            return None
        return self.p99_ms / self.unloaded_ms

    def judged(self) -> dict[str, float | None]:
        """What budgets bound, by their names."""
        return {
            "error_rate": self.error_rate,
            "shed_share": self.shed_share,
            "p99_ratio": self.p99_ratio,
            "lost_studies": self.account.open,
        }

    def document(self) -> dict[str, float | None]:
        """All of it, for the summary."""
        times = {"unloaded_ms": self.unloaded_ms, "p50_ms": self.p50_ms, "p99_ms": self.p99_ms}
        return asdict(self.account) | times | self.judged()


@dataclass(frozen=True, slots=True)
class Breach:
    """A budget that was not held; `figure` is None where nothing could be measured."""

    subject: str
    budget: str
    figure: float | None
    bound: float

    def __str__(self) -> str:
        if self.figure is None:
            return f"{self.subject}: {self.budget} was not measured (bound {self.bound:g})"
        side = "under" if self.budget in _AT_LEAST else "over"
        return f"{self.subject}: {self.budget} {self.figure:.4g} is {side} its bound {self.bound:g}"


def judge_users(budgets: Mapping[str, UserBudget], figures: Mapping[str, Figures]) -> list[Breach]:
    """The breaches of all kinds that were there; a kind that sent nothing holds no budget."""
    return [
        breach
        for kind, measured in figures.items()
        for breach in _judge(kind, budgets[kind], measured.judged())
    ]


def judge_overload(budget: OverloadBudget, figures: Mapping[str, float | None]) -> list[Breach]:
    """The breaches of an overload."""
    return _judge("overload", budget, figures)


def _judge(subject: str, budget: BaseModel, figures: Mapping[str, float | None]) -> list[Breach]:
    breaches = []
    for name, bound in budget.model_dump().items():
        figure = figures.get(name)
        # A figure that is no number holds nothing.
        held = figure is not None and (figure >= bound if name in _AT_LEAST else figure <= bound)
        if not held:
            breaches.append(Breach(subject, name, figure, bound))
    return breaches
