import { askDirectory } from "../../sessions/directory.ts";
import type { Handler } from "./handler.ts";

export const getWebhooks: Handler<"getWebhooks"> = (_, { env }) => askDirectory(env.DIRECTORY, "describeWebhooks", {});

export const testWebhooks: Handler<"testWebhooks"> = (_, { identity, env }) =>
  askDirectory(env.DIRECTORY, "testWebhooks", { by: identity.name });
