// A table by revenue, with each row's share of the total: for cities and for sources.

// Rows are {key, name, tickets, revenue, onclick}.
function rankingSection(page, id, title, nameHeading, rows, meanings = ["revenue", "tickets"]) {
  const { format } = page;
  const sold = rows
    .filter((row) => row.tickets || row.revenue)
    .sort((a, b) => b.revenue - a.revenue || b.tickets - a.tickets);
  const section = panel(id, title, { empty: sold.length ? null : page.text("no_data") });
  if (!sold.length) return section;
  const { revenue: total } = columnSums(["revenue"], sold);
  const [visible, more] = limitRows(page, id, sold);
  const [revenue, tickets] = meanings;
  const headings = [
    nameHeading, page.heading("revenue", revenue), page.text("share"), page.heading("tickets", tickets),
  ];
  section.append(table(id, headings, visible.map((row) => ({
    key: row.key,
    cells: [
      element("td", { class: "ranked" },
        shareBar(total ? row.revenue / sold[0].revenue : 0),
        row.onclick
          ? element("button", { type: "button", class: "link", onclick: row.onclick }, row.name)
          : element("span", {}, row.name)),
      numberCell("revenue", exactMoney(row.revenue), page.money(row.revenue)),
      element("td", { class: "n muted" }, total ? format.percent(row.revenue / total, 1) : "–"),
      numberCell("tickets", row.tickets, format.number(row.tickets)),
    ],
  }))), more ?? "");
  return section;
}
