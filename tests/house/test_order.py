"""Imports run down the wings, never up, and take from a wing what its `__init__` hands on."""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = (
    ("app",),
    ("ui",),
    ("auth.routes",),
    ("auth.assembly",),
    ("auth.gate",),
    ("auth.people", "auth.programs", "auth.grants", "auth.local"),
    ("auth.keys", "auth.oauth"),
    ("auth.sessions", "auth.web"),
    ("auth.settings",),
    ("auth.providers", "auth.access", "auth.events"),
    ("auth.identity",),
    ("auth.errors", "auth.urls", "auth.environment", "auth.findings", "auth.pauses", "auth.content_policy"),
)
"""The wings and the modules beside them, floor by floor. What stands on one floor does not know the rest of it."""
INSIDE_UI = (
    ("ui.mount",),
    ("ui.main", "ui.login", "ui.mcp", "ui.blocks"),
    ("ui.look", "ui.access", "ui.arguments", "ui.policy"),
    ("ui.isolation", "ui.serving"),
)
LIBRARIES = {"gradio": ("app", "ui"), "gradio_client": ("app", "ui"), "authlib": ("auth",), "joserfc": ("auth",)}
"""Who alone may import them."""


def test_every_module_has_its_place_and_every_place_a_module() -> None:
    places = {place for floor in ORDER for place in floor}
    assert {place_of(module) for module in modules(ROOT) if module not in ("auth", "ui")} == places
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
        ("auth/settings.py", "from .web import header", "auth.settings looks up to auth.web"),
        ("auth/settings.py", "from . import web", "auth.settings looks up to auth.web"),
        ("auth/keys/jwk.py", "from auth.people import Provider", "auth.keys looks up to auth.people"),
        ("auth/keys/jwk.py", "from ..people.id_token import HOUR as h", "auth.keys looks up to auth.people"),
        ("auth/keys/jwk.py", "import auth.people.provider as p", "auth.keys looks up to auth.people"),
        ("auth/keys/jwk.py", "import auth.errors\nauth.people.Provider", "auth.keys looks up to auth.people"),
        ("auth/keys/jwk.py", "import_module('auth.people.provider')", "auth.keys looks up to auth.people"),
        ("auth/keys/jwk.py", "__import__('auth.people')", "auth.keys looks up to auth.people"),
        ("auth/keys/jwk.py", "sys.modules['auth.people']", "auth.keys looks up to auth.people"),
        ("auth/keys/jwk.py", "resolve_name('auth.people:Provider')", "auth.keys looks up to auth.people"),
        ("auth/keys/jwk.py", "importlib.import_module('..people', __package__)", "auth.keys hides what it imports"),
        ("auth/keys/jwk.py", "importlib.import_module(f'auth.{name}')", "auth.keys hides what it imports"),
        ("auth/people/admission.py", "import auth.programs", "auth.people looks across to auth.programs"),
        ("auth/web/pages.py", "def later():\n    from auth.gate import Gate", "auth.web looks up to auth.gate"),
        ("auth/web/pages.py", "if TYPE_CHECKING:\n    from auth.gate import Gate", "auth.web looks up to auth.gate"),
        ("auth/gate/gate.py", "from auth import Identity", "auth.gate.gate looks up to auth"),
        ("auth/gate/gate.py", "import auth", "auth.gate.gate looks up to auth"),
        ("auth/gate/gate.py", "from auth.gate import JWTBearer", "auth.gate.gate looks up to auth.gate"),
        ("auth/gate/gate.py", "from auth.web.headers import header", "auth.gate reaches past auth.web for header"),
        ("auth/gate/gate.py", "from auth.web.headers import *", "auth.gate reaches past auth.web for *"),
        ("auth/gate/gate.py", "import auth.web.headers as h\nh.header", "auth.gate reaches past auth.web for header"),
        (
            "auth/gate/gate.py",
            "from auth.web import headers\nheaders.header",
            "auth.gate reaches past auth.web for header",
        ),
        ("auth/gate/gate.py", "from tests.support.clock import Clock", "auth.gate looks up to tests"),
        ("auth/gate/gate.py", "import gradio.routes", "auth.gate imports gradio"),
        ("ui/look.py", "from authlib.jose import jwt", "ui imports authlib"),
        ("ui/login.py", "import app", "ui looks up to app"),
        ("ui/login.py", "from ui import main_blocks", "ui.login looks up to ui"),
        ("ui/look.py", "from ui.mount import mount_main", "ui.look looks up to ui.mount"),
        ("ui/main.py", "from auth.gate.dependencies import JWTBearer", "ui reaches past auth.gate for JWTBearer"),
    ],
)
def test_an_import_that_breaks_the_order_is_found(tmp_path: Path, module: str, line: str, fault: str) -> None:
    for path in sources(ROOT):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    with (tmp_path / module).open("a", encoding="utf-8") as copy:
        copy.write(f"\n{line}\n")
    assert set(faults(tmp_path)) == {fault}


def sources(root: Path) -> list[Path]:
    return [root / "app.py", *sorted((root / "auth").rglob("*.py")), *sorted((root / "ui").rglob("*.py"))]


