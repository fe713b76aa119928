/** The first export of an audit log of more than 100,000 rows. */
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { RUN_LIMITS, runExport } from "../../worker/export/run.ts";

const EVENTS = 60_000;
const REQUESTS = 60_000;
/** Small, so that the export needs several runs. */
const LIMITS = { ...RUN_LIMITS, maxObjectsPerTable: 2 };

/** Fills each table with one statement, for speed. Sessions look like real ones, except for their hashes. */
async function fill(): Promise<void> {
  const numbers = "WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < ? - 1)";
  const start = JSON.stringify({
    ...{ user: "alice@example.com", kubernetes_user: "alice@example.com", kubernetes_groups: ["developers"] },
    ...{ cluster: "prod", kind: "exec", namespace: "shop", pod: "web-7d4b9c6f5-x2x7k", container: "web" },
    ...{ command: ["sh", "-c", "tail -n 100 /var/log/app.log"], tty: true, stdin: true, ports: [] },
    ...{ recording_mode: "output", client_address: "192.0.2.1", country: "DE", rule: null, access_reason: null },
    user_agent: "kubectl/v1.36.3 (linux/amd64) kubernetes/0123456",
  });
  const end = JSON.stringify({ outcome: "exited", exit_code: 0, bytes_in: 12, bytes_out: 3_456 });
  await env.AUDIT_DB.prepare(
    `${numbers} INSERT INTO events (session_id, seq, at, type, data, prev_hash, hash)
     SELECT printf('%064d', i / 3), i % 3, 1763371800000 + i, CASE i % 3 WHEN 0 THEN 'start' WHEN 1 THEN 'connect' ELSE 'end' END,
       CASE i % 3 WHEN 0 THEN ? WHEN 1 THEN '{"protocol":"v5.channel.k8s.io"}' ELSE ? END, lower(hex(randomblob(32))), lower(hex(randomblob(32)))
     FROM numbers`,
  )
    .bind(EVENTS, start, end)
    .run();
  await env.AUDIT_DB.prepare(
    `${numbers} INSERT INTO request_rows (id, at, user, kubernetes_user, cluster, category, decision, method, path, verb, api_group,
       resource, namespace, name, status, count, client_address, country, user_agent, ray)
     SELECT printf('2026-11-17T09:30:00.000Z-0123456789abcdef%06d', i), 1763371800000 + i, 'alice@example.com', 'alice@example.com',
       'prod', 'mutation', 'allowed', 'PATCH', '/apis/apps/v1/namespaces/shop/deployments/web', 'patch', 'apps', 'deployments', 'shop',
       'web', 200, 1, '192.0.2.1', 'DE', 'kubectl/v1.36.3 (linux/amd64) kubernetes/0123456', lower(hex(randomblob(8))) || '-FRA'
     FROM numbers`,
  )
    .bind(REQUESTS)
    .run();
}

it("takes several runs of a bounded size, and has every row once", async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  await fill();
  const bucket = env.EXPORT;
  if (!bucket) throw new Error("the tests bind EXPORT");
  const dependencies = { database: env.AUDIT_DB, bucket, prefix: "", now: Date.now, limits: LIMITS };
  const startedAt = Date.now();
  let runs = 0;
  for (let isDone = false; !isDone; runs++) {
    const outcomes = await runExport(dependencies);
    for (const { rows, objects } of outcomes) {
      expect(rows).toBeLessThanOrEqual(LIMITS.maxObjectsPerTable * LIMITS.maxRowsPerObject);
      expect(objects).toBeLessThanOrEqual(LIMITS.maxObjectsPerTable);
    }
    isDone = outcomes.every(({ result }) => result === "done");
    expect(runs).toBeLessThan(20);
  }
  const seconds = (Date.now() - startedAt) / 1_000;
  const { objects } = await bucket.list({ include: ["customMetadata"] });
  const exported = objects.filter(({ key }) => key.endsWith(".gz"));
  const total = (table: string) =>
    exported
      .filter(({ key }) => key.startsWith(table))
      .map(({ customMetadata = {} }) => customMetadata)
      .reduce((next, { first, last, rows }) => {
        expect([Number(first), Number(rows)]).toEqual([next + 1, Number(last) - next]);
        return Number(last);
      }, 0);
  expect([total("events/"), total("requests/")]).toEqual([EVENTS, REQUESTS]);
  const bytes = exported.reduce((sum, { size }) => sum + size, 0);
  console.info(
    `exported ${EVENTS + REQUESTS} rows in ${runs} runs, ${exported.length} objects, ${bytes} bytes, ${seconds.toFixed(1)} s: ` +
      `${Math.round((EVENTS + REQUESTS) / seconds)} rows/s, ${Math.round(bytes / (EVENTS + REQUESTS))} bytes a row`,
  );
});
