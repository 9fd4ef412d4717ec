const chosen = { key: "row", down: false, level: data.level, text: "", least: 0 };
const searched = data.name.map((name, i) => plain(`${name} ${data.answer[i]} ${data.country[i]}`));

function confidence(index) {
  return chosen.level === null ? null : data.confidence[chosen.level][index];
}

function percent(share) {
  return share === null ? "" : `${Math.round(100 * share)}%`;
}

function rounded(value) {
  return value === null ? "" : (value < 10 ? value : Math.round(value)).toLocaleString("en");
}

function confidenceColour(share) {
  return share === null ? data.unknown : themed(data.ramps)[Math.min(4, Math.floor(5 * share))];
}

const KEYS = { row: (i) => i, name: (i) => data.name[i].toLowerCase(), answer: (i) => data.answer[i].toLowerCase(), confidence, away: (i) => data.away[i], area: (i) => data.area[i], set: (i) => data.set[i] };

// Rows that the filters leave, sorted; what is not known comes last both ways.
function ordered() {
  const wanted = plain(chosen.text), value = KEYS[chosen.key], sign = chosen.down ? -1 : 1;
  const left = [...data.name.keys()].filter((i) => searched[i].includes(wanted) && (!chosen.least || confidence(i) >= chosen.least));
  const by = (a, b) => {
    const x = value(a), y = value(b);
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x < y ? -1 : x > y ? 1 : 0);
  };
  return left.sort((a, b) => by(a, b) || a - b);
}

function median(values) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b), half = sorted.length >> 1;
  return sorted.length ? (sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2) : null;
}

function countWords(order) {
  const away = median(order.map((i) => data.away[i]));
  const far = away === null ? "" : `; median distance from the known place ${rounded(away)} km`;
  return `${order.length.toLocaleString("en")} of ${counted(data.name.length, "answer")} shown${far}`;
}

function columns() {
  const { area, set } = document.getElementById("rows").dataset;
  return [
    ["Photograph", "name"], ["Answer", "answer"],
    ...(data.level === null ? [] : [["Confidence", "confidence"]]),
    ...(data.away.some((km) => km !== null) ? [["Off by, km", "away"]] : []),
    ...(area ? [[area, "area"]] : []),
    ...(set ? [[set, "set"]] : []),
  ];
}

function photographCell(index) {
  const cell = element("th"), name = data.name[index], frame = element("span");
  cell.scope = "row";
  frame.className = "thumbnail";
  if (data.thumbnail[index]) frame.append(Object.assign(new Image(), { src: data.thumbnail[index], alt: "", loading: "lazy", decoding: "async" }));
  const link = data.page[index] ? Object.assign(element("a", name), { href: data.page[index] }) : element("span", name);
  link.title = name;
  cell.append(element("div", "", frame, link));
  return cell;
}

function answerCell(index, toMap) {
  const point = data.point[index], words = Object.assign(element("span", data.answer[index]), { title: data.answer[index] }), cell = element("td");
  const where = point && button("On the map", null, () => toMap(index));
  if (where) where.setAttribute("aria-label", `On the map: ${data.name[index]}`);
  cell.append(element("div", "", words, ...(where ? [where] : [])));
  return cell;
}

