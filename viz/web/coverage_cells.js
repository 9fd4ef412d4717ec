// What is known of each cell, by level and split. Cells are counted in rows from the north-west.

const ALL = ""; // In the place of the name of a split.

function sideOf(level) {
  return 2 ** level;
}

class Coverage {
  constructor(content) {
    const cells = 4 ** data.finest, next = varints(content, { at: cells / 8 });
    const series = (count) => Uint32Array.from({ length: count }, next);
    this._land = Uint32Array.from({ length: cells }, (_, i) => (content[i >> 3] >> (7 - (i & 7))) & 1);
    this._country = series(cells);
    this._splits = Object.fromEntries(data.splits.map((split) => [split, series(cells)]));
    if (data.survey) this._survey = Object.fromEntries(["state", "squares", "reason", "day"].map((name) => [name, series(cells)]));
    this._errors = new Map(data.errors ? data.errors.cells : []);
    this._known = {};
  }

  // The cell of a level around one of the finest cells.
  _around(level) {
    const side = sideOf(level), finest = sideOf(data.finest), shift = data.finest - level;
    return (i) => (Math.floor(i / finest) >> shift) * side + ((i % finest) >> shift);
  }

  // Sums of the finest cells in each cell of a level.
  _sums(values, level) {
    const sums = new Uint32Array(4 ** level), around = this._around(level);
    values.forEach((value, i) => (sums[around(i)] += value));
    return sums;
  }

  _once(key, make) {
    return (this._known[key] ??= make());
  }

  // Photographs of a split, or of all, in each cell of a level.
  counts(level, split = ALL) {
    return this._once(`${split} ${level}`, () => {
      if (this._splits[split]) return this._sums(this._splits[split], level);
      const sums = new Uint32Array(4 ** level);
      for (const one of data.splits) this.counts(level, one).forEach((value, i) => (sums[i] += value));
      return sums;
    });
  }

  // How many of the finest cells in each cell touch land.
  land(level) {
    return this._once(`land ${level}`, () => this._sums(this._land, level));
  }

  // Number of the country in `data.countries` that has most of the finest cells in each cell; 0 at sea.
  countries(level) {
    if (level === data.finest) return this._country;
    return this._once(`countries ${level}`, () => {
      const tally = Array.from({ length: 4 ** level }, () => new Map()), around = this._around(level);
      this._country.forEach((country, i) => {
        const of = tally[around(i)];
        if (country) of.set(country, (of.get(country) ?? 0) + 1);
      });
      return Uint32Array.from(tally, (of) => [...of].reduce((best, one) => (one[1] > best[1] ? one : best), [0, 0])[0]);
    });
  }

  country(level, index) {
    return data.countries[this.countries(level)[index]] ?? "";
  }

  // Median distance of answers in a cell from the true places, in kilometres.
  error(index) {
    return this._errors.get(index);
  }

  get errors() {
    return this._errors;
  }

  _surveyWords(index) {
    const { state, squares, reason, day } = this._survey, { empty, whole, reasons, days } = data.survey;
    if (!state[index]) return whole ? "never searched" : "";
    const on = days[day[index]], searched = `searched${on ? ` on ${on}` : ""}`;
    if (state[index] === empty) return `${searched}, nothing exists`;
    const found = `the source has pictures in ${counted(squares[index], "square")}`;
    const why = reasons[reason[index]];
    return `${on ? `${searched}: ` : ""}${found}${why ? `; ${why}` : ""}`;
  }

  // Of a coarser cell: how many of the finest ones on land are in which state.
  _surveyTally(level, index) {
    const side = sideOf(level), finest = sideOf(data.finest), shift = data.finest - level, tally = new Map();
    const row = Math.floor(index / side) << shift, col = (index % side) << shift;
    for (let i = 0; i < 4 ** shift; i++) {
      const cell = (row + (i >> shift)) * finest + col + (i & ((1 << shift) - 1)), state = this._survey.state[cell];
      const words = data.survey.words[state];
      if (words && (state ? state !== data.survey.empty || this._land[cell] : this._land[cell])) tally.set(words, (tally.get(words) ?? 0) + 1);
    }
    return tally.size ? `its L${data.finest} cells: ${[...tally].map(([words, count]) => `${count.toLocaleString("en")} ${words}`).join(", ")}` : "";
  }

  survey(level, index) {
    if (!this._survey) return "";
    return level === data.finest ? this._surveyWords(index) : this._surveyTally(level, index);
  }

  // Ocean where nothing exists stays ocean, and land where nothing is known the land of the base map.
  surveyColour(index) {
    const state = this._survey?.state[index];
    return !state || (state === data.survey.empty && !this._land[index]) ? "" : data.survey.colours[state];
  }
}

// Cell of the quad grid at a place.
function cellAt(lat, lng, level) {
  const side = sideOf(level);
  const row = Math.min(side - 1, Math.max(0, Math.floor(((90 - lat) / 180) * side)));
  const col = ((Math.floor(((lng + 180) / 360) * side) % side) + side) % side;
  return row * side + col;
}

// Digits 0 north-west, 1 north-east, 2 south-west, 3 south-east.
function cellId(index, level) {
  const side = sideOf(level), row = Math.floor(index / side), col = index % side, digits = [];
  for (let bit = side >> 1; bit; bit >>= 1) digits.push(2 * !!(row & bit) + !!(col & bit));
  return digits.join("/");
}

// The level and cell of an id such as 0/1/2 or 0_1_2, or null.
function cellOfId(text) {
  if (!/^[0-3]([/_][0-3])*$/.test(text)) return null;
  const digits = text.split(/[/_]/).map(Number), side = sideOf(digits.length);
  const [row, col] = digits.reduce(([r, c], digit) => [2 * r + (digit >> 1), 2 * c + (digit & 1)], [0, 0]);
  return { level: digits.length, index: row * side + col };
}

function cellBounds(index, level) {
  const side = sideOf(level), row = Math.floor(index / side), col = index % side;
  return [[90 - (180 * (row + 1)) / side, (360 * col) / side - 180], [90 - (180 * row) / side, (360 * (col + 1)) / side - 180]];
}

// The smallest box around cells, across the antimeridian where it then spans at most half the world; null of none.
function boxOf(cells, level) {
  if (!cells.length) return null;
  const side = sideOf(level), rows = cells.map((i) => Math.floor(i / side));
  const north = rows.reduce((a, b) => Math.min(a, b)), south = rows.reduce((a, b) => Math.max(a, b));
  const columns = [...new Set(cells.map((i) => i % side))].sort((a, b) => a - b), lng = (column) => (360 * column) / side - 180;
  const gaps = columns.map((column, i) => (columns[i + 1] ?? columns[0] + side) - column);
  const widest = gaps.indexOf(Math.max(...gaps)), whole = gaps[widest] <= side / 2;
  const west = whole ? columns[0] : columns[(widest + 1) % columns.length];
  const east = whole ? columns.at(-1) + 1 : west + side - gaps[widest] + 1;
  return [[90 - (180 * (south + 1)) / side, lng(west)], [90 - (180 * north) / side, lng(east)]];
}

// Bar of a histogram in which a cell counts: 0, 1, 2 to 3, 4 to 7 and so on.
function bucketOf(count) {
  return count ? 32 - Math.clz32(count) : 0;
}

function bucketWords(bucket) {
  if (bucket < 2) return bucket ? "1" : "0, on land";
  return `${(2 ** (bucket - 1)).toLocaleString("en")} to ${(2 ** bucket - 1).toLocaleString("en")}`;
}
