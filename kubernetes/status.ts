import { printableJson } from "../common/text.ts";

/** `metav1.Status`: the body of an error of the Kubernetes API, and of channel 3 at the end of a session. */

/** The values of metav1.StatusReason for HTTP responses. */
export type StatusReason =
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "AlreadyExists"
  | "Conflict"
  | "Gone"
  | "Invalid"
  | "ServerTimeout"
  | "StorageReadError"
  | "Timeout"
  | "TooManyRequests"
  | "BadRequest"
  | "MethodNotAllowed"
  | "NotAcceptable"
  | "RequestEntityTooLarge"
  | "UnsupportedMediaType"
  | "InternalError"
  | "Expired"
  | "ServiceUnavailable";

export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly StatusCause[];
  readonly retryAfterSeconds?: number;
}

export interface Status {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: "Success" | "Failure";
  readonly message?: string;
  /**
   * A StatusReason in a status of ours; any string in a status that was parsed, such as `NonZeroExitCode`.
   */
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** The HTTP code of each reason, from apimachinery's pkg/api/errors. */
export const STATUS_CODES: Readonly<Record<StatusReason, number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Invalid: 422,
  ServerTimeout: 500,
  StorageReadError: 500,
  Timeout: 504,
  TooManyRequests: 429,
  BadRequest: 400,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  InternalError: 500,
  Expired: 410,
  ServiceUnavailable: 503,
};

/** The largest status that is parsed, in bytes (for a string, in UTF-16 units). Real ones are under 2 KiB. */
export const MAX_STATUS_BYTES = 64 * 1024;

/**
 * Creates the status of a failure.
 *
 * @param failure.message for a person: kubectl shows it unchanged. No secrets, tokens or stack traces.
 * @param failure.code only when the HTTP code differs from the one in STATUS_CODES
 */
export function failureStatus(failure: {
  readonly reason: StatusReason;
  readonly message: string;
  readonly code?: number;
  readonly details?: StatusDetails;
}): Status {
  const { reason, message, code = STATUS_CODES[reason], details } = failure;
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  };
}

/** The status of a command that ended with 0, as the kubelet writes it. */
export function successStatus(): Status {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success" };
}

/**
 * How the text of an error channel ends when the command has an exit code. The beginning is the kubelet's or
 * the container runtime's (`ServeExec` of k8s.io/kubelet); the end is containerd's and Kata's, CRI-O's, and
 * Docker's. What lies between may quote the command.
 */
const EXIT_CODE_TEXT =
  /^command terminated with .*(?:exit code|exit status|Error executing in Docker Container:) (-?\d{1,10})\s*$/s;

/** Reads the text of an error channel before v4 into the status that later protocols would carry. */
export function statusOfErrorText(text: string): Status {
  const message = text.trim() || "the cluster reported an error without a text";
  const exitCode = EXIT_CODE_TEXT.exec(text)?.[1];
  if (exitCode === undefined) return failureStatus({ reason: "InternalError", message });
  const details = { causes: [{ reason: "ExitCode", message: exitCode }] };
  return { ...successStatus(), status: "Failure", message, reason: "NonZeroExitCode", details };
}

/**
 * Creates the HTTP response for a status. `details.retryAfterSeconds` also becomes the Retry-After header,
 * which is what client-go reads.
 */
export function statusResponse(status: Status): Response {
  const headers = new Headers({
    "content-type": "application/json",
    // As in responses of the API server: no cache may keep a refusal after its cause has gone.
    "cache-control": "no-cache, private",
  });
  const retryAfterSeconds = status.details?.retryAfterSeconds;
  if (retryAfterSeconds !== undefined) headers.set("retry-after", String(retryAfterSeconds));
  const httpCode = status.code ?? (status.status === "Success" ? 200 : 500);
  return new Response(`${printableJson(status)}\n`, { status: httpCode, headers });
}

/**
 * Parses a status, for example from channel 3. Never throws. Unknown fields and
 * fields of the wrong type are left out.
 *
 * @returns undefined for text that is too large, no JSON object, or neither Success nor Failure
 */
export function parseStatus(input: Uint8Array | string): Status | undefined {
  if (input.length > MAX_STATUS_BYTES) return undefined;
  const json = parseJson(typeof input === "string" ? input : new TextDecoder().decode(input));
  const raw = asObject(json);
  if (raw === undefined) return undefined;
  // Kubelets omit `kind`.
  const { kind = "Status", status, details: rawDetails } = raw;
  if (kind !== "Status") return undefined;
  if (status !== "Success" && status !== "Failure") return undefined;
  const details = parseDetails(rawDetails);
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status,
    ...strings(raw, "message", "reason"),
    ...(details === undefined ? {} : { details }),
    ...integers(raw, "code"),
  };
}

/**
 * Returns the exit code in a status, as kubectl reads it.
 *
 * @returns 0 for Success, N for NonZeroExitCode, undefined when the session
 *   ended for another reason than the command
 */
export function exitCodeOf(status: Status): number | undefined {
  if (status.status === "Success") return 0;
  if (status.reason !== "NonZeroExitCode") return undefined;
  const exit = status.details?.causes?.find((cause) => cause.reason === "ExitCode");
  // Exit codes of Windows have 32 bits, signed or unsigned.
  return exit?.message !== undefined && /^-?\d{1,10}$/.test(exit.message) ? Number(exit.message) : undefined;
}

function parseDetails(value: unknown): StatusDetails | undefined {
  const raw = asObject(value);
  if (raw === undefined) return undefined;
  const { causes } = raw;
  return {
    ...strings(raw, "name", "group", "kind", "uid"),
    ...(Array.isArray(causes) ? { causes: causes.map(parseCause) } : {}),
    ...integers(raw, "retryAfterSeconds"),
  };
}

function parseCause(value: unknown): StatusCause {
  const raw = asObject(value);
  return raw === undefined ? {} : strings(raw, "reason", "message", "field");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

function strings<Key extends string>(raw: Readonly<Record<string, unknown>>, ...keys: readonly Key[]) {
  return pick<Key, string>(raw, keys, (value) => typeof value === "string");
}

function integers<Key extends string>(raw: Readonly<Record<string, unknown>>, ...keys: readonly Key[]) {
  return pick<Key, number>(raw, keys, (value) => Number.isSafeInteger(value));
}

function pick<Key extends string, Value>(
  raw: Readonly<Record<string, unknown>>,
  keys: readonly Key[],
  isValid: (value: unknown) => boolean,
): { [K in Key]?: Value } {
  const picked: { [K in Key]?: Value } = {};
  for (const key of keys) {
    if (Object.hasOwn(raw, key) && isValid(raw[key])) picked[key] = raw[key] as Value;
  }
  return picked;
}
