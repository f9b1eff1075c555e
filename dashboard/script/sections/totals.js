// The cards with the totals of today, of 14 days and of the selected period.

function totalsSection(page) {
  const { data, format, state } = page;
  const { today } = data;
  const [first, last] = page.period;
  return element("div", { class: "cards" },
    totalsCard(page, "today", page.text(isGeneratedToday(data) ? "today" : "last_day"),
      format.date(today, { day: "numeric", month: "long", weekday: "short" }), today, today),
    totalsCard(page, "days_14", page.text("days_14"), format.dateRange(today - 13, today), today - 13, today),
    totalsCard(page, "period", page.text(state.from === null ? `days_${state.period}` : "period"),
      format.dateRange(first, last), first, last));
}

// A page generated yesterday must not call yesterday's sales today's.
function isGeneratedToday(data) {
  if (data.now_is_fixed) return true;
  const today = new Intl.DateTimeFormat("en-CA", { timeZone: data.time_zone }).format(Date.now());
  return today === isoDate(data.today);
}

function totalsCard(page, name, title, dates, first, last) {
  const { data, format } = page;
  const current = data.totals(first, last, page.filters);
  const range = data.previousPeriod(first, last);
  const previous = range && data.totals(...range, page.filters);
  const currentAverage = averagePrice(current);
  // Today is not over: a change to the full previous day is no reason for alarm.
  const change = (now, before) => changeIndicator(format, now, before, name === "today");
  const value = (metric, exact, text) =>
    element("data", { value: exact, "data-metric": `${name}.${metric}` }, text);
  const metric = (key, content, indicator) => element("div", { class: "metric" },
    element("dt", { title: page.meaning(key) }, page.text(key)), element("dd", {}, content, indicator));

  return element("section", { class: `card ${name}`, "aria-labelledby": `card-${name}` },
    element("h2", { id: `card-${name}` }, title, " ", element("small", {}, dates)),
    element("p", { class: "hero", title: page.meaning("revenue") },
      value("revenue", exactMoney(current.revenue), page.money(current.revenue)),
      change(current.revenue, previous?.revenue)),
    element("p", { class: "muted small" }, previous
      ? page.text(name === "today" ? "previous_day" : "previous", page.money(previous.revenue))
      : element("span", { title: page.text("no_previous_why") }, page.text("no_previous"))),
    element("dl", { class: "metrics" },
      metric("tickets", value("tickets", current.tickets, format.number(current.tickets)),
        change(current.tickets, previous?.tickets)),
      metric("orders", value("orders", current.orders, format.number(current.orders)),
        change(current.orders, previous?.orders)),
      metric("average",
        value("average", currentAverage === null ? "" : exactMoney(currentAverage),
          currentAverage === null ? "–" : page.money(currentAverage)),
        previous && change(currentAverage, averagePrice(previous))),
      metric("refunds", element("span", {},
        value("refunded_tickets", current.refundedTickets, format.number(current.refundedTickets)),
        element("span", { class: "muted" }, " · "),
        value("refunded", exactMoney(current.refunded), page.money(current.refunded))), null)));
}

function averagePrice({ tickets, revenue }) {
  return tickets ? Math.round(revenue / tickets) : null;
}
