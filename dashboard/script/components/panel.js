// Panels with a title, and collapsible details.

// `empty` is the text of a panel without data.
function panel(name, title, { subtitle = null, empty = null } = {}) {
  return element("section", { class: "panel", id: name, "aria-labelledby": `title-${name}` },
    element("div", { class: "title" },
      element("h2", { id: `title-${name}` }, title, subtitle ? element("small", {}, subtitle) : null)),
    empty ? element("p", { class: "muted empty" }, empty) : null);
}

// Create collapsible details, which stay open when the page is drawn again. `content()` is called when
// they are first opened.
function details(page, name, title, content) {
  const open = page.expanded.has(name);
  const created = element("details", { open }, element("summary", {}, title));
  if (open) created.append(content());
  created.addEventListener("toggle", () => {
    page.expanded[created.open ? "add" : "delete"](name);
    if (created.open && created.children.length === 1) created.append(content());
  });
  return created;
}
