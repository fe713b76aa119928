import { env } from "cloudflare:workers";
import { loadConfig } from "./config/load.ts";
import type { Bindings } from "./env.ts";
import { createHandler } from "./handler.ts";

export { UserSessions } from "../durable/user-sessions.ts";

// At start, not at the first request: a deployment whose configuration is not valid is refused as a whole.
const handle = createHandler(loadConfig(env.SALLYPORT_CONFIG));

export default {
  fetch: (request, bindings) => handle(request, bindings),
} satisfies ExportedHandler<Bindings>;
