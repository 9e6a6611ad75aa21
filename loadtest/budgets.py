"""The types and the reader of the budgets file."""

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loadtest.errors import LoadtestError

BUDGETS = Path(__file__).with_name("budgets.yaml")

Share = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class UserBudget(_Part):
    """Upper bounds for one kind of user; what they mean is said in the file."""

    error_rate: Share
    shed_share: Share
    p99_ratio: Ratio
    lost_studies: Count


class OverloadBudget(_Part):
    """Bounds at three times the capacity; `goodput_share` is the only lower one."""

    goodput_share: Share
    refusal_ratio: Ratio
    recovery_ratio: Ratio
    memory_growth: Share
    unready_polls: Count
    error_rate: Share


class Budgets(_Part):
    """All of them; users by kind."""

    users: dict[str, UserBudget]
    overload: OverloadBudget


def read_budgets(file: Path = BUDGETS) -> Budgets:
    """Reads a budgets file.

    Raises:
        LoadtestError: it is not there, no YAML, or has a key or bound that is not known.
    """
    try:
        return Budgets.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except OSError as error:
        raise LoadtestError(f"{file}: {error.strerror}; name the file with --budgets") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise LoadtestError(
            f"{file}: {where}is not valid YAML; see {BUDGETS.name} for one"
        ) from error
    except ValidationError as error:
        lines = (
            f"{file}: {'.'.join(map(str, item['loc'])) or 'budgets'}: {item['msg'].lower()}"
            for item in error.errors(include_url=False)
        )
        raise LoadtestError("\n".join(lines)) from error
