"""`POST /locate`: the bytes of one photograph in, the answer as JSON out, for bots and scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

from anyio.to_thread import run_sync
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from infer.prediction import NOTICE
from infer.serve.photographs import Photographs, answer_dict
from infer.serve.query import LISTS, SINGLE, changes_of

PATH = "/locate"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
EXAMPLE = "curl --data-binary @photo.jpg 'http://{host}/locate?within=DE'"
BINARY = f"; curl -d changes the bytes of a file, --data-binary does not: {EXAMPLE}"


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
        asked_by_curl = request.headers.get("user-agent", "").startswith("curl/")
        advice = BINARY.format(host=request.headers.get("host", "HOST")) if asked_by_curl else ""
        return await run_sync(_answer, photographs, content, list(request.query_params.multi_items()), advice)

    app.add_route(PATH, locate, methods=list(METHODS), include_in_schema=False)


def _answer(photographs: Photographs, content: bytes, query: Sequence[tuple[str, str]], advice: str = "") -> Response:
    """Answer a photograph; `advice` stands behind the reason why it cannot be read."""
    try:
        options = photographs.asked(changes_of(query))
    except ValueError as refusal:
        return error(400, str(refusal))
    try:
        return JSONResponse(answer_dict(photographs.one(content, options)))
    except ValueError as refusal:
        return error(422, f"{refusal}{advice}")


def error(status: int, line: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return one line as JSON."""
    return JSONResponse({"error": " ".join(line.split())}, status, headers)


def explained(host: str) -> dict[str, Any]:
    """Return what the endpoint is and how it is asked, for somebody who opens its address."""
    return {
        "what": f"POST the bytes of one photograph; the answer is an object as in predictions.json. {NOTICE}",
        "example": EXAMPLE.format(host=host or "127.0.0.1:7860"),
        "parameters": {**LISTS, **SINGLE},
        "errors": 'a status of 4xx and {"error": "one line"}',
        "limit": "25 MB",
    }
