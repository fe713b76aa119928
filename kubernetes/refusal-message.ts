import { stripControlCharacters } from "../common/text.ts";
import { MAX_STATUS_BYTES } from "./status.ts";

/** For a terminal and for the audit log. */
const MAX_MESSAGE_CHARS = 1024;

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
