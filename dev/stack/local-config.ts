/** The configuration document that the local stack gives the Worker. */
import { readFileSync } from "node:fs";
import { ConfigError, loadConfig } from "../../worker/config/load.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { PERSONAS } from "../access/personas.ts";
import { errorCode, StackError } from "./errors.ts";

/** What `--config FILE` may say: anything of the document but who the issuer is. */
export type ConfigOverrides = Partial<Omit<ConfigInput, "access">>;

export interface LocalFacts {
  readonly issuer: string;
  readonly audience: string;
  readonly cluster: string;
  /** Whether there is a second cluster, see `SECOND`. */
  readonly hasSecond?: boolean;
}

/** The second cluster's name, its host as the Worker sees it, and its binding. The first answers to the addresses. */
export const SECOND = { name: "second", hostname: "second.localhost", binding: "KUBE_API_SECOND" } as const;

/**
 * Builds the document and has the Worker's own loader judge it.
 *
 * @param overrides replace a top-level key each, except that objects such as `limits` are merged by field
 * @throws StackError in the loader's words
 */
export function buildLocalConfig(facts: LocalFacts, overrides: ConfigOverrides = {}): ConfigInput {
  const document: Record<string, unknown> = {
    access: { teamDomain: facts.issuer, audiences: [facts.audience] },
    ...(facts.hasSecond ? { clusters: twoClusters(facts.cluster) } : { cluster: facts.cluster }),
    identities: [
      // First, because the first match wins, and she has no group claim that could tell more.
      { match: { email: PERSONAS.admin.email }, groups: ["developers"], roles: ["admin"] },
      { match: { claim: "custom.groups", value: "developers" }, groups: ["developers"] },
      { match: { claim: "custom.groups", value: "viewers" }, groups: ["viewers"] },
    ],
    limits: {},
  };
  for (const [key, value] of Object.entries(overrides)) {
    const before = document[key];
    document[key] = isPlainObject(before) && isPlainObject(value) ? { ...before, ...value } : value;
  }
  try {
    loadConfig(document);
  } catch (error) {
    if (error instanceof ConfigError) throw new StackError(error.message);
    throw error;
  }
  return document as ConfigInput;
}

function twoClusters(first: string) {
  const { name, hostname, binding } = SECOND;
  return [
    { name: first, hostnames: ["127.0.0.1", "localhost"], binding: "KUBE_API" },
    { name, hostnames: [hostname], binding },
  ];
}

/** Reads `--config FILE`. The values themselves are judged later, in the whole document. */
export function readConfigOverrides(path: string): ConfigOverrides {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new StackError(`cannot read ${path} (${errorCode(error) ?? String(error)})`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new StackError(`${path} is not JSON`);
  }
  if (!isPlainObject(value))
    throw new StackError(`${path} must hold a JSON object, for example {"limits": {"maxSessionsPerUser": 2}}`);
  if ("access" in value) throw new StackError(`${path}: "access" cannot be set here, it is the local stand-in's own`);
  return value;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