def modules(root: Path) -> dict[str, Path]:
    named = {".".join(path.relative_to(root).with_suffix("").parts): path for path in sources(root)}
    return {name.removesuffix(".__init__"): path for name, path in named.items()}


def is_in(module: str, place: str) -> bool:
    return f"{module}.".startswith(f"{place}.")


def place_of(module: str, order: tuple[tuple[str, ...], ...] = ORDER) -> str | None:
    """The wing, or the module beside the wings, that a module belongs to."""
    return next((place for floor in order for place in floor if is_in(module, place)), None)


def floor_of(place: str, order: tuple[tuple[str, ...], ...]) -> int:
    return next(number for number, floor in enumerate(order) if place in floor)


HIDDEN = "?"


@cache
def imports(source: str, package: str, known: frozenset[str]) -> frozenset[tuple[str, str]]:
    """Each module that another one names, and the name taken from it ("" for the module as a whole).

    A string that is the name of one counts: whatever it is handed to can import it. So does a way through what was
    imported (`auth.people` after `import auth.errors`). An import of a name that is worked out is `HIDDEN`.
    """
    found: set[tuple[str, str]] = set()
    bound: dict[str, str] = {}
    nodes = [*ast.walk(ast.parse(source))]
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                bound |= {alias.asname: alias.name} if alias.asname else {top: top}
                found.add((alias.name, ""))
        elif isinstance(node, ast.ImportFrom):
            whole = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                if f"{whole}.{alias.name}" in known:
                    bound[alias.asname or alias.name] = f"{whole}.{alias.name}"
                    found.add((f"{whole}.{alias.name}", ""))
                else:
                    found.add((whole, alias.name))
    for node in nodes:
        if isinstance(node, ast.Attribute):
            root, *rest = dotted(node)
            if root in bound:
                found.add(parted([*bound[root].split("."), *rest], known))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = node.value.partition(":")[0]
            if "." in named and named in known:
                found.add((named, ""))
        elif isinstance(node, ast.Call) and dotted(node.func)[-1] in ("import_module", "__import__"):
            said = node.args[0] if node.args else None
            plain = isinstance(said, ast.Constant) and not str(said.value).startswith(".")
            found.add((str(said.value) if plain else HIDDEN, ""))  # type: ignore[union-attr]
    return frozenset(found)


def dotted(node: ast.expr) -> list[str]:
    """The parts of `a.b.c`; a first one that is no name is empty."""
    if isinstance(node, ast.Attribute):
        return [*dotted(node.value), node.attr]
    return [node.id if isinstance(node, ast.Name) else ""]


def parted(parts: list[str], known: frozenset[str]) -> tuple[str, str]:
    """The module at the beginning of a dotted name, and the name after it."""
    long = next((length for length in range(len(parts), 0, -1) if ".".join(parts[:length]) in known), 1)
    return ".".join(parts[:long]), (parts[long : long + 1] or [""])[0]


def imported_by(root: Path) -> dict[str, frozenset[tuple[str, str]]]:
    known = modules(root)
    return {
        module: imports(
            path.read_text("utf-8"),
            module if path.name == "__init__.py" else module.rpartition(".")[0],
            frozenset(known),
        )
        for module, path in known.items()
    }


def faults(root: Path) -> Iterator[str]:
    """Each import that breaks the order."""
    imported = imported_by(root)
    handed_on = {
        module: {name for _, name in imported[module] if name}
        for module, path in modules(root).items()
        if path.name == "__init__.py" and module not in ("auth", "ui")
    }
    for module in imported:
        if module == "auth":  # hands on names of every floor, to what stands above `auth`
            continue
        here = place_of(module)
        for whole, name in imported[module]:
            top = whole.partition(".")[0]
            if whole == HIDDEN:
                yield f"{here} hides what it imports"
            elif top == "tests":
                yield f"{here} looks up to tests"
            elif top in LIBRARIES and module.partition(".")[0] not in LIBRARIES[top]:
                yield f"{here} imports {top}"
            if top not in ("app", "auth", "ui"):
                continue
            if module != whole and is_in(module, whole):
                yield f"{module} looks up to {whole}"
            for order in (ORDER, INSIDE_UI):
                above, below = place_of(module, order), place_of(whole, order)
                if above and below and above != below and floor_of(below, order) <= floor_of(above, order):
                    across = floor_of(below, order) == floor_of(above, order)
                    yield f"{above} looks {'across' if across else 'up'} to {below}"
            wing = whole.rpartition(".")[0]
            if wing in handed_on and not is_in(module, wing) and name in {*handed_on[wing], "*"}:
                yield f"{here} reaches past {wing} for {name}"


MADE_BY_AUTHLIB = {"auth.local.provider", "auth.local.cognito"}
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


def private_names(source: str) -> list[str]:
    """Attributes that others keep to themselves."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]
    others = [node.attr for node in nodes if getattr(node.value, "id", "") not in ("self", "cls")]
    return [name for name in others if name.startswith("_") and not name.endswith("__")]


def test_what_is_private_to_gradio_is_named_in_one_place() -> None:
    assert private_names("blocks._queue") == ["_queue"]
    found = [path.parent for path in Path(ROOT, "ui").rglob("*.py") if private_names(path.read_text("utf-8"))]
    assert set(found) == {Path(ROOT, "ui/isolation/gradio_hooks")}
