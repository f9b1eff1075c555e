// Sales by UTM source, or by source, medium and campaign.

const BY_CAMPAIGN = "by-campaign";

function sourcesSection(page) {
  const { data } = page;
  const byCampaign = page.expanded.has(BY_CAMPAIGN);
  const utmOf = byCampaign ? (utm) => utm : (utm) => utm.slice(0, 1);
  // Map keys are compared by identity, so that arrays are no keys.
  const keyOf = (row, sources) => JSON.stringify(utmOf(data.utm[sources.utm[row]]));
  const sums = page.sumBy("sources", keyOf, ["tickets", "revenue"]);
  const rows = [...sums].map(([key, sum]) => {
    const [source, ...rest] = JSON.parse(key);
    const name = source === "unknown" ? page.text("no_utm") : source;
    return { ...sum, key: utmText([source, ...rest]), name: utmText([name, ...rest]) };
  });
  const nameHeading = page.text(byCampaign ? "campaign" : "source");
  const meanings = ["utm_revenue", "utm_tickets"];
  const section = rankingSection(page, "sources", page.text("by_source"), nameHeading, rows, meanings);
  section.querySelector(".title").append(
    element("div", { class: "segments small", role: "group", "aria-label": page.text("by_source") },
      ...[["source", false], ["campaign", true]].map(([key, isCampaign]) => element("button", {
        type: "button", id: `sources-${key}`, "aria-pressed": String(byCampaign === isCampaign),
        onclick: () => page.expand(BY_CAMPAIGN, isCampaign),
      }, page.text(key)))));
  return section;
}

function utmText(parts) {
  return parts.filter(Boolean).join(" / ");
}
