// The live part of the page that `serve` serves: the last sales, the seats left, and how old they are.
// The element stays in the document, and its content is replaced only if it has changed, so that focus,
// scrolling and the place of a screen reader stay.

const ANNOUNCED_EVERY_MS = 60000;

class LiveSection {
  constructor(page) {
    this.page = page;
    this.sales = [];
    this.seats = [];
    this.fresh = new Set();
    this.readAt = null;
    this.state = "on";
    this.unannounced = { tickets: 0, more: false };
    this.announcedAt = -ANNOUNCED_EVERY_MS;
    this.age = element("span", { class: "muted small", id: "live-age" });
    this.problem = element("p", { class: "alert warn", hidden: true });
    this.content = element("div", { class: "columns" });
    this.heading = element("h2", { id: "title-live" });
    this.element = element("section", { class: "panel", id: "live", "aria-labelledby": "title-live" },
      element("div", { class: "title" }, this.heading, this.age), this.problem, this.content);
    // A screen reader says the tickets that were sold, at most once a minute, and what goes wrong.
    this.announcement = element("div", { class: "hidden", role: "status", id: "live-news" });
    document.body.append(this.announcement);
    this.draw();
  }

  // Take over what the server has answered.
  update(answer) {
    const { sales, seats, live } = answer;
    const news = this.sales.length ? sales.filter((sale) => sale.at > this.sales[0].at) : [];
    const hasChanged = JSON.stringify([sales, seats]) !== JSON.stringify([this.sales, this.seats]);
    this.sales = sales;
    this.seats = seats;
    // The server's clock says how old the data are, this device's clock how long that was ago. It also
    // counts the hours for which the device sleeps, which performance.now() does not.
    this.readAt = live.read_at === null ? null : Date.now() / 1000 - (live.now - live.read_at);
    this.setState(live.failed ? "failed" : "on");
    if (hasChanged) {
      this.fresh = new Set(news.map((sale) => sale.at));
      this.draw();
    }
    this.unannounced.tickets += news.reduce((sum, sale) => sum + sale.tickets, 0);
    // The list is short: there may be more new sales than it shows.
    this.unannounced.more ||= news.length > 1 && news.length === sales.length;
    this.announceSales();
  }

  announceSales() {
    const { tickets, more } = this.unannounced;
    if (!tickets || performance.now() - this.announcedAt < ANNOUNCED_EVERY_MS) return;
    this.announcement.textContent = this.page.format.plural(more ? "live_news_more" : "live_news", tickets);
    this.unannounced = { tickets: 0, more: false };
    this.announcedAt = performance.now();
  }

  // `state` is on, off (no connection), denied (no token) or failed (the last run failed).
  setState(state) {
    if (state !== this.state) this.announcement.textContent = this.page.text(`live_${state}`);
    this.state = state;
    this.drawState();
  }

  drawState() {
    this.problem.hidden = this.state === "on";
    this.problem.textContent = this.state === "on" ? "" : this.page.text(`live_${this.state}`);
    this.drawAge();
  }

  drawAge() {
    const { format } = this.page;
    if (this.readAt === null) {
      this.age.textContent = "";
      return;
    }
    const seconds = Math.max(0, Math.round(Date.now() / 1000 - this.readAt));
    const age = seconds < 60 ? format.text("live_just_now") : format.ago(seconds);
    this.age.textContent = format.text("live_age", age);
  }

  draw() {
    const { page } = this;
    this.heading.textContent = page.text("live_title");
    this.content.replaceChildren(this.salesTable(), this.seatsTable());
    this.drawState();
  }

  salesTable() {
    const { page } = this;
    const { format } = page;
    if (!this.sales.length) return element("p", { class: "muted empty" }, page.text("live_no_sales"));
    const headings = [page.text("live_sales"), page.text("tickets"), page.text("live_amount"), page.text("live_time")];
    return table("last_sales", headings, this.sales.map((sale) => ({
      key: sale.at,
      selected: this.fresh.has(sale.at),
      cells: [
        sale.event,
        numberCell("tickets", sale.tickets, format.number(sale.tickets)),
        numberCell("amount", exactMoney(sale.amount), format.money(sale.amount, sale.currency)),
        this.timeCell(sale.at),
      ],
    })));
  }

  timeCell(at) {
    const date = this.page.format.otherDate(at);
    return element("td", { class: "n" }, this.page.format.time(at),
      date && element("small", { class: "muted block" }, date));
  }

  seatsTable() {
    const { page } = this;
    const { format } = page;
    if (!this.seats.length) return element("p", { class: "muted empty" }, page.text("live_no_seats"));
    const headings = [page.text("live_shows"), page.text("live_left"), page.text("live_of")];
    return table("seats_left", headings, this.seats.map((show) => ({
      key: show.show,
      cells: [
        `${show.event}, ${show.starts}`,
        numberCell("left", show.left, format.number(show.left)),
        numberCell("total", show.total, format.number(show.total)),
      ],
    })));
  }
}
