import type * as z from "zod";
import { logEvent } from "../common/log.ts";
import { err, ok, type Result } from "../common/result.ts";
import { type Denial, denial } from "./denial.ts";

/**
 * The version of everything that the edge sends to a user's object: session plans and arguments of calls.
 *
 * Raise it with any change of a schema in this folder, an added optional field included. The edge sends its
 * own version. The objects' Worker, which is deployed first, may accept the previous one beside it.
 */
export const CONTRACT_VERSION = 7;

/**
 * What this build's objects accept. An answer has the form that the version of its question asks for.
 *
 * All that a build of the previous version sends is among them, see `versionFor`: a deploy replaces the objects
 * first, and the edge that still runs must open sessions with them, also where its own deploy then fails. So
 * must objects that still run that build report to the directory, and copy their locks.
 */
export const ACCEPTED_VERSIONS: readonly number[] = [CONTRACT_VERSION - 2, CONTRACT_VERSION - 1, CONTRACT_VERSION];

/** The edge and an object do not fit together. */
export interface ContractMismatch extends Denial {
  readonly code: "contract_mismatch";
  /** For the log: which version or field. Never a value. */
  readonly detail: string;
}

/** Makes a refusal for an edge and an object that do not fit together. */
export function contractMismatch(detail: string): ContractMismatch {
  const message =
    "two parts of Sallyport do not fit together, which is normal for a moment during an update: try again in a minute; " +
    "if this persists, contact your administrator";
  return { ...denial("contract_mismatch", message), code: "contract_mismatch", detail };
}

/** Refuses a call of a method that the other side does not understand, and logs why. */
export function refuseMismatch(
  method: string,
  detail: string,
): { readonly ok: false; readonly error: Denial<"contract_mismatch"> } {
  logEvent("error", "contract_mismatch", { method, detail });
  const { code, message } = contractMismatch(detail);
  return err({ code, message });
}

/**
 * Calls a method of an object, which may run older code.
 *
 * @throws what the platform throws where the object cannot be reached, or failed; a method that it lacks is a
 *   mismatch instead
 */
export async function callVersioned(
  method: string,
  call: () => Promise<unknown>,
): Promise<Result<unknown, Denial<"contract_mismatch">>> {
  try {
    return ok(await call());
  } catch (error) {
    if (!isMissingMethod(error)) throw error;
    return refuseMismatch(method, "the object has no such method");
  }
}

/** By workerd's message, since it has no code for it. Older objects lack what newer callers call. */
function isMissingMethod(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes("does not implement");
}

/**
 * The version to send what last changed with version `since`: the one before this build's if it can be, since
 * an object may run that code for as long as it has a session open.
 *
 * @param of the sender; only tests pass another
 */
export function versionFor(since: number, of = CONTRACT_VERSION): number {
  return Math.max(since, of - 1);
}

/** Adds the version to what the edge sends. */
export function withVersion<T extends object>(fields: T, version: number): T & { readonly version: number } {
  return { version, ...fields };
}

/**
 * Reads what the edge sent. The version comes first: the fields of an unknown version say nothing.
 *
 * @param schema of the fields beside `version`, strict objects, in the form of any accepted version
 * @param acceptedVersions only tests pass their own
 */
export function parseVersioned<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  acceptedVersions: readonly number[] = ACCEPTED_VERSIONS,
): Result<z.output<Schema>, ContractMismatch> {
  if (typeof input !== "object" || input === null) return err(contractMismatch("it is not an object"));
  const { version, ...fields }: { version?: unknown } = input;
  if (typeof version !== "number" || !acceptedVersions.includes(version)) {
    const found = typeof version === "number" ? String(version) : "none";
    return err(contractMismatch(`version ${found} instead of ${acceptedVersions.join(" or ")}`));
  }
  return parseContract(schema, fields);
}

/**
 * Writes what the edge sends in a header, as percent-encoded JSON: a text may hold any character, and a header
 * only Latin-1.
 *
 * @param version from `versionFor`
 */
export function packVersioned(fields: object, version: number): string {
  return encodeURIComponent(JSON.stringify(withVersion(fields, version)));
}

/**
 * Reads what `packVersioned` wrote, as `parseVersioned` does.
 *
 * @param what names it where it is not JSON
 */
export function unpackVersioned<Schema extends z.ZodType>(
  what: string,
  schema: Schema,
  packed: string,
  acceptedVersions?: readonly number[],
): Result<z.output<Schema>, ContractMismatch> {
  let unpacked: unknown;
  try {
    unpacked = JSON.parse(decodeURIComponent(packed));
  } catch {
    return err(contractMismatch(`${what} is not JSON`));
  }
  return parseVersioned(schema, unpacked, acceptedVersions);
}

/** Reads what has no version of its own: an answer. */
export function parseContract<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
): Result<z.output<Schema>, ContractMismatch> {
  const parsed = schema.safeParse(input);
  return parsed.success ? ok(parsed.data) : err(contractMismatch(describeIssues(parsed.error)));
}

/** Paths and codes only: zod's own messages may quote what somebody typed. */
function describeIssues({ issues }: z.ZodError): string {
  return issues
    .slice(0, 5)
    .map(({ path, code }) => `${path.join(".") || "(whole)"}: ${code}`)
    .join(", ");
}
