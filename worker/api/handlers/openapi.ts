import { ok } from "../../../common/result.ts";
import { openApiDocument } from "../openapi.ts";
import type { Handler } from "./handler.ts";

export const getOpenApi: Handler<"getOpenApi"> = async () => ok(openApiDocument());
