"""Publishes a data set folder on the Hugging Face hub, in one commit.

What is on disk is what is published, byte by byte: the card with the user's own edits, lineage.json
and the Parquet file. `Dataset.push_to_hub` would write a card of its own over it, in further
commits. Large files go through Xet or LFS, whichever the hub and the client agree on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tailor_rl.curation.dataset import CARD, LINEAGE, PARQUET, check_dataset, without_bars
from tailor_rl.errors import ConfigError, TailorError
from tailor_rl.printable import one_line


class HubError(TailorError):
    """The hub refused a push or could not be reached; says which and what to do."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """Where a data set is now, and whether only those whom its owner lets in can see it."""

    url: str
    private: bool


def push(folder: Path, repo_id: str, *, private: bool, token_env: str = "HF_TOKEN") -> Pushed:
    """Publish `folder` as the data set `repo_id` ("owner/name"), which is made if there is none.

    The token is read from the environment variable `token_env` and stands in no message. A private
    push never goes to a repository that is public. RunFolderError or ConfigError before anything is
    sent, then HubError.
    """
    lineage = check_dataset(folder)
    _check_name(repo_id)
    token = _token(token_env)
    _check_online()
    import huggingface_hub

    from tailor_rl import __version__

    api = huggingface_hub.HfApi(
        # The library itself reads this variable only once, when it is imported.
        endpoint=os.environ.get("HF_ENDPOINT") or None,
        token=token.get_secret_value(),
        library_name="tailor_rl",
        library_version=__version__,
    )
    message = f"{lineage.num_demonstrations} demonstrations, sha256 {lineage.set_sha256[:12]}"
    try:
        return _push(api, folder, repo_id, private=private, message=message)
    except HubError:
        raise
    except Exception as error:  # whatever the client's HTTP library raises in this version
        explanation = _explanation(error, api.endpoint, repo_id, token_env)
        # Not `from error`: a server may repeat the token in its answer.
        raise HubError(explanation.replace(token.get_secret_value(), "[token]")) from None


def _push(api: Any, folder: Path, repo_id: str, *, private: bool, message: str) -> Pushed:
    made = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
    # A name alone is completed by the hub with the token's owner.
    info = api.repo_info(made.repo_id, repo_type="dataset")
    if private and info.private is False:
        raise HubError(
            f"the data set {info.id} exists on the hub and is public, and nothing was sent: push it"
            " publicly with --public, or choose another name"
        )
    with without_bars():
        api.upload_folder(
            repo_id=info.id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[CARD, LINEAGE, PARQUET],
            commit_message=message,
        )
    return Pushed(url=f"{api.endpoint}/datasets/{info.id}", private=bool(info.private))


def _check_name(repo_id: str) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ConfigError(
            f"{one_line(repo_id)!r} is no name of a data set on the hub: write OWNER/NAME, of "
            "letters, digits, dots, dashes and underscores"
        ) from error


def _token(env: str) -> SecretStr:
    value = os.environ.get(env, "").strip()
    if not value:
        raise ConfigError(
            f"no token to push with: set the environment variable {env} to a token of the hub that "
            "may write (Settings, Access Tokens)"
        )
    # The HTTP library quotes an illegal header in its error.
    if not (value.isascii() and value.isprintable()):
        raise ConfigError(
            f"the environment variable {env} holds characters that no token has (line breaks or "
            "non-ASCII letters): set it to the token alone"
        )
    return SecretStr(value)


def _check_online() -> None:
    import huggingface_hub

    if huggingface_hub.is_offline_mode():
        raise ConfigError(
            "the Hugging Face libraries are in offline mode (HF_HUB_OFFLINE is set): unset it to "
            "push, or copy the data set with `tailor dataset export`"
        )


def _explanation(error: Exception, endpoint: str, repo_id: str, token_env: str) -> str:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    said = one_line(str(getattr(error, "server_message", "") or error), 300)
    if status == 401:
        return (
            f"the hub at {endpoint} refused the token in {token_env} (401): set it to a valid one "
            "that may write"
        )
    if status == 403:
        return (
            f"the token in {token_env} may not write to the data set {repo_id} (403: {said}): use "
            "one with write access, or a name of your own"
        )
    if status is not None:
        return f"the hub at {endpoint} answered {status} to the push of {repo_id}: {said}"
    return (
        f"the hub at {endpoint} could not be used ({type(error).__name__}: {said}): check the "
        "network and HF_ENDPOINT; a push can be repeated"
    )
