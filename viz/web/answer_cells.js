// The cells of an answer: unpacked, coloured by probability or by rank, shown one level at a time.

async function unpacked(base64) {
  return JSON.parse(new TextDecoder().decode(await inflate(bytes(base64))));
}

function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1%";
  if (share > 0.999 && share < 1) return "> 99.9%";
  return `${(100 * share).toFixed(1).replace(/\.0$/, "")}%`;
}

// The cells of a level as objects, the most probable first, of columns whose boxes are differences.
function cellsOf(layer) {
  let south = 0, west = 0;
  const cells = layer.id.map((id, k) => {
    south += layer.south[k];
    west += layer.west[k];
    const bounds = [[south / 1e6, west / 1e6], [(south + layer.height[k]) / 1e6, (west + layer.width[k]) / 1e6]];
    return {
      id, bounds, place: layer.places[layer.place[k]], probability: layer.probability[k],
      photographs: layer.photographs && layer.photographs[k], polygons: layer.outlines[k],
    };
  });
  cells.sort((a, b) => b.probability - a.probability);
  cells.forEach((cell, rank) => (cell.rank = rank + 1));
  return cells;
}

// From 0.1% to 100% by the logarithm; the same for every level and every answer.
function rampColour(probability, stops) {
  const share = (Math.log10(Math.min(Math.max(probability, 1e-3), 1)) + 3) / 3;
  const place = share * (stops.length - 1), below = Math.min(Math.floor(place), stops.length - 2);
  const mixed = mix(rgb(stops[below]), rgb(stops[below + 1]), place - below).map(Math.round);
  return `rgb(${mixed.join(", ")})`;
}

function cellStyle(cell, best, byRank) {
  if (byRank) {
    const color = data.ranks.find(([last]) => last === null || cell.rank <= last)[1];
    const fillOpacity = 0.4 + 0.4 * Math.sqrt(cell.probability / best);
    return { color, fillColor: color, weight: cell.rank === 1 ? 3 : 1.5, opacity: 0.95, fillOpacity };
  }
  const fillColor = rampColour(cell.probability, themed(data.ramps));
  return cell.rank === 1
    ? { color: look("ink"), fillColor, weight: 2.5, opacity: 1, fillOpacity: 0.8 }
    : { color: fillColor, fillColor, weight: 1, opacity: 0.95, fillOpacity: 0.75 };
}

function cellText(cell) {
  const counts = cell.photographs === null ? "" : `, ${counted(cell.photographs, "training photograph")}`;
  const name = cell.place === cell.id ? "" : `cell ${cell.id}`;
  return wordLines(cell.place, `probability ${percent(cell.probability)}${counts}`, name);
}

// All levels of an answer, of which one is shown.
class Cells {
  constructor(map, layers) {
    this.map = map;
    this.levels = layers.map((layer) => ({ ...layer, cells: cellsOf(layer), group: null }));
    this.byRank = false;
    this.tip = L.tooltip({ permanent: true, direction: "top" });
  }

  get level() {
    return this.levels[this.shown];
  }

  group(level) {
    // Drawn from the last rank to the first: where cells share an edge, the better one's colour shows.
    const drawn = level.cells.slice().reverse().map((cell) => {
      const shape = cell.polygons ? L.polygon(cell.polygons) : L.rectangle(cell.bounds);
      shape.cell = cell;
      return shape;
    });
    return L.featureGroup(drawn).bindTooltip((shape) => cellText(shape.cell), { sticky: true });
  }

  show(number) {
    if (this.shown !== undefined) this.level.group.remove();
    this.shown = number;
    this.level.group ??= this.group(this.level);
    this.paint();
    this.level.group.addTo(this.map);
    this.tip.remove();
    this.rank = undefined;
  }

  paint() {
    if (this.shown === undefined) return;
    const best = this.level.cells[0].probability;
    this.level.group.eachLayer((shape) => shape.setStyle(cellStyle(shape.cell, best, this.byRank)));
  }

  // Shows one cell with its words, as pointing at it does; from near where asked.
  point(rank, near) {
    const { cells } = this.level;
    this.rank = (rank + cells.length) % cells.length;
    const cell = cells[this.rank], bounds = L.latLngBounds(cell.bounds);
    if (near) this.map.fitBounds(bounds.pad(2), { animate: false, ...beside(this.map) });
    else if (!this.map.getBounds().contains(bounds)) this.map.panTo(bounds.getCenter(), { animate: false });
    this.tip.setLatLng(bounds.getCenter()).setContent(cellText(cell)).addTo(this.map);
    return cell;
  }
}
