"""Where the CLIP of a published model comes from: a folder of this machine, or the hub when that is asked for."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from infer.importers.config import PublishedConfig
from infer.network.libraries.hub_address import hub_address, hub_answers
from plumbing.files import sha256

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
VISION = ("config.json", "preprocessor_config.json")
TEXT = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


@dataclass(frozen=True)
class ClipFiles:
    """A CLIP on this machine.

    Attributes:
        folder: that holds it.
        model: its name on the hub.
        revision: its commit on the hub; None of a folder that was brought.
        sha256: of the file of weights, by its name.
    """

    folder: Path
    model: str
    revision: str | None
    sha256: dict[str, str]

    @property
    def arch(self) -> str:
        """Return its name as that of a trunk, with the commit where it is known."""
        return f"hf:{self.model}@{self.revision}" if self.revision else f"hf:{self.model}"


def find_clip(config: PublishedConfig, model: str, text: bool = False) -> ClipFiles:
    """Return a CLIP by the flags of an importer.

    Args:
        config: the flags.
        model: which CLIP the published model was trained on.
        text: whether its text tower's files are needed too.

    Raises:
        ValueError: it is not there; the message says which files to bring.
    """
    if config.clip is None and not config.download:
        raise ValueError(
            f"{model} is not on this machine: give --clip FOLDER with its {', '.join(needed(text))}, or let them be "
            "downloaded with --download"
        )
    if config.clip is None:
        folder, revision = download(model, config.revision, (*VISION, *WEIGHTS, *TEXT))
    else:
        folder, revision = config.clip, None
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    lacking = [name for name in VISION if not (folder / name).is_file()] + ([] if weights else [WEIGHTS[0]])
    if text and not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        lacking.append("tokenizer.json")
    if lacking or weights is None:
        raise ValueError(f"{folder} has no {lacking[0]}: --clip is a folder with {', '.join(needed(text))} of {model}")
    return ClipFiles(folder, model, revision, {weights.name: sha256(weights)})


def needed(text: bool) -> tuple[str, ...]:
    """Return the files that a folder has."""
    return (*VISION, WEIGHTS[0], *(("tokenizer.json",) if text else ()))


def download(model: str, revision: str | None, files: tuple[str, ...]) -> tuple[Path, str]:
    """Return the folder of a model's files of one commit, downloaded where they are not yet here, and that commit.

    Raises:
        ValueError: the hub cannot be reached or has no such model.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ValueError("--download needs its package: pip install huggingface_hub")
    if not hub_answers():
        raise ValueError(
            f"{model} cannot be downloaded ({hub_address()} does not answer): copy its files from another machine and give "
            "--clip FOLDER"
        )
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        commit = str(HfApi().model_info(model, revision=revision).sha)
        # Of two formats of the same weights the safe one is enough.
        listed = HfApi().list_repo_files(model, revision=commit)
        wanted = [name for name in files if name != WEIGHTS[1] or WEIGHTS[0] not in listed]
        return Path(snapshot_download(model, revision=commit, allow_patterns=wanted)), commit
    # The client's errors share no base with those of the connection below it.
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{model} cannot be downloaded ({reason}): copy its files from another machine and give --clip FOLDER"
        ) from None
