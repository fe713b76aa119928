/** `npm start -- --examples`: real sessions of each kind, which nobody takes for anything but examples. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { EXAMPLE_MARK, EXAMPLE_NAMESPACE } from "../../dev/examples/index.ts";
import { Kubectl } from "../../dev/programs/kubectl.ts";
import { findWorkerd } from "../../dev/stack/processes.ts";
import { query, type Row } from "./support/audit-log.ts";

const REPOSITORY = resolve(import.meta.dirname, "../..");

interface Endpoints {
  readonly d1: string;
  readonly personas: Readonly<Record<string, { readonly url: string }>>;
}

let home: string;
let state: string;
let started: ReturnType<typeof spawn>;
let output = "";
let endpoints: Endpoints;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "sallyport-e2e-"));
  state = join(home, "state");
  const args = ["dev/start.ts", "--examples", "--port", "0", "--state", state];
  started = spawn(process.execPath, args, { cwd: REPOSITORY, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [started.stdout, started.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  await vi.waitFor(() => expect(output).toMatch(/The examples are there|No more examples/), { timeout: 240_000 });
  endpoints = JSON.parse(readFileSync(join(state, "endpoints.json"), "utf8")) as Endpoints;
});
afterAll(() => {
  started?.kill("SIGKILL");
  rmSync(home, { recursive: true, force: true });
});

const rows = (sql: string): Row[] => query(endpoints.d1, sql);

describe("npm start -- --examples", () => {
  it("prints the console's address for whoever may use it, and what marks the examples", async () => {
    expect(output).toContain("The examples are there");
    expect(output).toContain(EXAMPLE_NAMESPACE);
    expect(output).toContain(`begins with "${EXAMPLE_MARK.trim()}"`);
    for (const name of ["admin", "alice", "bob"]) {
      const address = `${endpoints.personas[name]?.url}/-/console/`;
      expect(output).toContain(`${address}   ${name}: `);
      const page = await fetch(address, { headers: { Accept: "text/html" } });
      expect([page.status, page.headers.get("Content-Type")]).toEqual([200, "text/html; charset=utf-8"]);
    }
    const mallorys = `${endpoints.personas["mallory"]?.url}/-/console/`;
    expect(output).not.toContain(mallorys);
    expect((await fetch(mallorys)).status).toBe(403);
  });

  it("has a session of each kind, by several people, and one that stays", async () => {
    const found = () =>
      rows("SELECT user, kind, pod, state, outcome, exit_code, tty, recording FROM sessions ORDER BY started_at").map(
        ({ user, kind, pod, state: is, outcome, exit_code, tty, recording }) =>
          [String(user).split("@")[0], kind, pod, outcome ?? is, exit_code, tty, recording].join(" "),
      );
    await expect.poll(found).toEqual([
      "alice exec shop exited 0 1 complete",
      expect.stringMatching(/^alice port-forward database (closed|disconnected) {2}0 $/),
      "alice exec worker terminated  1 complete",
      "admin exec shop exited 3 0 complete",
      // kubectl leaves as soon as it has the whole archive, maybe before the cluster has said how tar ended.
      expect.stringMatching(/^admin exec shop (exited 0|disconnected ) 0 complete$/),
      "alice exec shop live  1 ",
      "alice exec vault exited 0 1 complete",
      "bob exec shop refused  0 ",
    ]);
    const [forward] = rows("SELECT forwards FROM sessions WHERE kind = 'port-forward'");
    expect(JSON.parse(String(forward?.["forwards"]))).toMatchObject([{ port: 5432, connections: 1, errors: 0 }]);
  });

  it("has changes, refusals of both sides, and requests for access that were denied, approved and used", async () => {
    const requests = () =>
      rows("SELECT DISTINCT user, category, verb, resource, status, refusal, grants FROM requests ORDER BY at").map(
        ({ user, category, verb, resource, status, refusal, grants }) =>
          [String(user).split("@")[0], category, verb, resource, refusal ?? status, grants].join(" "),
      );
    await expect
      .poll(requests)
      .toEqual(
        expect.arrayContaining([
          "alice denied get secrets 403 ",
          "bob denied get secrets 403 ",
          "bob denied create pods approval_required ",
          "mallory denied get  no_identity ",
          'alice secret-read get secrets 200 ["prod-admin"]',
          'alice mutation create configmaps 201 ["prod-admin"]',
          'alice mutation delete pods 200 ["prod-admin"]',
        ]),
      );
    const decisions = rows(
      `SELECT data ->> '$.grant' AS grant, data ->> '$.by' AS by, data ->> '$.decision' AS decision
         FROM events WHERE type = 'access_decision' ORDER BY at`,
    );
    expect(decisions.map(({ grant, by, decision }) => `${grant} ${decision} ${by}`)).toEqual([
      "vault-shell approve bob@example.com",
      "prod-admin deny admin@example.com",
      "prod-admin approve bob@example.com",
    ]);
    const pending = await fetch(`${endpoints.personas["bob"]?.url}/-/approvals`);
    expect(await pending.json()).toMatchObject({ pending: [{ grant: "prod-admin", user: "alice@example.com" }] });
  });

  it("is all in its own namespace, with reasons that say what it is", () => {
    const elsewhere = `coalesce(namespace, '') NOT IN ('', '${EXAMPLE_NAMESPACE}')`;
    expect(rows(`SELECT id FROM sessions WHERE ${elsewhere}`)).toEqual([]);
    expect(rows(`SELECT path FROM requests WHERE ${elsewhere}`)).toEqual([]);
    expect(rows(`SELECT id FROM sessions WHERE coalesce(access_reason, '') NOT LIKE '${EXAMPLE_MARK}%'`)).toEqual([]);
    const reasons = rows(
      "SELECT data ->> '$.reason' AS reason FROM events WHERE type IN ('access_request', 'access_decision')",
    );
    expect(reasons.length).toBeGreaterThanOrEqual(7);
    for (const { reason } of reasons) expect(reason).toMatch(new RegExp(`^${EXAMPLE_MARK}`));
  });

  it("marks nothing that somebody does afterwards", async () => {
    const alice = new Kubectl(join(state, "kubeconfig"), "alice", home);
    // For ten seconds the edge may take prod-admin for hers still, and her object refuses what needs it.
    await expect.poll(async () => (await alice.run("exec", "shell", "--", "true")).stderr).toBe("");
    const reasons = () => rows("SELECT DISTINCT access_reason AS reason FROM sessions WHERE pod = 'shell'");
    await expect.poll(reasons).toEqual([{ reason: expect.stringMatching(/^None: /) }]);
  });

  it("ends with everything else, the shell that was left open too", async () => {
    const exited = once(started, "exit");
    started.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
    await expect.poll(() => findWorkerd(state)).toEqual([]);
    expect(existsSync(join(state, "lock.json"))).toBe(false);
  });
});
