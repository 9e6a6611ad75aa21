"""A reader sees the old file or the new one, and never a part."""

import pytest

from pipelines import atomic_write


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_missing_folder_is_made_and_nothing_is_left_beside_the_file(tmp_path):
    path = tmp_path / "new" / "page.md"
    atomic_write.write_text(path, "Zähne\n")
    assert path.read_bytes() == "Zähne\n".encode()
    assert names(path.parent) == ["page.md"]


def test_until_the_block_ends_the_old_content_stands(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("old")
    with atomic_write.replacing(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_failed_write_leaves_the_old_content_and_nothing_beside_it(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("old")

    def write_half():
        with atomic_write.replacing(path) as beside:
            beside.write_text("ne")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["page.md"]
