-- One row for each LangGraph run: who started it and how its nodes came out.
SELECT
  run_id,
  max(thread_id) AS thread_id,
  max(assistant_id) AS assistant_id,
  max(graph_id) AS graph_id,
  min(session_id) AS session_id,
  min(connection) AS connection,
  min(actor) AS actor,
  min(actor_issuer) AS actor_issuer,
  min(gateway_time) AS started_at,
  max(gateway_time) AS last_at,
  count(DISTINCT task_id) AS nodes,
  count(*) FILTER (WHERE kind = 'node_failed') AS failed,
  count(*) FILTER (WHERE kind = 'node_interrupted') AS interrupted,
  CASE
    WHEN count(*) FILTER (WHERE kind = 'node_failed') > 0 THEN 'failed'
    WHEN count(*) FILTER (WHERE kind = 'node_interrupted') > 0 THEN 'interrupted'
    WHEN count(*) FILTER (WHERE kind = 'node_started')
       > count(*) FILTER (WHERE kind = 'node_finished') THEN 'unfinished'
    ELSE 'succeeded'
  END AS status
FROM events
WHERE run_id IS NOT NULL
GROUP BY run_id
