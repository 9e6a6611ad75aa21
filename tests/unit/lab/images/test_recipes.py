"""Dockerfiles, compose.yaml and workflows: what is written twice agrees, and nothing floats."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from gateway.settings import Settings
from pipelines.ports import Ports

ROOT = Path(__file__).parents[4]
DOCKERFILES = [ROOT / "gateway" / "Dockerfile", ROOT / "server" / "Dockerfile"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
POSTGRESQL = yaml.safe_load((ROOT / "compose.postgresql.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
WHOLE = {name: each for name, each in POSTGRESQL["services"].items() if "image" in each} | SERVICES
PINNED_IMAGE = re.compile(r"[^\s:]+(:\d+)?/[^\s:]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?")
PINNED_ACTION = re.compile(r"[\w-]+/[\w./-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})")


def pip_requirement(text):
    """The lines of constraints.txt that a Dockerfile or the Makefile installs pip by."""
    [script] = set(re.findall(r"sed -n '(/\^pip==[^']+)' constraints\.txt", text))
    command = ["sed", "-n", script, ROOT / "constraints.txt"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
class TestDockerfile:
    def test_the_base_is_a_version_that_an_argument_replaces(self, path):
        text = path.read_text("utf-8")
        [(name, base)] = re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", text, re.MULTILINE)
        assert PINNED_IMAGE.fullmatch(base)
        stages = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
        assert set(stages) <= {f"${{{name}}}", "scratch"}

    def test_its_dependency_group_exists(self, path):
        [group] = re.findall(r"--group (\w+)", path.read_text("utf-8"))
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        assert group in project["dependency-groups"]

    def test_it_runs_as_a_numeric_user_without_a_shell(self, path):
        text = path.read_text("utf-8")
        assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["65532:65532"]
        assert re.search(r'^ENTRYPOINT \["', text, re.MULTILINE)

    def test_what_it_copies_is_there(self, path):
        copies = re.findall(r"^COPY (?!--from)(.+) \S+$", path.read_text("utf-8"), re.MULTILINE)
        for pattern in " ".join(copies).split():
            assert list(ROOT.glob(pattern)), pattern


@pytest.mark.parametrize(
    "path", [*DOCKERFILES, ROOT / "loadtest" / "Dockerfile"], ids=lambda path: path.parent.name
)
def test_what_a_dockerfile_copies_is_sent_to_the_build(path):
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", path.read_text("utf-8"), re.MULTILINE)
    sources = set(" ".join(copies).split())
    assert {source for source in sources if not {source, source.split("/")[0]} & sent} == set()


@pytest.mark.parametrize(
    "path", [*DOCKERFILES, ROOT / "loadtest" / "Dockerfile"], ids=lambda path: path.parent.name
)
def test_pip_is_the_makefiles_and_has_a_known_hash(path):
    text = path.read_text("utf-8")
    first, *hashes = pip_requirement(text).splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert first.removesuffix(" \\") in project["dependency-groups"]["build"]
    assert hashes
    assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes)
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("$$", "$")
    assert "--require-hashes --requirement pip.txt" in text
    assert "--require-hashes --requirement /dev/stdin" in makefile
    assert "pip==" not in (text + makefile).replace("/^pip==/", "")
    assert pip_requirement(makefile) == pip_requirement(text)


def test_the_server_takes_every_backend_but_the_stand_ins():
    backends = {path.parent.name for path in (ROOT / "server" / "backends").glob("*/model.py")}
    ignored = re.findall(
        r"^server/backends/(\w+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE
    )
    copied = re.findall(r"server/backends/(\w+)/model.py", DOCKERFILES[1].read_text("utf-8"))
    assert set(ignored) == {"onnxruntime", "pytorch"}
    assert set(copied) == backends - set(ignored)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_takes_every_folder_that_its_code_imports(path):
    copied = set(re.findall(r"^COPY (\w+)\S* /app/", path.read_text("utf-8"), re.MULTILINE))
    assert path.parent.name in copied
    for folder in copied:
        for module in (ROOT / folder).rglob("*.py"):
            code = module.read_text("utf-8")
            imported = set(re.findall(r"^(?:from|import) (\w+)", code, re.MULTILINE))
            ours = {name for name in imported if (ROOT / name / "__init__.py").is_file()}
            assert ours <= copied, module


def test_exposed_ports_are_the_services_own():
    ports = Ports.model_fields
    gateway = {ports["gateway_port"].default, ports["gateway_grpc_port"].default}
    names = ("triton_grpc_port", "triton_metrics_port", "server_metrics_port")
    server = {ports[name].default for name in names}
    for path, expected in zip(DOCKERFILES, (gateway, server), strict=True):
        [exposed] = re.findall(r"^EXPOSE (.*)$", path.read_text("utf-8"), re.MULTILINE)
        assert set(map(int, exposed.split())) == expected


@pytest.mark.parametrize("name", WHOLE)
def test_a_composed_service_is_locked_down(name):
    service = WHOLE[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) > 0


@pytest.mark.parametrize("name", WHOLE)
def test_a_composed_service_names_a_version_and_answers_this_machine_alone(name):
    service = WHOLE[name]
    default = re.fullmatch(r"\$\{\w+_IMAGE:-(.+)\}", service["image"])
    assert re.search(r":v?\d+\.\d+(\.\d+)?$", default[1])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_composed_server_has_no_way_out_but_the_gateway():
    for name in ("server-cpu", "server-gpu"):
        assert set(SERVICES[name]["networks"]) == {"triton"}
        assert "ports" not in SERVICES[name]
    assert COMPOSE["networks"]["triton"]["internal"] is True


def test_the_composed_gateway_has_time_to_drain():
    gateway = SERVICES["gateway"]
    drain = int(gateway["environment"]["GATEWAY_SHUTDOWN_SECONDS"])
    assert int(gateway["stop_grace_period"].removesuffix("s")) > drain


def test_settings_of_the_composed_gateway_exist():
    known = {f"GATEWAY_{name.upper()}" for name in Settings.model_fields}
    assert set(SERVICES["gateway"]["environment"]) <= known
    assert set(POSTGRESQL["services"]["gateway"]["environment"]) <= known


def test_the_gateways_database_is_reached_by_the_gateway_alone_and_after_its_schema_is_made():
    assert POSTGRESQL["networks"]["database"]["internal"] is True
    reach = {name for name, each in WHOLE.items() if "database" in each.get("networks", [])}
    assert reach == {"schema", "postgresql"}
    gateway = POSTGRESQL["services"]["gateway"]
    assert gateway["depends_on"] == {"schema": {"condition": "service_completed_successfully"}}
    assert gateway["environment"] == WHOLE["schema"]["environment"]
    Settings.model_validate({"database_url": gateway["environment"]["GATEWAY_DATABASE_URL"]})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_names_actions_by_full_version_and_asks_for_no_more_than_it_needs(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job.get("steps", [])]
    actions = [step["uses"] for step in steps if "uses" in step]
    assert actions
    assert [action for action in actions if not PINNED_ACTION.fullmatch(action)] == []


def test_kernels_that_the_driver_compiles_are_kept_where_the_servers_user_may_write():
    text = (ROOT / "server" / "Dockerfile").read_text("utf-8")
    assert re.search(r"CUDA_CACHE_PATH=/tmp/", text)


def test_the_list_of_versions_has_the_servers_base():
    text = (ROOT / "server" / "Dockerfile").read_text("utf-8")
    [release] = re.findall(r"tritonserver:([\d.]+)-py3", text)
    assert f"({release})" in (ROOT / "docs" / "triton-versions.md").read_text("utf-8")
