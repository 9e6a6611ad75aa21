"""Every answer of a service that is broken meanwhile has one row, and a right one."""

from lab.accounting import trial
from lab.accounting.callers import GRPC, HTTP
from lab.service.service import GATEWAY


def test_every_answer_has_its_row_though_processes_and_database_fail(oral_cancer, tmp_path):
    found = trial.run(
        "sqlite",
        oral_cancer.repository,
        oral_cancer.specs,
        10,
        tmp_path / "service.log",
        killed=(GATEWAY,),
    )
    names = {fault.name for fault in found.faults}
    assert {"SIGKILL of gateway", "poison rows"} <= names
    assert any(name.startswith("database locked") for name in names)
    assert all({HTTP, GRPC} == set(fault.again) for fault in found.faults)
    # Each door answered after each fault.
    assert found.account.answers >= 2 * len(found.faults)
    assert found.verified.chains > 1, "the gateway that was killed, and the next one"
    assert found.verified.findings == []
    assert (found.wrong, found.given_up) == (0, 0)
    assert found.account.balances, found.account
    assert found.passed
