/** The hostile corpus against the pure stages: the classifier, the rules, and the checks of headers. */
import { describe, expect, test } from "vitest";
import { type Classified, classify } from "../../kubernetes/classify.ts";
import { mayCreate } from "../../kubernetes/creation.ts";
import { rawRequestTarget } from "../../kubernetes/path.ts";
import { effectiveUpgrade } from "../../kubernetes/upgrade.ts";
import { buildUpstreamHeaders } from "../../kubernetes/upstream-headers.ts";
import { checkCrossSite } from "../../worker/access/cross-site.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { Cluster } from "../../worker/config/schema.ts";
import { impersonationOf, readActingIdentity } from "../../worker/policy/acting.ts";
import { evaluateRules, resourceOf } from "../../worker/policy/evaluate-rules.ts";
import type { Identity } from "../../worker/policy/identify.ts";
import { isPlainHost } from "../../worker/upstream/cluster-by-host.ts";
import {
  expand,
  HOSTILE,
  HOSTILE_POLICY,
  headerLines,
  hostileRule,
  loadCorpus,
  type RequestEntry,
  SMUGGLED,
} from "../support/hostile.ts";

const { requests, framing, tokens } = loadCorpus();
const TOKEN = "header.payload.signature";
const LEAST = 300;
const PERSON: Identity = {
  ...{ name: HOSTILE.email, uid: HOSTILE.sub, user: HOSTILE.email, groups: HOSTILE.groups, extra: {} },
  mayImpersonate: hostileRule().mayImpersonate,
  ...{ roles: [], limits: {}, recording: {}, rule: 0 },
};

/** Requests that reach the Worker. The runtime refuses the others; the end-to-end test has those. */
const reaching = requests.filter(({ expect: { verdict, ...rest } }) => !("by" in rest) || rest.by !== "runtime");

function headersOf(entry: RequestEntry): Headers {
  const headers = new Headers();
  for (const [name, value] of headerLines(entry)) headers.append(name, expand(value, TOKEN));
  return headers;
}

function classifyEntry({ method, target, ...entry }: RequestEntry): Classified {
  const sent = expand(target, TOKEN);
  const url = /^https?:/.test(sent) ? sent : `http://localhost${sent === "*" ? "/" : sent}`;
  return classify(method, rawRequestTarget(url), effectiveUpgrade(headersOf({ method, target, ...entry })));
}

const { connectorNamespace, rules } = loadConfig({
  ...{ access: { teamDomain: "https://t.cloudflareaccess.com", audiences: ["a"] }, cluster: "test" },
  ...{ identities: [{ match: { email: HOSTILE.email } }], ...HOSTILE_POLICY },
}).clusters[0] as Cluster;

function evaluate(entry: RequestEntry, classified: Exclude<Classified, { kind: "refused" }>) {
  const identity = { name: HOSTILE.email, groups: HOSTILE.groups };
  const session = classified.kind === "session" ? classified.session : undefined;
  const creates = mayCreate(entry.method, headersOf(entry).get("Content-Type"));
  const acting = readActingIdentity(PERSON, headersOf(entry));
  if (!acting.ok) throw new Error(acting.error.message);
  return evaluateRules(
    {
      ...{ identity, acting: acting.value, cluster: "test", connectorNamespace },
      info: classified.info,
      session,
      creates,
    },
    rules,
  );
}

describe("the corpus", () => {
  test(`has at least ${LEAST} entries`, () => {
    expect(requests.length).toBeGreaterThanOrEqual(LEAST);
  });

  test("has unique ids, and no request twice", () => {
    const all = [...requests, ...framing, ...tokens];
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
    const texts = requests.map(({ method, target, headers, bare }) => JSON.stringify([method, target, headers, bare]));
    expect(texts.filter((text, index) => texts.indexOf(text) !== index)).toEqual([]);
    expect(new Set(framing.map(({ raw }) => raw)).size).toBe(framing.length);
    expect(new Set(tokens.map(({ token }) => JSON.stringify(token))).size).toBe(tokens.length);
  });

  test("changes nothing in a cluster that lets everything through, because it runs against real ones", () => {
    const harmless = /hostile|\/proxy\/|subjectaccessreviews|\/(run|exec)\/|\/configmaps$/;
    const writes = requests.filter(
      ({ method, expect: { verdict } }) => verdict === "rest" && !/^(GET|HEAD|OPTIONS)$/.test(method),
    );
    for (const { target, id, method } of writes) {
      expect(target, id).toMatch(harmless);
      // Without a body nothing is created, but a deletion needs none.
      if (method === "DELETE") expect(target, id).toContain("hostile-none");
    }
  });
});

