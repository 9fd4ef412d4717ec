// What lists and tables beside a map share.

function button(text, pressed, act) {
  const made = element("button", text);
  made.type = "button";
  if (pressed !== null) made.setAttribute("aria-pressed", pressed);
  made.addEventListener("click", act);
  return made;
}

// Replaces what a list holds and keeps the keyboard where it was.
function refill(list, children) {
  const at = list.contains(document.activeElement) ? [...list.querySelectorAll("button")].indexOf(document.activeElement) : -1;
  list.replaceChildren(...children);
  if (at >= 0) list.querySelectorAll("button")[at]?.focus({ preventScroll: true });
}

// A heading that sorts: a button in it says so, and aria-sort by what.
function sortHeading(text, key, sorted, sort) {
  const heading = element("th", "", button(text, null, () => sort(key)));
  heading.scope = "col";
  if (sorted.key === key) heading.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
  return heading;
}

// Letters without accents, so that they need not be typed.
function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
}
