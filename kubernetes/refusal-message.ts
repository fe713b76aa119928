import { printableJson, stripControlCharacters } from "../common/text.ts";
import { MAX_STATUS_BYTES } from "./status.ts";

/** For a terminal and for the audit log. */
const MAX_MESSAGE_CHARS = 1024;

/** The cluster's refusal of an upgrade, safe to print. */
export interface PrintableRefusal {
  /** For the audit log. Never empty. */
  readonly message: string;
  readonly contentType: string;
  /** For the client: the cluster's own answer where it is a JSON object, else the message. */
  readonly body: string;
}

/**
 * Reads the cluster's refusal of an upgrade. An ingress or a workload may have written it, so no text in it
 * keeps a control character, and it is never a page.
 *
 * @param body as text, cut to some 64 KiB
 */
export function readRefusal(httpStatus: number, body: string): PrintableRefusal {
  const message = refusalMessage(httpStatus, body);
  const document = body.length > MAX_STATUS_BYTES ? undefined : printableObject(body);
  return document === undefined
    ? { message, contentType: "text/plain; charset=utf-8", body: message }
    : { message, contentType: "application/json", body: document };
}

/**
 * Says why the cluster refused an upgrade: what the answer's body says, or else what its status code says.
 * Never empty, without control characters, and never a page: an ingress or a workload may have answered.
 */
export function refusalMessage(httpStatus: number, body: string): string {
  const said = stripControlCharacters(body.length > MAX_STATUS_BYTES ? "" : messageIn(body.trim()));
  if (said !== "")
    return said.length > MAX_MESSAGE_CHARS ? `${said.slice(0, MAX_MESSAGE_CHARS).toWellFormed()}…` : said;
  return `the cluster answered ${httpStatus} without saying why`;
}

function messageIn(body: string): string {
  if (body.startsWith("<")) return "";
  if (!/^[[{"]/.test(body)) return body;
  try {
    const { message } = Object(JSON.parse(body)) as { message?: unknown };
    return typeof message === "string" ? message : "";
  } catch {
    return body;
  }
}

/**
 * @returns the body of a JSON object, byte for byte if all its text is printable; undefined for anything else
 */
function printableObject(body: string): string | undefined {
  if (!body.trimStart().startsWith("{")) return undefined;
  let isPrintable = true;
  const clean = (_: string, value: unknown) => {
    if (typeof value !== "string") return value;
    const cleaned = stripControlCharacters(value);
    isPrintable &&= cleaned === value.trim();
    return cleaned;
  };
  try {
    const cleaned: unknown = JSON.parse(body, clean);
    return isPrintable ? body : printableJson(cleaned);
  } catch {
    // No JSON, or nested too deeply.
    return undefined;
  }
}
