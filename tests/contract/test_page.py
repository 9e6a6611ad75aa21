"""The page's files: what others wrote is as locked, and what is written twice agrees."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from inference.palette import colour
from web.vendor import LOCK, ROOT, read

WEB = ROOT / "web"
MODULES = sorted((WEB / "app").rglob("*.js"))
TABLES = {name: (WEB / "app" / "texts" / f"{name}.js").read_text("utf-8") for name in ("en", "de")}
LOCKED = [
    pytest.param(file["path"], file["sha256"], id=file["path"])
    for package in json.loads(LOCK.read_text("utf-8"))["packages"]
    for file in package["files"].values()
]


def entries(table: str) -> dict[str, list[str]]:
    """The placeholders of each text, by its id."""
    lines = re.findall(r'^  "?([\w.]+)"?: (.*),$', TABLES[table], re.MULTILINE)
    assert len(lines) == TABLES[table].count("\n") - 3
    assert len(dict(lines)) == len(lines), "an id is there twice"
    return {name: sorted(set(re.findall(r"\{(\w+)\}", value))) for name, value in lines}


@pytest.mark.parametrize(("path", "digest"), LOCKED)
def test_vendored_files_are_those_of_the_lock(path, digest):
    assert hashlib.sha256(read(ROOT / path)).hexdigest() == digest


def test_every_vendored_file_is_in_the_lock():
    kept = {str(path.relative_to(ROOT)) for path in (WEB / "vendor").iterdir()}
    assert kept == {param.values[0] for param in LOCKED if param.values[0].startswith("web/")}


def test_each_language_has_the_same_texts():
    assert entries("en") == entries("de")


def test_every_text_that_a_module_names_is_there_and_every_one_is_named():
    source = "\n".join(path.read_text("utf-8") for path in MODULES if "texts/" not in str(path))
    exact = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)*)"', source))
    # Ids that are put together, as `state.${state}`.
    started = re.findall(r"`([a-z_]+\.[a-z_.]*)\$\{", source)
    named = {name for name in entries("en") if name in exact or name.startswith(tuple(started))}
    assert named == set(entries("en"))
    asked = set(re.findall(r'\btext\(\s*"([^"]+)"', source))
    assert asked <= set(entries("en"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_modules_import_what_is_there_and_make_no_markup_of_texts(path: Path):
    source = path.read_text("utf-8")
    assert source.startswith("// ")
    for imported in re.findall(r'from "([^"]+)"', source):
        if imported.startswith("."):
            assert (path.parent / imported).is_file(), imported
        else:
            assert f'"{imported}": "./web/' in (WEB / "index.html").read_text("utf-8")
    for fetched in re.findall(r"\bimport\((.*?)\)", source):
        assert re.fullmatch(r'"\./[\w]+\.js"', fetched), fetched
        assert (path.parent / fetched.strip('"')).is_file(), fetched
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
    assert not re.search(forbidden + r"|dangerouslySet|https?://", source)


def test_overlays_have_the_colours_of_the_services_own_drawings():
    css = (WEB / "page.css").read_text("utf-8")
    drawn = re.findall(r"\.class-(\d) \{ --class: rgb\((\d+) (\d+) (\d+)\)", css)
    assert [tuple(map(int, rgb)) for _, *rgb in drawn] == [colour(at) for at in range(len(drawn))]
    count = re.search(r"COLOURS = (\d+)", (WEB / "app" / "overlay.js").read_text("utf-8"))
    assert count
    assert int(count[1]) == len(drawn)
    assert colour(len(drawn)) == colour(0)


def test_the_gateways_image_has_the_page():
    recipe = (ROOT / "gateway" / "Dockerfile").read_text("utf-8")
    copied = re.findall(r"^COPY (.*) /app/web(?:/\S*)?$", recipe, re.MULTILINE)
    patterns = [pattern for line in copied for pattern in line.split()]
    files = {path for pattern in patterns for path in ROOT.glob(pattern)}
    files |= {path for folder in files if folder.is_dir() for path in folder.rglob("*")}
    needed = {
        path for path in WEB.rglob("*") if path.suffix in {".html", ".css", ".js", ".mjs", ".svg"}
    }
    assert needed <= files
    assert not [path for path in files if path.suffix in {".py", ".json"}]
    assert "!web" in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
