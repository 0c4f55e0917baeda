"""`python app.py --check`: looks for what would keep people or programs from coming in, changes nothing, and says how
to mend it."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr

from auth import Auth, NotStarted, Settings, SettingsError
from auth.environment import Environment
from auth.findings import Finding, ok, warning, wrong
from auth.routes import examine_way
from auth.web import DIRECT
from ui.serving.start import introduction, taken_port

COLOURS = {"ok": "\033[32m", "warning": "\033[33m", "wrong": "\033[31m"}
Row = tuple[str, str, str]


def check(*, file: str | None, as_json: bool, load: Callable[[Settings], Any]) -> int:
    """Look, and print to stdout what was found.

    Args:
        file: the app's, in place of the one that the settings name.
        load: gets the app from the file that the settings name; raises `NotStarted`.

    Returns:
        The exit code: 1 where anything is wrong.
    """
    logging.disable()  # what would be logged is among the findings
    environment, settings, findings = read_settings(file)
    rows = setting_rows(settings, environment) if settings else []
    if settings:
        findings += asyncio.run(examine(settings, key_is_set=bool(environment.get("SECRET_KEY"))))
        findings.append(examine_blocks(settings, load))
    if as_json:
        report = {
            "ok": not any(finding.level == "wrong" for finding in findings),
            "findings": [vars(finding) for finding in findings],
            "settings": [dict(zip(("name", "value", "source"), row, strict=True)) for row in rows],
        }
        print(json.dumps(report, indent=2))  # noqa: T201 - this is what it is for
    else:
        print("\n".join(lines(findings, rows, colour=sys.stdout.isatty())))  # noqa: T201
    return int(any(finding.level == "wrong" for finding in findings))


def read_settings(file: str | None) -> tuple[Environment, Settings | None, list[Finding]]:
    """The settings as the start would read them, None where it would stop, and what there is to say about them."""
    try:
        environment = Environment.read()
        settings = Settings.load()
    except UnicodeDecodeError:
        return Environment(process={}, file={}, path=None), None, [wrong("Settings", ".env is not UTF-8 text.")]
    except SettingsError as error:
        mend = "The app does not start before this is put right in the environment or in .env."
        return environment, None, [wrong("Settings", problem, mend) for problem in error.problems]
    if file:
        settings = settings.model_copy(update={"blocks": Path(file)})
    findings = [ok("Settings", f"read from the environment and {environment.path or 'no .env, for there is none'}")]
    findings += [ok("Ways in", line) for line in introduction(settings)]
    findings += [warning("Settings", note) for note in settings.notes(environment)]
    others = sorted(environment.file.keys() - settings.known_names(environment))
    if others:
        findings.append(ok("Settings", f"not read by this app, in .env: {', '.join(others)}"))
    return environment, settings, findings


def setting_rows(settings: Settings, environment: Environment) -> list[Row]:
    """Name, value and source of each setting; of a secret only whether it is set."""
    rows = []
    for name in sorted(settings.known_names(environment) - {"PROVIDERS"}):
        value: object = environment.get(name)
        if name.lower() in Settings.model_fields:
            value = getattr(settings, name.lower())
        secret = isinstance(value, SecretStr) or name.endswith(("SECRET", "FALLBACKS", "KEY", "REDIS_URL"))
        is_set = environment.source_of(name) != "default"
        shown = ("set" if is_set else "not set") if secret else _shown(value)
        rows.append((name, shown, environment.source_of(name)))
    return rows


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)


async def examine(settings: Settings, *, key_is_set: bool, now: Callable[[], float] = time.time) -> list[Finding]:
    """What can be found out from here about this machine, the providers, the pool, Redis and the way to the app.

    Args:
        key_is_set: the key is not one made at this start, so that the app that runs has the same.
    """
    try:
        auth = Auth(settings, now=now)
    except SettingsError as error:
        return [wrong("Settings", problem) for problem in error.problems]
    port, running = await examine_port(settings)
    findings = [port, *await auth.examine()]
    if key_is_set:
        async with httpx2.AsyncClient(timeout=10.0, mounts=DIRECT) as http:
            findings += await examine_way(settings, http=http, running=running)
    return findings


async def examine_port(settings: Settings) -> tuple[Finding, bool]:
    """Whether the app can listen, and whether one does already."""
    taken = taken_port(settings.host, settings.port)
    if taken is None:
        return ok("Port", f"{settings.port} is free"), False
    here = f"http://{'127.0.0.1' if settings.host in ('0.0.0.0', '::') else settings.host}:{settings.port}"  # noqa: S104
    try:
        async with httpx2.AsyncClient(timeout=5.0, trust_env=False) as http:
            headers = {"Host": settings.site.netloc}
            answer = await http.get(f"{here}{settings.site.prefix}/healthz", headers=headers)
            if answer.json() == {"status": "alive"}:
                return ok("Port", f"this app answers at {here} already"), True
    except (httpx2.HTTPError, ValueError):
        pass
    return wrong("Port", taken), False


def examine_blocks(settings: Settings, load: Callable[[Settings], Any]) -> Finding:
    """The file with the app, loaded as the start would. This imports Gradio, and changes the working directory."""
    try:
        main = load(settings)
    except NotStarted as error:
        return wrong("Blocks", str(error), "The app does not start before this is put right.")
    functions = [function for function in main.blocks.fns.values() if function.api_visibility == "public"]
    found = f"{settings.blocks}: {len(functions)} functions"
    if main.configured(settings).mcp_server:
        found += f", as {len(functions)} MCP tools"
    if unused := "; ".join(f"{name}: {instead}" for name, instead in main.unused()):
        return warning("Blocks", f"{found}. Not used of the arguments of launch(): {unused}")
    return ok("Blocks", found)


def lines(findings: Sequence[Finding], rows: Sequence[Row], *, colour: bool) -> list[str]:
    """The findings as text, and the settings below them."""
    shown = []
    for finding in findings:
        level = f"{finding.level:8}"
        if colour:
            level = f"{COLOURS[finding.level]}{level}\033[0m"
        shown.append(f"{level} {finding.what}: {finding.found}")
        if finding.mend:
            shown.append(f"{'':9}{finding.mend}")
    width = max((len(name) for name, _, _ in rows), default=0)
    if rows:
        shown += ["", "Settings:"]
        shown += [f"  {name:{width}}  {value or '-'}  ({source})" for name, value, source in rows]
    wrongs = sum(finding.level == "wrong" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    return [*shown, "", f"{wrongs} wrong, {warnings} to look at."]
