// The page: what is chosen, and every section drawn from it.

const PERIODS = [7, 30, 90, 365, "all"];
const EVENTS_SHOWN = 15;
const ROWS_SHOWN = 8;

// An element with attributes and children; texts are always text, never HTML.
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

class Page {
  constructor(account) {
    this.account = account;
    this.charts = new Charts();
    this.currencies = account.soldCurrencies();
    this.sort = { column: "revenue", descending: true };
    this.expanded = new Set();
    this.paceShow = null;
    this.state = this.read();
    this.format = new Format(this.state.language, account.time_zone, account.today);
  }

  // ── What is chosen: kept in the address, so that a reload or a link shows the same ──────────

  read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const { account } = this;
    const numberOf = (list, text) => (list.indexOf(text) < 0 ? null : list.indexOf(text));
    const day = (text) => (/^\d{4}-\d\d-\d\d$/.test(text ?? "") ? Math.round(Date.parse(text) / DAY_MS) : null);
    const currency = numberOf(account.currencies, given.get("currency"));
    const period = given.get("period");
    const state = {
      language: given.get("language") ?? remembered("language") ?? browserLanguage(),
      theme: remembered("theme") ?? "auto",
      period: period === "all" ? "all" : PERIODS.includes(Number(period)) ? Number(period) : 30,
      from: day(given.get("from")),
      to: day(given.get("to")),
      city: numberOf(account.cities, given.get("city")),
      event: numberOf(account.ids, given.get("event")),
      currency: this.currencies.includes(currency) ? currency : this.currencies[0] ?? null,
    };
    if (!(state.language in TEXTS)) state.language = "ru";
    if (state.from === null || state.to === null || state.from > state.to) state.from = state.to = null;
    return state;
  }

  keep() {
    const { state, account } = this;
    const chosen = new URLSearchParams();
    if (state.from !== null) {
      chosen.set("from", isoDate(state.from));
      chosen.set("to", isoDate(state.to));
    } else if (state.period !== 30) chosen.set("period", state.period);
    if (state.city !== null) chosen.set("city", account.cities[state.city]);
    if (state.event !== null) chosen.set("event", account.ids[state.event]);
    if (state.currency !== this.currencies[0]) chosen.set("currency", account.currencies[state.currency]);
    history.replaceState(null, "", `#${chosen}`);
  }

  choose(change) {
    Object.assign(this.state, change);
    this.keep();
    this.draw();
  }

  get period() {
    const { state, account } = this;
    if (state.from !== null) return [state.from, state.to];
    if (state.period === "all") return [account.first ?? account.today, account.today];
    return [account.today - state.period + 1, account.today];
  }

  get filters() {
    return { city: this.state.city, event: this.state.event, currency: this.state.currency };
  }

  get currency() {
    return this.account.currencies[this.state.currency] ?? "RUB";
  }

  t(key, n) {
    return this.format.text(key, n);
  }

  money(kopecks) {
    return this.format.money(kopecks, this.currency);
  }

  // ── Drawing ──────────────────────────────────────────────────────────────────────────────────

  draw() {
    const focused = document.activeElement?.id;
    this.charts.clear();
    document.documentElement.lang = this.state.language;
    document.documentElement.dataset.theme = this.state.theme;
    document.title = [this.account.organiser, this.t("title")].filter(Boolean).join(" · ");
    const main = document.getElementById("page");
    const parts = [this.header(), this.alerts()];
    if (this.account.isEmpty) parts.push(this.emptyAccount());
    else {
      parts.push(
        this.filterBar(), this.cards(), this.days(),
        element("div", { class: "two" }, this.cities(), this.sources()),
        this.eventTable(), this.pace(), this.plan(),
        element("div", { class: "two" }, this.promos(), element("div", { class: "stack" }, this.refunds(), this.attendance())),
      );
    }
    parts.push(this.footer());
    main.replaceChildren(...parts.filter(Boolean));
    main.removeAttribute("aria-busy");
    for (const chart of this.pending.splice(0)) chart();
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  // Charts need the width of their place: they are drawn once it is on the page.
  pending = [];

  header() {
    const { account, state } = this;
    const themes = ["auto", "light", "dark"];
    return element("header", { class: "head" },
      element("div", {},
        element("h1", {}, account.organiser || this.t("title")),
        element("p", { class: "muted" },
          account.organiser ? `${this.t("title")} · ` : "",
          this.t("as_of", this.format.moment(account.clock_is_real ? this.latest ?? account.made_at : account.moment)),
          account.mode === "live" ? "" : element("span", { class: "badge" }, this.t(account.mode)))),
      element("div", { class: "tools" },
        element("button", { type: "button", id: "language", lang: state.language === "ru" ? "en" : "ru",
          onclick: () => {
            const language = state.language === "ru" ? "en" : "ru";
            remember("language", language);
            this.format = new Format(language, account.time_zone, account.today);
            this.choose({ language });
          } }, this.t("language")),
        element("label", { class: "inline" }, element("span", { class: "hidden" }, this.t("theme")),
          element("select", { id: "theme", onchange: (event) => {
            remember("theme", event.target.value);
            this.choose({ theme: event.target.value });
          } }, ...themes.map((theme) => element("option", { value: theme, selected: theme === state.theme },
            `${this.t("theme")}: ${this.t(`theme_${theme}`)}`)))),
        element("button", { type: "button", class: "wide-only", onclick: () => print() }, this.t("print"))));
  }

  get latest() {
    const read = this.account.freshness.map((row) => row.latest).filter((latest) => latest);
    return read.length ? Math.max(...read) : null;
  }

  alerts() {
    const { account, format } = this;
    const found = [];
    const worst = ["stale", "late"].find((status) => account.freshness.some((row) => row.status === status));
    if (worst) found.push([worst === "stale" ? "bad" : "warn", this.t(`alert_${worst}`, format.moment(this.latest)), ""]);
    const [run] = account.runs;
    if (run && run.status !== "ok") found.push(["bad", this.t("alert_run", format.moment(run.started)), run.message]);
    for (const warning of run?.warnings ?? []) found.push(["warn", this.t("alert_checks"), warning]);
    const age = Date.now() / 1000 - account.made_at;
    if (account.clock_is_real && age > 6 * 3600) found.push(["warn", this.t("alert_page", format.ago(age)), ""]);
    if (!found.length) return null;
    return element("div", { class: "alerts", role: "status" }, ...found.map(([kind, title, detail]) =>
      element("p", { class: `alert ${kind}` },
        element("span", { class: "sign", "aria-hidden": "true" }, "!"),
        element("span", {}, element("b", {}, title), detail ? ` ${detail}` : ""))));
  }

  filterBar() {
    const { account, state, format } = this;
    const [first, last] = this.period;
    const option = (value, text, chosen) => element("option", { value, selected: chosen }, text);
    const cities = account.cities
      .map((city, index) => ({ index, text: format.city(city) }))
      .filter(({ index }) => account.events.some((event) => !event.deleted && event.city === index))
      .sort((a, b) => a.text.localeCompare(b.text, format.locale));
    const inCity = account.events.filter((event) => !event.deleted && (state.city === null || event.city === state.city));
    const onSale = inCity.filter((event) => this.isOnSale(event)).sort((a, b) => (a.starts ?? 0) - (b.starts ?? 0));
    const past = inCity.filter((event) => !this.isOnSale(event)).sort((a, b) => (b.ends ?? 0) - (a.ends ?? 0));
    const group = (label, events) => events.length
      ? element("optgroup", { label }, ...events.map((event) => option(event.index, event.name, event.index === state.event)))
      : null;
    const field = (key, control) => element("label", { class: "field" }, element("span", {}, this.t(key)), control);
    // Browsers write dates in a date field as their own language does; over it stands the page's.
    const written = (value) => element("span", { "aria-hidden": "true" },
      format.date(value, { day: "2-digit", month: "2-digit", year: "numeric" }));
    const date = (id, value, limits) => element("span", { class: "date" }, element("input", { type: "date", id, value: isoDate(value), ...limits,
      onchange: (event) => {
        const day = Math.round(Date.parse(event.target.value) / DAY_MS);
        if (Number.isNaN(day)) return;
        const [from, to] = id === "from" ? [day, Math.max(day, last)] : [Math.min(day, first), day];
        this.choose({ from, to });
      } }), written(value));
    const limits = { min: isoDate(account.first ?? account.today), max: isoDate(account.today) };
    return element("div", { class: "filters", role: "search", "aria-label": this.t("filters") },
      element("div", { class: "segments", role: "group", "aria-label": this.t("period") },
        ...PERIODS.map((period) => element("button", {
          type: "button", id: `period-${period}`, "aria-pressed": String(state.from === null && state.period === period),
          onclick: () => this.choose({ period, from: null, to: null }),
        }, this.t(`days_${period}`)))),
      field("from", date("from", first, limits)),
      field("to", date("to", last, limits)),
      field("city", element("select", { id: "city", onchange: (event) => {
        const city = event.target.value === "" ? null : Number(event.target.value);
        const keeps = city === null || state.event === null || account.events[state.event].city === city;
        this.choose({ city, event: keeps ? state.event : null });
      } }, option("", this.t("all_cities"), state.city === null),
      ...cities.map(({ index, text }) => option(index, text, index === state.city)))),
      field("event", element("select", { id: "event", onchange: (event) =>
        this.choose({ event: event.target.value === "" ? null : Number(event.target.value) }),
      }, option("", this.t("all_events"), state.event === null),
      ...[group(this.t("on_sale"), onSale), group(this.t("past"), past)].filter(Boolean))),
      this.currencies.length > 1
        ? field("currency", element("select", { id: "currency", onchange: (event) => this.choose({ currency: Number(event.target.value) }) },
          ...this.currencies.map((index) => option(index, account.currencies[index], index === state.currency))))
        : null,
      state.city !== null || state.event !== null
        ? element("button", { type: "button", class: "quiet", id: "reset", onclick: () => this.choose({ city: null, event: null }) }, this.t("reset"))
        : null);
  }

  isOnSale(event) {
    return event.ends === null ? event.total > 0 : event.ends >= this.account.today;
  }

  // ── Today, 14 days, the chosen period ────────────────────────────────────────────────────────

  cards() {
    const { account, format } = this;
    const { today } = account;
    const [first, last] = this.period;
    return element("div", { class: "cards" },
      this.card("today", this.t(this.isFromToday() ? "today" : "last_day"), format.date(today, { day: "numeric", month: "long", weekday: "short" }), today, today),
      this.card("days_14", this.t("days_14"), format.dates(today - 13, today), today - 13, today),
      this.card("period", this.state.from === null ? this.t(`days_${this.state.period}`) : this.t("period"),
        format.dates(first, last), first, last));
  }

  // A page of yesterday must not call yesterday's sales today's.
  isFromToday() {
    const { account } = this;
    if (!account.clock_is_real) return true;
    const today = new Intl.DateTimeFormat("en-CA", { timeZone: account.time_zone }).format(Date.now());
    return today === isoDate(account.today);
  }

  card(name, title, dates, first, last) {
    const { account, format } = this;
    const now = account.totals(first, last, this.filters);
    const range = account.before(first, last);
    const before = range && account.totals(...range, this.filters);
    // A day that is not over is less than the whole day before: a number, but no alarm.
    const delta = (now, before) => this.delta(now, before, name === "today");
    const average = (totals) => (totals.tickets ? Math.round(totals.revenue / totals.tickets) : null);
    const value = (key, exact, text) => element("data", { value: exact, "data-metric": `${name}.${key}` }, text);
    const small = (key, text, value, change) => element("div", { class: "metric" },
      element("dt", {}, this.t(text)), element("dd", {}, value, change));
    const averageText = average(now) === null ? "–" : this.money(average(now));
    return element("section", { class: `card ${name}`, "aria-labelledby": `card-${name}` },
      element("h2", { id: `card-${name}` }, title, " ", element("small", {}, dates)),
      element("p", { class: "hero" }, value("revenue", exactMoney(now.revenue), this.money(now.revenue)),
        delta(now.revenue, before?.revenue)),
      element("p", { class: "muted small" }, before
        ? this.t(name === "today" ? "before_today" : "before", this.money(before.revenue))
        : element("span", { title: this.t("no_before_why") }, this.t("no_before"))),
      element("dl", { class: "metrics" },
        small("tickets", "tickets", value("tickets", now.tickets, format.number(now.tickets)), delta(now.tickets, before?.tickets)),
        small("orders", "orders", value("orders", now.orders, format.number(now.orders)), delta(now.orders, before?.orders)),
        small("average", "average", value("average", average(now) === null ? "" : exactMoney(average(now)), averageText),
          before && delta(average(now), average(before))),
        small("refunds", "refunds", element("span", {},
          value("refunded_tickets", now.refunded_tickets, format.number(now.refunded_tickets)),
          element("span", { class: "muted" }, " · "),
          value("refunded", exactMoney(now.refunded), this.money(now.refunded))), null)));
  }

  delta(now, before, isNeutral = false) {
    const change = before === null || before === undefined || now === null ? null : this.format.change(now, before);
    if (!change) return null;
    const flat = Math.abs(change.ratio) < 0.0005;
    const kind = flat || isNeutral ? "flat" : change.ratio > 0 ? "up" : "down";
    const arrow = flat ? "" : change.ratio > 0 ? "▲ " : "▼ ";
    return element("span", { class: `delta ${kind}` }, element("span", { "aria-hidden": "true" }, arrow), change.text);
  }

  // ── By day ───────────────────────────────────────────────────────────────────────────────────

  days() {
    const { account, format } = this;
    const [first, last] = this.period;
    const { kind, bars } = account.bars(first, last, this.filters);
    const range = kind === "day" ? account.before(first, last) : null;
    const before = range && account.bars(...range, this.filters).bars;
    const symbol = format.symbol(this.currency);
    const label = (bar) => kind === "month"
      ? format.date(bar.first, { month: "short", year: "2-digit" }) : format.shortDate(bar.first);
    const name = (bar) => kind === "day"
      ? format.date(bar.first, { weekday: "short", day: "numeric", month: "long" }) : format.dates(bar.first, bar.last);
    const tip = (index) => {
      const bar = bars[index];
      const lines = [
        [this.t("revenue"), this.money(bar.revenue)],
        [this.t("tickets"), format.number(bar.tickets)],
        [this.t("orders"), format.number(bar.orders)],
      ];
      if (bar.tickets) lines.push([this.t("average"), this.money(Math.round(bar.revenue / bar.tickets))]);
      if (before?.[index]) lines.push([format.shortDate(before[index].first), this.money(before[index].revenue)]);
      return { title: name(bar), lines };
    };
    const nothing = bars.every((bar) => !bar.tickets && !bar.revenue);
    const section = this.section("days", this.t(`by_${kind}`), nothing ? this.t("nothing") : null);
    if (nothing) return section;
    const revenue = element("div", { class: "chart", role: "img", "aria-label": this.t("chart_label", this.t("revenue")) });
    const tickets = element("div", { class: "chart", role: "img", "aria-label": this.t("chart_label", this.t("tickets")) });
    const common = { labels: bars.map(label), tip, sync: "days" };
    this.pending.push(() => {
      this.charts.bars(revenue, { ...common, height: 240, color: "bar",
        values: bars.map((bar) => bar.revenue / 100), before: before?.map((bar) => bar.revenue / 100),
        valueText: (value) => format.short(value) });
      this.charts.bars(tickets, { ...common, height: 130, color: "second",
        values: bars.map((bar) => bar.tickets), before: before?.map((bar) => bar.tickets),
        valueText: (value) => format.short(value) });
    });
    const legend = before ? element("span", { class: "legend" }, element("i", { class: "line before" }), this.t("period_before")) : null;
    section.append(
      element("p", { class: "axis" }, this.t("revenue_axis", symbol), legend), revenue,
      element("p", { class: "axis" }, this.t("tickets_axis")), tickets,
      this.details("days-table", () => this.table("days", [this.t("date"), this.t("revenue"), this.t("tickets"), this.t("orders")],
        bars.map((bar) => ({ key: isoDate(bar.first), cells: [name(bar),
          this.cell("revenue", exactMoney(bar.revenue), this.money(bar.revenue)),
          this.cell("tickets", bar.tickets, format.number(bar.tickets)),
          this.cell("orders", bar.orders, format.number(bar.orders))] })))));
    return section;
  }

  // ── Shares: cities, sources, promo codes ─────────────────────────────────────────────────────

  cities() {
    const { account, format } = this;
    const sums = account.sums("sales", ["tickets", "revenue"], ...this.period, this.filters, (row, table) => table.city[row]);
    return this.ranking("cities", this.t("by_city"), this.t("city"), [...sums].map(([city, sum]) => ({
      key: account.cities[city], ...sum, name: format.city(account.cities[city]),
      choose: this.state.city === null ? () => this.choose({ city }) : null,
    })));
  }

  sources() {
    const { account } = this;
    const sums = (keyOf) => account.sums("sources", ["tickets", "revenue"], ...this.period, this.filters,
      (row, table) => keyOf(account.marks[table.mark[row]]));
    const byCampaign = this.expanded.has("by-campaign");
    const found = byCampaign
      ? [...sums((mark) => mark.join("\u001f"))].map(([key, sum]) => ({ key, ...sum, mark: key.split("\u001f") }))
      : [...sums((mark) => mark[0])].map(([key, sum]) => ({ key, ...sum, mark: [key] }));
    const section = this.ranking("sources", this.t("by_source"), this.t(byCampaign ? "campaign" : "source"), found.map((row) => ({
      ...row,
      key: row.mark.filter(Boolean).join(" / "),
      name: row.mark[0] === "unknown" ? [this.t("no_mark"), ...row.mark.slice(1)].filter(Boolean).join(" / ") : row.mark.filter(Boolean).join(" / "),
    })));
    section.querySelector(".title").append(element("div", { class: "segments small", role: "group", "aria-label": this.t("by_source") },
      ...[["source", false], ["campaign", true]].map(([key, on]) => element("button", {
        type: "button", id: `sources-${key}`, "aria-pressed": String(byCampaign === on),
        onclick: () => { this.expanded[on ? "add" : "delete"]("by-campaign"); this.draw(); },
      }, this.t(key)))));
    return section;
  }

  // A table by revenue with bars of each row's share of the whole.
  ranking(name, title, first, rows) {
    const { format } = this;
    const sold = rows.filter((row) => row.tickets || row.revenue).sort((a, b) => b.revenue - a.revenue || b.tickets - a.tickets);
    const section = this.section(name, title, sold.length ? null : this.t("nothing_here"));
    if (!sold.length) return section;
    const all = sold.reduce((sum, row) => sum + row.revenue, 0);
    const [shown, more] = this.some(name, sold, ROWS_SHOWN);
    section.append(this.table(name, [first, this.t("revenue"), this.t("share"), this.t("tickets")], shown.map((row) => ({
      key: row.key,
      cells: [
        element("td", { class: "named" }, this.bar(all ? row.revenue / sold[0].revenue : 0),
          row.choose ? element("button", { type: "button", class: "link", onclick: row.choose }, row.name) : element("span", {}, row.name)),
        this.cell("revenue", exactMoney(row.revenue), this.money(row.revenue)),
        element("td", { class: "n muted" }, all ? format.share(row.revenue / all, 1) : "–"),
        this.cell("tickets", row.tickets, format.number(row.tickets)),
      ],
    }))), more ?? "");
    return section;
  }

  promos() {
    const { account, format } = this;
    const sums = account.sums("promos_used", ["uses", "tickets", "revenue", "discount"], ...this.period, this.filters,
      (row, table) => table.promo[row]);
    const rows = [...sums].map(([promo, sum]) => ({ promo: account.promos[promo], ...sum }))
      .sort((a, b) => b.discount - a.discount || b.uses - a.uses);
    const section = this.section("promos", this.t("promos"), rows.length ? null : this.t("nothing_here"));
    if (!rows.length) return section;
    const total = rows.reduce((sum, row) => ({ uses: sum.uses + row.uses, discount: sum.discount + row.discount, revenue: sum.revenue + row.revenue }),
      { uses: 0, discount: 0, revenue: 0 });
    const [shown, more] = this.some("promos", rows, ROWS_SHOWN);
    section.append(this.table("promos", [this.t("promo"), this.t("uses"), this.t("discount"), [this.t("revenue"), "wide-only"]],
      [...shown.map((row) => ({ key: row.promo.join(" / "), ...row, title: row.promo[0] || this.t("no_code"), detail: row.promo[1] })),
        { key: "total", total: true, ...total, title: this.t("total"), detail: "" }].map((row) => ({
        key: row.key, total: row.total,
        cells: [
          element("td", {}, row.title, row.detail ? element("small", { class: "muted block" }, row.detail) : null),
          this.cell("uses", row.uses, format.number(row.uses)),
          this.cell("discount", exactMoney(row.discount), this.money(row.discount)),
          this.cell("revenue", exactMoney(row.revenue), this.money(row.revenue), "wide-only"),
        ],
      }))), more ?? "");
    return section;
  }

  // ── Events ───────────────────────────────────────────────────────────────────────────────────

  eventTable() {
    const { account, format } = this;
    const [first, last] = this.period;
    const sum = (range) => account.sums("sales", ["tickets", "revenue"], ...range, this.filters, (row, table) => table.event[row]);
    const sums = sum([first, last]);
    const range = account.before(first, last);
    const before = range && sum(range);
    const rows = account.events
      .filter((event) => !event.deleted && (sums.has(event.index) || (this.isOnSale(event) && event.currency === this.state.currency)))
      .filter((event) => (this.state.city === null || event.city === this.state.city) && (this.state.event === null || event.index === this.state.event))
      .map((event) => {
        const sold = sums.get(event.index) ?? { tickets: 0, revenue: 0 };
        const open = this.isOnSale(event) && event.total !== null && event.total > 0;
        const share = open ? 1 - Math.min(event.left, event.total) / event.total : null;
        return { event, ...sold, name: event.name, starts: event.starts ?? 0, share, open,
          left: open ? event.left : null, before: before?.get(event.index)?.revenue ?? (before ? 0 : null) };
      });
    const section = this.section("events", this.t("by_event"), rows.length ? null : this.t("nothing_here"), null);
    if (!rows.length) return section;
    const { column, descending } = this.sort;
    const order = (a, b) => {
      if (column === "name") return a.name.localeCompare(b.name, format.locale);
      return (a[column] ?? -1) - (b[column] ?? -1);
    };
    rows.sort((a, b) => (descending ? order(b, a) : order(a, b)) || b.starts - a.starts);
    const [shown, more] = this.some("events", rows, EVENTS_SHOWN);
    const head = (key, text, kind) => element("th", {
      scope: "col", class: kind, "aria-sort": column === key ? (descending ? "descending" : "ascending") : null,
    }, element("button", { type: "button", id: `sort-${key}`, onclick: () => {
      this.sort = { column: key, descending: column === key ? !descending : key !== "name" && key !== "starts" };
      this.draw();
    } }, text, element("span", { class: "arrow", "aria-hidden": "true" }, column === key ? (descending ? " ↓" : " ↑") : "")));
    section.append(element("div", { class: "scroll" }, element("table", { "data-table": "events", class: "events" },
      element("thead", {}, element("tr", {},
        head("name", this.t("event"), ""), head("starts", this.t("date"), "wide-only"),
        head("tickets", this.t("tickets"), "n wide-only"), head("revenue", this.t("revenue"), "n"),
        element("th", { scope: "col", class: "n wide-only" }, this.t("change")),
        head("share", this.t("sold_share"), "seats"), head("left", this.t("left"), "n wide-only"))),
      element("tbody", {}, ...shown.map((row) => this.eventRow(row))))), more ?? "",
    element("p", { class: "muted small" }, this.t("sold_share_why")));
    return section;
  }

  eventRow({ event, tickets, revenue, share, open, before }) {
    const { format, account } = this;
    const dates = event.starts === null ? this.t("no_dates")
      : format.dates(event.starts, event.ends ?? event.starts);
    const state = !this.isOnSale(event) ? this.t("over") : event.total === null ? this.t("unknown_seats") : !open ? "–" : null;
    return element("tr", { "data-key": account.ids[event.index] },
      element("td", { class: "name" },
        element("button", { type: "button", class: "link", onclick: () => this.choose({ event: this.state.event === event.index ? null : event.index }) }, event.name),
        element("small", { class: "muted block" }, format.city(account.cities[event.city]),
          element("span", { class: "narrow-only" }, ` · ${dates}`))),
      element("td", { class: "wide-only muted nowrap" }, dates),
      this.cell("tickets", tickets, format.number(tickets), "wide-only"),
      element("td", { class: "n" },
        element("data", { value: exactMoney(revenue), "data-column": "revenue" }, this.money(revenue)),
        element("small", { class: "muted block narrow-only" }, format.count("tickets_count", tickets))),
      element("td", { class: "n wide-only" }, before === null ? "" : this.delta(revenue, before) ?? ""),
      open
        ? element("td", { class: "seats" }, this.meter(share),
          element("data", { value: share.toFixed(4), "data-column": "share" }, event.left === 0 ? this.t("sold_out") : format.share(share)),
          element("small", { class: "muted block narrow-only" }, `${this.t("left")} ${format.number(event.left)}`))
        : element("td", { class: "seats muted" }, state),
      open
        ? element("td", { class: "n wide-only" }, element("data", { value: event.left, "data-column": "left" }, format.number(event.left)),
          element("small", { class: "muted" }, ` ${this.t("of", format.number(event.total))}`))
        : element("td", { class: "n wide-only" }, ""));
  }

  // ── Pace ─────────────────────────────────────────────────────────────────────────────────────

  pace() {
    const { account, format } = this;
    const shows = account.pace.shows.filter((show) => !account.events[show.event].deleted
      && show.currency === this.state.currency
      && (this.state.city === null || show.city === this.state.city)
      && (this.state.event === null || show.event === this.state.event));
    const section = this.section("pace", this.t("pace"), shows.length ? null : this.t("nothing_pace"), this.t("pace_why"));
    if (!shows.length) return section;
    const keyOf = (show) => `${account.ids[show.event]}@${show.starts}`;
    const chosen = shows.find((show) => keyOf(show) === this.paceShow)
      ?? shows.find((show) => show.usual !== null && show.curve.length > 7) ?? shows[0];
    const [shown, more] = this.some("pace", shows, ROWS_SHOWN);
    const rows = shown.map((show) => {
      const sold = show.curve[show.curve.length - 1];
      const usual = this.usualAt(show, show.days_left);
      return { key: keyOf(show), chosen: show === chosen, cells: [
        element("td", { class: "name" },
          element("button", { type: "button", class: "link", id: `pace-${keyOf(show)}`, "aria-pressed": String(show === chosen), onclick: () => { this.paceShow = keyOf(show); this.draw(); } }, account.events[show.event].name),
          element("small", { class: "muted block" }, `${format.city(account.cities[show.city])} · ${this.showTime(show)}`)),
        this.cell("days_left", show.days_left, show.days_left ? format.number(show.days_left) : this.t("is_today"), "wide-only"),
        this.cell("sold", sold, format.number(sold)),
        this.cell("usual", usual ?? "", usual === null ? "–" : format.number(usual), "wide-only"),
        element("td", { class: "n" }, usual ? this.delta(sold, usual) ?? "" : "–"),
        this.cell("expected", show.expected ?? "", show.expected === null ? "–" : format.number(show.expected), "wide-only"),
      ] };
    });
    const host = element("div", { class: "chart", role: "img", "aria-label": this.t("chart_label", this.t("pace")) });
    section.append(element("div", { class: "pace" },
      element("div", {}, this.table("pace", [this.t("show"), [this.t("days_left"), "wide-only"], this.t("sold"), [this.t("usually"), "wide-only"], this.t("ahead"), [this.t("expected"), "wide-only"]], rows), more ?? ""),
      element("figure", {},
        element("figcaption", {}, element("b", {}, account.events[chosen.event].name),
          element("small", { class: "muted block" }, `${this.showTime(chosen)} · `,
            chosen.usual === null ? this.t("compared_none") : format.count(`compared_${chosen.compared_with}`, chosen.compared_shows))),
        element("p", { class: "axis" }, this.t("tickets_axis"),
          element("span", { class: "legend" }, element("i", { class: "line accent" }), this.t("this_show")),
          chosen.usual === null ? null : element("span", { class: "legend" }, element("i", { class: "line usual" }), this.t("usual"))),
        host, element("p", { class: "axis end" }, this.t("pace_axis")))));
    this.pending.push(() => this.paceChart(host, chosen));
    return section;
  }

  showTime(show) {
    const [date, time] = show.starts.split(" ");
    const day = date ? Math.round(Date.parse(date) / DAY_MS) : show.day;
    return [this.format.date(day, { day: "numeric", month: "short", weekday: "short" }), time].filter(Boolean).join(", ");
  }

  usualAt(show, daysLeft) {
    if (show.usual === null) return null;
    const curve = this.account.pace.usual[show.usual];
    // A curve's last number is of day 0, one before it of day 1.
    return curve[curve.length - 1 - daysLeft] ?? 0;
  }

  paceChart(host, show) {
    const { format } = this;
    const horizon = Math.max(show.from, 14);
    const days = [];
    const actual = [];
    const usual = [];
    for (let day = horizon; day >= 0; day--) {
      days.push(day);
      actual.push(day < show.days_left ? null : day > show.from ? 0 : show.curve[show.from - day]);
      usual.push(this.usualAt(show, day));
    }
    this.charts.pace(host, { days, actual, usual, height: 260,
      dayText: (day) => format.number(day), valueText: (value) => format.short(value),
      tip: (index) => ({
        title: days[index] ? `${this.t("days_left")}: ${format.count("days", days[index])}` : this.t("is_today"),
        lines: [
          ...(actual[index] === null ? [] : [[this.t("sold"), format.number(actual[index])]]),
          ...(usual[index] === null ? [] : [[this.t("usually"), format.number(usual[index], 1)]]),
        ],
      }) });
  }

  // ── Plan, refunds, attendance ────────────────────────────────────────────────────────────────

  plan() {
    const { account, format } = this;
    const [first, last] = this.period;
    const { filters } = this;
    const plans = account.sums("plan", ["tickets", "revenue"], first, last, filters, (row, table) => table.event[row]);
    if (!plans.size) return null;
    // Sales count from an event's first planned day to its last: a plan of June says nothing of May.
    const { plan: planned, sales } = account.tables;
    const spans = new Map();
    account.scan("plan", first, last, filters, (row) => {
      const day = planned.day[row];
      const [from, to] = spans.get(planned.event[row]) ?? [day, day];
      spans.set(planned.event[row], [Math.min(from, day), Math.max(to, day)]);
    });
    const facts = account.sums("sales", ["tickets", "revenue"], first, last, filters, (row, table) => {
      const [from, to] = spans.get(table.event[row]) ?? [Infinity, 0];
      return sales.day[row] >= from && sales.day[row] <= to ? table.event[row] : null;
    });
    const rows = [...plans].map(([event, plan]) => ({ key: account.ids[event], name: account.events[event].name, plan, fact: facts.get(event) ?? { tickets: 0, revenue: 0 } }))
      .sort((a, b) => b.plan.revenue - a.plan.revenue);
    const add = (which) => rows.reduce((sum, row) => ({ tickets: sum.tickets + row[which].tickets, revenue: sum.revenue + row[which].revenue }), { tickets: 0, revenue: 0 });
    const [shown, more] = this.some("plan", rows, ROWS_SHOWN);
    const all = [...shown, { key: "total", total: true, name: this.t("total"), plan: add("plan"), fact: add("fact") }];
    const section = this.section("plan", this.t("plan"), null, this.t("plan_why"));
    section.append(this.table("plan", [this.t("event"), `${this.t("planned")}, ${format.symbol(this.currency)}`, this.t("fact"), [this.t("planned") + ", " + this.t("tickets").toLowerCase(), "wide-only"], [this.t("fact"), "wide-only"], [this.t("done"), "seats"]], all.map(({ key, name, plan, fact, total }) => ({
      key, total,
      cells: [name,
        this.cell("plan_revenue", exactMoney(plan.revenue), this.money(plan.revenue)),
        this.cell("fact_revenue", exactMoney(fact.revenue), this.money(fact.revenue)),
        this.cell("plan_tickets", plan.tickets, format.number(plan.tickets), "wide-only"),
        this.cell("fact_tickets", fact.tickets, format.number(fact.tickets), "wide-only"),
        element("td", { class: "seats" }, ...(plan.revenue
          ? [this.meter(Math.min(1, fact.revenue / plan.revenue)), format.share(fact.revenue / plan.revenue)] : ["–"]))],
    }))), more ?? "");
    return section;
  }

  refunds() {
    const { account, format } = this;
    const sums = account.sums("refunds", ["tickets", "amount", "kept"], ...this.period, this.filters, (row, table) => table.event[row]);
    const rows = [...sums].map(([event, sum]) => ({ key: account.ids[event], name: account.events[event].name, ...sum })).sort((a, b) => b.amount - a.amount);
    const section = this.section("refunds", this.t("refunds"), rows.length ? null : this.t("nothing_here"), this.t("refunds_why"));
    if (!rows.length) return section;
    const total = rows.reduce((sum, row) => ({ tickets: sum.tickets + row.tickets, amount: sum.amount + row.amount, kept: sum.kept + row.kept }), { tickets: 0, amount: 0, kept: 0 });
    const [shown, more] = this.some("refunds", rows, ROWS_SHOWN - 2);
    section.append(this.table("refunds", [this.t("event"), this.t("tickets"), this.t("refunded"), [this.t("kept"), "wide-only"]],
      [...shown, { key: "total", total: true, name: this.t("total"), ...total }].map((row) => ({
        key: row.key, total: row.total,
        cells: [row.name, this.cell("tickets", row.tickets, format.number(row.tickets)),
          this.cell("amount", exactMoney(row.amount), this.money(row.amount)),
          this.cell("kept", exactMoney(row.kept), this.money(row.kept), "wide-only")],
      }))), more ?? "");
    return section;
  }

  attendance() {
    const { account, format } = this;
    const { attendance } = account.tables;
    const came = new Map();
    account.scan("attendance", ...this.period, { ...this.filters, currency: null }, (row) => {
      const event = attendance.event[row];
      const sum = came.get(event) ?? { shows: 0, tickets: 0, came: 0 };
      came.set(event, { shows: sum.shows + 1, tickets: sum.tickets + attendance.tickets[row], came: sum.came + attendance.came[row] });
    });
    const rows = [...came].map(([event, sum]) => ({ key: account.ids[event], name: account.events[event].name, ...sum })).sort((a, b) => b.tickets - a.tickets);
    // Where nobody is scanned at the door there is no attendance to speak of.
    const scanned = rows.filter((row) => row.came);
    const section = this.section("attendance", this.t("attendance"), scanned.length ? null : this.t("nothing_here"), this.t("attendance_why"));
    if (!scanned.length) return section;
    const [shown, more] = this.some("attendance", scanned, ROWS_SHOWN - 2);
    section.append(this.table("attendance", [this.t("event"), this.t("bought"), this.t("came"), [this.t("share"), "seats"]], shown.map((row) => ({
      key: row.key,
      cells: [row.name, this.cell("tickets", row.tickets, format.number(row.tickets)),
        this.cell("came", row.came, format.number(row.came)),
        element("td", { class: "seats" }, this.meter(row.came / row.tickets), format.share(row.came / row.tickets))],
    }))), more ?? "");
    return section;
  }

  // ── The end ──────────────────────────────────────────────────────────────────────────────────

  emptyAccount() {
    return element("section", { class: "panel nothing" }, element("h2", {}, this.t("empty_account")), element("p", { class: "muted" }, this.t("empty_account_why")));
  }

  footer() {
    const { account, format } = this;
    const [first, last] = this.period;
    const deleted = account.deletedSales(first, last, this.state.currency);
    const sign = { fresh: "ok", ok: "ok", late: "warn", stale: "bad", error: "bad", empty: "none" };
    const state = (status) => element("td", {}, element("span", { class: `state ${sign[status] ?? "bad"}` }, TEXTS[format.language][status] ?? status));
    return element("footer", {},
      this.details("state", () => element("div", { class: "two wide-gap" },
        this.table("freshness", [this.t("dataset"), this.t("rows"), this.t("read_at"), this.t("state")], account.freshness.map((row) => ({
          key: row.dataset, cells: [row.dataset, this.cell("rows", row.rows, format.number(row.rows)),
            element("td", { class: "n" }, row.latest ? format.moment(row.latest) : "–"), state(row.status)] }))),
        this.table("runs", [this.t("started"), this.t("took"), this.t("result")], account.runs.map((row) => ({
          key: row.started, cells: [format.moment(row.started), element("td", { class: "n" }, this.t("seconds", format.number(row.finished - row.started))), state(row.status)] })))),
      this.t("data_state")),
      element("p", { class: "muted small" }, this.t("footnote", account.time_zone),
        account.first !== null && account.first_day < account.history_from ? ` ${this.t("history", format.date(account.history_from))}` : "",
        deleted.tickets || deleted.revenue ? ` ${this.t("deleted", this.money(deleted.revenue))}.` : ""));
  }

  // ── Parts ────────────────────────────────────────────────────────────────────────────────────

  section(name, title, nothing, why) {
    return element("section", { class: "panel", id: name, "aria-labelledby": `title-${name}` },
      element("div", { class: "title" }, element("h2", { id: `title-${name}` }, title, why ? element("small", {}, why) : null)),
      nothing ? element("p", { class: "muted nothing" }, nothing) : null);
  }

  // Headings are texts, or [text, class]; the first column is text, the others numbers.
  table(name, headings, rows) {
    return element("div", { class: "scroll" }, element("table", { "data-table": name },
      element("thead", {}, element("tr", {}, ...headings.map((heading, column) => {
        const [text, kind] = Array.isArray(heading) ? heading : [heading, ""];
        return element("th", { scope: "col", class: `${column && kind !== "seats" ? "n" : ""} ${kind}`.trim() || null }, text);
      }))),
      element("tbody", {}, ...rows.map(({ key, cells, total, chosen }) => element("tr", {
        "data-key": key, class: [total && "total", chosen && "chosen"].filter(Boolean).join(" ") || null,
      }, ...cells.map((cell) => (cell instanceof Node && cell.tagName === "TD" ? cell : element("td", {}, cell))))))));
  }

  cell(column, exact, text, kind = "") {
    return element("td", { class: `n ${kind}`.trim() }, element("data", { value: exact, "data-column": column }, text));
  }

  // The first rows, and a button for the others.
  some(name, rows, count) {
    if (rows.length <= count + 2) return [rows, null];
    const all = this.expanded.has(name);
    const button = element("button", { type: "button", class: "quiet", id: `more-${name}`, onclick: () => {
      this.expanded[all ? "delete" : "add"](name);
      this.draw();
    } }, all ? this.t("show_less") : this.t("show_all", this.format.number(rows.length)));
    return [all ? rows : rows.slice(0, count), element("p", { class: "more" }, button)];
  }

  details(name, content, title = this.t("as_table")) {
    const open = this.expanded.has(name);
    const made = element("details", { open }, element("summary", {}, title));
    if (open) made.append(content());
    made.addEventListener("toggle", () => {
      this.expanded[made.open ? "add" : "delete"](name);
      if (made.open && made.children.length === 1) made.append(content());
    });
    return made;
  }

  bar(share) {
    const made = element("span", { class: "bar", "aria-hidden": "true" });
    made.style.setProperty("--share", Math.max(0, share));
    return made;
  }

  meter(share) {
    const made = element("span", { class: "meter", "aria-hidden": "true" }, element("i", {}));
    made.style.setProperty("--share", Math.max(0, Math.min(1, share)));
    return made;
  }
}

