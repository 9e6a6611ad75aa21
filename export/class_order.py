"""Decides in which order a checkpoint's head answers the classes of a pipeline."""

import re
import unicodedata
from collections.abc import Sequence
from enum import Enum, auto

import yaml

from export.class_map import ClassMapError
from export.class_statements import Statement
from export.errors import CheckpointError, ExportError
from export.read_options import ReadOptions
from pipelines.enums import Task
from pipelines.manifest import ClassOrder, OrderKnownFrom
from pipelines.spec import PipelineSpec

_MOST = 12
_SEPARATORS = re.compile(r"[\s_-]+")
_NO_CLASS = {"background", "bg", "no object"}


class Background(Enum):
    """The place of "no object" among the classes of a detector's head, which a pipeline omits."""

    NONE = auto()
    FIRST = auto()
    LAST = auto()


def decide(
    spec: PipelineSpec,
    said: Sequence[Statement],
    options: ReadOptions,
    background: Background = Background.NONE,
) -> ClassOrder:
    """The order of a checkpoint's classes, and how it is known.

    Names that differ in case, spaces, underscores and hyphens only are the same.

    Args:
        spec: the pipeline.
        said: what the checkpoint says.
        options: what the user says.
        background: of a detector.

    Raises:
        CheckpointError: the checkpoint contradicts itself or the user, or names other classes.
        ClassMapError: the user's class map names other classes.
    """
    statements = [*said, *([options.class_map] if options.class_map else [])]
    orders = [_in_the_pipelines_names(each, spec, background) for each in statements]
    for statement, order in zip(statements, orders, strict=True):
        if order != orders[0]:
            raise _contradiction(statements[0], orders[0], statement, order, options)
    trained = orders[0] if orders else spec.classes
    if options.classes_confirmed and trained != spec.classes:
        first = statements[0]
        raise CheckpointError(
            f"{first.file}: {first.place} says the order {shown(trained)}, but "
            f"--classes-confirmed that it is the YAML's, {shown(spec.classes)}: leave "
            "--classes-confirmed out, and the export brings the head into the YAML's order; if "
            f"{first.place} is wrong, correct or remove it"
        )
    if said:
        return ClassOrder(
            known_from=OrderKnownFrom.CHECKPOINT, place=said[0].place, trained=trained
        )
    if options.class_map:
        place = options.class_map.place
        return ClassOrder(known_from=OrderKnownFrom.CLASS_MAP, place=place, trained=trained)
    known_from = OrderKnownFrom.USER if options.classes_confirmed else OrderKnownFrom.NOT_VERIFIED
    return ClassOrder(known_from=known_from, place=None, trained=trained)


def require_classes(statement: Statement, spec: PipelineSpec) -> None:
    """Checks that a class map names the classes of a pipeline, in any order.

    Raises:
        ClassMapError: it names others.
    """
    places = Background if spec.threshold is not None and spec.uncertainty is None else ()
    for background in [Background.NONE, *places]:
        try:
            _in_the_pipelines_names(statement, spec, background)
        except ClassMapError as error:
            problem = error
        else:
            return
    raise problem


def rows(order: ClassOrder, classes: Sequence[str]) -> tuple[int, ...]:
    """For each class of a pipeline its place among the checkpoint's."""
    return tuple(order.trained.index(name) for name in classes)


def places(order: ClassOrder, classes: Sequence[str]) -> tuple[int, ...]:
    """For each class of the checkpoint its place among the pipeline's."""
    return tuple(classes.index(name) for name in order.trained)


def note(order: ClassOrder, spec: PipelineSpec, member: str) -> str | None:
    """What a user has to know of a member's order: that it was changed, or is not verified."""
    if order.known_from is OrderKnownFrom.NOT_VERIFIED:
        return _not_verified(spec.classes)
    if order.trained == spec.classes:
        return None
    if spec.members[member].one_logit:
        return (
            f"the logit was negated: in training it meant {order.trained[1]!r} (by {order.place}), "
            f"here it means {spec.classes[1]!r}"
        )
    head = spec.task is Task.CLASSIFICATION
    what = "the head's rows were permuted" if head else "the detector's classes were renumbered"
    return f"{what} from {shown(order.trained)} (by {order.place}) to {shown(spec.classes)}"


