import { type Section, SINCE, UNTIL } from "./question.ts";

export const ACCESS: Section = {
  title: "Access for a while",
  questions: [
    {
      name: "access-decided",
      title: "Who asked for access, and who decided?",
      sql: `
SELECT datetime(min(at) / 1000, 'unixepoch') AS asked, user, data ->> '$.grant' AS grant,
       max(data ->> '$.reason') FILTER (WHERE type = 'access_request') AS reason,
       group_concat(data ->> '$.decision' || ' by ' || (data ->> '$.by'), ', ') FILTER (WHERE type = 'access_decision') AS decisions,
       datetime(max(data ->> '$.until') / 1000, 'unixepoch') AS until,
       max(data ->> '$.by') FILTER (WHERE type = 'access_end') AS taken_back_by
FROM events
WHERE type IN ('access_request', 'access_decision', 'access_end')
  AND at >= unixepoch(:since) * 1000 AND at < unixepoch(:until) * 1000
GROUP BY data ->> '$.access_id'
ORDER BY asked`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
Without decisions, a request waits or has expired (\`expires_at\` of its \`access_request\`). With \`until\` it
became a grant; an end by time has no event of its own. Whole table.`,
    },
    {
      name: "self-approved",
      title: "Who approved their own request?",
      sql: `
SELECT datetime(at / 1000, 'unixepoch') AS since, user, data ->> '$.grant' AS grant, data ->> '$.reason' AS reason,
       datetime(data ->> '$.until' / 1000, 'unixepoch') AS until
FROM events
WHERE type = 'access_decision' AND data ->> '$.self_approved'
ORDER BY row_number`,
      parameters: {},
      notes: `
Break-glass inside: grants with \`selfApproval\`. Whole table.`,
    },
    {
      name: "sessions-with-a-grant",
      title: "Which sessions ran with a grant?",
      sql: `
SELECT datetime(started_at / 1000, 'unixepoch') AS began, user, grants, cluster, namespace, pod, kind, outcome
FROM sessions
WHERE grants IS NOT NULL
  AND started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
ORDER BY started_at`,
      parameters: { since: { ...SINCE, example: "2026-11-01" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
\`requests\` has the same column, for API requests. By index.`,
    },
  ],
};
