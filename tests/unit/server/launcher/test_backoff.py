"""How long to wait before another try."""

from server.launcher.backoff import Backoff


def test_what_fails_again_and_again_is_tried_less_and_less_often(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("server.launcher.backoff.time.monotonic", lambda: now[0])
    backoff = Backoff()
    assert [backoff.delay() for _ in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]
    now[0] += 120
    assert backoff.delay() == 0
