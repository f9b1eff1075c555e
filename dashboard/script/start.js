// Unpack the data and draw the page; draw it again when the URL, the theme or the medium changes.

async function start() {
  document.documentElement.dataset.theme = readPreference("theme") ?? "auto";
  if (typeof DecompressionStream === "undefined") {
    const message = element("p", { class: "panel empty" }, TEXTS[browserLanguage()].old_browser);
    document.getElementById("page").replaceChildren(message);
    return;
  }
  const page = new Page(await readPageData(document.getElementById("data")));
  if (page.data.live) page.live = new LiveSection(page);
  page.render();
  if (page.live) new Refresh(page, page.data.live).start();
  addEventListener("hashchange", () => {
    page.setState(readState(page.data));
    page.render();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.render());
  // Paper is white.
  let screenTheme = page.state.theme;
  addEventListener("beforeprint", () => {
    screenTheme = page.state.theme;
    page.state.theme = "light";
    page.render();
  });
  addEventListener("afterprint", () => {
    page.state.theme = screenTheme;
    page.render();
  });
}

start();
