import { describe, expect, test } from "vitest";
import { SIDECAR_ADDRESS } from "../../contract/upstream.ts";
import { ConfigError, loadConfig } from "../../worker/config/load.ts";
import { describeReservedName, type ReservedName } from "../../worker/config/reserved-names.ts";

const VALID = {
  access: { teamDomain: "https://team.cloudflareaccess.com", audiences: ["aud"] },
  cluster: "prod",
  identities: [{ match: { email: "alice@example.com" }, groups: ["developers"] }],
};

/** The error message for the valid document with these changes. */
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
  test("gets defaults for fields that are left out", () => {
    const identity = {
      ...{ match: { email: "alice@example.com" }, groups: ["developers"] },
      ...{ roles: [], extra: {}, mayImpersonate: { users: [], groups: [] }, limits: {}, recording: {} },
    };
    const cluster = {
      name: "prod",
      hostnames: [],
      binding: "KUBE_API",
      upstream: { transport: "auto", tcpBinding: null, address: "127.0.0.1:8001" },
      locationHint: null,
      identities: [identity],
      rules: [],
    };
    expect(loadConfig(VALID)).toEqual({
      access: { ...VALID.access, groups: { claim: "custom.groups" }, managedOAuth: false },
      clusters: [cluster],
      identities: [identity],
      grants: [],
      limits: {
        ...{ maxSessionsPerUser: 6, idleTimeoutSeconds: 1_800, maxDurationSeconds: 28_800 },
        ...{ stallTimeoutSeconds: 3_600, maxBufferedStdinBytes: 268_435_456, endWithToken: false },
      },
      audit: {
        ...{ onOutage: "buffer", maxQueuedEvents: 5_000, maxSessionBytesPerDay: 200_000_000 },
        requests: {
          precursors: { record: true, except: [] },
          secretReads: { record: true, resources: ["secrets", "secrets/*", "secrets.*"], except: [] },
          mutations: { record: true, except: [] },
          maxChangesPerMinute: 600,
          maxChangesPerDay: 50_000,
        },
        seal: { keepMonths: null },
      },
      recording: { mode: "output", onFailure: "continue", onFull: "continue", maxBytes: 67_108_864 },
      portForward: { onUnreadable: "end" },
      loopbackOrigins: [],
      export: { prefix: "" },
    });
  });

  test("may be an object or its text", () => {
    expect(loadConfig(JSON.stringify(VALID))).toEqual(loadConfig(VALID));
  });

  test.each(["http://127.0.0.1:8787", "http://localhost:8787", "http://[::1]:1"])(
    "may have Access at %s",
    (teamDomain) => {
      expect(loadConfig({ ...VALID, access: { ...VALID.access, teamDomain } }).access.teamDomain).toBe(teamDomain);
    },
  );

  test.each([
    [{ maxSessionsPerUser: 1, idleTimeoutSeconds: 1, maxDurationSeconds: 1 }],
    [{ maxSessionsPerUser: 50, idleTimeoutSeconds: 14_400, maxDurationSeconds: 86_400 }],
    [{ stallTimeoutSeconds: 1, maxBufferedStdinBytes: 0 }],
    [{ stallTimeoutSeconds: 14_400, maxBufferedStdinBytes: 1_073_741_824 }],
  ])("may have the lowest and the highest limits: %o", (limits) => {
    expect(loadConfig({ ...VALID, limits }).limits).toMatchObject(limits);
  });
});

describe("the way to a cluster", () => {
  const tcp = { transport: "tcp", tcpBinding: "KUBE_API_TCP", tcpAddress: "[::1]:6443" };
  const upstream = { transport: "tcp", tcpBinding: "KUBE_API_TCP", address: "[::1]:6443" };

  test("is at the top for a single cluster", () => {
    const config = loadConfig({ ...VALID, ...tcp });
    expect(config.clusters).toMatchObject([{ name: "prod", upstream }]);
    expect(config).not.toHaveProperty("transport");
  });

  test("is each one's own for several", () => {
    const [a, b] = ["a", "b"].map((name) => ({ name, hostnames: [name], binding: name.toUpperCase() }));
    const { clusters } = loadConfig({ ...VALID, cluster: undefined, clusters: [{ ...a, ...tcp }, b] });
    expect(clusters).toMatchObject([
      { name: "a", binding: "A", upstream },
      { name: "b", upstream: { transport: "auto", tcpBinding: null, address: SIDECAR_ADDRESS } },
    ]);
  });
});

