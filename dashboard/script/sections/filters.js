// The filters: period, dates, city, event, currency.

function filtersSection(page) {
  const { data, state } = page;
  const isFiltered = state.city !== null || state.event !== null;
  return element("div", { class: "filters", role: "search", "aria-label": page.text("filters") },
    periodButtons(page),
    filterField(page, "from", dateInput(page, "from")),
    filterField(page, "to", dateInput(page, "to")),
    filterField(page, "city", citySelect(page)),
    filterField(page, "event", eventSelect(page)),
    data.soldCurrencies.length > 1 ? filterField(page, "currency", currencySelect(page)) : null,
    isFiltered
      ? element("button", {
        type: "button", class: "quiet", id: "reset", onclick: () => page.update({ city: null, event: null }),
      }, page.text("reset"))
      : null);
}

function filterField(page, name, control) {
  return element("label", { class: `field ${name}` }, element("span", {}, page.text(name)), control);
}

function selectOption(value, text, selected) {
  return element("option", { value, selected }, text);
}

function periodButtons(page) {
  const { state } = page;
  return element("div", { class: "segments", role: "group", "aria-label": page.text("period") },
    ...PERIODS.map((period) => element("button", {
      type: "button", id: `period-${period}`,
      "aria-pressed": String(state.from === null && state.period === period),
      onclick: () => page.update({ period, from: null, to: null }),
    }, page.text(`days_${period}`))));
}

function dateInput(page, name) {
  const { data, format } = page;
  const [first, last] = page.period;
  const value = name === "from" ? first : last;
  const onchange = (event) => {
    const day = parseDay(event.target.value);
    if (Number.isNaN(day)) return;
    const [from, to] = name === "from" ? [day, Math.max(day, last)] : [Math.min(day, first), day];
    page.update({ from, to });
  };
  const input = element("input", {
    type: "date", id: name, value: isoDate(value), onchange,
    min: isoDate(data.first ?? data.today), max: isoDate(data.today),
  });
  // Browsers show the date in their own language; this text in the page's language covers it.
  const text = format.date(value, { day: "2-digit", month: "2-digit", year: "numeric" });
  return element("span", { class: "date" }, input, element("span", { "aria-hidden": "true" }, text));
}

function citySelect(page) {
  const { data, state, format } = page;
  const used = new Set(data.events.filter((event) => !event.deleted).map((event) => event.city));
  const cities = [...used]
    .map((index) => ({ index, name: format.cityName(data.cities[index]) }))
    .sort((a, b) => a.name.localeCompare(b.name, format.locale));
  const onchange = (event) => {
    const city = event.target.value === "" ? null : Number(event.target.value);
    const keepsEvent = city === null || state.event === null || data.events[state.event].city === city;
    page.update({ city, event: keepsEvent ? state.event : null });
  };
  return element("select", { id: "city", onchange },
    selectOption("", page.text("all_cities"), state.city === null),
    ...cities.map(({ index, name }) => selectOption(index, name, index === state.city)));
}

function eventSelect(page) {
  const { data, state } = page;
  const events = data.events.filter((event) =>
    !event.deleted && (state.city === null || event.city === state.city));
  const onSale = events.filter((event) => data.isOnSale(event));
  const past = events.filter((event) => !data.isOnSale(event));
  onSale.sort((a, b) => (a.starts ?? 0) - (b.starts ?? 0));
  past.sort((a, b) => (b.ends ?? 0) - (a.ends ?? 0));
  const group = (label, members) => members.length
    ? element("optgroup", { label },
      ...members.map((event) => selectOption(event.index, event.name, event.index === state.event)))
    : null;
  const onchange = ({ target }) => page.update({ event: target.value === "" ? null : Number(target.value) });
  return element("select", { id: "event", onchange },
    selectOption("", page.text("all_events"), state.event === null),
    group(page.text("on_sale"), onSale),
    group(page.text("past"), past));
}

function currencySelect(page) {
  const { data, state } = page;
  const onchange = ({ target }) => page.update({ currency: Number(target.value) });
  return element("select", { id: "currency", onchange },
    ...data.soldCurrencies.map((index) =>
      selectOption(index, data.currencies[index], index === state.currency)));
}
