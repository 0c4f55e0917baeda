"""A Gradio app that people enter with Google and programs with a Cognito token: `python app.py` serves it."""

import argparse
import gc
import logging
import os
import signal
import sys
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if __name__ == "__main__":  # Ctrl-C while the rest is imported, which takes seconds, ends it without a traceback
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(128 + number))
    gc.disable()  # until all is imported: none of it is garbage, and looking takes a fifth of the time


def _say_what_to_install(error: ImportError) -> NoReturn:
    """A library is missing, or has another version than it ought to have."""
    needs = Path(__file__).with_name("requirements.txt")
    sys.exit(f"The app was not started. {error}. Install what it needs: {sys.executable} -m pip install -r {needs}")


try:
    from fastapi import FastAPI
    from uvicorn.config import STARTUP_FAILURE

    from auth import Auth, NotStarted, Settings, SettingsError
    from auth.routes import api_routes, docs_routes, health_routes, sign_in_routes, way_routes
    from ui.serving import (
        Stopping,
        check,
        say_loading,
        say_started,
        serve,
        sharing_workers,
        start_log,
        taken_port,
        token_command,
    )
except ImportError as error:
    if __name__ != "__main__":
        raise
    _say_what_to_install(error)

if TYPE_CHECKING:
    from ui.arguments import Main


def create_app(settings: Settings | None = None, *, stopping: Stopping | None = None) -> FastAPI:
    """The whole app, from these settings or those of the environment.

    Args:
        stopping: says when streams have to end, for a server that can tell.

    Raises:
        SettingsError: with every problem that the settings have.
        BlocksError: the file that they name holds no app.
    """
    if several := sharing_workers():
        sys.stderr.write(f"{several}\n")
        sys.exit(STARTUP_FAILURE)

    # Here: mistakes are said before Gradio is imported, which takes seconds.
    from ui.mount import front_routes, load_main, mount_main, mount_sign_in

    gc.freeze()  # what is imported stays
    gc.enable()
    settings = (settings or Settings.load()).completed()
    if settings.metrics:  # before your file runs: beside it may lie modules with the names of these
        from ui.serving.metrics import metrics_routes
    main = load_main(settings)  # your app, and how it asks to be launched
    auth = Auth(main.configured(settings))
    app = FastAPI(
        title=auth.settings.app_title,
        lifespan=auth.lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # Starlette's own redirect is made from the Host header and comes before the gate
    )
    auth.identify_callers(app)  # the layers: public address, session cookie, who is calling; errors into answers
    # What is asked for most comes first, and not by include_router(): FastAPI looks through included routes twice.
    queue = mount_main(app, auth, stopping or Stopping(), main)  # /gradio/: the main Blocks, gated
    app.router.routes += api_routes(scopes=auth.settings.api_scopes).routes  # /user/me /secure
    app.router.routes += health_routes(readiness=auth.readiness)  # /healthz /readyz
    mount_sign_in(app, auth)  # /login-demo/: the sign-in Blocks
    app.include_router(  # / /login-demo /gradio /favicon.ico /logo /manifest.json
        front_routes(auth.site, main, logo=auth.settings.app_logo)
    )
    app.include_router(sign_in_routes(auth))  # /login /auth /logout, and where programs may come /oauth /.well-known
    app.include_router(way_routes(auth.settings))  # /healthz/way: what is in front of the app, for its own check
    app.include_router(docs_routes(app, site=auth.site, pages=auth.pages))  # /docs /openapi.json
    app.mount("/local", auth.local)  # on this machine only: people and tokens where none are configured
    if settings.metrics:
        app.include_router(metrics_routes(auth, queue=queue))  # /metrics
    return app


def main() -> None:
    """`python app.py`, and what may follow it."""
    if sys.argv[1:2] == ["token"]:  # python app.py token --url ADDRESS
        sys.exit(token_command(sys.argv[2:]))
    parser = argparse.ArgumentParser(usage="python app.py [FILE ...]", description=__doc__)
    own = list(takewhile(lambda argument: argument.startswith("-"), sys.argv[1:]))
    parser.add_argument("--check", action="store_true", help="look for mistakes, here and at the providers, and end")
    parser.add_argument("--json", action="store_true", help="with --check: for machines")
    options = parser.parse_args(own)
    file = sys.argv[1 + len(own) : 2 + len(own)]
    del sys.argv[1 : 2 + len(own)]  # what else there is, is the file's own
    if options.check:
        sys.exit(check(file=file[0] if file else None, as_json=options.json, load=_load_main))
    stopping = Stopping()
    try:
        settings = Settings.load()
        if file:
            settings = settings.model_copy(update={"blocks": Path(file[0])})
        start_log(access=settings.access_log)
        if taken := taken_port(settings.host, settings.port):
            sys.exit(taken)
        say_loading()
        app = create_app(settings, stopping=stopping)
    except SettingsError as error:
        mistakes = "\n".join(f"  - {problem}" for problem in error.problems)
        sys.exit(_stop(f"The app was not started. Please mend in the environment or in .env:\n{mistakes}"))
    except NotStarted as error:
        sys.exit(_stop(f"The app was not started. {error}"))
    serve(
        app,
        stopping,
        when_started=partial(say_started, settings),
        host=settings.host,
        port=settings.port,
        proxy_headers=False,  # a layer of the app reads them: see auth.identify_callers
        server_header=False,
        access_log=settings.access_log != "none",
        log_config=None,
    )


def _load_main(settings: Settings) -> "Main":
    from ui.mount import load_main  # here: it imports Gradio

    return load_main(settings)


def _stop(text: str) -> int:
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")
    else:
        logging.getLogger("auth").error("%s", text)
    return 2


if __name__ == "__main__":
    try:
        main()
    except ImportError as error:  # Gradio is imported in there
        _say_what_to_install(error)
