// A table of which only the rows in sight are in the page, so that ten thousand scroll.
const BESIDE = 8; // Rows kept above and below what is seen, so that the tab key finds the next one.

class Rows {
  // scroll: the element that scrolls; make: from an index to a row of the table; height: of a row in pixels.
  constructor(scroll, body, make, height) {
    Object.assign(this, { _scroll: scroll, _body: body, _make: make, _height: height, _order: [], _shown: new Map() });
    this._above = this._spacer();
    this._below = this._spacer();
    body.append(this._above, this._below);
    scroll.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(scroll);
  }

  _spacer() {
    const row = element("tr", "", element("td"));
    row.setAttribute("aria-hidden", "true");
    return row;
  }

  setOrder(order) {
    this._order = order;
    for (const row of this._shown.values()) row.remove();
    this._shown.clear();
    this._scroll.scrollTop = 0;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this._scroll.scrollTop / this._height) - BESIDE);
    const last = Math.min(this._order.length, Math.ceil((this._scroll.scrollTop + this._scroll.clientHeight) / this._height) + BESIDE);
    for (const [place, row] of this._shown)
      if ((place < first || place >= last) && !row.contains(document.activeElement)) {
        row.remove();
        this._shown.delete(place);
      }
    // Rows stay in order, also one that is kept out of sight because the keyboard is in it.
    for (let place = first; place < last; place++) {
      if (this._shown.has(place)) continue;
      const row = this._make(this._order[place]);
      row.setAttribute("aria-rowindex", place + 2);
      row.dataset.place = place;
      const next = [...this._shown.keys()].filter((other) => other > place).reduce((a, b) => Math.min(a, b), Infinity);
      this._body.insertBefore(row, this._shown.get(next) ?? this._below);
      this._shown.set(place, row);
    }
    const inside = [...this._shown.keys()].filter((place) => place >= first && place < last).length;
    const apart = this._shown.size - inside, before = [...this._shown.keys()].filter((place) => place < first).length;
    this._pad(this._above, Math.max(0, first - before));
    this._pad(this._below, Math.max(0, this._order.length - last - (apart - before)));
  }

  _pad(spacer, rows) {
    spacer.firstChild.style.height = `${rows * this._height}px`;
    spacer.hidden = !rows;
  }

  // Scrolls to an index and returns its row, or null where the filter left it out.
  reveal(index) {
    const place = this._order.indexOf(index);
    if (place < 0) return null;
    const top = place * this._height, seen = this._scroll.clientHeight - 2 * this._height;
    if (top < this._scroll.scrollTop || top > this._scroll.scrollTop + seen) this._scroll.scrollTop = Math.max(0, top - seen / 2);
    this.draw();
    return this._shown.get(place);
  }
}
