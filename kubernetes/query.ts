/**
 * Query strings as the API server reads them: Go's `url.ParseQuery`, which is not what `URLSearchParams` does. Go drops
 * a pair with a raw `;` or a broken escape and carries on with the rest; `URLSearchParams` keeps both. With the latter,
 * `watch=%zz` or `command=a;b` would be one request in our audit log and another in the pod.
 */

/** A query string, read. */
export interface Query {
  /** Every value of a key, in order. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** Whether the API server drops a part of it. No real client makes such a query. */
  readonly malformed: boolean;
}

/**
 * Reads a query string as Go does.
 *
 * @param search with or without its leading `?`. Bytes that are not UTF-8 become U+FFFD, which no key or value that
 *   matters can equal; the pair stays, because Go keeps it.
 */
export function parseQuery(search: string): Query {
  const values = new Map<string, string[]>();
  let malformed = false;
  for (const pair of (search.startsWith("?") ? search.slice(1) : search).split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const key = unescapeQuery(equals === -1 ? pair : pair.slice(0, equals));
    const value = equals === -1 ? "" : unescapeQuery(pair.slice(equals + 1));
    if (key === undefined || value === undefined || pair.includes(";")) {
      malformed = true;
      continue;
    }
    const known = values.get(key);
    if (known === undefined) values.set(key, [value]);
    else known.push(value);
  }
  return { values, malformed };
}

/** The first value of a key: the one Kubernetes takes (`Convert_Slice_string_To_string`). */
export function firstValue(query: Query, key: string): string | undefined {
  return query.values.get(key)?.[0];
}

/**
 * A boolean parameter as `Convert_Slice_string_To_bool` in apimachinery reads it: the first value counts; absent, `0` and
 * `false` in any case are false; everything else is true, the empty value and a key without `=` included.
 */
export function boolValue(query: Query, key: string): boolean {
  const value = firstValue(query, key);
  // The `u` flag folds case as Go's EqualFold does (U+017F matches `s`).
  return value !== undefined && value !== "0" && !/^false$/iu.test(value);
}

/** The parameters by which a request is sorted and recorded. */
const BOOLEANS = ["watch", "tty", "stdin", "stdout", "stderr"];

/**
 * Whether one of the booleans that matter is `falſe`, with U+017F: false to Go's `EqualFold`, which the conversion of
 * parameters uses, and true to its `ToLower`, which requestinfo.go falls back on where another list option does not parse.
 */
export function hasAmbiguousBoolean(query: Query): boolean {
  return BOOLEANS.some((key) => {
    const value = firstValue(query, key) ?? "";
    return /^false$/iu.test(value) && !/^false$/i.test(value);
  });
}

function unescapeQuery(text: string): string | undefined {
  if (/%(?![0-9a-f]{2})/i.test(text)) return undefined;
  return text.replaceAll("+", " ").replace(/(?:%[0-9a-f]{2})+/gi, decodeEscapes);
}

function decodeEscapes(escapes: string): string {
  const bytes = Uint8Array.from(escapes.slice(1).split("%"), (hex) => Number.parseInt(hex, 16));
  // ignoreBOM keeps a leading U+FEFF in the text: `%EF%BB%BFtty` is not `tty`.
  return new TextDecoder("utf-8", { fatal: false, ignoreBOM: true }).decode(bytes);
}
