"""What was found, as tables of the page."""

from lab import markdown
from lab.releases.proof.gates import Judged
from lab.releases.proof.kills import Killed
from lab.releases.proof.life import Life, Share
from lab.releases.proof.memory import ALLOWED, Memory, Repeated
from lab.releases.proof.replicas import LifeOnTwo


def of_life(found: Life) -> str:
    """The life of one candidate on one Triton."""
    before, after = found.memory_before, found.memory_after
    parts = ", ".join(f"{name} {before[name]:.0f} and {after[name]:.0f}" for name in sorted(after))
    memory = f"{_total(before):.0f} and {_total(after):.0f} MiB ({_more(before, after)}): {parts}"
    rows = [
        ["requests over HTTP and gRPC of two gateways", str(found.requests), ""],
        ["requests that failed", _failed(found.failures), "0"],
        *map(_share, found.shares),
        ["subjects that moved back from 10 to 20 %, asked at another door", str(found.moved_back),
         "0"],
        ["answers of a release that the step does not have", str(found.wrong_releases), "0"],
        ["answers whose row is missing or names another release", str(found.rows_wrong), "0"],
        ["rollback: from the command's start to the last answer of the candidate",
         f"{found.rollback_seconds:.1f} s", "10 s"],
        ["memory before and after", memory, f"+{ALLOWED:.0%} at most"],
    ]  # fmt: skip
    return markdown.table(["what", "found", "must be"], rows)


def of_replicas(found: LifeOnTwo) -> str:
    """The life of one candidate on two Tritons."""
    rows = [
        ["requests over HTTP and gRPC of two gateways before both", str(found.requests), ""],
        ["requests that failed", _failed(found.failures), "0"],
        ["from the start of `stage` until both Tritons had loaded it",
         f"{found.staged_seconds:.0f} s", ""],
        *map(_share, found.shares),
        ["subjects that moved back from 10 to 20 %, asked at another door", str(found.moved_back),
         "0"],
        *(
            [f"{each.step}: answers of a release that it does not have",
             f"{each.wrong} of {each.answers}", "0"]
            for each in found.phases
        ),
        ["answers whose row is missing or names another release", str(found.rows_wrong), "0"],
    ]  # fmt: skip
    return markdown.table(["what", "found", "must be"], rows)


def _failed(failures: list[str]) -> str:
    return f"{len(failures)} (the first: {failures[0]})" if failures else "0"


def _share(found: Share) -> list[str]:
    return [
        f"answered by the candidate at {found.percent} %, of {found.subjects} subjects",
        f"{found.answered / found.subjects:.2%}",
        f"{found.low:.2%} to {found.high:.2%} holds {found.percent} %",
    ]


def of_gates(found: list[Judged]) -> str:
    """What became of candidates of all kinds."""
    rows = [
        [each.candidate.what, f"**{each.result}**", each.said, each.promotion] for each in found
    ]
    head = ["candidate", "result", "what `stage` or `gate` printed", "what `promote` printed"]
    return markdown.table(head, [[cell.replace("|", "\\|") for cell in row] for row in rows])


def of_kills(found: list[Killed]) -> str:
    """What followed each SIGKILL."""
    rows = [
        [
            each.step,
            each.victim,
            f"{each.after:.1f} s",
            "yes" if each.stands else "no",
            each.current,
            each.answered,
            f"{each.seconds:.0f} s",
            f"{each.failures['first']} and {each.failures['second']}",
        ]
        for each in found
    ]
    head = [
        "step",
        "killed",
        "after",
        "change stands",
        "current, by the history",
        "answered",
        "until both gateways did, as they were asked one by one",
        "failed requests at the first and second gateway",
    ]
    return markdown.table(head, rows)


def of_memory(found: Repeated) -> str:
    """Memory before the first candidate, and after each."""
    parts = sorted(found.looks[0])
    rows = [
        [
            "none yet" if number == 0 else str(number),
            str(requests),
            *(f"{look[part]:.1f}" for part in parts),
            f"{_total(look):.0f} MiB ({_more(found.looks[0], look)})",
        ]
        for number, (requests, look) in enumerate(zip(found.requests, found.looks, strict=True))
    ]
    head = ["candidates that came and went", "requests so far", *parts]
    table = markdown.table([*head, f"all; +{ALLOWED:.0%} at most"], rows)
    return f"{table}\nRequests that failed: {_failed(found.failures)}."


def _total(memory: Memory) -> float:
    return sum(memory.values())


def _more(before: Memory, after: Memory) -> str:
    return f"{_total(after) / _total(before) - 1:+.1%}"
