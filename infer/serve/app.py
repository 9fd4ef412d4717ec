"""The page of the app, a gradio Blocks: photographs and what is known of them in, the pages of their answers out."""

import base64
import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import gradio

from infer.drawing import small_jpeg
from infer.prediction import Prediction
from infer.prepared import Options
from infer.review import SANDBOX
from infer.serve.answers import Answers
from infer.serve.asked import asked_on_the_page
from infer.serve.photographs import Photographs, answer_dict, named_areas

FOOTER: Any = ["api"]
THUMBNAIL_SIDE = 240
HEAD = """# Where was this photograph taken?

**A hypothesis, not proof.** A network is most often wrong, and overconfident, where its training pictures are few. Do not use it
to find a person, a home or a shelter. Photographs are deleted after ten minutes; GPS in a file is not shown to the network."""
COVERAGES = ("0.5", "0.8", "0.9", "0.95")

LISTEN = """
<script>
window.addEventListener("message", (event) => {
  const field = document.querySelector("#box textarea, #box input");
  if (event.origin !== location.origin || typeof event.data?.box !== "string" || !field) return;
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, event.data.box);
  field.dispatchEvent(new Event("input", { bubbles: true }));
});
</script>
"""
"""A box that is drawn in the frame becomes the text of the field."""

LOOK = """
/* gradio's button to add files has another button inside, which no keyboard can tell apart. */
.icon-button[aria-haspopup="false"]:has(input) { display: none; }
footer { opacity: 1 !important; }
.gradio-container { max-width: 1500px !important; margin: 0 auto !important; }
.photographs { display: flex; flex-wrap: wrap; gap: 10px; }
.photographs figure { margin: 0; width: 120px; font-size: 12px; line-height: 16px; overflow-wrap: anywhere; }
.photographs img { width: 120px; height: 90px; object-fit: cover; border-radius: 6px; display: block; margin: 0 0 3px; }
.area-map { width: 100%; height: 340px; border: 0; border-radius: 6px; display: block; }
.answer { width: 100%; height: 86vh; min-height: 560px; border: 0; display: block; background: transparent; }
@media (max-width: 720px) { .answer { height: 150vh !important; } }
"""


class Draw(Protocol):
    """What draws answers, and the map on which a box is drawn."""

    @property
    def answer(self) -> Callable[[Prediction], str]:
        """Return what makes the page of an answer."""
        ...

    @property
    def picture(self) -> Callable[[Prediction], bytes]:
        """Return what makes the PNG of an answer."""
        ...


def theme() -> Any:
    """Return gradio's plain theme without fonts of other machines, and with greys that can be read."""
    made = gradio.themes.Default(
        primary_hue="blue",
        font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "Arial", "sans-serif"],
        font_mono=["ui-monospace", "Consolas", "monospace"],
    )
    return made.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        input_placeholder_color="*neutral_600",
        input_placeholder_color_dark="*neutral_300",
        link_text_color_dark="*primary_300",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_text_color="white",
    )


