/**
 * The configuration document as variables of the Worker. One holds 5 KB at most, and fifty clusters need more: what does not
 * fit goes on in SALLYPORT_CONFIG_2, _3 and so on, as text. One that is missing leaves no JSON, which is refused at start.
 */
const NAME = "SALLYPORT_CONFIG";

/** Of Cloudflare's 5 KB (Workers, "Limits", environment variables), with some room for how they count. */
const MAX_BYTES = 5_000;
/** Of the 64 variables that a Worker has on the smallest plan. */
const MAX_PARTS = 60;

const nameOf = (index: number) => (index === 0 ? NAME : `${NAME}_${index + 1}`);

/** @returns the document, or its text: for `loadConfig` */
export function readVariables(env: object): unknown {
  const first: unknown = Reflect.get(env, NAME);
  if (typeof first !== "string") return first;
  let text = first;
  for (let index = 1; ; index++) {
    const part: unknown = Reflect.get(env, nameOf(index));
    if (typeof part !== "string") return text;
    text += part;
  }
}

/**
 * The variables of a document: one JSON value where it fits, which the dashboard shows readably.
 *
 * @throws RangeError for a document that no Worker can hold
 */
export function writeVariables(document: object): Record<string, unknown> {
  const text = JSON.stringify(document);
  const encoder = new TextEncoder();
  if (encoder.encode(text).length <= MAX_BYTES) return { [NAME]: document };
  const parts: string[] = [];
  let part = "";
  let bytes = 0;
  // By code points: half a character would not survive the way through UTF-8.
  for (const character of text) {
    const length = encoder.encode(character).length;
    if (bytes + length > MAX_BYTES) {
      parts.push(part);
      part = "";
      bytes = 0;
    }
    part += character;
    bytes += length;
  }
  parts.push(part);
  if (parts.length > MAX_PARTS) {
    throw new RangeError(
      `the configuration document has ${encoder.encode(text).length} bytes; a Worker's variables hold ${MAX_PARTS * MAX_BYTES}`,
    );
  }
  return Object.fromEntries(parts.map((each, index) => [nameOf(index), each]));
}
