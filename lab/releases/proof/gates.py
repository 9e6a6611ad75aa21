"""Candidates of all kinds through the real commands: stage, gate, promote."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.releases.proof.canaries import CANDIDATES, GOOD, Candidate, write
from lab.releases.proof.service import Done, Running

_STATUS = {0: "pass", 1: "fail", 3: "not enough evidence"}
_LONGEST = 420


@dataclass(frozen=True)
class Judged:
    """What became of a candidate."""

    candidate: Candidate
    result: str
    """`refused` where it could not be staged."""
    said: str
    """The reasons, as the command printed them."""
    promotion: str
    """What `promote` said without a reason of its own."""

    @property
    def passed(self) -> bool:
        """Whether it is as it has to be."""
        promoted = self.promotion.startswith("promoted")
        return self.result == self.candidate.expected and promoted == (self.result == "pass")


def run(service: Running, folder: Path, on_step: Callable[[str], None]) -> list[Judged]:
    """Stages each candidate, judges it beside the current release and tries to promote it.

    Raises:
        LabError: a command fails that has to succeed.
    """
    labels = {few: write(folder / ("few" if few else "set"), few=few) for few in (False, True)}
    damaged = service.world.artefact(CANDIDATES[-2].what)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    found = []
    # The good one last: it is promoted.
    for candidate in sorted(CANDIDATES, key=lambda each: each.what == GOOD):
        found.append(_judge(service, candidate, labels[candidate.few]))
        on_step(f"{candidate.what}: {found[-1].result}")
    service.must("rollback")
    service.must("retire", service.world.ids[GOOD])
    service.until(lambda: len(service.loaded()) == 1)
    return found


def _judge(service: Running, candidate: Candidate, labels: Path) -> Judged:
    identity = service.world.ids[candidate.what]
    staged = service.command("stage", identity)
    if staged.status:
        refused = service.command("promote")
        said, promotion = (_short(each.said, service) for each in (staged, refused))
        return Judged(candidate, "refused", said, promotion)
    words = [str(labels), "--by", "site", "--service", service.gateways[0].url, "--json"]
    judged = service.command("gate", *words)
    promoted = service.command("promote")
    result = _STATUS.get(judged.status, f"status {judged.status}")
    said = _reasons(judged)
    if promoted.status:
        service.must("retire", identity)
        service.until(lambda: identity not in service.loaded())
    promotion = "promoted" if not promoted.status else _short(promoted.said, service)
    return Judged(candidate, result, _short(said, service), promotion)


def _reasons(done: Done) -> str:
    """Why, as the report says it; where there is none, what the command said."""
    try:
        reasons = json.loads(done.output)["reasons"]
    except ValueError:
        return done.said
    return "; ".join(reasons) or "every check passed"


def _short(text: str, service: Running) -> str:
    short = text.replace(f"{service.world.place.folder}/", "").removeprefix("releases: ")
    return short if len(short) <= _LONGEST else short[:_LONGEST] + " ..."
