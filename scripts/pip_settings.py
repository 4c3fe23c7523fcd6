"""pip's configuration for uv, which does not read it: mirrors and wheel folders are set there."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Mapping
from pathlib import Path

# Later ones win, as in pip.
SECTIONS = ("global", "install", ":env:")


def parse_config(listing: str) -> dict[str, str]:
    """The effective value of each option in the output of `pip config list`.

    Example: the lines "global.find-links='/a'" and ":env:.find-links='/b'" give
    {"find-links": "/b"}.
    """
    options: dict[str, str] = {}
    for section in SECTIONS:
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(section + "."):
                options[key[len(section) + 1 :]] = str(ast.literal_eval(value))
    return options


def as_uv(options: Mapping[str, str]) -> dict[str, str]:
    """The same settings as environment variables of uv.

    Not as arguments: an address may hold a password, and everybody can read command lines.
    """
    lists = {"UV_INDEX": " ", "UV_FIND_LINKS": ",", "UV_INSECURE_HOST": " "}
    wanted = {
        "UV_DEFAULT_INDEX": options.get("index-url"),
        "UV_INDEX": options.get("extra-index-url"),
        "UV_FIND_LINKS": options.get("find-links"),
        "UV_INSECURE_HOST": options.get("trusted-host"),
        "UV_HTTP_TIMEOUT": options.get("default-timeout") or options.get("timeout"),
        "SSL_CERT_FILE": options.get("cert"),
        "ALL_PROXY": options.get("proxy"),
    }
    settings = {
        name: lists.get(name, " ").join(value.split()) for name, value in wanted.items() if value
    }
    if "UV_INDEX" in settings:
        # pip takes a release from any index. The hashes of the lock keep that safe.
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return settings


def uv_environment(python: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with pip's settings added in uv's terms; a variable that the user has set wins."""
    command = [str(python), "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(environ))
    return {**as_uv(parse_config(listing.stdout)), **environ}
