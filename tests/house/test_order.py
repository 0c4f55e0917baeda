"""Imports run down the wings, never up, and take from a wing what its `__init__` hands on."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = (
    ("app",),
    ("ui",),
    ("auth.routes",),
    ("auth.assembly",),
    ("auth.gate",),
    ("auth.people", "auth.programs", "auth.local"),
    ("auth.keys",),
    ("auth.sessions", "auth.web"),
    ("auth.settings",),
    ("auth.access", "auth.events"),
    ("auth.identity",),
    ("auth.errors", "auth.urls", "auth.environment", "auth.pauses"),
)
"""The wings and the modules beside them, floor by floor. What stands on one floor does not know the rest of it."""
INSIDE_UI = (
    ("ui.mount",),
    ("ui.main", "ui.login", "ui.mcp", "ui.blocks"),
    ("ui.look", "ui.arguments"),
    ("ui.isolation", "ui.serving"),
)
FACADE = "auth"
"""`auth/__init__.py` hands on names of every floor. Only what stands above `auth` may take them from there."""


def test_every_module_has_its_place_and_every_place_a_module() -> None:
    places = {place for floor in ORDER for place in floor}
    assert {place_of(module) for module in modules(ROOT) if module not in (FACADE, "ui")} == places
    assert {place_of(module, INSIDE_UI) for module in modules(ROOT) if module.startswith("ui.")} == {
        place for floor in INSIDE_UI for place in floor
    }


def test_each_wing_says_in_a_sentence_what_it_is_for() -> None:
    for wing in [ROOT / "ui", *(path.parent for path in (ROOT / "auth").glob("*/__init__.py"))]:
        sentence = ast.get_docstring(ast.parse((wing / "__init__.py").read_text("utf-8")))
        assert sentence and sentence.splitlines()[0].endswith("."), wing


def test_imports_run_down_the_wings() -> None:
    assert list(faults(ROOT)) == []


@pytest.mark.parametrize(
    ("module", "line", "fault"),
    [
        ("auth/settings.py", "from auth.web import header", "auth.settings looks up to auth.web"),
        ("auth/keys/jwk.py", "from auth.people import Provider", "auth.keys looks up to auth.people"),
        ("auth/people/admission.py", "import auth.programs", "auth.people looks across to auth.programs"),
        ("auth/web/pages.py", "def later():\n    from auth.gate import Gate", "auth.web looks up to auth.gate"),
        ("auth/gate/gate.py", "from auth import Identity", "auth.gate looks up to auth"),
        ("auth/gate/gate.py", "from auth.web.headers import header", "auth.gate reaches past auth.web for header"),
        ("ui/login.py", "import app", "ui looks up to app"),
        ("ui/look.py", "from ui.mount import mount_main", "ui.look looks up to ui.mount"),
        ("ui/main.py", "from auth.gate.dependencies import JWTBearer", "ui reaches past auth.gate for JWTBearer"),
    ],
)
def test_an_import_that_runs_up_is_found(tmp_path: Path, module: str, line: str, fault: str) -> None:
    for path in sources(ROOT):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    with (tmp_path / module).open("a", encoding="utf-8") as copy:
        copy.write(f"\n{line}\n")
    assert [found for _, found in faults(tmp_path)] == [fault]


def sources(root: Path) -> list[Path]:
    return [root / "app.py", *sorted((root / "auth").rglob("*.py")), *sorted((root / "ui").rglob("*.py"))]


def modules(root: Path) -> dict[str, Path]:
    named = {".".join(path.relative_to(root).with_suffix("").parts): path for path in sources(root)}
    return {name.removesuffix(".__init__"): path for name, path in named.items()}


def place_of(module: str, order: tuple[tuple[str, ...], ...] = ORDER) -> str | None:
    """The wing, or the module beside the wings, that a module belongs to."""
    return next((place for floor in order for place in floor if f"{module}.".startswith(f"{place}.")), None)


def floor_of(place: str, order: tuple[tuple[str, ...], ...]) -> int:
    return next(number for number, floor in enumerate(order) if place in floor)


def imports(source: str) -> Iterator[tuple[str, str]]:
    """Each module imported, and each name imported from it ("" for the module as a whole)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def faults(root: Path) -> Iterator[tuple[str, str]]:
    """Each import that breaks the order, as the module it stands in and what is wrong."""
    known = modules(root)
    handed_on = {
        module: {name for _, name in imports(path.read_text("utf-8"))}
        for module, path in known.items()
        if path.name == "__init__.py" and module not in (FACADE, "ui")
    }
    for module, path in known.items():
        if module == FACADE:
            continue
        for imported, name in imports(path.read_text("utf-8")):
            whole = f"{imported}.{name}" if f"{imported}.{name}" in known else imported
            if whole.partition(".")[0] not in ("app", "auth", "ui"):
                continue
            for order in (ORDER, INSIDE_UI):
                here, there = place_of(module, order), place_of(whole, order)
                if here and whole == FACADE and here.startswith("auth"):
                    yield module, f"{here} looks up to {FACADE}"
                elif here and there and here != there:
                    above, below = floor_of(here, order), floor_of(there, order)
                    if below <= above:
                        yield module, f"{here} looks {'up' if below < above else 'across'} to {there}"
            wing = whole.rpartition(".")[0]
            if wing in handed_on and not module.startswith(wing) and name in handed_on[wing]:
                yield module, f"{place_of(module)} reaches past {wing} for {name}"


MADE_BY_AUTHLIB = {"auth.local.token_endpoint", "auth.local.provider", "auth.local.cognito"}
"""OAuth servers: their protocol's errors are Authlib's to answer."""


def test_errors_become_http_in_one_module() -> None:
    """Elsewhere nothing makes an answer with the status of an error, and every exception of `auth` is in one tree."""
    for module, path in modules(ROOT).items():
        if module in ("auth.web.answers", "ui.isolation.middleware") or module in MADE_BY_AUTHLIB:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and (getattr(node.func, "id", "") or "").endswith("Response"):
                said = [*node.args[:2], *(keyword.value for keyword in node.keywords if keyword.arg == "status_code")]
                statuses = [value.value for value in said if isinstance(value, ast.Constant)]
                assert not [status for status in statuses if isinstance(status, int) and status >= 400], module
            if isinstance(node, ast.ClassDef):
                assert "HTTPException" not in [getattr(base, "id", "") for base in node.bases], (module, node.name)
