"""Prompts as files: a user's own replace the shipped, and a wrong one is one sentence."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest

from tailor_rl.errors import ConfigError
from tailor_rl.teachers.prompt_files import KINDS, SHIPPED, copy_prompt_files
from tailor_rl.teachers.prompts import Prompts

PLAIN = "# System\nYou solve.\n\n# Prompt\n{{ problem }}\n"


def own(folder: Path, text: str, name: str = "plain.md") -> Prompts:
    (folder / name).write_bytes(text.encode())
    return Prompts(str(folder))


def said(folder: Path, text: str, name: str = "plain.md") -> str:
    with pytest.raises(ConfigError) as caught:
        own(folder, text, name)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "DIR")


def test_every_shipped_file_says_what_it_is_for_and_names_its_variables() -> None:
    assert {path.stem for path in SHIPPED.iterdir()} == set(KINDS)
    for name, kind in KINDS.items():
        comment = (SHIPPED / f"{name}.md").read_text().partition("\n# System\n")[0]
        assert comment.startswith("<!--") and "the project's own" in comment
        assert all(f"- {variable} " in comment for variable in kind.variables), name


def test_what_stands_above_the_parts_is_never_sent() -> None:
    prompts = Prompts()
    for asked in (prompts.demonstrate("1", instruction="2"), prompts.guard("1")):
        assert "<!--" not in asked.system + asked.prompt
        assert "Variables" not in asked.system + asked.prompt


def test_a_users_file_replaces_the_shipped_one_alone(tmp_path: Path) -> None:
    text = "Mine.\n# System\r\nBe brief.\r\n# Prompt\r\nSolve:\r\n{{ problem | block('Problem') }}"
    prompts = own(tmp_path, text)
    asked = prompts.demonstrate("1+1", instruction=None)
    assert (asked.system, asked.prompt) == ("Be brief.", "Solve:\n### Problem\n```\n1+1\n```")
    assert asked.version == f"plain@{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    assert prompts.sources["plain"] == text.replace("\r\n", "\n")
    shipped = Prompts()
    others = set(KINDS) - {"plain"}
    assert {n: prompts.versions[n] for n in others} == {n: shipped.versions[n] for n in others}
    assert prompts.demonstrate("1", instruction="2") == shipped.demonstrate("1", instruction="2")


def test_a_guard_may_send_the_bare_text_without_a_system_part(tmp_path: Path) -> None:
    asked = own(tmp_path, "# System\n# Prompt\n{{ text }}", "guard.md").guard("Count.")
    assert (asked.system, asked.prompt) == ("", "Count.")


def test_foreign_text_is_no_template_and_no_markup(tmp_path: Path) -> None:
    hostile = "{{ 7 * 7 }} {% raw %} {# x #} <b>&amp;</b>\n```\n# Prompt\n"
    prompts = own(tmp_path, "# System\n# Prompt\n{{ problem | block('P') }}!")
    assert f"````\n{hostile}\n````!" in prompts.demonstrate(hostile, instruction=None).prompt


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", 'the line "# System" once and after it the line "# Prompt" once, and has neither'),
        ("# Prompt\n{{ problem }}", 'has "# Prompt"'),
        ("# Prompt\n{{ problem }}\n# System\n", 'has "# Prompt", then "# System"'),
        (PLAIN + "# Prompt\n", 'has "# System", then "# Prompt", then "# Prompt"'),
        (PLAIN + "{% if", "DIR/plain.md, line 6 is no jinja2 template"),
        (PLAIN + "{{ 'x' | blok('y') }}", "line 6 is no jinja2 template: No filter named 'blok'"),
        ("\n# System\n{{ }}\n# Prompt\n{{ problem }}", "line 3 is no jinja2 template: Expected"),
        (PLAIN + "{{ problm }}", "uses the variable 'problm', which is none of its: problem"),
        ("# System\n# Prompt\nSolve it.", "never uses the variable 'problem'"),
        ("# System\n{{ problem }}\n# Prompt\n", 'asks nothing: write the question under "# Prom'),
        (PLAIN + "{{ problem.difficulty }}", "cannot be filled in: 'str object' has no attribute"),
        (PLAIN + "{{ ''.__class__.__mro__ }}", "cannot be filled in: access to attribute '__cla"),
        (PLAIN + "{{ 1 / 0 }}", "cannot be filled in: division by zero"),
        (PLAIN + "{% for i in range(10**9) %}x{% endfor %}", "cannot be filled in: Range too big"),
        (PLAIN + "{% include 'x' %}", "cannot be filled in: no loader"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    assert says in said(tmp_path, text)


def test_a_file_of_another_name_is_told_the_names_nearest_first(tmp_path: Path) -> None:
    sentence = said(tmp_path, PLAIN, "demonstrat.md")
    assert sentence.startswith("DIR/demonstrat.md is no prompt: rename or remove it")
    assert "the prompts are demonstrate.md, " in sentence and "guard.md" in sentence


def test_every_branch_of_a_file_is_tried_before_anything_is_bought(tmp_path: Path) -> None:
    known = "# System\n# Prompt\n{{ attempts }}{{ num_primitives }}{{ known[0].x if known }}"
    assert "has no attribute 'x'" in said(tmp_path, known, "discover.md")
    (tmp_path / "discover.md").unlink()
    one = "# System\n# Prompt\n{{ trace }}{{ trace.x if habit == 'backtracking' }}"
    assert "has no attribute 'x'" in said(tmp_path, one, "judge.md")


def test_files_that_are_no_markdown_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "plain.md~").write_text("a backup")
    (tmp_path / "notes.txt").write_text("notes")
    assert own(tmp_path, PLAIN).demonstrate("1", instruction=None).prompt == "1"


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'prompts.folder = ".*/none" is no folder'):
        Prompts(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"holds no prompt .* `tailor primitives prompts DIR`"):
        Prompts(str(tmp_path))
    (tmp_path / "plain.md").write_bytes(b"# System\n\xff\n# Prompt\n{{ problem }}")
    with pytest.raises(ConfigError, match=r"plain.md cannot be read: 'utf-8' codec"):
        Prompts(str(tmp_path))
    (tmp_path / "plain.md").unlink()
    (tmp_path / "plain.md").mkdir()
    with pytest.raises(ConfigError, match=r"plain.md cannot be read: "):
        Prompts(str(tmp_path))


def test_copies_are_the_shipped_files_to_the_byte(tmp_path: Path) -> None:
    made = copy_prompt_files(tmp_path / "mine")
    assert {path.stem: path.read_bytes() for path in made} == {
        name: (SHIPPED / f"{name}.md").read_bytes() for name in KINDS
    }
    made[0].unlink()
    with pytest.raises(ConfigError, match="exists already and is not replaced"):
        copy_prompt_files(tmp_path / "mine")
    assert not made[0].exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written to"):
        copy_prompt_files(tmp_path / "file" / "mine")


def test_prompts_go_to_another_process_as_they_are(tmp_path: Path) -> None:
    prompts = own(tmp_path, PLAIN)
    again = pickle.loads(pickle.dumps(prompts))
    assert again.versions == prompts.versions
    assert again.demonstrate("1", instruction=None) == prompts.demonstrate("1", instruction=None)
