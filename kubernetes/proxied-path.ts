/** Finds where a workload's own path begins. */
import { decodePathname, type RequestTarget } from "./path.ts";
import type { RequestInfo } from "./request-info.ts";

/**
 * The path of a proxy subresource itself, as the client spelled it, with a slash at its end. What follows
 * belongs to the workload.
 *
 * @param info of the same target
 * @returns undefined where the path has no such part
 */
export function proxiedPath(
  { pathname }: Pick<RequestTarget, "pathname">,
  { resource, name }: Pick<RequestInfo, "resource" | "name">,
): string | undefined {
  const proxied = [resource, name, "proxy"];
  const segments = pathname.split("/");
  const at = segments.findIndex((_, first) =>
    proxied.every((part, offset) => decodePathname(segments[first + offset] ?? "") === part),
  );
  return at === -1 ? undefined : `${segments.slice(0, at + proxied.length).join("/")}/`;
}
