"""Parts of the Blocks that a rule keeps for some (`auth.access`): guarded on the server, and shown to nobody else.

A rule keeps what is made or rendered inside of its `with`. What belongs to that is kept with it: an event that reads or
writes a kept component, that only kept components set off, or that follows a kept event; whatever a kept event renders.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.blocks import Block, BlocksConfig
from gradio.layouts import Form
from gradio.routes import App
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auth import Access, AuthError, Identity
from auth.access import Part
from auth.errors import NotPermitted
from auth.events import log_event
from auth.identity import caller, calling, credential_in
from auth.web import Answers
from ui.isolation import gradio_hooks

Rules = tuple[Access, ...]
"""All of them must allow."""
Run = Callable[..., Awaitable[dict[str, Any]]]

_rules: WeakKeyDictionary[Block | BlockFunction, Rules] = WeakKeyDictionary()
_pages: WeakKeyDictionary[gr.Blocks, dict[str, Rules]] = WeakKeyDictionary()


# -- while the Blocks are put together --------------------------------------------------------------------------------


@contextmanager
def kept_part(rule: Access, context: Part | None = None) -> Iterator[Any]:
    """What is made or rendered in here, and in the page, tab or row that is `context`, is kept by `rule`.

    Raises:
        RuntimeError: there are no Blocks here.
    """
    with context or nullcontext() as entered:
        config = gradio_hooks.blocks_here()
        if config is None:
            raise RuntimeError("Access.only() guards what is made in Blocks: put it inside of a `with gr.Blocks()`.")
        if context is config.root_block:
            pages = _pages.setdefault(config.root_block, {})
            page = config.root_block.current_page
            pages[page] = (*pages.get(page, ()), rule)
        elif isinstance(context, Block):
            _keep(context, (rule,))
        with _keeping(config, (rule,)):
            yield entered


@contextmanager
def _keeping(config: BlocksConfig, rules: Rules) -> Iterator[None]:
    """What becomes part of these Blocks in here is kept by `rules`."""
    before: dict[int, Block | BlockFunction] = {**config.blocks}
    functions_before = {**config.fns}
    yield
    for number, block in config.blocks.items():
        if before.get(number) is not block:
            _keep(block, rules)
    for number, function in config.fns.items():
        if functions_before.get(number) is not function:
            _keep(function, rules)


def _keep(made: Block | BlockFunction, rules: Rules) -> None:
    _rules[made] = (*_rules.get(made, ()), *rules)
    for rule in rules:
        if isinstance(made, BlockFunction):
            if made.validator:
                made.validator = rule.only(made.validator)
            continue
        for name in {*dir(type(made)), *vars(made)}:
            if getattr(function := getattr(made, name, None), "_is_server_fn", False):
                setattr(made, name, rule.only(function))


# -- once they are there ----------------------------------------------------------------------------------------------


class Refused(gr.Error):
    """What Gradio tells of an event that its caller may not run."""

    def __init__(self, error: AuthError) -> None:
        super().__init__(error.sentence, title=error.title, print_exception=False)


class KeptBlocks:
    """Mounted Blocks, parts of which may be kept for some. Every question is about who is calling just now."""

    def __init__(self, blocks: gr.Blocks) -> None:
        self.blocks = blocks
        self.functions = blocks.fns
        self._run: Run = blocks.process_api

    def rules_of_page(self, page: str | None) -> Rules:
        return _pages.get(self.blocks, {}).get(page or "", ())

    def rules_of(self, block: Block | None) -> Rules:
        if block is None or block is self.blocks:
            return ()
        return (*_rules.get(block, ()), *self.rules_of_page(_page(block)))

    def block(self, number: int | None, config: BlocksConfig) -> Block | None:
        """As it was made: in a session another of the same number may stand in its place."""
        return self.config.blocks.get(number) or config.blocks.get(number)  # type: ignore[arg-type]

    def rules_of_function(self, function: BlockFunction, config: BlocksConfig) -> Rules:
        """All rules that who runs it must meet. `config` has the components and functions of the caller's session."""
        found = [*_rules.get(function, ()), *self.rules_of_page(_page(function))]
        for block in (*function.inputs, *function.outputs):
            found += self.rules_of(block)
        before = config.fns.get(function.trigger_after) if function.trigger_after is not None else None
        if before:
            set_off_by = [self.rules_of_function(before, config)]
        else:
            set_off_by = [self.rules_of(self.block(number, config)) for number, _ in function.targets]
        if all(set_off_by):
            found += [rule for rules in set_off_by for rule in rules]
        if function.rendered_in:
            rendering = [one for one in config.fns.values() if one.renderable is function.rendered_in]
            found += [rule for one in rendering for rule in self.rules_of_function(one, config)]
        return tuple(dict.fromkeys(found))

    @property
    def rules(self) -> Rules:
        """All there are of the Blocks as they were put together."""
        found = [rule for block in self.blocks.blocks.values() for rule in self.rules_of(block)]
        found += [rule for rules in _pages.get(self.blocks, {}).values() for rule in rules]
        found += [rule for one in self.functions.values() for rule in self.rules_of_function(one, self.config)]
        return tuple(dict.fromkeys(found))

    @property
    def config(self) -> BlocksConfig:
        return self.blocks.default_config

    def hidden_endpoints(self) -> set[str]:
        """The functions that are not for the caller, as addresses of the API name them."""
        functions = self.functions.values()
        return {f"/{one.api_name}" for one in functions if not allowed(self.rules_of_function(one, self.config))}

    # -- events -------------------------------------------------------------------------------------------------------

    async def process_api(
        self,
        block_fn: BlockFunction | int,
        *,
        request: Any = None,
        state: Any = None,
        event_data: Any = None,
        **more: Any,
    ) -> dict[str, Any]:
        """In place of Gradio's own, through which every event comes: run it for its caller, if they may.

        Raises:
            Refused: they may not, or something that it called is not for them.
        """
        config = getattr(state, "blocks_config", self.config)
        function = self.functions[block_fn] if isinstance(block_fn, int) else block_fn
        rules = (*self.rules_of_function(function, config), *self.rules_of(getattr(event_data, "target", None)))
        asking = request[0] if isinstance(request, list) else request
        scope: Scope | None = None if asking is None else getattr(asking, "request", asking).scope  # type: ignore[union-attr]
        credential = credential_in(scope) if scope else caller()
        with calling(credential):
            try:
                for rule in rules:
                    rule.check(credential.identity)
                with _keeping(config, rules) if rules else nullcontext():
                    output = await self._run(
                        block_fn=function, request=request, state=state, event_data=event_data, **more
                    )
            except AuthError as error:
                gradio_hooks.miss_if_probing()  # the event is refused when it runs
                log_event(
                    error.event,
                    f"refused: {function.api_name}: {error}",
                    scope,
                    level=logging.WARNING,
                    reason=str(error),
                    code=error.code,
                    status=error.status,
                    error=type(error).__name__,
                )
                if scope:
                    scope["state"]["refused"] = error.status
                raise Refused(error) from None
            if output.get("render_config"):
                self.prune(output["render_config"], config)
        return output

    # -- what is shown ------------------------------------------------------------------------------------------------

    def prune(self, shown: dict[str, Any], config: BlocksConfig) -> None:
        """Take out of a page's configuration what is not for the caller."""

        def hides(block: Block | None) -> bool:
            if isinstance(block, Form) and block.children:  # put by Gradio around fields that stand together
                return all(map(hides, block.children))
            return not allowed(self.rules_of(block))

        def is_shown(number: int | None) -> bool:
            block = self.block(number, config)
            return number in (None, gradio_hooks.id_of(self.blocks)) or (block is not None and not hides(block))

        def pruned(layout: dict[str, Any]) -> dict[str, Any]:
            if "children" in layout:
                layout["children"] = [pruned(child) for child in layout["children"] if is_shown(child["id"])]
            return layout

        hidden = {number for number, one in config.fns.items() if not allowed(self.rules_of_function(one, config))}
        closed = {page for page in shown["page"] if not allowed(self.rules_of_page(page))}
        shown["components"] = [component for component in shown["components"] if is_shown(component["id"])]
        shown["dependencies"] = [one for one in shown["dependencies"] if one["id"] not in hidden]
        for one in shown["dependencies"]:
            one["targets"] = [target for target in one["targets"] if is_shown(target[0])]
        for component in shown["components"]:
            if component["type"] == "navbar" and component["props"].get("value"):
                entries = component["props"]["value"]
                component["props"]["value"] = [entry for entry in entries if entry[1].strip("/") not in closed]
        if "layout" in shown:
            pruned(shown["layout"])
        if "pages" in shown:
            shown["pages"] = [page for page in shown["pages"] if page[0] not in closed]
        shown["page"] = {name: page for name, page in shown["page"].items() if name not in closed}
        for page in shown["page"].values():
            pruned(page["layout"])
            page["components"] = [number for number in page["components"] if is_shown(number)]
            page["dependencies"] = [number for number in page["dependencies"] if number not in hidden]

    def prune_page(self, shown: dict[str, Any]) -> None:
        """Take out of the configuration of these Blocks, or of one page, what is not for the caller."""
        self.prune(shown, self.config)


