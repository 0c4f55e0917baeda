"""Blocks of which parts are kept for some: a tab, a page, single functions of every kind, and what is rendered later.

Everything that is kept says `SECRET` somewhere, and each function that runs says so in `RAN`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import gradio as gr

from auth import Access, identity_of

SECRET = "hush-hush"
RAN: list[str] = []


def ran(what: str) -> str:
    RAN.append(what)
    return f"{SECRET} {what}"


def kept_blocks() -> gr.Blocks:
    admins = Access(groups=["admins"])
    staff = Access(groups=["staff", "admins"])

    @admins.only
    def plain(text: str, request: gr.Request, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008
        progress(0.5)
        return ran(f"plain {text} {identity_of(request).subject}")

    @admins.only
    async def later(text: str) -> str:
        return ran(f"later {text}")

    @admins.only
    def results(text: str) -> Iterator[str]:
        for number in (1, 2):
            yield ran(f"results {text} {number}")

    @admins.only
    async def results_later(text: str) -> AsyncIterator[str]:
        for number in (1, 2):
            yield ran(f"results_later {text} {number}")

    @admins.only
    def batched(texts: list[str]) -> list[list[str]]:
        time.sleep(0.1)
        return [[ran(f"batched {text}") for text in texts]]

    @admins.only
    @gr.cache
    def cached(text: str) -> str:
        return ran(f"cached {text}")

    def calls_a_kept_one(text: str) -> str:
        return str(admins.only(lambda: ran(f"within {text}"))())

    def anybodys(text: str) -> str:
        return f"for all: {text}"

    def anybodys_with_target(text: str, event: gr.EventData) -> str:
        return str(getattr(event.target, "value", None))

    def component_server(sent: Any) -> str:
        return ran(f"component_server {sent}")

    def in_part(text: str) -> str:
        return ran(f"in_part {text}")

    def check(text: str) -> dict[str, Any]:
        return gr.validate(bool(ran(f"check {text}")), SECRET)

    def remember(text: str, state: list[str]) -> tuple[str, list[str]]:
        return ran(f"remember {state}"), [*state, text]

    with gr.Blocks() as demo:
        gr.Navbar(value=[("To admin", "admin"), ("Elsewhere", "https://example.com/admin")])
        text = gr.Textbox("hello", label="Text")
        answer = gr.Textbox(label="Answer")
        for function in (
            plain,
            later,
            results,
            results_later,
            cached,
            calls_a_kept_one,
            anybodys,
            anybodys_with_target,
        ):
            gr.Button(function.__name__).click(function, text, answer)
        gr.Button("batched").click(batched, text, answer, batch=True, max_batch_size=4)
        gr.Button("unqueued").click(plain, text, answer, queue=False, api_name="unqueued")

        gr.DeepLinkButton()
        with admins.only(gr.Tab("Vault")):
            kept = gr.Textbox(SECRET, label="Kept")
            state = gr.State([SECRET])
            gr.Button("in_part").click(in_part, text, answer)
            gr.Button("part_unqueued").click(in_part, text, answer, queue=False, api_name="part_unqueued")
            gr.Button("validated").click(in_part, text, answer, validator=check, api_name="validated")
            gr.HTML(f"<b>{SECRET}</b>", elem_id="vault-server", server_functions=[component_server])
            gr.Examples([[f"{SECRET} example"]], kept, answer, in_part, cache_examples=False, run_on_click=True)
            gr.api(in_part, api_name="part_api")
            demo.load(in_part, text, kept, api_name="part_load")
        with admins.only():
            wipe = gr.Button("Wipe")
            tick = gr.Textbox(lambda: ran("value"), label="Computed")
        wipe.click(in_part, text, answer, api_name="outside").then(in_part, text, answer, api_name="follows")
        gr.Button("writes").click(in_part, text, kept, api_name="writes")
        gr.Button("reads").click(lambda value: value, kept, answer, api_name="reads")
        gr.Button("remembers").click(remember, [text, state], [answer, state], api_name="remembers")
        gr.on([text.submit, wipe.click], anybodys, text, answer, api_name="either")

        @gr.render(inputs=text)
        def rendered(value: str) -> None:
            gr.Markdown(f"rendered {value}")
            with admins.only():
                gr.Textbox(f"{SECRET} rendered", label="Rendered")
                gr.Button("Rendered").click(in_part, text, answer, api_name="rendered_kept")
            gr.Button("Rendered for all").click(anybodys, text, answer, api_name="rendered_open")

        with admins.only():

            @gr.render(inputs=text)
            def rendered_in_part(value: str) -> None:
                gr.Textbox(f"{SECRET} {value}", label="Rendered in part")
                gr.Button("Rendered in part").click(in_part, text, answer, api_name="rendered_in_part")

    with staff.only(demo.route("Staff", "/staff")):
        gr.Markdown(f"{SECRET} staff")
        staff_text = gr.Textbox(label="Staff text")
        gr.Button("staff").click(in_part, staff_text, staff_text, api_name="staff")
        with admins.only():
            gr.Button("both").click(in_part, staff_text, staff_text, api_name="both")

    with demo.route("Open", "/open"):
        gr.Markdown("open to all")

    with admins.only(demo.route("Admin", "/admin")):
        gr.Markdown(f"{SECRET} admin")
        admin_text = gr.Textbox(SECRET, label="Admin text")
        gr.Button("admin").click(in_part, admin_text, admin_text, api_name="admin")

    assert tick.value is not None
    return demo
