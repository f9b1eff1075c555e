// The title, the moment of the data, and the controls of language, theme and printing.

function headerSection(page) {
  const { data, format } = page;
  const loaded = data.live?.read_at ?? data.latestLoad ?? data.generated_at;
  const asOf = data.now_is_fixed ? data.as_of : loaded;
  return element("header", { class: "head" },
    element("div", {},
      element("h1", {}, data.organiser || page.text("title")),
      element("p", { class: "muted" },
        data.organiser ? `${page.text("title")} · ` : "",
        page.text("as_of", format.dateTime(asOf)),
        data.mode === "live" ? "" : element("span", { class: "badge" }, page.text(data.mode)))),
    element("div", { class: "tools" },
      languageButton(page),
      themeSelect(page),
      element("button", { type: "button", class: "wide-only", onclick: () => print() }, page.text("print"))));
}

function languageButton(page) {
  const other = page.state.language === "ru" ? "en" : "ru";
  return element("button", {
    type: "button", id: "language", lang: other,
    onclick: () => {
      savePreference("language", other);
      page.update({ language: other });
    },
  }, page.text("language"));
}

function themeSelect(page) {
  const options = ["auto", "light", "dark"].map((theme) => element("option",
    { value: theme, selected: theme === page.state.theme },
    `${page.text("theme")}: ${page.text(`theme_${theme}`)}`));
  const onchange = (event) => {
    savePreference("theme", event.target.value);
    page.update({ theme: event.target.value });
  };
  return element("label", { class: "inline" },
    element("span", { class: "hidden" }, page.text("theme")),
    element("select", { id: "theme", onchange }, ...options));
}
