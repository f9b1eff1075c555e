// The reader's language and theme, kept in the browser.

// Russian, unless the browser's first language is English.
function browserLanguage() {
  return (navigator.languages?.[0] ?? navigator.language ?? "ru").startsWith("en") ? "en" : "ru";
}

// Pages opened from a file have no storage in some browsers.
function readPreference(name) {
  try {
    return localStorage.getItem(`dashboard-${name}`);
  } catch {
    return null;
  }
}

function savePreference(name, value) {
  try {
    localStorage.setItem(`dashboard-${name}`, value);
  } catch {
    // The default applies again at the next visit.
  }
}
