/**
 * The hostile corpus of test/vectors/hostile: attacks on proxies and on the Kubernetes API as data, with the
 * expected verdict and its reason. test/vectors/README.md describes the format.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import * as z from "zod";
import { SESSION_KINDS } from "../../kubernetes/session-target.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";

const FOLDER = resolve(import.meta.dirname, "../vectors/hostile");

/** The person who sends these requests, as the local stack must know them. */
export const HOSTILE = {
  email: "hostile@example.com",
  sub: "uid-hostile",
  groups: ["developers", "oncall"],
  mayImpersonate: { users: ["trainee"], groups: ["viewers"] },
} as const;

/** The identity rule of this person, or of one with another address, in the stacks that get the corpus. */
export function hostileRule(email: string = HOSTILE.email) {
  const { users, groups } = HOSTILE.mayImpersonate;
  return {
    ...{ match: { email }, groups: [...HOSTILE.groups] },
    mayImpersonate: { users: [...users], groups: [...groups] },
  };
}

/** What the running Worker is told beside the person: the entries that a rule refuses are about these. */
export const HOSTILE_POLICY: Pick<ConfigInput, "connectorNamespace" | "rules"> = {
  connectorNamespace: "hostile-gate",
  rules: [
    {
      name: "hostile-db",
      match: { resources: ["limitranges"], names: ["hostile-db"], verbs: ["get", "delete"] },
      action: "refuse",
    },
    {
      name: "no roles",
      match: { resources: ["roles.rbac.authorization.k8s.io"], verbs: ["create"] },
      action: "refuse",
    },
    { name: "no quotas", match: { resources: ["resourcequotas"], groups: ["oncall"] }, action: "refuse" },
    { name: "no templates", match: { resources: ["podtemplates"], groups: ["viewers"] }, action: "refuse" },
    { name: "no trainees", match: { resources: ["replicationcontrollers"], users: ["trainee"] }, action: "refuse" },
    { name: "no screens", match: { kinds: ["vnc"], namespaces: ["hostile-screens"] }, action: "refuse" },
  ],
};
/** What entries try to smuggle in: it must never appear upstream or in a log. */
export const SMUGGLED = /stolen|smuggled|c3RvbGVu|system:masters|evil\.example/i;

const common = {
  id: z.string().regex(/^[a-z]+\/[a-z0-9-]+$/),
  /** What the entry tests. */
  why: z.string().min(2),
  /** CVE, advisory, RFC, KEP, source file or issue. */
  source: z.string().min(2),
};

/**
 * What refuses a request: workerd's HTTP parser, before the Worker; the checks of host, token and headers;
 * the classifier; a rule; the API under `/-/`; the user's object.
 */
const REFUSERS = ["runtime", "authentication", "classifier", "rule", "api", "object"] as const;

const allowed = {
  /** In RBAC's notation; empty for a path without a resource. */
  resource: z.string().exactOptional(),
  verb: z.string().exactOptional(),
  namespace: z.string().exactOptional(),
  name: z.string().exactOptional(),
  /**
   * Whom the cluster must see, where it is not the person with all their groups. No user: the person's own.
   */
  as: z.strictObject({ user: z.string().exactOptional(), groups: z.array(z.string()) }).exactOptional(),
  /** Of workerd's own answer, where it replaces the cluster's. */
  status: z.int().exactOptional(),
  /** The request target that arrives, where it differs from the one that was sent. */
  arrives: z.string().exactOptional(),
  /** The subprotocols that arrive; null for none. */
  protocols: z.string().nullable().exactOptional(),
};

const requestExpectation = z.discriminatedUnion("verdict", [
  z.strictObject({
    verdict: z.literal("refused"),
    by: z.enum(REFUSERS),
    status: z.int(),
    kind: z.enum(SESSION_KINDS).exactOptional(),
    resource: z.string().exactOptional(),
    /** The rule's name, where it is not the resource. */
    rule: z.string().exactOptional(),
  }),
  z.strictObject({ verdict: z.literal("rest"), ...allowed }),
  z.strictObject({ verdict: z.literal("stream"), ...allowed }),
  z.strictObject({
    verdict: z.literal("session"),
    kind: z.enum(SESSION_KINDS),
    command: z.array(z.string()).exactOptional(),
    container: z.string().nullable().exactOptional(),
    tty: z.boolean().exactOptional(),
    ...allowed,
  }),
]);

