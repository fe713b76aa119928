import { describe, expect, test } from "vitest";
import { ConfigError, loadConfig } from "../../worker/config/load.ts";

const VALID = {
  access: { teamDomain: "https://team.cloudflareaccess.com", audiences: ["aud"] },
  cluster: "prod",
  identities: [{ match: { email: "alice@example.com" }, groups: ["developers"] }],
};

/** The error of a document that differs from the valid one. */
function fault(change: Record<string, unknown>): string {
  try {
    loadConfig({ ...VALID, ...change });
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error("the configuration was accepted");
}

const withRule = (rule: unknown) => ({ identities: [...VALID.identities, rule] });

describe("a valid configuration", () => {
  test("gets the defaults for what it leaves out", () => {
    const identity = {
      ...{ match: { email: "alice@example.com" }, groups: ["developers"] },
      ...{ roles: [], extra: {}, limits: {}, recording: {} },
    };
    const cluster = {
      name: "prod",
      hostnames: [],
      binding: "KUBE_API",
      locationHint: null,
      identities: [identity],
      rules: [],
    };
    expect(loadConfig(VALID)).toEqual({
      access: { ...VALID.access, groups: { claim: "custom.groups" } },
      clusters: [cluster],
      identities: [identity],
      limits: {
        ...{ maxSessionsPerUser: 6, idleTimeoutSeconds: 1_800, maxDurationSeconds: 28_800, stallTimeoutSeconds: 30 },
        endWithToken: false,
      },
      audit: {
        ...{ onOutage: "buffer", maxQueuedEvents: 5_000 },
        requests: {
          precursors: { record: true, except: [] },
          secretReads: { record: true, resources: ["secrets", "secrets/*", "secrets.*"], except: [] },
          mutations: {
            record: true,
            except: [
              {
                resources: ["leases.coordination.k8s.io", "events", "events.events.k8s.io"],
                verbs: ["create", "update", "patch"],
              },
            ],
          },
        },
      },
      recording: { mode: "output", onFailure: "continue", onFull: "continue", maxBytes: 67_108_864 },
      export: { prefix: "" },
    });
  });

  test("is the same as an object and as its text", () => {
    expect(loadConfig(JSON.stringify(VALID))).toEqual(loadConfig(VALID));
  });

  test.each(["http://127.0.0.1:8787", "http://localhost:8787", "http://[::1]:1"])(
    "may name %s as its Access",
    (teamDomain) => {
      expect(loadConfig({ ...VALID, access: { ...VALID.access, teamDomain } }).access.teamDomain).toBe(teamDomain);
    },
  );

  test.each([
    [{ maxSessionsPerUser: 1, idleTimeoutSeconds: 1, maxDurationSeconds: 1, stallTimeoutSeconds: 1 }],
    [{ maxSessionsPerUser: 50, idleTimeoutSeconds: 14_400, maxDurationSeconds: 86_400, stallTimeoutSeconds: 120 }],
  ])("may have limits at the edge: %o", (limits) => {
    expect(loadConfig({ ...VALID, limits }).limits).toMatchObject(limits);
  });
});

test("a rule may say in place of the usual, field by field, and only what the document may say", () => {
  const rule = {
    match: { email: "alice@example.com" },
    limits: { maxSessionsPerUser: 1 },
    recording: { mode: "full" },
  };
  const [identity] = loadConfig({ ...VALID, identities: [rule] }).identities;
  expect(identity).toMatchObject({ limits: { maxSessionsPerUser: 1 }, recording: { mode: "full" } });
  for (const fault of [{ recording: { mod: "off" } }, { recording: { mode: "none" } }, { limits: { idle: 1 } }]) {
    expect(() => loadConfig({ ...VALID, identities: [{ ...rule, ...fault }] })).toThrow(/identities\[0\]/);
  }
});

describe("a configuration is refused with the place of the fault", () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ["an unknown field", { idleTimeoutSeconds: 5 }, /idleTimeoutSeconds/],
    ["an unknown field within", { limits: { idleTimeoutSecond: 5 } }, /idleTimeoutSecond[\s\S]*limits/],
    [
      "an unknown field of a rule",
      withRule({ match: { email: "b@c.de" }, group: ["x"] }),
      /group[\s\S]*identities\[1\]/,
    ],
    ["a rule that only narrows", withRule({ match: { country: ["DE"] } }), /identities\[1\]\.match/],
    [
      "a service token with a domain",
      withRule({ match: { serviceToken: "x", emailDomain: "c.de" } }),
      /identities\[1\]/,
    ],
    ["a value without a claim", withRule({ match: { emailDomain: "c.de", value: "x" } }), /identities\[1\]\.match/],
    ["a country in words", withRule({ match: { emailDomain: "c.de", country: ["Germany"] } }), /country\[0\]/],
    [
      "a template with half a brace",
      withRule({ match: { emailDomain: "c.de" }, user: "{email" }),
      /identities\[1\]\.user/,
    ],
    ["empty braces", withRule({ match: { emailDomain: "c.de" }, user: "a{}" }), /identities\[1\]\.user/],
    [
      "a local part of any domain",
      withRule({ match: { claim: "a", value: "b" }, user: "{email.local}" }),
      /one user[\s\S]*identities\[1\]\.user/,
    ],
    ["our own extra", withRule({ match: { emailDomain: "c.de" }, extra: { "sallyport-session": ["x"] } }), /extra/],
    ["an extra in capitals", withRule({ match: { emailDomain: "c.de" }, extra: { Team: ["x"] } }), /extra/],
    [
      "a cluster and clusters",
      { clusters: [{ name: "a", hostnames: ["a"], binding: "A" }] },
      /either cluster or clusters/,
    ],
    [
      "two clusters of one host",
      { cluster: undefined, clusters: ["a", "b"].map((name) => ({ name, hostnames: ["x"], binding: "A" })) },
      /clusters\[1\] has a hostname/,
    ],
    [
      "a role that one cluster gives",
      {
        cluster: undefined,
        clusters: [
          {
            ...{ name: "a", hostnames: ["x"], binding: "A" },
            identities: [{ match: { emailDomain: "c.de" }, roles: ["admin"] }],
          },
        ],
      },
      /roles are for[\s\S]*clusters\[0\]\.identities/,
    ],
    ["a rule that looks at nothing", withRule({ match: {} }), /identities\[1\]\.match/],
    ["a claim without a value", withRule({ match: { claim: "groups" } }), /identities\[1\]\.match/],
    ["an empty value", withRule({ match: { claim: "groups", value: " " } }), /identities\[1\]\.match/],
    ["an address that is none", withRule({ match: { email: "everybody" } }), /identities\[1\]\.match/],
    ["a domain with an @", withRule({ match: { emailDomain: "@example.com" } }), /identities\[1\]\.match/],
    ["a whole top-level domain", withRule({ match: { emailDomain: "com" } }), /identities\[1\]\.match/],
    [
      "a reserved group behind a space",
      withRule({ match: { emailDomain: "c.de" }, groups: [" system:masters"] }),
      /identities\[1\]\.groups\[0\]/,
    ],
    [
      "two groups in one name",
      withRule({ match: { emailDomain: "c.de" }, groups: ["a, b"] }),
      /identities\[1\]\.groups\[0\]/,
    ],
    [
      "a group with a line break",
      withRule({ match: { emailDomain: "c.de" }, groups: ["a\r\nb"] }),
      /identities\[1\]\.groups\[0\]/,
    ],
    [
      "a group beyond ASCII",
      withRule({ match: { emailDomain: "c.de" }, groups: ["größe"] }),
      /identities\[1\]\.groups\[0\]/,
    ],
    ["an empty group", withRule({ match: { emailDomain: "c.de" }, groups: [""] }), /identities\[1\]\.groups\[0\]/],
    ["an unknown role", withRule({ match: { emailDomain: "c.de" }, roles: ["root"] }), /identities\[1\]\.roles\[0\]/],
    ["no rule at all", { identities: [] }, /identities/],
    [
      "an audience of administrators whose tokens are not taken",
      { access: { ...VALID.access, adminAudiences: ["aud", "admin-app"] } },
      /access\.adminAudiences\[1\]/,
    ],
    ["no audience", { access: { ...VALID.access, audiences: [] } }, /access\.audiences/],
    ["an empty audience", { access: { ...VALID.access, audiences: [""] } }, /access\.audiences\[0\]/],
    [
      "an Access over plain HTTP",
      { access: { ...VALID.access, teamDomain: "http://team.cloudflareaccess.com" } },
      /must be https[\s\S]*access\.teamDomain/,
    ],
    [
      "a host that begins like loopback",
      { access: { ...VALID.access, teamDomain: "http://127.0.0.1.evil.example" } },
      /access\.teamDomain/,
    ],
    [
      "loopback as somebody's user name",
      { access: { ...VALID.access, teamDomain: "http://localhost:1@evil.example" } },
      /access\.teamDomain/,
    ],
    [
      "a slash at the end",
      { access: { ...VALID.access, teamDomain: "https://team.cloudflareaccess.com/" } },
      /must not end with a slash[\s\S]*access\.teamDomain/,
    ],
    ["no cluster", { cluster: "" }, /cluster/],
    ["no limit at all", { limits: { maxSessionsPerUser: 0 } }, /limits\.maxSessionsPerUser/],
    ["one session too many", { limits: { maxSessionsPerUser: 51 } }, /limits\.maxSessionsPerUser/],
    ["a time limit of nothing", { limits: { idleTimeoutSeconds: 0 } }, /limits\.idleTimeoutSeconds/],
    ["a second too many", { limits: { idleTimeoutSeconds: 14_401 } }, /limits\.idleTimeoutSeconds/],
    ["a day and a second", { limits: { maxDurationSeconds: 86_401 } }, /limits\.maxDurationSeconds/],
    ["a limit as text", { limits: { maxDurationSeconds: "3600" } }, /limits\.maxDurationSeconds/],
    ["an unknown way to meet an outage", { audit: { onOutage: "ignore" } }, /audit\.onOutage/],
    ["a queue of next to nothing", { audit: { maxQueuedEvents: 9 } }, /audit\.maxQueuedEvents/],
    ["tokens off the record", { audit: { requests: { tokens: { record: false } } } }, /tokens[\s\S]*audit\.requests/],
    ["denials off the record", { audit: { requests: { denied: false } } }, /denied[\s\S]*audit\.requests/],
    [
      "an exception from everything",
      { audit: { requests: { mutations: { except: [{}] } } } },
      /name what is excepted[\s\S]*except\[0\]/,
    ],
    [
      "an exception of sessions, which have a record of their own",
      { audit: { requests: { mutations: { except: [{ kinds: ["exec"] }] } } } },
      /kinds[\s\S]*except\[0\]/,
    ],
    ["no secrets at all", { audit: { requests: { secretReads: { resources: [] } } } }, /secretReads\.resources/],
    ["half a second", { limits: { idleTimeoutSeconds: 0.5 } }, /limits\.idleTimeoutSeconds/],
  ])("%s", (_, change, place) => {
    expect(fault(change)).toMatch(place);
  });

  test("a rule that can never match, as it stands above it already", () => {
    const message = fault(withRule({ match: { email: "Alice@Example.com" }, groups: ["admins"] }));
    expect(message).toContain("identities[1] can never match: identities[0] has the same match");
    const domain = { match: { emailDomain: "example.com" }, groups: ["staff"] };
    const person = { match: { email: "carol@example.com" }, groups: ["admins"] };
    expect(fault({ identities: [domain, person] })).toContain(
      "identities[1] can never match: identities[0] matches all that it does",
    );
  });

  test("a rule that narrows stays reachable below one that does not cover it", () => {
    const narrow = { match: { emailDomain: "example.com", country: ["DE"] } };
    const wide = { match: { emailDomain: "example.com" } };
    expect(() => loadConfig({ ...VALID, identities: [narrow, wide] })).not.toThrow();
    expect(fault({ identities: [wide, narrow] })).toContain("identities[1] can never match");
  });

  test("names that Kubernetes reserves are the administrator's to give, with a warning", () => {
    const warned: string[] = [];
    const rule = { match: { email: "root@example.com" }, user: "system:admin", groups: ["system:masters"] };
    loadConfig({ ...VALID, ...withRule(rule) }, (words) => warned.push(words));
    expect(warned).toEqual(
      ["system:admin", "system:masters"].map((name) =>
        expect.stringContaining(`identities[1] of cluster prod gives ${name}`),
      ),
    );
  });

  test("claims are compared with their case, so that rules which differ in it are two", () => {
    const rules = ["Ops", "ops"].map((value) => ({ match: { claim: "custom.groups", value }, groups: ["ops"] }));
    expect(() => fault({ identities: rules })).toThrow();
  });

  test.each([
    [undefined, "SALLYPORT_CONFIG is not set"],
    ["", "SALLYPORT_CONFIG is not set"],
    ["{", "SALLYPORT_CONFIG is not valid JSON"],
  ])("nothing, or no JSON: %j", (value, message) => {
    expect(() => loadConfig(value)).toThrow(new ConfigError(message));
  });

  test.each([null, [], 5, "null", "[]", '"text"'])("something that is no document: %j", (value) => {
    expect(() => loadConfig(value)).toThrow(ConfigError);
  });

  test("without quoting a text that may be a secret", () => {
    expect(() => loadConfig('{"access": hunter2')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining("hunter2") }),
    );
  });

  test("every fault at once, for the operator to mend in one go", () => {
    const message = fault({ cluster: "", limits: { maxSessionsPerUser: 0 } });
    expect(message).toMatch(/cluster/);
    expect(message).toMatch(/limits\.maxSessionsPerUser/);
  });
});
