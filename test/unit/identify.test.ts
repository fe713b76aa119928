import { describe, expect, test } from "vitest";
import type { Claims } from "../../worker/authenticate.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { IdentityRule } from "../../worker/config/schema.ts";
import { type Identified, identify } from "../../worker/identify.ts";

type Match = IdentityRule["match"];

function rule(match: Match, group = "matched", more: Partial<IdentityRule> = {}): IdentityRule {
  return { match, groups: [group], roles: [], limits: {}, recording: {}, ...more };
}

function claims(email: string, more: Record<string, unknown> = {}): Claims {
  return { email, sub: "uid-1", ...more };
}

/** The groups of whoever matched, or undefined for a refusal. */
function groups(identified: Identified): readonly string[] | undefined {
  return identified.ok ? identified.identity.groups : undefined;
}

function matches(match: Match, who: Claims): boolean {
  return groups(identify(who, [rule(match)])) !== undefined;
}

describe("an exact address", () => {
  test.each([
    ["alice@example.com", "alice@example.com", true],
    ["Alice@Example.com", "alice@example.com", true],
    ["alice@example.com", "malice@example.com", false],
    ["alice@example.com", "alice@example.com.evil.example", false],
    ["alice@example.com", "alice+admin@example.com", false],
    ["alice@example.com", "alice@example.co", false],
    ["alice@example.com", " alice@example.com", false],
    // Looks the same, is another: Cyrillic а.
    ["alice@example.com", "аlice@example.com", false],
  ])("%s and %s: %s", (email, who, expected) => {
    expect(matches({ email }, claims(who))).toBe(expected);
  });
});

describe("a domain", () => {
  test.each([
    ["alice@example.com", true],
    ["alice@notexample.com", false],
    ["alice@sub.example.com", false],
    ["alice@example.com.evil.example", false],
    ["a@example.com@other.org", false],
    ["a@other.org@example.com", true],
    ["example.com", true],
    ["@example.com", true],
    ["alice@", false],
    ["alice@example.com ", false],
    ["alice@example.com\n", false],
    ["alice@example.comm", false],
  ])("example.com and %j: %s", (who, expected) => {
    expect(matches({ emailDomain: "example.com" }, claims(who))).toBe(expected);
  });

  test("is compared without case", () => {
    expect(matches({ emailDomain: "Example.COM" }, claims("alice@example.com"))).toBe(true);
  });
});

describe("a claim", () => {
  test.each<[string, string, string, unknown, boolean]>([
    ["is in the list", "groups", "sre", { groups: ["dev", "sre"] }, true],
    ["is not in the list", "groups", "sre", { groups: ["dev", "sres"] }, false],
    ["is the scalar", "department", "it", { department: "it" }, true],
    ["is only a part of the scalar", "department", "it", { department: "it-support" }, false],
    ["is in a nested list", "custom.oidc.groups", "sre", { custom: { oidc: { groups: ["sre"] } } }, true],
    ["is at the top, not nested", "custom.groups", "sre", { "custom.groups": ["sre"] }, false],
    ["is written in another case", "groups", "sre", { groups: ["SRE"] }, false],
    ["is missing", "groups", "sre", {}, false],
    ["is null", "custom.groups", "sre", { custom: null }, false],
    ["is reached through a text", "custom.length", "3", { custom: "sre" }, false],
    ["is a number that reads the same", "level", "5", { level: 5 }, false],
    ["is a list within the list", "groups", "sre", { groups: [["sre"]] }, false],
    ["is an object with the value as a key", "groups", "sre", { groups: { sre: true } }, false],
  ])("that %s", (_, claim, value, more, expected) => {
    expect(matches({ claim, value }, claims("a@b.c", more as Record<string, unknown>))).toBe(expected);
  });

  test.each(["__proto__", "constructor", "constructor.name", "toString", "__proto__.polluted", "hasOwnProperty"])(
    "named like a property of every object (%s) is found only where the token has it",
    (claim) => {
      expect(matches({ claim, value: "Object" }, claims("a@b.c"))).toBe(false);
    },
  );
});

describe("of several rules", () => {
  const rules = [
    rule({ email: "alice@example.com" }, "first", { user: "alice", roles: ["admin"], recording: { mode: "full" } }),
    rule({ claim: "groups", value: "sre" }, "second"),
    rule({ emailDomain: "example.com" }, "third"),
  ];

  test("the first that matches wins, whole: groups and roles are not collected", () => {
    const alice = identify(claims("alice@example.com", { groups: ["sre"] }), rules);
    expect(alice).toEqual({
      ok: true,
      identity: {
        ...{ email: "alice@example.com", uid: "uid-1", user: "alice", groups: ["first"], roles: ["admin"] },
        ...{ limits: {}, recording: { mode: "full" } },
      },
    });
    expect(groups(identify(claims("bob@example.com", { groups: ["sre"] }), rules))).toEqual(["second"]);
    expect(groups(identify(claims("carol@example.com"), rules))).toEqual(["third"]);
  });

  test("the user is the address where the rule names none", () => {
    const bob = identify(claims("bob@example.com"), rules);
    expect(bob.ok && bob.identity.user).toBe("bob@example.com");
  });

  test("none that matches is a refusal that says whom to ask", () => {
    expect(identify(claims("mallory@elsewhere.example"), rules)).toEqual({
      ok: false,
      refusal: {
        code: "no_identity",
        message: "no rule here gives mallory@elsewhere.example access: ask your administrator to add one",
      },
    });
  });

  test("there are none: nobody gets in", () => {
    expect(groups(identify(claims("alice@example.com"), []))).toBeUndefined();
  });
});

test("what the configuration accepts is what identify understands", () => {
  const { identities } = loadConfig({
    access: { teamDomain: "https://t.cloudflareaccess.com", audiences: ["a"] },
    cluster: "c",
    identities: [{ match: { emailDomain: "EXAMPLE.com" }, groups: ["dev"] }],
  });
  expect(groups(identify(claims("a@example.com"), identities))).toEqual(["dev"]);
});
