/** One person's day on the console: its ends, what they did, which identity rules may be theirs. */
import { describe, expect, it } from "vitest";
import { mergeActivity, peopleOf } from "../../../console/src/activity.ts";
import type { ApiRequest, Session } from "../../../console/src/api/endpoints.ts";
import { dayBeside, dayOf, dayOfInput, inputOf, isWholeDay, readPeriod } from "../../../console/src/day.ts";
import type { IdentityMatch, IdentityRule, RulesDocument } from "../../../console/src/rules/document.ts";
import { assumptionsOf, fitOf, possibleIdentities, possibleRules } from "../../../console/src/rules/identity.ts";

describe("a day", () => {
  const noon = new Date(2026, 10, 27, 12, 30);

  it("is from midnight to midnight here, and so are its neighbours, also over the end of a year", () => {
    const day = dayOf(noon);
    expect([new Date(day.since), new Date(day.until)]).toEqual([new Date(2026, 10, 27), new Date(2026, 10, 28)]);
    expect(dayBeside(day, -1)).toEqual(dayOf(new Date(2026, 10, 26)));
    expect(dayBeside(dayOf(new Date(2026, 11, 31)), 1)).toEqual(dayOf(new Date(2027, 0, 1)));
  });

  it("is what a date field says, and nothing else is", () => {
    expect(dayOfInput("2026-11-27")).toEqual(dayOf(noon));
    expect(inputOf(dayOf(noon))).toBe("2026-11-27");
    for (const other of ["", "27.11.2026", "2026-11-27T00:00"]) expect(dayOfInput(other)).toBeUndefined();
    // Chrome tells of each digit of a year that is typed.
    for (const typed of ["0002-11-27", "0020-11-27", "0202-11-27"]) expect(dayOfInput(typed)).toBeUndefined();
  });

  it("is the address's period, or today where that has none", () => {
    const sent = { since: "2026-11-26T23:00:00Z", until: "2026-11-27T02:00:00Z" };
    expect(readPeriod(sent.since, sent.until, noon)).toEqual(sent);
    expect(isWholeDay(sent)).toBe(false);
    expect(readPeriod(sent.since, "soon", noon)).toEqual(dayOf(noon));
    expect(isWholeDay(dayOf(noon))).toBe(true);
  });
});

const session = (id: string, startedAt: string, more: Partial<Session> = {}) =>
  ({ id, startedAt, user: "alice@example.com", state: "ended", ...more }) as Session;

describe("what somebody did", () => {
  it("is one list of sessions and API requests, newest first", () => {
    const sessions = [session("late", "2026-11-27T09:00:00.000Z"), session("early", "2026-11-27T07:00:00.000Z")];
    const request = { id: "between", at: "2026-11-27T08:00:00.000Z" } as ApiRequest;
    const merged = mergeActivity(sessions, [request]);
    expect(merged.map((one) => one.session?.id ?? one.request?.id)).toEqual(["late", "between", "early"]);
    expect(merged.map(({ what }) => what)).toEqual(["session", "request", "session"]);
  });

  it("tells who was there last, with how many sessions", () => {
    const bob = { user: "bob@example.com" };
    const people = peopleOf([
      session("a", "2026-11-27T09:00:00.000Z", { state: "live" }),
      session("b", "2026-11-27T10:00:00.000Z", bob),
      session("c", "2026-11-27T08:00:00.000Z"),
    ]);
    expect(people).toEqual([
      { user: "bob@example.com", lastAt: "2026-11-27T10:00:00.000Z", sessions: 1, live: 0 },
      { user: "alice@example.com", lastAt: "2026-11-27T09:00:00.000Z", sessions: 2, live: 1 },
    ]);
  });
});

describe("an identity rule", () => {
  it.each<[IdentityMatch, string, string]>([
    [{ email: "Alice@example.com" }, "alice@example.com", "yes"],
    [{ email: "bob@example.com" }, "alice@example.com", "no"],
    [{ emailDomain: "example.com" }, "alice@example.com", "yes"],
    [{ emailDomain: "example.com" }, "alice@evil.example.com", "no"],
    [{ emailDomain: "example.com" }, "alice@notexample.com", "no"],
    [{ emailDomain: "example.com" }, "evil@example.com@other.org", "no"],
    [{ emailDomain: "example.com" }, "service:x@example.com", "no"],
    [{ email: "alice@example.com", country: ["DE"] }, "alice@example.com", "unknown"],
    [{ group: "00g" }, "alice@example.com", "unknown"],
    [{ email: "bob@example.com", group: "00g" }, "alice@example.com", "no"],
    [{ serviceToken: "2F1A.access" }, "service:2f1a.access", "yes"],
    [{ serviceToken: "2f1a.access" }, "alice@example.com", "no"],
    [{ group: "00g" }, "service:2f1a.access", "no"],
    [{ claim: "custom.team", value: "sre" }, "service:2f1a.access", "unknown"],
  ])("that is for %o is that of %s: %s", (match, name, fit) => {
    expect(fitOf(match, name)).toBe(fit);
  });

  it("is looked for down to the first that surely matches", () => {
    const rule = (match: IdentityMatch) => ({ match }) as IdentityRule;
    const rules = [
      rule({ email: "bob@example.com" }),
      rule({ group: "00g" }),
      rule({ emailDomain: "example.com" }),
      rule({ group: "00h" }),
    ];
    const found = possibleRules(rules, "alice@example.com").map(({ index, fit }) => [index, fit]);
    expect(found).toEqual([
      [1, "unknown"],
      [2, "yes"],
    ]);
  });

  it("is looked for in the document and at each cluster that has its own", () => {
    const rules = (...matches: IdentityMatch[]) => matches.map((match) => ({ match }));
    const document = {
      identities: rules({ email: "admin@example.com" }),
      clusters: [
        { name: "plain" },
        { name: "team", identities: rules({ email: "bob@example.com" }, { emailDomain: "example.com" }) },
      ],
    } as unknown as RulesDocument;
    const found = (name: string) =>
      possibleIdentities(document, name).map(({ cluster, possible }) => [cluster, possible.map(({ index }) => index)]);
    expect(found("alice@example.com")).toEqual([
      [null, []],
      ["team", [1]],
    ]);
    expect(found("admin@example.com")).toEqual([
      [null, [0]],
      ["team", [1]],
    ]);
    expect(found("eve@evil.example")).toEqual([
      [null, []],
      ["team", []],
    ]);
  });

  it("names what Access may say of somebody, each once", () => {
    const matches: IdentityMatch[] = [
      { group: "00h" },
      { group: "00g" },
      { group: "00g", posture: "disk" },
      { claim: "custom.team", value: "sre" },
      { groupName: "leads" },
    ];
    expect(assumptionsOf(matches)).toEqual({
      ...{ groups: ["00h", "00g"], groupNames: ["leads"], claims: ["custom.team=sre"], postures: ["disk"] },
    });
  });
});
