// The live part of the page that `serve` serves: the last sales, the seats left, and how old they are.
// The element stays in the document and only its content changes, so that focus and scrolling stay.

class LiveSection {
  constructor(page) {
    this.page = page;
    this.sales = [];
    this.seats = [];
    this.readAt = null;
    this.state = "on";
    this.age = element("span", { class: "muted small", id: "live-age" });
    this.problem = element("p", { class: "alert warn", hidden: true });
    this.content = element("div", { class: "columns" });
    this.heading = element("h2", { id: "title-live" });
    this.element = element("section", { class: "panel", id: "live", "aria-labelledby": "title-live" },
      element("div", { class: "title" }, this.heading, this.age), this.problem, this.content);
    // A reader of the screen hears new sales, all of one refresh in one sentence.
    this.announcement = element("div", { class: "hidden", role: "status", id: "live-news" });
    document.body.append(this.announcement);
    this.draw();
  }

  // Take over what the server has answered.
  update(answer) {
    const news = this.sales.length ? answer.sales.filter((sale) => sale.at > this.sales[0].at) : [];
    this.sales = answer.sales;
    this.seats = answer.seats;
    // The server's clock says how old the data are, this device's clock how long that was ago.
    this.readAt = answer.live.read_at === null
      ? null : performance.now() / 1000 - (answer.live.now - answer.live.read_at);
    this.setState(answer.live.failed ? "failed" : "on");
    this.draw(new Set(news.map((sale) => sale.at)));
    if (news.length) {
      const tickets = news.reduce((sum, sale) => sum + sale.tickets, 0);
      this.announcement.textContent = this.page.format.plural("live_news", tickets);
    }
  }

  // `state` is on, off (no connection), denied (no token) or failed (the last run failed).
  setState(state) {
    this.state = state;
    this.problem.hidden = state === "on";
    this.problem.textContent = state === "on" ? "" : this.page.text(`live_${state}`);
    this.drawAge();
  }

  drawAge() {
    const { format } = this.page;
    if (this.readAt === null) {
      this.age.textContent = "";
      return;
    }
    const seconds = Math.max(0, Math.round(performance.now() / 1000 - this.readAt));
    const age = seconds < 60 ? format.text("live_just_now") : format.ago(seconds);
    this.age.textContent = format.text("live_age", age);
  }

  draw(fresh = new Set()) {
    const { page } = this;
    this.heading.textContent = page.text("live_title");
    this.content.replaceChildren(this.salesTable(fresh), this.seatsTable());
    this.setState(this.state);
  }

  salesTable(fresh) {
    const { page } = this;
    const { format } = page;
    if (!this.sales.length) return element("p", { class: "muted empty" }, page.text("live_no_sales"));
    const headings = [page.text("live_sales"), page.text("tickets"), page.text("live_amount"), page.text("live_time")];
    return table("last_sales", headings, this.sales.map((sale) => ({
      key: sale.at,
      selected: fresh.has(sale.at),
      cells: [
        sale.event,
        numberCell("tickets", sale.tickets, format.number(sale.tickets)),
        numberCell("amount", exactMoney(sale.amount), format.money(sale.amount, sale.currency)),
        element("td", { class: "n nowrap" }, format.time(sale.at)),
      ],
    })));
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
