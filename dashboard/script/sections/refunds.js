// Refunds by event, counted on the day of the refund.

const REFUNDS_SHOWN = 6;

function refundsSection(page) {
  const { data, format } = page;
  const columns = ["tickets", "amount", "deducted"];
  const sums = page.sumBy("refunds", (row, refunds) => refunds.event[row], columns);
  const rows = [...sums]
    .map(([event, sum]) => ({ ...sum, key: data.eventIds[event], name: data.events[event].name }))
    .sort((a, b) => b.amount - a.amount);
  const section = panel("refunds", page.text("refunds"), {
    subtitle: page.text("refunds_why"), empty: rows.length ? null : page.text("no_data"),
  });
  if (!rows.length) return section;
  const [visible, more] = limitRows(page, "refunds", rows, REFUNDS_SHOWN);
  const total = { ...columnSums(columns, rows), key: "total", total: true, name: page.text("total") };
  const headings = [
    page.text("event"), page.heading("tickets", "refunds"), page.heading("refunded", "refunded"),
    page.heading("deducted", "deducted", "wide-only"),
  ];
  section.append(table("refunds", headings, [...visible, total].map((row) => ({
    key: row.key,
    total: row.total,
    cells: [
      row.name,
      numberCell("tickets", row.tickets, format.number(row.tickets)),
      numberCell("amount", exactMoney(row.amount), page.money(row.amount)),
      numberCell("deducted", exactMoney(row.deducted), page.money(row.deducted), "wide-only"),
    ],
  }))), more ?? "");
  return section;
}
