// A grid of boxes in degrees over the whole world, as one layer: a picture of one pixel a cell, stretched row by row.
// Longitude is linear in both Web Mercator and plain degrees, so a row is one drawImage and the projection is free.
const CellGrid = ViewCanvas.extend({
  // colours: bytes red, green, blue, alpha of side x side cells, in rows from the north-west.
  initialize(side, colours) {
    ViewCanvas.prototype.initialize.call(this, "tilePane");
    this._picture = document.createElement("canvas");
    this.setColours(side, colours);
  },

  setColours(side, colours) {
    this._side = side;
    this._picture.width = this._picture.height = side;
    this._picture.getContext("2d").putImageData(new ImageData(colours, side, side), 0, 0);
    if (this._map) this._update();
  },

  _paint(context) {
    const side = this._side, ratio = window.devicePixelRatio || 1, { width, height } = this._container;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.imageSmoothingEnabled = false;
    const y = (row) => Math.round(this._at(90 - (180 * row) / side, 0).y * ratio);
    const left = this._at(0, -180).x * ratio, column = (this._at(0, 180).x * ratio - left) / side;
    const from = Math.floor(-left / column), to = Math.ceil((width - left) / column);
    for (let row = 0, top = y(0), bottom; row < side; row++, top = bottom) {
      bottom = y(row + 1);
      if (bottom <= 0 || top >= height || bottom === top) continue;
      for (let start = from; start < to; ) {
        const col = ((start % side) + side) % side, count = Math.min(side - col, to - start);
        context.drawImage(this._picture, col, row, count, 1, left + start * column, top, count * column, bottom - top);
        start += count;
      }
    }
  },
});
