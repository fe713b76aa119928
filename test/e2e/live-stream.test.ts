/** The stream of what is live, with real clients: kubectl, and curl's way of reading. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openStream } from "./support/open-stream.ts";
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
  const url = `${people.stack.personas.admin.url}/-/admin/live`;
  const { headers, first, leave } = await openStream(url, { Accept: "text/event-stream" });
  expect(headers.get("content-type")).toBe("text/event-stream");
  expect(first).toMatch(/^data: \{"type":"summary"/);
  leave();
  const refused = await people.alice.run("get", "--raw", "/-/admin/live");
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("requires the role admin or auditor")]);
});

it("a page that is loaded again and again is never refused, and more than five that are open are", async () => {
  const url = `${people.stack.personas.admin.url}/-/admin/live`;
  for (let n = 0; n < 12; n++) {
    const { status, first, leave } = await openStream(url);
    expect([n, status, first]).toEqual([n, 200, expect.stringContaining('"type":"summary"')]);
    leave();
  }
  const pages = [];
  for (let n = 0; n < 5; n++) pages.push(await openStream(url));
  expect(pages.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  const sixth = await openStream(url);
  expect([sixth.status, sixth.first]).toEqual([429, expect.stringContaining("close one")]);
  for (const { leave } of pages) leave();
});
