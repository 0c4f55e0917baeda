"""What every page of the app looks like, and what the host puts around whatever Blocks `ui/main.py` holds."""

import json
from pathlib import Path
from typing import Any

import gradio as gr

from auth.web import TEMPLATES

STATIC = Path(__file__).parent / "static"
ICON = STATIC / "favicon.ico"

SHOW_AS_TEXT = """
const show = () => { element.firstElementChild.textContent = props.value ?? ""; };
watch("value", show);
show();
"""


def main_look(*, title: str, prefix: str, programs: bool, pwa: bool) -> dict[str, Any]:
    """Options of `gr.mount_gradio_app` for the Blocks behind the gate: theme, account bar, session watch.

    Args:
        title: the app's name, shown in the bar as text.
        prefix: the path of `PUBLIC_URL`, without a slash at its end: "" or "/app".
        programs: people may connect programs, and so end that.
        pwa: browsers may offer to install the app.
    """
    given = script_json({"title": title, "prefix": prefix, "programs": programs})
    script = f"{_static('account.js')}({given});"
    if pwa:  # Gradio's link leads to the manifest of whatever is at the root
        script += f'document.querySelector("link[rel=manifest]").href = {script_json(f"{prefix}/manifest.json")};'
    return {"theme": _theme(), "head": _head(_static("account.css"), prefix) + f"<script>{script}</script>"}


def sign_in_look() -> dict[str, Any]:
    """Options of `gr.mount_gradio_app` for the sign-in Blocks."""
    return {"theme": _theme()}


def sign_in_css() -> str:
    """The look of the plain pages, and how the sign-in page differs."""
    return (TEMPLATES / "look.css").read_text("utf-8") + _static("sign_in.css")


def heading(text: str = "") -> gr.HTML:
    """A heading for events to write to. Whatever they write is shown as text, markup and template marks included."""
    return gr.HTML(text, html_template="<h1></h1>", js_on_load=SHOW_AS_TEXT, elem_classes="as-text")


def _static(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


def _head(css: str, prefix: str) -> str:
    return f'<link rel="icon" href="{prefix}/favicon.ico"><style>{css}</style>'


def script_json(value: object) -> str:
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(value).replace("<", "\\u003c")


def _theme() -> gr.Theme:
    """Gradio's default with the colours of `look.css`, fonts that are on the device, and text that meets WCAG AA."""
    return gr.themes.Default(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    ).set(
        body_background_fill="*neutral_100",
        body_text_color_subdued="*neutral_600",
        block_title_text_color="*neutral_600",
        block_label_text_color="*neutral_600",
        input_border_color="*neutral_500",
        input_border_color_dark="*neutral_500",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
