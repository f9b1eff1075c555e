// Sales by city. A click on a city selects it.

function citiesSection(page) {
  const { data, format, state } = page;
  const sums = page.sumBy("sales", (row, sales) => sales.city[row], ["tickets", "revenue"]);
  const rows = [...sums].map(([city, sum]) => ({
    ...sum,
    key: data.cities[city],
    name: format.cityName(data.cities[city]),
    onclick: state.city === null ? () => page.update({ city }) : null,
  }));
  return rankingSection(page, "cities", page.text("by_city"), page.text("city"), rows);
}
