// Alerts: stale data, a failed run, warnings of the data tests, an old page.

const PAGE_IS_OLD_SECONDS = 6 * 3600;

function alertsSection(page) {
  const { data, format } = page;
  const alerts = [];
  const worst = ["stale", "late"].find((status) => data.freshness.some((row) => row.status === status));
  if (worst) {
    const title = page.text(`alert_${worst}`, format.dateTime(data.latestLoad));
    alerts.push({ kind: worst === "stale" ? "bad" : "warn", title });
  }
  const [run] = data.runs;
  if (run && run.status !== "ok") {
    const title = page.text("alert_run", format.dateTime(run.started));
    alerts.push({ kind: "bad", title, detail: run.message });
  }
  for (const warning of run?.warnings ?? []) {
    alerts.push({ kind: "warn", title: page.text("alert_tests"), detail: warning });
  }
  const age = Date.now() / 1000 - data.generated_at;
  if (!data.now_is_fixed && age > PAGE_IS_OLD_SECONDS) {
    alerts.push({ kind: "warn", title: page.text("alert_page", format.ago(age)) });
  }
  if (!alerts.length) return null;
  return element("div", { class: "alerts", role: "status" },
    ...alerts.map(({ kind, title, detail }) => element("p", { class: `alert ${kind}` },
      element("span", { class: "sign", "aria-hidden": "true" }, "!"),
      element("span", {}, element("b", {}, title), detail ? ` ${detail}` : ""))));
}
