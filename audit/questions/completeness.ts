import { type Section, SINCE, UNTIL } from "./question.ts";

export const COMPLETENESS: Section = {
  title: "Is the audit log complete?",
  questions: [
    {
      name: "incomplete-recordings",
      title: "Which sessions have no complete recording?",
      sql: `
SELECT id, user, cluster, pod, outcome, recording
FROM sessions
WHERE recording_mode <> 'off' AND state = 'ended' AND outcome <> 'refused' AND recording IS NOT 'complete'
  AND started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
ORDER BY started_at`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
Sessions that should have one. A session that failed before it opened has none either. By index.`,
    },
    {
      name: "interrupted",
      title: "Which sessions did a deploy or a crash end?",
      sql: `
SELECT datetime(ended_at / 60000 * 60, 'unixepoch') AS minute, count(*) AS sessions, group_concat(DISTINCT kind) AS kinds
FROM sessions
WHERE outcome = 'interrupted' AND started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
GROUP BY minute HAVING count(*) >= 2
ORDER BY minute`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
Several in one minute point to a deploy, a single one to the end of one object. By index.`,
      chart: { label: "minute", value: "sessions" },
    },
    {
      name: "no-answer-known",
      title: "Of which requests is no answer known?",
      sql: `
SELECT datetime(at / 1000, 'unixepoch') AS at, user, cluster, verb, resource, namespace, name
FROM requests
WHERE reason = 'no answer known' AND id >= :since AND id < :until
ORDER BY id`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
They may have been carried out: what was to record the answer was lost, or a workload that a read has reached
never answered. Requests of this minute are only under way. By index.`,
    },
    {
      name: "bypassed",
      title: "Which sessions bypassed Sallyport?",
      sql: `
WITH cluster_log AS (
  SELECT value ->> '$.at' AS at, value ->> '$.user' AS user, value ->> '$.session' AS session
  FROM json_each(:log)
)
SELECT c.at, c.user, c.session, s.user AS sallyport_user, s.data ->> '$.pod' AS pod
FROM cluster_log AS c
LEFT JOIN events AS s ON s.session_id = c.session AND s.seq = 0
ORDER BY c.at`,
      parameters: {
        log: {
          type: "json",
          description: "A JSON list of objects with `at`, `user` and `session`, from the audit log of the cluster.",
          example: `[
    {"at": "2026-11-17T21:30:00Z", "user": "alice@example.com", "session": "AZqVbR0Q7cKe2mWx4tUyHn8sLpDfGj1oZiBvCkM3EaTrS5uY6wXqPdJhNgFl9O-_"},
    {"at": "2026-11-17T23:58:12Z", "user": "kubernetes-admin", "session": null}
  ]`,
        },
      },
      notes: `
Rows with \`sallyport_user\` null are sessions that Sallyport does not know: break-glass, or an intruder. Make
the list from the audit log of the cluster, for example with this jq program. By index.

\`\`\`jq
select(.objectRef.subresource == "exec" and .stage == "ResponseStarted")
| {
    at: .requestReceivedTimestamp,
    user: (.impersonatedUser // .user).username,
    session: .impersonatedUser.extra["sallyport-session"][0]
  }
\`\`\``,
    },
    {
      name: "rows-that-left",
      title: "Which rows have left D1?",
      sql: `
SELECT sealed.month, sealed.first_row, sealed.last_row, sealed.rows, datetime(sealed.sealed_at / 1000, 'unixepoch') AS sealed_at,
       datetime(gone.removed_at / 1000, 'unixepoch') AS left_at, removal.data ->> '$.keep_months' AS kept_months, sealed.key AS manifest
FROM seals AS sealed
LEFT JOIN seal_removals AS gone ON gone.first_row = sealed.first_row
LEFT JOIN events AS removal ON removal.session_id = printf('seal-%016d', sealed.first_row) AND removal.seq = 1
ORDER BY sealed.first_row DESC`,
      parameters: {},
      notes: `
With \`left_at\`, the rows of that range are in the seals; without, in D1 as well. Rows above the newest
\`last_row\` are not sealed yet. By index.`,
    },
    {
      name: "growth",
      title: "How fast does the audit log grow?",
      sql: `
SELECT date(at / 1000, 'unixepoch') AS day, count(*) AS events, sum(type IN ('request', 'request_summary')) AS requests,
       sum(length(session_id) + length(data) + length(prev_hash) + length(hash)) AS chars
FROM events WHERE row_number > (SELECT max(row_number) FROM events) - 100000
GROUP BY day ORDER BY day DESC LIMIT 14`,
      parameters: {},
      notes: `
From the newest 100,000 events. Indexes make the D1 file about half as large again. By index.`,
      chart: { label: "day", value: "events" },
    },
  ],
};
