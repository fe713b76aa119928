import { describe, expect, test } from "vitest";
import { loadConfig } from "../../worker/config/load.ts";
import { impersonationOf, readActingIdentity } from "../../worker/policy/acting.ts";
import type { Identity } from "../../worker/policy/identify.ts";
import { Random, seedOfRun } from "../support/random.ts";

const ALICE: Identity = {
  name: "alice@example.com",
  uid: "uid-alice",
  user: "alice",
  groups: ["developers", "on-call"],
  extra: { team: ["core"] },
  mayImpersonate: { users: [], groups: [] },
  roles: [],
  limits: {},
  recording: {},
  rule: 0,
};
const SUPPORT: Identity = { ...ALICE, mayImpersonate: { users: ["bob", "ci-trial"], groups: ["viewers"] } };

function act(identity: Identity, user: string | undefined, ...groups: string[]) {
  const headers = new Headers();
  if (user !== undefined) headers.append("Impersonate-User", user);
  for (const group of groups) headers.append("Impersonate-Group", group);
  return readActingIdentity(identity, headers);
}

/** The identity that reaches the cluster. */
function sent(identity: Identity, user: string | undefined, ...groups: string[]) {
  const acting = act(identity, user, ...groups);
  if (!acting.ok) throw new Error(acting.error.message);
  return impersonationOf(identity, acting.value);
}

const refused = (message: string | RegExp) => ({
  ok: false,
  error: { code: "impersonation", message: expect.stringMatching(message) },
});

describe("without --as", () => {
  test("the cluster sees one's own user and all groups", () => {
    const { user, groups, uid, extra } = ALICE;
    expect(sent(ALICE, undefined)).toEqual({ user, groups, uid, extra });
    expect(sent(SUPPORT, undefined)).toEqual({ user, groups, uid, extra });
  });
});

describe("fewer rights: one's own user", () => {
  test("has only the groups that are named", () => {
    expect(sent(ALICE, "alice", "on-call")).toEqual({
      ...{ user: "alice", groups: ["on-call"] },
      ...{ uid: "uid-alice", extra: { team: ["core"] } },
    });
  });

  test("has no group if none is named", () => {
    expect(sent(ALICE, "alice").groups).toEqual([]);
  });

  test("has each group once", () => {
    expect(sent(ALICE, "alice", "on-call", "developers", "on-call").groups).toEqual(["on-call", "developers"]);
  });

  test.each([
    ["another's", ["admins"]],
    ["one's own and another's", ["developers", "admins"]],
    ["cluster administrators'", ["system:masters"]],
    ["in another case", ["Developers"]],
    ["with the bytes of a Cyrillic о", ["\u00d0\u00ben-call"]],
    ["a part of one", ["develop"]],
    ["a pattern", ["*"]],
    ["what every object has", ["__proto__"]],
    ["two of one's own, said with too much space", ["developers,  on-call"]],
    ["one's own with a no-break space", ["\u00a0developers"]],
    ["one's own after a tab", ["developers,\ton-call"]],
  ])("does not have a group that is not one's own: %s", (_, groups) => {
    expect(act(ALICE, "alice", ...groups)).toEqual(refused(/--as-group takes developers or on-call$/));
  });

  test("of somebody without groups has none to choose from", () => {
    expect(act({ ...ALICE, groups: [] }, "alice", "x")).toEqual(refused(/leave --as-group out$/));
    expect(sent({ ...ALICE, groups: [] }, "alice").groups).toEqual([]);
  });

  test("is written exactly", () => {
    for (const user of [
      "Alice",
      "ALICE",
      "alice@example.com",
      "bob",
      "*",
      "alic\u00d0\u00b5",
      "\u00a0alice",
      "alice\u00ad",
    ]) {
      expect(act(ALICE, user)).toEqual(refused(/--as takes alice$/));
    }
  });
});

describe("groups whose names have a comma", () => {
  const comma = { ...ALICE, groups: ["developers", "on-call", "developers,on-call"] };

  test("could be read as others, so that several cannot be chosen", () => {
    expect(act(comma, "alice", "developers,on-call")).toEqual(refused(/cannot be told apart/));
    expect(act(comma, "alice", "developers", "on-call")).toEqual(refused(/cannot be told apart/));
  });

  test("do not stand in the way of one other", () => {
    expect(sent(comma, "alice", "on-call").groups).toEqual(["on-call"]);
    expect(sent(comma, "alice").groups).toEqual([]);
  });
});

