function boxes(layer) {
  // Drawn from the last rank to the first: where cells share an edge, the better one's colour shows.
  return L.layerGroup(
    layer.cells.slice().reverse().map((cell) => {
      const style = {
        color: cell.colour, weight: cell.rank === 1 ? 3 : 1.5, opacity: 0.95, fillColor: cell.colour,
        fillOpacity: cell.strength,
      };
      const drawn = cell.polygons ? L.polygon(cell.polygons, style) : L.rectangle(cell.bounds, style);
      return drawn.bindTooltip(element("span", cell.label), { sticky: true });
    })
  );
}

function marker(at, shape, size, anchor, lines) {
  const icon = L.divIcon({ className: "", html: `<span class="${shape}"></span>`, iconSize: size, iconAnchor: anchor });
  const text = element("div", "", ...lines.flatMap((line, i) => [element(i ? "span" : "b", line), element("br")]));
  return L.marker(at, { icon, alt: lines[0] }).bindPopup(text);
}

function startLevels(map) {
  const layers = data.layers.map(boxes), buttons = [...document.querySelectorAll(".levels button")];
  const choose = (chosen) => {
    layers.forEach((layer, i) => (i === chosen ? layer.addTo(map) : layer.remove()));
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === chosen));
    show(map, data.layers[chosen].fit);
  };
  buttons.forEach((button, i) => button.addEventListener("click", () => choose(i)));
  if (layers.length) choose(layers.length - 1);
  else show(map, data.fit);
}

function startPrediction(map) {
  map.setMaxBounds([[-90, data.middle - 200], [90, data.middle + 200]]);
  startLevels(map);
  for (const region of data.regions) {
    L.polygon(region.rings, {
      color: region.colour, weight: 2, opacity: 0.9, fill: false, dashArray: region.dashed ? "4 4" : null,
    }).bindTooltip(element("span", region.label), { sticky: true }).addTo(map);
  }
  for (const similar of data.similar) marker(similar.at, "similar-place", [14, 14], [7, 7], similar.lines).addTo(map);
  for (const location of data.locations) {
    if (location.line) {
      L.polyline(location.line, { color: "#fff", weight: 5, opacity: 0.8, interactive: false }).addTo(map);
      L.polyline(location.line, { color: "#00796b", weight: 2.5, dashArray: "7 5" })
        .bindTooltip(element("span", location.distance), { sticky: true }).addTo(map);
    }
    marker(location.at, "metadata-location", [18, 18], [9, 9], location.lines).addTo(map);
  }
  if (data.point) marker(data.point, "pin", [22, 22], [11, 26], data.point_lines).addTo(map);
}