def make_app(photographs: Photographs, draw: Draw, folder: Path, game: bool = False, mcp: bool = False) -> Any:
    """Return the page, a gradio Blocks.

    Args:
        photographs: what answers.
        draw: what draws an answer.
        folder: where the files of answers are written, to be downloaded.
        game: whether there is a game to point to.
        mcp: whether language models are served too; a page in a frame is then no tool for them.
    """
    answers, options = Answers(photographs, draw.answer, draw.picture, folder), photographs.options
    record = photographs.predictor.model.record
    with gradio.Blocks(title="Where was this photograph taken?") as app:
        gradio.Markdown(HEAD + terms(record) + ("\n\n[Play against the network](play)" if game else ""))
        kept = gradio.State([])
        with gradio.Row():
            with gradio.Column(scale=2, min_width=320):
                photos, *fields = _questions(options, photographs)
                ask = gradio.Button("Answer", variant="primary", elem_id="ask")
            with gradio.Column(scale=5, min_width=320):
                choice = gradio.Dropdown(label="Answer for", choices=[], visible=False, elem_id="choice")
                page = gradio.HTML(EMPTY, label="Answer", elem_id="page", padding=False)
                files = gradio.File(label=DOWNLOADS, file_count="multiple", interactive=False, visible=False)

        # Not `answer`, the name of the endpoint below.
        def ask_all(given: list[str] | None, *asked: Any, progress: Any = gradio.Progress()) -> tuple[Any, ...]:  # noqa: B008
            if not given:
                raise gradio.Error("choose a photograph first", print_exception=False)
            try:
                changes, explain = asked_on_the_page(*asked)
                made, refusals = answers.make(
                    [Path(path) for path in given],
                    changes,
                    explain,
                    lambda done, of: progress((done, of), unit="photographs"),
                )
            except ValueError as refusal:
                raise gradio.Error(str(refusal), print_exception=False) from None
            for line in refusals:
                gradio.Warning(line)
            names = [one.name for one in made]
            return (
                made,
                gradio.Dropdown(choices=names, value=names[0], visible=len(made) > 1),
                *shown(made, names[0]),
            )

        def shown(made: Sequence[Any], name: str) -> tuple[Any, Any]:
            one = next((one for one in made if one.name == name), None)
            if one is None or not one.files[0].is_file():
                raise gradio.Error("this answer is deleted by now: ask again", print_exception=False)
            downloads = [str(path) for path in one.files]
            return (
                framed(one.page.read_text(encoding="utf-8")),
                gradio.File(downloads, label=DOWNLOADS, interactive=False, visible=True),
            )

        asked = ask.click(ask_all, [photos, *fields], [kept, choice, page, files], api_visibility="private")
        # On a phone the answer lies below the form.
        asked.success(None, js='() => document.querySelector("#page").scrollIntoView({ block: "start" })')
        choice.input(shown, [kept, choice], [page, files], api_visibility="private")
        _endpoints(photographs, draw.answer, mcp)
    return app


DOWNLOADS = "Downloads: the answer as JSON, GeoJSON, page and picture"
EMPTY = "<p>The answer appears here: the most likely region, how sure it is, and a map.</p>"


def _questions(options: Options, photographs: Photographs) -> list[Any]:
    """Draw the form and return its components: photographs first, then those of `asked_on_the_page`, in its order."""
    placed = photographs.predictor.model.hierarchy.placed
    calibrated = photographs.predictor.prepared(options).conformal is not None
    photos = gradio.File(
        label="Photographs", file_types=["image"], file_count="multiple", type="filepath", height=170, elem_id="photos"
    )
    seen = gradio.HTML("", elem_id="seen")
    photos.change(thumbnails, photos, seen, api_visibility="private", show_progress="hidden")
    countries = gradio.Textbox(
        label="Known to be from these countries",
        info="names or codes, such as Germany, FR; empty for the whole world",
        elem_id="countries",
        lines=1,
        visible=placed,
    )
    with gradio.Accordion("Known to be from another area", open=False, visible=placed, elem_id="area"):
        box = gradio.Textbox(
            label="Box", info="south,west,north,east in degrees, or drawn here", elem_id="box", lines=1
        )
        gradio.HTML('<iframe class="area-map" src="area" title="Map on which a box is drawn"></iframe>', padding=False)
        polygons = gradio.File(
            label="Polygons (GeoJSON)",
            file_types=[".geojson", ".json"],
            type="filepath",
            height=150,
            elem_id="polygons",
        )
        without = gradio.Textbox(label="Not from these countries", elem_id="without", lines=1)
    with gradio.Accordion("How it is answered", open=False):
        chosen = [f"{coverage:g}" for coverage in options.coverage]
        coverage = gradio.CheckboxGroup(
            [f"{one:g}" for one in sorted({*map(float, COVERAGES), *options.coverage})],
            value=chosen,
            label="Coverage of the regions",
            visible=calibrated and placed,
            elem_id="coverage",
        )
        confidence = gradio.Slider(
            0,
            0.99,
            value=options.confidence or 0,
            step=0.01,
            label="Least confidence",
            info="answer at the finest level that has it; 0 for the finest level there is",
            visible=calibrated,
            elem_id="confidence",
        )
        together = gradio.Checkbox(label="All photographs show one place", elem_id="together")
        explain = gradio.Checkbox(
            label="Explain: what speaks for the best cell",
            info="takes seconds for each photograph",
            elem_id="explain",
        )
    return [photos, countries, box, polygons, without, coverage, confidence, together, explain]


