"""The sign-in page: what the app is called, a button for each provider, and why the last try failed."""

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

import gradio as gr

from ui.look import STATIC, script_json


def login_blocks(
    *, title: str, providers: Sequence[tuple[str, str]], prefix: str, reasons: Mapping[str, str]
) -> gr.Blocks:
    """The Blocks mounted at `/login-demo`. It has no events: a browser only ever reads it.

    Its address may carry `reason`, a key of `reasons` or "session_ended", and `next`, which is handed on to `/login`.

    Args:
        title: the app's name.
        providers: name and label of each, in the order shown.
        prefix: the path of `PUBLIC_URL`, without a slash at its end.
        reasons: the sentence for each code.
    """
    buttons = "\n".join(_button(name, label, prefix) for name, label in providers)
    how = "Choose how to continue." if len(providers) > 1 else "Please sign in to continue."
    sentences = {"session_ended": "Your session has ended. Please sign in again."} | dict(reasons)
    card = f"""
        <section class="card" aria-labelledby="sign-in">
          <p class="app-title">{escape(title)}</p>
          <h1 id="sign-in">Sign in</h1>
          <p>{how}</p>
          <p class="notice" role="alert" hidden></p>
          <nav class="actions column" aria-label="Sign in with">{buttons}</nav>
        </section>"""
    script = f"const reasons = {script_json(sentences)};\n{(STATIC / 'sign_in.js').read_text('utf-8')}"
    blocks = gr.Blocks(title=f"Sign in · {title}", analytics_enabled=False)
    with blocks:
        # As the value, not as the template: Gradio runs what stands in a template.
        gr.HTML(card, js_on_load=script, apply_default_css=False)
    return blocks


def _button(name: str, label: str, prefix: str) -> str:
    href = escape(f"{prefix}/login?provider={quote(name, safe='')}")
    text = f"<span>Sign in with {escape(label)}</span>"
    if name == "google":
        return f'<a class="google" href="{href}">{(STATIC / "google.svg").read_text("utf-8")}{text}</a>'
    return f'<a class="button quiet" href="{href}">{text}</a>'
