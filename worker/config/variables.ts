/** One document in several variables: a Worker's variable holds 5 KB, and a document of a dozen clusters is more. Pure. */

const FIRST = "SALLYPORT_CONFIG";

/**
 * How much of the document one variable takes, in bytes of UTF-8. The platform's limit is 5 KB; which K it means is not said,
 * so it is the smaller one (https://developers.cloudflare.com/workers/platform/limits/#environment-variables).
 */
export const MAX_VARIABLE_BYTES = 5_000;
/** Of the 64 variables that a Worker has on the smallest plan. */
const MAX_PIECES = 60;

/**
 * Puts the document together: `SALLYPORT_CONFIG`, then `SALLYPORT_CONFIG_2`, `SALLYPORT_CONFIG_3` and so on.
 *
 * A piece that a longer document left behind does not go unnoticed, nor one that is missing: nothing but blanks may follow
 * a JSON object, and no beginning of one is one.
 *
 * @param environment the Worker's bindings
 * @returns what `loadConfig` takes: the only variable as it is, or the text of all of them
 * @throws Error in words where the first is missing, or one is no text
 */
export function joinConfigVariables(environment: object): unknown {
  const read = (number: number): unknown => Reflect.get(environment, nameOf(number));
  if (read(2) === undefined) return read(1);
  // Counted up rather than listed: not every runtime lists its bindings.
  let document = "";
  for (let number = 1; number === 1 || read(number) !== undefined; number++) {
    const piece = read(number);
    if (typeof piece !== "string") {
      const fault = piece === undefined ? "is not set" : "is no text";
      throw new Error(`${nameOf(number)} ${fault}: the configuration is in several variables`);
    }
    document += piece;
  }
  return document;
}

/**
 * Cuts a document for as many variables as it needs.
 *
 * @param document as `loadConfig` takes it
 * @param pieceBytes the most in one variable
 * @returns name → value, to be set all together: the document as it is where it fits (a dashboard shows it readably),
 *   else texts
 * @throws RangeError for a document that no Worker can hold
 */
export function splitIntoVariables(
  document: unknown,
  pieceBytes: number = MAX_VARIABLE_BYTES,
): Record<string, unknown> {
  if (new TextEncoder().encode(JSON.stringify(document)).length <= pieceBytes) return { [FIRST]: document };
  const pieces: string[] = [];
  let piece = "";
  let bytes = 0;
  // By code points: a variable is UTF-8, and half a character would not survive its way.
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
