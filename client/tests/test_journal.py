"""The journal of an offline run, cut at every place, damaged, and open twice."""

import json

import pytest
from secondopinion._journal import Journal, JournalError
from secondopinion._record import Record, Stamp

QUESTION = {"pipeline": "oral_cancer", "threshold": None}


def record(index, **changes):
    answer = {"prediction": "cancer", "confidence": index / 10}
    fields = {"file": f"{index}.jpg", "stamp": Stamp(1, 2, 3), "sha256": "ab", "answer": answer}
    return Record(**fields | changes)


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "results.csv.journal.jsonl"
    with Journal(path, QUESTION) as opened:
        for index in range(2):
            opened.append(record(index))
    return path


def test_what_was_appended_is_read_back(journal):
    with Journal(journal, {"another": True}) as opened:
        assert opened.question == QUESTION
        assert [opened.record(f"{index}.jpg") for index in range(2)] == list(map(record, range(2)))
        assert opened.record("9.jpg") is None


def test_the_last_record_of_a_photo_counts(journal):
    with Journal(journal, QUESTION) as opened:
        opened.append(record(1, answer=None, error={"code": "busy"}))
        assert opened.record("1.jpg").error == {"code": "busy"}
    with Journal(journal, QUESTION) as opened:
        assert opened.record("1.jpg").error == {"code": "busy"}
        assert opened.record("0.jpg") == record(0)


def test_a_journal_torn_at_any_byte_keeps_its_whole_lines_and_goes_on(journal):
    whole = journal.read_bytes()
    for length in range(len(whole)):
        journal.write_bytes(whole[:length])
        kept = whole[:length].count(b"\n") - 1
        with Journal(journal, QUESTION) as opened:
            known = [opened.record(f"{index}.jpg") for index in range(2)]
            assert [k is not None for k in known] == [index < kept for index in range(2)]
            opened.append(record(7))
            assert opened.record("7.jpg") == record(7)
        lines = journal.read_bytes().splitlines()
        assert [json.loads(line).get("file") for line in lines] == [
            None,
            *(f"{index}.jpg" for index in range(max(kept, 0))),
            "7.jpg",
        ]


def test_a_last_line_of_garbage_is_cut_off(journal):
    whole = journal.read_bytes()
    journal.write_bytes(whole + b"\0" * 100 + b"\n")
    with Journal(journal, QUESTION) as opened:
        assert opened.record("0.jpg") == record(0)
    assert journal.read_bytes() == whole


def test_damage_before_the_last_line_is_refused_and_nothing_is_changed(journal):
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[1] = b"{torn\n"
    journal.write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match="line 2 is damaged"):
        Journal(journal, QUESTION)
    assert journal.read_bytes() == b"".join(lines)


@pytest.mark.parametrize("content", [b'{"journal": 9, "question": {}}\n', b"[]\n", b"my notes\n"])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(JournalError):
        Journal(path, QUESTION)
    assert path.read_bytes() == content


def test_a_journal_is_open_once(journal):
    with Journal(journal, QUESTION), pytest.raises(JournalError, match="another run"):
        Journal(journal, QUESTION)
    with Journal(journal, QUESTION):
        pass


def test_a_restart_waits_for_the_lock_before_it_forgets(journal):
    before = journal.read_bytes()
    with Journal(journal, QUESTION), pytest.raises(JournalError, match="another run"):
        Journal(journal, QUESTION, restart=True)
    assert journal.read_bytes() == before
    with Journal(journal, {"new": 1}, restart=True) as opened:
        assert opened.question == {"new": 1}
        assert opened.record("1.jpg") is None


class Full:
    """A file on a disk that becomes full within a line."""

    def __init__(self, file):
        self.file = file

    def write(self, line):
        self.file.write(line[:10])
        raise OSError(28, "No space left on device")

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_leaves_the_journal_as_it_was(journal):
    before = journal.read_bytes()
    with Journal(journal, QUESTION) as opened:
        real = opened._file
        opened._file = Full(real)
        with pytest.raises(OSError, match="No space"):
            opened.append(record(5))
        opened._file = real
        assert opened.record("5.jpg") is None
    assert journal.read_bytes() == before