function exactMoney(kopecks) {
  return (kopecks / 100).toFixed(2);
}

function isoDate(day) {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

// Russian, unless the browser asks for English first.
function browserLanguage() {
  return (navigator.languages?.[0] ?? navigator.language ?? "ru").startsWith("en") ? "en" : "ru";
}

// A page opened from a file may have no storage.
function remembered(name) {
  try {
    return localStorage.getItem(`dashboard-${name}`);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`dashboard-${name}`, value);
  } catch {
    // It is asked again next time.
  }
}

async function start() {
  const main = document.getElementById("page");
  document.documentElement.dataset.theme = remembered("theme") ?? "auto";
  if (typeof DecompressionStream === "undefined") {
    main.replaceChildren(element("p", { class: "panel nothing" }, TEXTS[browserLanguage()].old_browser));
    return;
  }
  const page = new Page(await readAccount(document.getElementById("data")));
  page.draw();
  addEventListener("hashchange", () => {
    page.state = page.read();
    page.draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.draw());
  // Paper is white.
  let theme = page.state.theme;
  addEventListener("beforeprint", () => {
    theme = page.state.theme;
    page.state.theme = "light";
    page.draw();
  });
  addEventListener("afterprint", () => {
    page.state.theme = theme;
    page.draw();
  });
}

start();
