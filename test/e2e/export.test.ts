/**
 * The export of real sessions on the local stack, by its cron trigger; and the local command of
 * docs/QUERIES.md.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { sessionWhere } from "./support/audit-log.ts";
import { startTestStack, type TestStack } from "./support/people.ts";

const hasSqlite = spawnSync("sqlite3", ["--version"]).status === 0;
if (!hasSqlite) console.info("SKIP the local command of docs/QUERIES.md: sqlite3 is not installed");

let people: TestStack;

beforeAll(async () => {
  people = await startTestStack();
});
afterAll(() => people?.stop());

interface Status {
  readonly enabled: boolean;
  readonly tables: readonly {
    readonly table: string;
    readonly exported: number;
    readonly waiting: number;
    readonly lastObject: string | null;
  }[];
}

async function status(): Promise<Status> {
  return (await (await people.admin("GET", "export")).json()) as Status;
}

const trigger = () => fetch(people.stack.cronUrl, { method: "POST" });

it("runs by the cron trigger, and shows its progress", async () => {
  await people.alice.run("exec", "shell", "--", "true");
  await sessionWhere(people.stack.d1Path, "state = 'ended'");
  expect(await status()).toMatchObject({ enabled: true, tables: [{ exported: 0, waiting: 3 }, { table: "requests" }] });
  const ran = await trigger();
  expect([ran.status, await ran.text()]).toEqual([200, "ok\n"]);
  const lastObject = "events/0000000000000001.ndjson.gz";
  expect(await status()).toMatchObject({ tables: [{ exported: 3, waiting: 0, lastObject }, { table: "requests" }] });

  await people.alice.run("exec", "shell", "--", "true");
  await sessionWhere(people.stack.d1Path, "state = 'ended' AND id > (SELECT min(id) FROM sessions)");
  await trigger();
  const next = "events/0000000000000004.ndjson.gz";
  expect(await status()).toMatchObject({ tables: [{ exported: 6, waiting: 0, lastObject: next }, {}] });
});

it("does not run by DNS rebinding, nor by a GET", async () => {
  const { port } = new URL(people.stack.cronUrl);
  const answer = await new Promise<number | undefined>((done, fail) => {
    const asked = request(
      { host: "127.0.0.1", port, method: "POST", path: "/cdn-cgi/local/scheduled", headers: { host: "evil.example" } },
      (response) => {
        response.resume();
        done(response.statusCode);
      },
    );
    asked.on("error", fail).end();
  });
  expect(answer).toBe(403);
  expect((await fetch(people.stack.cronUrl)).status).toBe(404);
});

it.skipIf(!hasSqlite)("the local command of docs/QUERIES.md reads the audit log", async () => {
  const text = readFileSync(resolve(import.meta.dirname, "../../docs/QUERIES.md"), "utf8");
  const command = /^```sh\n(sqlite3 .*)\n```$/m.exec(text)?.[1];
  if (command === undefined) throw new Error("docs/QUERIES.md has no sqlite3 command");
  await people.bob.run("exec", "shell", "--", "true");
  await sessionWhere(people.stack.d1Path, "user = 'bob@example.com'");
  const here = command.replace(".sallyport", people.stack.stateDir);
  const output = execFileSync("sh", ["-c", here], { encoding: "utf8" });
  expect(output).toMatch(/│ bob@example.com\s+│ exec │ shell │ refused │/);
});
