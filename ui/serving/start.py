"""What the start says: that something happens, where the app is once it listens, and who may come in how."""

import gc
import logging
import multiprocessing
import socket
import sys

from auth import Settings
from auth.environment import Environment
from auth.events import log_event

log = logging.getLogger("auth")
SUPERVISORS = (("gunicorn.arbiter", "Arbiter", "num_workers"), ("granian.server.mp", "MPServer", "workers"))
"""Of the workers that they fork: their module, their class, and where it has how many there are."""


def taken_port(host: str, port: int) -> str | None:
    """One sentence where nothing else can listen there, None where the port is free."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as tried:
                if sys.platform != "win32":  # where it means that others may listen on the same port
                    tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                tried.bind(address)
    except PermissionError:
        return f"Port {port} needs rights that this process does not have: set PORT to 1024 or more."
    except OSError as error:
        return f"Port {port} of {host} is taken ({error.strerror}): stop what listens there, or set PORT to another."
    return None


def sharing_workers() -> str | None:
    """One sentence where a server runs several workers of the app, None where this process is the only one."""
    # Nothing tells a worker how many there are. The supervisors of uvicorn and hypercorn hand each their configuration;
    # the workers of the others are forks of the process that has it.
    counts = [getattr(getattr(multiprocessing.current_process(), "_kwargs", {}).get("config"), "workers", 1)]
    for module, supervisor, count in SUPERVISORS:
        if kind := getattr(sys.modules.get(module), supervisor, None):
            counts += [getattr(one, count) for one in gc.get_objects() if type(one) is kind]
    if max(counts) < 2:
        return None
    return (
        "The app runs in one worker: Gradio keeps what a tab does in the memory of the process that it began in. "
        "For more, run replicas with REDIS_URL behind a proxy that keeps each browser at one (deploy/README.md)."
    )


def say_loading() -> None:
    """On a terminal: that something happens."""
    if sys.stderr.isatty():
        sys.stderr.write("Loading Gradio, which takes some seconds ...\n")
        sys.stderr.flush()


def say_started(settings: Settings) -> None:
    """Where to open the app and who may come in how: a block on a terminal, else lines of the log."""
    environment = Environment.read()
    opening, about, notes = (
        f"Open {settings.base_url} in a browser.",
        introduction(settings),
        settings.notes(environment),
    )
    if environment.path:
        about.append(f"Settings: {environment.path}")
    if sys.stderr.isatty():
        sys.stderr.write("\n".join(["", opening, *(f"  {line}" for line in about), *(f"  ! {n}" for n in notes), ""]))
        return
    log_event("started", opening)
    for line in about:
        log.info("%s", line)
    for note in notes:
        log.warning("%s", note)


def introduction(settings: Settings) -> list[str]:
    """Which ways in are on, who may enter, and what is for development only."""
    labels = [provider.label for provider in settings.providers]
    people = ", ".join(labels) or "local accounts (for development: anybody can sign in as anybody)"
    if settings.user_pool:
        programs = f"tokens of {settings.cognito_issuer or settings.cognito_pool_id}"
    else:
        programs = "tokens of the local issuer (for development)" if settings.is_local else "none: no user pool is set"
    return [f"People: {people}", f"May enter: {who_may_enter(settings)}", f"Programs: {programs}"]


def who_may_enter(settings: Settings) -> str:
    """In words."""
    domains = [f"addresses in {domain}" for domain in settings.allowed_domains]
    groups = [f"the group {group}" for group in settings.allowed_groups]
    return ", ".join([*settings.allowed_emails, *domains, *groups]) or "everybody who can sign in"
