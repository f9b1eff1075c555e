// Sales pace: each show on sale compared with past shows at the same number of days before the show.

const PACE_DAYS_SHOWN = 14;

function paceSection(page) {
  const { data, state } = page;
  const shows = data.pace.shows.filter((show) => !data.events[show.event].deleted
    && show.currency === state.currency
    && (state.city === null || show.city === state.city)
    && (state.event === null || show.event === state.event));
  const section = panel("pace", page.text("pace"), {
    subtitle: page.text("pace_why"), empty: shows.length ? null : page.text("no_pace"),
  });
  if (!shows.length) return section;
  const selected = shows.find((show) => showKey(page, show) === page.selectedShow)
    ?? shows.find((show) => show.typical !== null && show.curve.length > 7)
    ?? shows[0];
  const [visible, more] = limitRows(page, "pace", shows);
  const headings = [
    page.text("show"), [page.text("days_left"), "wide-only"], page.heading("sold", "forecast_sold"),
    [page.text("typical"), "wide-only"], page.text("vs_typical"), page.heading("expected", "expected", "wide-only"),
  ];
  const rows = visible.map((show) => paceRow(page, show, show === selected));
  section.append(element("div", { class: "pace" },
    element("div", {}, table("pace", headings, rows), more ?? ""),
    paceFigure(page, selected)));
  return section;
}

function showKey({ data }, show) {
  return `${data.eventIds[show.event]}@${show.starts}`;
}

function paceRow(page, show, isSelected) {
  const { data, format } = page;
  const key = showKey(page, show);
  const sold = show.curve.at(-1);
  const typical = typicalTickets(data, show, show.days_left);
  const onclick = () => {
    page.selectedShow = key;
    page.render();
  };
  return {
    key,
    selected: isSelected,
    cells: [
      element("td", { class: "name" },
        element("button", {
          type: "button", class: "link", id: `pace-${key}`, "aria-pressed": String(isSelected), onclick,
        }, data.events[show.event].name),
        element("small", { class: "muted block" },
          `${format.cityName(data.cities[show.city])} · ${showTime(format, show)}`)),
      numberCell("days_left", show.days_left,
        show.days_left ? format.number(show.days_left) : page.text("is_today"), "wide-only"),
      numberCell("sold", sold, format.number(sold)),
      numberCell("typical", typical ?? "", typical === null ? "–" : format.number(typical), "wide-only"),
      element("td", { class: "n" }, typical ? changeIndicator(format, sold, typical) : "–"),
      numberCell("expected", show.expected ?? "",
        show.expected === null ? "–" : format.number(show.expected), "wide-only"),
    ],
  };
}

function paceFigure(page, show) {
  const { data, format } = page;
  const host = element("div", {
    class: "chart", role: "img", "aria-label": page.text("chart_label", page.text("pace")),
  });
  page.afterRender.push(() => paceChart(page, host, show));
  const comparison = show.typical === null
    ? page.text("compared_none")
    : format.plural(`compared_${show.compared_with}`, show.compared_shows);
  const legend = (line, key) => element("span", { class: "legend" },
    element("i", { class: `line ${line}` }), page.text(key));
  return element("figure", {},
    element("figcaption", {},
      element("b", {}, data.events[show.event].name),
      element("small", { class: "muted block" }, `${showTime(format, show)} · `, comparison),
      element("small", { class: "muted block" }, forecastText(page, show))),
    element("p", { class: "axis" },
      page.text("tickets_axis"),
      legend("accent", "this_show"),
      show.typical === null ? null : legend("typical", "typical_line")),
    host,
    element("p", { class: "axis end" }, page.text("pace_axis")));
}

// The forecast with its interval, and how far such forecasts were off on past shows.
function forecastText(page, show) {
  const { format } = page;
  if (show.expected === null) return "";
  const range = `${format.number(show.expected_low)}–${format.number(show.expected_high)}`;
  const error = show.error_shows
    ? [
      page.text("forecast_error", show.error_days), format.percent(show.error),
      format.plural("forecast_shows", show.error_shows),
    ].join(" ")
    : page.text("forecast_untested");
  return `${page.text("forecast_of", format.number(show.expected))} (${range}) · ${error}`;
}

// Shows without a time have their day only.
function showTime(format, show) {
  const [date, time] = show.starts.split(" ");
  const day = date ? parseDay(date) : show.day;
  const dayText = format.date(day, { day: "numeric", month: "short", weekday: "short" });
  return time ? `${dayText}, ${time}` : dayText;
}

// The number of tickets sold by that day, or null for days to come.
function actualTickets(show, daysLeft) {
  if (daysLeft < show.days_left) return null;
  return daysLeft > show.from ? 0 : show.curve[show.from - daysLeft];
}

// The mean number of tickets that past shows had sold by that day, or null without past shows.
function typicalTickets(data, show, daysLeft) {
  if (show.typical === null) return null;
  const curve = data.pace.typical[show.typical];
  // The last number of a curve is that of day 0, the one before it that of day 1.
  return curve[curve.length - 1 - daysLeft] ?? 0;
}

function paceChart(page, host, show) {
  const { data, format } = page;
  const days = [];
  const actual = [];
  const typical = [];
  for (let day = Math.max(show.from, PACE_DAYS_SHOWN); day >= 0; day--) {
    days.push(day);
    actual.push(actualTickets(show, day));
    typical.push(typicalTickets(data, show, day));
  }
  page.charts.pace(host, {
    days, actual, typical, height: 260,
    dayText: (day) => format.number(day),
    valueText: (value) => format.compact(value),
    tooltip: (index) => ({
      title: days[index]
        ? `${page.text("days_left")}: ${format.plural("days", days[index])}`
        : page.text("is_today"),
      lines: [
        ...(actual[index] === null ? [] : [[page.text("sold"), format.number(actual[index])]]),
        ...(typical[index] === null ? [] : [[page.text("typical"), format.number(typical[index], 1)]]),
      ],
    }),
  });
}
