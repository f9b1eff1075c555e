// The selected filters. They are kept in the fragment of the URL, so that a reload or a shared link
// opens the same view.

const PERIODS = [7, 30, 90, 365, "all"];
const DEFAULT_PERIOD = 30;

// Return {language, theme, period, from, to, city, event, currency}. `from` and `to` are null unless
// dates are selected; city, event and currency are indexes into the lists of `data`, or null for all.
// Invalid values are replaced by the defaults.
function readState(data) {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const indexOrNull = (list, value) => (list.includes(value) ? list.indexOf(value) : null);
  const dayOrNull = (text) => (/^\d{4}-\d\d-\d\d$/.test(text ?? "") ? parseDay(text) : null);
  const currency = indexOrNull(data.currencies, parameters.get("currency"));
  const period = PERIODS.find((known) => String(known) === parameters.get("period"));
  const state = {
    language: parameters.get("language") ?? readPreference("language") ?? browserLanguage(),
    theme: readPreference("theme") ?? "auto",
    period: period ?? DEFAULT_PERIOD,
    from: dayOrNull(parameters.get("from")),
    to: dayOrNull(parameters.get("to")),
    city: indexOrNull(data.cities, parameters.get("city")),
    event: indexOrNull(data.eventIds, parameters.get("event")),
    currency: data.soldCurrencies.includes(currency) ? currency : data.soldCurrencies[0] ?? null,
  };
  if (!Object.hasOwn(TEXTS, state.language)) state.language = "ru";
  if (state.from === null || state.to === null || state.from > state.to) {
    state.from = null;
    state.to = null;
  }
  return state;
}

function writeState(state, data) {
  const parameters = new URLSearchParams();
  if (state.from !== null) {
    parameters.set("from", isoDate(state.from));
    parameters.set("to", isoDate(state.to));
  } else if (state.period !== DEFAULT_PERIOD) {
    parameters.set("period", state.period);
  }
  if (state.city !== null) parameters.set("city", data.cities[state.city]);
  if (state.event !== null) parameters.set("event", data.eventIds[state.event]);
  if (state.currency !== data.soldCurrencies[0]) parameters.set("currency", data.currencies[state.currency]);
  history.replaceState(null, "", `#${parameters}`);
}