def _page(made: Block | BlockFunction) -> str | None:
    """The page that it is on: what is rendered later is where it is rendered, whatever page was made last."""
    return made.rendered_in.page if made.rendered_in else getattr(made, "page", None)


def allowed(rules: Iterable[Access]) -> bool:
    """Whether all of these rules allow who is calling."""
    outcome = caller().outcome
    return all(isinstance(outcome, Identity) and rule.allows(outcome) for rule in rules)


class KeptPages:
    """ASGI middleware, inside of the gate: says for whom a request runs, and refuses pages that are not for them."""

    def __init__(self, app: ASGIApp, *, answers: Answers, kept: KeptBlocks) -> None:
        self._app = app
        self._answers = answers
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 500:
                # Whatever a function raises in an unqueued call Gradio answers with 500.
                message = {**message, "status": scope["state"].get("refused", 500)}
            await send(message)

        asked = [page for name, page in parse_qsl(scope["query_string"].decode("latin-1")) if name == "page"]
        pages = [scope["path"].removeprefix(scope["root_path"]).strip("/"), *asked]
        with calling(credential_in(scope)):
            if all(allowed(self._kept.rules_of_page(page)) for page in pages):
                await self._app(scope, receive, sent)
            else:
                await self._answers.to(NotPermitted("a page", actual=pages), scope)(scope, receive, send)


def keep_parts(mounted: App, answers: Answers) -> KeptBlocks:
    """Have mounted Blocks run each event for its caller alone, and guard what is kept for some."""
    kept = KeptBlocks(mounted.get_blocks())
    gradio_hooks.run_events_by(mounted, kept.process_api)
    if rules := kept.rules:

        def view() -> Rules:
            return tuple(rule for rule in rules if allowed((rule,)))

        def view_of(request: Request) -> set[str]:
            with calling(credential_in(request.scope)):
                return kept.hidden_endpoints()

        gradio_hooks.show_by_view(
            mounted, view=view, prune=kept.prune_page, hidden=kept.hidden_endpoints, hidden_from=view_of
        )
    mounted.user_middleware.append(Middleware(KeptPages, answers=answers, kept=kept))
    mounted.add_exception_handler(AuthError, answers.to_exception)  # of what a component calls on the server
    return kept


Access.guard_part = staticmethod(kept_part)
