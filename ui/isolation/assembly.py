"""The parts of the isolation of one mounted app, put together."""

from collections.abc import Callable
from functools import partial

from gradio.route_utils import XSS_SAFE_MIMETYPES
from gradio.routes import App
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import Scope

from auth.errors import AuthError
from auth.identity import credential_in
from ui.isolation import gradio_hooks
from ui.isolation.files import Files
from ui.isolation.limits import Limits
from ui.isolation.middleware import Isolation
from ui.isolation.rooms import Rooms
from ui.isolation.routes import Judge


def rooms_of(secret_key: str) -> Rooms:
    """To be asked for before Blocks are built: they are put together in its shared room."""
    return Rooms(gradio_hooks.hooks().root, secret_key=secret_key)


def isolate(
    app: App, rooms: Rooms, *, refuse: Callable[[AuthError, Scope], Response], limits: Limits
) -> Callable[[], str | None]:
    """Have mounted Blocks answer every request, and run every event, in its caller's room.

    Args:
        refuse: the answer to what is refused.

    Returns:
        What says why events are not run just now; None where they are.
    """
    gradio_hooks.isolate_events(
        app, rooms, limits=limits, is_still_valid=lambda request: credential_in(request.scope).is_still_valid()
    )
    gradio_hooks.shorten_search(app)
    has_links = gradio_hooks.has_deep_links(app)
    app.user_middleware.append(
        Middleware(
            Isolation,
            refuse=refuse,
            rooms=rooms,
            judge=Judge((page for page, *_ in app.get_blocks().pages), in_space=gradio_hooks.is_in_space()),
            files=Files(
                folders=partial(gradio_hooks.served_folders, app),
                is_asset=gradio_hooks.hooks().assets.__contains__,
                shown=XSS_SAFE_MIMETYPES,
            ),
            limits=limits,
            make_link=partial(gradio_hooks.make_deep_link, app, rooms) if has_links else None,
            forget_upload=gradio_hooks.forget_upload,
        )
    )
    return partial(gradio_hooks.queue_problem, app)