describe("the classifier", () => {
  test.each(reaching.map((entry) => [entry.id, entry] as const))("%s", (_, entry) => {
    const classified = classifyEntry(entry);
    const { expect: expected } = entry;
    switch (expected.verdict) {
      case "refused":
        expectRefused(entry, classified);
        break;
      case "rest":
      case "stream":
        expect(classified.kind).toBe(expected.verdict);
        break;
      case "session": {
        const { kind, command, container, tty } = expected;
        expect(classified).toMatchObject({
          kind: "session",
          transport: "websocket",
          session: {
            sessionKind: kind,
            ...(command && { command }),
            ...(container !== undefined && { container: container ?? undefined }),
            ...(tty !== undefined && { tty }),
          },
        });
      }
    }
    if (expected.verdict === "refused" || classified.kind === "refused") return;
    const { info } = classified;
    const { resource, verb, namespace, name } = expected;
    if (resource !== undefined) expect(resourceOf(info)).toBe(resource);
    if (verb !== undefined) expect(info.verb).toBe(verb);
    if (namespace !== undefined) expect(info.namespace).toBe(namespace);
    if (name !== undefined) expect(info.name).toBe(name);
    expect(evaluate(entry, classified).ok).toBe(true);
  });

  function expectRefused(entry: RequestEntry, classified: Classified): void {
    if (entry.expect.verdict !== "refused") throw new Error("not a refusal");
    const { by, status, kind, resource, rule = resource } = entry.expect;
    switch (by) {
      case "classifier":
        expect(classified).toMatchObject({ kind: "refused", status });
        break;
      case "rule":
        if (classified.kind === "refused") throw new Error(classified.reason);
        expect(resourceOf(classified.info)).toBe(resource);
        expect(evaluate(entry, classified)).toMatchObject({ ok: false, error: { rule } });
        break;
      case "object":
        expect(classified).toMatchObject({ kind: "session", transport: "spdy", session: { sessionKind: kind } });
        break;
      case "authentication":
        expectRefusedByHeaders(entry);
        break;
      case "api":
      case "runtime":
    }
  }

  /**
   * Requests refused for their headers. Those refused for their token need a key set: see the workerd tests.
   */
  function expectRefusedByHeaders(entry: RequestEntry): void {
    if (entry.bare === "token") return;
    const headers = headersOf(entry);
    const host = headers.get("Host") ?? "localhost";
    const isRefused =
      !URL.canParse(`http://${host}`) ||
      !isPlainHost(host) ||
      !readActingIdentity(PERSON, headers).ok ||
      !checkCrossSite(headers, new URL("http://localhost")).ok;
    expect(isRefused).toBe(true);
  }
});

describe("the headers that would be sent", () => {
  const sent = reaching.filter(({ expect: { verdict } }) => verdict !== "refused");
  test.each(sent.map((entry) => [entry.id, entry] as const))("%s", (_, entry) => {
    const mode = entry.expect.verdict === "rest" ? {} : { upgrade: "websocket" as const };
    const acting = readActingIdentity(PERSON, headersOf(entry));
    if (!acting.ok) throw new Error(acting.error.message);
    const built = buildUpstreamHeaders(headersOf(entry), impersonationOf(PERSON, acting.value), mode);
    if (!built.ok) throw new Error(built.error.message);
    const headers = built.value;
    const { user, groups } = ("as" in entry.expect && entry.expect.as) || { groups: HOSTILE.groups };
    expect(headers.get("impersonate-user")).toBe(user ?? HOSTILE.email);
    expect(headers.get("impersonate-group")).toBe(groups.length === 0 ? null : groups.join(", "));
    expect(headers.get("impersonate-uid")).toBe(user === undefined ? HOSTILE.sub : null);
    expect(headers.get("impersonate-extra-sallyport-user")).toBe(user === undefined ? null : HOSTILE.email);
    expect([...headers].join("\n")).not.toMatch(SMUGGLED);
    expect([...headers].join("\n")).not.toContain(TOKEN);
    if (entry.expect.verdict !== "refused" && entry.expect.protocols !== undefined) {
      expect(headers.get("sec-websocket-protocol")).toBe(entry.expect.protocols);
    }
  });
});
