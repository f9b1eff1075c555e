// Numbers as shapes: the change to an earlier value, and bars of shares.

// Return the change from `previous` to `current` with its arrow, or null where there is none to show.
// A neutral change has no colour.
function changeIndicator(format, current, previous, isNeutral = false) {
  const isKnown = current !== null && previous !== null && previous !== undefined;
  const change = isKnown ? format.relativeChange(current, previous) : null;
  if (!change) return null;
  const direction = directionOf(change.ratio);
  const arrow = { up: "▲ ", down: "▼ ", flat: "" }[direction];
  return element("span", { class: `delta ${isNeutral ? "flat" : direction}` },
    element("span", { "aria-hidden": "true" }, arrow), change.text);
}

function directionOf(ratio) {
  if (Math.abs(ratio) < 0.0005) return "flat";
  return ratio > 0 ? "up" : "down";
}

// A bar behind the name in a table row.
function shareBar(share) {
  const bar = element("span", { class: "bar", "aria-hidden": "true" });
  bar.style.setProperty("--share", Math.max(0, share));
  return bar;
}

function meter(share) {
  const created = element("span", { class: "meter", "aria-hidden": "true" }, element("i", {}));
  created.style.setProperty("--share", Math.max(0, Math.min(1, share)));
  return created;
}