test("an identity rule overrides limits and recording field by field", () => {
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

describe("a configuration is refused, with the place of the fault", () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ["an unknown field", { idleTimeoutSeconds: 5 }, /idleTimeoutSeconds/],
    ["an unknown nested field", { limits: { idleTimeoutSecond: 5 } }, /idleTimeoutSecond[\s\S]*limits/],
    [
      "an unknown field of a rule",
      withRule({ match: { email: "b@c.de" }, group: ["x"] }),
      /group[\s\S]*identities\[1\]/,
    ],
    ["a rule with conditions that only narrow", withRule({ match: { country: ["DE"] } }), /identities\[1\]\.match/],
    [
      "a service token with a domain",
      withRule({ match: { serviceToken: "x", emailDomain: "c.de" } }),
      /identities\[1\]/,
    ],
    ["a value without a claim", withRule({ match: { emailDomain: "c.de", value: "x" } }), /identities\[1\]\.match/],
    ["the name of a country", withRule({ match: { emailDomain: "c.de", country: ["Germany"] } }), /country\[0\]/],
    [
      "a template with an unmatched brace",
      withRule({ match: { emailDomain: "c.de" }, user: "{email" }),
      /identities\[1\]\.user/,
    ],
    ["empty braces", withRule({ match: { emailDomain: "c.de" }, user: "a{}" }), /identities\[1\]\.user/],
    [
      "the local part of an address in any domain",
      withRule({ match: { claim: "a", value: "b" }, user: "{email.local}" }),
      /one user[\s\S]*identities\[1\]\.user/,
    ],
    [
      "the reserved extra",
      withRule({ match: { emailDomain: "c.de" }, extra: { "sallyport-session": ["x"] } }),
      /extra/,
    ],
    ["an extra in upper case", withRule({ match: { emailDomain: "c.de" }, extra: { Team: ["x"] } }), /extra/],
    [
      "both cluster and clusters",
      { clusters: [{ name: "a", hostnames: ["a"], binding: "A" }] },
      /either cluster or clusters/,
    ],
    [
      "two clusters with one host name",
      { cluster: undefined, clusters: ["a", "b"].map((name) => ({ name, hostnames: ["x"], binding: "A" })) },
      /clusters\[1\] has the host name of another cluster: x/,
    ],
    [
      "a role in the identities of a cluster",
      {
        cluster: undefined,
        clusters: [
          {
            ...{ name: "a", hostnames: ["x"], binding: "A" },
            identities: [{ match: { emailDomain: "c.de" }, roles: ["admin"] }],
          },
        ],
      },
      /identity rules have roles[\s\S]*clusters\[0\]\.identities/,
    ],
    ["an empty match", withRule({ match: {} }), /identities\[1\]\.match/],
    ["a claim without a value", withRule({ match: { claim: "groups" } }), /identities\[1\]\.match/],
    ["an empty value", withRule({ match: { claim: "groups", value: " " } }), /identities\[1\]\.match/],
    ["an invalid address", withRule({ match: { email: "everybody" } }), /identities\[1\]\.match/],
    ["a domain with an @", withRule({ match: { emailDomain: "@example.com" } }), /identities\[1\]\.match/],
    ["a whole top-level domain", withRule({ match: { emailDomain: "com" } }), /identities\[1\]\.match/],
    [
      "a reserved group after a space",
      withRule({ match: { emailDomain: "c.de" }, groups: [" system:masters"] }),
      /identities\[1\]\.groups\[0\]/,
    ],
    [
      "two groups in one string",
      withRule({ match: { emailDomain: "c.de" }, groups: ["a, b"] }),
      /identities\[1\]\.groups\[0\]/,
    ],
    [
      "a group with a line break",
      withRule({ match: { emailDomain: "c.de" }, groups: ["a\r\nb"] }),
      /identities\[1\]\.groups\[0\]/,
    ],
    [
      "a group outside ASCII",
      withRule({ match: { emailDomain: "c.de" }, groups: ["größe"] }),
      /identities\[1\]\.groups\[0\]/,
    ],
    ["an empty group", withRule({ match: { emailDomain: "c.de" }, groups: [""] }), /identities\[1\]\.groups\[0\]/],
    ["an unknown role", withRule({ match: { emailDomain: "c.de" }, roles: ["root"] }), /identities\[1\]\.roles\[0\]/],
    ["no identity rule", { identities: [] }, /identities/],
    [
      "an audience of administrators that is not among the audiences",
      { access: { ...VALID.access, adminAudiences: ["aud", "admin-app"] } },
      /access\.adminAudiences\[1\]/,
    ],
    [
      "an audience of service tokens that is not among the audiences",
      { access: { ...VALID.access, serviceAudiences: ["ci-app"] } },
      /access\.serviceAudiences\[0\]/,
    ],
    ["no audience", { access: { ...VALID.access, audiences: [] } }, /access\.audiences/],
    ["an empty audience", { access: { ...VALID.access, audiences: [""] } }, /access\.audiences\[0\]/],
    [
      "an Access over plain HTTP",
      { access: { ...VALID.access, teamDomain: "http://team.cloudflareaccess.com" } },
      /must be https[\s\S]*access\.teamDomain/,
    ],
    [
      "a host name that begins like loopback",
      { access: { ...VALID.access, teamDomain: "http://127.0.0.1.evil.example" } },
      /access\.teamDomain/,
    ],
    [
      "loopback as the user name of a URL",
      { access: { ...VALID.access, teamDomain: "http://localhost:1@evil.example" } },
      /access\.teamDomain/,
    ],
    [
      "a slash at the end",
      { access: { ...VALID.access, teamDomain: "https://team.cloudflareaccess.com/" } },
      /must not end with a slash[\s\S]*access\.teamDomain/,
    ],
    ["no cluster", { cluster: "" }, /cluster/],
    ["no sessions", { limits: { maxSessionsPerUser: 0 } }, /limits\.maxSessionsPerUser/],
    ["one session too many", { limits: { maxSessionsPerUser: 51 } }, /limits\.maxSessionsPerUser/],
    ["a time limit of 0", { limits: { idleTimeoutSeconds: 0 } }, /limits\.idleTimeoutSeconds/],
    ["a second too many", { limits: { idleTimeoutSeconds: 14_401 } }, /limits\.idleTimeoutSeconds/],
    ["a day and a second", { limits: { maxDurationSeconds: 86_401 } }, /limits\.maxDurationSeconds/],
    ["a limit as text", { limits: { maxDurationSeconds: "3600" } }, /limits\.maxDurationSeconds/],
    ["a pause of over four hours", { limits: { stallTimeoutSeconds: 14_401 } }, /limits\.stallTimeoutSeconds/],
    ["less than no input", { limits: { maxBufferedStdinBytes: -1 } }, /limits\.maxBufferedStdinBytes/],
    ["a byte over a GiB", { limits: { maxBufferedStdinBytes: 1_073_741_825 } }, /limits\.maxBufferedStdinBytes/],
    ["an unknown transport", { transport: "udp" }, /transport/],
    ["a TCP binding that is none", { tcpBinding: "kube-api" }, /name of a binding[\s\S]*tcpBinding/],
    ["an address without a port", { tcpAddress: "127.0.0.1" }, /host:port[\s\S]*tcpAddress/],
    ["a URL as an address", { tcpAddress: "http://127.0.0.1:8001" }, /host:port[\s\S]*tcpAddress/],
    [
      "a transport for several clusters",
      { cluster: undefined, transport: "tcp", clusters: [{ name: "a", hostnames: ["a"], binding: "A" }] },
      /single cluster[\s\S]*transport/,
    ],
    ["an unknown onUnreadable", { portForward: { onUnreadable: "ignore" } }, /portForward\.onUnreadable/],
    ["an unknown field of portForward", { portForward: { unreadable: "end" } }, /unreadable[\s\S]*portForward/],
    ...[
      "https://dashboard.example.com",
      "http://127.0.0.1.evil.example:8001",
      "http://localhost.evil.example",
      "http://evil.example#localhost:8001",
      "http://user@localhost:8001",
      "http://localhost:8001/",
      "http://localhost:*",
      "http://localhost:80",
      "http://LOCALHOST:8001",
      "http://localhost:99999",
      "http://10.0.0.1:8001",
      "http://0.0.0.0:8001",
      "file://localhost",
      "null",
      "*",
    ].map((origin): [string, Record<string, unknown>, RegExp] => [
      `the origin ${origin}`,
      { loopbackOrigins: [origin] },
      /loopbackOrigins\[0\]/,
    ]),
    ["an unknown onOutage", { audit: { onOutage: "ignore" } }, /audit\.onOutage/],
    ["sessions without a day", { audit: { maxSessionBytesPerDay: 999_999 } }, /audit\.maxSessionBytesPerDay/],
    ["a very small queue", { audit: { maxQueuedEvents: 9 } }, /audit\.maxQueuedEvents/],
    [
      "requests for tokens not recorded",
      { audit: { requests: { tokens: { record: false } } } },
      /tokens[\s\S]*audit\.requests/,
    ],
    ["denied requests not recorded", { audit: { requests: { denied: false } } }, /denied[\s\S]*audit\.requests/],
    [
      "an empty exception",
      { audit: { requests: { mutations: { except: [{}] } } } },
      /must name something[\s\S]*except\[0\]/,
    ],
    [
      "an exception for sessions, which are always recorded",
      { audit: { requests: { mutations: { except: [{ kinds: ["exec"] }] } } } },
      /kinds[\s\S]*except\[0\]/,
    ],
    ["no secret resources", { audit: { requests: { secretReads: { resources: [] } } } }, /secretReads\.resources/],
    ["half a second", { limits: { idleTimeoutSeconds: 0.5 } }, /limits\.idleTimeoutSeconds/],
  ])("%s", (_, change, place) => {
    expect(fault(change)).toMatch(place);
  });

  test("a rule that can never match, because an earlier one always does", () => {
    const message = fault(withRule({ match: { email: "Alice@Example.com" }, groups: ["admins"] }));
    expect(message).toContain("identities[1] can never match: identities[0] has the same match");
    const domain = { match: { emailDomain: "example.com" }, groups: ["staff"] };
    const person = { match: { email: "carol@example.com" }, groups: ["admins"] };
    expect(fault({ identities: [domain, person] })).toContain(
      "identities[1] can never match: identities[0] matches all that it does",
    );
  });

  test("a wider rule may follow a narrower one, but not precede it", () => {
    const narrow = { match: { emailDomain: "example.com", country: ["DE"] } };
    const wide = { match: { emailDomain: "example.com" } };
    expect(() => loadConfig({ ...VALID, identities: [narrow, wide] })).not.toThrow();
    expect(fault({ identities: [wide, narrow] })).toContain("identities[1] can never match");
  });

  test("reserved names are allowed, with a warning", () => {
    const warned: ReservedName[] = [];
    const rule = { match: { email: "root@example.com" }, user: "system:admin", groups: ["system:masters"] };
    loadConfig({ ...VALID, ...withRule(rule) }, (reserved) => warned.push(reserved));
    expect(warned).toEqual(
      ["system:admin", "system:masters"].map((name) => ({ rule: "identities[1]", cluster: "prod", name })),
    );
    expect(warned.map(describeReservedName)[1]).toContain("identities[1] of cluster prod assigns system:masters");
  });

  test("claims that differ in case are different", () => {
    const rules = ["Ops", "ops"].map((value) => ({ match: { claim: "custom.groups", value }, groups: ["ops"] }));
    expect(() => fault({ identities: rules })).toThrow();
  });

  test.each([
    [undefined, "SALLYPORT_CONFIG is not set"],
    ["", "SALLYPORT_CONFIG is not set"],
    ["{", "SALLYPORT_CONFIG is not valid JSON"],
  ])("nothing, or not JSON: %j", (value, message) => {
    expect(() => loadConfig(value)).toThrow(new ConfigError(message));
  });

  test.each([null, [], 5, "null", "[]", '"text"'])("not a JSON object: %j", (value) => {
    expect(() => loadConfig(value)).toThrow(ConfigError);
  });

  test("the message does not quote the text, which may be a secret", () => {
    expect(() => loadConfig('{"access": hunter2')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining("hunter2") }),
    );
  });

  test("the message has all faults at once", () => {
    const message = fault({ cluster: "", limits: { maxSessionsPerUser: 0 } });
    expect(message).toMatch(/cluster/);
    expect(message).toMatch(/limits\.maxSessionsPerUser/);
  });
});
