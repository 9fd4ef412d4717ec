"""XMP side-cars with the estimated coordinates, for photo libraries; originals are never touched."""

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from infer.prediction import Photograph, Prediction
from plumbing.files import write_text

XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
    exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}" exif:GPSProcessingMethod="ESTIMATED FROM PICTURE">
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{words}</rdf:li></rdf:Alt></dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def write_sidecars(out: Path, predictions: Sequence[Prediction], confidence: float) -> list[Path]:
    """Write an XMP side-car for each photograph whose finest level has at least this confidence, into a folder.

    Photo libraries read `NAME.jpg.xmp` beside `NAME.jpg`. Nothing is written beside originals, and none is written for a
    photograph whose metadata has coordinates already; others of the same place have theirs.
    """
    written: list[Path] = []
    for prediction in predictions:
        reached = prediction.finest.confidence
        if reached is None or reached < confidence or prediction.point is None:
            continue
        for photograph in photographs_of(prediction):
            if photograph.located:
                continue
            path = out / "sidecars" / f"{photograph.input}.xmp"
            if path in written:
                path = path.with_name(f"{photograph.sha256[:8]}-{path.name}")
            write_text(path, sidecar(prediction, prediction.point, reached))
            written.append(path)
    return written


def photographs_of(prediction: Prediction) -> Sequence[Photograph]:
    """Return each photograph that a prediction answers for."""
    located = any(place.source != "dataset" for place in prediction.metadata)
    own = Photograph(prediction.input, prediction.path, prediction.sha256, located, None, False)
    return prediction.photographs or (own,)


def sidecar(prediction: Prediction, point: tuple[float, float], confidence: float) -> str:
    """Return an XMP packet with the answered point, said to be an estimate."""
    about = prediction.provenance
    words = " ".join(
        [
            f"Estimated from the picture alone; confidence of its cell {confidence:.0%}; a hypothesis, not proof.",
            f"Model {about.run} {about.model_hash[:12]}, version {about.version}.",
            *([f"Model licence: {about.licence}."] if about.licence else []),
            *(f"Warning: {warning}." for warning in prediction.caveats),
        ]
    )
    latitude, longitude = _xmp_degrees(point[0], "NS"), _xmp_degrees(point[1], "EW")
    return XMP.format(latitude=latitude, longitude=longitude, words=escape(words))


def _xmp_degrees(value: float, sides: str) -> str:
    """Return `48,51.50000N`, as the XMP specification (part 2, GPSCoordinate) wants it."""
    minutes = round(abs(value) * 60, 5)
    return f"{int(minutes // 60)},{minutes % 60:.5f}{sides[value < 0]}"
