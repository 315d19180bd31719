-- One row for each LangGraph run: who started it and how its nodes came out. Of a node that was
-- tried again only the last attempt counts.
WITH told AS (
  SELECT
    run_id,
    max(thread_id) AS thread_id,
    max(assistant_id) AS assistant_id,
    max(graph_id) AS graph_id,
    min(session_id) AS session_id,
    min(connection) AS connection,
    coalesce(min(actor) FILTER (WHERE actor NOT LIKE '[%'), min(actor)) AS actor,
    min(actor_issuer) AS actor_issuer,
    min(gateway_time) AS started_at,
    max(gateway_time) AS last_at
  FROM events
  WHERE run_id IS NOT NULL
  GROUP BY run_id
),
last AS (
  SELECT
    run_id, task_id, status, finished_at,
    row_number() OVER (PARTITION BY run_id, task_id ORDER BY attempt DESC) AS back
  FROM nodes
),
ended AS (
  SELECT
    run_id,
    count(*) AS nodes,
    count(*) FILTER (WHERE status = 'finished') AS finished,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'interrupted') AS interrupted,
    count(*) FILTER (WHERE status = 'unknown') AS unknown,
    count(*) FILTER (WHERE status = 'started') AS open,
    max(finished_at) AS finished_at
  FROM last
  WHERE back = 1
  GROUP BY run_id
)
SELECT
  told.run_id,
  told.actor,
  told.actor_issuer,
  told.started_at,
  CASE WHEN ended.open = 0 THEN ended.finished_at END AS finished_at,
  told.last_at,
  CASE
    WHEN ended.failed > 0 THEN 'failed'
    WHEN ended.interrupted > 0 THEN 'interrupted'
    WHEN ended.unknown > 0 THEN 'unknown'
    WHEN ended.open = 0 THEN 'finished'
    ELSE 'started'
  END AS status,
  coalesce(ended.nodes, 0) AS nodes,
  coalesce(ended.failed, 0) AS failed,
  coalesce(ended.interrupted, 0) AS interrupted,
  told.thread_id,
  told.assistant_id,
  told.graph_id,
  told.session_id,
  told.connection
FROM told LEFT JOIN ended ON told.run_id = ended.run_id
