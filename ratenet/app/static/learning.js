// The page of two rules that learn from the same stream of images.
"use strict";
{
  const { hue, colour, say, short, axes, line, spectrum, spectrumRange } = window.ratenet;
  const SIDES = ["left", "right"];
  let rows = [], range = null, most = 1;

  function begin(facts) {
    rows = [[], []];
    range = null;
    most = facts.steps;
    SIDES.forEach((side) => ["accuracy", "test", "abscissa", "note"].forEach(
      (n) => say(`${side}-${n}`, n === "note" ? "" : "–")));
    curves();
  }

  const percent = (x) => (x === null || x === undefined ? "–" : `${(100 * x).toFixed(1)} %`);

  function learned(both) {
    both.forEach((row, n) => {
      say(`${SIDES[n]}-note`, row.note);
      if (!row.fresh) return;
      rows[n].push(row);
      say(`${SIDES[n]}-accuracy`, percent(row.accuracy));
      if (row.test !== null) say(`${SIDES[n]}-test`, percent(row.test));
      say(`${SIDES[n]}-abscissa`, `${short(row.abscissa)} /s`);
      say("step", `step ${row.step} of ${most}`);
    });
    curves();
    return both[0].step;
  }

  function curves() {
    const x = { range: [0, Math.min(most, Math.max(30, ...rows.map((r) => 1.1 * r.length)))], name: "step" };
    const accuracy = axes("accuracy", x, { range: [0, 1.02], name: "accuracy" });
    rows.forEach((side, n) => {
      line(accuracy, side.map((r) => [r.step, r.accuracy]), hue(n), { thick: 1.2 });
      const tested = side.filter((r) => r.test !== null);
      line(accuracy, tested.map((r) => [r.step, r.test]), hue(n), { thick: 3 });
    });
    accuracy.end();
    const seen = rows.flat().map((r) => r.abscissa).filter((v) => v !== null);
    const low = Math.min(-1, ...seen), high = Math.max(0, ...seen), room = 0.08 * (high - low);
    const slowest = axes("slowest", x, { range: [low - room, high + room], name: "abscissa (1/s)" });
    line(slowest, [[x.range[0], 0], [x.range[1], 0]], colour("--soft"), { dashes: [4, 3] });
    rows.forEach((side, n) => line(slowest, side.map((r) => [r.step, r.abscissa]), hue(n)));
    slowest.end();
  }

  function spectra(both) {
    range = spectrumRange(both.flatMap((each) => each || []), range);
    both.forEach((values, n) => {
      if (values) spectrum(`${SIDES[n]}-eigenvalues`, values, range);
    });
  }

  Object.assign(window.ratenet, { begin, learned, spectra });
}
