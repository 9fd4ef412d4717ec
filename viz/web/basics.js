// What the scripts of all pages use, with a map or without.
"use strict";

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

// A number with its regular noun: 1 photograph, 2,003 photographs.
function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

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
