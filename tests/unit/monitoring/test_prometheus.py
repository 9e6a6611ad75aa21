"""Prometheus is found where it is, and its absence says what to do."""

import pytest

from k8s.monitoring import prometheus


def fake(folder, name, script="exit 0"):
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)
    return program


def test_an_installed_one_comes_first(tmp_path, monkeypatch):
    installed = fake(tmp_path / "path", "promtool")
    monkeypatch.setenv("PATH", str(installed.parent))
    assert prometheus.executable("promtool") == installed


def test_then_the_one_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(prometheus, "CACHE", tmp_path / "cache")
    cached = fake(tmp_path / "cache" / "usr" / "bin", "promtool")
    assert prometheus.executable("promtool") == cached


def test_where_it_cannot_be_fetched_the_remedy_is_named(tmp_path, monkeypatch):
    fake(tmp_path / "path", "apt-get", "echo 'E: Unable to locate package' >&2; exit 100")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(prometheus, "CACHE", tmp_path / "cache" / "prometheus")
    with pytest.raises(prometheus.MissingPrometheusError, match=r"Unable to locate.*\n.*Install"):
        prometheus.executable("promtool")
    assert not list((tmp_path / "cache").iterdir()), "nothing is left behind"


def test_where_there_is_no_apt_get_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(prometheus, "CACHE", tmp_path / "cache" / "prometheus")
    with pytest.raises(prometheus.MissingPrometheusError, match="Install Prometheus"):
        prometheus.executable("promtool")
