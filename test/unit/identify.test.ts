import { describe, expect, test } from "vitest";
import type { Result } from "../../common/result.ts";
import type { AccessIdentity } from "../../worker/access/access-identity.ts";
import type { Subject } from "../../worker/access/subject.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { IdentityRule } from "../../worker/config/schema.ts";
import type { Denial } from "../../worker/denials.ts";
import { createIdentifier, type Identity, identify as identifyWith } from "../../worker/policy/identify.ts";

type Match = IdentityRule["match"];

const NOTHING_KNOWN: AccessIdentity = { groups: [], groupNames: [], posture: [] };
const identify = (subject: Subject, rules: readonly IdentityRule[], accessIdentity = NOTHING_KNOWN) =>
  identifyWith(subject, accessIdentity, rules);

function rule(match: Match, group = "matched", more: Partial<IdentityRule> = {}): IdentityRule {
  const nothing = { roles: [], extra: {}, mayImpersonate: { users: [], groups: [] }, limits: {}, recording: {} };
  return { match, groups: [group], ...nothing, ...more };
}

/** A person's subject with any address; `authenticate` decides which addresses there can be. */
function claims(email: string, more: Record<string, unknown> = {}): Subject {
  const about = { name: email.toLowerCase(), email: email.toLowerCase(), commonName: undefined, sub: "uid-1" };
  return { ...about, expiresAt: 0, audiences: [], claims: { email, sub: "uid-1", ...more } };
}

/** The identity's groups, or undefined for a denial. */
function groups(identified: Result<Identity, Denial>): readonly string[] | undefined {
  return identified.ok ? identified.value.groups : undefined;
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
    // Looks the same, but begins with a Cyrillic а.
    ["alice@example.com", "аlice@example.com", false],
  ])("%s and %s: %s", (email, who, expected) => {
    expect(matches({ email }, claims(who))).toBe(expected);
  });
});

describe("an email domain", () => {
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

  test("is compared without regard to case", () => {
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
    ["differs in case", "groups", "sre", { groups: ["SRE"] }, false],
    ["is missing", "groups", "sre", {}, false],
    ["is null", "custom.groups", "sre", { custom: null }, false],
    ["is a property of a string", "custom.length", "3", { custom: "sre" }, false],
    ["is a number with the same digits", "level", "5", { level: 5 }, false],
    ["is a list within the list", "groups", "sre", { groups: [["sre"]] }, false],
    ["is an object with the value as a key", "groups", "sre", { groups: { sre: true } }, false],
  ])("that %s", (_, claim, value, more, expected) => {
    expect(matches({ claim, value }, claims("a@b.c", more as Record<string, unknown>))).toBe(expected);
  });

  test.each(["__proto__", "constructor", "constructor.name", "toString", "__proto__.polluted", "hasOwnProperty"])(
    "named like a property of every object (%s) is not found unless the token has it",
    (claim) => {
      expect(matches({ claim, value: "Object" }, claims("a@b.c"))).toBe(false);
    },
  );
});

describe("several rules", () => {
  const rules = [
    rule({ email: "alice@example.com" }, "first", { user: "alice", roles: ["admin"], recording: { mode: "full" } }),
    rule({ claim: "groups", value: "sre" }, "second"),
    rule({ emailDomain: "example.com" }, "third"),
  ];

  test("the first match decides alone: groups and roles of later rules are not added", () => {
    const alice = identify(claims("alice@example.com", { groups: ["sre"] }), rules);
    expect(alice).toEqual({
      ok: true,
      value: {
        ...{ name: "alice@example.com", uid: "uid-1", user: "alice", groups: ["first"], roles: ["admin"] },
        ...{ extra: {}, mayImpersonate: { users: [], groups: [] }, limits: {}, recording: { mode: "full" }, rule: 0 },
      },
    });
    expect(groups(identify(claims("bob@example.com", { groups: ["sre"] }), rules))).toEqual(["second"]);
    expect(groups(identify(claims("carol@example.com"), rules))).toEqual(["third"]);
  });

  test("the user is the email address if the rule names none", () => {
    const bob = identify(claims("bob@example.com"), rules);
    expect(bob.ok && bob.value.user).toBe("bob@example.com");
  });

  test("without a match the denial says whom to ask", () => {
    expect(identify(claims("mallory@elsewhere.example"), rules)).toEqual({
      ok: false,
      error: {
        code: "no_identity",
        message: "no rule here gives mallory@elsewhere.example access: ask your administrator to add one",
      },
    });
  });

  test("without any rule nobody is identified", () => {
    expect(groups(identify(claims("alice@example.com"), []))).toBeUndefined();
  });
});

