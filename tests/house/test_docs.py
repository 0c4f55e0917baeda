"""Settings, .env.example and the page about them agree, and what the README tells people to type is what works."""

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from auth.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
DEPLOY = ROOT / "deploy"
PAGES = [README, *((DEPLOY / f"{name}.md").read_text("utf-8") for name in ("SETTINGS", "PROVIDERS", "EXISTING_APP"))]
SETTINGS = PAGES[1]
README_LINES = 250
NAMES = {name.upper() for name in Settings.model_fields}


def test_env_example_lists_each_setting_and_no_other() -> None:
    assert set(dotenv_values(ROOT / ".env.example")) == NAMES


def test_each_setting_in_env_example_has_a_line_of_help_above() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    for number, line in enumerate(lines):
        if "=" in line and not line.startswith("#"):
            helped = [above for above in lines[:number] if above.startswith("#") or not above]
            assert helped[-1].startswith("# "), line


def test_env_example_as_it_stands_is_what_nothing_configured_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_bytes((ROOT / ".env.example").read_bytes())
    monkeypatch.chdir(tmp_path)
    copied = Settings()
    (tmp_path / ".env").unlink()
    assert copied == Settings()
    assert copied.problems() == []


def test_the_table_of_settings_names_each_setting_and_no_other() -> None:
    first_cells = [row.split("|")[1] for row in SETTINGS.splitlines() if row.startswith("| `")]
    named = set(re.findall(r"`([A-Z_]+)`", " ".join(first_cells)))
    assert named == NAMES


def test_the_table_of_settings_gives_the_defaults_of_the_settings() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    for row in SETTINGS.splitlines():
        for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1]) if row.startswith("| `") else []:
            default = defaults[name.lower()]
            if default not in ("", (), None) and "SECRET" not in name:
                shown = f"{default:g}" if isinstance(default, float) else str(default)
                assert shown.lower() in row.split("|")[3].lower(), name


@pytest.mark.parametrize("command", ["make run", "make test", "make lint"])
def test_readme_names_commands_that_the_makefile_has(command: str) -> None:
    assert command in README
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_the_readme_takes_five_minutes() -> None:
    assert README.count("\n") <= README_LINES


def test_python_examples_compile() -> None:
    examples = [example for page in PAGES for example in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
    assert examples
    for example in examples:
        compile(example, "README.md", "exec")


def test_every_picture_page_and_setting_that_is_named_is_there() -> None:
    for text in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("http") or (ROOT / target).is_file(), target
        for page in re.findall(r"`((?:auth|deploy|ui)/[\w./]+)`", text):
            assert (ROOT / page).exists(), page
    owners = "|".join(sorted({name.partition("_")[0] for name in NAMES if "_" in name}))
    for name in re.findall(rf"`((?:{owners})_[A-Z_]+)(?:=[^`]*)?`", README):
        assert name in NAMES, name


def test_every_module_has_a_row_in_the_plan_of_its_wing() -> None:
    plan = (ROOT / "auth" / "README.md").read_text("utf-8").partition("## One request")[0]
    for wing in (path.parent for path in [*ROOT.glob("auth/*/__init__.py"), *ROOT.glob("ui/*/__init__.py")]):
        (row,) = re.findall(rf"^\| `{wing.parent.name}/{wing.name}/` \|(.*)$", plan, re.MULTILINE)
        named = set(re.findall(r"`(\w+)`", row))
        assert named >= {path.stem for path in wing.glob("*.py")} - {"__init__"}, wing
