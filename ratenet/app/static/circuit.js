// The page of a circuit of two units: phase plane, bifurcation diagram, trajectories.
"use strict";
{
  const { $, hue, colour, say, short, axes, line, dot } = window.ratenet;
  const KEPT = 8, SECONDS = 3; // trajectories that stay; how long the newest one runs on the screen
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
  let shown = null, paths = [], running = 0, share = 1, cross = null;

  const unitOf = (name, unit) => (unit === "dimensionless" ? name : `${name} (${unit})`);

  function portrait(p) {
    shown = p;
    paths = [];
    share = 1;
    drawPlane();
    listen();
    $("course").getContext("2d").clearRect(0, 0, 1e5, 1e5);
    say("course-note", "click into the phase plane");
    say("certificate", p.summary);
    tabulate(p);
  }

  function tabulate(p) {
    const cells = (kind, values) => values.map((v) => `<${kind}>${v}</${kind}>`).join("");
    const name = document.createElement("span");
    const plain = (text) => ((name.textContent = text), name.innerHTML);
    const head = [...p.names.map((n) => plain(unitOf(n, p.unit))), "stability", "largest real part (1/s)"];
    const rows = p.points.map(([x, y], n) =>
      cells("td", [short(x, 4), short(y, 4), plain(p.stability[n]), short(p.abscissa[n], 3)]));
    $("points").innerHTML = `<tr>${cells("th", head)}</tr>` + rows.map((r) => `<tr>${r}</tr>`).join("");
  }

  function basins(plot) {
    const side = shown.basins.length, small = document.createElement("canvas");
    small.width = small.height = side;
    const pen = small.getContext("2d"), picture = pen.createImageData(side, side);
    shown.basins.forEach((row, i) => row.forEach((number, j) => {
      if (number < 0) return;
      const hex = hue(number), place = 4 * ((side - 1 - j) * side + i);
      for (let k = 0; k < 3; k++)
        picture.data[place + k] = parseInt(hex.slice(1 + 2 * k, 3 + 2 * k), 16);
      picture.data[place + 3] = 50;
    }));
    pen.putImageData(picture, 0, 0);
    plot.pen.imageSmoothingEnabled = false;
    plot.pen.drawImage(small, plot.left, plot.top, plot.width, plot.height);
  }

  function drawPlane() {
    const p = shown, [x, y] = p.names.map((name) => ({ range: p.span, name: unitOf(name, p.unit) }));
    const plot = axes("plane", x, y);
    basins(plot);
    p.nullclines.forEach((lines, n) => lines.forEach((points) =>
      line(plot, points, colour("--ink"), { dashes: n ? [6, 4] : [], thick: 1.3 })));
    paths.forEach((path, n) => {
      const upTo = n === paths.length - 1 ? Math.ceil(share * path.states.length) : path.states.length;
      const states = path.states.slice(0, Math.max(1, upTo));
      line(plot, states, colour("--three"), { thick: n === paths.length - 1 ? 2.2 : 1.2 });
      if (n === paths.length - 1) dot(plot, ...states.at(-1), colour("--three"), { size: 3 });
    });
    p.points.forEach(([a, b], n) => dot(plot, a, b,
      p.stability[n] === "stable" ? hue(n) : colour("--ink"),
      { size: 5, hollow: p.stability[n] === "stable" ? false : "filled" }));
    if (cross) {
      const [a, b] = cross, long = (p.span[1] - p.span[0]) / 40;
      line(plot, [[a - long, b], [a + long, b]], colour("--ink"));
      line(plot, [[a, b - long], [a, b + long]], colour("--ink"));
    }
    plot.end();
    return plot;
  }

  // A click, or Enter where the arrow keys have moved a cross, starts a trajectory.
  function listen() {
    const canvas = $("plane"), [low, high] = shown.span;
    canvas.onclick = (event) => {
      const box = canvas.getBoundingClientRect(), plot = drawPlane();
      const place = [plot.x(event.clientX - box.left), plot.y(event.clientY - box.top)];
      if (place.every((v) => v >= low && v <= high)) emitEvent("clicked", place);
    };
    canvas.onkeydown = (event) => {
      const arrow = ARROWS[event.key], from = cross || [(low + high) / 2, (low + high) / 2];
      if (arrow)
        cross = from.map((v, k) => Math.max(low, Math.min(high, v + arrow[k] * (high - low) / 50)));
      else if (event.key === "Enter") emitEvent("clicked", from);
      else return;
      event.preventDefault();
      drawPlane();
    };
    canvas.onblur = () => {
      cross = null;
      drawPlane();
    };
  }

  function drawCourse(path) {
    const upTo = Math.max(1, Math.ceil(share * path.t.length)), values = path.states.flat();
    const low = Math.min(shown.span[0], ...values), high = Math.max(...values, low + 1e-9);
    const plot = axes("course", { range: [0, 1e3 * (path.t.at(-1) || 1)], name: "time (ms)" },
      { range: [low, high + 0.05 * (high - low)], name: unitOf(shown.state, shown.unit) });
    [0, 1].forEach((k) =>
      line(plot, path.states.slice(0, upTo).map((s, n) => [1e3 * path.t[n], s[k]]), hue(k)));
    plot.end();
    $("course-note").innerHTML = "";
    shown.names.forEach((name, k) => {
      const each = document.createElement("span");
      each.textContent = `${k ? "  " : ""}— ${name}`;
      each.style.color = hue(k);
      $("course-note").append(each);
    });
    if (path.note) say("course-note", path.note);
  }

  function path(found) {
    paths = [...paths, found].slice(-KEPT);
    const began = performance.now(), mine = ++running;
    const step = (now) => {
      if (mine !== running || paths.at(-1) !== found) return;
      share = Math.min(1, Math.max(0, (now - began) / (1e3 * SECONDS)));
      drawPlane();
      drawCourse(found);
      if (share < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  function diagram(d) {
    const rates = d.branches.flatMap((b) => b.rates.map((r) => r[0])), low = Math.min(...rates, 0);
    const high = Math.max(...rates, low + 1e-9), room = 0.06 * (high - low);
    const plot = axes("diagram", { range: d.range, name: d.along },
      { range: [low - room, high + room], name: unitOf(d.names[0], d.unit) });
    line(plot, [[d.value, low - room], [d.value, high + room]], colour("--three"), { dashes: [2, 3] });
    for (const { values, rates, stable } of d.branches)
      for (let n = 1; n < values.length; n++)
        line(plot, [[values[n - 1], rates[n - 1][0]], [values[n], rates[n][0]]], colour("--one"),
          stable[n - 1] || stable[n] ? { thick: 2.4 } : { dashes: [4, 4], thick: 1.4 });
    plot.pen.textBaseline = "bottom";
    for (const { kind, value, rates } of d.special) {
      dot(plot, value, rates[0], colour("--two"), { size: 4 });
      const atRight = value > (d.range[0] + d.range[1]) / 2;
      plot.pen.textAlign = atRight ? "right" : "left";
      plot.pen.fillStyle = colour("--ink");
      plot.pen.fillText(`${kind} ${short(value)}`, plot.X(value) + (atRight ? -8 : 8), plot.Y(rates[0]) - 3);
    }
    plot.end();
    say("along", d.along);
  }

  Object.assign(window.ratenet, { portrait, diagram, path });
}
