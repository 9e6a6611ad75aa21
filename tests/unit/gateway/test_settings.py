import pytest
from pydantic import ValidationError

from gateway.settings import Settings, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_a_loopback_bind_needs_no_keys(host):
    assert Settings(host=host).loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "gateway.example", ""])  # noqa: S104
def test_beyond_loopback_callers_must_say_who_they_are(host):
    assert not is_loopback(host)
    assert Settings(host=host).identity_required
    with pytest.raises(ValidationError, match="python -m gateway keys create"):
        Settings(host=host, auth="off")


def test_on_loopback_identity_is_off_unless_it_is_asked_for():
    assert not Settings().identity_required
    assert not Settings(auth="off").identity_required
    assert Settings(auth="required").identity_required


def test_a_batch_that_could_never_be_let_in_is_refused():
    with pytest.raises(ValidationError, match="GATEWAY_BATCH_BYTES"):
        Settings(batch_bytes=2000, max_in_flight_bytes=1000)


def test_encryption_needs_all_of_its_files(tmp_path, monkeypatch):
    names = [f"TRITON_TLS_{name}_FILE" for name in ("CA", "CERTIFICATE", "KEY")]
    file = tmp_path / "pem"
    file.write_text("pem")
    assert Settings().triton_tls.files == (None, None, None)
    for name in names[:2]:
        monkeypatch.setenv(name, str(file))
        with pytest.raises(ValidationError, match="give all or none"):
            Settings()
    monkeypatch.setenv(names[2], str(tmp_path / "absent"))
    with pytest.raises(ValidationError, match="absent: No such file"):
        Settings()
    monkeypatch.setenv(names[2], str(file))
    assert Settings().triton_tls.files == (file, file, file)


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("GATEWAY_DEADLINE_SECONDS", "2.5")
    monkeypatch.setenv("GATEWAY_TRITON_HOST", "::1")
    monkeypatch.setenv("GATEWAY_PORT", "18080")
    monkeypatch.setenv("TRITON_GRPC_PORT", "18001")
    settings = Settings()
    assert settings.deadline_seconds == 2.5
    assert settings.ports.gateway_port == 18080
    assert settings.triton_address == "[::1]:18001"


def test_the_pipelines_that_are_rolled_back_are_named_or_all(monkeypatch):
    for text, expected in (
        ("", ()),
        ("*", ("*",)),
        ("mhist, oral_cancer", ("mhist", "oral_cancer")),
    ):
        monkeypatch.setenv("GATEWAY_WATCH_ROLLBACK", text)
        assert Settings().watch_rollback == expected
    for text in ("Oral Cancer", "*,mhist", "../x"):
        monkeypatch.setenv("GATEWAY_WATCH_ROLLBACK", text)
        with pytest.raises(ValidationError, match="names of pipelines"):
            Settings()
    for below, share in ((0, 0.01), (1, 0), (1, 1.1)):
        with pytest.raises(ValidationError):
            Settings(shadow_below=below, shadow_time_share=share)
