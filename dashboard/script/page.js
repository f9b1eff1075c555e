// The page: its data, the state of its controls, and the sections in their order.

class Page {
  constructor(data) {
    this.data = data;
    this.charts = new Charts();
    this.sort = { column: "revenue", descending: true };
    this.expanded = new Set();
    this.selectedShow = null;
    this.live = null;
    this.afterRender = [];
    this.setState(readState(data));
  }

  setState(state) {
    this.state = state;
    this.format = new Format(state.language, this.data.time_zone, this.data.today);
  }

  // Show newer data with the same filters, at the same place of the page.
  replaceData(data) {
    this.data = data;
    this.setState(readState(data));
    const top = scrollY;
    this.render();
    scrollTo({ top, behavior: "instant" });
  }

  // Change the state and the URL, and draw the page.
  update(change) {
    this.setState({ ...this.state, ...change });
    writeState(this.state, this.data);
    this.render();
  }

  // Expand or collapse a table, or another part that remembers it.
  expand(name, isExpanded) {
    this.expanded[isExpanded ? "add" : "delete"](name);
    this.render();
  }

  get period() {
    const { state, data } = this;
    if (state.from !== null) return [state.from, state.to];
    if (state.period === "all") return [data.first ?? data.today, data.today];
    return [data.today - state.period + 1, data.today];
  }

  get filters() {
    return { city: this.state.city, event: this.state.event, currency: this.state.currency };
  }

  get currency() {
    return this.data.currencies[this.state.currency] ?? "RUB";
  }

  // Sum columns of a table over the selected period: see PageData.sumBy.
  sumBy(name, keyOf, columns, filters = this.filters) {
    return this.data.sumBy(name, keyOf, columns, ...this.period, filters);
  }

  text(key, n) {
    return this.format.text(key, n);
  }

  // What a number means, in the words of the definition of the measures.
  meaning(key) {
    return this.text(`meaning_${key}`);
  }

  // A heading of table() with its explanation.
  heading(key, meaning, kind = "") {
    return [this.text(key), kind, this.meaning(meaning)];
  }

  money(kopecks) {
    return this.format.money(kopecks, this.currency);
  }

  render() {
    const focused = document.activeElement?.id;
    this.charts.clear();
    this.live?.draw();
    document.documentElement.lang = this.state.language;
    document.documentElement.dataset.theme = this.state.theme;
    document.title = [this.data.organiser, this.text("title")].filter(Boolean).join(" · ");
    const main = document.getElementById("page");
    main.replaceChildren(...this.sections().filter(Boolean));
    main.removeAttribute("aria-busy");
    // Charts need the width of their host, which it has once it is in the document.
    for (const callback of this.afterRender.splice(0)) callback();
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  sections() {
    const top = [headerSection(this), alertsSection(this), this.live?.element];
    if (this.data.isEmpty) return [...top, noSalesSection(this), footerSection(this)];
    return [
      ...top,
      filtersSection(this),
      totalsSection(this),
      salesByDaySection(this),
      element("div", { class: "columns" }, citiesSection(this), sourcesSection(this)),
      eventsSection(this),
      paceSection(this),
      planSection(this),
      element("div", { class: "columns" },
        promosSection(this),
        element("div", { class: "stack" }, refundsSection(this), attendanceSection(this))),
      footerSection(this),
    ];
  }
}
