const field = (id) => document.getElementById(id);

async function ask(path, content) {
  let answer;
  try {
    const sent = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content) };
    answer = await fetch(path, sent);
  } catch {
    throw new Error("the server does not answer: is it still running?");
  }
  const found = await answer.json();
  if (found.error ?? found.problem) throw new Error(found.error ?? found.problem);
  return found;
}

const points = (value) => Math.round(value).toLocaleString("en");
const km = (value) => (value === null ? "" : `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} km`);

function table(caption, head, rows) {
  const line = (cells, kind) => element("tr", "", ...cells.map((text, i) => cell(kind === "td" && !i ? "th" : kind, text, kind)));
  const cell = (tag, text, kind) => {
    const made = element(tag, text);
    if (tag === "th") made.scope = kind === "th" ? "col" : "row";
    return made;
  };
  const made = element("table", "", element("caption", caption), element("thead", "", line(head, "th")));
  made.append(element("tbody", "", ...rows.map((row) => line(row, "td"))));
  return made;
}

function drawScores(score) {
  field("scores").hidden = !score;
  if (!score) return;
  // Photographs of one group give no intervals.
  const figure = ({ value, low, high }, shown, unit = "") => `${shown(value)}${unit}${low === null ? "" : ` [${shown(low)}, ${shown(high)}]`}`;
  const share = (of) => figure(of, (value) => (100 * value).toFixed(0), " %");
  const number = (of) => figure(of, points);
  const rows = score.top.map(({ k, person, network }) => [`Country in the first ${k}`, share(person), share(network)]);
  if (score.points.person)
    rows.unshift([`Points (0 to 5,000), ${score.placed} placed`, number(score.points.person), number(score.points.network)]);
  const words = `${score.player} and the network on ${counted(score.photographs, "photograph")}${score.top[0].person.low === null ? "" : ", with 95 % intervals"}`;
  const parts = [table(words, ["", "You", "Network"], rows)];
  if (score.caveat) parts.push(element("p", `${score.caveat[0].toUpperCase()}${score.caveat.slice(1)}.`));
  field("scores").replaceChildren(...parts);
}

function startGame(map) {
  const marks = L.layerGroup().addTo(map);
  const world = [[-55, -165], [72, 175]];
  let state = null, chosen = null;
  show(map, world);
  const problem = (text) => (field("problem").textContent = text);
  const mark = (at, shape, text) => {
    const size = shape === "person" ? [22, 22] : [18, 18], anchor = shape === "person" ? [11, 26] : [9, 9];
    const icon = L.divIcon({ className: "", html: `<span class="mark ${shape}"></span>`, iconSize: size, iconAnchor: anchor });
    L.marker(at, { icon, alt: text, keyboard: false }).bindTooltip(element("span", text)).addTo(marks);
  };

  function choose(at) {
    if (!state || state.number === null || !field("result").hidden) return;
    chosen = [at.lat, eastOf(at.lng)];
    marks.clearLayers();
    mark(at, "person", "your guess");
    field("picked").textContent = `Place ${place(...chosen)}`;
  }

  function begin(next) {
    state = next;
    chosen = null;
    marks.clearLayers();
    problem("");
    // What is being guessed comes first: earlier scores return with the next result.
    drawScores(state.number === null ? state.score : null);
    field("who").hidden = field("about").hidden = true;
    field("round").hidden = false;
    field("result").hidden = true;
    field("guess").hidden = state.number === null;
    field("photo").hidden = state.number === null;
    field("picked").textContent = "No place is chosen.";
    field("countries").value = "";
    const done = state.count - state.left;
    if (state.number === null) {
      field("progress").textContent = `You have guessed every photograph (${state.count}). The answers are in ${state.table}.`;
      return;
    }
    field("progress").textContent = `Photograph ${done + 1} of ${state.count}`;
    field("photo").src = `play/picture/${state.number}`;
    map.fitBounds(world, { animate: false });
    field("countries").focus({ preventScroll: true });
  }

  // Each place is drawn at the turn of the world that is nearest to the true one.
  function drawPlaces({ truth, person, network }) {
    const middle = (truth.at ?? person.at ?? [0, 0])[1];
    const near = ([lat, lng]) => [lat, nearTo(lng, middle)];
    const drawn = [];
    marks.clearLayers();
    for (const [who, shape, text] of [[network, "network", "the network"], [person, "person", "you"]]) {
      if (!who.at) continue;
      if (truth.at) L.polyline([near(who.at), near(truth.at)], { weight: 2, color: look("pin"), dashArray: "6 5" }).addTo(marks);
      mark(near(who.at), shape, text);
      drawn.push(near(who.at));
    }
    if (truth.at) {
      mark(near(truth.at), "truth", `taken here, in ${truth.country}`);
      drawn.push(near(truth.at));
    }
    if (drawn.length) map.fitBounds(L.latLngBounds(drawn).pad(0.3), { animate: false, maxZoom: 6 });
  }

  function drawResult(found) {
    const row = (name, who) => [name, who.countries.join(", ") || "none", km(who.distance_km), who.points === null ? "" : points(who.points)];
    field("truth").textContent = `It was taken in ${found.truth.country}`;
    const head = ["", "Countries", "Distance", "Points"];
    field("compared").replaceChildren(table("This photograph", head, [row("You", found.person), row("Network", found.network)]));
    field("taken").textContent = found.taken.length ? `Taken as ${found.taken.join(", ")}.` : "";
    field("guess").hidden = true;
    field("result").hidden = false;
    field("next").textContent = found.state.number === null ? "See the scores" : "Next photograph";
    field("next").onclick = () => begin(found.state);
    drawScores(found.state.score);
    drawPlaces(found);
    field("result").focus();
  }

  let busy = false;
  async function attempt(work) {
    if (busy) return;
    busy = true;
    problem("");
    try {
      await work();
    } catch (error) {
      problem(error.message);
    }
    busy = false;
  }

  async function guess(countries, at, none) {
    const sent = { player: state.player, number: state.number, countries, none };
    if (at) [sent.latitude, sent.longitude] = at;
    drawResult(await ask("play/guess", sent));
  }

  pickable(map, "Map of the world; Enter takes the place in its middle as your guess", choose);
  field("photo").addEventListener("error", () => {
    if (state && state.number !== null) problem("this photograph cannot be shown: choose No idea to go on");
  });
  field("who").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => begin(await ask("play/start", { player: field("player").value })));
  });
  field("guess").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => guess(field("countries").value, chosen, false));
  });
  field("pass").addEventListener("click", () => attempt(() => guess("", null, true)));
}
