import { ok } from "../../../common/result.ts";
import type { Bindings } from "../../env.ts";
import type { Handler } from "./handler.ts";

export const getHealth: Handler<"getHealth"> = async (_, { env }) => healthOf(env);

export const headHealth: Handler<"headHealth"> = async (_, { env }) => healthOf(env);

function healthOf({ VERSION }: Bindings) {
  return ok({ status: "ok" as const, ...(VERSION && { version: VERSION.id }) });
}
