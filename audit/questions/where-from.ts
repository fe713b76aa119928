import { type Section, SINCE, UNTIL } from "./question.ts";

export const WHERE_FROM: Section = {
  title: "Where from",
  questions: [
    {
      name: "from-an-address",
      title: "What came from a leaked address?",
      sql: `
SELECT datetime(at / 1000, 'unixepoch') AS at, user, what, place
FROM (
  SELECT started_at AS at, user, kind AS what, cluster || '/' || namespace || '/' || pod AS place FROM sessions
  WHERE client_address = :address
    AND started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
  UNION ALL
  SELECT at, user, coalesce(verb || ' ' || resource, refusal), coalesce(cluster, '-') || '/' || coalesce(namespace, '*') || '/' || coalesce(name, '*')
  FROM requests
  WHERE client_address = :address AND id >= :since AND id < :until
)
ORDER BY at`,
      parameters: {
        address: { type: "text", description: "The client's address.", example: "203.0.113.66" },
        since: { ...SINCE, example: "2026-11-01" },
        until: { ...UNTIL, example: "2026-11-18" },
      },
      notes: `
Shows the identity and what it reached. By index.`,
    },
    {
      name: "several-countries",
      title: "Who was in several countries within an hour?",
      sql: `
SELECT user, datetime(at / 1000, 'unixepoch') AS at, country_before, country, (at - at_before) / 60000 AS minutes
FROM (
  SELECT user, at, country, lag(country) OVER person AS country_before, lag(at) OVER person AS at_before
  FROM (
    SELECT user, started_at AS at, country FROM sessions
    WHERE started_at >= unixepoch(:since) * 1000 AND started_at < unixepoch(:until) * 1000
    UNION ALL
    SELECT user, at, country FROM requests WHERE id >= :since AND id < :until AND user IS NOT NULL
  )
  WHERE country IS NOT NULL
  WINDOW person AS (PARTITION BY user ORDER BY at)
)
WHERE country <> country_before AND at - at_before <= 3600000
ORDER BY at`,
      parameters: { since: { ...SINCE, example: "2026-11-10" }, until: { ...UNTIL, example: "2026-11-18" } },
      notes: `
A laptop behind a VPN does this too. A stolen token does it while its owner works. By index.`,
    },
    {
      name: "new-country",
      title: "Who came from a new country?",
      sql: `
SELECT user, country, datetime(first_here / 1000, 'unixepoch') AS first_time, known_since
FROM (
  SELECT user, country, min(at) AS first_here,
         date(min(min(at)) OVER (PARTITION BY user) / 1000, 'unixepoch') AS known_since
  FROM (
    SELECT user, country, started_at AS at FROM sessions
    UNION ALL
    SELECT user, country, at FROM requests WHERE user IS NOT NULL
  )
  WHERE country IS NOT NULL
  GROUP BY user, country
)
WHERE first_here >= unixepoch(:since) * 1000 AND known_since < date(:since)
ORDER BY first_here`,
      parameters: { since: { ...SINCE, example: "2026-11-10" } },
      notes: `
Only people who were known before that day. Whole table.`,
    },
    {
      name: "new-device",
      title: "Who came from a new device?",
      sql: `
SELECT user, device_id, sign_in, datetime(first_here / 1000, 'unixepoch') AS first_time, known_since
FROM (
  SELECT user, device_id, sign_in, min(at) AS first_here,
         date(min(min(at)) OVER (PARTITION BY user) / 1000, 'unixepoch') AS known_since
  FROM (
    SELECT user, device_id, sign_in, started_at AS at FROM sessions
    UNION ALL
    SELECT user, device_id, sign_in, at FROM requests WHERE user IS NOT NULL
  )
  WHERE device_id IS NOT NULL
  GROUP BY user, device_id
)
WHERE first_here >= unixepoch(:since) * 1000 AND known_since < date(:since)
ORDER BY first_here`,
      parameters: { since: { ...SINCE, example: "2026-11-14" } },
      notes: `
Enrolled devices only, of people who had one before that day. Access tells it where an identity rule needs
\`get-identity\`. Whole table.`,
    },
    {
      name: "service-tokens",
      title: "What do service tokens do?",
      sql: `
SELECT user, sum(session) AS sessions, sum(request) AS requests, count(DISTINCT client_address) AS addresses,
       datetime(max(at) / 1000, 'unixepoch') AS last_used
FROM (
  SELECT user, 1 AS session, 0 AS request, client_address, started_at AS at FROM sessions
  WHERE user >= 'service:' AND user < 'service;'
  UNION ALL
  SELECT user, 0, count, client_address, at FROM requests WHERE user >= 'service:' AND user < 'service;'
)
GROUP BY user ORDER BY user`,
      parameters: {},
      notes: `
A token that is not in the list has done nothing that is audited, and may be obsolete. By index, over all
time.`,
      chart: { label: "user", value: "requests" },
    },
  ],
};
