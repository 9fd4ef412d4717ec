// Histogram, table of countries and lists of cells beside the map. Each takes what is shown and what choosing does.

// Cells by how many photographs they have, in doubling steps; land without any is counted beside them.
function showBars(counts, land, chosen, choose) {
  const bars = [];
  counts.forEach((count, i) => {
    if (count || land[i]) bars[bucketOf(count)] = (bars[bucketOf(count)] ?? 0) + 1;
  });
  const most = Math.max(1, ...bars.slice(1).map((cells) => cells ?? 0));
  const rows = Array.from(bars, (cells = 0, bucket) => {
    const bar = element("i"), made = button("", chosen === bucket, () => choose(chosen === bucket ? null : bucket));
    bar.style.width = bucket ? `${(100 * cells) / most}%` : "0";
    made.dataset.bucket = bucket;
    made.append(element("span", bucketWords(bucket)), element("span", "", bar), element("span", counted(cells, "cell")));
    return element("li", "", made);
  });
  refill(document.getElementById("bars"), rows);
}

function markBar(bucket) {
  for (const bar of document.querySelectorAll("#bars button")) bar.classList.toggle("here", Number(bar.dataset.bucket) === bucket);
}

const byCountry = { key: "photographs", down: true };

function countryRows(coverage, split) {
  const counts = coverage.counts(data.finest, split), land = coverage.land(data.finest), country = coverage.countries(data.finest);
  const rows = data.countries.map((name, number) => ({ name: name || "at sea, or of no country", number, photographs: 0, covered: 0, land: 0 }));
  counts.forEach((count, i) => {
    const row = rows[country[i]];
    row.photographs += count;
    row.covered += count > 0;
    row.land += land[i];
  });
  return rows.filter((row) => row.photographs || row.number);
}

function showCountries(coverage, split, chosen, choose) {
  const rows = countryRows(coverage, split), { key, down } = byCountry;
  const value = (row) => (key === "covered" ? row.covered / Math.max(1, row.land) : row[key]);
  rows.sort((a, b) => (down ? -1 : 1) * (value(a) < value(b) ? -1 : value(a) > value(b)) || (a.name < b.name ? -1 : 1));
  const sort = (wanted) => {
    Object.assign(byCountry, { key: wanted, down: wanted === key ? !down : wanted !== "name" });
    showCountries(coverage, split, chosen, choose);
  };
  const heading = (text, name) => sortHeading(text, name, byCountry, sort);
  const head = element("tr", "", heading("Country", "name"), heading("Photographs", "photographs"), heading("Cells covered", "covered"));
  const body = rows.map((row) => {
    const name = element("th", "", button(row.name, chosen === row.number, () => choose(chosen === row.number ? null : row.number)));
    name.scope = "row";
    const covered = row.land && row.number ? `${row.covered.toLocaleString("en")} of ${row.land.toLocaleString("en")}` : row.covered.toLocaleString("en");
    return element("tr", "", name, element("td", row.photographs.toLocaleString("en")), element("td", covered));
  });
  refill(document.getElementById("countries"), [element("thead", "", head), element("tbody", "", ...body)]);
}

function cellList(title, soft, cells, words, go) {
  const list = element("ol", "", ...cells.map(([index, ...values]) => element("li", "", button(words(index), null, () => go(index)), element("span", ` ${values[0]}`))));
  return element("div", "", element("h3", title), soft ? element("p", soft) : "", list);
}

function command(text) {
  const code = element("code", text);
  code.tabIndex = 0;
  return element("pre", "", code);
}

function nameOf(coverage, level) {
  return (index) => `${cellId(index, level)}${coverage.country(level, index) ? `, ${coverage.country(level, index)}` : ""}`;
}

// Cells that equal shares would cut or leave out, and what to type.
function showUneven(coverage, level, go) {
  const { over, under, totals, kept, each } = data.balance.levels[level], words = nameOf(coverage, level);
  const more = (total, list) => `${counted(total, "cell")}${total > list.length ? `, the first ${list.length} of them` : ""}`;
  const total = coverage.counts(level).reduce((sum, count) => sum + count, 0);
  const ids = under.map(([index]) => cellId(index, level)).join(" ");
  refill(document.getElementById("uneven"), [
    element("p", `Equal shares at L${level} keep ${kept.toLocaleString("en")} of ${counted(total, "photograph")}, at most ${each.toLocaleString("en")} of a cell:`),
    command(`python -m fetch balance --data ${data.balance.data} --target cell${level === data.finest ? "" : ` --level ${level}`} --out subset.txt`),
    cellList(`Over-filled: ${more(totals[0], over)}`, "", over.map(([i, have, gone]) => [i, `has ${have.toLocaleString("en")}, ${gone.toLocaleString("en")} too many`]), words, go),
    cellList(`Under-filled: ${more(totals[1], under)}`, "Those that lack least come first.", under.map(([i, have, lacks]) => [i, `has ${have.toLocaleString("en")}, lacks ${lacks.toLocaleString("en")}`]), words, go),
    ...(under.length && data.balance.mapillary ? [element("p", "More photographs for these, from Mapillary:"), command(`python -m fetch mapillary --out ${data.balance.data} --cells ${ids}`)] : []),
  ]);
}

// In place of them, once errors are shown: where answers are furthest off.
function showWorst(coverage, go) {
  const { level, split, listed, cells } = data.errors, worst = [...cells].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, listed);
  const counts = data.splits.includes(split) ? coverage.counts(level, split) : null;
  const said = ([index, km]) => [index, `${Math.round(km).toLocaleString("en")} km${counts ? `, ${counted(counts[index], "photograph")}` : ""}`];
  refill(document.getElementById("uneven"), [
    cellList(`Largest median error of ${counted(cells.length, "cell")}`, `Measured on the ${split} split.`, worst.map(said), nameOf(coverage, level), go),
  ]);
}
