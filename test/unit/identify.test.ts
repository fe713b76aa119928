import { describe, expect, test } from "vitest";
import type { Subject } from "../../worker/access/subject.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { IdentityRule } from "../../worker/config/schema.ts";
import { type AccessIdentity, type IdentifyResult, identify as identifyWith } from "../../worker/policy/identify.ts";

type Match = IdentityRule["match"];

const NO_DETAILS: AccessIdentity = { groups: [], posture: [] };
const identify = (who: Subject, rules: readonly IdentityRule[], details = NO_DETAILS): IdentifyResult =>
  identifyWith(who, details, rules);

function rule(match: Match, group = "matched", more: Partial<IdentityRule> = {}): IdentityRule {
  return { match, groups: [group], roles: [], extra: {}, limits: {}, recording: {}, ...more };
}

/** A person's subject with whatever address: what may be one is authenticate's to say. */
function claims(email: string, more: Record<string, unknown> = {}): Subject {
  const about = { name: email.toLowerCase(), email: email.toLowerCase(), commonName: undefined, sub: "uid-1" };
  return { ...about, expiresAt: 0, audiences: [], claims: { email, sub: "uid-1", ...more } };
}

/** The groups of whoever matched, or undefined for a refusal. */
function groups(identified: IdentifyResult): readonly string[] | undefined {
  return identified.ok ? identified.identity.groups : undefined;
}

function matches(match: Match, who: Subject): boolean {
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
        ...{ name: "alice@example.com", uid: "uid-1", user: "alice", groups: ["first"], roles: ["admin"] },
        ...{ extra: {}, limits: {}, recording: { mode: "full" }, rule: 0 },
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

describe("a service token", () => {
  const ci: Subject = {
    ...{ name: "service:ci.access", email: undefined, commonName: "ci.access", sub: "", expiresAt: 0, audiences: [] },
    claims: { common_name: "ci.access" },
  };

  test("is an identity of its own, without a uid", () => {
    expect(identify(ci, [rule({ serviceToken: "ci.access" }, "deployers")])).toMatchObject({
      identity: { name: "service:ci.access", user: "service:ci.access", uid: undefined, groups: ["deployers"] },
    });
  });

  test("matches no rule about people, and no person matches its rule", () => {
    expect(groups(identify(ci, [rule({ emailDomain: "access" }), rule({ email: "ci.access" })]))).toBeUndefined();
    const person = claims("a@b.c", { common_name: "ci.access" });
    expect(groups(identify(person, [rule({ serviceToken: "ci.access" })]))).toBeUndefined();
  });
});

describe("a rule of several conditions", () => {
  const narrow = rule({ emailDomain: "example.com", country: ["DE", "FR"] });
  test.each([
    ["alice@example.com", "DE", true],
    ["alice@example.com", "US", false],
    ["alice@example.com", undefined, false],
    ["alice@other.com", "DE", false],
  ])("%s from %s: %s", (email, country, expected) => {
    expect(groups(identify(claims(email, { country }), [narrow])) !== undefined).toBe(expected);
  });

  test("groups and posture are what Access says, not what a claim of that name says", () => {
    const rules = [rule({ group: "sre", posture: "disk encrypted" })];
    const details = { groups: ["sre"], posture: ["disk encrypted"] };
    expect(groups(identify(claims("a@b.c"), rules, details))).toEqual(["matched"]);
    expect(groups(identify(claims("a@b.c"), rules, { ...details, posture: [] }))).toBeUndefined();
    expect(groups(identify(claims("a@b.c", { groups: ["sre"], posture: ["disk encrypted"] }), rules))).toBeUndefined();
  });
});

describe("a user name from a template", () => {
  const named = (user: string, who: Subject) => {
    const identified = identify(who, [rule({ emailDomain: "example.com" }, "g", { user })]);
    return identified.ok ? identified.identity.user : identified.refusal.message;
  };
  test.each([
    ["{email.local}", "alice"],
    ["corp:{email}", "corp:alice@example.com"],
    ["{custom.employee}", "e-17"],
    ["{sub}-{custom.employee}", "uid-1-e-17"],
    ["alice", "alice"],
  ])("%s: %s", (template, expected) => {
    expect(named(template, claims("Alice@example.com", { custom: { employee: "e-17" } }))).toBe(expected);
  });

  test("with a claim that the token lacks, or that is no text, is nobody's", () => {
    expect(named("{custom.employee}", claims("a@example.com"))).toContain("lacks a claim");
    expect(named("{custom.employee}", claims("a@example.com", { custom: { employee: ["x"] } }))).toContain(
      "lacks a claim",
    );
    expect(named("{__proto__}x", claims("a@example.com"))).toContain("lacks a claim");
  });

  test("never becomes one that Kubernetes reserves, unless the rule spells it", () => {
    expect(named("{custom.name}", claims("a@example.com", { custom: { name: "system:admin" } }))).toContain("reserves");
    expect(named("system:{custom.name}", claims("a@example.com", { custom: { name: "admin" } }))).toContain("reserves");
    expect(named("system:admin", claims("a@example.com"))).toBe("system:admin");
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
