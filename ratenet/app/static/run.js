// The page of a trained run: the latest frames, and the pad to draw on.
"use strict";
{
  const { $, hue, colour, say, short, sized, map, grey, axes, line, dot } = window.ratenet;
  const LOWEST = -6, HIGHEST = 1; // powers of ten of the distances
  let facts = null, history = [], stamps = [], pad = null, range = null;

  function start(given) {
    facts = { ...given, driveSpan: 1e-9, rateSpan: 1e-9 };
    history = [];
    range = null;
    preparePad(given.height, given.width);
  }

  function frame(f) {
    history.push(f);
    while (history[0].time < f.time - facts.window) history.shift();
    const largest = (values, span) => values.reduce((most, v) => Math.max(most, Math.abs(v)), span);
    facts.rateSpan = largest(f.target || [], largest(f.rates, facts.rateSpan));
    facts.driveSpan = largest(f.drive, facts.driveSpan);
    const columns = Math.max(1, Math.round(Math.sqrt(f.rates.length * 5 / 3)));
    grey("image", f.image, facts.width, facts.height);
    map("drive", f.drive, columns, facts.driveSpan);
    map("rates", f.rates, columns, facts.rateSpan);
    map("target", f.target || f.rates.map(() => 0), columns, facts.rateSpan);
    traces(f);
    distances(f);
    answers(f);
    tell(f);
    const now = performance.now();
    stamps.push(now);
    while (stamps[0] < now - 1000) stamps.shift();
    say("fps", `${stamps.length} frames/s`);
    return f.time;
  }

  function tell(f) {
    const answered = f.answer >= 0;
    say("time", `${(1e3 * f.time).toFixed(0)} ms`);
    say("label", f.label < 0 ? "" : `a ${facts.classes[f.label]}`);
    say("found", f.target ? "" : "none found");
    say("answer", answered ? facts.classes[f.answer] : "none yet");
    say("confidence", answered ? `${(100 * f.confidence[f.answer]).toFixed(1)} %` : "–");
    say("reached", answered ? `after ${(1e3 * f.reached).toFixed(0)} ms` : "–");
    say("distance", short(f.distance));
    say("predicted", short(f.predicted));
    say("note", f.note);
  }

  function times(f) {
    const from = Math.max(0, f.time - facts.window);
    return { range: [1e3 * from, 1e3 * (from + 1.05 * facts.window)], name: "time (ms)" };
  }

  function traces(f) {
    const span = 1.1 * facts.rateSpan;
    const plot = axes("traces", times(f), { range: [-span, span], name: "rate" });
    facts.traced.forEach((unit, n) => {
      line(plot, history.map((h) => [1e3 * h.time, h.rates[unit]]), hue(n));
    });
    facts.traced.forEach((unit, n) => {
      if (f.target)
        dot(plot, 1e3 * f.time, f.target[unit], hue(n), { hollow: true });
    });
    plot.end();
  }

  function distances(f) {
    const powers = [-6, -4, -2, 0].map((p) => [p, p ? `1e${p}`.replace("-", "−") : "1"]);
    const plot = axes("distances", times(f),
      { range: [LOWEST, HIGHEST], name: "relative distance", ticks: powers });
    const at = (v) => (v > 0 ? Math.max(LOWEST, Math.min(HIGHEST, Math.log10(v))) : null);
    line(plot, history.map((h) => [1e3 * h.time, at(h.distance)]), colour("--one"));
    line(plot, history.map((h) => [1e3 * h.time, at(h.predicted)]), colour("--two"), { dashes: [5, 3] });
    plot.end();
  }

  function answers(f) {
    const [pen, width, height] = sized("answers"), bar = (width - 10) / f.confidence.length;
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    f.confidence.forEach((share, k) => {
      const tall = Math.max(1, share * (height - 28)), left = 5 + k * bar;
      pen.fillStyle = colour(k === f.answer ? "--two" : "--one");
      pen.fillRect(left + 0.15 * bar, height - 20 - tall, 0.7 * bar, tall);
      pen.fillStyle = colour("--ink");
      pen.fillText(facts.classes[k], left + 0.5 * bar, height - 5);
    });
  }

  function eigenvalues(e) {
    range = window.ratenet.spectrumRange(e.eigenvalues, range);
    window.ratenet.spectrum("eigenvalues", e.eigenvalues, range);
    const where = e.at_fixed_point ? "at the fixed point" : "at the present rates";
    say("abscissa", `${where}: largest real part ${short(e.abscissa)} /s`);
    say("certificate", e.sentence);
  }

  function forgetRange() {
    range = null;
  }

  // ---- the pad ----------------------------------------------------------------------------------

  function preparePad(height, width) {
    const canvas = $("pad"), zoom = 10;
    canvas.width = zoom * width;
    canvas.height = zoom * height;
    pad = { canvas, pen: canvas.getContext("2d"), height, width, sent: 0 };
    clearPad();
    let last = null;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width * canvas.width,
        (event.clientY - box.top) / box.height * canvas.height];
    };
    canvas.onpointerdown = (event) => {
      if (!event.isPrimary || event.button) return; // one finger, or the mouse's main button
      canvas.setPointerCapture(event.pointerId);
      last = place(event);
      stroke(last, last);
    };
    canvas.onpointermove = (event) => {
      if (!last || !event.isPrimary) return;
      const to = place(event);
      stroke(last, to);
      last = to;
    };
    canvas.onpointerup = canvas.onpointercancel = () => {
      if (last) sendPad();
      last = null;
    };
  }

  function stroke(from, to) {
    const { pen, canvas } = pad;
    pen.strokeStyle = "#fff";
    pen.lineWidth = 0.075 * canvas.width;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(to[0] + 0.01, to[1]);
    pen.stroke();
    $("hint").hidden = true;
    if (performance.now() - pad.sent > 300) sendPad();
  }

  function clearPad() {
    pad.pen.fillStyle = "#000";
    pad.pen.fillRect(0, 0, pad.canvas.width, pad.canvas.height);
    $("hint").hidden = false;
  }

  function sendPad() {
    pad.sent = performance.now();
    const small = document.createElement("canvas"), { width, height } = pad;
    small.width = width;
    small.height = height;
    const pen = small.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(pad.canvas, 0, 0, width, height);
    const data = pen.getImageData(0, 0, width, height).data;
    emitEvent("drawn", Array.from({ length: width * height }, (_, n) => data[4 * n]));
  }

  Object.assign(window.ratenet, {
    start, frame, eigenvalues, forgetRange, clearPad, sendPad, latest: () => history.at(-1),
  });
}
