// The state of the datasets and of the latest runs, and the definitions.

const STATUS_CLASSES = { fresh: "ok", ok: "ok", late: "warn", stale: "bad", error: "bad", empty: "none" };

function footerSection(page) {
  return element("footer", {},
    details(page, "data-state", page.text("data_state"), () => element("div", { class: "columns wide-gap" },
      freshnessTable(page), runsTable(page))),
    element("p", { class: "muted small" }, footnotes(page).join(" ")));
}

function freshnessTable(page) {
  const { data, format } = page;
  const headings = ["dataset", "rows", "loaded_at", "status"].map((key) => page.text(key));
  return table("freshness", headings, data.freshness.map((row) => ({
    key: row.dataset,
    cells: [
      row.dataset,
      numberCell("rows", row.rows, format.number(row.rows)),
      element("td", { class: "n" }, row.latest ? format.dateTime(row.latest) : "–"),
      statusCell(format, row.status),
    ],
  })));
}

function runsTable(page) {
  const { data, format } = page;
  const headings = ["started", "duration", "result"].map((key) => page.text(key));
  return table("runs", headings, data.runs.map((row) => ({
    key: row.started,
    cells: [
      format.dateTime(row.started),
      element("td", { class: "n" }, page.text("seconds", format.number(row.finished - row.started))),
      statusCell(format, row.status),
    ],
  })));
}

// A status that the page does not know is shown as the marts have it.
function statusCell(format, status) {
  const kind = STATUS_CLASSES[status] ?? "bad";
  const text = TEXTS[format.language][status] ?? status;
  return element("td", {}, element("span", { class: `state ${kind}` }, text));
}

function footnotes(page) {
  const { data, format, state } = page;
  const notes = [page.text("footnote", data.time_zone)];
  if (data.first !== null && data.first_day < data.history_from) {
    notes.push(page.text("history", format.date(data.history_from)));
  }
  const deleted = data.salesOfDeletedEvents(...page.period, state.currency);
  if (deleted.tickets || deleted.revenue) notes.push(page.text("deleted", page.money(deleted.revenue)));
  return notes;
}
