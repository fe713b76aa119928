/**
 * workerd killed while a change is with the cluster, which has not answered: its record is on the object's
 * disk by then, and nobody will ever tell its status. `npm run soak:kill-changes` kills at any moment.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Stack, startStack } from "../../dev/stack/index.ts";
import { localEvents } from "../../tools/audit-source.ts";
import { verifyEvents } from "../../tools/audit-verify.ts";
import { query } from "./support/audit-log.ts";

const CONFIG_MAPS = "/api/v1/namespaces/demo/configmaps";
const home = mkdtempSync(join(tmpdir(), "sallyport-e2e-"));
/** What the cluster has and does not answer, by User-Agent. */
const held = new Map<string, ServerResponse>();
const cluster = createServer((request, response) => {
  const agent = request.headers["user-agent"] ?? "";
  if (agent.startsWith("held")) held.set(agent, response);
  else response.writeHead(200, { "Content-Type": "application/json" }).end("{}");
});
let stack: Stack;

beforeAll(async () => {
  await new Promise<void>((listening) => cluster.listen(0, "127.0.0.1", listening));
  const { port } = cluster.address() as AddressInfo;
  stack = await startStack({ stateDir: home, port: 0, upstream: `http://127.0.0.1:${port}`, quiet: true });
});
afterAll(async () => {
  await stack?.stop();
  cluster.close();
  cluster.closeAllConnections();
  rmSync(home, { recursive: true, force: true });
});

function change(method: "PATCH" | "DELETE", agent: string): Promise<Response> {
  const headers = { "User-Agent": agent, "Content-Type": "application/merge-patch+json" };
  const body = method === "PATCH" ? { body: "{}" } : {};
  return fetch(`${stack.personas.alice.url}${CONFIG_MAPS}/settings`, { method, headers, ...body });
}

/** Whether a user's object has a change on its disk, whose answer it awaits. D1 may have it or not. */
function isInObject(agent: string): boolean {
  const dir = join(home, "data/do/sallyport-objects-UserSessions");
  const files = existsSync(dir) ? readdirSync(dir).filter((name) => /^[0-9a-f]+\.sqlite$/.test(name)) : [];
  return files.some((file) => {
    const database = new DatabaseSync(join(dir, file), { readOnly: true });
    try {
      const open = database.prepare("SELECT count(*) AS n FROM open_requests").get();
      const queued = database.prepare("SELECT 1 FROM outbox WHERE data LIKE ?").get(`%${agent}%`);
      return Number(open?.["n"]) > 0 && (queued !== undefined || rowsOf(agent).length > 0);
    } finally {
      database.close();
    }
  });
}

const rowsOf = (agent: string) =>
  query(stack.d1Path, "SELECT method, status, reason FROM requests WHERE user_agent = ?", agent);

async function killWorkerd(): Promise<void> {
  const pid = stack.workerdPid();
  if (pid === undefined) throw new Error("no workerd");
  process.kill(pid, "SIGKILL");
  await expect.poll(() => stack.workerdPid() ?? pid).not.toBe(pid);
}

it.each(["PATCH", "DELETE"] as const)("a %s has one row, which says that no answer is known", async (method) => {
  const agent = `held-${method}`;
  // It brings the allowance with which the next one leaves together with its record.
  const before = `before-${method}`;
  await expect.poll(async () => (await change(method, before).catch(() => undefined))?.status).toBe(200);
  // Its status is written a moment after its answer, and would be cut, too.
  await expect.poll(() => rowsOf(before).at(-1)).toEqual({ method, status: 200, reason: null });
  const cut = change(method, agent).then(
    () => "answered",
    () => "cut",
  );
  await expect.poll(() => held.has(agent) && isInObject(agent), { interval: 5 }).toBe(true);
  await killWorkerd();
  expect(await cut).toBe("cut");
  // No client asks: the object's alarm delivers what D1 does not have.
  await expect
    .poll(() => rowsOf(agent), { timeout: 40_000 })
    .toEqual([{ method, status: null, reason: "no answer known" }]);
  held.get(agent)?.end("{}");
});

it("whoever was cut goes on, and the chain is whole", async () => {
  await expect.poll(async () => (await change("PATCH", "afterwards").catch(() => undefined))?.status).toBe(200);
  await expect.poll(() => rowsOf("afterwards")).toEqual([{ method: "PATCH", status: 200, reason: null }]);
  const verdict = await verifyEvents(localEvents(home));
  expect(verdict).toMatchObject({ broken: [], openRequests: [expect.any(String), expect.any(String)] });
});
