import type { RequestInfo } from "./request-info.ts";

/**
 * Whether an answer may go on for as long as the client likes: a watch, a log, or what a workload answers.
 *
 * Every log counts, followed or not: `follow` need not be `true` to be true (apimachinery's
 * `Convert_Slice_string_To_bool`).
 */
export function isOpenEnded({ verb, subresource }: RequestInfo): boolean {
  return verb === "watch" || subresource === "log" || subresource === "proxy";
}
