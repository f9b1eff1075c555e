// Events with their sales of the period and their seats. A click on an event selects it.

const EVENTS_SHOWN = 15;

function eventsSection(page) {
  const rows = eventRows(page);
  const section = panel("events", page.text("by_event"), {
    empty: rows.length ? null : page.text("no_data"),
  });
  if (!rows.length) return section;
  sortEventRows(rows, page.sort, page.format.locale);
  const [visible, more] = limitRows(page, "events", rows, EVENTS_SHOWN);
  section.append(
    scrollable(element("table", { "data-table": "events", class: "events" },
      element("thead", {}, element("tr", {},
        sortHeading(page, "name", "event", ""),
        sortHeading(page, "starts", "date", "wide-only"),
        sortHeading(page, "tickets", "tickets", "n wide-only", "tickets"),
        sortHeading(page, "revenue", "revenue", "n", "revenue"),
        element("th", { scope: "col", class: "n wide-only" }, page.text("change")),
        sortHeading(page, "share", "seats_sold", "seats", "seats_sold"),
        sortHeading(page, "left", "left", "n wide-only", "seats_left"))),
      element("tbody", {}, ...visible.map((row) => eventRow(page, row))))),
    more ?? "",
    element("p", { class: "muted small" }, page.text("seats_sold_why")));
  return section;
}

// Events with sales in the period, and those on sale.
function eventRows(page) {
  const { data, state } = page;
  const [first, last] = page.period;
  const salesOf = (range) =>
    data.sumBy("sales", (row, sales) => sales.event[row], ["tickets", "revenue"], ...range, page.filters);
  const current = salesOf([first, last]);
  const range = data.previousPeriod(first, last);
  const previous = range && salesOf(range);
  const isListed = (event) => !event.deleted
    && (state.city === null || event.city === state.city)
    && (state.event === null || event.index === state.event)
    && (current.has(event.index) || (data.isOnSale(event) && event.currency === state.currency));
  return data.events.filter(isListed).map((event) => {
    const sales = current.get(event.index) ?? { tickets: 0, revenue: 0 };
    const hasSeats = data.isOnSale(event) && event.total > 0;
    return {
      ...sales, event, hasSeats,
      name: event.name,
      starts: event.starts ?? 0,
      share: hasSeats ? 1 - Math.min(event.left, event.total) / event.total : null,
      left: hasSeats ? event.left : null,
      previousRevenue: previous ? previous.get(event.index)?.revenue ?? 0 : null,
    };
  });
}

function sortEventRows(rows, { column, descending }, locale) {
  const compare = column === "name"
    ? (a, b) => a.name.localeCompare(b.name, locale)
    : (a, b) => (a[column] ?? -1) - (b[column] ?? -1);
  rows.sort((a, b) => (descending ? compare(b, a) : compare(a, b)) || b.starts - a.starts);
}

function sortHeading(page, column, key, kind, meaning) {
  const isSorted = page.sort.column === column;
  const { descending } = page.sort;
  const order = descending ? "descending" : "ascending";
  const arrow = descending ? " ↓" : " ↑";
  const onclick = () => {
    // Texts and dates are sorted in ascending order first, numbers in descending order.
    page.sort = { column, descending: isSorted ? !descending : column !== "name" && column !== "starts" };
    page.render();
  };
  return element("th", {
    scope: "col", class: kind, "aria-sort": isSorted ? order : null,
    title: meaning ? page.meaning(meaning) : null,
  }, element("button", { type: "button", id: `sort-${column}`, onclick },
    page.text(key),
    element("span", { class: "arrow", "aria-hidden": "true" }, isSorted ? arrow : "")));
}

function eventRow(page, row) {
  const { format, data, state } = page;
  const { event, tickets, revenue, previousRevenue } = row;
  const dates = event.starts === null
    ? page.text("no_dates")
    : format.dateRange(event.starts, event.ends ?? event.starts);
  const onclick = () => page.update({ event: state.event === event.index ? null : event.index });
  return element("tr", { "data-key": data.eventIds[event.index] },
    element("td", { class: "name" },
      element("button", { type: "button", class: "link", onclick }, event.name),
      element("small", { class: "muted block" }, format.cityName(data.cities[event.city]),
        element("span", { class: "narrow-only" }, ` · ${dates}`))),
    element("td", { class: "wide-only muted nowrap" }, dates),
    numberCell("tickets", tickets, format.number(tickets), "wide-only"),
    element("td", { class: "n" },
      element("data", { value: exactMoney(revenue), "data-column": "revenue" }, page.money(revenue)),
      element("small", { class: "muted block narrow-only" }, format.plural("tickets_count", tickets))),
    element("td", { class: "n wide-only" }, changeIndicator(format, revenue, previousRevenue) ?? ""),
    ...(row.hasSeats ? seatCells(page, row) : noSeatCells(page, event)));
}

function seatCells(page, { event, share }) {
  const { format } = page;
  const shareText = event.left === 0 ? page.text("sold_out") : format.percent(share);
  return [
    element("td", { class: "seats" },
      meter(share),
      element("data", { value: share.toFixed(4), "data-column": "share" }, shareText),
      element("small", { class: "muted block narrow-only" },
        `${page.text("left")} ${format.number(event.left)}`)),
    element("td", { class: "n wide-only" },
      element("data", { value: event.left, "data-column": "left" }, format.number(event.left)),
      element("small", { class: "muted" }, ` ${page.text("of", format.number(event.total))}`)),
  ];
}

function noSeatCells(page, event) {
  const { data } = page;
  const unknown = event.total === null ? page.text("unknown_seats") : "–";
  const reason = data.isOnSale(event) ? unknown : page.text("over");
  return [element("td", { class: "seats muted" }, reason), element("td", { class: "n wide-only" }, "")];
}
