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
