/** Whether two accounts are one person, who must not approve what they have asked for themselves. */
import { describe, expect, it } from "vitest";
import { isSamePerson } from "../../../contract/access.ts";
import { readSubject } from "../../../worker/access/authenticate.ts";
import { loadConfig } from "../../../worker/config/load.ts";
import type { Config, ConfigInput } from "../../../worker/config/schema.ts";
import { decidingPerson } from "../../../worker/policy/approvals.ts";
import { identify } from "../../../worker/policy/identify.ts";

type Rules = NonNullable<ConfigInput["identities"]>;
type Match = Rules[number]["match"];

const ALICE = { email: "alice@example.com" };
/** Another account that may be Alice's. */
const ADMIN = { email: "alice-admin@example.com" };
const MANAGED: Match = { posture: "managed" };
const HOME: Match = { country: ["DE"] };

function configOf(identities: Rules, ofCluster?: Rules): Config {
  return loadConfig({
    access: { teamDomain: "https://team.cloudflareaccess.com", audiences: ["aud"] },
    clusters: [
      { name: "one", hostnames: ["one.example.com"], binding: "KUBE_ONE" },
      { name: "two", hostnames: ["two.example.com"], binding: "KUBE_TWO", ...(ofCluster && { identities: ofCluster }) },
    ],
    identities,
  });
}

/** Somebody on a device that no check has passed, abroad. */
function personOf({ email }: { email: string }, config: Config) {
  const claims = { type: "app", sub: `sub of ${email}`, exp: 2_000_000_000, aud: ["aud"], country: "FR", email };
  const subject = readSubject(claims);
  if (!subject.ok) throw new Error(subject.error.message);
  const accessIdentity = { groups: [], groupNames: [], posture: [], country: "FR" };
  const identity = identify(subject.value, accessIdentity, config.identities);
  if (!identity.ok) throw new Error(identity.error.message);
  return decidingPerson({ subject: subject.value, accessIdentity, identity: identity.value }, config);
}

const areOne = (config: Config) => isSamePerson(personOf(ALICE, config), personOf(ADMIN, config));

/** Both accounts have rules of their own, and are `ops` where the match holds. */
const opsWhere = (match: Match): Rules => [
  { match: { ...ALICE, ...match }, user: "ops" },
  { match: ALICE },
  { match: { ...ADMIN, ...match }, user: "ops" },
  { match: ADMIN },
];
const EACH_BY_EMAIL: Rules = [{ match: ALICE }, { match: ADMIN }];

describe("two accounts are one person that could be one Kubernetes user", () => {
  it.each<[string, Config]>([
    ["on a managed device, while they ask and decide from another", configOf(opsWhere(MANAGED))],
    ["in a country, while they ask and decide abroad", configOf(opsWhere(HOME))],
    ["at a cluster with identities of its own, too", configOf(EACH_BY_EMAIL, opsWhere(MANAGED))],
    [
      "by a rule after one that needs a device",
      configOf([
        { match: { ...ALICE, ...MANAGED }, user: "a" },
        { match: { emailDomain: "example.com" }, user: "ops" },
      ]),
    ],
  ])("%s", (_, config) => {
    expect(areOne(config)).toBe(true);
  });
});

describe("two accounts stay two people", () => {
  it.each<[string, Config]>([
    [
      "whose device gives each a user of their own",
      configOf([
        { match: { emailDomain: "example.com", ...MANAGED }, user: "managed-{email.local}" },
        { match: { emailDomain: "example.com" } },
      ]),
    ],
    [
      "one of whom alone may be the other user",
      configOf([{ match: { ...ALICE, ...MANAGED }, user: "ops" }, ...EACH_BY_EMAIL]),
    ],
    [
      "where the rule with their common user follows one that matches each of them everywhere",
      configOf([...EACH_BY_EMAIL, { match: { emailDomain: "example.com", ...MANAGED }, user: "ops" }]),
    ],
    [
      "where a claim that neither has would make the user",
      configOf([{ match: { emailDomain: "example.com", ...MANAGED }, user: "{custom.team}" }, ...EACH_BY_EMAIL]),
    ],
  ])("%s", (_, config) => {
    expect(areOne(config)).toBe(false);
  });
});
