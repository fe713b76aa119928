import { askDirectory } from "../../sessions/directory.ts";
import type { Handler } from "./handler.ts";

/** How long an administrator waits for the directory, ms. */
const ANSWER_WITHIN_MS = 5_000;

export const getWebhooks: Handler<"getWebhooks"> = (_, { env }) =>
  askDirectory(env.DIRECTORY, "describeWebhooks", {}, ANSWER_WITHIN_MS);

export const testWebhooks: Handler<"testWebhooks"> = (_, { identity, env }) =>
  askDirectory(env.DIRECTORY, "testWebhooks", { by: identity.name }, ANSWER_WITHIN_MS);
