"""`python -m infer play`: photographs as a file, countries from the keyboard, the score at the end."""

import logging
import webbrowser
from collections.abc import Callable
from pathlib import Path

from infer.play.config import PlayConfig
from infer.play.countries import MOST, read_guess
from infer.play.game import Game
from infer.play.score import score_text, scores
from infer.play.table import NETWORK, read
from infer.predictor import load
from plumbing.files import atomic_path
from plumbing.text import counted

log = logging.getLogger(__name__)

STOP = "q"


def main(config: PlayConfig, ask: Callable[[str], str] = input) -> None:
    """Play until all photographs are guessed, or the player stops; or print the scores of a table.

    Args:
        config: the flags.
        ask: shows a line and returns what is typed.

    Raises:
        ValueError: the photographs or the network cannot be used, or the table is another one.
    """
    if config.score is not None:
        print_scores(config.score)
        return
    assert config.data, "the config refuses None"
    assert config.run, "the config refuses None"
    assert config.player, "the config refuses None"
    game = Game(
        config.data,
        load(config.run, config.device),
        config.player.strip(),
        config.photos,
        config.resolution,
        config.table,
        config.seed,
    )
    picture = config.picture or config.table.with_name("picture.png")
    print(_beginning(config, game))
    play(game, picture, ask, config.open)
    guessed = game.count - len(game.left)
    print(
        f"{guessed} of {counted(game.count, 'photograph')} guessed{f'; the answers are in {config.table}' if guessed else ''}"
    )
    for score in scores(game.answers):
        print(score_text(score))


def print_scores(table: Path) -> None:
    """Print how each person of a table compares with each network on the same photographs.

    Raises:
        ValueError: there is no such table, or nobody answered what a network answered.
    """
    found = scores(read(table))
    if not found:
        raise ValueError(f"{table} has no photographs that both a person and a network answered: play first")
    for score in found:
        print(score_text(score))


def play(game: Game, picture: Path, ask: Callable[[str], str], show: bool = False) -> None:
    """Ask for the countries of all photographs that are left, until the player stops."""
    for number in game.left:
        try:
            shown = game.picture(number)
        except ValueError as error:
            log.warning("left out: %s", error)
            continue
        with atomic_path(picture) as partial:
            shown.save(partial, "PNG")
        if show:
            webbrowser.open(picture.resolve().as_uri())
        codes = _asked(f"photograph {number + 1} of {game.count}, {picture}: ", ask)
        if codes is None:
            return
        game.guess(number, codes)


def _asked(prompt: str, ask: Callable[[str], str]) -> tuple[str, ...] | None:
    """Return the codes that a player types, asking again until they are countries; None to stop."""
    while True:
        try:
            text = ask(prompt).strip()
        except EOFError:
            print()
            return None
        if text.lower() == STOP:
            return None
        guess = read_guess(text)
        if not guess.problem:
            if guess.taken:
                print(f"taken as {', '.join(guess.taken)}")
            return guess.codes
        print(f"{guess.problem}; type them again")


def _beginning(config: PlayConfig, game: Game) -> str:
    shown = (
        f"at {game.side} x {game.side} pixels, as the network sees them"
        if config.resolution == NETWORK
        else "at full resolution"
    )
    before = game.count - len(game.left)
    return (
        f"{counted(game.count, 'photograph')} of the test split of {config.data} {shown}"
        f"{f'; {before} guessed already' if before else ''}.\n"
        f"Type up to {MOST} countries for each, the likeliest first, with commas between: names or codes. Enter alone: no idea. "
        f"{STOP}: stop." + (f"\n{game.note}" if game.note else "")
    )
