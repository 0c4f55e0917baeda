"""What `deploy/` names is there, and its files agree with each other and with the app."""

import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from auth.settings import Settings
from ui.serving.server import GRACE_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
NGINX = (DEPLOY / "nginx.conf").read_text("utf-8")
PAGE = (DEPLOY / "README.md").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
APPS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}
NAMES = {name.upper() for name in Settings.model_fields}


def address_of(service: str) -> str:
    return str(COMPOSE["services"][service]["networks"]["default"]["ipv4_address"])


def test_the_compose_file_sets_what_the_app_knows() -> None:
    for name, service in COMPOSE["services"].items():
        assert set(service.get("environment", {})) <= NAMES, name


def test_nginx_passes_on_to_the_services_of_the_compose_file() -> None:
    servers = re.findall(r"^\s+server ([\w.-]+):(\d+)", NGINX, re.MULTILINE)
    assert {(name, service["environment"]["PORT"]) for name, service in APPS.items()} == set(servers)


def test_the_proxy_that_is_trusted_is_nginx() -> None:
    for service in APPS.values():
        assert service["environment"]["FORWARDED_ALLOW_IPS"] == address_of("nginx")


def test_nginx_finds_each_replica_at_the_address_that_is_its_own() -> None:
    known = dict(host.split(":") for host in COMPOSE["services"]["nginx"]["extra_hosts"])
    assert known == {name: address_of(name) for name in APPS}


def test_no_other_container_is_given_an_address_that_belongs_to_one() -> None:
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    fixed = [ip_address(address_of(name)) for name in ("nginx", *APPS)]
    taken = {*fixed, ip_address(network["gateway"])}
    assert len(taken) == len(fixed) + 1
    assert all(address in ip_network(network["subnet"]) for address in taken)
    assert not any(address in ip_network(network["ip_range"]) for address in taken)
    assert ip_network(network["ip_range"]).subnet_of(ip_network(network["subnet"]))


def test_nginx_goes_on_until_the_events_that_it_passes_on_are_over() -> None:
    """Compose stops all services at once, but one that depends on another before that."""
    nginx = COMPOSE["services"]["nginx"]
    assert "depends_on" not in nginx
    assert nginx["stop_grace_period"] == APPS["app-1"]["stop_grace_period"]


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
    sources = re.findall(r"^COPY (?:--\S+ )?(\S+) ", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8")
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}\n" in kept, source


def test_nothing_of_somebody_s_app_is_left_out_of_the_image() -> None:
    """The last line that fits decides (docs.docker.com/build/concepts/context)."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert "!deploy/app" in rules[-2:]
    assert all(rule.startswith("!") for rule in rules[rules.index("!deploy/app") :])


@pytest.mark.parametrize("given", ["", "/srv/app/demo.py"])
@pytest.mark.parametrize("there", [(), ("app.py",), ("app.py", "requirements.txt")])
def test_a_container_starts_the_app_that_is_there(tmp_path: Path, given: str, there: tuple[str, ...]) -> None:
    script = (DEPLOY / "start.sh").read_text("utf-8").replace("/srv/app", str(tmp_path))
    for name in there:
        (tmp_path / name).write_text("")
    for program in ("pip", "python"):
        (tmp_path / program).write_text(f'#!/bin/sh\necho {program} "$@" "BLOCKS=$BLOCKS"')
        (tmp_path / program).chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/bin:/usr/bin", "BLOCKS": given}
    said = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, check=True).stdout
    blocks = given or (f"{tmp_path}/app.py" if there else "")
    assert said.splitlines()[-1] == f"python app.py BLOCKS={blocks}"
    assert (f"-r requirements.txt -r {tmp_path}/requirements.txt" in said) == ("requirements.txt" in there)


def test_the_page_names_settings_and_files_that_there_are() -> None:
    for name in re.findall(r"`([A-Z]+_[A-Z_]+)(?:=[^`]*)?`", PAGE):
        assert name in NAMES, name
    for file in re.findall(r"`(deploy/[\w.]+)`", PAGE):
        assert (ROOT / file).is_file(), file
