import { type Section, SINCE, UNTIL } from "./question.ts";

export const WHAT_LEFT: Section = {
  title: "What data left",
  questions: [
    {
      name: "forwarded-database-ports",
      title: "Who forwarded ports of databases?",
      sql: `
SELECT datetime(s.started_at / 1000, 'unixepoch') AS began, s.user, s.cluster, s.namespace, s.pod,
       f.value ->> '$.port' AS port, f.value ->> '$.connections' AS connections, f.value ->> '$.bytes_out' AS bytes_out
FROM sessions AS s, json_each(coalesce(s.forwards, (
  SELECT json_group_array(json_object('port', data ->> '$.port')) FROM events WHERE session_id = s.id AND type = 'forward'
))) AS f
WHERE s.kind IN ('port-forward', 'vm-port-forward')
  AND s.started_at >= unixepoch(:since) * 1000 AND s.started_at < unixepoch(:until) * 1000
  AND f.value ->> '$.port' IN (1433, 1521, 3306, 5432, 6379, 9042, 9200, 27017)
ORDER BY s.started_at`,
      parameters: { since: { ...SINCE, example: "2026-11-10" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
Ports that were really used. For a session that is live or was interrupted, the ports come from its events and
the counts are null. By index.`,
    },
    {
      name: "downloaded-much",
      title: "Who downloaded unusually much?",
      sql: `
WITH days AS (
  SELECT user, date(started_at / 1000, 'unixepoch') AS day, sum(bytes_out) AS bytes_out
  FROM sessions
  WHERE started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
  GROUP BY user, day
)
SELECT user, day, bytes_out, (
  SELECT cast(avg(other.bytes_out) AS INTEGER) FROM days AS other WHERE other.user = days.user AND other.day <> days.day
) AS other_days
FROM days
WHERE bytes_out > :bytes
ORDER BY bytes_out DESC`,
      parameters: {
        since: { ...SINCE, example: "2026-11-01" },
        until: { ...UNTIL, example: "2026-11-18" },
        bytes: {
          type: "integer",
          description: "How many bytes a day, at least.",
          example: 10000000,
          default: 10000000,
        },
      },
      notes: `
Days with more bytes than that, with the same person's average of the other days. By index.`,
      chart: { label: "day", value: "bytes_out" },
    },
    {
      name: "secrets-read",
      title: "Who read secrets?",
      sql: `
SELECT datetime(at / 1000, 'unixepoch') AS at, user, verb, cluster, namespace, name, client_address
FROM requests
WHERE category = 'secret-read' AND (namespace = :namespace OR namespace IS NULL) AND id >= :since AND id < :until
ORDER BY id`,
      parameters: {
        namespace: { type: "text", description: "The namespace.", example: "payments" },
        since: { ...SINCE, example: "2026-11-10" },
        until: { ...UNTIL, example: "2026-11-18" },
      },
      notes: `
In that namespace, or in all namespaces at once (\`namespace\` null). Refused attempts are in \`denied\`. By
index.`,
    },
    {
      name: "tokens-created",
      title: "Who created tokens of service accounts?",
      sql: `
SELECT datetime(at / 1000, 'unixepoch') AS at, user, cluster, namespace, name AS service_account, status
FROM requests
WHERE category = 'token' AND resource = 'serviceaccounts' AND status < 300 AND id >= :since AND id < :until
ORDER BY id`,
      parameters: { since: { ...SINCE, example: "2026-11-10" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
Such a token bypasses Sallyport wherever the API server is reachable. By index.`,
    },
    {
      name: "deleted-in-a-cluster",
      title: "What was deleted in production?",
      sql: `
SELECT datetime(at / 1000, 'unixepoch') AS at, user, verb, api_group, resource, namespace, name
FROM requests
WHERE cluster = :cluster AND verb IN ('delete', 'deletecollection') AND status < 300 AND id >= :since AND id < :until
ORDER BY id`,
      parameters: {
        cluster: { type: "text", description: "The cluster's name in the configuration.", example: "prod" },
        since: { ...SINCE, example: "2026-11-10" },
        until: { ...UNTIL, example: "2026-11-18" },
      },
      notes: `
By index.`,
    },
    {
      name: "pods-before-a-session",
      title: "Who created pods before a session?",
      sql: `
SELECT r.user, datetime(r.at / 1000, 'unixepoch') AS at, r.verb, r.resource, r.subresource, r.namespace, r.name,
       s.id AS session, s.kind, s.pod, (s.started_at - r.at) / 1000 AS seconds_before
FROM requests AS r
JOIN sessions AS s ON s.user = r.user AND s.namespace = r.namespace AND s.started_at BETWEEN r.at AND r.at + 600000
WHERE r.category = 'precursor' AND r.status < 300 AND r.id >= :since AND r.id < :until
ORDER BY r.id`,
      parameters: { since: { ...SINCE, example: "2026-11-10" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
Or added containers, within the ten minutes before a session of the same user in the same namespace. By index.`,
    },
  ],
};
