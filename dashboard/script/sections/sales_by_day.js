// Sales of the period by day, week or month: charts of revenue and tickets, and their table.

function salesByDaySection(page) {
  const { data, format } = page;
  const [first, last] = page.period;
  const { interval, bars } = data.salesByInterval(first, last, page.filters);
  const isEmpty = bars.every((bar) => !bar.tickets && !bar.revenue);
  const section = panel("days", page.text(`by_${interval}`), {
    empty: isEmpty ? page.text("no_sales") : null,
  });
  if (isEmpty) return section;

  const range = interval === "day" ? data.previousPeriod(first, last) : null;
  const previous = range && data.salesByInterval(...range, page.filters).bars;
  const chartHost = (key) => element("div", {
    class: "chart", role: "img", "aria-label": page.text("chart_label", page.text(key)),
  });
  const revenue = chartHost("revenue");
  const tickets = chartHost("tickets");
  page.afterRender.push(() => salesCharts(page, revenue, tickets, interval, bars, previous));
  const legend = previous
    ? element("span", { class: "legend" },
      element("i", { class: "line previous" }), page.text("previous_period"))
    : null;
  section.append(
    element("p", { class: "axis" }, page.text("revenue_axis", format.currencySymbol(page.currency)), legend),
    revenue,
    element("p", { class: "axis" }, page.text("tickets_axis")),
    tickets,
    details(page, "days-table", page.text("as_table"), () => salesByDayTable(page, interval, bars)));
  return section;
}

function salesCharts(page, revenue, tickets, interval, bars, previous) {
  const { format } = page;
  const tooltip = (index) => {
    const bar = bars[index];
    const lines = [
      [page.text("revenue"), page.money(bar.revenue)],
      [page.text("tickets"), format.number(bar.tickets)],
      [page.text("orders"), format.number(bar.orders)],
    ];
    if (bar.tickets) lines.push([page.text("average"), page.money(averagePrice(bar))]);
    const earlier = previous?.[index];
    if (earlier) lines.push([format.shortDate(earlier.first), page.money(earlier.revenue)]);
    return { title: intervalName(page, interval, bar), lines };
  };
  const axisLabel = ({ first }) => interval === "month"
    ? format.date(first, { month: "short", year: "2-digit" })
    : format.shortDate(first);
  const valueText = (value) => format.compact(value);
  const common = { labels: bars.map(axisLabel), tooltip, valueText, sync: "days" };
  page.charts.bars(revenue, {
    ...common, height: 240, color: "bar",
    values: bars.map((bar) => bar.revenue / 100), previous: previous?.map((bar) => bar.revenue / 100),
  });
  page.charts.bars(tickets, {
    ...common, height: 130, color: "second",
    values: bars.map((bar) => bar.tickets), previous: previous?.map((bar) => bar.tickets),
  });
}

function salesByDayTable(page, interval, bars) {
  const headings = [
    page.text("date"), ...["revenue", "tickets", "orders"].map((key) => page.heading(key, key)),
  ];
  return table("days", headings, bars.map((bar) => ({
    key: isoDate(bar.first),
    cells: [
      intervalName(page, interval, bar),
      numberCell("revenue", exactMoney(bar.revenue), page.money(bar.revenue)),
      numberCell("tickets", bar.tickets, page.format.number(bar.tickets)),
      numberCell("orders", bar.orders, page.format.number(bar.orders)),
    ],
  })));
}

function intervalName({ format }, interval, { first, last }) {
  return interval === "day"
    ? format.date(first, { weekday: "short", day: "numeric", month: "long" })
    : format.dateRange(first, last);
}
