// Drawing on canvases, shared by the pages. Nothing is computed here: numbers come from the server.
"use strict";
window.ratenet = {};
{
  const $ = (id) => document.getElementById(id);
  const PALETTE = {
    light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"],
    dark: ["#56b4e9", "#e69f00", "#2ec99c", "#e59ac6", "#f0e442", "#9fb8ff"],
  };
  const MARGIN = { left: 58, right: 14, top: 10, bottom: 36 };
  const colours = new Map(); // read anew when the page turns dark or light

  const isDark = () => document.body.classList.contains("body--dark");
  const hue = (n) => PALETTE[isDark() ? "dark" : "light"][n % PALETTE.light.length];

  function colour(name) {
    const dark = isDark();
    if (colours.get("dark") !== dark) {
      colours.clear();
      colours.set("dark", dark);
    }
    if (!colours.has(name))
      colours.set(name, getComputedStyle(document.body).getPropertyValue(name).trim());
    return colours.get(name);
  }

  function say(id, text) {
    const place = $(id);
    if (place && place.textContent !== text) place.textContent = text;
  }

  const short = (x, digits = 3) => x === null || x === undefined
    ? "–" : String(Number(Number(x).toPrecision(digits))).replace("-", "−");

  function sized(id) {
    const canvas = $(id), ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    pen.font = "12px system-ui, sans-serif";
    return [pen, box.width, box.height];
  }

  function pixels(id, width, height, paint) {
    const canvas = $(id);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const pen = canvas.getContext("2d"), picture = pen.createImageData(width, height);
    paint(picture.data);
    pen.putImageData(picture, 0, 0);
  }

  const rgb = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));

  // Values from -span to span: blue, the panel's colour, orange.
  function map(id, values, columns, span) {
    const zero = rgb(colour("--zero")), low = rgb(colour("--one")), high = rgb(colour("--two"));
    pixels(id, columns, Math.ceil(values.length / columns), (data) =>
      values.forEach((value, n) => {
        const share = Math.max(-1, Math.min(1, value / span)), end = share < 0 ? low : high;
        for (let k = 0; k < 3; k++)
          data[4 * n + k] = zero[k] + Math.abs(share) * (end[k] - zero[k]);
        data[4 * n + 3] = 255;
      }));
  }

  function grey(id, values, width, height) {
    pixels(id, width, height, (data) =>
      values.forEach((value, n) => {
        data[4 * n] = data[4 * n + 1] = data[4 * n + 2] = 255 * value;
        data[4 * n + 3] = 255;
      }));
  }

  function ticks([low, high], count) {
    const raw = (high - low) / Math.max(1, count), size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((k) => k * size).find((s) => s >= raw);
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++)
      found.push([n * step, String(Number((n * step).toPrecision(6))).replace("-", "−")]);
    return found;
  }

  // Axes to the left and below. x, y: { range, name, ticks }; returns a plot: functions from data to
  // pixels and back, and a pen that draws within the axes.
  function axes(id, x, y) {
    const [pen, width, height] = sized(id), { left, right, top, bottom } = MARGIN;
    const at = ([low, high], from, to) => (v) => from + (v - low) / (high - low) * (to - from);
    const X = at(x.range, left, width - right), Y = at(y.range, height - bottom, top);
    const back = ([low, high], from, to) => (p) => low + (p - from) / (to - from) * (high - low);
    pen.strokeStyle = colour("--line");
    pen.fillStyle = colour("--soft");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(left, top);
    pen.lineTo(left, height - bottom);
    pen.lineTo(width - right, height - bottom);
    pen.stroke();
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const [value, text] of y.ticks || ticks(y.range, height / 45))
      pen.fillText(text, left - 6, Y(value));
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const [value, text] of x.ticks || ticks(x.range, width / 90))
      pen.fillText(text, X(value), height - bottom + 5);
    pen.fillText(x.name, (left + width - right) / 2, height - 15);
    pen.save();
    pen.translate(4, (top + height - bottom) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText(y.name, 0, 0);
    pen.restore();
    pen.save(); // until the next drawing resets the size: everything stays within the axes
    pen.beginPath();
    pen.rect(left - 5, top - 5, width - left - right + 10, height - top - bottom + 10);
    pen.clip();
    return {
      pen, X, Y, left, top, width: width - left - right, height: height - top - bottom,
      x: back(x.range, left, width - right), y: back(y.range, height - bottom, top),
      end: () => pen.restore(),
    };
  }

  function line(plot, points, style, { dashes = [], thick = 1.6 } = {}) {
    const { pen, X, Y } = plot;
    pen.strokeStyle = style;
    pen.lineWidth = thick;
    pen.lineJoin = "round";
    pen.setLineDash(dashes);
    pen.beginPath();
    let down = false;
    for (const [x, y] of points) {
      const known = x !== null && y !== null && Number.isFinite(x) && Number.isFinite(y);
      if (known && down) pen.lineTo(X(x), Y(y));
      else if (known) pen.moveTo(X(x), Y(y));
      down = known;
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  function dot(plot, x, y, style, { size = 4, hollow = false } = {}) {
    const { pen, X, Y } = plot;
    pen.beginPath();
    pen.arc(X(x), Y(y), size, 0, 7);
    pen.lineWidth = 2;
    pen.strokeStyle = style;
    pen.fillStyle = hollow ? colour("--panel") : style;
    if (!hollow || hollow === "filled") pen.fill();
    pen.stroke();
  }

  // Eigenvalues (pairs) in the complex plane, unstable right of the line at 0.
  function spectrum(id, values, range) {
    const plot = axes(id, { range: range.x, name: "real part (1/s)" },
      { range: range.y, name: "imaginary part (1/s)" });
    const { pen, X } = plot;
    pen.globalAlpha = 0.13;
    pen.fillStyle = colour("--two");
    const from = Math.max(plot.left, X(0));
    pen.fillRect(from, plot.top, plot.left + plot.width - from, plot.height);
    pen.globalAlpha = 1;
    line(plot, [[0, range.y[0]], [0, range.y[1]]], colour("--two"));
    for (const [re, im] of values)
      dot(plot, re, im, colour(re < 0 ? "--one" : "--two"), { size: 1 });
    plot.end();
  }

  // A range that holds eigenvalues and the line at 0, with room; it grows and does not shrink.
  function spectrumRange(values, before) {
    const real = values.map((v) => v[0]), high = Math.max(...values.map((v) => Math.abs(v[1])), 1e-9);
    const low = Math.min(0, ...real), top = Math.max(0, ...real), room = 0.08 * (top - low || 1);
    const found = { x: [low - room, top + room], y: [-1.15 * high, 1.15 * high] };
    if (!before) return found;
    return {
      x: [Math.min(found.x[0], before.x[0]), Math.max(found.x[1], before.x[1])],
      y: [Math.min(found.y[0], before.y[0]), Math.max(found.y[1], before.y[1])],
    };
  }

  // All panels as one PNG, as they stand on the page.
  function savePicture(name) {
    const panels = document.querySelector(".rn-panels"), whole = panels.getBoundingClientRect();
    const canvas = document.createElement("canvas"), zoom = 2, edge = 8;
    canvas.width = zoom * (whole.width + 2 * edge);
    canvas.height = zoom * (whole.height + 2 * edge);
    const pen = canvas.getContext("2d");
    pen.scale(zoom, zoom);
    pen.fillStyle = colour("--paper");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.translate(edge - whole.left, edge - whole.top);
    pen.imageSmoothingEnabled = false;
    pen.textBaseline = "middle";
    for (const figure of panels.querySelectorAll("figure")) {
      pen.fillStyle = colour("--panel");
      const card = figure.getBoundingClientRect();
      pen.fillRect(card.left, card.top, card.width, card.height);
      for (const text of figure.querySelectorAll("figcaption b, figcaption span")) {
        const box = text.getBoundingClientRect(), style = getComputedStyle(text);
        const atRight = text.tagName === "SPAN", room = card.width - 24;
        pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
        pen.textAlign = atRight ? "right" : "left";
        pen.fillStyle = style.color;
        pen.fillText(text.textContent, atRight ? box.right : box.left, box.top + box.height / 2, room);
      }
      for (const each of figure.querySelectorAll("canvas")) {
        const box = each.getBoundingClientRect();
        pen.drawImage(each, box.left, box.top, box.width, box.height);
      }
    }
    const link = document.createElement("a");
    link.href = canvas.toDataURL("image/png");
    link.download = name;
    link.click();
  }

  // Quasar's sliders take the focus at an element without a role: it gets that of the slider around.
  function nameSliders() {
    for (const slider of document.querySelectorAll(".q-slider[role=slider]")) {
      const handle = slider.querySelector("[tabindex]");
      const tell = () => {
        for (const { name, value } of slider.attributes)
          if (name.startsWith("aria-")) handle.setAttribute(name, value);
      };
      tell();
      handle.setAttribute("role", "slider");
      slider.setAttribute("role", "presentation");
      new MutationObserver(tell).observe(slider, { attributeFilter: ["aria-valuenow"] });
    }
  }

  function address(query) {
    window.history.replaceState(null, "", query ? `?${query}` : window.location.pathname);
  }

  Object.assign(window.ratenet, {
    $, hue, colour, say, short, sized, map, grey, axes, line, dot, spectrum, spectrumRange,
    savePicture, nameSliders, address,
  });
}
