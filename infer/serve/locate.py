"""`POST /locate`: the bytes of one photograph in, the answer as JSON out, for bots and scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

from anyio.to_thread import run_sync
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from infer.prediction import NOTICE
from infer.serve.photographs import Photographs, answer_dict, named_areas

PATH = "/locate"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LISTS = {
    "within": "the photograph is from here: countries (DE or Germany), a box (south,west,north,east), or a point and a radius "
    "(48.85,2.35,50km); may be repeated",
    "exclude": "the photograph is not from here; likewise",
    "coverage": "coverage of a conformal prediction region, 0 to 1; may be repeated",
}
SINGLE = {
    "confidence": "answer at the finest level whose best cell is right with this probability, 0 to 1",
    "coarsest": "with confidence: an answer coarser than this level, such as L3, is not worth giving",
    "places": "in-distribution or unseen: for which photographs regions and confidence are calibrated",
}
NUMBERS = ("coverage", "confidence")
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
EXAMPLE = "curl --data-binary @photo.jpg 'http://{host}/locate?within=DE'"


def add_locate(app: FastAPI, photographs: Photographs) -> None:
    """Add the endpoint to an application."""

    async def locate(request: Request) -> Response:
        if request.method in ("GET", "HEAD"):
            return JSONResponse(explained(request.headers.get("host", "")))
        if request.method != "POST":
            return error(405, f"{PATH} takes POST, got {request.method}", {"Allow": "GET, HEAD, POST"})
        if (kind := request.headers.get("content-type", "").split(";")[0].strip().lower()) == FORMS[0]:
            return error(
                415, f"send the bytes of the photograph as the body and not as {kind}: {EXAMPLE.format(host='HOST')}"
            )
        content = await request.body()
        if not content:
            return error(400, "the body is empty: send the bytes of a photograph")
        return await run_sync(_answer, photographs, content, list(request.query_params.multi_items()))

    app.add_route(PATH, locate, methods=list(METHODS), include_in_schema=False)


def _answer(photographs: Photographs, content: bytes, query: Sequence[tuple[str, str]]) -> Response:
    try:
        options = photographs.asked(changes_of(query))
    except ValueError as refusal:
        return error(400, str(refusal))
    try:
        return JSONResponse(answer_dict(photographs.one(content, options)))
    except ValueError as refusal:
        return error(422, str(refusal))


def error(status: int, line: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return one line as JSON."""
    return JSONResponse({"error": " ".join(line.split())}, status, headers)


def changes_of(query: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the options that the parameters of an address change.

    Raises:
        ValueError: a parameter is unknown, given twice, or not a number.

    Example:
        >>> changes_of([("within", "DE"), ("within", "FR"), ("confidence", "0.6")])
        {'within': ('DE', 'FR'), 'confidence': 0.6}
    """
    given: dict[str, list[str]] = {}
    for name, value in query:
        given.setdefault(name, []).append(value)
    changes: dict[str, Any] = {}
    for name, values in given.items():
        if name not in LISTS and name not in SINGLE:
            raise ValueError(f"unknown parameter {name!r}: there are {', '.join([*LISTS, *SINGLE])}")
        if name in SINGLE and len(values) > 1:
            raise ValueError(f"{name} is given {len(values)} times: give it once")
        read = [_number(name, value) for value in values] if name in NUMBERS else named_or_plain(name, values)
        changes[name] = tuple(read) if name in LISTS else read[0]
    return changes


def named_or_plain(name: str, values: Sequence[str]) -> Sequence[str]:
    """Return the values of a parameter; those that are areas, checked."""
    return named_areas(values) if name in ("within", "exclude") else values


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} is a number such as 0.6, got {text!r}") from None


def explained(host: str) -> dict[str, Any]:
    """Return what the endpoint is and how it is asked, for somebody who opens its address."""
    return {
        "what": f"POST the bytes of one photograph; the answer is an object as in predictions.json. {NOTICE}",
        "example": EXAMPLE.format(host=host or "127.0.0.1:7860"),
        "parameters": {**LISTS, **SINGLE},
        "errors": 'a status of 4xx and {"error": "one line"}',
        "limit": "25 MB",
    }
