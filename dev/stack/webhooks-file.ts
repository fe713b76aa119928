/** A file with whom to tell of events, as `npm start` and `npx sallyport deploy` take it. */
import { readFileSync } from "node:fs";
import { errorCode } from "../../common/errors.ts";
import { err, ok, type Result } from "../../common/result.ts";
import { parseWebhooks, WEBHOOKS_SECRET } from "../../durable/notifications/configuration.ts";

/**
 * Reads a file with the value of `SALLYPORT_WEBHOOKS`.
 *
 * @returns its text, or what is wrong, for whoever wrote it. No value is quoted: addresses are secrets.
 */
export function readWebhooksFile(path: string): Result<string, string> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    return err(`cannot read ${path} (${errorCode(error) ?? String(error)})`);
  }
  // An empty secret means nobody. An empty file is more likely a mistake.
  if (text.trim() === "") return err(`${path} is empty: to tell nobody, give {"destinations": []}`);
  const parsed = parseWebhooks(text);
  if (parsed.ok) return ok(text);
  return err(`${path} is no valid ${WEBHOOKS_SECRET}:\n${parsed.error.map((fault) => `✖ ${fault}`).join("\n")}`);
}

/**
 * Adds where messages lead to, unless the document says so itself.
 *
 * @param text a valid document
 * @param address of the deployment, an origin
 */
export function withAddress(text: string, address: string): string {
  return JSON.stringify({ address, ...(JSON.parse(text) as object) });
}
