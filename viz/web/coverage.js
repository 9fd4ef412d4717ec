const WORLD = [[-90, -180], [90, 180]];
const INHABITED = [[-58, -180], [84, 180]]; // Shown first in Web Mercator, where the poles would take most of the page.
const DIMMED = 0.16;

const view = { level: data.level, split: ALL, shown: "photographs", bucket: null, country: null, cell: null };

// Errors are known at one level only.
function levelShown() {
  return view.shown === "error" ? data.errors.level : view.level;
}

function shade(count, most) {
  const ramp = themed(data.ramps).map(rgb);
  const along = most > 1 ? (Math.log(count) / Math.log(most)) * (ramp.length - 1) : 0;
  const step = Math.min(Math.floor(along), ramp.length - 2);
  return mix(ramp[step], ramp[step + 1], along - step);
}

function errorColour(km) {
  return themed(data.errors.ramps)[data.errors.most.findIndex((most) => most === null || km <= most)];
}

// Bytes of the picture of all cells: those of the chosen bar and country stand out.
function colours(coverage) {
  const level = levelShown(), counts = coverage.counts(level, view.split), painted = new Uint8ClampedArray(4 ** (level + 1));
  const most = counts.reduce((a, b) => Math.max(a, b), 0), land = coverage.land(level), country = coverage.countries(level);
  const survey = level === data.finest && view.shown !== "error", cache = new Map();
  const shaded = (count) => cache.get(count) ?? (cache.set(count, shade(count, most)), cache.get(count));
  counts.forEach((count, index) => {
    let colour = null;
    const chosen = (view.bucket === null || bucketOf(count) === view.bucket) && (view.country === null || country[index] === view.country);
    if (view.shown === "error") {
      const km = coverage.error(index);
      if (km !== undefined) colour = rgb(errorColour(km));
    } else if (count) colour = shaded(count);
    else if (survey && coverage.surveyColour(index)) colour = rgb(coverage.surveyColour(index));
    if (!colour && view.bucket === 0 && chosen && land[index]) colour = rgb(look("chosen"));
    if (colour) painted.set([...colour, data.opacity * (chosen ? 1 : DIMMED)], 4 * index);
  });
  return painted;
}

function splitWords(coverage, level, index) {
  if (view.split !== ALL || data.splits.length < 2) return "";
  const parts = data.splits.map((split) => [coverage.counts(level, split)[index], split]).filter(([count]) => count);
  return parts.map(([count, split]) => `${count.toLocaleString("en")} ${split}`).join(", ");
}

// What is said of a cell, as plain values.
function describeCell(coverage, index, level) {
  const count = coverage.counts(level, view.split)[index], land = coverage.land(level)[index];
  const country = coverage.country(level, index), of = view.split === ALL ? "" : ` of the ${view.split} split`, km = level === data.errors?.level ? coverage.error(index) : undefined;
  return {
    id: cellId(index, level),
    text: count ? `${counted(count, "photograph")}${of}` : land ? `land, no photographs${of}` : "ocean",
    splits: splitWords(coverage, level, index),
    country: country && level < data.finest ? `land: mostly ${country}` : country,
    error: km === undefined ? "" : `median error ${Math.round(km).toLocaleString("en")} km`,
    more: coverage.survey(level, index),
  };
}

function cellLines(described, index, level) {
  const [[south, west], [north, east]] = cellBounds(index, level);
  const middle = place((south + north) / 2, (west + east) / 2);
  const lines = [described.splits, described.error, described.more, described.country, `cell ${described.id}`, `around ${middle}`];
  return wordLines(described.text, ...lines);
}

function startCoverage(map) {
  map.setMinZoom(-1);
  nameMap(map, "Map of the cells: arrow keys move it, plus and minus zoom, Enter chooses the cell in its middle");
  show(map, data.tiles ? INHABITED : WORLD);
  map.coverage = inflate(bytes(data.packed)).then((content) => {
    const coverage = new Coverage(content);
    connect(map, coverage);
    return coverage;
  });
}

