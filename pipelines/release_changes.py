"""What may become of the releases of a pipeline: each action as a new state, or why it may not."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeAlias

from pipelines.release_state import BUCKETS, ReleaseState


class Action(StrEnum):
    """What a row of the history says was done."""

    BEGIN = "begin"
    """The release that served before the first change."""
    STAGE = "stage"
    SHADOW = "shadow"
    SPLIT = "split"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    RETIRE = "retire"


class ChangeRefusedError(Exception):
    """A change that cannot be made as the releases are now; the text has the remedy."""


_NO_CANDIDATE = "there is no candidate: stage a release first"
Change: TypeAlias = Callable[[ReleaseState], tuple[str, ReleaseState]]
"""Gives the release that a change is about, and the state after it, of the next revision."""


def stage(release: str) -> Change:
    """The release is loaded beside the others, and answers nobody yet."""

    def change(state: ReleaseState) -> tuple[str, ReleaseState]:
        if release in state.loaded:
            raise ChangeRefusedError(
                f"{release} is loaded already, as the {role(state, release)} release"
            )
        if state.candidate is not None:
            raise ChangeRefusedError(
                f"{state.candidate} is the candidate: promote it, or retire it first"
            )
        return release, _next(state, candidate=release, share=0, shadow=0)

    return change


def shadow(share: int, release: str | None = None) -> Change:
    """The candidate gets copies of so many of 10,000 answered images, and answers nobody by it."""

    def change(state: ReleaseState) -> tuple[str, ReleaseState]:
        _require_share(share)
        candidate = _candidate(state, release)
        if share == state.shadow:
            raise ChangeRefusedError(
                f"{candidate} gets copies of {percent(share)} % of the images already"
            )
        return candidate, _next(state, shadow=share)

    return change


def split(share: int, release: str | None = None) -> Change:
    """The candidate answers so many of 10,000 parts of the callers."""

    def change(state: ReleaseState) -> tuple[str, ReleaseState]:
        _require_share(share)
        candidate = _candidate(state, release)
        if share == state.share:
            raise ChangeRefusedError(f"{candidate} answers {percent(share)} % of callers already")
        return candidate, _next(state, share=share)

    return change


def promote(release: str | None = None, over: str | None = None) -> Change:
    """The candidate becomes the current release, and answers all. The former one stays loaded.

    Where `over` is named, only if that is still the current release: it is what a gate compared.
    """

    def change(state: ReleaseState) -> tuple[str, ReleaseState]:
        candidate = _candidate(state, release)
        if over not in {None, state.current}:
            raise ChangeRefusedError(
                f"{state.current} is the current release by now, and not {over}: run the gate again"
            )
        return candidate, _next(
            state, current=candidate, former=state.current, candidate=None, share=0, shadow=0
        )

    return change


def rollback(release: str | None = None, revision: int | None = None) -> Change:
    """Undoes the last step towards a new release.

    A candidate that answers callers answers none any more. Without such a one the former release
    answers all again, and the current one takes its place. Where a release is named, only what
    lets that one answer is undone; where a revision is, only if nothing was changed since.
    """

    def change(state: ReleaseState) -> tuple[str, ReleaseState]:
        if revision not in {None, state.revision}:
            raise ChangeRefusedError("the releases were changed meanwhile")
        if release not in {None, state.current, state.candidate if state.share else None}:
            raise ChangeRefusedError(f"{release} answers nobody: there is nothing to undo of it")
        if state.share and release != state.current:
            return state.current, _next(state, share=0)
        if state.former is None:
            raise ChangeRefusedError(
                "no former release is loaded: stage the one to go back to, and promote it "
                "(--without-gate REASON)"
            )
        return state.former, _next(state, current=state.former, former=state.current)

    return change


def retire(release: str) -> Change:
    """The release is unloaded once nobody waits for its answers; the current one cannot be."""

    def change(state: ReleaseState) -> tuple[str, ReleaseState]:
        if release == state.current:
            raise ChangeRefusedError(
                f"{release} is the current release: promote another, or roll back first"
            )
        if release == state.former:
            return release, _next(state, former=None)
        if release == state.candidate:
            return release, _next(state, candidate=None, share=0, shadow=0)
        raise ChangeRefusedError(f"{release} is not loaded")

    return change


def role(state: ReleaseState, release: str) -> str | None:
    """`current`, `former` or `candidate`; None: it is not loaded."""
    roles = {state.current: "current", state.former: "former", state.candidate: "candidate"}
    return roles.get(release)


def percent(share: int) -> str:
    """A share as percent with as many decimals as it needs: 12.5."""
    return f"{share / (BUCKETS / 100):g}"


def candidate_and_current(state: ReleaseState | None, release: str | None) -> tuple[str, str]:
    """The release that a promotion is about, and the one whose place it takes.

    Raises:
        ChangeRefusedError: there is no candidate, or another one than is named.
    """
    if state is None:
        raise ChangeRefusedError(_NO_CANDIDATE)
    return _candidate(state, release), state.current


def share_of(percent: float) -> int:
    """Percent as a number of 10,000 parts.

    Raises:
        ChangeRefusedError: it is not from 0 to 100.
    """
    if not 0 <= percent <= 100:  # noqa: PLR2004 - percent; not a number is refused as well
        raise ChangeRefusedError("a share is from 0 to 100 percent")
    return round(percent * BUCKETS / 100)


def _require_share(share: int) -> None:
    if not 0 <= share <= BUCKETS:
        raise ChangeRefusedError("a share is from 0 to 100 percent")


def _candidate(state: ReleaseState, release: str | None) -> str:
    """The candidate, which is the one that is named, where one is.

    Who names it is safe from a change that somebody else made meanwhile.
    """
    if state.candidate is None:
        raise ChangeRefusedError(_NO_CANDIDATE)
    if release not in {None, state.candidate}:
        raise ChangeRefusedError(f"the candidate is {state.candidate}, not {release}")
    return state.candidate


def _next(state: ReleaseState, **changed: Any) -> ReleaseState:  # noqa: ANN401 - any field
    facts = state.model_dump() | {"revision": state.revision + 1, **changed}
    return ReleaseState.model_validate(facts)
