// The base map: land and sea, borders, names of countries and cities. viz/base_map/packing.py says how it is packed.

async function inflate(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function unpackBaseMap(content, step) {
  const reader = { at: 0 }, next = varints(content, reader);
  const signed = () => {
    const value = next();
    return value % 2 ? -(value + 1) / 2 : value / 2;
  };
  const series = (count, read) => Array.from({ length: count }, read);
  next(); // of numbers
  const [rings, borders, countries, cities] = series(4, next);
  const lengths = series(rings + borders, next);
  const vertices = lengths.reduce((sum, length) => sum + length, 0);
  const degrees = () => {
    let steps = 0;
    return Float64Array.from(series(vertices, signed), (difference) => (steps += difference) * step);
  };
  const lat = degrees(), lng = degrees();
  let start = 0;
  const lines = lengths.map((length) => worldLine(lat.subarray(start, start + length), lng.subarray(start, (start += length))));
  const names = countries + cities;
  const places = [series(names, signed), series(names, signed), series(names, next)];
  const texts = new TextDecoder().decode(content.subarray(reader.at)).split("\n");
  return {
    coast: lines.slice(0, rings),
    borders: lines.slice(rings),
    names: texts.map((text, i) => ({
      text, lat: places[0][i] * step, lng: places[1][i] * step, scale: 2 ** (places[2][i] / 4), country: i < countries,
    })),
  };
}

function worldLine(lat, lng) {
  return { lat, lng, north: Math.max(...lat), south: Math.min(...lat), west: Math.min(...lng), east: Math.max(...lng) };
}

const LEAST = 0.7; // Pixels: shorter steps of long lines are left out.
const REGIONS_FROM = LEAST / 12; // Degrees: from 12 pixels a degree the first-level regions of an area are shown.
const SEAM = 179.99, POLE = -89.9; // Land is cut here; nothing ends.

const Ground = ViewCanvas.extend({
  initialize() {
    ViewCanvas.prototype.initialize.call(this, "tilePane");
  },

  setMap(world) {
    this._world = world;
    if (this._map) this._update();
  },

  _paint(context, size) {
    const top = this._at(90, 0).y, bottom = this._at(-90, 0).y;
    context.fillStyle = look("ocean");
    context.fillRect(0, top, size.x, bottom - top);
    if (!this._world) return;
    const view = this._view(size);
    context.lineJoin = context.lineCap = "round";
    context.beginPath();
    this._trace(context, view, this._world.coast, true);
    context.fillStyle = look("land");
    context.fill();
    this._stroke(context, view, this._world.coast, look("coast"), 0.8);
    if (this.regions && view.least < REGIONS_FROM) this._stroke(context, view, this.regions, look("border"), 0.5);
    this._stroke(context, view, this._world.borders, look("border"), 1.2);
  },

  _stroke(context, view, lines, colour, width) {
    context.beginPath();
    this._trace(context, view, lines, false);
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  },

  // How degrees become pixels, and which degrees are seen.
  _view(size) {
    const left = this._at(0, -180).x, scale = (this._at(0, 180).x - left) / 360;
    const { crs } = this._map.options, shift = this._map.getPixelOrigin().y + this._bounds.min.y;
    const enlarged = crs.scale(this._map.getZoom()) / crs.scale(0);
    const edge = (y) => this._map.layerPointToLatLng([0, y + this._bounds.min.y]).lat;
    return {
      x: (lng) => left + (lng + 180) * scale,
      flat: (lat) => crs.latLngToPoint({ lat, lng: 0 }, 0).y,
      y: (flat) => flat * enlarged - shift,
      west: -left / scale - 180, east: (size.x - left) / scale - 180, north: edge(0), south: edge(size.y), least: LEAST / scale,
    };
  },

  // Filling closes rings by itself: so many calls of closePath would take half a second.
  // A line is drawn by each whole turn at which it is seen. Land goes on a little beyond the antimeridian, or a seam would show;
  // holes run the other way around than what they lie in, so that land upon land stays land.
  _trace(context, view, lines, filled) {
    for (const line of lines) {
      if (line.south > view.north || line.north < view.south) continue;
      line.flat ??= Float64Array.from(line.lat, view.flat);
      const y = line.flat.map(view.y);
      for (let turn = Math.ceil((view.west - line.east) / 360); turn <= (view.east - line.west) / 360; turn++)
        this._line(context, view, line, y, 360 * turn, filled);
    }
  },

  _line(context, view, { lat, lng, ring }, y, turn, filled) {
    const beyond = (degrees) => (filled && Math.abs(degrees) > SEAM ? Math.sign(degrees) * 180.05 : degrees);
    const cut = (i, j) => !filled && ((Math.abs(lng[i]) > SEAM && Math.abs(lng[j]) > SEAM) || (lat[i] < POLE && lat[j] < POLE));
    const count = lng.length + (ring && !filled ? 1 : 0);
    let last = -1;
    for (let k = 0; k < count; k++) {
      const i = k % lng.length;
      // Steps that nobody sees are left out of long lines.
      const tiny = last >= 0 && k < count - 1 && lng.length > 12 && !cut(last, i)
        && Math.abs(lng[i] - lng[last]) < view.least && Math.abs(y[i] - y[last]) < LEAST;
      if (tiny) continue;
      const x = view.x(beyond(lng[i]) + turn);
      if (last < 0 || cut(last, i)) context.moveTo(x, y[i]);
      else context.lineTo(x, y[i]);
      last = i;
    }
  },
});

// Names over everything else that is drawn, the more important first; one that would touch another is left out.
const Names = ViewCanvas.extend({
  initialize(names) {
    ViewCanvas.prototype.initialize.call(this, "names");
    this._names = names;
  },

  _paint(context, size) {
    const left = this._at(0, -180).x, scale = (this._at(0, 180).x - left) / 360, taken = [];
    this._colours = { country: look("country-name"), city: look("city-name"), halo: look("name-halo") };
    this.shown = new Set();
    context.textBaseline = "middle";
    context.lineJoin = "round";
    for (const name of this._names) {
      if (name.scale > scale) continue;
      const y = this._at(name.lat, 0).y;
      if (y < 0 || y > size.y) continue;
      const first = Math.ceil((-left / scale - 180 - name.lng) / 360);
      for (let x = left + (name.lng + 180 + 360 * first) * scale; x < size.x; x += 360 * scale) this._name(context, name, x, y, taken);
    }
  },

  _name(context, { text, country, region }, x, y, taken) {
    const middle = country || region;
    context.font = `${country ? "600 12.5px" : region ? "italic 12px" : "11px"} system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif`;
    const width = context.measureText(text).width, from = middle ? x - width / 2 : x - 3;
    const box = [from - 4, y - 8, from + width + (middle ? 4 : 13), y + 8];
    if (taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) return;
    taken.push(box);
    this.shown.add(text);
    context.strokeStyle = this._colours.halo;
    context.fillStyle = this._colours[country ? "country" : "city"];
    context.lineWidth = 3;
    if (!middle) {
      context.beginPath();
      context.arc(x, y, 2, 0, 2 * Math.PI);
      context.stroke();
      context.fill();
    }
    const start = middle ? from : x + 5;
    context.strokeText(text, start, y);
    context.fillText(text, start, y);
  },
});

// Puts the base map under all that is drawn on a map, and its names over it; the sea is there at once, the rest when inflated.
function addBaseMap(map) {
  if (!data.base_map) return;
  map.attributionControl.setPrefix(false).addAttribution(data.base_map.credit);
  const ground = new Ground().addTo(map);
  const pane = map.createPane("names");
  pane.style.zIndex = 450;
  pane.style.pointerEvents = "none";
  const parts = [data.base_map.packed, data.base_map.regions].filter(Boolean).map((packed) => inflate(bytes(packed)));
  map.baseMap = Promise.all(parts).then((contents) => {
    const [world, regions] = contents.map((content) => unpackBaseMap(content, data.base_map.step));
    if (regions) {
      ground.regions = regions.borders;
      world.names.push(...regions.names.map((name) => ({ ...name, region: true })));
    }
    for (const line of world.coast) line.ring = true;
    ground.setMap(world);
    const layer = new Names(world.names).addTo(map);
    onDark.addEventListener("change", () => [ground, layer].forEach((drawn) => drawn._update()));
    return { ...world, layer };
  });
}