function connect(map, coverage) {
  const grid = new CellGrid(sideOf(levelShown()), colours(coverage)).addTo(map);
  let outline = null;
  const frame = (cells, level) => show(map, boxOf(cells, level) ?? WORLD);
  const filled = (level, wanted) => [...coverage.counts(level, view.split).keys()].filter(wanted);
  // With a survey also what was found or searched on land: that is what it is looked at for.
  const shown = (level) => (i) => coverage.counts(level, view.split)[i] || (level === data.finest && coverage.surveyColour(i));
  const frameData = () => frame(filled(levelShown(), shown(levelShown())), levelShown());

  const paint = () => grid.setColours(sideOf(levelShown()), colours(coverage));
  const chooseCell = (index, level, zoom = true) => {
    if (level !== levelShown()) setLevel(level);
    view.cell = index;
    outline?.remove();
    const bounds = cellBounds(index, level), described = describeCell(coverage, index, level);
    outline = L.rectangle(bounds, { color: look("chosen"), weight: 3, fill: false, interactive: false }).addTo(map);
    document.getElementById("cell").replaceChildren(cellLines(described, index, level));
    markBar(bucketOf(coverage.counts(level, view.split)[index]));
    if (zoom) show(map, L.latLngBounds(bounds).pad(2));
  };
  const chooseBucket = (bucket) => {
    view.bucket = bucket;
    draw();
  };
  const chooseCountry = (country) => {
    view.country = country;
    draw();
    const of = coverage.countries(data.finest), cells = [...of.keys()].filter((i) => of[i] === country);
    if (country === null) frameData();
    else frame(cells, data.finest);
  };
  const setLevel = (level) => {
    view.shown = level === data.errors?.level ? view.shown : "photographs";
    view.level = level;
    for (const input of document.querySelectorAll("input[name=level]")) input.checked = Number(input.value) === level;
    for (const input of document.querySelectorAll("input[name=shown]")) input.checked = input.value === view.shown;
    draw();
  };

  const draw = () => {
    const level = levelShown(), counts = coverage.counts(level, view.split), most = counts.reduce((a, b) => Math.max(a, b), 0);
    paint();
    outline?.remove();
    view.cell = null;
    document.getElementById("level").disabled = view.shown === "error";
    document.getElementById("legend-photographs").hidden = view.shown === "error";
    if (data.errors) document.getElementById("legend-error").hidden = view.shown !== "error";
    document.getElementById("most").textContent = most > 1 ? `${most.toLocaleString("en")}, on a logarithmic scale` : "in a cell";
    document.getElementById("summary").textContent = summary(coverage, level, counts);
    showBars(counts, coverage.land(level), view.bucket, chooseBucket);
    showCountries(coverage, view.split, view.country, chooseCountry);
    if (view.shown === "error") showWorst(coverage, (index) => chooseCell(index, level));
    else showUneven(coverage, level, (index) => chooseCell(index, level));
  };

  for (const name of ["split", "shown"])
    document.getElementById(name)?.addEventListener("change", ({ target }) => {
      view[name] = target.value;
      draw();
    });
  document.getElementById("level").addEventListener("change", ({ target }) => setLevel(Number(target.value)));
  document.getElementById("frame-data").addEventListener("click", frameData);
  document.getElementById("frame-world").addEventListener("click", () => show(map, data.tiles ? INHABITED : WORLD));
  onDark.addEventListener("change", paint);
  connectSearch(map, coverage, chooseCell, chooseCountry);
  connectPointer(map, coverage, chooseCell);
  draw();
  frameData();
}

function summary(coverage, level, counts) {
  const land = coverage.land(level), covered = counts.reduce((sum, count, i) => sum + (count > 0 && land[i] > 0), 0);
  const all = land.reduce((sum, cells) => sum + (cells > 0), 0), total = counts.reduce((sum, count) => sum + count, 0);
  return `${counted(total, "photograph")}${view.split === ALL ? "" : ` of the ${view.split} split`} in ${covered.toLocaleString("en")} of ${counted(all, "land cell")} of L${level} (${((100 * covered) / all).toFixed(1)}%)`;
}

