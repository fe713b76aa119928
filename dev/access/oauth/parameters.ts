import { err, ok, type Result } from "../../../common/result.ts";
import { type OAuthError, oauthError } from "./errors.ts";

/**
 * Reads parameters of a request, of which none may occur twice (RFC 6749, section 3.1): two readers could
 * take different ones. An empty one counts as left out.
 *
 * @returns the parameters by name
 */
export function readParameters(
  parameters: URLSearchParams,
): Result<Readonly<Record<string, string | undefined>>, OAuthError> {
  const read = new Map<string, string>();
  for (const [name, value] of parameters) {
    if (read.has(name)) return err(oauthError("invalid_request", `${JSON.stringify(name)} occurs more than once`));
    read.set(name, value);
  }
  return ok(Object.fromEntries([...read].filter(([, value]) => value !== "")));
}
