"""Single files of a run under kills and full disks: old or new, and no acknowledged row lost."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tailor_rl.runs.files import append_line, read_lines, write_atomic
from tailor_rl.runs.folder import RunFolder
from tests.run_folders import journal, python

APPEND_FOR_EVER = """
import itertools, sys
from pathlib import Path
from tailor_rl.runs.files import append_line
for n in itertools.count():
    append_line(Path(sys.argv[1]), '{"n": %d, "text": "%s"}' % (n, "x" * 5000))
    print(n, flush=True)
"""


def test_rows_acknowledged_before_a_kill_are_there_after_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    writer = python(APPEND_FOR_EVER, str(path))
    assert writer.stdout is not None
    for _ in range(20):
        writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    rest = writer.communicate()[0].split()
    acknowledged = int(rest[-1]) if rest else 19
    rows = [json.loads(line)["n"] for line in read_lines(path)]
    assert rows == list(range(len(rows)))
    assert len(rows) > acknowledged


FILL = """
import resource, sys
from pathlib import Path
from tailor_rl.runs.folder import RunFolder
from tailor_rl.runs.journal import RunJournal
class Silent:
    def __getattr__(self, name): return lambda *arguments: None
folder = RunFolder.resume(Path(sys.argv[1]), None)
journal = RunJournal(folder, Silent())
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    for n in range(100):
        journal.append("rows", {"n": n, "text": "x" * 900})
except Exception as error:
    print(type(error).__name__, getattr(error, "exit_code", None))
    print(error)
"""


def test_a_full_disk_is_one_sentence_and_every_row_before_it_is_safe(folder: RunFolder) -> None:
    folder.close()
    output, trouble = python(FILL, str(folder.path)).communicate()
    kind, said = output.splitlines()
    assert kind == "DiskFullError 3", trouble
    assert "rows.jsonl" in said and "safe" in said and "run --resume" in said
    with RunFolder.resume(folder.path, None) as again:
        book = journal(again)
        rows = book.read("rows", dict[str, Any])
        assert [row["n"] for row in rows] == list(range(len(rows)))
        assert len(rows) > 10
        assert (folder.path / "rows.jsonl").read_bytes().endswith(b"\n")
        book.append("rows", {"n": len(rows)})
        assert len(book.read("rows", dict[str, Any])) == len(rows) + 1


def test_a_failed_replacement_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_torn_line_longer_than_one_read_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    path.write_bytes(b"first\n" + b"x" * 200_000)
    append_line(path, "second")
    assert read_lines(path) == ["first", "second"]
