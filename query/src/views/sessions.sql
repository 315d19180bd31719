-- One row for each session: when it was seen first and last, by whom, through which connection.
SELECT
  session_id,
  min(session_rule) AS session_rule,
  min(tenant) AS tenant,
  min(connection) AS connection,
  min(gateway_time) AS first_at,
  max(gateway_time) AS last_at,
  array_agg(DISTINCT actor) AS actors,
  max(thread_id) AS thread_id,
  count(*) AS events,
  count(*) FILTER (WHERE kind = 'request') AS requests,
  count(DISTINCT run_id) AS runs,
  count(*) FILTER (WHERE kind IN ('denied', 'login_refused')) AS refusals
FROM events
GROUP BY session_id
