// Days are integers, counted from 1970-01-01, in the reporting time zone.
const DAY_MS = 86400000;

function isoDate(day) {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

// Return the day of an ISO date, or NaN.
function parseDay(text) {
  return Math.round(Date.parse(text) / DAY_MS);
}
