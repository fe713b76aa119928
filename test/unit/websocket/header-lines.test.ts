import { describe, expect, it } from "vitest";
import { headerLines } from "../../../durable/upstream/header-lines.ts";
import type { HeaderLine } from "../../../kubernetes/upstream-headers.ts";

const IDENTITY: readonly HeaderLine[] = [
  ["impersonate-user", "alice"],
  ["impersonate-group", "developers"],
  ["impersonate-group", "CN=oncall, OU=ops"],
  ["impersonate-extra-team", "a"],
  ["impersonate-extra-team", "b"],
];

function headersOf(lines: readonly HeaderLine[]): Headers {
  const headers = new Headers({ "User-Agent": "kubectl", Upgrade: "websocket" });
  for (const [name, value] of lines) headers.append(name, value);
  return headers;
}

describe("the header lines of an upgrade over TCP", () => {
  it("have one for each group and each value, also where a group's name has a comma", () => {
    const lines = headerLines(headersOf(IDENTITY), IDENTITY);
    expect(lines).toEqual([["upgrade", "websocket"], ["user-agent", "kubectl"], ...IDENTITY]);
  });

  it.each<[string, readonly HeaderLine[], readonly HeaderLine[]]>([
    ["nobody is impersonated", [], []],
    ["only the plan has the user", [], IDENTITY],
    ["only the request has the user", IDENTITY, []],
    ["the plan lacks a group", IDENTITY, IDENTITY.slice(0, 2)],
    ["the request lacks a group", IDENTITY.slice(0, 2), IDENTITY],
    ["the request has another group", [...IDENTITY, ["impersonate-group", "system:masters"]], IDENTITY],
    ["the plan has an extra more", IDENTITY, [...IDENTITY, ["impersonate-extra-x", "y"]]],
    ["they name different users", [["impersonate-user", "bob"]], [["impersonate-user", "alice"]]],
    ["there is no user", [["impersonate-group", "a"]], [["impersonate-group", "a"]]],
  ])("are not written where %s", (_, request, plan) => {
    expect(() => headerLines(headersOf(request), plan)).toThrow("differ in whom they impersonate");
  });
});
