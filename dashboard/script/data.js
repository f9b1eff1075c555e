// The data of the page: columns from the marts, and the queries on them.
// Money is integers of hundredths (kopecks), so that sums are exact; format.js makes texts of it.

class PageData {
  constructor(packed) {
    Object.assign(this, packed.about);
    // What a page that `serve` serves needs to refresh itself; undefined in a file.
    this.live = packed.live;
    this.freshness = rowsOf(packed.freshness);
    this.runs = rowsOf(packed.runs);
    this.eventIds = packed.event_ids;
    this.cities = packed.cities;
    this.currencies = packed.currencies;
    this.utm = packed.utm;
    this.promos = packed.promos;
    this.pace = { shows: rowsOf(packed.pace.shows), typical: packed.pace.typical };
    const tables = ["sales", "refunds", "sources", "promo_uses", "plan", "attendance"];
    this.tables = Object.fromEntries(tables.map((name) => [name, typedColumns(packed[name])]));
    this.events = rowsOf(packed.events).map((event, index) => ({ ...event, index }));
    // Sales may belong to events that are not in the marts.
    for (let index = this.events.length; index < this.eventIds.length; index++) {
      this.events.push({ index, name: this.eventIds[index], city: 0, currency: 0, deleted: 1 });
    }
    this.isDeleted = Uint8Array.from(this.events, (event) => event.deleted);
    this.first = this.first_day === null ? null : Math.max(this.first_day, this.history_from);
    this.soldCurrencies = this.currenciesByTickets();
  }

  get isEmpty() {
    return this.tables.sales.length === 0 && this.events.every((event) => event.deleted);
  }

  // When the latest dataset was loaded, or null.
  get latestLoad() {
    const loads = this.freshness.map((row) => row.latest).filter(Boolean);
    return loads.length ? Math.max(...loads) : null;
  }

  isOnSale(event) {
    return event.ends === null ? event.total > 0 : event.ends >= this.today;
  }

  // Currencies with sales, the one with most tickets first. Amounts in different currencies are
  // never added.
  currenciesByTickets() {
    const { sales } = this.tables;
    const tickets = new Map();
    for (let row = 0; row < sales.length; row++) {
      if (this.isDeleted[sales.event[row]]) continue;
      const currency = sales.currency[row];
      tickets.set(currency, (tickets.get(currency) ?? 0) + sales.tickets[row] + 1);
    }
    const sold = [...tickets].sort((a, b) => b[1] - a[1]).map(([currency]) => currency);
    if (sold.length) return sold;
    return this.events.filter((event) => !event.deleted).map((event) => event.currency).slice(0, 1);
  }

  // Call `callback` with the index of each row in the period that passes the filters.
  // `filters` is {city, event, currency}, each an index or null for all.
  forEachRow(name, first, last, filters, callback) {
    const { length, day, event, city, currency } = this.tables[name];
    for (let row = 0; row < length; row++) {
      if (day[row] < first || day[row] > last || this.isDeleted[event[row]]) continue;
      if (filters.event !== null && event[row] !== filters.event) continue;
      if (filters.city !== null && city[row] !== filters.city) continue;
      if (currency && filters.currency !== null && currency[row] !== filters.currency) continue;
      callback(row);
    }
  }

  // Sum columns of a table by `keyOf(row, columns of the table)`: Map of key → {column: sum}.
  sumBy(name, keyOf, columns, first, last, filters) {
    const columnsByName = this.tables[name];
    const sums = new Map();
    this.forEachRow(name, first, last, filters, (row) => {
      const key = keyOf(row, columnsByName);
      let sum = sums.get(key);
      if (!sum) {
        sum = Object.fromEntries(columns.map((column) => [column, 0]));
        sums.set(key, sum);
      }
      for (const column of columns) sum[column] += columnsByName[column][row];
    });
    return sums;
  }

  // Tickets, revenue, orders, refunded tickets and refunded money of a period.
  totals(first, last, filters) {
    const zero = { tickets: 0, revenue: 0, orders: 0 };
    const sales = this.sumBy("sales", () => 0, Object.keys(zero), first, last, filters).get(0);
    const refunds = this.sumBy("refunds", () => 0, ["tickets", "amount"], first, last, filters).get(0);
    return { ...(sales ?? zero), refundedTickets: refunds?.tickets ?? 0, refunded: refunds?.amount ?? 0 };
  }

  // The preceding period of the same length, or null where the data does not cover it.
  previousPeriod(first, last) {
    const length = last - first + 1;
    return this.first === null || first - length < this.first ? null : [first - length, first - 1];
  }

  // Sales of the period by day, week (from Monday) or month.
  salesByInterval(first, last, filters) {
    const interval = intervalOf(last - first + 1);
    const columns = ["tickets", "revenue", "orders"];
    const byDay = this.sumBy("sales", (row, sales) => sales.day[row], columns, first, last, filters);
    const bars = [];
    let bar = null;
    for (let day = first; day <= last; day++) {
      if (!bar || startsInterval(day, interval)) {
        bar = { first: day, last: day, tickets: 0, revenue: 0, orders: 0 };
        bars.push(bar);
      }
      bar.last = day;
      const sum = byDay.get(day);
      if (!sum) continue;
      for (const column of columns) bar[column] += sum[column];
    }
    return { interval, bars };
  }

  salesOfDeletedEvents(first, last, currency) {
    const { sales } = this.tables;
    let revenue = 0;
    let tickets = 0;
    for (let row = 0; row < sales.length; row++) {
      if (!this.isDeleted[sales.event[row]] || sales.currency[row] !== currency) continue;
      if (sales.day[row] < first || sales.day[row] > last) continue;
      revenue += sales.revenue[row];
      tickets += sales.tickets[row];
    }
    return { revenue, tickets };
  }
}

// The interval that gives a chart not too many bars for a period of so many days.
function intervalOf(days) {
  if (days <= 124) return "day";
  return days <= 430 ? "week" : "month";
}

// 1970-01-01 was a Thursday.
function startsInterval(day, interval) {
  if (interval === "day") return true;
  if (interval === "week") return (day + 3) % 7 === 0;
  return new Date(day * DAY_MS).getUTCDate() === 1;
}

// Float64 is exact for integers up to 2^53: 90 trillion rubles in kopecks.
function typedColumns(columns) {
  const typed = { length: columns.day?.length ?? 0 };
  for (const [name, column] of Object.entries(columns)) {
    typed[name] = typeof column[0] === "number" ? Float64Array.from(column) : column;
  }
  return typed;
}

function rowsOf(columns) {
  const names = Object.keys(columns);
  if (!names.length) return [];
  return columns[names[0]].map((_, row) =>
    Object.fromEntries(names.map((name) => [name, columns[name][row]])));
}

// Unpack base64 of gzip of JSON: a third of the JSON's size, and no text of the service in the HTML.
async function readPageData(script) {
  const bytes = Uint8Array.from(atob(script.textContent.trim()), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new PageData(await new Response(stream).json());
}
