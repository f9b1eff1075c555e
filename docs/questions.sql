-- Questions of organisers, with their SQL. `zakaz` is the database of the marts (CLICKHOUSE_DB). Dates are in
-- REPORT_TZ; where a question is about today, replace 'Europe/Moscow' by your REPORT_TZ. Amounts have a
-- currency: no query adds up amounts of different ones.

-- ## Sales

-- ### What sells today, and in the last 14 days?
SELECT event_name, city, currency, tickets_sold_today, revenue_today, tickets_sold_14d, revenue_14d, tickets_left
FROM zakaz.v_qtickets_sales_dashboard
WHERE NOT is_over
ORDER BY revenue_14d DESC, event_name;

-- ### How much did each city sell, month by month?
-- total: revenue
SELECT toStartOfMonth(sales_date) AS month, city, currency, sum(tickets_sold) AS tickets, sum(revenue) AS revenue
FROM zakaz.fact_qtickets_sales_daily
GROUP BY month, city, currency
ORDER BY month DESC, revenue DESC;

-- ### What did we sell in each currency?
-- total: revenue
SELECT currency, sum(tickets_sold) AS tickets, sum(revenue) AS revenue, sum(gross_revenue) AS gross_revenue
FROM zakaz.fact_qtickets_sales_daily
GROUP BY currency
ORDER BY currency;

-- ### What is left of revenue after service fees?
-- QTickets does not say whether the fee is part of the price. Compare one payout before you rely on the
-- difference.
-- total: revenue
SELECT
    toStartOfMonth(sales_date) AS month,
    currency,
    sum(sales.revenue) AS revenue,
    sum(sales.service_fee_amount) AS fees,
    revenue - fees AS after_fees
FROM zakaz.fact_qtickets_sales_daily AS sales
GROUP BY month, currency
ORDER BY month DESC, currency;

-- ### What did a closed month bring, so that the number never changes again?
-- Refunds, cancellations and exchanges are on the day when they happened, not on the day of the sale.
SELECT
    toStartOfMonth(entry_date) AS month,
    currency,
    sumIf(amount, entry_type = 'sale') AS sold,
    sumIf(amount, entry_type = 'refund') AS refunded,
    sumIf(amount, entry_type IN ('cancellation', 'exchange', 'vanished')) AS cancelled,
    sumIf(amount, entry_type = 'refund_retained') AS kept_on_refunds,
    sumIf(amount, entry_type != 'refund_retained') AS net
FROM zakaz.fact_qtickets_ledger_daily
GROUP BY month, currency
ORDER BY month DESC, currency;

-- ### How do people pay?
-- total: revenue
SELECT
    if(payment_type = '', 'none', toString(payment_type)) AS payment,
    currency,
    uniqExact(order_id) AS orders,
    sum(quantity) AS tickets,
    sum(amount) AS revenue
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY payment, currency
ORDER BY revenue DESC;

-- ### At which hours and on which weekdays do people buy?
-- In the time of the event's city.
-- total: tickets
SELECT sale_local_weekday AS weekday, sale_local_hour AS hour, sum(quantity) AS tickets
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY weekday, hour
ORDER BY weekday, hour;

-- ### Do sales speed up or slow down, week on week?
SELECT
    dates.week_start AS week,
    sales.currency AS currency,
    sum(sales.tickets_sold) AS tickets,
    sum(sales.revenue) AS revenue,
    lagInFrame(sum(sales.tickets_sold)) OVER (PARTITION BY sales.currency ORDER BY dates.week_start) AS week_before
FROM zakaz.fact_qtickets_sales_daily AS sales
INNER JOIN zakaz.dim_dates AS dates ON sales.sales_date = dates.date
GROUP BY week, currency
ORDER BY week DESC, currency;

