// Points of many answers as one layer: painted at each turn of the world at which they are seen.
const RADIUS = 5, NEAR = 9; // Pixels: of a point, and how near the pointer must be.

const Points = ViewCanvas.extend({
  initialize() {
    ViewCanvas.prototype.initialize.call(this, "overlayPane");
    this._points = [];
  },

  // points: objects with at: [latitude, longitude], and colour; the last is painted above.
  setPoints(points) {
    this._points = points;
    if (this._map) this._update();
  },

  // Pixels of the first place east of the left edge, and from one turn to the next.
  _turns(lng, size) {
    const left = this._at(0, -180).x, turn = this._at(0, 180).x - left, x = left + ((lng + 180) / 360) * turn;
    const first = x - Math.floor((x + RADIUS) / turn) * turn, found = [];
    for (let at = first; at < size.x + RADIUS; at += turn) found.push(at);
    return found;
  },

  _paint(context, size) {
    context.lineWidth = 1.2;
    context.strokeStyle = look("halo");
    for (const { at: [lat, lng], colour } of this._points) {
      const y = this._at(lat, 0).y;
      if (y < -RADIUS || y > size.y + RADIUS) continue;
      for (const x of this._turns(lng, size)) {
        context.beginPath();
        context.arc(x, y, RADIUS, 0, 2 * Math.PI);
        context.fillStyle = colour;
        context.fill();
        context.stroke();
      }
    }
  },

  // The point under the pointer, the topmost first, or null.
  pointAt(place) {
    const { x, y } = this._map.latLngToLayerPoint(place).subtract(this._bounds.min), size = this._bounds.getSize();
    for (let i = this._points.length - 1; i >= 0; i--) {
      const [lat, lng] = this._points[i].at, away = Math.abs(this._at(lat, 0).y - y);
      if (away <= NEAR && this._turns(lng, size).some((px) => Math.hypot(px - x, away) <= NEAR)) return this._points[i];
    }
    return null;
  },
});
