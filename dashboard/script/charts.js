// Charts: uPlot with the page's colours, axes with units, and a tooltip.

function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

class Charts {
  constructor() {
    this.drawn = [];
    this.resizes = new ResizeObserver((entries) => {
      for (const { target } of entries) this.drawn.find(({ host }) => host === target)?.fit();
    });
  }

  clear() {
    this.resizes.disconnect();
    for (const { plot } of this.drawn) plot.destroy();
    this.drawn = [];
  }

  // Draw a bar for each item of `values`, and `previous`, if given, as a line over them.
  // `labels` are the texts of the x axis; `tooltip(index)` returns {title, lines: [[name, text]]}.
  bars(host, { values, previous, labels, height, color, valueText, tooltip, sync }) {
    const count = values.length;
    const series = [{}, {
      paths: uPlot.paths.bars({ size: [0.74, 40], radius: 0.12 }),
      fill: cssColor(color), width: 0, points: { show: false },
    }];
    const data = [values.map((_, index) => index), values];
    if (previous) {
      series.push({ stroke: cssColor("previous"), width: 1.5, points: { show: false } });
      data.push(previous);
    }
    const labelCount = (plot) => Math.max(2, Math.floor(plot.bbox.width / devicePixelRatio / 76));
    this.draw(host, height, {
      series,
      scales: {
        x: { time: false, range: () => [-0.6, count - 0.4] },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.06 : 1] },
      },
      axes: [
        xAxis({
          splits: (plot) => evenIndexes(count, labelCount(plot)),
          values: (_, splits) => splits.map((index) => labels[index] ?? ""),
        }),
        yAxis(valueText),
      ],
      sync,
    }, data, tooltip);
  }

  // Draw curves over the days before a show, with the day of the show on the right.
  pace(host, { days, actual, typical, height, tooltip, dayText, valueText }) {
    const accent = cssColor("accent");
    this.draw(host, height, {
      series: [
        {},
        { stroke: cssColor("typical"), width: 2, dash: [6, 5], points: { show: false } },
        { stroke: accent, fill: `${accent}1f`, width: 2.5, points: { show: false } },
      ],
      scales: {
        x: { time: false, range: (_, low, high) => [low, Math.max(high, low + 1)] },
        y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        xAxis({
          values: (_, splits) => splits.map((day) => (Number.isInteger(day) ? dayText(Math.abs(day)) : "")),
        }),
        yAxis(valueText),
      ],
    }, [days.map((day) => -day), typical, actual], tooltip);
  }

  draw(host, height, { series, scales, axes, sync }, data, tooltip) {
    const size = () => ({ width: Math.max(host.clientWidth, 200), height });
    const plot = new uPlot({
      ...size(),
      series,
      scales,
      axes,
      legend: { show: false },
      padding: [8, 20, 0, 0],
      cursor: {
        x: true, y: false, drag: { x: false, y: false }, points: { show: false },
        sync: sync ? { key: sync } : undefined,
      },
      plugins: [tooltipPlugin(tooltip)],
    }, data, host);
    this.drawn.push({ host, plot, fit: () => plot.setSize(size()) });
    this.resizes.observe(host);
  }
}

const AXIS_FONT = "12px Inter, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

function xAxis(options) {
  return {
    stroke: cssColor("muted"), font: AXIS_FONT, size: 30, gap: 6,
    grid: { show: false }, ticks: { show: false }, ...options,
  };
}

function yAxis(valueText) {
  return {
    stroke: cssColor("muted"), font: AXIS_FONT, gap: 6, space: 44,
    size: 64, // The same in every chart: the days of charts below each other are aligned.
    grid: { stroke: cssColor("grid"), width: 1 }, ticks: { show: false },
    values: (_, splits) =>
      splits.map((value) => (Number.isInteger(value) || value > 1 ? valueText(value) : "")),
  };
}

// About `wanted` of the indexes below `count`, at equal distances.
function evenIndexes(count, wanted) {
  const step = Math.max(1, Math.ceil(count / wanted));
  return Array.from({ length: Math.ceil(count / step) }, (_, position) => position * step);
}

function tooltipPlugin(contentOf) {
  const box = element("div", { class: "tooltip", hidden: true });
  return {
    hooks: {
      init: (plot) => plot.over.append(box),
      setCursor: (plot) => {
        const { idx, left, event } = plot.cursor;
        // A synchronised chart has no event: it shows the line, and only the chart under the pointer
        // shows the tooltip.
        if (idx === null || idx === undefined || left < 0 || !event) {
          box.hidden = true;
          return;
        }
        const { title, lines } = contentOf(idx);
        box.replaceChildren(
          element("b", {}, title),
          ...lines.map(([name, text]) => element("span", {}, element("i", {}, name), text)),
        );
        box.hidden = false;
        const x = plot.valToPos(plot.data[0][idx], "x");
        const overflows = x + box.offsetWidth + 16 > plot.over.clientWidth;
        box.style.left = `${overflows ? Math.max(x - box.offsetWidth - 12, -40) : x + 12}px`;
      },
    },
  };
}