def _endpoints(photographs: Photographs, page_of: Callable[[Prediction], str], mcp: bool) -> None:
    """Add what programs call: `locate`, a tool of the MCP server too, and `answer`, which gives the page as well."""

    def locate(photo: str, within: str = "", exclude: str = "", confidence: float = 0) -> dict[str, Any]:
        """Say where on Earth a photograph was probably taken: a hypothesis, not proof.

        Args:
            photo: the photograph.
            within: where it is known to be from: countries such as "DE, FR", a box as "south,west,north,east" in degrees, or a
                point and a radius such as "48.85,2.35,50km"; nothing for the whole world.
            exclude: where it is known not to be from, likewise.
            confidence: answer at the finest level whose best cell is right with this probability; 0 for the finest level.

        Returns:
            The answer as in predictions.json: headline, confidence, regions, levels, countries, warnings.
        """
        try:
            areas = {"within": named_areas([within]), "exclude": named_areas([exclude])}
            given = {name: value for name, value in {**areas, "confidence": confidence}.items() if value}
            return answer_dict(photographs.one(_file(photo), photographs.asked(given)))
        except ValueError as refusal:
            raise gradio.Error(str(refusal), print_exception=False) from None

    def answer(photo: str | None) -> tuple[str, dict[str, Any]]:
        """Return the page of an answer in a frame, and the answer."""
        try:
            prediction = photographs.one(_file(photo), photographs.options)
        except ValueError as refusal:
            raise gradio.Error(str(refusal), print_exception=False) from None
        return framed(page_of(prediction)), answer_dict(prediction)

    photo = gradio.File(type="filepath", visible=False, label="photo")
    within, exclude = (gradio.Textbox(visible=False, label=name, value="") for name in ("within", "exclude"))
    confidence = gradio.Number(visible=False, label="confidence", value=0)
    page, record = gradio.HTML(visible=False), gradio.JSON(visible=False)
    asked = [photo, within, exclude, confidence]
    gradio.Button(visible=False).click(locate, asked, record, api_name="locate")
    gradio.Button(visible=False).click(
        answer, photo, [page, record], api_name="answer", api_visibility="private" if mcp else "public"
    )


def _file(photo: str | None) -> Path:
    if not photo:
        raise ValueError("choose a photograph first")
    return Path(photo)


def terms(record: Mapping[str, Any]) -> str:
    """Return what is said of a published model: its licence and citation; nothing of one that was trained here."""
    published = record.get("published")
    return (
        f"\n\nModel: {published['model']}. Licence: {published['licence']}. {published['citation']}"
        if published
        else ""
    )


def thumbnails(given: Sequence[str] | None) -> str:
    """Return the photographs that were handed in as small pictures with their names, as HTML."""
    figures = []
    for path in map(Path, given or ()):
        try:
            encoded = base64.b64encode(small_jpeg(path, THUMBNAIL_SIDE)).decode()
            seen = f'<img src="data:image/jpeg;base64,{encoded}" alt="">'
        except ValueError:
            seen = "<em>cannot be read:</em> "
        figures.append(f"<figure>{seen}<figcaption>{html.escape(path.name)}</figcaption></figure>")
    return f'<div class="photographs">{"".join(figures)}</div>' if figures else ""


def framed(page: str) -> str:
    """Return a whole page inside another; its scripts see nothing of the outer one."""
    return (
        f'<iframe class="answer" sandbox="{SANDBOX}" title="Answer with its map" style="width:100%;height:86vh;border:0" '
        f'srcdoc="{html.escape(page)}"></iframe>'
    )
