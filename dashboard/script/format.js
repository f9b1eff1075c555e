// Numbers, money and dates as the reader's language writes them.
// Money comes as whole hundredths (kopecks), days as days since 1970-01-01.
const DAY_MS = 86400000;
const MINUS = "\u2212";

class Format {
  constructor(language, timeZone, today) {
    this.today = today;
    this.language = language;
    this.locale = language === "ru" ? "ru-RU" : "en-GB";
    this.timeZone = timeZone;
    this.plurals = new Intl.PluralRules(this.locale);
    this.cache = new Map();
  }

  text(key, n) {
    const text = TEXTS[this.language][key];
    return n === undefined ? text : text.replace("{n}", n);
  }

  // A counted thing: the plural form of `count`.
  count(key, count) {
    const forms = TEXTS[this.language][key].split("|");
    const order = this.language === "ru" ? ["one", "few", "many"] : ["one", "other"];
    const form = order.indexOf(this.plurals.select(count));
    return (forms[form] ?? forms[forms.length - 1]).replace("{n}", this.number(count));
  }

  of(kind, options) {
    const key = JSON.stringify(options);
    if (!this.cache.has(kind + key)) this.cache.set(kind + key, new Intl[kind](this.locale, options));
    return this.cache.get(kind + key);
  }

  number(value, digits = 0) {
    return this.of("NumberFormat", { maximumFractionDigits: digits }).format(value);
  }

  share(value, digits = 0) {
    return this.of("NumberFormat", { style: "percent", maximumFractionDigits: digits }).format(value);
  }

  // Whole units; hundredths only where the amount is small enough for them to be read.
  money(kopecks, currency, exact = false) {
    const fraction = kopecks % 100 !== 0 && (exact || Math.abs(kopecks) < 100000);
    return this.of("NumberFormat", {
      ...this.unit(currency),
      minimumFractionDigits: fraction ? 2 : 0,
      maximumFractionDigits: fraction ? 2 : 0,
    }).format(kopecks / 100);
  }

  unit(currency) {
    return /^[A-Z]{3}$/.test(currency)
      ? { style: "currency", currency, currencyDisplay: "narrowSymbol" }
      : { style: "decimal" };
  }

  symbol(currency) {
    if (!/^[A-Z]{3}$/.test(currency)) return currency;
    const parts = this.of("NumberFormat", this.unit(currency)).formatToParts(0);
    return parts.find((part) => part.type === "currency").value;
  }

  // For axes: "120 тыс."
  short(value) {
    return this.of("NumberFormat", { notation: "compact", maximumFractionDigits: 1 }).format(value);
  }

  date(day, options = { day: "numeric", month: "long", year: "numeric" }) {
    return this.of("DateTimeFormat", { ...options, timeZone: "UTC" }).format(day * DAY_MS);
  }

  shortDate(day) {
    return this.date(day, { day: "numeric", month: "short" });
  }

  // One date or a range; the year only where it is not this one.
  dates(first, last) {
    const year = (day) => new Date(day * DAY_MS).getUTCFullYear();
    const isThisYear = year(first) === year(this.today) && year(last) === year(this.today);
    const options = { day: "numeric", month: "short", year: isThisYear ? undefined : "numeric" };
    if (first === last) return this.date(first, options);
    return this.of("DateTimeFormat", { ...options, timeZone: "UTC" }).formatRange(first * DAY_MS, last * DAY_MS);
  }

  // A moment (seconds since 1970) in the reporting time zone.
  moment(seconds) {
    return this.of("DateTimeFormat", {
      day: "numeric", month: "long", hour: "2-digit", minute: "2-digit", timeZone: this.timeZone,
    }).format(seconds * 1000);
  }

  ago(seconds) {
    const relative = this.of("RelativeTimeFormat", { numeric: "auto" });
    const hours = Math.round(seconds / 3600);
    if (hours < 1) return relative.format(-Math.round(seconds / 60), "minute");
    return hours < 48 ? relative.format(-hours, "hour") : relative.format(-Math.round(hours / 24), "day");
  }

  // "+12 %", null where there is nothing to divide by.
  change(now, before) {
    if (!before) return null;
    const ratio = now / before - 1;
    const text = this.of("NumberFormat", {
      style: "percent", maximumFractionDigits: Math.abs(ratio) < 0.1 ? 1 : 0,
    }).format(Math.abs(ratio));
    return { ratio, text: (ratio < 0 ? MINUS : "+") + text };
  }

  // Cities are lowercase in the marts: "ростов-на-дону" → "Ростов-на-Дону".
  city(name) {
    if (name === "unknown" || !name) return this.text("unknown_city");
    const small = new Set(["на", "де", "ла", "над", "под", "и"]);
    return name.replace(/[^\s-]+/g, (word, at) =>
      at > 0 && small.has(word) ? word : word[0].toLocaleUpperCase(this.locale) + word.slice(1));
  }
}
