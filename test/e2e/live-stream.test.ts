/** The stream of what is live, with real clients: kubectl, and curl's way of reading. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { startTestStack, type TestStack } from "./support/people.ts";

const WITHIN = { timeout: 60_000 };
let people: TestStack;

beforeAll(async () => {
  people = await startTestStack();
});
afterAll(() => people?.stop());

interface Record {
  readonly type: string;
  readonly sessions?: readonly { readonly id: string; readonly pod?: string; readonly user?: string }[];
  readonly ids?: readonly string[];
}

const recordsOf = (text: string): Record[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));

it("kubectl prints it as it comes, from a session's beginning to its end", async () => {
  const live = people.kubectl("admin").start(["get", "--raw", "/-/admin/live"], "");
  await expect.poll(() => live.stdout(), WITHIN).toContain('"type":"summary"');
  const shell = people.alice.start(["exec", "-i", "shell", "--", "sh", "-c", "read wait; echo done"]);
  const begun = () =>
    recordsOf(live.stdout().slice(0, live.stdout().lastIndexOf("\n") + 1))
      .flatMap(({ type, sessions = [] }) => (type === "sessions" ? sessions : []))
      .find(({ user, pod }) => user === "alice@example.com" && pod === "shell");
  await expect.poll(begun, WITHIN).toBeDefined();
  shell.child.stdin?.end("go on\n");
  expect((await shell.finished).stdout).toBe("done\n");
  const ended = () =>
    recordsOf(live.stdout().slice(0, live.stdout().lastIndexOf("\n") + 1)).flatMap(({ ids = [] }) => ids);
  await expect.poll(ended, WITHIN).toContain(begun()?.id);
  live.child.kill("SIGINT");
  await live.finished;
});

it("a browser reads events, and whoever has no role reads why not", async () => {
  const leaving = new AbortController();
  const headers = { Accept: "text/event-stream" };
  const response = await fetch(`${people.stack.personas.admin.url}/-/admin/live`, { headers, signal: leaving.signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = response.body?.getReader();
  expect(new TextDecoder().decode((await reader?.read())?.value)).toMatch(/^data: \{"type":"summary"/);
  leaving.abort();
  const refused = await people.alice.run("get", "--raw", "/-/admin/live");
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("requires the role admin or auditor")]);
});
