// Plan vs actual by event. Without a plan in the period there is no such section.

function planSection(page) {
  const { data, format } = page;
  const planned = page.sumBy("plan", (row, plan) => plan.event[row], ["tickets", "revenue"]);
  if (!planned.size) return null;
  const actual = actualOfPlan(page);
  const rows = [...planned]
    .map(([event, plan]) => ({
      key: data.eventIds[event],
      name: data.events[event].name,
      planned: plan,
      actual: actual.get(event) ?? { tickets: 0, revenue: 0 },
    }))
    .sort((a, b) => b.planned.revenue - a.planned.revenue);
  const total = (column) => columnSums(["tickets", "revenue"], rows.map((row) => row[column]));
  const [visible, more] = limitRows(page, "plan", rows);
  const totals = { planned: total("planned"), actual: total("actual") };
  const withTotal = [...visible, { key: "total", total: true, name: page.text("total"), ...totals }];
  const headings = [
    page.text("event"),
    `${page.text("planned")}, ${format.currencySymbol(page.currency)}`,
    page.text("actual"),
    [`${page.text("planned")}, ${page.text("tickets").toLowerCase()}`, "wide-only"],
    [page.text("actual"), "wide-only"],
    [page.text("done"), "seats"],
  ];
  const section = panel("plan", page.text("plan"), { subtitle: page.text("plan_why") });
  section.append(table("plan", headings, withTotal.map((row) => planRow(page, row))), more ?? "");
  return section;
}

// Sales of each event from its first to its last planned day in the period: a plan of June is not
// compared with sales of May.
function actualOfPlan(page) {
  const { data } = page;
  const { plan, sales } = data.tables;
  const plannedDays = new Map();
  data.forEachRow("plan", ...page.period, page.filters, (row) => {
    const day = plan.day[row];
    const [first, last] = plannedDays.get(plan.event[row]) ?? [day, day];
    plannedDays.set(plan.event[row], [Math.min(first, day), Math.max(last, day)]);
  });
  const eventOf = (row) => {
    const [first, last] = plannedDays.get(sales.event[row]) ?? [Infinity, 0];
    return sales.day[row] >= first && sales.day[row] <= last ? sales.event[row] : null;
  };
  return page.sumBy("sales", eventOf, ["tickets", "revenue"]);
}

function planRow(page, { key, total, name, planned, actual }) {
  const { format } = page;
  const done = planned.revenue ? actual.revenue / planned.revenue : null;
  return {
    key, total,
    cells: [
      name,
      numberCell("plan_revenue", exactMoney(planned.revenue), page.money(planned.revenue)),
      numberCell("actual_revenue", exactMoney(actual.revenue), page.money(actual.revenue)),
      numberCell("plan_tickets", planned.tickets, format.number(planned.tickets), "wide-only"),
      numberCell("actual_tickets", actual.tickets, format.number(actual.tickets), "wide-only"),
      element("td", { class: "seats" }, ...(done === null ? ["–"] : [meter(done), format.percent(done)])),
    ],
  };
}
