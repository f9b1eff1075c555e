// The message of an account without sales.

function noSalesSection(page) {
  return element("section", { class: "panel empty" },
    element("h2", {}, page.text("empty_account")),
    element("p", { class: "muted" }, page.text("empty_account_why")));
}
