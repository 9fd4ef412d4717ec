"use strict";

// A layer that paints the whole view on one canvas, and again when the map has moved.
// Extends Leaflet's base of canvas and SVG (its underscored methods are the hooks it calls), which does panning and zoom.
const ViewCanvas = L.Renderer.extend({
  initialize(pane) {
    L.Renderer.prototype.initialize.call(this, { pane, padding: 0.25 });
  },

  // After a jump the base would shift the canvas by parts of a pixel, and edges would blur.
  getEvents() {
    return { ...L.Renderer.prototype.getEvents.call(this), viewreset: this._update, resize: this._update };
  },

  _initContainer() {
    this._container = L.DomUtil.create("canvas", "view-canvas");
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
    const context = this._container.getContext("2d");
    context.scale(ratio, ratio);
    this._paint(context, size);
  },

  // Where a place lies on the canvas, in pixels of the page.
  _at(lat, lng) {
    return this._map.latLngToLayerPoint([lat, lng]).subtract(this._bounds.min);
  },
});

// A colour of look.css by its name, as it is in the theme of the reader.
function look(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const onDark = window.matchMedia("(prefers-color-scheme: dark)");

// Of colours over a light base map and over a dark one, those of the reader's theme.
function themed([light, dark]) {
  return onDark.matches ? dark : light;
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

// Words under each other, the first in bold; empty ones are left out.
function wordLines(first, ...others) {
  return element("div", "", element("b", first), ...others.filter(Boolean).flatMap((line) => [element("br"), element("span", line)]));
}

// Numbers of 7 bits a byte, low bits first, of which the high bit says that more follow: a function that reads the next one.
function varints(content, reader) {
  return () => {
    let value = 0, shift = 0, byte;
    do {
      byte = content[reader.at++];
      value += (byte & 127) * 2 ** shift;
      shift += 7;
    } while (byte & 128);
    return value;
  };
}

function eastOf(lng) {
  return ((((lng + 180) % 360) + 360) % 360) - 180;
}

// A longitude at the turn of the world that is nearest to another one.
function nearTo(lng, other) {
  return lng - 360 * Math.round((lng - other) / 360);
}

function place(lat, lng) {
  const east = eastOf(lng);
  return `${Math.abs(lat).toFixed(2)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(east).toFixed(2)}° ${east < 0 ? "W" : "E"}`;
}

function nameMap(map, label, role = "region") {
  map.getContainer().setAttribute("role", role);
  map.getContainer().setAttribute("aria-label", label);
}

// Shows a part of the world, and again when the window changes, until somebody moves the map.
function show(map, bounds, options = {}) {
  const fit = () => map.fitBounds(bounds, { animate: false, ...options });
  if (map.refit) map.off("resize", map.refit);
  map.refit = fit;
  map.on("resize", fit);
  for (const act of ["pointerdown", "wheel", "keydown"])
    map.getContainer().addEventListener(act, () => map.off("resize", fit), { once: true, passive: true });
  fit();
}