-- ### How did a show sell, day by day?
-- total: revenue
SELECT shows.event_name AS event, shows.start_local AS show, days.sales_date, days.currency, days.tickets_sold, days.revenue
FROM zakaz.fact_qtickets_sales_by_show_daily AS days
LEFT JOIN zakaz.dim_shows AS shows ON days.show_id = shows.show_id
ORDER BY event, show, sales_date;

-- ### What is the average price of a ticket, and of a paid one?
SELECT
    event_id,
    currency,
    round(toFloat64(sum(amount)) / sum(quantity), 2) AS average_price,
    round(toFloat64(sum(amount)) / nullIf(sumIf(quantity, NOT is_free), 0), 2) AS average_paid_price
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY event_id, currency
HAVING sum(quantity) > 0
ORDER BY average_price DESC;

-- ### How many tickets does an order have?
SELECT tickets, count() AS orders
FROM (
    SELECT order_id, sum(quantity) AS tickets
    FROM zakaz.fact_qtickets_tickets
    WHERE ticket_state = 'sold'
    GROUP BY order_id
)
GROUP BY tickets
ORDER BY tickets;

-- ### How do we stand against the same day last year?
-- 364 days before, which is the same day of the week.
SELECT
    dates.date AS day,
    sales.currency AS currency,
    sales.revenue AS revenue,
    last_year.revenue AS revenue_year_ago
FROM zakaz.dim_dates AS dates
INNER JOIN (
    SELECT sales_date, currency, sum(revenue) AS revenue
    FROM zakaz.fact_qtickets_sales_daily
    GROUP BY sales_date, currency
) AS sales ON dates.date = sales.sales_date
LEFT JOIN (
    SELECT sales_date, currency, sum(revenue) AS revenue
    FROM zakaz.fact_qtickets_sales_daily
    GROUP BY sales_date, currency
) AS last_year ON dates.date_year_ago = last_year.sales_date AND sales.currency = last_year.currency
ORDER BY day DESC, currency;

-- ### Are we on plan?
-- Fill in `seeds/plan_sales.csv`. may be empty
SELECT
    city,
    currency,
    sum(plan_tickets) AS planned_tickets,
    sum(fact_tickets) AS tickets,
    sum(plan_revenue) AS planned_revenue,
    sum(fact_revenue) AS revenue
FROM zakaz.v_plan_vs_fact
WHERE is_planned AND sales_date <= toDate(now('Europe/Moscow'))
GROUP BY city, currency
ORDER BY city, currency;

-- ### How much was sold at the box office, and how much on the web?
-- total: revenue
SELECT
    if(is_box_office, 'box office', 'web') AS channel, currency, sum(quantity) AS tickets, sum(amount) AS revenue
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY channel, currency
ORDER BY channel, currency;

-- ### Which site or widget sells?
-- total: revenue
SELECT site_id, currency, uniqExact(order_id) AS orders, sum(amount) AS revenue
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY site_id, currency
ORDER BY revenue DESC;

-- ### How many complimentary tickets did we give?
SELECT event_id, sum(quantity) AS tickets, sumIf(quantity, is_free) AS free, round(free / tickets, 4) AS share
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY event_id
HAVING tickets > 0
ORDER BY share DESC;

-- ### What do season tickets bring, against single ones?
-- The money of a season ticket is mostly that of its related tickets.
-- total: revenue
SELECT
    if(is_season_ticket OR main_ticket_id != 0, 'season', 'single') AS kind,
    currency,
    sum(quantity) AS tickets,
    sum(entrances) AS visits,
    sum(amount) AS revenue
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY kind, currency
ORDER BY kind, currency;

-- ### Which orders were reserved and never paid?
-- may be empty
SELECT created_date, currency, sum(orders_created) AS created, sum(orders_expired) AS expired, sum(lost_amount) AS lost
FROM zakaz.fact_qtickets_reservations_daily
GROUP BY created_date, currency
ORDER BY created_date DESC, currency;

-- ## Halls and seats

