// The drawing of the page: canvases, and nothing that is computed. Frames come from the server.
"use strict";
window.ratenet = (() => {
  const $ = (id) => document.getElementById(id);
  const colours = new Map();  // read anew when the page turns dark or light
  function colour(name) {
    const dark = document.body.classList.contains("body--dark");
    if (colours.get("dark") !== dark) { colours.clear(); colours.set("dark", dark); }
    if (!colours.has(name)) colours.set(name, getComputedStyle(document.body).getPropertyValue(name).trim());
    return colours.get(name);
  }
  const say = (id, text) => { const e = $(id); if (e && e.textContent !== text) e.textContent = text; };
  const short = (x, digits = 3) => (x === null || x === undefined ? "–" : Number(x).toPrecision(digits));
  let facts = null, history = [], examined = null, stamps = [];

  // ---- canvases -------------------------------------------------------------------------------

  function sized(id) {
    const canvas = $(id), ratio = window.devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    const width = Math.round(box.width * ratio), height = Math.round(box.height * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, box.width, box.height);
    pen.font = "11px system-ui, sans-serif";
    return [pen, box.width, box.height];
  }

  function rgb(hex) {
    return [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  }

  // Values from -span to span: blue, the panel's colour, orange.
  function map(id, values, columns, span) {
    const canvas = $(id), rows = Math.ceil(values.length / columns);
    if (canvas.width !== columns || canvas.height !== rows) { canvas.width = columns; canvas.height = rows; }
    const pen = canvas.getContext("2d"), picture = pen.createImageData(columns, rows);
    const zero = rgb(colour("--zero")), low = rgb(colour("--one")), high = rgb(colour("--two"));
    values.forEach((value, n) => {
      const share = Math.max(-1, Math.min(1, value / span)), end = share < 0 ? low : high;
      for (let k = 0; k < 3; k++)
        picture.data[4 * n + k] = zero[k] + Math.abs(share) * (end[k] - zero[k]);
      picture.data[4 * n + 3] = 255;
    });
    pen.putImageData(picture, 0, 0);
  }

  function grey(id, values, width, height) {
    const canvas = $(id);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const pen = canvas.getContext("2d"), picture = pen.createImageData(width, height);
    values.forEach((value, n) => {
      picture.data[4 * n] = picture.data[4 * n + 1] = picture.data[4 * n + 2] = 255 * value;
      picture.data[4 * n + 3] = 255;
    });
    pen.putImageData(picture, 0, 0);
  }

  // Axes with a frame to the left and below; returns functions from data to pixels.
  function axes(pen, width, height, x, y, labels) {
    const left = 44, bottom = 30, top = 8, right = 12;
    const at = (range, from, to) => (v) => from + (v - range[0]) / (range[1] - range[0]) * (to - from);
    const X = at(x, left, width - right), Y = at(y, height - bottom, top);
    pen.strokeStyle = colour("--line"); pen.fillStyle = colour("--soft"); pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(left, top); pen.lineTo(left, height - bottom);
    pen.lineTo(width - right, height - bottom); pen.stroke();
    pen.textAlign = "right"; pen.textBaseline = "middle";
    for (const [value, text] of labels.y) pen.fillText(text, left - 5, Y(value));
    pen.textAlign = "center"; pen.textBaseline = "top";
    for (const [value, text] of labels.x) pen.fillText(text, X(value), height - bottom + 4);
    pen.fillText(labels.name, (left + width - right) / 2, height - 13);
    return [X, Y];
  }

  function line(pen, points, style, dashes = []) {
    pen.strokeStyle = style; pen.lineWidth = 1.5; pen.setLineDash(dashes); pen.beginPath();
    let down = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(x) || !Number.isFinite(y)) { down = false; continue; }
      if (down) pen.lineTo(x, y); else pen.moveTo(x, y);
      down = true;
    }
    pen.stroke(); pen.setLineDash([]);
  }

  function ticks(low, high, count = 4) {
    const raw = (high - low) / count, size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((k) => k * size).find((s) => s >= raw);
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high + 1e-9 * step; n++)
      found.push([n * step, String(Number((n * step).toPrecision(6)))]);
    return found;
  }

  // ---- a trained run --------------------------------------------------------------------------

  const TRACES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

  function start(given) {
    facts = { ...given, drive_span: 1e-9, rate_span: 1e-9 }; history = []; examined = null;
    preparePad(given.height, given.width);
  }

  function frame(f) {
    history.push(f);
    while (history.length && history[0].time < f.time - facts.window) history.shift();
    const largest = (values, span) => values.reduce((most, v) => Math.max(most, Math.abs(v)), span);
    facts.rate_span = largest(f.target || [], largest(f.rates, facts.rate_span));
    facts.drive_span = largest(f.drive, facts.drive_span);
    const columns = Math.max(1, Math.round(Math.sqrt(f.rates.length * 5 / 3)));
    grey("image", f.image, facts.width, facts.height);
    map("drive", f.drive, columns, facts.drive_span);
    map("rates", f.rates, columns, facts.rate_span);
    map("target", f.target || f.rates.map(() => 0), columns, facts.rate_span);
    traces(f); distances(f); answers(f);
    say("time", `${(1e3 * f.time).toFixed(0)} ms`);
    say("label", f.label < 0 ? "" : `class ${f.label}`);
    say("found", f.target ? "" : "none found");
    const answered = f.answer >= 0;
    say("answer", answered ? String(f.answer) : "none yet");
    say("confidence", answered ? `${(100 * f.confidence[f.answer]).toFixed(1)} %` : "");
    say("reached", answered ? `after ${(1e3 * f.reached).toFixed(0)} ms` : "");
    say("distance", short(f.distance)); say("predicted", short(f.predicted));
    say("residual", short(f.residual)); say("note", f.note);
    const now = performance.now();
    stamps.push(now);
    while (stamps[0] < now - 1000) stamps.shift();
    say("fps", `${stamps.length} frames/s`);
    return f.time;
  }

  function shownTimes(f) {
    const from = Math.max(0, f.time - facts.window);
    return [1e3 * from, 1e3 * (from + 1.05 * facts.window)];
  }

  function traces(f) {
    const [pen, width, height] = sized("traces"), span = facts.rate_span;
    const [from, to] = shownTimes(f), name = "time (ms)";
    const [X, Y] = axes(pen, width, height, [from, to],
      [-1.1 * span, 1.1 * span], { x: ticks(from, to), y: ticks(-span, span), name });
    facts.traced.forEach((unit, n) => {
      const style = TRACES[n % TRACES.length];
      line(pen, history.map((h) => [X(1e3 * h.time), Y(h.rates[unit])]), style);
      if (f.target) {
        pen.beginPath(); pen.arc(X(1e3 * f.time), Y(f.target[unit]), 4, 0, 7);
        pen.strokeStyle = style; pen.lineWidth = 2; pen.stroke();
      }
    });
  }

  function distances(f) {
    const [pen, width, height] = sized("distances"), low = -6, high = 1;
    const [from, to] = shownTimes(f), name = "time (ms)";
    const powers = [-6, -4, -2, 0].map((p) => [p, p ? `1e${p}` : "1"]);
    const [X, Y] = axes(pen, width, height, [from, to],
      [low, high], { x: ticks(from, to), y: powers, name });
    const at = (value) => (value > 0 ? Y(Math.max(low, Math.min(high, Math.log10(value)))) : NaN);
    line(pen, history.map((h) => [X(1e3 * h.time), at(h.distance)]), colour("--one"));
    line(pen, history.map((h) => [X(1e3 * h.time), at(h.predicted)]), colour("--two"), [4, 3]);
  }

  function answers(f) {
    const [pen, width, height] = sized("answers"), count = f.confidence.length;
    const bar = (width - 10) / count;
    pen.textAlign = "center"; pen.textBaseline = "alphabetic";
    f.confidence.forEach((share, k) => {
      pen.fillStyle = colour(k === f.answer ? "--two" : "--one");
      const tall = Math.max(1, share * (height - 34));
      pen.fillRect(5 + k * bar + 0.15 * bar, height - 18 - tall, 0.7 * bar, tall);
      pen.fillStyle = colour("--ink");
      pen.fillText(facts.classes[k], 5 + (k + 0.5) * bar, height - 4);
    });
  }

  function eigenvalues(e) {
    examined = e;
    const [pen, width, height] = sized("eigenvalues");
    const real = e.eigenvalues.map((v) => v[0]), size = Math.max(...e.eigenvalues.map((v) => Math.abs(v[1])), 1e-9);
    const low = Math.min(...real, 0), high = Math.max(...real, 0), room = 0.12 * (high - low || 1);
    const x = [low - room, high + room], y = [-1.15 * size, 1.15 * size];
    const [X, Y] = axes(pen, width, height, x, y,
      { x: ticks(...x), y: ticks(...y), name: "real part (1/s)" });
    pen.globalAlpha = 0.12; pen.fillStyle = colour("--two");
    pen.fillRect(X(0), 8, X(x[1]) - X(0), height - 38); pen.globalAlpha = 1;
    line(pen, [[X(0), 8], [X(0), height - 30]], colour("--two"));
    for (const [re, im] of e.eigenvalues) {
      pen.beginPath(); pen.arc(X(re), Y(im), 1.8, 0, 7);
      pen.fillStyle = colour(re < 0 ? "--one" : "--two"); pen.fill();
    }
    const where = e.at_fixed_point ? "at the fixed point" : "at the present rates";
    say("abscissa", `${where}: largest real part ${short(e.abscissa)} /s`);
    say("certificate", e.sentence);
  }

  // ---- the drawing pad ------------------------------------------------------------------------

  let pad = null;

  function preparePad(height, width) {
    const canvas = $("pad"), zoom = 10;
    canvas.width = zoom * width; canvas.height = zoom * height;
    const pen = canvas.getContext("2d");
    pad = { canvas, pen, height, width, zoom, sent: 0 };
    clearPad();
    let last = null;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * canvas.width,
              (event.clientY - box.top) / box.height * canvas.height];
    };
    canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); last = place(event); stroke(last, last); };
    canvas.onpointermove = (event) => { if (last) { const to = place(event); stroke(last, to); last = to; } };
    canvas.onpointerup = canvas.onpointercancel = () => { if (last) { last = null; sendPad(); } };
  }

  function stroke(from, to) {
    const pen = pad.pen;
    pen.strokeStyle = "#fff"; pen.lineWidth = 0.075 * pad.canvas.width; pen.lineCap = pen.lineJoin = "round";
    pen.beginPath(); pen.moveTo(...from); pen.lineTo(to[0] + 0.01, to[1]); pen.stroke();
    if (performance.now() - pad.sent > 300) sendPad();
  }

  function clearPad() {
    pad.pen.fillStyle = "#000"; pad.pen.fillRect(0, 0, pad.canvas.width, pad.canvas.height);
  }

  function sendPad() {
    pad.sent = performance.now();
    const small = document.createElement("canvas");
    small.width = pad.width; small.height = pad.height;
    const pen = small.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(pad.canvas, 0, 0, pad.width, pad.height);
    const data = pen.getImageData(0, 0, pad.width, pad.height).data;
    emitEvent("drawn", Array.from({ length: pad.width * pad.height }, (_, n) => data[4 * n]));
  }

  // ---- keeping --------------------------------------------------------------------------------

  // All panels as one PNG, as they stand on the page.
  function savePicture(name) {
    const panels = document.querySelector(".rn-panels"), whole = panels.getBoundingClientRect(), zoom = 2;
    const canvas = document.createElement("canvas");
    canvas.width = zoom * whole.width; canvas.height = zoom * whole.height;
    const pen = canvas.getContext("2d");
    pen.scale(zoom, zoom); pen.fillStyle = colour("--paper"); pen.fillRect(0, 0, whole.width, whole.height);
    pen.font = "12px system-ui, sans-serif"; pen.textBaseline = "top"; pen.imageSmoothingEnabled = false;
    for (const figure of panels.querySelectorAll("figure")) {
      const caption = figure.querySelector("figcaption"), at = caption.getBoundingClientRect();
      pen.fillStyle = colour("--ink");
      pen.fillText(caption.innerText.replace(/\s+/g, " "), at.left - whole.left, at.top - whole.top, at.width);
      for (const each of figure.querySelectorAll("canvas")) {
        const box = each.getBoundingClientRect();
        pen.drawImage(each, box.left - whole.left, box.top - whole.top, box.width, box.height);
      }
    }
    const link = document.createElement("a");
    link.href = canvas.toDataURL("image/png"); link.download = name; link.click();
  }

  function address(query) {
    window.history.replaceState(null, "", query ? `?${query}` : window.location.pathname);
  }

  return { start, frame, eigenvalues, clearPad, sendPad, savePicture, address, axes, line, ticks, sized,
           colour, short, say, history: () => history };
})();
