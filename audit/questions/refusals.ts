import { type Section, SINCE, UNTIL } from "./question.ts";

export const REFUSALS: Section = {
  title: "Refusals and terminations",
  questions: [
    {
      name: "refused-by-reason",
      title: "What was refused, by reason?",
      sql: `
SELECT 'session' AS what, reason, user, count(*) AS attempts
FROM sessions
WHERE outcome = 'refused' AND started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
GROUP BY reason, user
UNION ALL
SELECT 'request', refusal || ': ' || reason, user, sum(count)
FROM requests
WHERE category = 'denied' AND decision = 'refused' AND id >= :since AND id < :until
GROUP BY refusal, reason, user
ORDER BY attempts DESC, what, reason, user`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
By index.`,
    },
    {
      name: "tried-to-be-somebody-else",
      title: "Who tried to be somebody else?",
      sql: `
SELECT user, client_address, sum(count) AS attempts, datetime(min(at) / 1000, 'unixepoch') AS first_time
FROM requests
WHERE refusal = 'impersonation' AND id >= :since AND id < :until
GROUP BY user, client_address ORDER BY attempts DESC`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
\`kubectl --as\` with a name that was not available, and the same headers from a library. By index.`,
    },
    {
      name: "acted-as-somebody-else",
      title: "Who acted as somebody else?",
      sql: `
SELECT user, data ->> '$.kubernetes_user' AS acted_as, data ->> '$.kubernetes_groups' AS with_groups,
       count(*) AS sessions, datetime(min(at) / 1000, 'unixepoch') AS first_time
FROM events
WHERE type = 'start' AND data ->> '$.own_kubernetes_user' <> data ->> '$.kubernetes_user'
  AND at >= unixepoch(:since) * 1000 AND at < unixepoch(:until) * 1000
GROUP BY user, acted_as, with_groups ORDER BY sessions DESC, user, acted_as`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
Sessions with \`kubectl --as\` for another user. With \`data ->> '$.own_kubernetes_user' IS NOT NULL\` instead of
the comparison, also those with fewer groups. By index.`,
    },
    {
      name: "probing",
      title: "Who is probing for permissions?",
      sql: `
SELECT user, substr(id, 1, 10) AS day, sum(count) AS denied,
       count(DISTINCT coalesce(resource, path) || ' in ' || coalesce(namespace, '*')) AS different
FROM requests
WHERE category = 'denied' AND status = 403 AND id >= :since AND id < :until
GROUP BY user, day HAVING different >= :least
ORDER BY different DESC`,
      parameters: {
        since: { ...SINCE, example: "2026-11-01" },
        until: { ...UNTIL, example: "2026-11-18" },
        least: { type: "integer", description: "How many different resources, at least.", example: 3, default: 3 },
      },
      notes: `
RBAC refused that many different resources on one day, or more. This is curiosity, or somebody who explores a
stolen identity. By index.`,
      chart: { label: "user", value: "denied" },
    },
    {
      name: "ended-by-administrators",
      title: "Which sessions did administrators end?",
      sql: `
SELECT datetime(ended_at / 1000, 'unixepoch') AS at, user, cluster, pod, ended_by, reason
FROM sessions
WHERE outcome = 'terminated' AND ended_by <> user AND started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
ORDER BY ended_at`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
By index.`,
    },
    {
      name: "locked",
      title: "Who is locked?",
      sql: `
SELECT user, datetime(at / 1000, 'unixepoch') AS since, locked_by, reason, datetime(until / 1000, 'unixepoch') AS until
FROM (
  SELECT user, type, at, data ->> '$.by' AS locked_by, data ->> '$.reason' AS reason, data ->> '$.until' AS until,
         row_number() OVER (PARTITION BY user ORDER BY row_number DESC) AS age
  FROM events WHERE type IN ('lock', 'unlock')
)
WHERE age = 1 AND type = 'lock' AND (until IS NULL OR until > unixepoch() * 1000)
ORDER BY at`,
      parameters: {},
      notes: `
Without \`WHERE age = 1 …\`, it shows the history. Whole table: for one person, use
\`GET /-/admin/locks/{email}\`.`,
    },
    {
      name: "recordings-watched",
      title: "Who watched which recording?",
      sql: `
SELECT datetime(r.at / 1000, 'unixepoch') AS at, r.user AS watched_by, s.user AS of, s.data ->> '$.pod' AS pod
FROM requests AS r
JOIN events AS s ON s.session_id = substr(r.path, length('/-/admin/sessions/') + 1, 64) AND s.seq = 0
WHERE r.category = 'admin' AND r.path LIKE '/-/admin/sessions/%/recording' AND r.status IN (200, 206)
  AND r.id >= :since AND r.id < :until
ORDER BY r.id`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
By index.`,
    },
    {
      name: "sessions-watched",
      title: "Who watched which live session?",
      sql: `
SELECT datetime(b.at / 1000, 'unixepoch') AS began, datetime(e.at / 1000, 'unixepoch') AS ended,
       b.data ->> '$.by' AS watched_by, b.user AS of, s.data ->> '$.pod' AS pod, e.data ->> '$.reason' AS why_ended
FROM events AS b
LEFT JOIN events AS e ON e.type = 'watch_end' AND e.data ->> '$.watch' = b.session_id
LEFT JOIN events AS s ON s.session_id = b.data ->> '$.session' AND s.seq = 0
WHERE b.type = 'watch' AND b.at >= unixepoch(:since) * 1000 AND b.at < unixepoch(:until) * 1000
ORDER BY b.at`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
\`ended\` is null while somebody still watches. Whole table.`,
    },
  ],
};
