-- API requests become events. The table of their rows stays under another name, and a view has the old one.
-- The edge that runs while this is applied still inserts rows, which a trigger takes.
ALTER TABLE `requests` RENAME TO `request_rows`;--> statement-breakpoint
CREATE INDEX `events_requests_by_user` ON `events` (`user`,`session_id`) WHERE type IN ('request', 'request_summary');--> statement-breakpoint
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
    +client_address, +country, +user_agent, +ray, NULL, NULL, NULL, NULL, NULL
  FROM request_rows;--> statement-breakpoint
CREATE TRIGGER requests_of_an_earlier_edge INSTEAD OF INSERT ON requests BEGIN INSERT OR IGNORE INTO request_rows (id, at, user, kubernetes_user, cluster, category, decision, rule, refusal, reason, method, path, verb, api_group, resource, subresource, namespace, name, status, count, client_address, country, user_agent, ray) VALUES (NEW.id, NEW.at, NEW.user, NEW.kubernetes_user, NEW.cluster, NEW.category, NEW.decision, NEW.rule, NEW.refusal, NEW.reason, NEW.method, NEW.path, NEW.verb, NEW.api_group, NEW.resource, NEW.subresource, NEW.namespace, NEW.name, NEW.status, NEW.count, NEW.client_address, NEW.country, NEW.user_agent, NEW.ray); END;
