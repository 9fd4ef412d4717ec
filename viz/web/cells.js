"use strict";

// A grid of boxes in degrees over the whole world, as one layer: a picture of one pixel a cell, stretched row by row.
// Longitude is linear in both Web Mercator and plain degrees, so a row is one drawImage and the projection is free.
// Extends Leaflet's base of canvas and SVG (its underscored methods are the hooks it calls), which does panning and zoom.
const CellGrid = L.Renderer.extend({
  // colours: bytes red, green, blue, alpha of side x side cells, in rows from the north-west.
  initialize(side, colours) {
    L.Renderer.prototype.initialize.call(this, { pane: "tilePane", padding: 0.25 });
    this._side = side;
    this._picture = document.createElement("canvas");
    this._picture.width = this._picture.height = side;
    this._picture.getContext("2d").putImageData(new ImageData(colours, side, side), 0, 0);
  },

  // After a jump the base would shift the canvas by parts of a pixel, and edges would blur.
  getEvents() {
    return { ...L.Renderer.prototype.getEvents.call(this), viewreset: this._update, resize: this._update };
  },

  _initContainer() {
    this._container = L.DomUtil.create("canvas", "cell-grid");
    this._container.style.pointerEvents = "none";
  },

  _destroyContainer() {
    this._container.remove();
    delete this._container;
  },

  _update() {
    if (this._map._animatingZoom && this._bounds) return;
    L.Renderer.prototype._update.call(this);
    const size = this._bounds.getSize(), ratio = window.devicePixelRatio || 1;
    L.DomUtil.setPosition(this._container, this._bounds.min);
    this._container.width = Math.round(size.x * ratio);
    this._container.height = Math.round(size.y * ratio);
    this._container.style.width = `${size.x}px`;
    this._container.style.height = `${size.y}px`;
    this._paint(ratio);
  },

  _paint(ratio) {
    const map = this._map, side = this._side, min = this._bounds.min, context = this._container.getContext("2d");
    context.imageSmoothingEnabled = false;
    const x = (lng) => (map.latLngToLayerPoint([0, lng]).x - min.x) * ratio;
    const y = (row) => Math.round((map.latLngToLayerPoint([90 - (180 * row) / side, 0]).y - min.y) * ratio);
    const left = x(-180), column = (x(180) - left) / side;
    const from = Math.floor(-left / column), to = Math.ceil((this._container.width - left) / column);
    for (let row = 0, top = y(0), bottom; row < side; row++, top = bottom) {
      bottom = y(row + 1);
      if (bottom <= 0 || top >= this._container.height || bottom === top) continue;
      for (let start = from; start < to; ) {
        const col = ((start % side) + side) % side, count = Math.min(side - col, to - start);
        context.drawImage(this._picture, col, row, count, 1, left + start * column, top, count * column, bottom - top);
        start += count;
      }
    }
  },
});

// Shows a part of the world, and again when the window changes, until somebody moves the map.
function show(map, bounds) {
  const fit = () => map.fitBounds(bounds, { animate: false });
  if (map.refit) map.off("resize", map.refit);
  map.refit = fit;
  map.on("resize", fit);
  for (const act of ["pointerdown", "wheel", "keydown"])
    map.getContainer().addEventListener(act, () => map.off("resize", fit), { once: true, passive: true });
  fit();
}

const data = JSON.parse(document.getElementById("data").textContent);

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

function mix(a, b, share) {
  return a.map((value, band) => value + (b[band] - value) * share);
}

// Text becomes text, never markup: names come from files and networks.
function element(tag, text, ...children) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function place(lat, lng) {
  const east = ((((lng + 180) % 360) + 360) % 360) - 180;
  return `${Math.abs(lat).toFixed(2)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(east).toFixed(2)}° ${east < 0 ? "W" : "E"}`;
}
