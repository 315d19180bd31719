-- One row for each execution of a node: run, task and attempt, merged over what each surface saw.
-- Who acts is a caller by name wherever one is known; a word in brackets says why nobody is.
SELECT
  run_id,
  task_id,
  coalesce(attempt, 1) AS attempt,
  max(node) AS node,
  CASE
    WHEN bool_or(kind = 'node_failed') THEN 'failed'
    WHEN bool_or(kind = 'node_interrupted') THEN 'interrupted'
    WHEN bool_or(kind = 'node_finished') THEN 'finished'
    WHEN bool_or(kind = 'unknown') THEN 'unknown'
    ELSE 'started'
  END AS status,
  coalesce(min(actor) FILTER (WHERE actor NOT LIKE '[%'), min(actor)) AS actor,
  min(actor_issuer) AS actor_issuer,
  min(coalesce(source_time, gateway_time)) FILTER (WHERE kind = 'node_started') AS started_at,
  max(coalesce(source_time, gateway_time)) FILTER (WHERE kind <> 'node_started') AS finished_at,
  (CAST(max(coalesce(source_time, gateway_time)) FILTER (WHERE kind <> 'node_started') AS BIGINT)
    - CAST(min(coalesce(source_time, gateway_time)) FILTER (WHERE kind = 'node_started') AS BIGINT))
    / 1000 AS duration_ms,
  max(error) FILTER (WHERE kind = 'node_failed') AS error,
  max(graph_id) AS graph_id,
  max(assistant_id) AS assistant_id,
  max(thread_id) AS thread_id,
  max(checkpoint_ns) AS checkpoint_ns,
  min(session_id) AS session_id,
  min(connection) AS connection,
  array_agg(DISTINCT surface) FILTER (WHERE surface IS NOT NULL) AS surfaces
FROM events
WHERE task_id IS NOT NULL AND run_id IS NOT NULL
  AND kind IN ('node_started', 'node_finished', 'node_failed', 'node_interrupted', 'unknown')
GROUP BY run_id, task_id, coalesce(attempt, 1)