-- ### How full is each show?
SELECT shows.event_name AS event, shows.start_local AS show, seats.tickets_total, seats.tickets_left, seats.sell_through
FROM zakaz.fact_qtickets_inventory_by_show AS seats
INNER JOIN zakaz.dim_shows AS shows ON seats.show_id = shows.show_id
WHERE NOT shows.is_over
ORDER BY seats.sell_through DESC;

-- ### Which price zones are full, and which are empty?
SELECT shows.event_name AS event, shows.start_local AS show, zones.zone_id, zones.price, zones.tickets_left, zones.sell_through
FROM zakaz.fact_qtickets_inventory_by_zone AS zones
INNER JOIN zakaz.dim_shows AS shows ON zones.show_id = shows.show_id
WHERE NOT shows.is_over
ORDER BY event, show, zones.price DESC;

-- ### When did a show sell out?
-- The first snapshot without a free seat. may be empty
SELECT shows.event_name AS event, shows.start_local AS show, min(seats.snapshot_ts) AS sold_out_at
FROM zakaz.fact_qtickets_inventory_history AS seats
INNER JOIN zakaz.dim_shows AS shows ON seats.show_id = shows.show_id
WHERE seats.tickets_left = 0 AND seats.tickets_total > 0
GROUP BY event, show
ORDER BY sold_out_at;

-- ### Which tariffs and zones make up the sales of an event?
-- total: revenue
SELECT event_id, zone, tariff, currency, sum(quantity) AS tickets, sum(amount) AS revenue
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY event_id, zone, tariff, currency
ORDER BY event_id, revenue DESC;

-- ### What does a seat of the hall bring?
SELECT
    shows.event_name AS event,
    shows.start_local AS show,
    seats.currency,
    round(toFloat64(seats.revenue) / seats.tickets_total, 2) AS revenue_per_seat
FROM zakaz.fact_qtickets_inventory_by_show AS seats
INNER JOIN zakaz.dim_shows AS shows ON seats.show_id = shows.show_id
WHERE seats.tickets_total > 0
ORDER BY revenue_per_seat DESC;

-- ### How many seats are taken that we did not sell through QTickets?
-- Invitations, other agents, and bookings hold seats as well.
SELECT
    shows.event_name AS event,
    shows.start_local AS show,
    any(seats.tickets_taken) AS taken,
    sum(seats.tickets_sold) AS sold,
    taken - sold AS otherwise_taken
FROM zakaz.fact_qtickets_inventory_by_show AS seats
INNER JOIN zakaz.dim_shows AS shows ON seats.show_id = shows.show_id
WHERE seats.tickets_taken IS NOT NULL
GROUP BY event, show
ORDER BY otherwise_taken DESC;

-- ### Which venues sell best?
-- total: revenue
SELECT events.venue AS venue, events.city AS city, sales.currency AS currency, sum(sales.tickets_sold) AS tickets, sum(sales.revenue) AS revenue
FROM zakaz.fact_qtickets_sales_daily AS sales
LEFT JOIN zakaz.dim_events AS events ON sales.event_id = events.event_id
GROUP BY venue, city, currency
ORDER BY revenue DESC;

-- ### Which types of events and age ratings sell?
-- The API gives the number of a type, not its name.
-- total: revenue
SELECT events.event_type_id AS type, events.age AS age, sales.currency AS currency, sum(sales.tickets_sold) AS tickets, sum(sales.revenue) AS revenue
FROM zakaz.fact_qtickets_sales_daily AS sales
LEFT JOIN zakaz.dim_events AS events ON sales.event_id = events.event_id
GROUP BY type, age, currency
ORDER BY revenue DESC;

-- ### How many days before the show do people buy?
-- total: tickets
SELECT
    multiIf(
        days_before_show IS NULL, 'unknown', days_before_show <= 0, '0', days_before_show <= 3, '1-3',
        days_before_show <= 7, '4-7', days_before_show <= 14, '8-14', days_before_show <= 30, '15-30', '31+'
    ) AS days,
    sum(quantity) AS tickets
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY days
ORDER BY min(days_before_show);

