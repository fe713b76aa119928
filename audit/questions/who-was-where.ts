import { type Section, SINCE, UNTIL, ZONE } from "./question.ts";

export const WHO_WAS_WHERE: Section = {
  title: "Who was where",
  questions: [
    {
      name: "who-was-in-a-cluster",
      title: "Who was in production last Tuesday night?",
      sql: `
SELECT user, kind, namespace, pod, command, datetime(started_at / 1000, 'unixepoch', :zone) AS began,
       (coalesce(ended_at, unixepoch() * 1000) - started_at) / 60000 AS minutes, outcome
FROM sessions
WHERE cluster = :cluster AND outcome IS NOT 'refused'
  AND started_at >= unixepoch(:since, '-1 day') * 1000
  AND started_at < unixepoch(:until) * 1000
  AND coalesce(ended_at, unixepoch() * 1000) > unixepoch(:since) * 1000
ORDER BY started_at`,
      parameters: {
        zone: { ...ZONE, example: "+1 hour" },
        cluster: { type: "text", description: "The cluster's name in the configuration.", example: "prod" },
        since: { ...SINCE, example: "2026-11-17T20:00:00+01:00" },
        until: { ...UNTIL, example: "2026-11-18T06:00:00+01:00" },
      },
      notes: `
Includes people who came before the night and were still there, since no session lasts longer than a day. By
index.`,
    },
    {
      name: "one-persons-day",
      title: "What did one person do all day?",
      sql: `
SELECT datetime(at / 1000, 'unixepoch', :zone) AS local_time, what, place, detail, client_address
FROM (
  SELECT started_at AS at, kind || ' begins' AS what, cluster || '/' || namespace || '/' || pod AS place,
         command AS detail, client_address
  FROM sessions
  WHERE user = :user
    AND started_at >= unixepoch(:since) * 1000
    AND started_at < unixepoch(:until) * 1000
  UNION ALL
  SELECT ended_at, kind || ' ends', cluster || '/' || namespace || '/' || pod, outcome, client_address
  FROM sessions
  WHERE user = :user
    AND started_at >= unixepoch(:since, '-1 day') * 1000
    AND ended_at >= unixepoch(:since) * 1000
    AND ended_at < unixepoch(:until) * 1000
  UNION ALL
  SELECT at, coalesce(verb || ' ' || resource, method || ' ' || path), coalesce(cluster, '-') || '/' || coalesce(namespace, '*') || '/' || coalesce(name, '*'),
         category || coalesce(' ' || status, ''), client_address
  FROM requests
  WHERE user = :user
    AND id >= strftime('%Y-%m-%dT%H:%M:%S', :since)
    AND id < strftime('%Y-%m-%dT%H:%M:%S', :until)
)
ORDER BY at`,
      parameters: {
        zone: { ...ZONE, example: "+1 hour" },
        user: {
          type: "user",
          description: "An email address, or `service:<client id>`.",
          example: "alice@example.com",
        },
        since: { ...SINCE, example: "2026-11-17T00:00:00+01:00" },
        until: { ...UNTIL, example: "2026-11-18T00:00:00+01:00" },
      },
      notes: `
Sessions and API requests in one timeline. By index.`,
    },
    {
      name: "in-a-terminal-now",
      title: "Who is in a terminal now?",
      sql: `
SELECT user, cluster, namespace, pod, command, client_address, (unixepoch() * 1000 - started_at) / 60000 AS minutes
FROM sessions
WHERE state = 'live' AND tty = 1 AND started_at >= unixepoch('now', '-1 day') * 1000
ORDER BY started_at`,
      parameters: {},
      notes: `
By index: only sessions of the last day can be live.`,
    },
    {
      name: "longest-sessions",
      title: "Which were the longest sessions?",
      sql: `
SELECT user, cluster, namespace, pod, kind, (ended_at - started_at) / 60000 AS minutes, outcome
FROM sessions
WHERE started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000 AND state = 'ended'
ORDER BY ended_at - started_at DESC LIMIT :most`,
      parameters: {
        since: { ...SINCE, example: "2026-11-01" },
        until: { ...UNTIL, example: "2026-11-18" },
        most: { type: "integer", description: "How many sessions.", example: 3, default: 3 },
      },
      notes: `
By index.`,
      chart: { label: "pod", value: "minutes" },
    },
    {
      name: "first-in-a-namespace",
      title: "Who touched a namespace for the first time ever?",
      sql: `
SELECT user, cluster, namespace, datetime(min(at) / 1000, 'unixepoch') AS first_time
FROM (
  SELECT user, cluster, namespace, started_at AS at FROM sessions WHERE outcome IS NOT 'refused'
  UNION ALL
  SELECT user, cluster, namespace, at FROM requests
  WHERE user IS NOT NULL AND namespace IS NOT NULL AND decision = 'allowed' AND status < 400
)
GROUP BY user, cluster, namespace
HAVING min(at) >= unixepoch(:since) * 1000
ORDER BY min(at)`,
      parameters: { since: { ...SINCE, example: "2026-11-14" } },
      notes: `
Shows who is new in a namespace since that day. Reads are not audited, so they do not count. Whole table:
"ever" has no index.`,
    },
    {
      name: "outside-office-hours",
      title: "Who worked outside office hours?",
      sql: `
SELECT user, count(*) AS sessions, sum(bytes_out) AS bytes_out, group_concat(DISTINCT cluster) AS clusters
FROM sessions
WHERE started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
  AND outcome IS NOT 'refused' AND user NOT LIKE 'service:%'
  AND (strftime('%H', started_at / 1000, 'unixepoch', :zone) NOT BETWEEN '08' AND '18'
    OR strftime('%w', started_at / 1000, 'unixepoch', :zone) IN ('0', '6'))
GROUP BY user ORDER BY sessions DESC, user`,
      parameters: {
        since: { ...SINCE, example: "2026-11-01" },
        until: { ...UNTIL, example: "2026-11-18" },
        zone: { ...ZONE, example: "+1 hour" },
      },
      notes: `
Sessions that started outside 08:00 to 18:59 in that time zone, or on a Saturday or Sunday. By index.`,
      chart: { label: "user", value: "sessions" },
    },
    {
      name: "who-ran-a-command",
      title: "Who ran a certain command?",
      sql: `
SELECT id, user, cluster, namespace, pod, command, outcome, exit_code
FROM sessions
WHERE command LIKE :pattern AND started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
ORDER BY started_at`,
      parameters: {
        pattern: { type: "pattern", description: "A part of the command between `%`.", example: "%pg_dump%" },
        since: { ...SINCE, example: "2026-11-10" },
        until: { ...UNTIL, example: "2026-11-18" },
      },
      notes: `
Commands typed into a shell are in its recording, not here. By index.`,
    },
    {
      name: "reasons",
      title: "What reasons did people give?",
      sql: `
SELECT datetime(started_at / 1000, 'unixepoch') AS began, user, access_reason, rule, kind, namespace, pod,
       (ended_at - started_at) / 60000 AS minutes
FROM sessions
WHERE access_reason IS NOT NULL AND started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
ORDER BY started_at`,
      parameters: { since: { ...SINCE, example: "2026-11-10" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
For the review of access to production. By index.`,
    },
  ],
};
