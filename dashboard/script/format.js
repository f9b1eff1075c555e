// Numbers, money and dates in the reader's language. Money is integers of hundredths (kopecks).

const MINUS = "\u2212";

class Format {
  constructor(language, timeZone, today) {
    this.today = today;
    this.language = language;
    this.locale = language === "ru" ? "ru-RU" : "en-GB";
    this.timeZone = timeZone;
    this.pluralRules = new Intl.PluralRules(this.locale);
    this.formatters = new Map();
  }

  text(key, n) {
    const text = TEXTS[this.language][key];
    return n === undefined ? text : text.replace("{n}", n);
  }

  // A text with a count, in the plural form of the count.
  plural(key, count) {
    const forms = TEXTS[this.language][key].split("|");
    const categories = this.language === "ru" ? ["one", "few", "many"] : ["one", "other"];
    const form = categories.indexOf(this.pluralRules.select(count));
    return (forms[form] ?? forms.at(-1)).replace("{n}", this.number(count));
  }

  // Formatters are cached: to create one is slow.
  formatter(type, options) {
    const key = type + JSON.stringify(options);
    if (!this.formatters.has(key)) this.formatters.set(key, new Intl[type](this.locale, options));
    return this.formatters.get(key);
  }

  number(value, digits = 0) {
    return this.formatter("NumberFormat", { maximumFractionDigits: digits }).format(value);
  }

  percent(ratio, digits = 0) {
    return this.formatter("NumberFormat", { style: "percent", maximumFractionDigits: digits }).format(ratio);
  }

  // Hundredths are shown in amounts below 1000 only.
  money(kopecks, currency) {
    const digits = kopecks % 100 !== 0 && Math.abs(kopecks) < 100000 ? 2 : 0;
    return this.formatter("NumberFormat", {
      ...this.currencyOptions(currency), minimumFractionDigits: digits, maximumFractionDigits: digits,
    }).format(kopecks / 100);
  }

  // Intl throws on a currency that is not three letters.
  currencyOptions(currency) {
    return /^[A-Z]{3}$/.test(currency)
      ? { style: "currency", currency, currencyDisplay: "narrowSymbol" }
      : { style: "decimal" };
  }

  currencySymbol(currency) {
    const parts = this.formatter("NumberFormat", this.currencyOptions(currency)).formatToParts(0);
    return parts.find((part) => part.type === "currency")?.value ?? currency;
  }

  // "120 тыс.", "120k"
  compact(value) {
    return this.formatter("NumberFormat", { notation: "compact", maximumFractionDigits: 1 }).format(value);
  }

  date(day, options = { day: "numeric", month: "long", year: "numeric" }) {
    return this.formatter("DateTimeFormat", { ...options, timeZone: "UTC" }).format(day * DAY_MS);
  }

  shortDate(day) {
    return this.date(day, { day: "numeric", month: "short" });
  }

  // A date or a range of dates, with the year unless it is the current one.
  dateRange(first, last) {
    const yearOf = (day) => new Date(day * DAY_MS).getUTCFullYear();
    const isThisYear = yearOf(first) === yearOf(this.today) && yearOf(last) === yearOf(this.today);
    const options = { day: "numeric", month: "short", year: isThisYear ? undefined : "numeric" };
    if (first === last) return this.date(first, options);
    return this.formatter("DateTimeFormat", { ...options, timeZone: "UTC" })
      .formatRange(first * DAY_MS, last * DAY_MS);
  }

  // A Unix timestamp in the reporting time zone.
  dateTime(seconds) {
    return this.formatter("DateTimeFormat", {
      day: "numeric", month: "long", hour: "2-digit", minute: "2-digit", timeZone: this.timeZone,
    }).format(seconds * 1000);
  }

  // The date of a Unix timestamp as of shortDate(); null if it is today's.
  otherDate(seconds) {
    const date = this.formatter("DateTimeFormat", { day: "numeric", month: "short", timeZone: this.timeZone })
      .format(seconds * 1000);
    return date === this.shortDate(this.today) ? null : date;
  }

  time(seconds) {
    return this.formatter("DateTimeFormat", {
      hour: "2-digit", minute: "2-digit", timeZone: this.timeZone,
    }).format(seconds * 1000);
  }

  // "10 hours ago"
  ago(seconds) {
    const relative = this.formatter("RelativeTimeFormat", { numeric: "auto" });
    const hours = Math.round(seconds / 3600);
    if (hours < 1) return relative.format(-Math.round(seconds / 60), "minute");
    return hours < 48 ? relative.format(-hours, "hour") : relative.format(-Math.round(hours / 24), "day");
  }

  // {ratio, text} with a text like "+12 %"; null if `previous` is 0.
  relativeChange(current, previous) {
    if (!previous) return null;
    const ratio = current / previous - 1;
    const text = this.percent(Math.abs(ratio), Math.abs(ratio) < 0.1 ? 1 : 0);
    return { ratio, text: (ratio < 0 ? MINUS : "+") + text };
  }

  // City names are in lower case in the marts: "ростов-на-дону" becomes "Ростов-на-Дону".
  cityName(city) {
    if (city === "unknown" || !city) return this.text("unknown_city");
    const lowerCaseWords = new Set(["на", "де", "ла", "над", "под", "и"]);
    return city.replace(/[^\s-]+/g, (word, at) =>
      at > 0 && lowerCaseWords.has(word) ? word : word[0].toLocaleUpperCase(this.locale) + word.slice(1));
  }
}