def shown(names: Sequence[str]) -> str:
    """A list of names, of many the first ones."""
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"[{', '.join(names[:_MOST])}{more}]"


def _not_verified(classes: Sequence[str]) -> str:
    alphabetical = tuple(sorted(classes))
    hint = (
        ""
        if alphabetical == tuple(classes)
        else f" (torchvision's ImageFolder would have numbered them {shown(alphabetical)})"
    )
    return (
        "class order not verified: the checkpoint does not say its classes, so its outputs are "
        f"taken to be in the YAML's order, {shown(classes)}{hint}. Export it again with "
        "--class-map FILE from the training, or with --classes-confirmed if that order is right"
    )


def _in_the_pipelines_names(
    statement: Statement, spec: PipelineSpec, background: Background
) -> tuple[str, ...]:
    """The YAML's names in a statement's order."""
    names, first = statement.numbered.names, statement.numbered.first
    # Two classes of the YAML that differ in these only must not become one.
    distinct = len(set(map(_canonical, spec.classes))) == len(spec.classes)
    canonical = _canonical if distinct else str
    known = {canonical(name): name for name in spec.classes}
    if len(names) == len(known) + 1:
        names = _without_background(names, background)
    if first and background is not Background.FIRST:
        raise _refusal(
            statement,
            f"numbers the classes from 1, {shown(names)}: number them from 0, as the outputs are",
        )
    found = [known.get(canonical(name)) for name in names]
    if set(found) != set(spec.classes) or len(found) != len(known):
        raise _other_names(statement, names, spec, {canonical(name) for name in names})
    return tuple(name for name in found if name is not None)


def _without_background(names: tuple[str, ...], background: Background) -> tuple[str, ...]:
    if background is Background.FIRST and _canonical(names[0]) in _NO_CLASS:
        return names[1:]
    if background is Background.LAST and _canonical(names[-1]) in _NO_CLASS:
        return names[:-1]
    return names


def _canonical(name: str) -> str:
    return _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()


def _refusal(statement: Statement, problem: str) -> ExportError:
    kind = CheckpointError if statement.key else ClassMapError
    return kind(f"{statement.file}: {statement.key + ' ' if statement.key else ''}{problem}")


def _other_names(
    statement: Statement, names: tuple[str, ...], spec: PipelineSpec, found: set[str]
) -> ExportError:
    block: dict[str, object] = {"classes": list(names)}
    if spec.positive is None:
        advice = f"put this into {spec.name}.yaml:\n{_block(block)}"
    else:
        advice = (
            f"write them into {spec.name}.yaml as `classes` (the positive class second, whatever "
            "the order of the training) and as `positive`"
        )
    remove = (
        f"If {statement.key} is not about the classes, remove it from the file. "
        if statement.key
        else ""
    )
    return _refusal(
        statement,
        f"names other classes than {spec.name}.yaml: {shown(names)} there, {shown(spec.classes)} "
        f"in the YAML. {remove}Use the right file or, if these are the names of the classes, "
        f"{advice}",
    )


def _block(content: dict[str, object]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).rstrip()


def _contradiction(
    one: Statement,
    order: Sequence[str],
    other: Statement,
    other_order: Sequence[str],
    options: ReadOptions,
) -> CheckpointError:
    places = (
        f"{one.file}: {one.place} says the order {_differing(order, other_order)}, but "
        f"{other.place}{f' of {other.file}' if other.file != one.file else ''} says "
        f"{_differing(other_order, order)}: a swapped label is a wrong answer for every image. "
    )
    if other is options.class_map:
        return CheckpointError(
            f"{places}Leave --class-map out to take the checkpoint's, or give that of its training"
        )
    return CheckpointError(f"{places}Find out which is right, and remove the other")


def _differing(order: Sequence[str], other: Sequence[str]) -> str:
    """An order, of many classes those that stand elsewhere in the other one."""
    if len(order) <= _MOST:
        return shown(order)
    moved = [f"{i}: {name}" for i, name in enumerate(order) if name != other[i]]
    return shown(moved)