describe("remembered answers", () => {
  const COUNTRY_UNREAD = () => expect.unreachable("no rule asks for the country");

  test("are of one subject, what Access says of it, and one list of rules", () => {
    const identifyAgain = createIdentifier();
    const rules = [rule({ group: "sre" }, "by-group"), rule({ emailDomain: "example.com" }, "by-domain")];
    const [alice, sameAddress] = [claims("alice@example.com"), claims("alice@example.com")];
    const inSre = { ...NOTHING_KNOWN, groups: ["sre"] };
    const first = identifyAgain(alice, inSre, rules, COUNTRY_UNREAD);
    expect(groups(first)).toEqual(["by-group"]);
    expect(identifyAgain(alice, inSre, rules, COUNTRY_UNREAD)).toBe(first);
    // Somebody who has left the group, or asks another cluster, does not keep what they were.
    expect(groups(identifyAgain(alice, NOTHING_KNOWN, rules, COUNTRY_UNREAD))).toEqual(["by-domain"]);
    expect(groups(identifyAgain(alice, inSre, [rule({ email: "bob@example.com" })], COUNTRY_UNREAD))).toBeUndefined();
    expect(groups(identifyAgain(sameAddress, NOTHING_KNOWN, rules, COUNTRY_UNREAD))).toEqual(["by-domain"]);
    expect(groups(identifyAgain(claims("mallory@elsewhere.example"), inSre, rules.slice(1), COUNTRY_UNREAD))).toBe(
      undefined,
    );
  });

  test("are of no rules that ask where each request comes from", () => {
    const identifyAgain = createIdentifier();
    const rules = [rule({ emailDomain: "example.com", country: ["DE"] })];
    const alice = claims("alice@example.com", { country: "DE" });
    const from = (country: string) => identifyAgain(alice, NOTHING_KNOWN, rules, () => country).ok;
    expect([from("DE"), from("US"), from("DE")]).toEqual([true, false, true]);
  });
});

describe("a service token", () => {
  const ci: Subject = {
    ...{ name: "service:ci.access", email: undefined, commonName: "ci.access", sub: "", expiresAt: 0, audiences: [] },
    claims: { common_name: "ci.access" },
  };

  test("is identified by its common name, without a uid", () => {
    expect(identify(ci, [rule({ serviceToken: "ci.access" }, "deployers")])).toMatchObject({
      value: { name: "service:ci.access", user: "service:ci.access", uid: undefined, groups: ["deployers"] },
    });
  });

  test("matches no rule for people, and no person matches its rule", () => {
    expect(groups(identify(ci, [rule({ emailDomain: "access" }), rule({ email: "ci.access" })]))).toBeUndefined();
    const person = claims("a@b.c", { common_name: "ci.access" });
    expect(groups(identify(person, [rule({ serviceToken: "ci.access" })]))).toBeUndefined();
  });
});

describe("a rule with several conditions", () => {
  const narrow = rule({ emailDomain: "example.com", country: ["DE", "FR"] });
  test.each([
    ["alice@example.com", "DE", true],
    ["alice@example.com", "US", false],
    ["alice@example.com", undefined, false],
    ["alice@other.com", "DE", false],
  ])("%s from %s: %s", (email, country, expected) => {
    expect(groups(identify(claims(email, { country }), [narrow])) !== undefined).toBe(expected);
  });

  test("groups and posture come from Access, not from a claim of the same name", () => {
    const rules = [rule({ group: "sre", posture: "disk encrypted" })];
    const accessIdentity = { groups: ["sre"], groupNames: [], posture: ["disk encrypted"] };
    expect(groups(identify(claims("a@b.c"), rules, accessIdentity))).toEqual(["matched"]);
    expect(groups(identify(claims("a@b.c"), rules, { ...accessIdentity, posture: [] }))).toBeUndefined();
    expect(groups(identify(claims("a@b.c", { groups: ["sre"], posture: ["disk encrypted"] }), rules))).toBeUndefined();
  });
});

describe("a group", () => {
  const known = { groups: ["id-1"], groupNames: ["sre", "sre@example.com"], posture: [] };
  test.each<[IdentityRule["match"], boolean]>([
    [{ group: "id-1" }, true],
    [{ groupName: "sre" }, true],
    [{ groupName: "sre@example.com" }, true],
    [{ group: "sre" }, false],
    [{ group: "sre@example.com" }, false],
    [{ groupName: "id-1" }, false],
    [{ group: "id-1", groupName: "other" }, false],
  ])("is matched by its id, or by its name where the rule says so: %j: %s", (match, expected) => {
    expect(groups(identify(claims("a@b.c"), [rule(match)], known)) !== undefined).toBe(expected);
  });

  test("that is named like the id of another is not that one", () => {
    const named = { groups: ["id-2"], groupNames: ["id-1"], posture: [] };
    expect(groups(identify(claims("a@b.c"), [rule({ group: "id-1" })], named))).toBeUndefined();
  });
});

describe("a user name from a template", () => {
  const named = (user: string, who: Subject) => {
    const identified = identify(who, [rule({ emailDomain: "example.com" }, "g", { user })]);
    return identified.ok ? identified.value.user : identified.error.message;
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

  test("is denied if a claim is missing or not a string", () => {
    expect(named("{custom.employee}", claims("a@example.com"))).toContain("lacks a claim");
    expect(named("{custom.employee}", claims("a@example.com", { custom: { employee: ["x"] } }))).toContain(
      "lacks a claim",
    );
    expect(named("{__proto__}x", claims("a@example.com"))).toContain("lacks a claim");
  });

  test("is denied if it becomes a reserved name that the rule does not contain literally", () => {
    expect(named("{custom.name}", claims("a@example.com", { custom: { name: "system:admin" } }))).toContain("reserves");
    expect(named("system:{custom.name}", claims("a@example.com", { custom: { name: "admin" } }))).toContain("reserves");
    expect(named("system:admin", claims("a@example.com"))).toBe("system:admin");
  });
});

test("rules as the configuration loads them are understood", () => {
  const { identities } = loadConfig({
    access: { teamDomain: "https://t.cloudflareaccess.com", audiences: ["a"] },
    cluster: "c",
    identities: [{ match: { emailDomain: "EXAMPLE.com" }, groups: ["dev"] }],
  });
  expect(groups(identify(claims("a@example.com"), identities))).toEqual(["dev"]);
});
