// Attendance by event, of the shows in the period.

const ATTENDANCE_SHOWN = 6;

function attendanceSection(page) {
  const { data, format } = page;
  // Attendance has no currency.
  const filters = { ...page.filters, currency: null };
  const columns = ["tickets", "scanned"];
  const sums = page.sumBy("attendance", (row, shows) => shows.event[row], columns, filters);
  // Without scans at the entrance the attendance is unknown.
  const rows = [...sums]
    .filter(([, sum]) => sum.scanned)
    .map(([event, sum]) => ({ ...sum, key: data.eventIds[event], name: data.events[event].name }))
    .sort((a, b) => b.tickets - a.tickets);
  const section = panel("attendance", page.text("attendance"), {
    subtitle: page.text("attendance_why"), empty: rows.length ? null : page.text("no_data"),
  });
  if (!rows.length) return section;
  const [visible, more] = limitRows(page, "attendance", rows, ATTENDANCE_SHOWN);
  const headings = [
    page.text("event"), page.heading("bought", "bought"), page.heading("attended", "attended"),
    page.heading("share", "attendance", "seats"),
  ];
  section.append(table("attendance", headings, visible.map((row) => ({
    key: row.key,
    cells: [
      row.name,
      numberCell("tickets", row.tickets, format.number(row.tickets)),
      numberCell("scanned", row.scanned, format.number(row.scanned)),
      element("td", { class: "seats" },
        meter(row.scanned / row.tickets), format.percent(row.scanned / row.tickets)),
    ],
  }))), more ?? "");
  return section;
}
