/** A session whose client stops reading: kubectl on a stopped terminal, or behind a pager. */
import type { WebSocket } from "ws";
import type { Variant } from "../variants.ts";
import { openExec } from "./exec-socket.ts";
import type { Setting } from "./scenario.ts";

/** Opens an exec of endless output, and reads nothing after the first of it. */
export async function openStalled(
  variant: Pick<Variant, "name" | "url" | "headers">,
  setting: Pick<Setting, "namespace" | "pod" | "signal">,
): Promise<WebSocket> {
  const socket = await openExec(variant, setting, ["cat", "/dev/zero"]);
  await new Promise<void>((resolve) => socket.once("message", () => resolve()));
  socket.pause();
  return socket;
}
