// Promo codes and discounts, the largest discount first.

function promosSection(page) {
  const { data, format } = page;
  const columns = ["uses", "discount", "revenue"];
  const sums = page.sumBy("promo_uses", (row, uses) => uses.promo[row], columns);
  const rows = [...sums]
    .map(([promo, sum]) => ({ ...sum, promo: data.promos[promo] }))
    .sort((a, b) => b.discount - a.discount || b.uses - a.uses);
  const section = panel("promos", page.text("promos"), { empty: rows.length ? null : page.text("no_data") });
  if (!rows.length) return section;
  const row = (key, sum, title, detail, total = false) => ({
    key, total,
    cells: [
      element("td", {}, title, detail ? element("small", { class: "muted block" }, detail) : null),
      numberCell("uses", sum.uses, format.number(sum.uses)),
      numberCell("discount", exactMoney(sum.discount), page.money(sum.discount)),
      numberCell("revenue", exactMoney(sum.revenue), page.money(sum.revenue), "wide-only"),
    ],
  });
  const [visible, more] = limitRows(page, "promos", rows);
  const headings = [
    page.text("promo"), page.heading("uses", "uses"), page.heading("discount", "discount"),
    page.heading("revenue", "promo_revenue", "wide-only"),
  ];
  section.append(table("promos", headings, [
    ...visible.map((sum) => {
      const [code, discountName] = sum.promo;
      return row(sum.promo.join(" / "), sum, code || page.text("no_code"), discountName);
    }),
    row("total", columnSums(columns, rows), page.text("total"), "", true),
  ]), more ?? "");
  return section;
}
