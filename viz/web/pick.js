// A map on which places are picked: by a click, a tap, or the keyboard, with a cross in the middle while the map has the focus.
function pickable(map, label, picked) {
  const box = map.getContainer(), cross = element("span", "");
  cross.className = "cross";
  cross.setAttribute("aria-hidden", "true");
  box.append(cross);
  nameMap(map, label, "application");
  map.on("click", ({ latlng }) => picked(latlng));
  box.addEventListener("keydown", (event) => {
    if (event.target !== box || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    picked(map.getCenter());
  });
}
