"""The budgets file: read whole, or refused with the place and the reason."""

import pytest
import yaml

from loadtest.budgets import BUDGETS, read_budgets
from loadtest.errors import LoadtestError

KINDS = {
    "screening_clinic",
    "integration_engine",
    "batch_client",
    "grpc_client",
    "random_arrivals",
}


@pytest.fixture
def written(tmp_path):
    def write(change):
        document = yaml.safe_load(BUDGETS.read_text("utf-8"))
        change(document)
        file = tmp_path / "budgets.yaml"
        file.write_text(yaml.safe_dump(document), "utf-8")
        return file

    return write


def test_the_shipped_budgets_cover_every_kind_and_lose_nothing():
    budgets = read_budgets()
    assert set(budgets.users) == KINDS
    assert all(budget.lost_studies == 0 for budget in budgets.users.values())
    assert budgets.overload.goodput_share == 0.9


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["users"]["grpc_client"].update(p99=3), "users.grpc_client.p99: extra inputs"),
        (lambda d: d["users"]["grpc_client"].pop("p99_ratio"), "grpc_client.p99_ratio: field req"),
        (lambda d: d["users"]["grpc_client"].update(error_rate=1.5), "error_rate: input should be"),
        (lambda d: d["users"]["grpc_client"].update(p99_ratio="ten"), "p99_ratio: input should be"),
        (lambda d: d["users"]["grpc_client"].update(lost_studies=-1), "lost_studies: input should"),
        (lambda d: d["overload"].update(recovery_ratio=0), "overload.recovery_ratio: input should"),
        (lambda d: d.pop("overload"), "overload: field required"),
    ],
)
def test_a_wrong_entry_is_named(written, change, says):
    with pytest.raises(LoadtestError) as refused:
        read_budgets(written(change))
    assert says in str(refused.value)
    assert "budgets.yaml" in str(refused.value)


def test_no_file_and_no_yaml_are_said_with_the_remedy(tmp_path):
    with pytest.raises(LoadtestError, match="--budgets"):
        read_budgets(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("users:\n  - {", "utf-8")
    with pytest.raises(LoadtestError, match=r"line \d+: is not valid YAML"):
        read_budgets(broken)
    broken.write_text("just words", "utf-8")
    with pytest.raises(LoadtestError, match="budgets: "):
        read_budgets(broken)
