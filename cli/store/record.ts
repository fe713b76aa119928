/** What is stored of a sign-in. Pure. */
import { isJsonObject, parseJson } from "../../common/json.ts";
import { err, ok, type Result } from "../../common/result.ts";
import type { RegisteredClient } from "../oauth/client.ts";
import { isTime, type Tokens } from "../tokens.ts";

const VERSION = 1;

/** A sign-in to an application. */
export interface ApplicationRecord {
  /** {@link Application.id} */
  readonly application: string;
  readonly resource: string;
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint?: string;
  readonly client: RegisteredClient;
  /** Undefined where the operating system's keychain has them. */
  readonly tokens?: Tokens;
  /** Further origins that the application itself has named as its clusters'. */
  readonly origins: readonly string[];
  /** PEM that was trusted at the sign-in, for clients that do not tell about the cluster. */
  readonly certificateAuthority?: string;
}

export function renderRecord(record: ApplicationRecord): string {
  return `${JSON.stringify({ version: VERSION, ...record }, null, 2)}\n`;
}

/**
 * Reads a stored sign-in.
 *
 * @returns undefined for a file that is none: signing in again replaces it. An error for a newer version's
 */
export function parseRecord(text: string): Result<ApplicationRecord | undefined, string> {
  const value = parseJson(text);
  if (!isJsonObject(value) || typeof value["version"] !== "number") return ok(undefined);
  const { version, ...rest } = value;
  if (version > VERSION) return err("it was written by a newer version of kubectl-sallyport: update this one");
  return ok(version === VERSION && isRecord(rest) ? rest : undefined);
}

/** The tokens as they are kept in a keychain. */
export function renderTokens(tokens: Tokens): string {
  return JSON.stringify(tokens);
}

export function parseTokens(text: string): Tokens | undefined {
  const value = parseJson(text);
  return isTokens(value) ? value : undefined;
}

function isRecord(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, unknown>> & ApplicationRecord {
  const { client, tokens, origins } = value;
  return (
    ["application", "resource", "issuer", "tokenEndpoint"].every((name) => typeof value[name] === "string") &&
    ["revocationEndpoint", "certificateAuthority"].every((name) => isTextIfAny(value[name])) &&
    isJsonObject(client) &&
    typeof client["clientId"] === "string" &&
    isTextIfAny(client["clientSecret"]) &&
    isTextIfAny(client["authMethod"]) &&
    (tokens === undefined || isTokens(tokens)) &&
    Array.isArray(origins) &&
    origins.every((each) => typeof each === "string")
  );
}

function isTokens(value: unknown): value is Tokens {
  return (
    isJsonObject(value) &&
    typeof value["accessToken"] === "string" &&
    isTextIfAny(value["refreshToken"]) &&
    isTime(value["obtainedAtMs"]) &&
    isTime(value["expiresAtMs"])
  );
}

function isTextIfAny(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}
