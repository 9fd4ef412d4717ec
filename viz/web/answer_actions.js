// What the buttons beside the map of an answer do.

function download(name, text) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // In a frame the clipboard is closed to scripts; a selected text can still be copied.
    const area = document.body.appendChild(element("textarea", text));
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

function on(selector, act) {
  for (const button of document.querySelectorAll(selector)) button.addEventListener("click", () => act(button));
}

// What is looked at lies beside the key, where that lies on the map.
function beside(map) {
  const key = document.querySelector(".key");
  const over = getComputedStyle(key).position === "absolute" && map.getSize().x > 3 * key.offsetWidth;
  return { paddingBottomRight: [over ? key.offsetWidth : 0, 0] };
}

function startActions(map) {
  on("[data-view]", (button) => {
    const [south, west, north, east] = button.dataset.view.split(",").map(Number);
    map.off("resize", map.refit);
    map.fitBounds([[south, west], [north, east]], { animate: false, ...beside(map) });
  });
  on("[data-file]", async (button) => {
    const { file, name } = button.dataset;
    download(name, JSON.stringify(await unpacked(data.files[file]), null, 1));
  });
  on("[data-copy]", async (button) => {
    const words = button.textContent;
    button.textContent = (await copy(button.dataset.copy)) ? "Copied" : button.dataset.copy;
    setTimeout(() => (button.textContent = words), 2000);
  });
}

// Level switch, colours and the way through the cells without a mouse.
function startCells(map, cells) {
  const buttons = [...document.querySelectorAll(".levels button")], last = cells.levels.length - 1;
  const choose = (chosen, fit) => {
    cells.show(chosen);
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === chosen));
    if (fit) show(map, cells.level.fit, beside(map));
  };
  const said = document.getElementById("cell");
  const point = (rank, near) => {
    const cell = cells.point(rank, near);
    said.textContent = `${cell.rank} of ${cells.level.cells.length}: ${cell.place}, ${percent(cell.probability)}`;
  };
  buttons.forEach((button, i) => button.addEventListener("click", () => choose(i, true)));
  choose(last, true);
  on("#next", () => point(cells.rank === undefined ? 0 : cells.rank + 1));
  on("#previous", () => point(cells.rank === undefined ? -1 : cells.rank - 1));
  on("[data-cell]", (button) => {
    map.off("resize", map.refit);
    if (cells.shown !== last) choose(last, false);
    point(Number(button.dataset.cell), true);
  });
  const ramp = document.querySelector(".ramp"), ranks = document.getElementById("ranks");
  const repaint = () => {
    cells.byRank = ranks.checked;
    document.querySelector(".by-probability").hidden = ranks.checked;
    document.querySelector(".by-rank").hidden = !ranks.checked;
    ramp.style.background = `linear-gradient(to right, ${themed(data.ramps).join(", ")})`;
    cells.paint();
  };
  ranks.addEventListener("change", repaint);
  onDark.addEventListener("change", repaint);
  repaint();
}
