/** The command line: verbs, help, failures, and how answers are read and shown. */
import { describe, expect, it } from "vitest";
import { parseEnded, parseSessionList, parseStatedReason, parseWhoami } from "../../../cli/answers.ts";
import { EXIT_CODES, PluginFailure } from "../../../cli/failure.ts";
import { runProgram } from "../../../cli/program.ts";
import { findSession, isWholeId, type Session, sessionTable } from "../../../cli/sessions.ts";
import { ageOf } from "../../../cli/table.ts";
import { defineVerb } from "../../../cli/verb.ts";
import { flag, text } from "../../../command-line/options.ts";
import { surroundingsOf } from "./support.ts";

const failing = (name: string, error: unknown) =>
  defineVerb({
    name,
    summary: `Fails as ${name}`,
    options: { file: text("FILE", "a file"), force: flag("a flag"), context: text("NAME", "a context") },
    run: async () => {
      throw error;
    },
  });

const program = {
  version: "1.2.3",
  verbs: [
    failing("refused", new PluginFailure("api", "you may not")),
    failing("unsigned", new PluginFailure("sign_in_required", "nobody has signed in")),
    failing("misused", new PluginFailure("usage", "not both")),
    failing("bug", Object.assign(new Error("undefined is no function"), { token: "oauth:secret" })),
  ],
};

async function run(...args: string[]) {
  const surroundings = surroundingsOf();
  const code = await runProgram(args, program, surroundings);
  return { code, out: surroundings.printed.join("\n"), notes: surroundings.noted.join("\n") };
}

describe("the program", () => {
  it("shows help and its version", async () => {
    expect(await run("version")).toEqual({ code: 0, out: "1.2.3", notes: "" });
    for (const args of [["help"], ["--help"], ["-h"]]) expect((await run(...args)).out).toContain("refused");
    for (const args of [
      ["help", "refused"],
      ["refused", "--help"],
    ])
      expect((await run(...args)).out).toContain("--file FILE");
  });

  it.each([
    [[]],
    [["nope"]],
    [["--context", "x", "refused"]],
    [["refused", "--nope"]],
    [["refused", "x"]],
    [["help", "nope"]],
    [["misused"]],
  ])("says what is wrong with %j", async (args) => {
    expect(await run(...args)).toMatchObject({
      code: EXIT_CODES.usage,
      out: "",
      notes: expect.stringMatching(/^kubectl sallyport/),
    });
  });

  it("has an exit code for a sign-in that is missing", async () => {
    expect(await run("unsigned")).toEqual({
      code: 3,
      out: "",
      notes: "kubectl sallyport unsigned: nobody has signed in",
    });
    expect(await run("refused")).toEqual({ code: 1, out: "", notes: "kubectl sallyport refused: you may not" });
  });

  it("shows of a server's endless message what a person can read", () => {
    expect(new PluginFailure("api", "you may not").message).toBe("you may not");
    expect(new PluginFailure("api", "x".repeat(8_000_000)).message.length).toBeLessThan(5_000);
  });

  it("shows of a bug its stack, and not its fields", async () => {
    const { code, notes } = await run("bug");
    expect(code).toBe(1);
    expect(notes).toContain("please report it");
    expect(notes).not.toContain("oauth:secret");
  });
});

describe("sessions", () => {
  const session = (id: string, change: Partial<Session> = {}): Session => ({
    id: id.padEnd(64, "x"),
    state: "live",
    user: "alice@example.com",
    cluster: "prod",
    kind: "exec",
    namespace: "demo",
    pod: "shell",
    command: ["sh", "-c", "\u001b]0;title\u0007"],
    startedAt: "2026-11-26T12:00:00.000Z",
    lastUsedAt: null,
    outcome: null,
    ...change,
  });
  const now = Date.parse("2026-11-26T13:30:00Z");

  it("are a table whose cells cannot act on a terminal", () => {
    const table = sessionTable([session("AZ1")], now, false);
    expect(table).toMatch(/^ID +CLUSTER/);
    expect(table).toMatch(/demo\/shell +1h +-/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for one
    expect(table).not.toMatch(/\u001b/);
    expect(sessionTable([session("AZ1", { outcome: "exited" })], now, true)).toMatch(/alice@example.com +exited/);
  });

  it("are named by the beginning of their id, if it names one", () => {
    const all = [session("AZ1"), session("AZ2")];
    expect(findSession("AZ1", all)).toEqual({ ok: true, value: all[0]?.id });
    expect(findSession("AZ", all)).toEqual({ ok: false, error: expect.stringContaining("2 live sessions") });
    expect(findSession("B", all)).toEqual({ ok: false, error: expect.stringContaining("may have ended") });
    expect(findSession("", all).ok).toBe(false);
    expect(isWholeId(all[0]?.id ?? "")).toBe(true);
    expect(isWholeId("../admin")).toBe(false);
  });

  it.each([
    [0, "0s"],
    [59_999, "59s"],
    [60_000, "1m"],
    [7_200_000, "2h"],
    [200_000_000, "2d"],
    [-5_000, "0s"],
    [Number.NaN, "<unknown>"],
  ])("have ages: %d ms is %s", (ms, age) => {
    expect(ageOf(now - ms, now)).toBe(age);
  });
});

describe("an answer", () => {
  const session = { id: "A", state: "live", user: "a", cluster: "c", kind: "exec", namespace: "n", pod: "p" };
  const complete = { ...session, command: ["sh"], startedAt: "2026-11-26T12:00:00Z", lastUsedAt: null, outcome: null };
  const who = { identity: "a", kind: "person", cluster: null, rule: "r", roles: [] };

  it("is read as docs/API.md describes it, with fields that only --json shows", () => {
    expect(parseSessionList({ items: [{ ...complete, tty: true }] })).toEqual({ items: [{ ...complete, tty: true }] });
    expect(parseSessionList({ items: [], next: "n" })).toEqual({ items: [], next: "n" });
    expect(parseSessionList({ items: [], next: null })).toEqual({ items: [] });
    expect(parseEnded({ ended: ["A"], notReached: [] })).toEqual(["A"]);
    expect(parseWhoami({ ...who, kubernetes: { user: "u", groups: ["g"] } })).toMatchObject({ identity: "a" });
    expect(parseStatedReason({ until: "2026", reason: "x" })).toEqual({ until: "2026", notReached: [] });
  });

  it.each([
    ["sessions", parseSessionList, { items: [{ ...complete, command: "sh" }] }],
    ["sessions", parseSessionList, { items: [{ ...complete, startedAt: 7 }] }],
    ["sessions", parseSessionList, { items: [null] }],
    ["sessions", parseSessionList, { items: {} }],
    ["sessions", parseSessionList, { items: [], next: 7 }],
    ["ended sessions", parseEnded, { ended: 1 }],
    ["ended sessions", parseEnded, { ended: [1] }],
    ["a person", parseWhoami, { ...who, kubernetes: { user: "u", groups: 1 } }],
    ["a person", parseWhoami, { ...who, cluster: 1, kubernetes: { user: "u", groups: [] } }],
    ["a person", parseWhoami, who],
    ["a reason", parseStatedReason, { until: 1e300 }],
  ])("of %s that is another one is none: %#", (_, parse, answer) => {
    expect(parse(answer)).toBeUndefined();
    for (const other of [null, [], "text", 7, {}, undefined]) expect(parse(other)).toBeUndefined();
  });
});
