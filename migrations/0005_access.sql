DROP VIEW `requests`;--> statement-breakpoint
DROP VIEW `sessions`;--> statement-breakpoint
CREATE VIEW `requests` AS 
  SELECT
    q.session_id AS id,
    q.row_number AS row_number,
    coalesce(q.data ->> '$.arrived_at', q.at) AS at,
    q.user AS user,
    q.data ->> '$.kubernetes_user' AS kubernetes_user,
    q.data ->> '$.cluster' AS cluster,
    CASE WHEN a.data ->> '$.status' = 403 AND q.data ->> '$.subresource' IS NOT 'proxy' THEN 'denied'
      ELSE q.data ->> '$.category' END AS category,
    q.data ->> '$.decision' AS decision,
    q.data ->> '$.rule' AS rule,
    q.data ->> '$.refusal' AS refusal,
    CASE WHEN q.data ->> '$.awaits_response' AND a.session_id IS NULL THEN 'no answer known'
      ELSE coalesce(a.data ->> '$.reason', q.data ->> '$.reason') END AS reason,
    q.data ->> '$.method' AS method,
    q.data ->> '$.path' AS path,
    q.data ->> '$.verb' AS verb,
    q.data ->> '$.api_group' AS api_group,
    q.data ->> '$.resource' AS resource,
    q.data ->> '$.subresource' AS subresource,
    q.data ->> '$.namespace' AS namespace,
    q.data ->> '$.name' AS name,
    coalesce(a.data ->> '$.status', q.data ->> '$.status') AS status,
    coalesce(q.data ->> '$.count', 1) AS count,
    q.data ->> '$.client_address' AS client_address,
    q.data ->> '$.country' AS country,
    q.data ->> '$.user_agent' AS user_agent,
    q.data ->> '$.ray' AS ray,
    q.data ->> '$.sign_in' AS sign_in,
    q.data ->> '$.device_id' AS device_id,
    q.data ->> '$.grants' AS grants,
    q.data ->> '$.first_at' AS first_at,
    q.data ->> '$.last_at' AS last_at,
    a.data ->> '$.pod_facts' AS pod_facts
  FROM events AS q
  LEFT JOIN events AS a ON a.session_id = q.session_id AND a.seq = 1
  WHERE q.type IN ('request', 'request_summary') AND q.session_id < 'A'
  UNION ALL
  SELECT
    id, row_number, +at, user, +kubernetes_user, +cluster, +category, +decision, +rule, +refusal, +reason,
    +method, +path, +verb, +api_group, +resource, +subresource, +namespace, +name, +status, +count,
    +client_address, +country, +user_agent, +ray, NULL, NULL, NULL, NULL, NULL, NULL
  FROM request_rows;--> statement-breakpoint
-- It went with the view.
CREATE TRIGGER requests_of_an_earlier_edge INSTEAD OF INSERT ON requests BEGIN INSERT OR IGNORE INTO request_rows (id, at, user, kubernetes_user, cluster, category, decision, rule, refusal, reason, method, path, verb, api_group, resource, subresource, namespace, name, status, count, client_address, country, user_agent, ray) VALUES (NEW.id, NEW.at, NEW.user, NEW.kubernetes_user, NEW.cluster, NEW.category, NEW.decision, NEW.rule, NEW.refusal, NEW.reason, NEW.method, NEW.path, NEW.verb, NEW.api_group, NEW.resource, NEW.subresource, NEW.namespace, NEW.name, NEW.status, NEW.count, NEW.client_address, NEW.country, NEW.user_agent, NEW.ray); END;
--> statement-breakpoint
CREATE VIEW `sessions` AS 
  SELECT
    s.session_id AS id,
    CASE WHEN e.session_id IS NULL THEN 'live' ELSE 'ended' END AS state,
    s.user AS user,
    s.data ->> '$.kubernetes_user' AS kubernetes_user,
    s.data ->> '$.kubernetes_groups' AS kubernetes_groups,
    s.data ->> '$.cluster' AS cluster,
    s.data ->> '$.kind' AS kind,
    s.data ->> '$.namespace' AS namespace,
    s.data ->> '$.pod' AS pod,
    s.data ->> '$.container' AS container,
    s.data ->> '$.command' AS command,
    s.data ->> '$.tty' AS tty,
    s.data ->> '$.ports' AS ports,
    s.data ->> '$.recording_mode' AS recording_mode,
    s.data ->> '$.client_address' AS client_address,
    s.data ->> '$.country' AS country,
    s.data ->> '$.sign_in' AS sign_in,
    s.data ->> '$.device_id' AS device_id,
    s.data ->> '$.grants' AS grants,
    s.data ->> '$.rule' AS rule,
    s.data ->> '$.access_reason' AS access_reason,
    s.data ->> '$.user_agent' AS user_agent,
    s.at AS started_at,
    e.at AS ended_at,
    e.data ->> '$.outcome' AS outcome,
    e.data ->> '$.exit_code' AS exit_code,
    e.data ->> '$.reason' AS reason,
    e.data ->> '$.ended_by' AS ended_by,
    e.data ->> '$.bytes_in' AS bytes_in,
    e.data ->> '$.bytes_out' AS bytes_out,
    e.data ->> '$.messages_in' AS messages_in,
    e.data ->> '$.messages_out' AS messages_out,
    e.data ->> '$.forwards' AS forwards,
    e.data ->> '$.unreadable' AS unreadable,
    e.data ->> '$.recording.state' AS recording,
    e.data ->> '$.recording.bytes' AS recording_bytes
  FROM events AS s
  LEFT JOIN events AS e ON e.session_id = s.session_id AND e.type = 'end'
  WHERE s.type = 'start';