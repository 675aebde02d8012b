"""Files and folders of the Hugging Face hub: addresses `hf://owner/repo[@revision][/file]`, and uploads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slmcore.errors import WITHOUT_NETWORK, FetchError, OfflineError, must
from slmcore.files import card
from slmcore.files.cache import offline
from slmcore.files.download import innermost

__all__ = ["file_of", "folder_of", "is_folder", "upload"]

_REPO = r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?"
_FOLDER = re.compile(_REPO + "/?", re.ASCII)
_FILE = re.compile(_REPO + r"/(?P<file>[^?#]+)", re.ASCII)


def is_folder(address: object) -> bool:
    """Whether `address` names a whole repository, `hf://owner/repo` or `hf://owner/repo@revision`."""
    return isinstance(address, str) and _FOLDER.fullmatch(address) is not None


def file_of(url: str, local_only: bool = False) -> Path:
    """Return the file of `hf://owner/repo[@revision]/file` in Hugging Face's cache, downloaded if it is not there.

    `local_only` forbids the network, as SLMZOO_OFFLINE=1 does. Raises ValueError for another address, FetchError for a
    download that fails, FileNotFoundError or OfflineError for a file that is not in the cache.
    """
    match = _FILE.fullmatch(url)
    if match is None or not all(re.fullmatch(r"(?!\.)[\w. +=-]+", part) for part in match["file"].split("/")):
        raise ValueError(must("url", "hf://owner/repo/file or hf://owner/repo@revision/file", url))
    from huggingface_hub import hf_hub_download

    local_only = local_only or offline()
    with _explained(url, local_only):
        found = hf_hub_download(match["repo"], match["file"], revision=match["revision"], local_files_only=local_only)
    return Path(found)


def folder_of(url: str, patterns: Sequence[str] | None = None) -> Path:
    """Return the folder of `hf://owner/repo[@revision]` in Hugging Face's cache, downloaded if it is not there.

    `patterns`: of the files that are needed, such as "*.json"; None: all. Errors as for `file_of`.
    """
    match = _FOLDER.fullmatch(url)
    if match is None:
        raise ValueError(must("url", "hf://owner/repo or hf://owner/repo@revision", url))
    from huggingface_hub import snapshot_download

    with _explained(url, offline()):
        found = snapshot_download(
            match["repo"],
            revision=match["revision"],
            local_files_only=offline(),
            allow_patterns=None if patterns is None else list(patterns),
        )
    return Path(found)


def upload(folder: Path, repo: str, *, private: bool | None = None, message: str) -> str:
    """Upload the files of `folder` to the repository `owner/name`, made if it does not exist; return its address.

    A model card there that a person wrote or changed is kept. The account is that of `hf auth login`. Raises ValueError
    for another name, OfflineError under SLMZOO_OFFLINE=1.
    """
    if not is_folder(f"hf://{repo}") or "@" in repo:
        raise ValueError(must("repo", "owner/name", repo))
    if offline():
        raise OfflineError(f"{repo} cannot be uploaded: SLMZOO_OFFLINE=1 forbids the network.")
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo, private=private, exist_ok=True)
    kept = [card.CARD] if api.file_exists(repo, card.CARD) and not _is_generated(repo) else None
    api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message, ignore_patterns=kept)
    return f"hf://{repo}"


def _is_generated(repo: str) -> bool:
    text = file_of(f"hf://{repo}/{card.CARD}").read_text(encoding="utf-8", errors="replace")
    return card.is_generated(text)


@contextmanager
def _explained(url: str, local_only: bool) -> Iterator[None]:
    """Turn the library's errors, which differ between its versions, into those of every download."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        yield
    except LocalEntryNotFoundError as error:
        if offline():
            raise OfflineError(f"{url} is not in Hugging Face's cache, and SLMZOO_OFFLINE=1 forbids more.") from None
        if local_only:
            raise FileNotFoundError(f"{url} is not in Hugging Face's cache. Fetch it first.") from None
        raise FetchError(f"Could not download {url}: {innermost(error)}. {WITHOUT_NETWORK}") from None
    except Exception as error:
        remedy = "Check the name, and `hf auth login` if it is private."
        raise FetchError(f"Could not download {url}: {error}. {remedy}") from None