/** Name, value, and optionally the number of such lines. */
const header = z.union([z.tuple([z.string(), z.string()]), z.tuple([z.string(), z.string(), z.int()])]);

const requestEntry = z.strictObject({
  ...common,
  method: z.string(),
  /** As it is on the request line. */
  target: z.string(),
  headers: z.array(header),
  /** Sent without the Host line, or without the token. */
  bare: z.enum(["host", "token"]).exactOptional(),
  expect: requestExpectation,
});

const framingEntry = z.strictObject({
  ...common,
  /** Everything that is sent. */
  raw: z.string(),
  /**
   * Method and target of each request that may arrive, in order; `any`: all that arrive must be attributed.
   */
  expect: z.strictObject({ arrives: z.union([z.literal("any"), z.array(z.string())]) }),
});

const tokenEntry = z.strictObject({
  ...common,
  token: z.strictObject({
    /** How it is signed: see test/e2e/support/forged-tokens.ts. */
    sign: z.string(),
    /** Replace header parameters and claims; null removes one. */
    header: z.record(z.string(), z.unknown()).exactOptional(),
    claims: z.record(z.string(), z.unknown()).exactOptional(),
    first: z.string().exactOptional(),
    last: z.string().exactOptional(),
  }),
  expect: z.discriminatedUnion("verdict", [
    z.strictObject({ verdict: z.literal("refused"), by: z.literal("authentication"), status: z.int() }),
    z.strictObject({ verdict: z.literal("rest") }),
  ]),
});

export type RequestEntry = z.output<typeof requestEntry>;
export type FramingEntry = z.output<typeof framingEntry>;
export type TokenEntry = z.output<typeof tokenEntry>;

export interface Corpus {
  readonly requests: readonly RequestEntry[];
  readonly framing: readonly FramingEntry[];
  readonly tokens: readonly TokenEntry[];
}

/** Reads the corpus. @throws Error with file and line where an entry has the wrong shape */
export function loadCorpus(): Corpus {
  const requests: RequestEntry[] = [];
  const framing: FramingEntry[] = [];
  const tokens: TokenEntry[] = [];
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".jsonl"))) {
    const theme = basename(file, ".jsonl");
    if (theme === "framing") framing.push(...readEntries(file, framingEntry));
    else if (theme === "tokens") tokens.push(...readEntries(file, tokenEntry));
    else requests.push(...readEntries(file, requestEntry));
  }
  return { requests, framing, tokens };
}

function readEntries<T extends { readonly id: string }>(file: string, schema: z.ZodType<T>): T[] {
  const lines = readFileSync(join(FOLDER, file), "utf8").split("\n");
  return lines.flatMap((line, index) => {
    if (line === "") return [];
    const read = schema.safeParse(JSON.parse(line));
    if (!read.success) throw new Error(`${file}:${index + 1}: ${z.prettifyError(read.error)}`);
    if (!read.data.id.startsWith(`${basename(file, ".jsonl")}/`)) {
      throw new Error(`${file}:${index + 1}: ${read.data.id} belongs to another file`);
    }
    return [read.data];
  });
}

/**
 * Expands an entry's text: `{{a*3}}` to `aaa`, `{{token}}` to the person's token, `{{user}}` to their user.
 */
export function expand(text: string, token: string, user: string = HOSTILE.email): string {
  return text
    .replaceAll("{{token}}", token)
    .replaceAll("{{user}}", user)
    .replaceAll(/\{\{(.+?)\*(\d+)\}\}/g, (_, unit: string, times: string) => unit.repeat(Number(times)));
}

/** An entry's header lines, one by one. */
export function headerLines({ headers }: RequestEntry): readonly (readonly [string, string])[] {
  return headers.flatMap(([name, value, times = 1]) => Array.from({ length: times }, () => [name, value] as const));
}
