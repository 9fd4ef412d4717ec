// The map of an answer: cells, regions, marks.

function marker(map, at, shape, size, anchor, lines) {
  const icon = L.divIcon({ className: "mark", html: `<span class="${shape}"></span>`, iconSize: size, iconAnchor: anchor });
  const made = L.marker(at, { icon, title: lines[0] }).bindPopup(wordLines(...lines)).addTo(map);
  // A mark is a button for who cannot see it.
  made.getElement().setAttribute("aria-label", lines.join(", "));
}

function drawRegions(map, regions) {
  const pane = map.createPane("regions");
  pane.style.zIndex = 420;
  pane.style.pointerEvents = "none";
  const renderer = L.svg({ pane: "regions" });
  for (const region of regions) {
    const className = `region${region.dashed ? " dashed" : ""}`;
    const outline = { pane: "regions", renderer, fill: false, className, weight: 2, interactive: false };
    if (region.specks.length)
      L.polygon(region.specks.map((ring) => [ring]), {
        ...outline, className: "specks", weight: 1, fill: true, fillColor: "url(#specks)", fillOpacity: 1,
      }).addTo(map);
    if (region.rings.length) L.polygon(region.rings.map((ring) => [ring]), outline).addTo(map);
  }
}

function drawMarks(map) {
  for (const similar of data.similar) marker(map, similar.at, "similar-place", [14, 14], [7, 7], similar.lines);
  for (const location of data.locations) {
    if (location.line) {
      L.polyline(location.line, { color: look("halo"), weight: 5, opacity: 0.8, interactive: false }).addTo(map);
      L.polyline(location.line, { color: look("found"), weight: 2.5, dashArray: "7 5" })
        .bindTooltip(element("span", location.distance), { sticky: true }).addTo(map);
    }
    marker(map, location.at, "metadata-location", [18, 18], [9, 9], location.lines);
  }
  if (data.point) marker(map, data.point, "pin", [22, 22], [11, 26], data.point_lines);
}

function startPrediction(map) {
  nameMap(map, "Map of the answer");
  map.setMaxBounds([[-90, data.middle - 200], [90, data.middle + 200]]);
  show(map, data.fit, beside(map));
  startActions(map);
  map.answer = unpacked(data.drawn).then(({ layers, regions }) => {
    const cells = new Cells(map, layers);
    if (layers.length) startCells(map, cells);
    drawRegions(map, regions);
    drawMarks(map);
    return cells;
  });
  // The page is drawn when both are there.
  const ground = map.baseMap;
  map.baseMap = map.answer.then(() => ground);
}