function connectPointer(map, coverage, chooseCell) {
  const readout = L.tooltip({ direction: "top", offset: [0, -8] }), level = () => levelShown();
  const chosenBar = () => markBar(view.cell === null ? null : bucketOf(coverage.counts(level(), view.split)[view.cell]));
  const close = () => {
    map.closeTooltip(readout);
    chosenBar();
  };
  const read = (lat, lng) => {
    const index = cellAt(lat, lng, level());
    readout.setContent(cellLines(describeCell(coverage, index, level()), index, level())).setLatLng([lat, lng]);
    markBar(bucketOf(coverage.counts(level(), view.split)[index]));
    map.openTooltip(readout);
  };
  map.on("mousemove", ({ latlng: { lat, lng } }) => (Math.abs(lat) > 90 ? close() : read(lat, lng)));
  map.getContainer().addEventListener("mouseleave", close);
  map.on("click", ({ latlng: { lat, lng } }) => Math.abs(lat) <= 90 && chooseCell(cellAt(lat, lng, level()), level(), false));
  // The keyboard reads and chooses the cell in the middle.
  const container = map.getContainer(), seen = () => container.matches(":focus-visible");
  map.on("moveend", () => seen() && Math.abs(map.getCenter().lat) <= 90 && read(map.getCenter().lat, map.getCenter().lng));
  container.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target !== container) return;
    const { lat, lng } = map.getCenter();
    chooseCell(cellAt(lat, lng, level()), level(), false);
  });
  container.addEventListener("blur", close);
}

function connectSearch(map, coverage, chooseCell, chooseCountry) {
  const found = document.getElementById("found"), input = document.getElementById("place");
  let cities = [];
  map.baseMap?.then((world) => {
    cities = world.names.filter((name) => !name.country);
    const options = [...data.countries.filter(Boolean), ...cities.map((name) => name.text)];
    document.getElementById("places").append(...[...new Set(options)].map((text) => Object.assign(element("option"), { value: text })));
  });
  const say = (text) => (found.textContent = text);
  const find = (text) => {
    const wanted = plain(text), cell = cellOfId(wanted);
    if (!wanted) return say("Type the name of a country or city, a cell such as 0/1/2/3, or latitude and longitude.");
    if (cell && cell.level > data.finest) return say(`Cell ${text} is finer than L${data.finest}, the finest here.`);
    if (cell) return chooseCell(cell.index, cell.level), say(`Cell ${cellId(cell.index, cell.level)}`);
    const numbers = /^(-?\d+(?:\.\d+)?)\s*[,; ]\s*(-?\d+(?:\.\d+)?)$/.exec(wanted);
    if (numbers && Math.abs(numbers[1]) > 90) return say(`Latitude ${numbers[1]} is not within -90 and 90: write latitude first.`);
    if (numbers) return goTo(Number(numbers[1]), Number(numbers[2]), place(Number(numbers[1]), Number(numbers[2])));
    const matching = (list, test) => list.findIndex((name) => name && test(plain(name)));
    const names = cities.map((city) => city.text);
    for (const test of [(name) => name === wanted, (name) => name.startsWith(wanted)]) {
      const country = matching(data.countries, test), city = matching(names, test);
      if (country > 0) return chooseCountry(country), say(data.countries[country]);
      if (city >= 0) return goTo(cities[city].lat, cities[city].lng, names[city]);
    }
    return say(`“${text}” is not a country, a city of the map or a cell: try another spelling, or coordinates.`);
  };
  const goTo = (lat, lng, name) => {
    chooseCell(cellAt(lat, lng, levelShown()), levelShown());
    say(name);
  };
  document.querySelector(".search").addEventListener("submit", (event) => {
    event.preventDefault();
    find(input.value);
  });
}
