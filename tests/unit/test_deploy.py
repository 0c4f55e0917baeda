"""What `deploy/` names is there, and its files agree with each other and with the app."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import yaml

from auth.settings import Settings
from ui.server import GRACE_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
NGINX = (DEPLOY / "nginx.conf").read_text("utf-8")
PAGE = (DEPLOY / "README.md").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
NAMES = {name.upper() for name in Settings.model_fields}


def test_the_compose_file_sets_what_the_app_knows() -> None:
    for name, service in COMPOSE["services"].items():
        assert set(service.get("environment", {})) <= NAMES, name


def test_nginx_passes_on_to_the_services_of_the_compose_file() -> None:
    servers = re.findall(r"^\s+server ([\w.-]+):(\d+)", NGINX, re.MULTILINE)
    apps = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
    assert {(name, service["environment"]["PORT"]) for name, service in apps.items()} == set(servers)


def test_the_proxy_that_is_trusted_is_nginx() -> None:
    address = COMPOSE["services"]["nginx"]["networks"]["default"]["ipv4_address"]
    assert COMPOSE["services"]["app-1"]["environment"]["FORWARDED_ALLOW_IPS"] == address
    assert ip_address(address) in ip_network(COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"])


def test_who_stops_the_app_waits_longer_than_it_gives_its_events() -> None:
    assert int(COMPOSE["services"]["app-1"]["stop_grace_period"].rstrip("s")) > GRACE_SECONDS + 5
    assert f"{GRACE_SECONDS} seconds" in PAGE
    for seconds in re.findall(r"terminationGracePeriodSeconds: (\d+)|wait (\d+) seconds", PAGE):
        assert int("".join(seconds)) > GRACE_SECONDS + 5


def test_nginx_finds_the_certificate_where_the_page_says_that_it_goes() -> None:
    mounted = dict(volume.split(":")[:2] for volume in COMPOSE["services"]["nginx"]["volumes"])
    for name in ("fullchain.pem", "privkey.pem"):
        assert f"deploy/certs/{name}" in PAGE
        assert f"{mounted['./certs']}/{name};" in NGINX


def test_the_image_is_made_of_what_is_there() -> None:
    sources = re.findall(r"^COPY (\S+) ", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8")
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}\n" in kept, source


def test_the_page_names_settings_and_files_that_there_are() -> None:
    for name in re.findall(r"`([A-Z]+_[A-Z_]+)(?:=[^`]*)?`", PAGE):
        assert name in NAMES, name
    for file in re.findall(r"`(deploy/[\w.]+)`", PAGE):
        assert (ROOT / file).is_file(), file