describe("another identity", () => {
  test("has neither the person's uid, extras nor groups, and names the person in the cluster's audit log", () => {
    const extra = { "sallyport-user": ["alice@example.com"] };
    expect(sent(SUPPORT, "bob")).toEqual({ user: "bob", groups: [], extra });
    expect(sent(SUPPORT, "ci-trial", "viewers")).toEqual({ user: "ci-trial", groups: ["viewers"], extra });
  });

  test("does not have the person's own groups", () => {
    expect(act(SUPPORT, "bob", "developers")).toEqual(refused(/--as-group takes viewers$/));
    expect(act(SUPPORT, "bob", "viewers", "developers")).toEqual(refused(/--as-group takes viewers$/));
  });

  test("may be one's own user with another group, beside one's own", () => {
    expect(sent(SUPPORT, "alice", "viewers", "on-call")).toMatchObject({
      ...{ user: "alice", groups: ["viewers", "on-call"], uid: "uid-alice" },
    });
  });

  test("is one of the names, exactly; all others are refused", () => {
    for (const user of ["carol", "Bob", "bo", "bob@example.com", "system:admin", "system:serviceaccount:demo:bot"]) {
      expect(act(SUPPORT, user)).toEqual(refused(/--as takes alice, bob or ci-trial$/));
    }
    expect(act(SUPPORT, "bob", "system:masters")).toEqual(refused(/--as-group takes viewers$/));
  });

  test("is nobody's by default", () => {
    expect(act(ALICE, "bob")).toEqual(refused(/--as takes alice$/));
  });

  test("lists 20 names at most in a message", () => {
    const groups = Array.from({ length: 30 }, (_, index) => `g${index}`);
    expect(act({ ...ALICE, groups }, "alice", "x")).toEqual(refused(/g18, g19 or one of 10 more$/));
  });
});

test("whatever the headers are, nobody is anybody, or in any group, that is not theirs", () => {
  const seed = seedOfRun();
  const random = new Random(seed);
  const parts = ["alice", "bob", "ci-trial", "developers", "on-call", "viewers", "system:masters", "admins", "Alice"];
  const glue = ["", ",", ", ", " ", ",,", "\t", "\u00a0", "*", "%2C", "-"];
  const text = () => Array.from({ length: 1 + random.below(3) }, () => random.pick(parts) + random.pick(glue)).join("");
  const names = ["Impersonate-User", "impersonate-group", "Impersonate-Group", "Impersonate_User", "Impersonate-Uid"];
  let accepted = 0;
  for (let n = 0; n < 20_000; n++) {
    const headers = new Headers({ "Impersonate-User": random.chance(0.25) ? text() : random.pick(parts) });
    for (let lines = random.below(4); lines > 0; lines--) {
      headers.append(random.chance(0.1) ? random.pick(names) : "Impersonate-Group", text());
    }
    const acting = readActingIdentity(SUPPORT, headers);
    if (!acting.ok || acting.value === undefined) continue;
    accepted++;
    const { user, groups } = acting.value;
    const own = user === SUPPORT.user ? SUPPORT.groups : [];
    expect([SUPPORT.user, ...SUPPORT.mayImpersonate.users], `SALLYPORT_SEED=${seed}`).toContain(user);
    for (const group of groups) {
      expect([...own, ...SUPPORT.mayImpersonate.groups], `SALLYPORT_SEED=${seed}`).toContain(group);
      expect(headers.get("Impersonate-Group"), `SALLYPORT_SEED=${seed}`).toContain(group);
    }
  }
  expect(accepted).toBeGreaterThan(500);
});

describe("mayImpersonate in the configuration", () => {
  const load = (mayImpersonate: unknown) =>
    loadConfig({
      access: { teamDomain: "https://t.cloudflareaccess.com", audiences: ["a"] },
      cluster: "prod",
      identities: [{ match: { email: "alice@example.com" }, mayImpersonate }],
    }).identities[0]?.mayImpersonate;

  test("has exact names", () => {
    expect(load({ users: ["bob@example.com"] })).toEqual({ users: ["bob@example.com"], groups: [] });
    expect(load({ groups: ["viewers"] })).toEqual({ users: [], groups: ["viewers"] });
    expect(load(undefined)).toEqual({ users: [], groups: [] });
  });

  test.each([
    ["system:masters"],
    ["system:serviceaccount:demo:bot"],
    ["system:serviceaccounts"],
    ["system:nodes"],
    ["system:node:n1"],
    ["system:kube-controller-manager"],
    ["system:unauthenticated"],
  ])("does not start with a reserved name: %s", (name) => {
    expect(() => load({ users: [name] })).toThrow(/Kubernetes reserves names that begin with system:/);
    expect(() => load({ groups: ["viewers", name] })).toThrow(/Kubernetes reserves names that begin with system:/);
  });

  test.each(["*", "dev-*", "{email}", "a,b"])("does not start with a pattern, a placeholder or a list: %s", (name) => {
    expect(() => load({ users: [name] })).toThrow(/must be an exact name/);
    expect(() => load({ groups: [name] })).toThrow(/must be an exact name/);
  });

  test.each([[{}], [{ users: [] }], [{ users: ["a b"] }], [{ users: [""] }], [{ user: ["bob"] }], [{ users: "bob" }]])(
    "does not start with %j",
    (value) => {
      expect(() => load(value)).toThrow(/SALLYPORT_CONFIG is not valid/);
    },
  );
});
