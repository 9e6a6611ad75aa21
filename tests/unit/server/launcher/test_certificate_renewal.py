"""When tritonserver is started again because its certificate was renewed."""

from datetime import UTC, datetime, timedelta

import pytest
import trustme

from pipelines.certificates import MutualTls
from pipelines.tls import TritonTls
from server.launcher import certificate_renewal
from server.launcher.certificate_renewal import CertificateRenewal

AUTHORITY = trustme.CA()


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def settings(tmp_path):
    paths = {name: tmp_path / name for name in ("ca_file", "certificate_file", "key_file")}
    issue(tmp_path)
    return TritonTls(**paths)


def issue(folder, **validity):
    ends = datetime.now(UTC) + timedelta(**validity or {"days": 90})
    leaf = AUTHORITY.issue_cert("triton", "localhost", not_after=ends)
    (folder / "ca_file").write_bytes(AUTHORITY.cert_pem.bytes())
    (folder / "certificate_file").write_bytes(leaf.cert_chain_pems[0].bytes())
    (folder / "key_file").write_bytes(leaf.private_key_pem.bytes())


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(certificate_renewal, "time", clock)
    return clock


@pytest.fixture
def watch(settings, clock, monkeypatch):
    """A renewal, and the seconds until it is due by its own word; chance takes the whole spread."""
    monkeypatch.setattr(certificate_renewal.random, "uniform", lambda _, most: most)

    class Watch:
        def __init__(self):
            self.shown, self.said = MutualTls.load(settings), []
            self.renewal = CertificateRenewal(settings, lambda: self.shown, self.said.append)

        def seconds(self, most=7 * 3600):
            """Until it is due, at steps of a minute; None: it is not."""
            for _ in range(most // 60):
                if self.renewal.due():
                    return clock.now
                clock.now += 60
            return None

    return Watch()


def test_without_tls_nothing_is_ever_due(clock):
    renewal = CertificateRenewal(TritonTls(), lambda: None, print)
    for clock.now in range(0, 7 * 3600, 60):
        assert not renewal.due()


def test_files_that_stay_make_nothing_due(watch):
    assert watch.seconds() is None
    assert watch.said == []


def test_a_renewed_certificate_is_due_within_six_hours_by_chance(watch, tmp_path):
    issue(tmp_path)
    assert watch.seconds() == pytest.approx(6 * 3600, abs=60)


def test_a_certificate_that_ends_soon_is_replaced_within_half_of_what_is_left(watch, tmp_path):
    issue(tmp_path, minutes=20)
    watch.shown = MutualTls.load(watch.renewal._settings)
    issue(tmp_path)
    assert watch.seconds() == pytest.approx(600, abs=60)


def test_a_certificate_that_has_ended_is_replaced_at_once(watch, tmp_path):
    issue(tmp_path, seconds=-5)
    watch.shown = MutualTls.load(watch.renewal._settings)
    issue(tmp_path)
    assert watch.seconds() == 0


def test_a_server_that_was_started_anew_meanwhile_is_left_alone(watch, tmp_path):
    issue(tmp_path)
    assert watch.seconds(3600) is None
    watch.shown = MutualTls.load(watch.renewal._settings)
    assert watch.seconds() is None


def test_a_renewed_certificate_that_has_ended_is_not_taken(watch, tmp_path):
    issue(tmp_path, seconds=-5)
    assert watch.seconds() is None


def test_files_that_cannot_be_used_are_told_once_and_change_nothing(watch, tmp_path):
    key = tmp_path / "key_file"
    key.write_bytes(key.read_bytes()[:100])
    assert watch.seconds() is None
    (said,) = watch.said
    assert str(key) in said
    assert "stays as it was" in said


@pytest.mark.parametrize("spoilt", ["cut off", "ended"])
def test_files_that_are_spoilt_before_their_moment_end_nothing(watch, tmp_path, clock, spoilt):
    issue(tmp_path)
    assert watch.seconds(3600) is None
    if spoilt == "ended":
        issue(tmp_path, seconds=-5)
    else:
        (tmp_path / "key_file").write_bytes(b"")
    assert watch.seconds() is None
    issue(tmp_path)
    assert watch.seconds() == pytest.approx(clock.now, abs=60)