-- ### Will a show sell out? How does it sell against past shows?
-- Four of five shows end between the two numbers; `usual_share` is the share that comparable shows had sold by now.
-- may be empty
SELECT
    shows.event_name AS event,
    shows.start_local AS show,
    forecast.currency AS currency,
    forecast.tickets_so_far AS tickets_so_far,
    forecast.tickets_total AS seats,
    forecast.tickets_p50 AS tickets_expected,
    forecast.tickets_p10 AS at_least,
    forecast.tickets_p90 AS at_most,
    forecast.sellout_probability AS sellout_probability,
    pace.usual_share AS usual_share
FROM zakaz.fact_qtickets_forecast AS forecast
INNER JOIN zakaz.dim_shows AS shows ON forecast.show_id = shows.show_id
LEFT JOIN (
    SELECT *
    FROM zakaz.fact_qtickets_sales_pace
    WHERE NOT is_over
    ORDER BY days_before_show
    LIMIT 1 BY show_id, currency
) AS pace ON forecast.show_id = pace.show_id AND forecast.currency = pace.currency
ORDER BY event, show;

-- ## Visitors

-- ### How many tickets were not used?
-- Of shows that are over.
SELECT shows.event_name AS event, shows.start_local AS show, visits.tickets_sold, visits.tickets_sold - visits.tickets_scanned AS no_shows
FROM zakaz.fact_qtickets_attendance AS visits
INNER JOIN zakaz.dim_shows AS shows ON visits.show_id = shows.show_id
WHERE shows.is_over
ORDER BY no_shows DESC;

-- ### When do visitors come to the entrance?
-- In the time of the city, as the start of the show is.
-- may be empty
SELECT
    shows.event_name AS event,
    shows.start_local AS show,
    formatDateTime(toStartOfInterval(tickets.scan_ts, INTERVAL 15 MINUTE), '%F %R', tickets.time_zone) AS quarter,
    sum(tickets.entrances) AS visitors
FROM zakaz.fact_qtickets_tickets AS tickets
INNER JOIN zakaz.dim_shows AS shows ON tickets.show_id = shows.show_id
WHERE tickets.ticket_state = 'sold' AND tickets.scan_ts IS NOT NULL
GROUP BY event, show, quarter
ORDER BY event, show, quarter;

-- ### How many buyers are new, and how many return?
SELECT kind, count() AS buyers, sum(tickets_sold) AS tickets
FROM zakaz.dim_buyers
GROUP BY kind
ORDER BY kind;

-- ### Of those who bought first in a month, how many bought again, and when?
SELECT
    toStartOfMonth(buyers.first_order_ts) AS cohort,
    dateDiff('month', toStartOfMonth(buyers.first_order_ts), toStartOfMonth(tickets.sales_date)) AS month,
    uniqExact(tickets.buyer_hash) AS buyers
FROM zakaz.fact_qtickets_tickets AS tickets
INNER JOIN zakaz.dim_buyers AS buyers ON tickets.buyer_hash = buyers.buyer_hash
WHERE tickets.ticket_state = 'sold'
GROUP BY cohort, month
ORDER BY cohort, month;

-- ### Who spends most?
-- Buyers are hashes; the account's cabinet knows them by their orders.
SELECT buyer_hash, currency, revenue, orders, tickets_sold, last_visit_ts
FROM zakaz.dim_buyers
WHERE revenue > 0
ORDER BY revenue DESC
LIMIT 100;

-- ### Those who bought one event, what else did they buy?
-- may be empty
SELECT first.event_id AS event, second.event_id AS also, uniqExact(first.buyer_hash) AS buyers
FROM (SELECT DISTINCT buyer_hash, event_id FROM zakaz.fact_qtickets_tickets WHERE buyer_hash != '' AND ticket_state = 'sold') AS first
INNER JOIN (
    SELECT DISTINCT buyer_hash, event_id FROM zakaz.fact_qtickets_tickets WHERE buyer_hash != '' AND ticket_state = 'sold'
) AS second ON first.buyer_hash = second.buyer_hash
WHERE first.event_id != second.event_id
GROUP BY event, also
ORDER BY buyers DESC, event, also;