// map: null on a page of answers without points.
function startIndex(map) {
  const layer = map && new Points().addTo(map), scroll = document.getElementById("scroll"), table = document.getElementById("rows");
  let marked = null;

  const mark = (index) => {
    marked?.remove();
    marked = map && index !== null ? ring(index).addTo(map) : null;
    if (index !== null) document.getElementById("card").replaceChildren(...card(index));
  };
  const toMap = (index) => {
    mark(index);
    map.setView(data.point[index], Math.max(map.getZoom(), 3), { animate: false });
    if (window.innerWidth <= 900) map.getContainer().scrollIntoView({ block: "center" });
  };
  const cells = { name: photographCell, answer: (i) => answerCell(i, toMap), confidence: confidenceCell, away: (i) => element("td", rounded(data.away[i])), area: (i) => element("td", rounded(data.area[i])), set: (i) => element("td", rounded(data.set[i])) };
  const row = (index) => {
    const made = element("tr", "", ...columns().map(([, key]) => Object.assign(cells[key](index), { className: key })));
    for (const act of ["mouseenter", "focusin"]) made.addEventListener(act, () => mark(index));
    return made;
  };
  const rows = new Rows(scroll, table.tBodies[0], row, parseFloat(getComputedStyle(table).getPropertyValue("--row")));

  const draw = () => {
    const order = ordered();
    mark(null);
    document.getElementById("count").textContent = countWords(order);
    if (map && data.levels.length) document.getElementById("of-level").textContent = `confidence at ${data.levels[chosen.level]}:`;
    table.setAttribute("aria-rowcount", order.length + 1);
    const sort = (key) => {
      Object.assign(chosen, { key, down: chosen.key === key ? !chosen.down : key === "confidence" });
      draw();
    };
    refill(table.tHead, [element("tr", "", ...columns().map(([text, key]) => Object.assign(sortHeading(text, key, chosen, sort), { className: key })))]);
    rows.setOrder(order);
    if (!map) return;
    const drawn = order.filter((i) => data.point[i]).sort((a, b) => confidence(a) - confidence(b));
    layer.setPoints(drawn.map((index) => ({ index, at: data.point[index], colour: confidenceColour(confidence(index)) })));
  };

  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("filter").addEventListener("input", ({ target }) => ((chosen.text = target.value), draw()));
  document.getElementById("least")?.addEventListener("change", ({ target }) => ((chosen.least = Number(target.value)), draw()));
  document.getElementById("level")?.addEventListener("change", ({ target }) => ((chosen.level = Number(target.value)), draw()));
  onDark.addEventListener("change", draw);
  draw();
  if (!map) return;
  map.setMinZoom(-1);
  nameMap(map, "Map of all answers; the table has the same places");
  connectPoints(map, layer, (index) => {
    mark(index);
    const found = rows.reveal(index);
    for (const other of table.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
    found?.setAttribute("aria-current", "true");
  });
  show(map, pointsBox(data.point.filter(Boolean)));
}

function confidenceCell(index) {
  const share = confidence(index), bar = element("i");
  bar.style.width = `${100 * (share ?? 0)}%`;
  bar.style.background = confidenceColour(share);
  return element("td", percent(share), element("span", "", bar));
}

// All that is known of an answer, beside the map.
function card(index) {
  const name = data.name[index], lines = [data.answer[index]];
  const said = data.levels.map((level, k) => [level, data.confidence[k][index]]).filter(([, share]) => share !== null);
  if (said.length) lines.push(`Confidence: ${said.map(([level, share]) => `${level} ${percent(share)}`).join(", ")}`);
  if (data.point[index]) lines.push(place(...data.point[index]));
  if (data.away[index] !== null) lines.push(`${rounded(data.away[index])} km from the known place, ${place(...data.known[index])}`);
  if (data.area[index] !== null) lines.push(`${document.getElementById("rows").dataset.area.replace(", km²", "")}: ${rounded(data.area[index])} km²`);
  if (data.set_words[index]) lines.push(data.set_words[index]);
  const title = data.page[index] ? Object.assign(element("a", name), { href: data.page[index] }) : element("b", name);
  const picture = data.thumbnail[index] ? [Object.assign(new Image(), { src: data.thumbnail[index], alt: "" })] : [];
  return [...picture, element("div", "", title, ...lines.map((line) => element("p", line)))];
}

// An answer on the map: a ring, and a line to the known place the shorter way around.
function ring(index) {
  const at = data.point[index], known = data.known[index], group = L.layerGroup();
  if (!at) return group;
  L.circleMarker(at, { radius: 9, color: look("chosen"), weight: 3, fill: false, interactive: false }).addTo(group);
  if (!known) return group;
  const lng = nearTo(known[1], at[1]);
  L.polyline([at, [known[0], lng]], { color: look("found"), weight: 2.5, dashArray: "7 5", interactive: false }).addTo(group);
  L.circleMarker([known[0], lng], { radius: 6, color: look("halo"), weight: 2, fillColor: look("found"), fillOpacity: 1, interactive: false }).addTo(group);
  return group;
}

function pointsBox(points) {
  if (!points.length) return [[-60, -180], [84, 180]];
  const lats = points.map(([lat]) => lat), lngs = points.map(([, lng]) => lng);
  const edge = (values, least) => values.reduce((a, b) => Math[least](a, b));
  return L.latLngBounds([edge(lats, "min"), edge(lngs, "min")], [edge(lats, "max"), edge(lngs, "max")]).pad(0.05);
}

function connectPoints(map, layer, choose) {
  const readout = L.tooltip({ direction: "top", offset: [0, -8] });
  map.on("mousemove", ({ latlng }) => {
    const found = layer.pointAt(latlng);
    map.getContainer().style.cursor = found ? "pointer" : "";
    if (!found) return map.closeTooltip(readout);
    const { index } = found, share = confidence(index);
    const lines = [data.answer[index], share === null ? "" : `confidence at ${data.levels[chosen.level]} ${percent(share)}`, data.away[index] === null ? "" : `${rounded(data.away[index])} km from the known place`];
    readout.setContent(wordLines(data.name[index], ...lines));
    return map.openTooltip(readout.setLatLng(latlng));
  });
  map.getContainer().addEventListener("mouseleave", () => map.closeTooltip(readout));
  map.on("click", ({ latlng }) => {
    const found = layer.pointAt(latlng);
    if (found) choose(found.index);
  });
}
