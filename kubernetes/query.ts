/**
 * Parses query strings as the API server does, with the rules of Go's `url.ParseQuery`.
 * Go drops a pair with a raw `;` or invalid percent-encoding and keeps the rest;
 * `URLSearchParams` keeps everything. With `URLSearchParams`, `watch=%zz` or
 * `command=a;b` would be one request in the audit log and another in the pod.
 */

/** A parsed query string. */
export interface Query {
  /** Every value of a key, in order. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** Whether the API server drops a part of it. No real client sends such a query. */
  readonly isMalformed: boolean;
}

const EMPTY: Query = { values: new Map(), isMalformed: false };

/**
 * Parses a query string as Go does.
 *
 * @param search with or without its leading `?`. Bytes that are not UTF-8 become U+FFFD, which equals no key
 *   or value that matters. The pair stays, because Go keeps it.
 */
export function parseQuery(search: string): Query {
  if (search === "") return EMPTY;
  const values = new Map<string, string[]>();
  let isMalformed = false;
  for (const pair of (search.startsWith("?") ? search.slice(1) : search).split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const key = decodeQueryText(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? "" : decodeQueryText(pair.slice(equals + 1));
    if (key === undefined || value === undefined || pair.includes(";")) {
      isMalformed = true;
      continue;
    }
    const known = values.get(key);
    if (known === undefined) values.set(key, [value]);
    else known.push(value);
  }
  return { values, isMalformed };
}

/**
 * Returns the first value of a parameter, which is the one that Kubernetes uses
 * (`Convert_Slice_string_To_string`).
 */
export function getParameter(query: Query, key: string): string | undefined {
  return query.values.get(key)?.[0];
}

/**
 * Returns a boolean parameter as `Convert_Slice_string_To_bool` of apimachinery reads it.
 * The first value counts. A missing parameter, `0`, and `false` in any case are false.
 * Everything else is true, also an empty value.
 */
export function getBooleanParameter(query: Query, key: string): boolean {
  const value = getParameter(query, key);
  // With the `u` flag, case folding is that of Go's EqualFold: U+017F matches `s`.
  return value !== undefined && value !== "0" && !/^false$/iu.test(value);
}

/** The parameters that classification and the audit log depend on. */
const BOOLEANS = ["watch", "tty", "stdin", "stdout", "stderr"];

/**
 * Tells whether a boolean parameter is `falſe`, with U+017F. Go's `EqualFold`, which converts
 * parameters, reads it as false. Go's `ToLower`, which requestinfo.go uses when another list
 * option does not parse, reads it as true.
 */
export function hasAmbiguousBoolean(query: Query): boolean {
  if (query.values.size === 0) return false;
  return BOOLEANS.some((key) => {
    const value = getParameter(query, key) ?? "";
    return /^false$/iu.test(value) && !/^false$/i.test(value);
  });
}

function decodeQueryText(text: string): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(text)) return undefined;
  return text.replaceAll("+", " ").replace(/(?:%[0-9a-f]{2})+/gi, decodeEscapes);
}

function decodeEscapes(escapes: string): string {
  const bytes = Uint8Array.from(escapes.slice(1).split("%"), (hex) => Number.parseInt(hex, 16));
  // ignoreBOM keeps a leading U+FEFF: `%EF%BB%BFtty` is not `tty`.
  return new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(bytes);
}
