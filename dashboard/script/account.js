// The account: columns out of the marts, and what can be asked of them.
// Sums are sums of integers of one currency; nothing here knows how they are shown.

class Account {
  constructor(data) {
    Object.assign(this, data.about);
    this.freshness = rowsOf(data.freshness);
    this.runs = rowsOf(data.runs);
    this.ids = data.event_ids;
    this.cities = data.cities;
    this.currencies = data.currencies;
    this.marks = data.marks;
    this.promos = data.promos;
    this.pace = { shows: rowsOf(data.pace.shows), usual: data.pace.usual };
    const tables = ["sales", "refunds", "sources", "promos_used", "plan", "attendance"];
    this.tables = Object.fromEntries(tables.map((name) => [name, typed(data[name])]));
    this.events = rowsOf(data.events).map((event, index) => ({ ...event, index }));
    // A sale of an event that the marts no longer know still has a number.
    for (let index = this.events.length; index < this.ids.length; index++) {
      this.events.push({ index, name: this.ids[index], city: 0, currency: 0, deleted: 1 });
    }
    this.isDeleted = Uint8Array.from(this.events, (event) => event.deleted);
    this.first = this.first_day === null ? null : Math.max(this.first_day, this.history_from);
  }

  get isEmpty() {
    return this.tables.sales.length === 0 && this.events.every((event) => event.deleted);
  }

  // Currencies with sales, the one of most tickets first; they are never added together.
  soldCurrencies() {
    const { sales } = this.tables;
    const tickets = new Map();
    for (let row = 0; row < sales.length; row++) {
      if (this.isDeleted[sales.event[row]]) continue;
      const currency = sales.currency[row];
      tickets.set(currency, (tickets.get(currency) ?? 0) + sales.tickets[row] + 1);
    }
    const sold = [...tickets].sort((a, b) => b[1] - a[1]).map(([currency]) => currency);
    if (sold.length) return sold;
    return [...new Set(this.events.filter((event) => !event.deleted).map((event) => event.currency))].slice(0, 1);
  }

  // Calls `each` with every row number of a table that is in the period and passes the filters.
  // `filters` is {city, event, currency}, each a number or null for all.
  scan(name, first, last, filters, each) {
    const { length, day, event, city, currency } = this.tables[name];
    for (let row = 0; row < length; row++) {
      if (day[row] < first || day[row] > last || this.isDeleted[event[row]]) continue;
      if (filters.event !== null && event[row] !== filters.event) continue;
      if (filters.city !== null && city[row] !== filters.city) continue;
      if (currency && filters.currency !== null && currency[row] !== filters.currency) continue;
      each(row);
    }
  }

  // Sums of the named columns, by what `keyOf(row)` says: Map key → {column: sum}.
  sums(name, columns, first, last, filters, keyOf) {
    const table = this.tables[name];
    const sums = new Map();
    this.scan(name, first, last, filters, (row) => {
      const key = keyOf(row, table);
      let sum = sums.get(key);
      if (!sum) sums.set(key, (sum = Object.fromEntries(columns.map((column) => [column, 0]))));
      for (const column of columns) sum[column] += table[column][row];
    });
    return sums;
  }

  // Tickets, revenue, orders, refunded tickets and money of a period.
  totals(first, last, filters) {
    const none = { tickets: 0, revenue: 0, orders: 0 };
    const sales = this.sums("sales", Object.keys(none), first, last, filters, () => 0).get(0);
    const refunds = this.sums("refunds", ["tickets", "amount", "kept"], first, last, filters, () => 0).get(0);
    return {
      ...(sales ?? none),
      refunded_tickets: refunds?.tickets ?? 0,
      refunded: refunds?.amount ?? 0,
      kept: refunds?.kept ?? 0,
    };
  }

  // The period of the same length before, or null where the data does not reach back so far.
  before(first, last) {
    const length = last - first + 1;
    return this.first === null || first - length < this.first ? null : [first - length, first - 1];
  }

  // Sales of the period in bars of days, weeks (from Monday) or months.
  bars(first, last, filters) {
    const length = last - first + 1;
    const kind = length <= 124 ? "day" : length <= 430 ? "week" : "month";
    const byDay = this.sums("sales", ["tickets", "revenue", "orders"], first, last, filters,
      (row, table) => table.day[row]);
    const bars = [];
    let current = null;
    for (let day = first; day <= last; day++) {
      if (!current || startsBar(day, kind)) {
        current = { first: day, last: day, tickets: 0, revenue: 0, orders: 0 };
        bars.push(current);
      }
      current.last = day;
      const sum = byDay.get(day);
      if (!sum) continue;
      for (const column of ["tickets", "revenue", "orders"]) current[column] += sum[column];
    }
    return { kind, bars };
  }

  deletedSales(first, last, currency) {
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

// 1970-01-01 was a Thursday.
function startsBar(day, kind) {
  if (kind === "day") return true;
  if (kind === "week") return (day + 3) % 7 === 0;
  return new Date(day * DAY_MS).getUTCDate() === 1;
}

// Float64: integers up to 2^53 hundredths, 90 trillion rubles, are exact in it.
function typed(columns) {
  const table = { length: columns.day?.length ?? 0 };
  for (const [name, column] of Object.entries(columns)) {
    table[name] = typeof column[0] === "number" ? Float64Array.from(column) : column;
  }
  return table;
}

function rowsOf(columns) {
  const names = Object.keys(columns);
  if (!names.length) return [];
  return columns[names[0]].map((_, row) =>
    Object.fromEntries(names.map((name) => [name, columns[name][row]])));
}

// The data is gzip in base64: a third of its size as JSON, and no text of the service in the HTML.
async function readAccount(element) {
  const bytes = Uint8Array.from(atob(element.textContent.trim()), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Account(await new Response(stream).json());
}
