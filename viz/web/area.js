// Degrees of a box, rounded outwards to a place that nobody needs more exactly.
const STEP = 0.01;

function boxOf(a, b) {
  const clamp = (lat) => Math.min(90, Math.max(-90, lat));
  const down = (value) => Math.floor(value / STEP + 1e-9) * STEP, up = (value) => Math.ceil(value / STEP - 1e-9) * STEP;
  const south = down(clamp(Math.min(a.lat, b.lat))), north = up(clamp(Math.max(a.lat, b.lat)));
  const left = down(Math.min(a.lng, b.lng)), right = up(Math.max(a.lng, b.lng));
  const [west, east] = right - left >= 360 ? [-180, 180] : [eastOf(left), eastOf(right) === -180 ? 180 : eastOf(right)];
  return [south, west, north, east].map((degrees) => String(Number(degrees.toFixed(2)))).join(",");
}

function startArea(map) {
  const drawn = document.getElementById("drawn"), clear = document.getElementById("clear");
  const style = { weight: 2, color: look("pin"), fillColor: look("link"), fillOpacity: 0.15 };
  let first = null, box = null;
  // A frame in a form is narrower than the world is at the least usual zoom.
  map.setMinZoom(-2);
  show(map, [[-60, -175], [78, 180]]);
  const tell = (text, value) => {
    drawn.textContent = text;
    clear.hidden = !box;
    if (value !== undefined && window.parent !== window) window.parent.postMessage({ box: value }, location.origin);
  };
  const draw = (a, b) => {
    box?.remove();
    box = L.rectangle([a, b], { ...style, interactive: false }).addTo(map);
  };
  pickable(map, "Map on which a box is drawn; Enter sets a corner at its middle", (at) => {
    if (!first) {
      first = at;
      draw(at, at);
      tell(`First corner ${place(at.lat, at.lng)}: set the opposite one.`);
      return;
    }
    const text = boxOf(first, at);
    draw(first, at);
    first = null;
    tell(`Box ${text}`, text);
  });
  map.on("mousemove move", (event) => first && draw(first, event.latlng ?? map.getCenter()));
  clear.addEventListener("click", () => {
    box?.remove();
    first = box = null;
    tell("No box is drawn.", "");
    map.getContainer().focus();
  });
}
