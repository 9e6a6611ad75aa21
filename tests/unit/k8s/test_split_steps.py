"""The Job of overlays/split-steps against a gateway and a Prometheus that answer as a test says."""

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from k8s.checks.tree import PROJECT
from k8s.split import steps

RELEASE = "2-9c1e44d0"
GOOD = {"failures": 0.001, "disagreement": 0.02, "low-confidence": 0.05}


class Cluster:
    """The operator's API of a gateway, with its rules, and Prometheus."""

    def __init__(self):
        self.state = {
            "pipeline": "oral_cancer", "profile": "default", "revision": 1, "current": "1-0a0a0a0a",
            "candidate": None, "share": 0, "former": None, "loaded": ["1-0a0a0a0a"],
        }  # fmt: skip
        self.values = {0: GOOD}
        """Of each figure, from a share on; None: Prometheus has none."""
        self.gate = True
        self.not_seen = 0
        """Times that the gateway which is asked does not know yet that the candidate is loaded."""
        self.changes = []

    def change(self, action, body):
        state, wanted = self.state, body.get("release")
        if action == "stage":
            state |= {"candidate": wanted, "loaded": [*state["loaded"], wanted]}
        elif wanted not in {None, state["candidate"]} or state["candidate"] is None:
            return 409
        elif action == "split" and self.not_seen:
            self.not_seen -= 1
            return 409
        elif action == "split":
            state["share"] = body["share"]
        elif action == "rollback":
            state["share"] = 0
        elif action == "promote":
            if not self.gate:
                return 409
            state |= {"current": wanted, "candidate": None, "share": 0}
        self.changes.append((action, body.get("share", body.get("evidence"))))
        return 200

    def value(self, query):
        at = max(share for share in self.values if share <= self.state["share"])
        name = next(each["name"] for each in JUDGEMENTS if filled(each) == query)
        return self.values[at][name]


JUDGEMENTS = json.loads((PROJECT / "k8s" / "split" / "judgements.json").read_text("utf-8"))


def filled(judgement):
    return judgement["query"].replace("{{args.namespace}}", "clinic")


@pytest.fixture
def cluster():
    cluster = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            """Nothing."""

        def answer(self, status, body):
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self):
            url = urlsplit(self.path)
            if url.path == "/api/v1/query":
                value = cluster.value(parse_qs(url.query)["query"][0])
                result = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
                self.answer(200, {"status": "success", "data": {"result": result}})
            elif self.headers["X-API-Key"] != "so_key":
                self.answer(401, {"code": "unauthorized"})
            else:
                self.answer(200, {"releases": [cluster.state]})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = cluster.change(self.path.rpartition("/")[2], body)
            self.answer(status, cluster.state if status == 200 else {"code": "release_refused"})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    yield cluster
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def environment(cluster, tmp_path):
    (tmp_path / "key").write_text("so_key\n", "utf-8")
    return {
        "SPLIT_PIPELINE": "oral_cancer",
        "SPLIT_RELEASE": RELEASE,
        "SPLIT_PERCENTS": "10,20,50",
        "SPLIT_STEP_MINUTES": "0.0002",
        "SPLIT_LOOK_SECONDS": "0.005",
        "SPLIT_GATEWAY": cluster.url,
        "SPLIT_PROMETHEUS": cluster.url,
        "SPLIT_JUDGEMENTS_FILE": str(PROJECT / "k8s" / "split" / "judgements.json"),
        "SPLIT_KEY_FILE": str(tmp_path / "key"),
        "SPLIT_NAMESPACE": "clinic",
    }


def shares(cluster):
    return [value for action, value in cluster.changes if action == "split"]


def test_a_candidate_whose_figures_hold_is_promoted_step_by_step(cluster, environment):
    assert steps.run(steps.Plan.read(environment)) == steps.DONE
    assert [action for action, _ in cluster.changes] == ["stage", *["split"] * 3, "promote"]
    assert shares(cluster) == [1000, 2000, 5000]
    assert cluster.state["current"] == RELEASE
    assert "failures, disagreement, low-confidence" in cluster.changes[-1][1]
    assert steps.run(steps.Plan.read(environment)) == steps.DONE


@pytest.mark.parametrize("figure", GOOD)
def test_a_candidate_whose_figure_reaches_its_limit_is_rolled_back(figure, cluster, environment):
    limit = next(each["below"] for each in JUDGEMENTS if each["name"] == figure)
    cluster.values[2000] = GOOD | {figure: limit}
    assert steps.run(steps.Plan.read(environment)) == steps.ROLLED_BACK
    assert shares(cluster) == [1000, 2000]
    assert cluster.state["current"] == "1-0a0a0a0a"
    assert cluster.state["share"] == 0
    action, why = cluster.changes[-1]
    assert (action, why.startswith(figure)) == ("rollback", True)


@pytest.mark.parametrize("value", [None, "NaN"])
def test_where_nobody_knows_the_share_stays_and_the_next_run_goes_on(value, cluster, environment):
    cluster.values[2000] = GOOD | {"disagreement": value}
    assert steps.run(steps.Plan.read(environment)) == steps.UNDECIDED
    assert cluster.state["share"] == 2000
    cluster.values[2000] = GOOD
    assert steps.run(steps.Plan.read(environment)) == steps.DONE
    assert shares(cluster) == [1000, 2000, 2000, 5000]


def test_a_candidate_without_a_passed_gate_keeps_its_last_share(cluster, environment):
    cluster.gate = False
    with pytest.raises(steps.StepsError, match=r"promote: 409: .*release_refused"):
        steps.run(steps.Plan.read(environment))
    assert cluster.state["share"] == 5000


def test_a_gateway_that_learns_later_what_is_loaded_is_waited_for(cluster, environment):
    cluster.not_seen = 3
    assert steps.run(steps.Plan.read(environment)) == steps.DONE
    assert shares(cluster) == [1000, 2000, 5000]


def test_what_somebody_else_has_changed_meanwhile_is_not_rolled_back(
    cluster, environment, monkeypatch
):
    cluster.values[1000] = GOOD | {"failures": 1}
    value = cluster.value

    def promoted(query):
        cluster.state |= {"current": RELEASE, "candidate": None}
        return value(query)

    monkeypatch.setattr(cluster, "value", promoted)
    with pytest.raises(steps.StepsError, match="is not the candidate any more"):
        steps.run(steps.Plan.read(environment))
    assert "rollback" not in [action for action, _ in cluster.changes]


def test_the_job_says_in_one_line_what_it_lacks(environment):
    del environment["SPLIT_RELEASE"]
    script = PROJECT / "k8s" / "split" / "steps.py"
    ended = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, "error: SPLIT_RELEASE: it is missing\n")


def test_a_key_that_may_not_is_told(cluster, environment, tmp_path):
    (tmp_path / "key").write_text("so_other", "utf-8")
    with pytest.raises(steps.StepsError, match="api/v1/releases: 401"):
        steps.run(steps.Plan.read(environment))