-- ## Marketing

-- ### What do promo codes bring, and what do they cost?
SELECT promo_code, currency, sum(uses) AS uses, sum(tickets_sold) AS tickets, sum(revenue) AS revenue, sum(discount_amount) AS cost
FROM zakaz.fact_qtickets_promo_daily
WHERE promo_code_id != 0
GROUP BY promo_code, currency
ORDER BY cost DESC;

-- ### Which UTM channels sell?
-- total: revenue
SELECT utm_source, utm_medium, currency, sum(tickets_sold) AS tickets, sum(revenue) AS revenue
FROM zakaz.fact_qtickets_sales_utm_daily
GROUP BY utm_source, utm_medium, currency
ORDER BY revenue DESC;

-- ### Which channels bring buyers with promo codes?
-- total: revenue
SELECT utm_source, promo_code_id != 0 AS with_promo_code, currency, sum(quantity) AS tickets, sum(amount) AS revenue
FROM zakaz.fact_qtickets_tickets
WHERE ticket_state = 'sold'
GROUP BY utm_source, with_promo_code, currency
ORDER BY revenue DESC;

-- ## Refunds

-- ### What share is refunded, and how long after the sale?
SELECT
    currency,
    sum(quantity) AS paid,
    sumIf(quantity, ticket_state = 'refunded') AS refunded,
    round(refunded / paid, 4) AS share,
    quantileExactIf(0.5)(dateDiff('day', sale_ts, refund_ts), ticket_state = 'refunded') AS median_days
FROM zakaz.fact_qtickets_tickets
GROUP BY currency
ORDER BY currency;

-- ### Which shows are refunded most?
SELECT
    shows.event_name AS event,
    shows.start_local AS show,
    days.currency AS currency,
    sum(days.tickets_refunded) AS refunded,
    sum(days.refunded_amount) AS amount,
    sum(days.refund_deduction_amount) AS deducted
FROM zakaz.fact_qtickets_sales_by_show_daily AS days
INNER JOIN zakaz.dim_shows AS shows ON days.show_id = shows.show_id
GROUP BY event, show, currency
HAVING refunded > 0
ORDER BY refunded DESC;

-- ### What did we keep on refunds?
SELECT toStartOfMonth(refund_date) AS month, currency, sum(refunded_amount) AS refunded, sum(refunded_amount) - sum(paid_back_amount) AS kept
FROM zakaz.fact_qtickets_refunds_daily
GROUP BY month, currency
ORDER BY month DESC, currency;

-- ## Trust

-- ### Can I trust these numbers today?
-- Every dataset, and how old it is.
SELECT dataset, latest_ts, rows, age_hours, status
FROM zakaz.v_qtickets_freshness
ORDER BY dataset;

-- ### Are all orders of QTickets here?
-- Runs compare the counts of this month and the last once a day, of all months once a week.
SELECT month, orders_at_service, orders_loaded, differed, repaired, compared_at
FROM zakaz.v_qtickets_reconciliation
ORDER BY month DESC;

-- ### Which paid orders are not in the numbers, and why?
-- may be empty
SELECT order_id, reason, since
FROM zakaz.quarantined_orders
ORDER BY since;

-- ## What QTickets' API does not tell
-- - Who the buyers are: no names, e-mails or phones are loaded, only hashes.
-- - What QTickets pays out, and when: there are no payouts in the API, and it does not say whether the service
--   fee is part of the price.
-- - The names of types of events, sites and payment methods with a number: the API gives numbers only.
-- - Who looked at an event and did not buy: visits of the site are in your web analytics.
