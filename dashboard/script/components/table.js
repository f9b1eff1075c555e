// Tables. The exact value of each number is in a <data> element, for tests and other programs.

const ROWS_SHOWN = 8;

// Headings are texts or [text, class]. The first column is text, the others are numbers.
// Rows are {key, cells, total, selected}; a cell is text or a <td>.
function table(name, headings, rows) {
  const headingCells = headings.map((heading, column) => {
    const [text, kind, title] = Array.isArray(heading) ? heading : [heading, ""];
    const alignment = column && kind !== "seats" ? "n" : "";
    const attributes = { scope: "col", class: `${alignment} ${kind}`.trim() || null, title: title ?? null };
    return element("th", attributes, text);
  });
  const bodyRows = rows.map(({ key, cells, total, selected }) => {
    const classes = [total && "total", selected && "selected"].filter(Boolean).join(" ");
    const isCell = (cell) => cell instanceof Node && cell.tagName === "TD";
    return element("tr", { "data-key": key, class: classes || null },
      ...cells.map((cell) => (isCell(cell) ? cell : element("td", {}, cell))));
  });
  return scrollable(element("table", { "data-table": name },
    element("thead", {}, element("tr", {}, ...headingCells)),
    element("tbody", {}, ...bodyRows)));
}

// Wrap a table that may be wider than its panel. While it is, the keyboard can scroll it.
function scrollable(content) {
  const host = element("div", { class: "scroll" }, content);
  const update = () => {
    const scrolls = host.scrollWidth > host.clientWidth;
    const title = host.closest("details, section")?.querySelector("summary, h2");
    const attributes = { tabindex: "0", role: "group", "aria-label": title?.firstChild.textContent };
    for (const [name, value] of Object.entries(attributes)) {
      if (scrolls && value) host.setAttribute(name, value);
      else host.removeAttribute(name);
    }
  };
  const observer = new ResizeObserver(update);
  observer.observe(host);
  observer.observe(content);
  return host;
}

function numberCell(column, exact, text, kind = "") {
  return element("td", { class: `n ${kind}`.trim() },
    element("data", { value: exact, "data-column": column }, text));
}

function exactMoney(kopecks) {
  return (kopecks / 100).toFixed(2);
}

// Return the first `limit` rows, and a button that shows the others (null where it is not needed).
function limitRows(page, name, rows, limit = ROWS_SHOWN) {
  if (rows.length <= limit + 2) return [rows, null];
  const isExpanded = page.expanded.has(name);
  const text = isExpanded ? page.text("show_less") : page.text("show_all", page.format.number(rows.length));
  const button = element("button", {
    type: "button", class: "quiet", id: `more-${name}`, onclick: () => page.expand(name, !isExpanded),
  }, text);
  return [isExpanded ? rows : rows.slice(0, limit), element("p", { class: "more" }, button)];
}

// Sum the named columns over rows: {column: sum}.
function columnSums(columns, rows) {
  const sumOf = (column) => rows.reduce((sum, row) => sum + row[column], 0);
  return Object.fromEntries(columns.map((column) => [column, sumOf(column)]));
}
