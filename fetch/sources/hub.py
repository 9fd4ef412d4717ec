"""Files of a dataset on a Hugging Face hub, or on a mirror: listed, brought by pieces, checked by their hashes.

Relies on huggingface_hub for addresses, the pages of the file list, tokens, redirects and retries. Its own
`hf_hub_download` begins a file from the start after an interruption (its pull request 4228), which for parts of 2 GB is
too dear: `http_get` appends to our own partial file instead, and the SHA-256 of the list decides.
"""

import hashlib
import logging
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, disable_progress_bars  # type: ignore[attr-defined]

from plumbing.progress import progress
from plumbing.text import counted

TRIES = 3
"""Of a file whose hash is not that of the list."""
PARTIAL = ".partial"
SPARE_BYTES = 200_000_000

TRANSPORT_ERROR: type[Exception] = HfHubHTTPError.__mro__[1]
"""Base class of all errors of the HTTP library that huggingface_hub uses, which has changed its name with versions."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HubFile:
    """A file on the hub.

    Attributes:
        path: in the repository.
        size: in bytes.
        digest: SHA-256 of large files, the git hash of small ones.
    """

    path: str
    size: int
    digest: str

    def is_at(self, path: Path) -> bool:
        """Say whether a file on disk is this one, whole and unchanged."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        with path.open("rb") as file:
            if len(self.digest) == 64:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.digest
            blob = hashlib.sha1(f"blob {self.size}\0".encode(), usedforsecurity=False)
            while block := file.read(1 << 20):
                blob.update(block)
            return blob.hexdigest() == self.digest


class Hub:
    """One dataset at one commit.

    Attributes:
        commit: that of the revision when it was asked.
    """

    def __init__(self, endpoint: str, repo: str, revision: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._repo = repo
        self._api = HfApi(endpoint=self._endpoint)
        for name in ("httpx", "httpx2"):
            # They would log every address, signatures and all.
            logging.getLogger(name).setLevel(logging.WARNING)
        if not sys.stderr.isatty():
            disable_progress_bars()
        try:
            self.commit = str(self._api.repo_info(repo, repo_type="dataset", revision=revision).sha)
        except HFValidationError:
            raise ValueError(f"--repo is the name of a dataset such as osv5m/osv5m, got {repo!r}") from None
        except RevisionNotFoundError:
            raise ValueError(f"--revision: {repo} has no {revision!r}") from None
        except GatedRepoError:
            raise ValueError(f"{repo} asks for consent: give it on its page, then set HF_TOKEN") from None
        except RepositoryNotFoundError:
            raise ValueError(f"--repo: {self._endpoint} has no dataset {repo!r} (or it needs HF_TOKEN)") from None
        except (TRANSPORT_ERROR, OSError) as error:
            raise self._unreachable(error) from None

    def files(self) -> list[HubFile]:
        """Return all files.

        Raises:
            ValueError: the hub does not answer.
        """
        try:
            entries = list(
                self._api.list_repo_tree(self._repo, recursive=True, repo_type="dataset", revision=self.commit)
            )
        except (TRANSPORT_ERROR, OSError) as error:
            raise self._unreachable(error) from None
        return [
            HubFile(entry.path, entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)
            for entry in entries
            if isinstance(entry, RepoFile)
        ]

    def bring(self, files: Sequence[HubFile], store: Path, and_as_much_for: Path) -> None:
        """Download files into a folder, each under its path; one that is there is checked, a piece is continued.

        Args:
            files: which.
            store: the folder.
            and_as_much_for: a folder into which as much will be written again.

        Raises:
            ValueError: the disk is too small, the hub does not answer, or a file is not what the list says.
        """
        for file in files:
            if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
                raise ValueError(f"the hub names a file outside of its folder: {file.path!r}")
        missing = [f for f in progress(files, "checking", "file") if not f.is_at(store / f.path)]
        for file in missing:
            if (store / file.path).is_file():
                log.warning(f"{store / file.path} is damaged: it is downloaded again")
        _check_space(missing, store, and_as_much_for)
        if missing:
            log.info(f"{len(missing)} of {counted(len(files), 'file')} to download, {_gigabytes(missing):,.2f} GB")
        for file in missing:
            self._bring(file, store / file.path)

    def _bring(self, file: HubFile, path: Path) -> None:
        """Download one file, going on where it was left."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # The digest is in the name: a piece of another version is not continued.
        partial = path.with_name(f".{path.name}.{file.digest[:12]}{PARTIAL}")
        for _ in range(TRIES):
            if not partial.is_file() or partial.stat().st_size < file.size:
                self._append(file, partial)
            if file.is_at(partial):
                partial.replace(path)
                return
            if partial.stat().st_size >= file.size:
                log.warning(f"{file.path} came damaged: it is downloaded again")
                partial.unlink()
        raise ValueError(
            f"{file.path} came damaged or cut short {TRIES} times (its size or hash is not what the hub's list says): "
            "try later"
        )

    def _append(self, file: HubFile, partial: Path) -> None:
        url = hf_hub_url(self._repo, file.path, repo_type="dataset", revision=self.commit, endpoint=self._endpoint)
        done = partial.stat().st_size if partial.is_file() else 0
        if done:
            log.info(f"{file.path}: going on after {done / 1e6:,.1f} of {file.size / 1e6:,.1f} MB")
        # Not buffered: what came before a kill is on disk.
        with partial.open("r+b" if done else "wb", buffering=0) as written:
            written.seek(done)
            try:
                http_get(
                    url,
                    written,
                    resume_size=done,
                    headers=build_hf_headers(),
                    expected_size=file.size,
                    displayed_filename=file.path,
                )
            except HfHubHTTPError as error:
                if error.response.status_code != 416:
                    raise self._unreachable(error) from None
            except TRANSPORT_ERROR as error:
                raise self._unreachable(error) from None
            except OSError as error:
                if error.errno is not None:
                    raise
                # A size that is not the list's; `is_at` finds it too.
                log.debug("%s", error)

    def _unreachable(self, error: Exception) -> ValueError:
        what = f"HTTP {error.response.status_code}" if isinstance(error, HfHubHTTPError) else type(error).__name__
        return ValueError(
            f"the hub at {self._endpoint} does not answer ({what}): try later, or name a mirror with --endpoint; what "
            "is downloaded stays"
        )


def _gigabytes(files: Iterable[HubFile]) -> float:
    return sum(file.size for file in files) / 1e9


def _check_space(missing: Sequence[HubFile], store: Path, out: Path) -> None:
    """Refuse to begin what the disk cannot hold: the files, and about as much again for the pictures stored."""
    needed: dict[int, int] = {}
    free: dict[int, tuple[int, Path]] = {}
    for folder, times in ((store, 1), (out, 1)):
        there = next(parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.exists())
        device = there.stat().st_dev
        needed[device] = needed.get(device, 0) + times * sum(file.size for file in missing)
        free[device] = (shutil.disk_usage(there).free, folder)
    for device, size in needed.items():
        if missing and size + SPARE_BYTES > free[device][0]:
            raise ValueError(
                f"{free[device][1]}: the disk has {free[device][0] / 1e9:,.2f} GB free, {size / 1e9:,.2f} GB are "
                "needed for parts and pictures: choose fewer parts, or another --out or --store"
            )
