// The texts of the page in Russian and English. {n} is replaced by a value; | separates plural forms
// (one|few|many in Russian, one|other in English).
const TEXTS = {
  ru: {
    // Header
    title: "Продажи билетов",
    old_browser: "Нужен более новый браузер: Chrome 93, Firefox 113, Safari 16.4 или новее.",
    as_of: "Данные на {n}",
    demo: "Демо: вымышленные продажи",
    offline: "Записанные ответы API, не текущие данные",
    language: "English",
    theme: "Тема", theme_auto: "авто", theme_light: "светлая", theme_dark: "тёмная",
    print: "Печать",

    // Alerts
    alert_stale: "Данные устарели: последняя загрузка {n}.",
    alert_late: "Данные запаздывают: последняя загрузка {n}.",
    alert_run: "Последний запуск завершился ошибкой ({n}).",
    alert_tests: "Предупреждение проверки данных:",
    alert_page: "Страница создана {n}. Более поздних продаж на ней нет.",

    // Live
    live_title: "Сейчас", live_sales: "Последние продажи", live_amount: "Сумма", live_time: "Время",
    live_shows: "Ближайшие показы", live_left: "Осталось мест", live_of: "Всего",
    live_age: "Прочитано из QTickets: {n}", live_just_now: "только что",
    live_no_sales: "За последнюю неделю продаж нет", live_no_seats: "Нет показов, места которых известны",
    live_off: "Нет связи с сервером: показано последнее известное. Страница обновится сама.",
    live_denied: "Сервер больше не принимает ключ: откройте страницу по ссылке с ключом.",
    live_failed: "Последний запуск не удался: часть данных может быть устаревшей.",
    live_news: "Продан {n} билет|Продано {n} билета|Продано {n} билетов",
    live_news_more: "Продано билетов: {n} или больше",
    live_on: "Связь с сервером есть: числа снова обновляются.",

    // Filters
    filters: "Фильтры",
    period: "Период", from: "С", to: "По", city: "Город", event: "Мероприятие", currency: "Валюта",
    all_cities: "Все города", all_events: "Все мероприятия", on_sale: "В продаже", past: "Прошедшие",
    days_7: "7 дней", days_30: "30 дней", days_90: "90 дней", days_365: "Год", days_all: "Всё",
    reset: "Сбросить",

    // Terms used in several sections
    tickets: "Билеты", revenue: "Выручка", orders: "Заказы", average: "Средняя цена билета",
    refunds: "Возвраты", share: "Доля", change: "Изменение", date: "Дата", total: "Итого",
    tickets_count: "{n} билет|{n} билета|{n} билетов",
    days: "{n} день|{n} дня|{n} дней",
    unknown_city: "город не указан",
    show_all: "Показать все ({n})", show_less: "Свернуть",
    as_table: "Таблица",
    chart_label: "График: {n}. Те же данные — в таблице.",
    no_sales: "За этот период продаж нет", no_data: "За этот период данных нет",

    // Totals
    today: "Сегодня", last_day: "Последний день", days_14: "14 дней",
    previous: "в прошлом периоде {n}", previous_day: "вчера за весь день {n}",
    no_previous: "нет данных для сравнения",
    no_previous_why: "В данных нет предыдущего периода такой же длины",

    // Sales by day
    by_day: "По дням", by_week: "По неделям", by_month: "По месяцам",
    previous_period: "предыдущий период",
    revenue_axis: "Выручка, {n}", tickets_axis: "Билеты, шт.",

    // Cities and sources
    by_city: "По городам", by_source: "По источникам",
    source: "Источник", campaign: "Кампания", no_utm: "Без UTM",

    // Events
    by_event: "Мероприятия",
    seats_sold: "Продано мест", left: "Осталось", of: "из {n}", sold_out: "распродано",
    unknown_seats: "нет данных", over: "прошло", no_dates: "без даты",
    seats_sold_why: "Проданные места предстоящих показов, по всем каналам продаж",

    // Pace
    pace: "Темп продаж",
    pace_why: "Продано билетов на сегодня и среднее прошедших показов за столько же дней до показа",
    show: "Показ", days_left: "До показа", sold: "Продано", typical: "Обычно",
    vs_typical: "К обычному", expected: "Прогноз", is_today: "сегодня",
    this_show: "этот показ", typical_line: "обычно",
    pace_axis: "Дней до показа",
    compared_event:
      "Сравнение: {n} показ этого мероприятия|Сравнение: {n} показа этого мероприятия"
      + "|Сравнение: {n} показов этого мероприятия",
    compared_city:
      "Сравнение: {n} показ в этом городе|Сравнение: {n} показа в этом городе"
      + "|Сравнение: {n} показов в этом городе",
    forecast_of: "Прогноз: {n}",
    forecast_error: "за {n} дн. до показа ошибка",
    forecast_shows: "на {n} прошедшем показе|на {n} прошедших показах|на {n} прошедших показах",
    forecast_untested: "ошибка ещё неизвестна",
    compared_none: "Меньше трёх похожих прошедших показов",
    no_pace: "Нет показов в продаже с проданными билетами",

    // Plan
    plan: "План-факт", plan_why: "С первого по последний плановый день мероприятия, в выбранном периоде",
    planned: "План", actual: "Факт", done: "Выполнение",

    // Promo codes
    promos: "Промокоды и скидки", promo: "Промокод", no_code: "Скидка без промокода", uses: "Заказы",
    discount: "Скидка",

    // Refunds
    refunds_why: "По дате возврата", refunded: "Возвращено", deducted: "Удержано",

    // Attendance
    attendance: "Посещаемость", attendance_why: "Показы выбранного периода",
    bought: "Продано", attended: "Пришли",

    // Footer
    data_state: "Состояние данных", dataset: "Набор данных", rows: "Строки", loaded_at: "Загружен",
    status: "Статус", fresh: "актуален", late: "запаздывает", stale: "устарел", empty: "пуст",
    started: "Запуск", duration: "Длительность", result: "Результат",
    ok: "успешно", error: "ошибка", seconds: "{n} с",
    footnote:
      "Выручка — сумма цен проданных и не возвращённых билетов, по дате оплаты. Часовой пояс: {n}. "
      + "Суммы в разных валютах не складываются.",
    history: "На странице — продажи с {n}; более ранние есть в витринах.",
    deleted: "Продажи удалённых мероприятий не учтены: {n}.",
    empty_account: "Продаж пока нет",
    empty_account_why: "Графики и таблицы появятся после загрузки первого оплаченного заказа.",
  },
  en: {
    // Header
    title: "Ticket sales",
    old_browser: "This page needs a newer browser: Chrome 93, Firefox 113, Safari 16.4 or later.",
    as_of: "Data as of {n}",
    demo: "Demo: fictional sales",
    offline: "Recorded API responses, not current data",
    language: "Русский",
    theme: "Theme", theme_auto: "auto", theme_light: "light", theme_dark: "dark",
    print: "Print",

    // Alerts
    alert_stale: "The data is stale: last loaded on {n}.",
    alert_late: "The data is late: last loaded on {n}.",
    alert_run: "The latest run failed ({n}).",
    alert_tests: "Warning of a data test:",
    alert_page: "This page was generated {n}. It has no later sales.",

    // Live
    live_title: "Now", live_sales: "Last sales", live_amount: "Amount", live_time: "Time",
    live_shows: "Next shows", live_left: "Seats left", live_of: "Total",
    live_age: "Read from QTickets: {n}", live_just_now: "just now",
    live_no_sales: "No sales in the last week", live_no_seats: "No shows whose seats are known",
    live_off: "No connection to the server: the last known numbers are shown. The page refreshes by itself.",
    live_denied: "The server no longer accepts the token: open the page by the link with the token.",
    live_failed: "The last run failed: some of the data may be out of date.",
    live_news: "{n} ticket sold|{n} tickets sold",
    live_news_more: "{n} or more tickets sold",
    live_on: "Connected to the server: the numbers refresh again.",

    // Filters
    filters: "Filters",
    period: "Period", from: "From", to: "To", city: "City", event: "Event", currency: "Currency",
    all_cities: "All cities", all_events: "All events", on_sale: "On sale", past: "Past",
    days_7: "7 days", days_30: "30 days", days_90: "90 days", days_365: "Year", days_all: "All",
    reset: "Reset",

    // Terms used in several sections
    tickets: "Tickets", revenue: "Revenue", orders: "Orders", average: "Average ticket price",
    refunds: "Refunds", share: "Share", change: "Change", date: "Date", total: "Total",
    tickets_count: "{n} ticket|{n} tickets",
    days: "{n} day|{n} days",
    unknown_city: "unknown city",
    show_all: "Show all ({n})", show_less: "Show less",
    as_table: "Table",
    chart_label: "Chart: {n}. The same data is in the table.",
    no_sales: "No sales in this period", no_data: "No data in this period",

    // Totals
    today: "Today", last_day: "Last day", days_14: "14 days",
    previous: "previous period {n}", previous_day: "all of yesterday {n}",
    no_previous: "no data to compare with",
    no_previous_why: "The data does not cover a previous period of the same length",

    // Sales by day
    by_day: "By day", by_week: "By week", by_month: "By month",
    previous_period: "previous period",
    revenue_axis: "Revenue, {n}", tickets_axis: "Tickets",

    // Cities and sources
    by_city: "By city", by_source: "By source",
    source: "Source", campaign: "Campaign", no_utm: "No UTM",

    // Events
    by_event: "Events",
    seats_sold: "Seats sold", left: "Left", of: "of {n}", sold_out: "sold out",
    unknown_seats: "no data", over: "over", no_dates: "no date",
    seats_sold_why: "Seats sold for upcoming shows, in all sales channels",

    // Pace
    pace: "Sales pace",
    pace_why: "Tickets sold to date, and the mean of past shows at the same number of days before the show",
    show: "Show", days_left: "Days left", sold: "Sold", typical: "Typical",
    vs_typical: "vs typical", expected: "Forecast", is_today: "today",
    this_show: "this show", typical_line: "typical",
    pace_axis: "Days to show",
    compared_event: "Compared with {n} show of this event|Compared with {n} shows of this event",
    compared_city: "Compared with {n} show in this city|Compared with {n} shows in this city",
    forecast_of: "Forecast: {n}",
    forecast_error: "at {n} days, off by",
    forecast_shows: "on {n} past show|on {n} past shows",
    forecast_untested: "its error is not known yet",
    compared_none: "Fewer than three similar past shows",
    no_pace: "No shows on sale with tickets sold",

    // Plan
    plan: "Plan vs actual", plan_why: "From the first to the last planned day of the event, in the selected period",
    planned: "Plan", actual: "Actual", done: "Achieved",

    // Promo codes
    promos: "Promo codes and discounts", promo: "Promo code", no_code: "Discount without a code",
    uses: "Orders", discount: "Discount",

    // Refunds
    refunds_why: "By refund date", refunded: "Refunded", deducted: "Retained",

    // Attendance
    attendance: "Attendance", attendance_why: "Shows in the selected period",
    bought: "Sold", attended: "Attended",

    // Footer
    data_state: "Data status", dataset: "Dataset", rows: "Rows", loaded_at: "Loaded",
    status: "Status", fresh: "fresh", late: "late", stale: "stale", empty: "empty",
    started: "Started", duration: "Duration", result: "Result",
    ok: "ok", error: "error", seconds: "{n} s",
    footnote:
      "Revenue is the sum of the prices of tickets sold and not refunded, by payment date. Time zone: {n}. "
      + "Amounts in different currencies are not added.",
    history: "This page has sales since {n}; earlier sales are in the marts.",
    deleted: "Sales of deleted events are not included: {n}.",
    empty_account: "No sales yet",
    empty_account_why: "Charts and tables appear after the first paid order is loaded.",
  },
};
