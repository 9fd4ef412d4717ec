// Counts are base-128 numbers of 7 bits a byte, low bits first; the high bit says that more follow.
function unpackCounts(packed, cells) {
  const counts = new Uint32Array(cells);
  for (let at = 0, cell = 0; cell < cells; cell++) {
    let shift = 0, byte;
    do {
      byte = packed[at++];
      counts[cell] += (byte & 127) * 2 ** shift;
      shift += 7;
    } while (byte & 128);
  }
  return counts;
}

const side = data.side;
const counts = unpackCounts(bytes(data.counts), side * side);
const land = bytes(data.land);
const ramp = data.ramp.map(rgb);

const survey = data.survey && {
  state: unpackCounts(bytes(data.survey.state), side * side),
  squares: unpackCounts(bytes(data.survey.squares), side * side),
  reason: unpackCounts(bytes(data.survey.reason), side * side),
  day: unpackCounts(bytes(data.survey.day), side * side),
};

function isLand(index) {
  return (land[index >> 3] >> (7 - (index & 7))) & 1;
}

function shade(count) {
  const along = data.most > 1 ? (Math.log(count) / Math.log(data.most)) * (ramp.length - 1) : 0;
  const step = Math.min(Math.floor(along), ramp.length - 2);
  return mix(ramp[step], ramp[step + 1], along - step);
}

// Ocean where nothing exists stays ocean, and land where nothing is known the land of the base map.
function surveyColour(index) {
  if (!survey || (survey.state[index] === data.survey.empty && !isLand(index))) return "";
  return data.survey.colours[survey.state[index]];
}

function colours() {
  const painted = new Uint8ClampedArray(4 * side * side);
  counts.forEach((count, index) => {
    const known = surveyColour(index);
    if (count || known) painted.set([...(count ? shade(count) : rgb(known)), data.opacity], 4 * index);
  });
  return painted;
}

// Cell of the quad grid at a place: digits 0 north-west, 1 north-east, 2 south-west, 3 south-east.
function cellAt(lat, lng) {
  const row = Math.min(side - 1, Math.max(0, Math.floor(((90 - lat) / 180) * side)));
  const col = ((Math.floor(((lng + 180) / 360) * side) % side) + side) % side;
  const digits = [];
  for (let bit = side >> 1; bit; bit >>= 1) digits.push(2 * !!(row & bit) + !!(col & bit));
  return { index: row * side + col, id: digits.join("/") };
}

function surveyWords(index) {
  if (!survey) return "";
  if (!survey.state[index]) return data.survey.whole ? "never searched" : "";
  const squares = survey.squares[index], reason = data.survey.reasons[survey.reason[index]];
  const day = data.survey.days[survey.day[index]], searched = `searched${day ? ` on ${day}` : ""}`;
  if (survey.state[index] === data.survey.empty) return `${searched}, nothing exists`;
  const found = `the source has pictures in ${squares} square${squares === 1 ? "" : "s"}`;
  return `${day ? `${searched}: ` : ""}${found}${reason ? `; ${reason}` : ""}`;
}

function describeCell(lat, lng) {
  const { index, id } = cellAt(lat, lng), count = counts[index];
  const photographs = count === 1 ? "1 photograph" : `${count.toLocaleString("en")} photographs`;
  return { id, text: count ? photographs : isLand(index) ? "land, no photographs" : "ocean", more: surveyWords(index) };
}

function startCoverage(map) {
  new CellGrid(side, colours()).addTo(map);
  show(map, data.fit);
  const readout = L.tooltip({ direction: "top", offset: [0, -8] });
  map.on("mousemove click", ({ latlng: { lat, lng } }) => {
    if (Math.abs(lat) > 90) return map.closeTooltip(readout);
    const { id, text, more } = describeCell(lat, lng);
    const lines = [element("b", text), element("br"), `cell ${id}`, element("br"), element("span", place(lat, lng))];
    if (more) lines.splice(1, 0, element("br"), more);
    readout.setContent(element("div", "", ...lines)).setLatLng([lat, lng]);
    return map.openTooltip(readout);
  });
  map.on("mouseout", () => map.closeTooltip(readout));
}
