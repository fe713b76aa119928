/** One document in several variables: a variable holds 5 KB, the document of a dozen clusters more. Pure. */

const FIRST = "SALLYPORT_CONFIG";

/**
 * How much of the document one variable takes, in bytes of UTF-8. The platform's limit is 5 KB. It does not
 * say which K, so this is the smaller one
 * (https://developers.cloudflare.com/workers/platform/limits/#environment-variables).
 */
export const MAX_VARIABLE_BYTES = 5_000;
/** Of the 64 variables that a Worker may have on the smallest plan. */
const MAX_PIECES = 60;

/**
 * Joins the document: `SALLYPORT_CONFIG`, then `SALLYPORT_CONFIG_2`, `SALLYPORT_CONFIG_3` and so on.
 *
 * A part that a longer document left behind is noticed, and so is a missing one: only white space may follow
 * a JSON object, and an incomplete object does not parse.
 *
 * @param environment the Worker's bindings
 * @returns what `loadConfig` takes: the only variable as it is, or the text of all of them
 * @throws Error where the first is missing, or one is not a string
 */
export function joinConfigVariables(environment: object): unknown {
  const read = (number: number): unknown => Reflect.get(environment, nameOf(number));
  if (read(2) === undefined) return read(1);
  // Counted, because not every runtime lists its bindings.
  let document = "";
  for (let number = 1; number === 1 || read(number) !== undefined; number++) {
    const piece = read(number);
    if (typeof piece !== "string") {
      const fault = piece === undefined ? "is not set" : "is not a string";
      throw new Error(`${nameOf(number)} ${fault}: the configuration is in several variables`);
    }
    document += piece;
  }
  return document;
}

/**
 * Splits a document into as many variables as it needs.
 *
 * @param document as `loadConfig` takes it
 * @param pieceBytes the size of one variable
 * @returns name → value, to be set together. A document that fits into one variable is not converted to text,
 *   so that the dashboard shows it readably.
 * @throws RangeError for a document that is too large for a Worker
 */
export function splitIntoVariables(
  document: unknown,
  pieceBytes: number = MAX_VARIABLE_BYTES,
): Record<string, unknown> {
  if (new TextEncoder().encode(JSON.stringify(document)).length <= pieceBytes) return { [FIRST]: document };
  const pieces: string[] = [];
  let piece = "";
  let bytes = 0;
  // By code points: a variable is UTF-8, which cannot hold half a surrogate pair.
  for (const character of JSON.stringify(document)) {
    const more = new TextEncoder().encode(character).length;
    if (bytes + more > pieceBytes) {
      pieces.push(piece);
      piece = "";
      bytes = 0;
    }
    piece += character;
    bytes += more;
  }
  pieces.push(piece);
  if (pieces.length > MAX_PIECES) {
    throw new RangeError(
      `the configuration document needs ${pieces.length} variables of ${pieceBytes} bytes; a Worker takes ${MAX_PIECES}`,
    );
  }
  return Object.fromEntries(pieces.map((text, index) => [nameOf(index + 1), text]));
}

function nameOf(number: number): string {
  return number === 1 ? FIRST : `${FIRST}_${number}`;
}
