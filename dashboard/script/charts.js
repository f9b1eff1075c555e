// Charts: uPlot with the page's colours, axes with units, and a tooltip that follows the pointer.

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

class Charts {
  constructor() {
    this.drawn = [];
    this.sizes = new ResizeObserver((entries) => {
      for (const { target } of entries) this.drawn.find(({ host }) => host === target)?.fit();
    });
  }

  clear() {
    this.sizes.disconnect();
    for (const { plot } of this.drawn) plot.destroy();
    this.drawn = [];
  }

  // One bar an item of `values`; `before`, if given, is a thin line over them.
  // `labels` are texts of the x axis, `tip(index)` is {title, lines: [[name, text]]}.
  bars(host, { values, before, labels, height, color, valueText, tip, sync }) {
    const { bars } = uPlot.paths;
    const count = values.length;
    const series = [{}];
    const data = [values.map((_, index) => index)];
    series.push({ paths: bars({ size: [0.74, 40], radius: 0.12 }), fill: colour(color), width: 0, points: { show: false } });
    data.push(values);
    if (before) {
      series.push({ stroke: colour("before"), width: 1.5, points: { show: false } });
      data.push(before);
    }
    this.draw(host, height, {
      series,
      scales: {
        x: { time: false, range: () => [-0.6, count - 0.4] },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.06 : 1] },
      },
      axes: [
        xAxis({
          splits: (plot) => evenly(count, Math.max(2, Math.floor(plot.bbox.width / devicePixelRatio / 76))),
          values: (_, splits) => splits.map((index) => labels[index] ?? ""),
        }),
        yAxis(valueText),
      ],
      sync,
    }, data, tip);
  }

  // Curves over days before a show, falling to 0 on the right.
  pace(host, { days, actual, usual, height, tip, dayText, valueText }) {
    this.draw(host, height, {
      series: [
        {},
        { stroke: colour("usual"), width: 2, dash: [6, 5], points: { show: false } },
        { stroke: colour("accent"), fill: `${colour("accent")}1f`, width: 2.5, points: { show: false } },
      ],
      scales: {
        x: { time: false, range: (_, low, high) => [low, Math.max(high, low + 1)] },
        y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        xAxis({ values: (_, splits) => splits.map((day) => (Number.isInteger(day) ? dayText(Math.abs(day)) : "")) }),
        yAxis(valueText),
      ],
    }, [days.map((day) => -day), usual, actual], tip);
  }

  draw(host, height, { series, scales, axes, sync }, data, tip) {
    const plot = new uPlot({
      width: Math.max(host.clientWidth, 200),
      height,
      series,
      scales,
      axes,
      legend: { show: false },
      padding: [8, 20, 0, 0],
      cursor: {
        x: true, y: false, drag: { x: false, y: false }, points: { show: false },
        sync: sync ? { key: sync } : undefined,
      },
      plugins: [tooltip(host, tip)],
    }, data, host);
    const fit = () => plot.setSize({ width: Math.max(host.clientWidth, 200), height });
    this.drawn.push({ host, plot, fit });
    this.sizes.observe(host);
  }
}

const AXIS_FONT = "12px Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

function xAxis(more) {
  return {
    stroke: colour("muted"), font: AXIS_FONT, size: 30, gap: 6,
    grid: { show: false }, ticks: { show: false }, ...more,
  };
}

function yAxis(text) {
  return {
    stroke: colour("muted"), font: AXIS_FONT, gap: 6, space: 44,
    size: 64, // the same in every chart, so that days stand below each other
    grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false },
    values: (_, splits) => splits.map((value) => (Number.isInteger(value) || value > 1 ? text(value) : "")),
  };
}

// Whole indexes of 0 to count - 1, about `wanted` of them, at equal distances.
function evenly(count, wanted) {
  const step = Math.max(1, Math.ceil(count / wanted));
  const found = [];
  for (let index = 0; index < count; index += step) found.push(index);
  return found;
}

function tooltip(host, content) {
  const box = element("div", { class: "tip", hidden: true });
  return {
    hooks: {
      init: (plot) => plot.over.append(box),
      setCursor: (plot) => {
        const { idx, left, event } = plot.cursor;
        // A synchronised chart shows the line; only the one under the pointer shows the box.
        if (idx === null || idx === undefined || left < 0 || !event) {
          box.hidden = true;
          return;
        }
        const { title, lines } = content(idx);
        box.replaceChildren(
          element("b", {}, title),
          ...lines.map(([name, text]) => element("span", {}, element("i", {}, name), text)),
        );
        box.hidden = false;
        const at = plot.valToPos(plot.data[0][idx], "x");
        const overflows = at + box.offsetWidth + 16 > plot.over.clientWidth;
        box.style.left = `${overflows ? Math.max(at - box.offsetWidth - 12, -40) : at + 12}px`;
      },
    },
  };
}
