"""The overlay's ConfigMap has all that the users need, and the generators' image the rest."""

import ast

import yaml

from loadtest.__main__ import ROOT

FOLDER = ROOT / "loadtest"


def imported(file, seen):
    """The file and all files of the folder that it imports."""
    if file in seen:
        return seen
    seen.add(file)
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            found = ROOT / f"{name.replace('.', '/')}.py"
            if found.is_file() and found.is_relative_to(FOLDER):
                imported(found, seen)
    return seen


def test_the_config_map_has_every_module_of_the_locustfile_and_no_other():
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    (generated,) = kustomization["configMapGenerator"]
    needed = {file.name for file in imported(FOLDER / "locustfile.py", set())}
    assert set(generated["files"]) == needed | {"__init__.py", "budgets.yaml"}


def test_the_generators_are_confined_and_ask_the_gateway():
    overlay = ROOT / "k8s" / "overlays" / "loadtest"
    for name in ("master.yaml", "workers.yaml"):
        documents = yaml.safe_load_all((overlay / name).read_text("utf-8"))
        pod = next(each for each in documents if each["kind"] == "Job")["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= container["resources"].keys()
        if name == "master.yaml":
            assert "--host=http://gateway:8080" in pod["containers"][0]["args"]
