/**
 * docs/REFERENCE.md: its lists are the code's, and every message that it quotes is one that the code writes.
 */
import { globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { EVENT_TYPES, OUTCOMES, RECORDING_STATES } from "../../audit/events.ts";
import { CATEGORIES } from "../../audit/request-categories.ts";
import { SESSION_KINDS } from "../../kubernetes/session-target.ts";
import { STATUS_CODES } from "../../kubernetes/status.ts";
import { buildUpstreamHeaders } from "../../kubernetes/upstream-headers.ts";
import { DENIALS } from "../../worker/denials.ts";

const text = readFileSync("docs/REFERENCE.md", "utf8");

/** The rows of the tables between a heading and the next, each as its cells. */
function rowsOf(heading: string): string[][] {
  const from = text.indexOf(`\n${heading}\n`);
  expect(from, heading).toBeGreaterThan(-1);
  const level = heading.slice(0, heading.indexOf(" "));
  const section = text.slice(from + heading.length + 2).split(new RegExp(`^#{1,${level.length}} `, "m"))[0] ?? "";
  return [...section.matchAll(/^\| (.*) \|$/gm)].map(([, row = ""]) => row.split(" | "));
}

/** The code spans of the first cells. */
const namesOf = (rows: readonly (readonly string[])[]) =>
  rows.flatMap(([first = ""]) => Array.from(first.matchAll(/`([^`]+)`/g), ([, name = ""]) => name));

/** The same names, each once, in any order. */
function expectSame(listed: readonly string[], known: readonly string[]): void {
  expect(new Set(listed)).toEqual(new Set(known));
  expect(listed).toHaveLength(known.length);
}

describe("docs/REFERENCE.md", () => {
  it("lists every refusal code, with its HTTP status", () => {
    const rows = rowsOf("## Messages").filter(([first = ""]) => /^`\w+`$/.test(first));
    const listed = Object.fromEntries(
      rows.map(([code = "", status = ""]) => [code.replaceAll("`", ""), Number(status)]),
    );
    const codes = Object.entries(DENIALS).map(([code, reason]) => [code, STATUS_CODES[reason]]);
    expect(listed).toEqual(Object.fromEntries(codes));
  });

  it("lists every outcome, kind of session, category and recording state", () => {
    expectSame(namesOf(rowsOf("## Session outcomes")), OUTCOMES);
    expectSame(namesOf(rowsOf("### Kinds of session")), SESSION_KINDS);
    expectSame(namesOf(rowsOf("### Requests")), CATEGORIES);
    expect(namesOf(rowsOf("## Recordings"))).toEqual(expect.arrayContaining([...RECORDING_STATES]));
  });

  it("lists every type of event, and so does docs/EXPORT.md", () => {
    expect(namesOf(rowsOf("### Sessions"))).toEqual(expect.arrayContaining([...EVENT_TYPES]));
    const [, types = ""] = /^\| `type` \| (.*) \|$/m.exec(readFileSync("docs/EXPORT.md", "utf8")) ?? [];
    expectSame(namesOf([[types]]), EVENT_TYPES);
  });

  it("lists what a lock does not cut, each with its test", () => {
    const tests = readFileSync("test/workerd/not-cut-by-lock.test.ts", "utf8");
    const titles = {
      "a list or any other answer that the API server ends by itself": "a list, which goes on until it is complete",
      "a workload's answer that is compressed": "a workload's answer that is compressed, though the same answer",
      "a watch or a log over WebSocket": "a watch or a log over WebSocket, but a shell and a workload's WebSocket",
    };
    const listed = rowsOf("### What a lock does not cut").map(([first = ""]) => first);
    expectSame(listed.slice(2), Object.keys(titles));
    for (const title of Object.values(titles)) expect(tests).toContain(`it("${title}`);
  });

  it("quotes messages of sessions that the code writes", () => {
    const sources = globSync(["durable/**/*.ts", "contract/**/*.ts"]).map((file) => readFileSync(file, "utf8"));
    const written = sources.join("\n").replaceAll(/\$\{[^{}]*\}/g, "…");
    const quoted = namesOf(rowsOf("## Messages")).filter((name) => name.includes(" "));
    expect(quoted.length).toBeGreaterThan(5);
    for (const message of quoted) {
      for (const part of message.split("…").filter((each) => each.trim().length > 3)) {
        expect(written, message).toContain(part);
      }
    }
  });

  it("names the headers that reach the cluster, all of them", () => {
    const sentence = /allow-list: ([^.]+)\./.exec(text)?.[1] ?? "";
    const named = Array.from(sentence.matchAll(/`([\w-]+)`/g), ([, name = ""]) => name.toLowerCase());
    const others = ["authorization", "cookie", "x-forwarded-for", "range", "audit-id", "traceparent", "x-remote-user"];
    const client = new Headers([...named, ...others].map((name) => [name, "value"]));
    const upstream = buildUpstreamHeaders(client, { user: "alice", groups: [], extra: {} }, {});
    if (!upstream.ok) throw new Error(upstream.error.message);
    expectSame(
      [...upstream.value.keys()].filter((name) => name !== "impersonate-user"),
      named,
    );
    expect(named.length).toBeGreaterThan(8);
  });
});
