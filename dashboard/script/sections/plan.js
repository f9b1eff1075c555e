// Plan vs actual by event. Without a plan in the period there is no such section.

function planSection(page) {
  const { data, format } = page;
  const columns = ["tickets", "revenue", "actual_tickets", "actual_revenue"];
  const rows = [...page.sumBy("plan", (row, plan) => plan.event[row], columns)]
    .filter(([, sums]) => sums.tickets || sums.revenue)
    .map(([event, sums]) => ({
      key: data.eventIds[event],
      name: data.events[event].name,
      planned: { tickets: sums.tickets, revenue: sums.revenue },
      actual: { tickets: sums.actual_tickets, revenue: sums.actual_revenue },
    }))
    .sort((a, b) => b.planned.revenue - a.planned.revenue);
  if (!rows.length) return null;
  const total = (column) => columnSums(["tickets", "revenue"], rows.map((row) => row[column]));
  const [visible, more] = limitRows(page, "plan", rows);
  const totals = { planned: total("planned"), actual: total("actual") };
  const withTotal = [...visible, { key: "total", total: true, name: page.text("total"), ...totals }];
  const headings = [
    page.text("event"),
    [`${page.text("planned")}, ${format.currencySymbol(page.currency)}`, "", page.meaning("planned")],
    page.heading("actual", "actual"),
    [`${page.text("planned")}, ${page.text("tickets").toLowerCase()}`, "wide-only"],
    [page.text("actual"), "wide-only"],
    page.heading("done", "done", "seats"),
  ];
  const section = panel("plan", page.text("plan"), { subtitle: page.text("plan_why") });
  section.append(table("plan", headings, withTotal.map((row) => planRow(page, row))), more ?? "");
  return section;
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
