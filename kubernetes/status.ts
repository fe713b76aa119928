/** `metav1.Status`: how the Kubernetes API says no, and how a session's end is told on channel 3. */

/** The reasons of metav1.StatusReason that answer an HTTP request. */
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
  /** One of StatusReason in what we write; anything in what we read, `NonZeroExitCode` for one. */
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code?: number;
}

/** The HTTP code of each reason, as apimachinery's pkg/api/errors pairs them. */
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

/** The largest channel-3 status we parse, in bytes (of a string: UTF-16 units). Real ones are under 2 KiB. */
export const MAX_STATUS_BYTES = 64 * 1024;

/**
 * Makes a failure.
 *
 * @param failure.message for a person: kubectl shows it as it is. No secrets, tokens or stack traces.
 * @param failure.code only where the HTTP code differs from the reason's own.
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

/**
 * Makes the HTTP response that carries a status. `details.retryAfterSeconds` also becomes a Retry-After header, which is
 * the one client-go obeys.
 */
export function statusResponse(status: Status): Response {
  const headers = new Headers({
    "content-type": "application/json",
    // As the API server marks its own answers: a refusal must not outlive its cause in some cache.
    "cache-control": "no-cache, private",
  });
  const retryAfterSeconds = status.details?.retryAfterSeconds;
  if (retryAfterSeconds !== undefined) headers.set("retry-after", String(retryAfterSeconds));
  const httpCode = status.code ?? (status.status === "Success" ? 200 : 500);
  return new Response(`${JSON.stringify(status)}\n`, { status: httpCode, headers });
}

/**
 * Reads a status, such as channel 3 carries. Never throws; fields that are unknown or of the wrong type are left out.
 *
 * @returns the status, or undefined when it is too large, is no JSON object, or says neither Success nor Failure.
 */
export function parseStatus(input: Uint8Array | string): Status | undefined {
  if (input.length > MAX_STATUS_BYTES) return undefined;
  const json = parseJson(typeof input === "string" ? input : new TextDecoder().decode(input));
  const raw = asRecord(json);
  if (raw === undefined) return undefined;
  // Kubelets leave `kind` out.
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
 * The exit code that a status reports, read as kubectl reads it.
 *
 * @returns 0 for Success, N for NonZeroExitCode, undefined when the command's exit is not what ended the session.
 */
export function exitCodeOf(status: Status): number | undefined {
  if (status.status === "Success") return 0;
  if (status.reason !== "NonZeroExitCode") return undefined;
  const exit = status.details?.causes?.find((cause) => cause.reason === "ExitCode");
  // Windows exit codes fill 32 bits, signed or not.
  return exit?.message !== undefined && /^-?\d{1,10}$/.test(exit.message) ? Number(exit.message) : undefined;
}

function parseDetails(value: unknown): StatusDetails | undefined {
  const raw = asRecord(value);
  if (raw === undefined) return undefined;
  const { causes } = raw;
  return {
    ...strings(raw, "name", "group", "kind", "uid"),
    ...(Array.isArray(causes) ? { causes: causes.map(parseCause) } : {}),
    ...integers(raw, "retryAfterSeconds"),
  };
}

function parseCause(value: unknown): StatusCause {
  const raw = asRecord(value);
  return raw === undefined ? {} : strings(raw, "reason", "message", "field");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
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
  fits: (value: unknown) => boolean,
): { [K in Key]?: Value } {
  const picked: { [K in Key]?: Value } = {};
  for (const key of keys) {
    if (Object.hasOwn(raw, key) && fits(raw[key])) picked[key] = raw[key] as Value;
  }
  return picked;
}
