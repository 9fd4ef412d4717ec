"""Ask a running app (`python -m infer serve`) where photographs were taken; needs Python's standard library alone.

python docs/examples/locate.py photo.jpg --within DE
"""

import argparse
import json
import sys
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen


def locate(photo: Path, server: str, **parameters: list[str]) -> dict:
    """Return the answer for a photograph.

    Args:
        photo: its file.
        server: address of the app.
        parameters: such as `within=["DE"]`; GET /locate lists them.

    Raises:
        ValueError: the app does not answer, or refuses; the message is its line.
    """
    query = urlencode({name: values for name, values in parameters.items() if values}, doseq=True)
    request = Request(f"{server}/locate?{query}", photo.read_bytes(), {"Content-Type": "application/octet-stream"})
    try:
        with urlopen(request) as answer:
            return json.load(answer)
    except HTTPError as refusal:
        raise ValueError(json.load(refusal)["error"]) from None
    except URLError as error:
        raise ValueError(
            f"{server} does not answer ({error.reason}): start it with `python -m infer serve --run RUN`"
        ) from None


def main() -> int:
    """Print the answer for each photograph that is named, and return 1 where one was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--server", default="http://127.0.0.1:7860")
    parser.add_argument("--within", action="append", default=[], help="country or box; may be repeated")
    asked = parser.parse_args()
    failed = False
    for photo in asked.photos:
        try:
            answer = locate(photo, asked.server, within=asked.within)
        except (OSError, ValueError) as error:
            print(f"{photo.name}: {error}", file=sys.stderr)
            failed = True
            continue
        sure = (
            ""
            if answer["confidence"] is None
            else f" (confidence {answer['confidence']:.0%} at {answer['answer_level']})"
        )
        print(f"{photo.name}: {answer['headline']}{sure}. A hypothesis, not proof.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
