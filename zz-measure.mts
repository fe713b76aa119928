import { startTestStack } from "./test/e2e/support/people.ts";
import { query } from "./test/e2e/support/audit-log.ts";
import { Agent, request } from "node:http";
const people = await startTestStack({ audit: { requests: { maxChangesPerMinute: 20000 } } } as never);
const url = new URL(people.stack.personas.alice.url);
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const send = (method: string, path: string, body?: string) => new Promise<[number, number]>((resolve, reject) => {
  const start = performance.now();
  const r = request({ agent, host: url.hostname, port: url.port, method, path, headers: body ? { "content-type": "application/merge-patch+json", "content-length": String(Buffer.byteLength(body)) } : {} }, (res) => { res.resume(); res.on("end", () => resolve([res.statusCode ?? 0, performance.now() - start])); });
  r.on("error", reject); r.end(body);
});
const pct = (a: number[], p: number) => a.toSorted((x, y) => x - y)[Math.min(a.length - 1, Math.floor(a.length * p))]?.toFixed(2);
console.log("create", await send("POST", "/api/v1/namespaces/demo/configmaps", JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "m" } })));
const path = "/api/v1/namespaces/demo/configmaps/m";
for (const [name, method, body] of [["GET", "GET", undefined], ["PATCH", "PATCH", '{"data":{"a":"b"}}'], ["GET", "GET", undefined], ["PATCH", "PATCH", '{"data":{"a":"b"}}']] as const) {
  const t: number[] = [];
  for (let i = 0; i < 400; i++) { const [s, ms] = await send(method, path, body); if (s !== 200) console.log("status", s); t.push(ms); }
  console.log(name, "p50", pct(t, 0.5), "p90", pct(t, 0.9), "p99", pct(t, 0.99));
}
// 200 changes a second for 30 s
const RATE = Number(process.argv[2] ?? 200), SECONDS = 30;
const statuses = new Map<number, number>(); const times: number[] = []; const all: Promise<void>[] = [];
const begin = performance.now();
for (let i = 0; i < RATE * SECONDS; i++) {
  const due = begin + (i * 1000) / RATE;
  const wait = due - performance.now();
  if (wait > 0) await new Promise((r) => setTimeout(r, wait));
  all.push(send("PATCH", path, `{"data":{"a":"${i}"}}`).then(([s, ms]) => { statuses.set(s, (statuses.get(s) ?? 0) + 1); times.push(ms); }));
}
await Promise.all(all);
console.log(`burst ${RATE}/s x ${SECONDS}s took`, ((performance.now() - begin) / 1000).toFixed(1), "s statuses", Object.fromEntries(statuses), "p50", pct(times, 0.5), "p99", pct(times, 0.99));
const done = performance.now();
for (;;) {
  const [row] = query(people.stack.d1Path, "SELECT count(*) AS n, sum(status IS NULL) AS open FROM requests WHERE verb='patch'");
  if (Number(row?.n) >= RATE * SECONDS + 800 && Number(row?.open) === 0) { console.log("in D1 after", ((performance.now() - done) / 1000).toFixed(1), "s", row); break; }
  if (performance.now() - done > 120000) { console.log("NOT complete", row); break; }
  await new Promise((r) => setTimeout(r, 500));
}
agent.destroy(); await people.stop(); process.exit(0);
