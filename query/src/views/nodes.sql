-- One row for each execution of a node: run, task and attempt, merged over what each surface saw.
SELECT
  run_id,
  task_id,
  coalesce(attempt, 1) AS attempt,
  max(node) AS node,
  max(graph_id) AS graph_id,
  max(thread_id) AS thread_id,
  max(assistant_id) AS assistant_id,
  min(session_id) AS session_id,
  max(checkpoint_ns) AS checkpoint_ns,
  min(connection) AS connection,
  min(actor) AS actor,
  min(actor_issuer) AS actor_issuer,
  min(CASE WHEN kind = 'node_started' THEN coalesce(source_time, gateway_time) END) AS started_at,
  max(CASE WHEN kind <> 'node_started' THEN coalesce(source_time, gateway_time) END) AS ended_at,
  CASE
    WHEN bool_or(kind = 'node_failed') THEN 'failed'
    WHEN bool_or(kind = 'node_interrupted') THEN 'interrupted'
    WHEN bool_or(kind = 'node_finished') THEN 'finished'
    WHEN bool_or(kind = 'unknown') THEN 'unknown'
    ELSE 'started'
  END AS status,
  max(CASE WHEN kind = 'node_failed' THEN error END) AS error,
  array_agg(DISTINCT surface) AS surfaces
FROM events
WHERE task_id IS NOT NULL AND run_id IS NOT NULL
  AND kind IN ('node_started', 'node_finished', 'node_failed', 'node_interrupted', 'unknown')
GROUP BY run_id, task_id, coalesce(attempt, 1)
